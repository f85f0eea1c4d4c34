"""Python functions with docstrings (numpydoc, Google or Sphinx style), read from source alone.

Of an installed package, functions count whose docstring describes every parameter. Of a user's own files, methods count
too, and a parameter that is not described is described by its name. What is left out is counted with its reason.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data_gen.documents.docstring_types import Schema, type_of_annotation, type_of_text
from data_gen.documents.document import Document
from data_gen.documents.licences import spdx
from data_gen.documents.loading import LeftOut, Report, read_bytes
from data_gen.documents.naming import snake
from data_gen.documents.openapi_schema import parameter_name
from data_gen.documents.plain_text import PARAMETER_CHARACTERS, TOOL_CHARACTERS, opening, plain
from data_gen.documents.spelled_out import parameter_text
from toolace import InputError

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Packages whose functions take and give what JSON can hold, with what they are about.
DOMAINS: Mapping[str, str] = {
    "numpy": "Mathematics", "scipy": "Mathematics", "sympy": "Mathematics", "networkx": "Mathematics",
    "sklearn": "Statistics and machine learning", "statsmodels": "Statistics and machine learning",
    "pandas": "Data analysis", "numpy_financial": "Finance", "pvlib": "Energy", "metpy": "Weather", "librosa": "Music",
    "skimage": "Images", "astropy": "Astronomy", "shapely": "Geometry",
}  # fmt: skip
OTHER = "Python"
# Parameters of computing, not of the question.
_IGNORED = frozenset(
    ("self", "cls", "out", "where", "dtype", "n_jobs", "verbose", "subok", "ax", "axes", "copy", "like", "casting",
     "random_state", "rng", "backend", "check_finite", "overwrite_a", "overwrite_b", "overwrite_x", "workers", "xp")
)  # fmt: skip
_SKIPPED = re.compile(
    r"tests?|testing|benchmarks?|examples?|conftest|setup|externals?|_?vendor\w*|_?vendored|_build_utils|doc"
)
# Folders of an installed package that serve the package itself.
_INNER = re.compile(r"_lib|utils|utilities|compat|_?backends?|_compat|_testing|plotting|distutils|f2py")
# Notes, footnotes and roles of reStructuredText.
_DIRECTIVE = re.compile(r"^[ \t]*\.\. \w[\w-]*::.*(?:\n[ \t]+\S.*)*", re.MULTILINE)
_FOOTNOTE = re.compile(r" ?\[\w+\]_|:[\w:]+:(?=`)")
_IDLE_MODULES = frozenset(("core", "lib", "utils", "base", "src", "io", "common", "legacy"))
_NUMPY = re.compile(r"^(\w[\w ]*)\n[-=]{3,}[ ]*$", re.MULTILINE)
_GOOGLE = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns|Yields|Raises|Examples?|Notes?|Attributes):[ ]*$", re.M
)
_SPHINX = re.compile(r"^[ \t]*:(\w+)((?:[ \t]+[\w*\[\], .|]+)?):", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+(?: ?, ?\*{0,2}\w+)*)[ ]*:[ ]*(.*)$|^(\w+)$")
_GOOGLE_ENTRY = re.compile(r"^\s*\*{0,2}(\w+)[ ]*(?:\((.*?)\))?[ ]*:[ ]*(.*)$")
_WITHDRAWN = re.compile(r"deprecated", re.IGNORECASE)


def read_packages(names: Sequence[str] | None, report: Report) -> Iterator[Document]:
    """Yields the functions of installed packages by their import names; those of DOMAINS that are there when None.

    Raises:
        InputError: a package that was named is not installed.
    """
    for name in DOMAINS if names is None else names:
        spec = find_spec(name) if name.isidentifier() else None
        places = list(spec.submodule_search_locations or ()) if spec else []
        if places:
            yield from read_folder(Path(places[0]), report, package=name)
        elif names is not None:
            raise InputError(f"the package {name!r} is not installed", fix=f"Install it: pip install {name}.")


def read_folder(folder: Path, report: Report, *, package: str = "") -> Iterator[Document]:
    """Yields the functions of every Python file of a folder, tests and private modules' private functions left out."""
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder)
        if package and any(_INNER.fullmatch(part) for part in inner.parts[:-1]):
            continue
        if not any(_SKIPPED.fullmatch(part.removesuffix(".py")) or part.startswith("test_") for part in inner.parts):
            yield from read_file(path, report, package=package, inner=inner)


def read_file(path: Path, report: Report, *, package: str = "", inner: Path | None = None) -> Iterator[Document]:
    """Yields the public functions of one file; a file that is no Python goes to `report`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strangers' escapes
            tree = ast.parse(read_bytes(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = f"is no Python that can be read ({type(error).__name__}{line})"
        report(InputError(what, where=path, fix="Repair it, or leave it out."))
        return
    except InputError as error:
        report(error)
        return
    place = _Place(package, inner or Path(path.name), path)
    exported = _exported(tree)
    for owner, node in _public(tree, exported, methods=not package):
        try:
            yield place.document(node, owner)
        except _Unfit as unfit:
            report(LeftOut(str(unfit), f"{path} (line {node.lineno}, {node.name})"))


class _Unfit(Exception):
    """The function is no tool; the text says why."""


def _public(tree: ast.Module, exported: set[str] | None, *, methods: bool) -> Iterator[tuple[str, Function]]:
    """(class or "", function) of everything public; methods of public classes only when they are asked for."""
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if exported is not None and node.name not in exported:
            continue
        if not isinstance(node, ast.ClassDef):
            yield "", node
        elif methods:
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and not inner.name.startswith("_"):
                    yield node.name, inner


def _exported(tree: ast.Module) -> set[str] | None:
    """The names in `__all__`, None when a module has none that can be read."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            listed = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else []
            names = {
                entry.value for entry in listed if isinstance(entry, ast.Constant) and isinstance(entry.value, str)
            }
            return names or None
    return None


class _Place:
    """A module that functions are read from."""

    def __init__(self, package: str, inner: Path, path: Path) -> None:
        self.package = package
        self.version, self.licence = _facts(package) if package else ("", "")
        modules = [part.removesuffix(".py") for part in inner.parts if part != "__init__.py"]
        public = [part for part in modules[: 1 if package else None] if not part.startswith("_")]
        self.prefix = [package] if package else []
        self.prefix += [part for part in public if part not in _IDLE_MODULES and part.isidentifier()]
        self.title = ".".join(self.prefix) or path.stem
        self.file = f"{package}/{inner.as_posix()}" if package else str(path)

    def document(self, node: Function, owner: str = "") -> Document:
        """The function, or the method of the class `owner`.

        Raises:
            _Unfit: it has no docstring, or takes what JSON cannot hold or what nobody describes.
        """
        text = ast.get_docstring(node, clean=False)
        if not text or len(text) > 100_000:
            raise _Unfit("it has no docstring" if not text else "its docstring has more than 100,000 characters")
        if node.args.vararg:
            raise _Unfit("it takes any number of arguments (*args)")
        text = _FOOTNOTE.sub("", _DIRECTIVE.sub("", inspect.cleandoc(text)))
        said, described, returned = parse_docstring(text)
        if not said:
            raise _Unfit("its docstring does not say what it does")
        if _WITHDRAWN.search(said[:300]):
            raise _Unfit("it is deprecated")
        parameters, by_name = _parameters(node, described, own=not self.package)
        name = ".".join([*self.prefix, *([snake(owner)] if owner else []), node.name])
        returns = type_of_annotation(node.returns) or (type_of_text(returned) if returned else None)
        structure = {
            "name": name,
            "description": opening(said, TOOL_CHARACTERS),
            "parameters": parameters,
            "returns": returns,
        }
        source = {"package": self.package, "version": self.version, "file": self.file, "operation": node.name}
        if by_name:
            source["described_by_name"] = ", ".join(by_name)
        path = (DOMAINS.get(self.package, OTHER), self.title, node.name.replace("_", " "))
        return Document(f"python:{name}", self.title, plain(said), path, structure, source, self.licence)


@cache
def _facts(package: str) -> tuple[str, str]:
    """(version, SPDX licence) of an installed package."""
    try:
        installed = distribution((packages_distributions().get(package) or [package])[0])
    except PackageNotFoundError:
        return "", ""
    facts: Any = installed.metadata  # an email message, of which not every version says so
    stated = facts.get("License-Expression") or facts.get("License") or ""
    classifiers = facts.get_all("Classifier") or []
    named = [line.rpartition("::")[2].strip() for line in classifiers if line.startswith("License ::")]
    first = stated.split("\n")[0]
    guess = "BSD-3-Clause" if "Neither the name" in stated else spdx(first)
    return installed.version, guess if len(guess) <= 20 and guess else spdx(named[0]) if named else guess


def parse_docstring(text: str) -> tuple[str, dict[str, tuple[str, str]], str]:
    """(what stands before the sections, name to (type, description), type of the result) of a docstring."""
    if _NUMPY.search(text):
        parts = _split(text, _NUMPY)
        entries = _numpy_entries("\n".join(body for name, body in parts if name in ("Parameters", "Other Parameters")))
        returned = next((body for name, body in parts if name == "Returns"), "")
        result = _numpy_entries(returned)
        first = returned.strip().split("\n")[0] if returned.strip() else ""
        return parts[0][1].strip(), entries, next(iter(result.values()))[0] or first if result else first
    if _SPHINX.search(text):
        return _sphinx(text)
    parts = _split(text, _GOOGLE)
    entries = _google_entries("\n".join(body for name, body in parts if name.startswith(("Arg", "Param"))))
    returned = next((body for name, body in parts if name == "Returns"), "").strip()
    return parts[0][1].strip(), entries, returned.partition(":")[0] if ":" in returned.split("\n")[0] else ""


def _split(text: str, heading: re.Pattern[str]) -> list[tuple[str, str]]:
    found = list(heading.finditer(text))
    parts = [("", text[: found[0].start()] if found else text)]
    ends = [*(match.start() for match in found[1:]), *([len(text)] if found else [])]
    return parts + [(match[1].strip(), text[match.end() : end]) for match, end in zip(found, ends, strict=True)]


def _sphinx(text: str) -> tuple[str, dict[str, tuple[str, str]], str]:
    """`parse_docstring` for fields: `:param int x: what it is`, `:type x: int`, `:rtype: float`."""
    found = list(_SPHINX.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    kinds: dict[str, str] = {}
    texts: dict[str, str] = {}
    returned = ""
    for match, end in zip(found, ends, strict=True):
        field, argument, body = match[1], match[2].split(), " ".join(text[match.end() : end].split())
        if field in ("param", "parameter", "arg", "argument", "key", "keyword") and argument:
            texts[argument[-1].lstrip("*")] = body
            if len(argument) > 1:
                kinds[argument[-1].lstrip("*")] = " ".join(argument[:-1])
        elif field == "type" and argument:
            kinds[argument[0]] = body
        elif field == "rtype":
            returned = body
    return text[: found[0].start()].strip(), {n: (kinds.get(n, ""), said) for n, said in texts.items()}, returned


def _numpy_entries(body: str) -> dict[str, tuple[str, str]]:
    entries: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    kind = ""
    lines: list[str] = []
    for line in [*body.split("\n"), "end : "]:
        match = _ENTRY.match(line) if line[:1].strip() else None
        if match:
            for name in names:
                entries.setdefault(name, (kind, inspect.cleandoc("\n".join(["", *lines]))))
            names = [name.strip(" *") for name in (match[1] or match[3]).split(",")]
            kind, lines = match[2] or "", []
        else:
            lines.append(line)
    return entries


def _google_entries(body: str) -> dict[str, tuple[str, str]]:
    entries: dict[str, tuple[str, list[str]]] = {}
    margin: int | None = None
    current: list[str] = []
    for line in body.split("\n"):
        indent = len(line) - len(line.lstrip())
        match = _GOOGLE_ENTRY.match(line) if line.strip() and (margin is None or indent == margin) else None
        if match:
            margin = indent
            current = [match[3]]
            entries.setdefault(match[1], (match[2] or "", current))
        else:
            current.append(line.strip())
    return {name: (kind, "\n".join(lines).strip()) for name, (kind, lines) in entries.items()}


def _parameters(
    node: Function, described: Mapping[str, tuple[str, str]], *, own: bool
) -> tuple[dict[str, Any], list[str]]:
    """The parameter schema, and which parameters their names describe: that is done for a user's `own` files alone.

    Raises:
        _Unfit: one is not described, or a required one is nothing that JSON can hold.
    """
    properties: Schema = {}
    required: list[str] = []
    by_name: list[str] = []
    for argument, default in _arguments(node):
        if argument.arg in _IGNORED or argument.arg.startswith("_"):
            continue
        kind, text = described.get(argument.arg, ("", ""))
        said = opening(text, PARAMETER_CHARACTERS)
        if not said and not own:
            raise _Unfit("a parameter is not described")
        schema = type_of_text(kind) or type_of_annotation(argument.annotation)
        if schema is None:
            if default is None:
                raise _Unfit("a required parameter has no type that JSON can hold")
            continue
        if not said:
            said = parameter_text(argument.arg, schema, "")
            by_name.append(argument.arg)
        if not said:
            raise _Unfit("a parameter is not described, and its name says nothing")
        name = parameter_name(argument.arg, properties)
        properties[name] = {**schema, **_default(default, schema), "description": said}
        if default is None:
            required.append(name)
    if not properties and not own:
        raise _Unfit("it takes nothing that a request could give")
    parameters: Schema = {"type": "object", "properties": properties}
    return ({**parameters, "required": required} if required else parameters), by_name


def _arguments(node: Function) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
    yield from zip(positional, defaults, strict=True)
    yield from zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)


def _default(node: ast.expr | None, schema: Schema) -> Schema:
    """A literal default that fits the type."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number: Any = node.operand.value
        value: Any = -number if type(number) in (int, float) else None
    else:
        value = node.value if isinstance(node, ast.Constant) else None
    names: dict[type, tuple[str, ...]] = {
        bool: ("boolean",), int: ("integer", "number"), float: ("number",), str: ("string",)
    }  # fmt: skip
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not set(names.get(type(value), ())) & set(kinds) or ("enum" in schema and value not in schema["enum"]):
        return {}
    if type(value) is float and value in (float("inf"), float("-inf")):
        return {}
    return {"default": value} if value != "" else {}
