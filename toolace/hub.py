"""Files of a folder to a repository of the Hugging Face hub, in one commit, with one clear line when that fails.

The token is read from the environment (HF_TOKEN) or from `hf auth login`, never from a recipe or the command line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolace.errors import InputError
from toolace.rows import sha256

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class HubFile:
    """A file of a plan: its path in the repository, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


def hub_files(folder: Path, paths: Sequence[Path]) -> list[HubFile]:
    """The plan for files of a folder."""
    return [HubFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256(path)) for path in paths]


def check_name(repo: str) -> None:
    """Refuses what the hub would refuse as a name.

    Raises:
        InputError: it is neither `name` nor `owner/name`.
    """
    if not _NAME.fullmatch(repo) or "--" in repo or ".." in repo:
        fix = "Write owner/name with letters, digits, dots, dashes and underscores."
        raise InputError(f"{repo!r} is no name of a repository", fix=fix)


def send(
    folder: Path,
    files: Sequence[HubFile],
    repo: str,
    *,
    kind: Literal["model", "dataset"],
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> dict[str, Any]:
    """Makes the repository when it is not there, and sends the files in one commit.

    Args:
        folder: where the files lie.
        files: the plan.
        repo: `name` or `owner/name`.
        kind: of the repository.
        private: whether a new repository is private.
        endpoint: address of the hub; the environment's (HF_ENDPOINT) or huggingface.co when None.
        token: of the account; the environment's when None.

    Returns:
        `{"repo", "url", "commit", "files", "bytes"}`.

    Raises:
        InputError: the name is none, or the hub refuses or cannot be reached.
    """
    check_name(repo)
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi(endpoint=endpoint, token=token)
    operations = [CommitOperationAdd(file.path, str(folder / file.path)) for file in files]
    try:
        url = api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
        commit = api.create_commit(url.repo_id, operations, commit_message=f"{len(files)} files", repo_type=kind)
    except LocalTokenNotFoundError:
        raise InputError("there is no token for the hub", fix="Run `hf auth login`, or set HF_TOKEN.") from None
    except OfflineModeIsEnabled:
        raise InputError("the hub may not be asked here", fix="Unset HF_HUB_OFFLINE.") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no"
        fix = "Check the token's rights (HF_TOKEN), the name, and the address (HF_ENDPOINT)."
        raise InputError(f"the hub refused with status {status} for {repo}", fix=fix) from None
    except Exception as error:
        # huggingface_hub lets its HTTP library's own errors through.
        outside = type(error).__module__.partition(".")[0] in ("httpx", "httpcore", "httpx2", "httpcore2")
        if not outside and not isinstance(error, OSError):
            raise
        fix = "Check the network and the address (HF_ENDPOINT)."
        raise InputError(f"the hub cannot be reached ({type(error).__name__})", fix=fix) from None
    size = sum(file.size for file in files)
    return {"repo": url.repo_id, "url": str(url), "commit": commit.oid, "files": len(files), "bytes": size}
