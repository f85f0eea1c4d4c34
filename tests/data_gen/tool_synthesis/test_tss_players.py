"""A whole run with a model: documents and manuals in, a balanced pool out; killed in the middle, it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from llm_answers import SERVICES, answer, by_words, title_of
from llm_double import LlmDouble

from data_gen.cli import tools as tools_command
from data_gen.pipeline import make_tools
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.llm_players import LlmPlayers
from data_gen.tool_synthesis.pool import read_pool
from data_gen.tool_synthesis.speciation import Speciation
from toolace import InputError
from toolace.journal import Journal
from toolace.llm_settings import LlmSettings
from toolace.rows import read_json, read_rows, sha256, write_json
from toolace.runs import Run

DOMAINS = ("Food and Drink", "Weather Forecasts", "Train Travel")
# A run in a process of its own, to be killed.
PROGRAM = """
import sys
from pathlib import Path
from test_tss_players import by_words_everywhere, make

if __name__ == "__main__":
    by_words_everywhere()
    make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""


def by_words_everywhere() -> None:
    """Embeds by words: what is tested here is not where things are placed but that nothing is lost."""
    for maker in (Speciation, LlmPlayers):
        maker.__init__.__defaults__ = (by_words,)


def make(folder: Path, documents: Path, url: str, **server: Any) -> dict[str, Any]:
    """Makes the pool and returns its counts."""
    llm = LlmSettings(url, "double", concurrency=4, **server)
    settings = ToolSettings(
        everyday=False, aws=0, google=0, files=(str(documents),), taxonomy=True, count=60, llm=llm, domains=DOMAINS
    )
    counts: dict[str, Any] = make_tools(Run(folder), settings, 5)["counts"]
    return counts


@pytest.fixture(autouse=True)
def quick_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    for maker in (Speciation, LlmPlayers):
        monkeypatch.setattr(maker.__init__, "__defaults__", (by_words,))


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Function definitions of five services, and a manual."""
    folder = tmp_path_factory.mktemp("documents")
    field = {"type": "string", "description": "Name of the place."}
    for title, texts in SERVICES.items():
        tools = [
            {"name": name, "description": about, "parameters": {"type": "object", "properties": {"place": field}}}
            for name, about in zip(texts[::2], texts[1::2], strict=True)
        ]
        (folder / f"{title.lower().replace(' ', '_')}.json").write_text(json.dumps({"tools": tools}))
    (folder / "manual.md").write_text("# Bakery guide\n\nFill a form in to order bread, rolls and cake for a party.\n")
    return folder


@pytest.fixture(scope="module")
def whole(documents: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], int]:
    """A run that nothing happened to: its folder, counts, and calls."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, LlmDouble(answer) as double:
        for maker in (Speciation, LlmPlayers):
            patch.setattr(maker.__init__, "__defaults__", (by_words,))
        return folder, make(folder, documents, double.url), double.calls


def gathered(whole: Path, folder: Path) -> Path:
    """A new run folder in which the documents have been read already."""
    shutil.copytree(whole / "candidates", folder / "candidates")
    stages = read_json(whole / "manifest.json")["stages"]
    write_json(folder / "manifest.json", {"stages": {name: stages[name] for name in stages if name != "tools"}})
    return folder


def test_a_killed_run_goes_on_asks_nothing_twice_and_makes_the_same_pool(
    whole: tuple[Path, dict[str, Any], int], documents: Path, tmp_path: Path
) -> None:
    done, counts, calls = whole
    folder = gathered(done, tmp_path / "run")
    (tmp_path / "work.py").write_text(PROGRAM)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here.parents[2], here.parents[1], here)))}
    with LlmDouble(answer, latency=0.03) as double:
        command = [sys.executable, str(tmp_path / "work.py"), str(folder), str(documents), double.url]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
        while process.poll() is None and double.calls < 20:
            time.sleep(0.005)
        assert process.poll() is None, process.communicate()[1].decode()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(0.1)  # the double ends the calls that nobody waits for
        before = double.calls
        with Journal(folder / "journal.sqlite") as journal:
            kept = sum(stage["calls"] for stage in journal.totals().values())
        assert 12 <= kept <= before < calls, "what came before is kept, but for four calls in flight"
        assert make(folder, documents, double.url) == counts
        assert double.calls - before == calls - kept, "only what was not answered is asked"
    for name in ("tools.jsonl", "proposals.jsonl", "tree.json", "rejected_tools.jsonl"):
        assert sha256(done / name) == sha256(folder / name)


def test_what_comes_in_is_accepted_or_rejected_and_fills_the_pool(whole: tuple[Path, dict[str, Any], int]) -> None:
    _look_over(whole[0], whole[1])


def _look_over(run: Path, counts: dict[str, Any]) -> None:
    pool = read_pool(run / "tools.jsonl")
    assert counts["in"] == counts["kept"] + counts["rejected"] and counts["kept"] == len(pool) == 60
    rows = [row for _, row in read_rows(run / "proposals.jsonl")]
    for kind, numbers in counts["proposals"].items():
        assert numbers["in"] == numbers["accepted"] + numbers["rejected"] == sum(row["kind"] == kind for row in rows)
    assert counts["unfinished"] == 0
    written = [tool for tool in pool if tool.source.get("model") == "double"]
    assert len(written) == sum(tool.origin == "evolved" for tool in pool) >= 40
    leaves = {
        leaf["name"]: leaf
        for primary in read_json(run / "tree.json")["children"] for sub in primary["children"]
        for leaf in sub["children"]
    }  # fmt: skip
    assert any("kitchen_shelf.json" in source for source in leaves["search recipes"]["sources"])
    assert any("manual.md" in source for source in leaves["fill a form"]["sources"])


def test_what_a_spent_budget_left_open_is_asked_by_the_next_run(
    whole: tuple[Path, dict[str, Any], int], documents: Path, tmp_path: Path
) -> None:
    folder = gathered(whole[0], tmp_path / "run")
    with LlmDouble(answer) as double:
        part = make(folder, documents, double.url, max_calls=10)
        assert double.calls == 10 and part["unfinished"] == part["proposals"]["api"]["unfinished"] > 0
        rest = make(folder, documents, double.url)
        assert rest == whole[1] and rest["kept"] > part["kept"]
        assert double.calls == whole[2] and not double.repeated()


def test_work_left_open_is_asked_for_with_the_same_settings_too(
    whole: tuple[Path, dict[str, Any], int], documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolace.chat_limits.BACKOFF_SECONDS", 0.002)
    folder = gathered(whole[0], tmp_path / "run")
    with LlmDouble(answer, faults=lambda body, _: "500" if "sky" in title_of(body).lower() else "") as double:
        part = make(folder, documents, double.url)
        assert part["unfinished"] == part["proposals"]["domain"]["unfinished"] == 1
        double.faults = {}
        assert make(folder, documents, double.url)["unfinished"] == 0
        assert not double.repeated()
        calls = double.calls
        assert make(folder, documents, double.url)["unfinished"] == 0 and double.calls == calls


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 10, "taxonomy": False}, "count needs the taxonomy"),
        ({"taxonomy": False, "llm_apis": 1}, "llm needs the taxonomy"),
        ({"taxonomy": True}, "how many APIs the model is to write"),
        ({"taxonomy": True, "llm_apis": -1}, "llm_apis is -1"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ToolSettings(llm=LlmSettings("http://127.0.0.1:1/v1", "m"), **changes).check()


def test_a_recipe_names_the_server_and_a_misspelt_key_is_told(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("generate:\n  tools: {taxonomy: true, llm: {base_url: 'http://127.0.0.1:1/v1', modell: x}}\n")
    with pytest.raises(InputError, match="Did you mean 'model'"):
        tools_command([str(recipe), "--out", str(tmp_path / "run")])
