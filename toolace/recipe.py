"""Recipe: one YAML file that describes one experiment, with command-line overrides, as typed settings.

No key is ever ignored: an unknown one is an error that names the nearest known key. A recipe may extend another, so
that an ablation is a few lines.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import yaml

from toolace.errors import InputError
from toolace.typed import build, unknown_key, wrong_type

__all__ = [
    "SECTIONS",
    "Recipe",
    "build",
    "load_recipe",
    "parse_overrides",
    "recipe_of",
    "split_overrides",
    "unknown_key",
]

T = TypeVar("T")

# Top-level keys and who reads them. None: plain values that several stages read.
SECTIONS: Mapping[str, str | None] = {
    "name": None,
    "out": None,
    "seed": None,
    "accelerate_config": None,
    "model": "toolace_train.settings:ModelSettings",
    "lora": None,
    "quantization": None,
    "data": "toolace_train.settings:DataSettings",
    "train": None,
    "monitor": "toolace_train.run_settings:MonitorSettings",
    "generate": "data_gen.settings:GenerateSettings",
    "evaluate": "eval.settings:EvaluateSettings",
}
# Sections whose keys are the fields of a library's own class (LoraConfig, BitsAndBytesConfig, SFTConfig): they are
# checked where that library is loaded anyway.
LIBRARY_SECTIONS = ("lora", "quantization", "train")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with 1e-4 read as a number (YAML 1.2) and a key given twice refused."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor`
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key is a list or mapping", key_node.start_mark)
        if key in seen:
            text = f"the key {key!r} is given twice, first in line {seen[key]}"
            raise yaml.constructor.ConstructorError(None, None, text, key_node.start_mark)
        seen[key] = key_node.start_mark.line + 1
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe after `extends` and overrides.

    Attributes:
        path: the file it was read from.
        values: section name to its content.
        overrides: what the command line changed, pairs (dotted key, value as written).
    """

    path: Path
    values: Mapping[str, Any]
    overrides: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the experiment: the key `name`, else the file's name."""
        return str(self.values.get("name") or self.path.stem)

    @property
    def out(self) -> Path:
        """The run folder: the key `out`, else `runs/<name>`."""
        return Path(str(self.values.get("out") or Path("runs") / self.name))

    @property
    def seed(self) -> int:
        """The one seed of the experiment."""
        seed = self.values.get("seed", 42)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise InputError(f"seed is {seed!r}", where=self.path, fix="Give a whole number.")
        return seed

    def has(self, section: str) -> bool:
        """Whether the recipe has this section."""
        return section in self.values

    def mapping(self, section: str) -> dict[str, Any]:
        """A section as written, {} when missing."""
        value = self.values.get(section)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            fix = "Write key: value lines under it."
            raise InputError(f"{section} is a {type(value).__name__}", where=self.path, fix=fix)
        return dict(value)

    def settings(self, section: str, cls: type[T]) -> T:
        """A section as an instance of the dataclass `cls`; missing keys take its defaults."""
        return build(cls, self.mapping(section), f"{self.path}: {section}")

    def check(self) -> None:
        """Builds the settings of every section, so that a misspelt key is found before any work is done."""
        for key in ("name", "out", "accelerate_config"):
            value = self.values.get(key)
            if isinstance(value, (Mapping, list, bool)):
                raise wrong_type("text", value, f"{self.path}: {key}")
        _ = self.seed
        for section in LIBRARY_SECTIONS:
            self.mapping(section)
        for section, target in SECTIONS.items():
            if target and section in self.values:
                module, name = target.split(":")
                self.settings(section, getattr(import_module(module), name))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe and applies `--section.key value` overrides.

    Raises:
        InputError: missing file, YAML error (with line), unknown section, unknown key, value of the wrong type.
    """
    path = Path(path)
    return recipe_of(path, _read(path, ()), overrides)


def recipe_of(path: Path, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from its content; `path` is where messages say it stands.

    Raises:
        InputError: unknown section, unknown key, value of the wrong type.
    """
    values = _merge(values, parse_overrides(overrides))
    for section in values:
        if section not in SECTIONS:
            raise unknown_key(section, SECTIONS, str(path))
    recipe = Recipe(path, values, tuple(split_overrides(overrides)))
    recipe.check()
    return recipe


def _read(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in chain:
        raise InputError("extends itself", where=path, fix="Remove the circle of `extends`.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path, fix="Check the path.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=path, fix="Save it as UTF-8.") from None
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(f"is not valid YAML: {error.problem}", where=f"{path}:{line}", fix="Mend the line.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"is not valid YAML: {error}", where=path, fix="Mend the file.") from None
    if not isinstance(values, dict):
        raise InputError("holds no recipe", where=path, fix="Write `section:` lines; see recipes/ for examples.")
    values = {str(key): value for key, value in values.items() if key != "recipe"}
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if not isinstance(parent, str):
        raise InputError("extends is not a file name", where=path, fix="Write `extends: other.yaml`.")
    return _merge(_read(path.parent / parent, (*chain, path.resolve())), values)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` wins; mappings merge key by key, null takes a section out, everything else is replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if value is None and isinstance(old, Mapping):
            del merged[key]
            continue
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def split_overrides(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """`["--train.learning_rate", "5e-5", "--out=x"]` as pairs (dotted key, text). A flag without a value is true.

    Raises:
        InputError: a word that belongs to no flag.
    """
    pairs = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise InputError(f"unexpected argument {word!r}", fix="Overrides are written --section.key value.")
        name, equals, text = word[2:].partition("=")
        if not equals:
            text = words.pop(0) if words and not words[0].startswith("--") else "true"
        pairs.append((name, text))
    return pairs


def parse_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Overrides of the command line as a nested mapping, values read as YAML.

    Raises:
        InputError: a word that belongs to no flag, or a key set both as a value and as a section.
    """
    nested: dict[str, Any] = {}
    for name, text in split_overrides(arguments):
        place = nested
        *sections, key = name.split(".")
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"--{name} sets a key inside a value", fix="Set one or the other.")
        place[key] = _scalar(text, name)
    return nested


def _scalar(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        raise InputError(f"--{name} has a value that is no YAML: {text!r}", fix="Quote it.") from None
