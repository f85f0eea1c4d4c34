from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from toolace.errors import InputError
from toolace.rows import sha256
from toolace.runs import Run, code_digest, command_line, versions


class Work:
    """Writes the output file and counts how often it was asked to."""

    def __init__(self, folder: Path, text: str = "made\n") -> None:
        self.path, self.text, self.times = folder / "out.txt", text, 0

    def __call__(self) -> dict[str, int]:
        self.times += 1
        self.path.write_text(self.text)
        return {"rows": 1}


def stage(run: Run, work: Work, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"settings": {"a": 1}, "inputs": [], "outputs": ["out.txt"], **changes}
    return run.stage("stage", work, **facts)


def test_a_finished_stage_is_not_done_again(tmp_path: Path) -> None:
    run, work = Run(tmp_path / "deep" / "run"), Work(tmp_path / "deep" / "run")
    first = stage(run, work)
    second = stage(Run(run.folder), work)
    assert work.times == 1
    assert "reused" not in first and second == {**first, "reused": True}
    assert "reused" not in run.manifest["stages"]["stage"]
    assert first["counts"] == {"rows": 1} and first["outputs"] == {"out.txt": sha256(work.path)}


def test_changed_settings_inputs_or_outputs_mean_new_work(tmp_path: Path) -> None:
    run, work, source = Run(tmp_path), Work(tmp_path), tmp_path / "in.txt"
    source.write_text("a")
    stage(run, work, inputs=[source])
    stage(run, work, inputs=[source], settings={"a": 2})
    assert work.times == 2
    source.write_text("b")
    stage(run, work, inputs=[source], settings={"a": 2})
    assert work.times == 3
    work.path.write_text("tampered")
    stage(run, work, inputs=[source], settings={"a": 2})
    assert work.times == 4 and work.path.read_text() == "made\n"
    work.path.unlink()
    stage(run, work, inputs=[source], settings={"a": 2})
    assert work.times == 5
    (tmp_path / "more.txt").write_text("")
    stage(run, work, inputs=[source], settings={"a": 2}, outputs=["out.txt", "more.txt"])
    assert work.times == 6


def test_the_order_of_settings_does_not_matter(tmp_path: Path) -> None:
    run, work = Run(tmp_path), Work(tmp_path)
    stage(run, work, settings={"a": 1, "b": {"x": 1, "y": 2}})
    stage(run, work, settings={"b": {"y": 2, "x": 1}, "a": 1})
    assert work.times == 1


def test_work_that_fails_leaves_no_record(tmp_path: Path) -> None:
    def fail() -> dict[str, int]:
        raise InputError("no")

    run = Run(tmp_path)
    with pytest.raises(InputError):
        run.stage("stage", fail, settings={}, outputs=[])
    assert run.manifest == {"stages": {}}


def test_a_stage_leaves_the_records_of_others(tmp_path: Path) -> None:
    run, work = Run(tmp_path), Work(tmp_path)
    run.stage("one", work, settings={}, outputs=["out.txt"])
    Run(tmp_path).stage("two", lambda: {}, settings={}, outputs=[])
    assert list(run.manifest["stages"]) == ["one", "two"]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"stages": []}', "{", '"x"', "\xff"], ids=["list", "empty", "stages", "torn", "text", "latin"]
)
def test_a_broken_manifest_is_bad_input_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"manifest\.json: is no"):
        stage(Run(tmp_path), Work(tmp_path))


def test_a_record_without_its_parts_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stages": {"stage": {"counts": {}}}}')
    work = Work(tmp_path)
    stage(Run(tmp_path), work)
    assert work.times == 1


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "run", "Not a directory")):
        with pytest.raises(InputError) as error:
            Run(path)
        assert said in str(error.value) and str(path) in str(error.value)


def test_a_process_waits_for_another_that_works_in_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from toolace.runs import Run\n"
        "with Run(sys.argv[1]).working():\n"
        "    print('in', flush=True); time.sleep(0.7); open(sys.argv[1] + '/left', 'w').close()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"in\n"
        start = time.monotonic()
        with Run(tmp_path).working():
            assert (tmp_path / "left").exists()
        assert time.monotonic() - start > 0.3


def test_a_killed_process_leaves_the_folder_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from toolace.runs import Run\n"
        "with Run(sys.argv[1]).working():\n"
        "    print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"in\n"
        child.kill()
    start = time.monotonic()
    with Run(tmp_path).working():
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/venv/bin/toolace", "generate", "r.yaml"], "toolace generate r.yaml"),
        (["/x/toolace/__main__.py", "generate", "a b.yaml"], "toolace generate 'a b.yaml'"),
        (["recipes/r.yaml", "--seed", "3"], "accelerate launch recipes/r.yaml --seed 3"),
    ],
)
def test_the_recorded_command_is_what_a_user_types(argv: list[str], said: str) -> None:
    assert command_line(argv) == said


def test_versions_are_of_installed_packages_only() -> None:
    found = versions(("toolace", "no-such-package"))
    assert set(found) == {"toolace"} and found["toolace"][0].isdigit()


def test_the_digest_of_code_follows_every_source_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "data.yaml").write_text("a: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = code_digest("some_package")
    (package / "inner" / "notes.txt").write_text("no code")
    assert code_digest("some_package") == first
    (package / "inner" / "data.yaml").write_text("a: 2\n")
    second = code_digest("some_package")
    (package / "new.py").write_text("")
    assert len({first, second, code_digest("some_package")}) == 3


def test_the_manifest_is_json_that_says_command_and_settings(tmp_path: Path) -> None:
    stage(Run(tmp_path), Work(tmp_path), settings={"path": Path("x")})
    record = json.loads((tmp_path / "manifest.json").read_text())["stages"]["stage"]
    assert set(record) == {"fingerprint", "outputs", "counts", "seconds", "command", "settings", "versions"}
