"""Files and addresses of strangers as plain values: JSON and YAML, with limits on size and time."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any

from data_gen.documents import safe_yaml
from toolace import InputError
from toolace.rows import strict_json


class LeftOut(InputError):
    """An operation or function that is no tool for a reason of its kind, such as being deprecated; these are counted.

    Attributes:
        reason: what holds for all that are counted together, "is deprecated".
        place: file, and the operation in it.
        number: how many this one stands for.
    """

    def __init__(self, reason: str, place: str, number: int = 1) -> None:
        super().__init__(f"is left out: {reason}", where=place, fix="Nothing to do if that is meant.")
        self.reason, self.place, self.number = reason, place, number


def told(problems: Iterable[InputError]) -> list[str]:
    """A line for each problem; what was left out for one reason is one line, with its number."""
    lines: list[str] = []
    groups: dict[str, list[LeftOut]] = {}
    for problem in problems:
        if isinstance(problem, LeftOut):
            groups.setdefault(problem.reason, []).append(problem)
        else:
            lines.append(str(problem))
    for reason, group in groups.items():
        number = sum(one.number for one in group)
        more = f"{number:,} operations or functions are left out: {reason}; the first is {group[0].place}"
        lines.append(str(group[0]) if number == 1 else more)
    return lines


# Takes what was wrong with one file or operation; the reader goes on with the next.
Report = Callable[[InputError], None]

# our choice: twice the largest public API description (Microsoft Graph beta, 47 MB) is nobody's document.
BYTES = 64 * 2**20
SECONDS = 60
_SCHEMES = ("http://", "https://")


def is_address(place: str | Path) -> bool:
    """Whether a place is an http(s) address rather than a path."""
    return isinstance(place, str) and place.lower().startswith(_SCHEMES)


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        InputError: it cannot be read, or has more than 64 MiB.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None
    except ValueError:  # a null byte in a reference
        raise InputError("is no path", where=repr(str(path)), fix="Check the path.") from None
    if len(raw) > BYTES:
        raise InputError(f"has more than {BYTES >> 20} MiB", where=path, fix="Split it into smaller documents.")
    return raw


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Redirects may lead to http and https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not is_address(newurl):
            raise urllib.error.URLError(f"it redirects to {newurl[:80]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(address: str, *, bytes_: int = BYTES, seconds: float = SECONDS) -> bytes:
    """What an http(s) address answers.

    Raises:
        InputError: no answer within the time, an error answer, or one that is too large.
    """
    fix = "Check the address, or download the file and name it."
    opener = urllib.request.build_opener(_SameScheme)
    end = monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    try:
        with opener.open(urllib.request.Request(address, headers={"User-Agent": "toolace"}), timeout=seconds) as answer:
            while block := answer.read1(1 << 16):
                parts.append(block)
                size += len(block)
                if size > bytes_:
                    raise InputError(f"answers more than {bytes_ >> 20} MiB", where=address, fix=fix)
                if monotonic() > end:
                    raise InputError(f"is not done after {seconds:g} seconds", where=address, fix=fix)
    except urllib.error.HTTPError as error:
        raise InputError(f"answers {error.code} {error.reason}", where=address, fix=fix) from None
    # http.client raises its own errors, and ValueError, on addresses and answers that are none.
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise InputError(f"cannot be reached ({getattr(error, 'reason', error)})", where=address, fix=fix) from None
    except Exception as error:
        raise InputError(f"does not answer as a web server does ({error})", where=address, fix=fix) from None
    return b"".join(parts)


def parse(raw: bytes, where: str) -> Any:
    """JSON or YAML as plain values.

    Raises:
        InputError: not UTF-8, or neither JSON nor YAML, or built to exhaust its reader.
    """
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        fix = "Save it as UTF-8."
        raise InputError(f"is not UTF-8 (byte {error.start})", where=where, fix=fix) from None
    problem = ""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return strict_json(text)
        except RecursionError:
            problem = "nested too deeply"
        except ValueError as error:
            problem = str(error)
    # What starts like JSON may be YAML in flow style; unless a file says it is JSON, that is tried too.
    if not problem or not where.lower().endswith(".json"):
        try:
            return safe_yaml.load(text)
        except safe_yaml.YamlProblem as error:
            problem = problem or str(error)
            if not text.lstrip().startswith(("{", "[")):
                fix = "Repair that line; a YAML checker shows it."
                raise InputError(f"is not YAML ({problem})", where=where, fix=fix) from None
    raise InputError(f"is not JSON ({problem})", where=where, fix="Repair it, or export it again.")
