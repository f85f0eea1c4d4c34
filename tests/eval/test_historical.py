"""Questions of 2024: downloaded at a pinned commit, checked by SHA-256, or read from a folder and checked as well."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.bfcl import historical
from eval.bfcl.data import Data
from eval.bfcl.protocols import PROTOCOLS
from eval.bfcl.scoring import score_answers
from eval.score import app
from toolace.errors import InputError

SYSTEM = "You may call these functions, and nothing else but them, in brackets: {functions}"
ADDED = "Here are more functions for you, which were not there before now: {functions}"
SOURCE = (
    f"import os\nLIMIT = 20\nFIRST = {SYSTEM[:30]!r}\nPROMPT = FIRST + {SYSTEM[30:]!r}\nMORE = {ADDED!r}\nos.abort()\n"
)
FUNCTION = {
    "name": "area",
    "description": "Area.",
    "parameters": {"type": "dict", "properties": {"side": {"type": "integer"}}, "required": ["side"]},
}
FILES = {
    "BFCL_v3_simple.json": [
        {"id": "simple_0", "question": [[{"role": "user", "content": "Area of 2?"}]], "function": [FUNCTION]}
    ],
    "possible_answer/BFCL_v3_simple.json": [{"id": "simple_0", "ground_truth": [{"area": {"side": [2]}}]}],
}


def digest(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on loopback with a benchmark of one question, and a table that pins its files."""
    folder = tmp_path / "publisher"
    contents = {name: "".join(json.dumps(row) + "\n" for row in rows).encode() for name, rows in FILES.items()}
    for name, content in {**contents, "constant.py": SOURCE.encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    spec = {
        "folder": "bfcl_v3_2024",
        "licence": "Apache-2.0",
        "data": base,
        "prompts": base + "constant.py",
        "prompt_texts": {
            "system_prompt": digest(SYSTEM.encode()),
            "added_functions_prompting": digest(ADDED.encode()),
        },
        "files": {name: digest(content) for name, content in contents.items()},
    }
    monkeypatch.setattr(historical, "downloads", lambda: {"v3-2024": spec})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(historical.VARIABLE, raising=False)
    yield folder
    server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None: ...


def test_questions_are_downloaded_once_and_scored(publisher: Path) -> None:
    data = Data("v3-2024")
    assert data.questions("simple") == FILES["BFCL_v3_simple.json"]
    (verdict,) = score_answers("simple", {"simple_0": "[area(side=2)]"}, data)
    assert verdict["valid"]
    for path in publisher.rglob("*.*"):
        path.unlink()
    assert Data("v3-2024").gold("simple") == {"simple_0": [{"area": {"side": [2]}}]}


def test_python_answers_of_2024_are_read_in_the_child_process_alone(
    publisher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*_: object) -> None:
        raise AssertionError("an answer was decoded in our own process")

    monkeypatch.setattr("eval.bfcl.bridge.decode_ast", here)
    (verdict,) = score_answers("simple", {"simple_0": "[area(side=2)]"}, Data("v3-2024"))
    assert verdict["valid"]


def test_result_files_in_the_flat_layout_of_2024_are_scored_and_named_by_their_protocol(
    publisher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "result" / "some_model"
    folder.mkdir(parents=True)
    path = folder / "BFCL_v3_simple_result.json"
    path.write_text('{"id": "simple_0", "result": "[[area(side=2)]]"}\n')  # decoded in 2024, not today
    assert app(["bfcl", "--results", str(tmp_path), "--protocol", "v3-2024", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["protocol"], row["accuracy"]) for row in results["rows"]] == [
        ("some_model", "v3-2024", 100.0)
    ]
    assert "overall" in results["not_run"][0]["aggregates"] and results["published"][0]["protocol"] == "v3-2024"
    with pytest.raises(InputError, match=r"is a result file of protocol v3-2024, not of v4\. Score it with"):
        app(["bfcl", "--results", str(tmp_path)])
    assert Data("v3-2024").category("simple").path(Path("r"), "org/m") == Path("r/org_m/BFCL_v3_simple_result.json")


def test_the_prompt_is_found_in_the_publishers_source_which_is_not_run(publisher: Path) -> None:
    (prompt,) = Data("v3-2024").prompts("simple")
    hinted = [{**FUNCTION, "description": "Area. Note that the provided function is in Python 3 syntax."}]
    assert prompt.messages[0] == {"role": "system", "content": SYSTEM.format(functions=hinted)}
    assert Data("v3-2024").added_functions_message([{"name": "f"}], native=False)["content"].endswith("[{'name': 'f'}]")
    (native,) = Data("v3-2024").prompts("simple", native=True)
    assert [message["role"] for message in native.messages] == ["user"]


def test_a_file_of_another_content_is_refused_and_nothing_is_kept(publisher: Path, tmp_path: Path) -> None:
    (publisher / "BFCL_v3_simple.json").write_text("{}\n")
    with pytest.raises(InputError, match=r"BFCL_v3_simple.json: is not the file of the pinned commit"):
        Data("v3-2024").questions("simple")
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_a_source_without_the_prompts_is_refused(publisher: Path) -> None:
    (publisher / "constant.py").write_text("PROMPT = 'Another text, long enough to be a prompt, but not the one.'\n")
    with pytest.raises(InputError, match="no system_prompt with the expected SHA-256"):
        Data("v3-2024").folder  # noqa: B018


def test_a_folder_that_is_given_is_checked_as_well(publisher: Path, tmp_path: Path) -> None:
    folder = Data("v3-2024").folder
    assert Data("v3-2024", folder).folder == Data("v3-2024", folder.parent).folder == folder
    (folder / "prompts.json").write_text('{"system_prompt": "Call me."}')
    with pytest.raises(InputError, match=r"prompts.json: has another system_prompt than the publisher"):
        Data("v3-2024", folder).prompts("simple")
    (folder / "possible_answer" / "BFCL_v3_simple.json").write_text("{}")
    with pytest.raises(InputError, match="another SHA-256"):
        Data("v3-2024", folder).gold("simple")
    with pytest.raises(InputError, match="holds no questions of protocol v3-2024"):
        Data("v3-2024", tmp_path).questions("simple")


def test_without_a_network_the_error_says_how_to_give_a_folder(publisher: Path) -> None:
    spec = historical.downloads()["v3-2024"]
    spec["data"] = "http://127.0.0.1:9/"
    with pytest.raises(InputError, match=r"cannot be downloaded .*--data DIR or TOOLACE_BFCL_DATA"):
        Data("v3-2024").questions("simple")


def test_every_file_that_a_protocol_needs_is_pinned() -> None:
    table = json.loads((historical.HERE / "downloads.json").read_text(encoding="utf-8"))
    assert set(table) == {name for name, protocol in PROTOCOLS.items() if protocol.historical}
    for name, spec in table.items():
        assert spec["commit"] in spec["data"] and spec["commit"] in spec["prompts"]
        kinds = PROTOCOLS[name].categories.values()
        needed = {kind.data_name for kind in kinds}
        needed |= {f"possible_answer/{kind.data_name}" for kind in kinds if kind.kind in ("ast", "multi_turn")}
        assert set(spec["files"]) == needed
        assert all(len(file["sha256"]) == 64 and file["bytes"] > 0 for file in spec["files"].values())


REAL = os.environ.get(historical.VARIABLE)


@pytest.mark.skipif(not REAL, reason=f"{historical.VARIABLE} names no folder with the questions of 2024")
@pytest.mark.parametrize(("protocol", "single_turn"), [("v3-2024", 3_951), ("v1-2024", 1_700)])
def test_the_real_questions_of_2024_are_whole(protocol: str, single_turn: int) -> None:
    data = Data(protocol)
    counts = {name: len(data.questions(name)) for name in data.protocol.categories}
    assert single_turn == sum(n for name, n in counts.items() if not name.startswith("multi_turn"))
    for name in data.protocol.categories:
        assert len(data.prompts(name)) == counts[name]
        assert set(data.gold(name)) in (set(), {row["id"] for row in data.questions(name)})
