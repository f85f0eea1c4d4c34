from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolace import launch
from toolace.errors import InputError
from toolace.launch import _child_exit_code, guarded, is_launcher, is_recipe

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "smollm2_135m.yaml"
ACCELERATE = str(Path(sys.executable).with_name("accelerate"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # No GPU, one thread: the launcher otherwise reports what it guessed.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


# A recipe as a program


def test_a_recipe_run_by_python_prints_its_help() -> None:
    done = run(sys.executable, str(RECIPE), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert "accelerate launch RECIPE" in done.stdout and "example:" in done.stdout


def test_a_recipe_run_by_python_ends_with_two_for_an_unknown_key() -> None:
    done = run(sys.executable, str(RECIPE), "--train.lerning_rate", "1", "--genrate.x", "2")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("toolace: ") and done.stderr.count("\n") == 1
    assert "Did you mean 'generate'?" in done.stderr


def test_workers_that_import_the_recipe_again_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import toolace_train.cli

    called: list[Sequence[str]] = []
    monkeypatch.setattr(toolace_train.cli, "launch", lambda argv: called.append(argv) or 7)
    monkeypatch.setattr(sys, "argv", [str(RECIPE), "--dry_run"])
    runpy.run_path(str(RECIPE), run_name="__mp_main__")
    assert called == []
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RECIPE), run_name="__main__")
    assert ended.value.code == 7
    assert called == [[str(RECIPE), "--dry_run"]]


# accelerate launch: the two slow ones, each starts the launcher and its child


@pytest.mark.parametrize("launcher", [[ACCELERATE, "launch"], [sys.executable, "-m", "accelerate.commands.launch"]])
def test_accelerate_launch_ends_with_two_and_one_line(launcher: list[str]) -> None:
    config = str(ROOT / "accelerate_configs" / "cpu.yaml")
    done = run(*launcher, "--config_file", config, str(RECIPE), "--trian.learning_rate", "1")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "CalledProcessError" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("toolace: ")]
    assert said == [f"toolace: {RECIPE}: unknown key 'trian'. Did you mean 'train'?"]
    assert done.stdout == ""


# The hook


def test_an_ordinary_process_keeps_its_exception_hook() -> None:
    code = "import sys; hook = sys.excepthook; import torch; assert sys.excepthook is hook; print('kept')"
    done = run(sys.executable, "-c", code, str(RECIPE), "launch")
    assert done.stdout == "kept\n", done.stderr


def test_the_hook_is_set_for_the_launcher_of_a_recipe_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "config.yaml"
    other.write_text("compute_environment: LOCAL_MACHINE\n")

    def hooked(*words: str) -> bool:
        hook = object()
        monkeypatch.setattr(sys, "excepthook", hook)
        monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python", *words])
        launch.quiet_launcher()
        return sys.excepthook is not hook

    assert hooked("/venv/bin/accelerate", "launch", str(RECIPE))
    assert hooked("/venv/bin/accelerate", "launch", "--config_file", str(other), str(RECIPE), "--seed", "1")
    assert hooked("-m", "accelerate.commands.launch", str(RECIPE))
    assert hooked("/venv/bin/accelerate-launch", str(RECIPE))
    assert not hooked("/venv/bin/accelerate", "launch", str(other))
    assert not hooked("/venv/bin/accelerate", "launch", "train.py")
    assert not hooked("/venv/bin/accelerate", "test", str(RECIPE))
    assert not hooked("-m", "pytest", str(RECIPE))
    assert not hooked(str(RECIPE), "--dry_run")
    assert not hooked("-c", "import torch")
    assert not hooked()


def test_command_lines_of_launchers() -> None:
    assert is_launcher(["python", "/a/accelerate", "launch", "x"])
    assert is_launcher(["python", "-X", "dev", "-m", "accelerate.commands.launch", "x"])
    assert not is_launcher(["python", "/a/accelerate"])
    assert not is_launcher([])


def test_only_runnable_yaml_files_are_recipes(tmp_path: Path) -> None:
    assert is_recipe(str(RECIPE))
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "x.py").write_text("import toolace.launch")
    assert not any(
        map(is_recipe, [str(tmp_path / "folder.yaml"), str(tmp_path / "x.py"), "no.yaml", "", "a" * 5000 + ".yaml"])
    )


class Failure:
    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode


class Failed(Exception):
    """As torch.distributed.elastic's ChildFailedError: rank to failure."""

    def __init__(self, *codes: int) -> None:
        self.failures = {rank: Failure(code) for rank, code in enumerate(codes)}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (subprocess.CalledProcessError(2, "x"), 2),
        (subprocess.CalledProcessError(130, "x"), 130),
        (subprocess.CalledProcessError(1, "x"), 1),
        (subprocess.CalledProcessError(-9, "x"), None),
        (Failed(2), 2),
        (Failed(2, -15), 2),
        (Failed(1), 1),
        (Failed(2, 1), 2),
        (Failed(1, -9), None),
        (Failed(-15), None),
        (Failed(), None),
        (ValueError("x"), None),
    ],
)
def test_what_the_child_has_said_is_not_said_again(error: BaseException, code: int | None) -> None:
    assert _child_exit_code(error) == code


def test_any_other_failure_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("a bug")
    except ValueError as error:
        launch._end_as_the_child_did(type(error), error, error.__traceback__)
    assert "Traceback" in capsys.readouterr().err


# guarded


def ended(error: BaseException) -> int:
    def app(arguments: Sequence[str]) -> int:
        raise error

    return guarded(app, [])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("is bad", where="f.yaml:3", fix="Mend it."), 2, "toolace: f.yaml:3: is bad. Mend it.\n"),
        (KeyboardInterrupt(), 130, "toolace: interrupted; run the same command again to go on\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/x"),
            2,
            "toolace: runs/x: No space left on device. Check the path, its rights and the space.\n",
        ),
        (OSError("odd"), 2, "toolace: disk: odd. Check the path, its rights and the space.\n"),
    ],
)
def test_what_goes_wrong_outside_is_one_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error) == code
    captured = capsys.readouterr()
    assert (captured.err, captured.out) == (said, "")


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda arguments: len(arguments) // 0, [])


def test_the_code_of_the_command_is_passed_on() -> None:
    assert guarded(lambda arguments: len(arguments), ["a", "b", "c"]) == 3


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import sys; from toolace.launch import guarded\n"
        "sys.exit(guarded(lambda a: [print('x' * 999) for _ in range(9999)] and 0, []))"
    )
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "$CODE" | head -1 >/dev/null'],
        capture_output=True,
        text=True,
        env={**os.environ, "CODE": code},
    )
    assert done.returncode == 141 and done.stderr == ""
