"""`toolace publish FOLDER --repo NAME`: a data set's folder as a repository of the Hugging Face hub.

Without --push nothing leaves the machine: the plan says what would be sent. The token is read from the environment
(HF_TOKEN) or from `hf auth login`, never from a recipe or the command line.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from data_gen.dataset_files import dataset_files
from toolace import InputError
from toolace.hub import HubFile, check_name, hub_files, send
from toolace.rows import read_rows


def plan(folder: str | Path) -> list[HubFile]:
    """What would be published of a data set's folder: the card, the splits, the Parquet files, the ledger.

    Raises:
        InputError: the folder is no data set, or a file that its card names is not there, cannot be read, or holds
            another number of rows than it says.
    """
    folder = Path(folder)
    if not (folder / "README.md").is_file() or not (folder / "train.jsonl").is_file():
        fix = "Give a folder that toolace generate or toolace dataset has written."
        raise InputError("holds no README.md and train.jsonl", where=folder, fix=fix)
    for path, told in _card_files(folder / "README.md"):
        _check_file(folder, path, told)
    return hub_files(folder, dataset_files(folder))


_AGAIN = "Make the data set again."


def _card_files(card: Path) -> list[tuple[str, int]]:
    """(path, rows) of the data files that the card's header names, and of the splits' JSON Lines."""
    text = card.read_text(encoding="utf-8")
    parts = text.split("---\n")
    try:
        header = yaml.safe_load(parts[1]) if len(parts) > 2 and not parts[0] else {}
        rows = {
            (info["config_name"], split["name"]): int(split["num_examples"])
            for info in header.get("dataset_info", [])
            for split in info["splits"]
        }
        found = [
            (str(item["path"]), rows[(config["config_name"], item["split"])])
            for config in header.get("configs", [])
            for item in config["data_files"]
        ]
        lines = {f"{split}.jsonl": count for (_, split), count in rows.items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        raise InputError("has a header that cannot be read", where=card, fix=_AGAIN) from None
    return [*found, *((path, count) for path, count in lines.items() if path not in dict(found))]


def _check_file(folder: Path, path: str, told: int) -> None:
    """What is published can be read, and holds as many rows as its card says."""
    file = folder / path
    if not file.is_file():
        raise InputError(f"names {path}, which is not there", where=folder / "README.md", fix=_AGAIN)
    rows = _parquet_rows(file) if file.suffix == ".parquet" else sum(1 for _ in read_rows(file))
    if rows != told:
        raise InputError(f"holds {rows} rows, and the card says {told}", where=file, fix=_AGAIN)


def _parquet_rows(file: Path) -> int:
    """How many rows a Parquet file holds; every page of it is read, so that one cut short is found."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            return sum(batch.num_rows for batch in table.iter_batches())
    except (pa.ArrowException, OSError) as error:
        problem = " ".join(str(error).split())[:200]
        raise InputError(f"is no Parquet file that can be read ({problem})", where=file, fix=_AGAIN) from None


def publish(
    folder: str | Path, repo: str, *, private: bool = True, endpoint: str | None = None, token: str | None = None
) -> dict[str, Any]:
    """Makes the repository when it is not there, and sends the files in one commit.

    Args:
        folder: of the data set.
        repo: `name` or `owner/name`.
        private: whether a new repository is private.
        endpoint: address of the hub; the environment's (HF_ENDPOINT) or huggingface.co when None.
        token: of the account; the environment's when None.

    Returns:
        `{"repo", "url", "commit", "files", "bytes"}`.

    Raises:
        InputError: the folder is no data set, the name is none, or the hub refuses or cannot be reached.
    """
    check_name(repo)
    files = plan(folder)
    return send(Path(folder), files, repo, kind="dataset", private=private, endpoint=endpoint, token=token)


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace publish`."""
    result = argparse.ArgumentParser(
        prog="toolace publish",
        description="Publishes a data set on the Hugging Face hub; without --push it says what would be sent.",
        epilog="example: toolace publish runs/toolace8b --repo me/my-dialogs",
    )
    result.add_argument("folder", type=Path, metavar="FOLDER", help="folder of a data set")
    result.add_argument("--repo", required=True, metavar="NAME", help="name or owner/name on the hub")
    result.add_argument(
        "--push", action="store_true", help="send it; the token is taken from HF_TOKEN or `hf auth login`"
    )
    result.add_argument("--public", action="store_true", help="a new repository is public")
    result.add_argument("--json", action="store_true", help="print one JSON object")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0.

    Raises:
        InputError: see `publish`.
    """
    options = parser().parse_args(argv)
    check_name(options.repo)
    if options.push:
        token = os.environ.get("HF_TOKEN") or None
        done = publish(options.folder, options.repo, private=not options.public, token=token)
        print(json.dumps(done) if options.json else f"{done['files']} files, {done['bytes']} bytes: {done['url']}")
        return 0
    files = plan(options.folder)
    if options.json:
        listed = [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in files]
        print(json.dumps({"repo": options.repo, "pushed": False, "files": listed}))
        return 0
    print(f"would be sent to {options.repo} ({'public' if options.public else 'private'} if new):")
    print("\n".join(f"  {file.size:>12} {file.sha256[:12]}  {file.path}" for file in files))
    print("nothing was sent; --push sends it")
    return 0
