"""`$ref`: JSON pointers into a document and files beside it, never out of the folder and never over the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from data_gen.documents.loading import parse, read_bytes
from toolace import InputError

# our choice: a chain of references this long serves nobody.
CHAIN = 50
# our choice: more files than any published API description has, few enough to be read in a minute.
FILES = 2_000


class References:
    """The documents that a root document refers to, itself included.

    Args:
        root: its parsed value.
        path: its file; None when it has none (an address, a member of an archive): then only local references resolve.
        folder: references to files outside are refused; the folder of `path` when None.
    """

    def __init__(self, root: Any, path: Path | None = None, folder: Path | None = None) -> None:
        self.path = path.resolve() if path else None
        self.folder = (folder or path.parent).resolve() if path else None
        self.base = str(self.path) if self.path else ""
        self._documents: dict[str, Any] = {self.base: root}
        self._found: dict[tuple[str, str], tuple[Any, str, str]] = {}

    @property
    def files(self) -> set[Path]:
        """The files read so far, the root's own left out."""
        return {Path(name) for name in self._documents if name and name != self.base}

    def follow(self, reference: Any, base: str) -> tuple[Any, str, str]:
        """The value a reference stands for, the document it is in, and a key that is the same for the same value.

        Args:
            reference: the text of `$ref`.
            base: the document in which it is written; "" or the path of a file.

        Raises:
            InputError: it leads nowhere, out of the folder, to the network, in a circle, or over too many others.
        """
        if not isinstance(reference, str):
            raise InputError(f"$ref is a {type(reference).__name__}, not a text", fix="Write it as '#/path/to/part'.")
        if (base, reference) in self._found:
            return self._found[base, reference]
        value, place, key = self._one(reference, base)
        seen: set[str] = set()
        while key not in seen and len(seen) < CHAIN:
            seen.add(key)
            if not (isinstance(value, dict) and isinstance(value.get("$ref"), str) and len(value) == 1):
                self._found[base, reference] = (value, place, key)
                return value, place, key
            value, place, key = self._one(value["$ref"], place)
        what = "leads in a circle" if key in seen else f"is followed by more than {CHAIN} others"
        raise InputError(f"$ref {reference[:120]!r} {what}", fix="Let it end in a definition.")

    def _one(self, reference: str, base: str) -> tuple[Any, str, str]:
        file, _, pointer = reference.partition("#")
        place = self._file(file, base, reference) if file else base
        value = self._documents[place]
        for part in filter(None, unquote(pointer).split("/")) if pointer.startswith("/") or not pointer else ():
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(value):
                value = value[int(part[:9])]
            else:
                raise _unresolved(reference, f"there is no {part!r}")
        if pointer and not pointer.startswith("/"):
            raise _unresolved(reference, "it is no JSON pointer")
        return value, place, f"{place}#{pointer}"

    def _file(self, file: str, base: str, reference: str) -> str:
        fix = "Put all files of the API description into one folder, or bundle them into one file."
        if "://" in file or file.startswith("//"):
            raise InputError(f"$ref {reference[:120]!r} leads to the network, which is not asked", fix=fix)
        if not base or self.folder is None:
            raise InputError(f"$ref {reference[:120]!r} leads to another file, and this one stands alone", fix=fix)
        try:
            path = (Path(base).parent / unquote(file)).resolve()
        except (OSError, ValueError, RuntimeError):
            raise _unresolved(reference, "it is no path") from None
        if not path.is_relative_to(self.folder):
            raise InputError(f"$ref {reference[:120]!r} leads out of the folder {self.folder.name!r}", fix=fix)
        if str(path) not in self._documents:
            if len(self._documents) >= FILES:
                raise InputError(f"it refers to more than {FILES} files", fix=fix)
            if not path.is_file():
                raise _unresolved(reference, "there is no such file")
            self._documents[str(path)] = parse(read_bytes(path), str(path))
        return str(path)


def _unresolved(reference: str, why: str) -> InputError:
    return InputError(f"$ref {reference[:120]!r} is not resolved: {why}", fix="Add what it names, or correct it.")
