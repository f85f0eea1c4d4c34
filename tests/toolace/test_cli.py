from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from toolace import __version__
from toolace.cli import COMMANDS, main, usage
from toolace.errors import InputError

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "numpy", "bfcl_eval", "botocore", "jsonschema")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, function = COMMANDS[name][0].split(":")
    app = getattr(import_module(module), function)
    try:
        code = app(["--help"])
    except SystemExit as ended:
        code = ended.code
    captured = capsys.readouterr()
    assert code == 0 and captured.err == ""
    assert f"toolace {name}" in captured.out
    assert "example" in captured.out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["-h"]):
        assert main(words) == 0
        assert capsys.readouterr().out == usage() + "\n"
    assert all(f"  {name} " in usage() and text in usage() for name, (_, text) in COMMANDS.items())


def test_no_command_is_bad_usage_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "usage: toolace COMMAND" in captured.err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"toolace {__version__}\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("generat", "unknown command 'generat'. Did you mean 'generate'?"),
        ("scores", "unknown command 'scores'. Did you mean 'score'?"),
        ("zzz", "unknown command 'zzz'. See `toolace --help`."),
        ("--versoin", "unknown command '--versoin'."),
    ],
)
def test_an_unknown_command_names_the_nearest(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("toolace: ") and captured.err.count("\n") == 1
    assert said in captured.err


@pytest.mark.parametrize("name", ["tools", "dialogs", "generate", "train", "plan", "evaluate"])
def test_a_command_that_needs_a_recipe_says_that_it_cannot_be_read(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, str(tmp_path / "no.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "no.yaml" in captured.err


def test_the_model_command_takes_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "extra"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "unexpected argument 'extra'" in captured.err


def child(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from toolace.cli import main; main(['--help'])\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = child("-c", code)
    assert done.returncode == 0 and done.stderr == "[]\n"


@pytest.mark.parametrize("name", ["generate", "convert", "model"])
def test_the_help_of_a_command_needs_no_torch(name: str) -> None:
    code = f"import sys; from toolace.cli import main\ntry: main(['{name}', '--help'])\nexcept SystemExit: pass\n"
    done = child("-c", code + "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_help_takes_no_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(3):
        assert child("-m", "toolace", "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 3
    assert seconds < 0.6  # 0.3 is wanted, and 0.1 is usual


def test_the_installed_command_and_the_module_are_the_same() -> None:
    script = str(Path(sys.executable).with_name("toolace"))
    installed = subprocess.run([script, "--help"], capture_output=True, text=True)
    assert installed.stdout == child("-m", "toolace", "--help").stdout == usage() + "\n"


def test_a_command_ends_on_ctrl_c_with_one_line(tmp_path: Path) -> None:
    import signal

    recipe = tmp_path / "r.yaml"
    recipe.write_text("generate: {tools: {aws: 0, google: 0}, dialogs: {count: 200000}}\n")
    command = [sys.executable, "-m", "toolace", "generate", str(recipe), "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "tools.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == b""
    assert b"Traceback" not in err
    assert err.decode().rstrip("\n").splitlines()[-1] == "toolace: interrupted; run the same command again to go on"
    assert not (tmp_path / "run" / "dialogs.jsonl").exists()
    assert not list((tmp_path / "run").glob(".dialogs*")), "half a file was left behind"


def test_input_errors_are_told_in_one_line_whatever_they_hold() -> None:
    assert str(InputError("a\nb", where="c\nd", fix="e\n f")) == "c d: a b. e f"
