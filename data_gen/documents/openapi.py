"""OpenAPI 2.0, 3.0 and 3.1: the operations of an API description, one Document each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_gen.documents.document import Document
from data_gen.documents.licences import spdx
from data_gen.documents.loading import LeftOut, Report, parse, read_bytes
from data_gen.documents.naming import singular, snake, styled
from data_gen.documents.openapi_operation import METHODS, OperationReader, Unfit
from data_gen.documents.operation_names import distinct_name, operation_name
from data_gen.documents.plain_text import plain
from data_gen.documents.references import References
from data_gen.documents.services import Draw, every
from data_gen.documents.spelled_out import lengthened
from toolace import InputError

# our choice: schemas visited for one whole document, about a minute; the largest public one needs a third of it.
VISITS = 6_000_000
TEXT_CHARACTERS = 4_000
OTHER = "Other"


@dataclass(frozen=True)
class Publication:
    """What is known of a description from outside of it.

    Attributes:
        file: its name in the Documents' sources and in problems.
        source: further entries of the source: package, version, provider.
        service: short name that operations are called by, `service.operation`; "" for the operation alone.
        dotted: whether the service stands before every name, or only before short ones.
        category: primary domain; the description's own, else "Other", when "".
        licence: SPDX id; the description's own when "".
    """

    file: str
    source: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    dotted: bool = False
    category: str = ""
    licence: str = ""


def is_openapi(value: Any) -> bool:
    """Whether a parsed file is an OpenAPI or Swagger description."""
    return (
        isinstance(value, dict) and ("swagger" in value or "openapi" in value) and ("paths" in value or "info" in value)
    )


def read_file(path: Path, report: Report, *, folder: Path | None = None) -> Iterator[Document]:
    """Yields the operations of one file; what is wrong with it or with one of them goes to `report`."""
    try:
        value = parse(read_bytes(path), str(path))
    except InputError as error:
        report(error)
        return
    yield from read(value, Publication(str(path)), report, References(value, path, folder))


def read(
    root: Any,
    publication: Publication,
    report: Report,
    references: References | None = None,
    draw: Draw = every,
) -> Iterator[Document]:
    """Yields one Document for every operation that is not deprecated, in the order of the description.

    Args:
        root: the parsed description.
        publication: where it comes from.
        report: takes an InputError for the description or an operation that cannot be read; the others go on.
        references: how its `$ref`s are resolved; local ones only when None.
        draw: which of its operations are read.
    """
    if not is_openapi(root):
        fix = "An API description has `openapi` or `swagger`, `info` and `paths` at its top."
        report(InputError("is no OpenAPI description", where=publication.file, fix=fix))
        return
    if not isinstance(root.get("paths"), dict):
        if "paths" in root or "webhooks" not in root:
            fix = "Write them as an object of path: operations."
            report(InputError("has no paths", where=f"{publication.file} (#/paths)", fix=fix))
        return
    yield from _Description(root, publication, report, references or References(root)).documents(draw)


class _Description:
    """One description on its way to Documents."""

    def __init__(
        self, root: Mapping[str, Any], publication: Publication, report: Report, references: References
    ) -> None:
        self.root, self.publication, self.report = root, publication, report
        info = root.get("info") if isinstance(root.get("info"), dict) else {}
        self.info: Mapping[str, Any] = info or {}
        stated = self.info.get("title")
        self.title = " ".join(stated.split())[:100] if isinstance(stated, str) and stated.strip() else ""
        self.title = _readable(self.title) or Path(publication.file).stem
        self.operations = OperationReader(root, references)
        self.licence = publication.licence or spdx(self.info.get("license"))
        self.categories = _categories(self.info)
        self.category = publication.category or (self.categories[0] if self.categories else OTHER)
        version = self.info.get("version")
        self.source = {
            "package": "", "version": str(version)[:40] if isinstance(version, (str, int, float)) else "",
            "file": publication.file, **publication.source,
        }  # fmt: skip
        if self.categories:
            self.source["category"] = ", ".join(self.categories)
        self.taken: set[str] = set()
        self.same: Counter[str] = Counter()
        self.left_out: dict[str, LeftOut] = {}

    def documents(self, draw: Draw) -> Iterator[Document]:
        left = VISITS
        known = list(self._operations())
        for number in draw(self.source.get("provider", ""), self.title, len(known)):
            method, path, item, operation = known[number]
            place = f"{self.publication.file} ({method.upper()} {path[:200]})"
            try:
                document = self._document(method, path, item, operation)
            except Unfit as unfit:
                self._leave_out(str(unfit), place)
                continue
            except InputError as error:
                self._tell(error, place)
                continue
            except RecursionError:
                self._tell(InputError("its schemas are nested too deeply", fix="Simplify them."), place)
                continue
            finally:
                left -= self.operations.spent
            self._tell_contradictions(place)
            if document is not None:
                yield document
            if left < 0:
                fix = "Split the description, or let its schemas refer to each other less."
                self.report(InputError("its schemas are too large; what follows is not read", where=place, fix=fix))
                break
        for one in self.left_out.values():
            self.report(one)
        for what, count in self.same.items():
            if count > 1:
                more = f"{count - 1} more operations cannot be read for the same reason: {what}"
                self.report(InputError(more, where=self.publication.file, fix="Repair that part."))

    def _tell(self, error: InputError, place: str) -> None:
        """The first operation that a defect hits is told; the others are counted."""
        self.same[error.what] += 1
        if self.same[error.what] == 1:
            self.report(InputError(error.what, where=place, fix=error.fix))

    def _tell_contradictions(self, place: str) -> None:
        """Bounds that no value meets: the operation is read without them."""
        found = self.operations.schemas.contradictions
        for what in found:
            self.report(InputError(f"{what}; both are left out", where=place, fix="Write the lower bound first."))
        found.clear()

    def _leave_out(self, reason: str, place: str) -> None:
        """Counts an operation that is no tool; the first one of each reason is named."""
        known = self.left_out.setdefault(reason, LeftOut(reason, place, 0))
        known.number += 1

    def _operations(self) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
        """(method, path, path item, operation) of everything that may be called."""
        for path, item in self.root["paths"].items():
            path = str(path)
            if path.startswith("x-"):
                continue
            try:
                if isinstance(item, dict) and "$ref" in item:
                    followed = self.operations.follow(item)
                    item = {**followed, **item} if isinstance(followed, dict) else followed
                if not isinstance(item, dict):
                    fix = "Write it as an object of method: operation."
                    raise InputError(f"a path is a {type(item).__name__}, not an object", fix=fix)
            except InputError as error:
                self._tell(error, f"{self.publication.file} ({path[:200]})")
                continue
            for method in METHODS:
                if method not in item:
                    continue
                operation = item[method]
                if isinstance(operation, dict):
                    if operation.get("deprecated") is not True:
                        yield method, path, item, operation
                    else:
                        place = f"{self.publication.file} ({method.upper()} {path[:200]})"
                        self._leave_out("it is deprecated", place)
                else:
                    what = f"an operation is a {type(operation).__name__}, not an object"
                    place = f"{self.publication.file} ({method.upper()} {path[:200]})"
                    self._tell(InputError(what, fix="Write it as an object."), place)

    def _document(
        self, method: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> Document | None:
        tag = _tag(operation)
        said = _said(operation)
        name = operation_name(operation.get("operationId"), method, path)
        read = self.operations.read(method, path, item, operation)
        name = distinct_name(name, method, path, tag, self.taken)
        self.taken.add(name)
        description, by_name = lengthened(read.description, name, self.title), list(read.described_by_name)
        if not description and isinstance(operation.get("operationId"), str):
            description = f"{name.replace('_', ' ').capitalize()} ({self.title})."
            by_name.insert(0, "the operation")
        shown = (
            styled(self.publication.service, name, dotted=self.publication.dotted) if self.publication.service else name
        )
        structure = {"name": shown, "description": description, "parameters": read.parameters, "returns": read.returns}
        noun = tag or singular(name.partition("_")[2]).replace("_", " ")
        domain = (self.category, self.title)
        source = {**self.source, "operation": f"{method.upper()} {path}"}
        if tag:
            source["tag"] = tag
        if by_name:
            # Their descriptions only spell their names out, so that whoever wants better ones can find them.
            source["described_by_name"] = ", ".join(by_name)
        text = plain(said[:TEXT_CHARACTERS]) or description
        return Document(
            self._id(name), self.title, text, (*domain, noun) if noun else domain, structure, source, self.licence
        )

    def _id(self, name: str) -> str:
        service = self.publication.service or snake(self.title) or "api"
        provider = self.publication.source.get("provider", "")
        return f"openapi:{provider}{'/' if provider else ''}{service}:{name}"


def _readable(title: str) -> str:
    """The title, without what a generator put before the name: "OData Service for namespace microsoft.graph"."""
    generated = re.fullmatch(r"OData Service for namespace ([\w.]+)", title)
    return " ".join(word[:1].upper() + word[1:] for word in generated[1].split(".")) if generated else title


def _categories(info: Mapping[str, Any]) -> list[str]:
    """APIs.guru's categories as words; one published description holds the text "security" where a list belongs."""
    stated = info.get("x-apisguru-categories")
    listed = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    if len(listed) > 3 and all(isinstance(entry, str) and len(entry) == 1 for entry in listed):
        listed = ["".join(listed)]
    words = [entry.replace("_", " ").strip() for entry in listed if isinstance(entry, str) and len(entry) > 1]
    return [entry[:1].upper() + entry[1:] for entry in dict.fromkeys(words)]


def _tag(operation: Mapping[str, Any]) -> str:
    tags = operation.get("tags")
    first = next((tag for tag in tags if isinstance(tag, str)), "") if isinstance(tags, list) else ""
    return " ".join(first.split())[:80]


def _said(operation: Mapping[str, Any]) -> str:
    texts = [operation.get("summary"), operation.get("description")]
    return "\n\n".join(text.strip() for text in texts if isinstance(text, str) and text.strip())
