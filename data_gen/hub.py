"""`toolace publish FOLDER --repo NAME`: a data set's folder as a repository of the Hugging Face hub.

Without --push nothing leaves the machine: the plan says what would be sent. The token is read from the environment
(HF_TOKEN) or from `hf auth login`, never from a recipe or the command line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data_gen.dataset_files import dataset_files
from toolace import InputError
from toolace.rows import read_rows, sha256

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class PublishedFile:
    """A file of the plan: its path in the repository, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


def plan(folder: str | Path) -> list[PublishedFile]:
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
    found = dataset_files(folder)
    return [PublishedFile(str(path.relative_to(folder)), path.stat().st_size, sha256(path)) for path in found]


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
    files = plan(folder)
    _check_name(repo)
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi(endpoint=endpoint, token=token)
    operations = [CommitOperationAdd(file.path, str(Path(folder) / file.path)) for file in files]
    try:
        url = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        message = f"Data set of {len(files)} files"
        commit = api.create_commit(url.repo_id, operations, commit_message=message, repo_type="dataset")
    except LocalTokenNotFoundError:
        raise InputError("there is no token for the hub", fix="Run `hf auth login`, or set HF_TOKEN.") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no"
        fix = "Check the token's rights (HF_TOKEN), the name, and the address (HF_ENDPOINT)."
        raise InputError(f"the hub refused with status {status} for {repo}", fix=fix) from None
    except OSError as error:
        fix = "Check the network and the address (HF_ENDPOINT)."
        raise InputError(f"the hub cannot be reached ({type(error).__name__})", fix=fix) from None
    except Exception as error:
        # huggingface_hub lets its HTTP library's own errors through.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpcore", "httpx2", "httpcore2"):
            raise
        fix = "Check the network and the address (HF_ENDPOINT)."
        raise InputError(f"the hub cannot be reached ({type(error).__name__})", fix=fix) from None
    return {
        "repo": url.repo_id,
        "url": str(url),
        "commit": commit.oid,
        "files": len(files),
        "bytes": sum(file.size for file in files),
    }


def _check_name(repo: str) -> None:
    if not _NAME.fullmatch(repo) or "--" in repo or ".." in repo:
        fix = "Write owner/name with letters, digits, dots, dashes and underscores."
        raise InputError(f"{repo!r} is no name of a repository", fix=fix)


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
    _check_name(options.repo)
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
