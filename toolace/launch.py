"""What makes a YAML recipe a program: `accelerate launch recipes/toolace8b.yaml` works as typed.

accelerate starts `python recipes/toolace8b.yaml`. To Python the file is an annotation that holds a raw string, then a
call of `run`; to YAML it is a key and, last, a comment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

from toolace.errors import InputError

BAD_INPUT = 2


def run(name: str, file: str) -> None:
    """Called by the last line of every recipe; trains, or with --dry_run prints the plan.

    Worker processes started by spawn or forkserver import the recipe again under another name: for them nothing runs.
    """
    if name != "__main__":
        return
    from toolace_train.cli import launch

    raise SystemExit(guarded(launch, [file, *sys.argv[1:]]))


def guarded(app: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Runs a command; bad input becomes one line on stderr and exit code 2, Ctrl-C a line and 130."""
    try:
        return app(arguments)
    except InputError as error:
        print(f"toolace: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("toolace: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; nothing is wrong. stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        where = error.filename or "disk"
        print(
            f"toolace: {where}: {error.strerror or error}. Check the path, its rights and the space.", file=sys.stderr
        )
        return BAD_INPUT


def quiet_launcher() -> None:
    """Keeps `accelerate launch` from burying our one-line error under a traceback of its own.

    The launcher's process knows nothing of this package, but imports torch, which calls the entry points of the group
    `torch.backends` (its documented way to extend itself at import). In any other process this returns at once.
    """
    if is_launcher(sys.orig_argv) and any(is_recipe(word) for word in sys.orig_argv):
        sys.excepthook = _end_as_the_child_did


def is_launcher(words: Sequence[str]) -> bool:
    """Whether a command line, the interpreter first, is `accelerate launch` or its module.

    With `python -m` torch is imported before `sys.argv` says which module runs, so the whole command line is read.
    """
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        if Path(word).name in ("accelerate", "accelerate.exe", "accelerate-script.py"):
            return after == "launch"
        if Path(word).name == "accelerate-launch" or (word, after) == ("-m", "accelerate.commands.launch"):
            return True
    return False


def is_recipe(word: str) -> bool:
    """Whether a word of the command line is a YAML recipe (and not accelerate's own configuration)."""
    path = Path(word)
    if path.suffix not in (".yaml", ".yml"):
        return False
    try:
        return "toolace.launch" in path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # whoever imports torch must not fail here
        return False


def _end_as_the_child_did(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception hook: the child has said what was wrong; leave with its exit code instead of a traceback."""
    code = _child_exit_code(error)
    if code is None:
        traceback.print_exception(kind, error, trace)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _child_exit_code(error: BaseException) -> int | None:
    """The code of the failed child, or of the first of several; None for one that died of a signal, unheard."""
    if isinstance(error, subprocess.CalledProcessError):
        return error.returncode if error.returncode > 0 else None
    failures = getattr(error, "failures", None)  # torch.distributed.elastic's ChildFailedError
    codes = {failure.exitcode for failure in failures.values()} if isinstance(failures, dict) else set()
    said = sorted(codes - {-15})  # -15: ended by the launcher, because another had failed
    return said[-1] if said and said[0] > 0 else None
