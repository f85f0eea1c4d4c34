from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toolace.errors import InputError
from toolace.file_sets import FileSet, recover

# Killed before the list of new files is written, after it, and in the middle of the renaming.
KILLED = """
import os, sys
from pathlib import Path
from toolace import file_sets
at = sys.argv[2]
original, count = Path.replace, [0]
def replace(self, target):
    count[0] += 1
    if count[0] == {"before": 1, "after": 2, "middle": 3}[at]:
        os._exit(9)
    return original(self, target)
Path.replace = replace
with file_sets.FileSet(sys.argv[1]) as files:
    for name in ("a", "b", "c"):
        files.path(name).write_text("new")
    files.remove("gone")
"""


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.parametrize(("at", "whole"), [("before", "old"), ("after", "new"), ("middle", "new")])
def test_a_process_killed_at_any_time_leaves_all_files_old_or_new(tmp_path: Path, at: str, whole: str) -> None:
    old = {"a": "old", "b": "old", "c": "old", "gone": "old"}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), at], check=False).returncode == 9
    recover(tmp_path)
    assert texts(tmp_path) == (old if whole == "old" else {"a": "new", "b": "new", "c": "new"})
    assert not list(tmp_path.glob(".new.*"))


def test_an_error_leaves_the_old_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(ValueError, match="stop"), FileSet(tmp_path) as files:
        files.path("a").write_text("new")
        raise ValueError("stop")
    assert texts(tmp_path) == {"a": "old"} and not list(tmp_path.glob(".new.*"))


def test_a_folder_in_the_way_is_told_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="b is a folder"), FileSet(tmp_path) as files:
        files.path("a").write_text("new")
        files.path("b").write_text("new")
    assert texts(tmp_path) == {"a": "old"}


def test_whoever_is_at_work_in_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    with FileSet(tmp_path) as first:
        first.path("sub/a").write_text("first")
        with FileSet(tmp_path) as second:
            second.path("b").write_text("second")
        assert first.path("sub/a").is_file()
    assert (tmp_path / "sub" / "a").read_text() == "first" and texts(tmp_path) == {"b": "second"}
