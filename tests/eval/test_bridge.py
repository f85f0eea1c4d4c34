from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bfcl_answers import DATA, corrupted_answers, right_answers

from eval.bfcl import bridge
from eval.bfcl.categories import CATEGORIES, DEFAULT_CATEGORIES, category
from toolace.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_the_default_categories_hold_1240_questions() -> None:
    assert [len(DATA.prompts(name)) for name in DEFAULT_CATEGORIES] == [400, 200, 200, 200, 240]


@pytest.mark.parametrize("name", [name for name, kind in CATEGORIES.items() if kind.kind != "agentic"])
def test_prompts_and_questions_have_the_same_ids_in_the_same_order(name: str) -> None:
    ids = [question["id"] for question in DATA.questions(name)]
    assert [prompt.id for prompt in DATA.prompts(name)] == ids
    gold = DATA.gold(name)
    assert list(gold) == ids if "relevance" not in CATEGORIES[name].kind else gold == {}


def test_a_prompt_shows_the_functions_as_indented_json_in_one_system_message() -> None:
    for prompt in DATA.prompts("multiple")[:20]:
        assert [message["role"] for message in prompt.messages] == ["system", "user"]
        assert json.dumps(prompt.functions, indent=4) in prompt.messages[0]["content"]
        assert prompt.functions[0]["description"].endswith("in Python 3 syntax.")


def test_a_question_that_brings_a_system_message_keeps_it_behind_the_official_one() -> None:
    prompts = {prompt.id: prompt for prompt in DATA.prompts("live_simple")}
    own = next(q for q in DATA.questions("live_simple") if q["question"][0][0]["role"] == "system")
    message = prompts[own["id"]].messages[0]
    assert message["content"].startswith("You are an expert in composing functions.")
    assert message["content"].endswith("\n\n" + own["question"][0][0]["content"])
    assert [m["role"] for m in prompts[own["id"]].messages].count("system") == 1


def test_scoring_sees_java_types_where_prompts_see_strings() -> None:
    scored, shown = DATA.questions("simple_java")[0], DATA.prompts("simple_java")[0]
    assert types(shown.functions) == {"string"} != types(scored["function"])


def types(functions: list[dict[str, Any]]) -> set[str]:
    return {parameter["type"] for parameter in functions[0]["parameters"]["properties"].values()}


def test_an_unknown_category_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean simple_python"):
        DATA.prompts("simple_pyton")
    with pytest.raises(InputError, match="in no score of the leaderboard"):
        DATA.questions("format_sensitivity")


def test_a_missing_package_is_told_with_the_command_that_installs_it() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'bfcl_eval' else find(name, *rest)\n"
        "from eval.bfcl.data import Data\n"
        "from toolace.errors import InputError\n"
        "try: Data().prompts('parallel')\n"
        "except InputError as error: print(error)"
    )
    assert "pip install bfcl-eval==" in run_python(code).stdout


def test_importing_leaves_no_folders_in_site_packages_and_no_vendor_clients_in_memory(tmp_path: Path) -> None:
    code = (
        "import sys, os\n"
        "from eval.bfcl import bridge\n"
        "from eval.bfcl.categories import category\n"
        "bridge.check_ast([], [], [], category('parallel')); import bfcl_eval\n"
        "site = os.path.dirname(os.path.dirname(bfcl_eval.__file__))\n"
        "print([n for n in ('result', 'score', '.file_locks') if os.path.exists(os.path.join(site, n))])\n"
        "print([n for n in ('openai', 'anthropic', 'pandas', 'torch', 'numpy') if n in sys.modules])\n"
        "print('bfcl_eval.constants.model_config' in sys.modules, os.environ['BFCL_PROJECT_ROOT'])"
    )
    done = run_python("import os; os.environ.pop('BFCL_PROJECT_ROOT', None)\n" + code, XDG_CACHE_HOME=str(tmp_path))
    assert done.stdout.splitlines() == ["[]", "[]", f"False {tmp_path / 'toolace' / 'bfcl'}"], done.stderr


def test_an_unwritable_home_falls_back_to_a_temporary_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    code = "import os; os.environ.pop('BFCL_PROJECT_ROOT', None)\n"
    code += "from eval.bfcl import bridge\nprint(bridge._project_root())"
    folder = run_python(code, XDG_CACHE_HOME=str(blocked)).stdout.strip()
    assert "toolace-bfcl-" in folder and not Path(folder).exists(), "made, and removed at exit"


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("[f(a=1)]", [{"f": {"a": 1}}]),
        ("```g.h(x='y'), f()```", [{"g.h": {"x": "y"}}, {"f": {}}]),
        ("[f(a=2*3, b=-1, c=2**10, d=1/4)]", [{"f": {"a": 6, "b": -1, "c": 1024, "d": 0.25}}]),
        ("[f(a='x' + 'y')]", [{"f": {"a": "xy"}}]),
        ("[f(a=g(x**2))]", [{"f": {"a": "g(x ** 2)"}}]),
        ("[]", []),
    ],
)
def test_the_official_decoder_reads_calls(text: str, decoded: list[object]) -> None:
    assert bridge.decode_ast(text) == decoded


@pytest.mark.parametrize(
    ("text", "today", "in_2024"),
    [
        ("[f(a=1), g()]", True, True),
        ("```f(a=[1])```", True, True),
        ("[[f(a=1)]]", False, True),
        ("['f(a=1)']", False, True),
        ("[ f(a=1)]", True, False),
        ("[]", True, False),
        ("Sure: [f(a=1)]", False, False),
        ("[f(a=9**9**9)]", False, False),
        ("[[f(a=__import__('os').getpid()+0)]]", False, False),
    ],
)
def test_the_decoder_of_2024_took_brackets_and_quotes_off_both_ends(text: str, today: bool, in_2024: bool) -> None:
    for of_2024, decodable in ((False, today), (True, in_2024)):
        if decodable:
            assert isinstance(bridge.decode_ast(text, of_2024=of_2024), list)
        else:
            with pytest.raises(bridge.Undecodable):
                bridge.decode_ast(text, of_2024=of_2024)


def test_the_decoder_of_2024_is_that_of_the_package_that_still_has_it() -> None:
    """`nvidia-bfcl` keeps the decoder as it was until 2025."""
    utils = pytest.importorskip("bfcl.model_handler.utils")
    texts = [text for name in ("multiple", "parallel", "irrelevance") for text in corrupted_answers(name, 5).values()]
    texts += ["[[f(a=1)]]", "['f(a=1)']", "[ f(a=1)]", "[\nf(a=1)\n]", "[f(a=1)]]", "'[f(a=1)]'", "[f(a='x')']"]
    for text in texts:
        try:
            mine: object = bridge.decode_ast(text, of_2024=True)
        except bridge.Undecodable as error:
            if error.error_type == "guard:refused":
                continue
            mine = None
        try:
            theirs: object = utils.default_decode_ast_prompting(text)
        except Exception:
            theirs = None
        assert mine == theirs, text


def test_an_answer_that_the_official_checker_fails_on_is_invalid_with_evidence() -> None:
    function = DATA.questions("simple_python")[0]["function"]
    function[0]["parameters"]["properties"]["base"]["type"] = "float"
    decoded = bridge.decode_ast(f"[calculate_triangle_area(base=1{'0' * 400}, height=5)]")
    verdict = bridge.check_ast(
        function, decoded, DATA.gold("simple_python")["simple_python_0"], category("simple_python")
    )
    assert verdict["error_type"] == "checker:raised" and "OverflowError" in verdict["error"][0]


def test_gold_passes_the_guard_and_the_decoder_everywhere() -> None:
    for name, kind in CATEGORIES.items():
        if kind.kind == "ast" and kind.language == "python":
            for text in right_answers(name).values():
                assert bridge.decode_ast(text)
