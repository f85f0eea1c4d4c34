"""The taxonomy of topics: 30 primary domains of 13 sub-domains each, with the vocabulary that APIs on them are made of.

One YAML file a primary domain, written for this project. A sub-domain says by which words its documents are known,
which terms its APIs speak of, which things (entities) they work on, and at least eight functions, the leaves of the
tree:

    - name: Recipes
      words: [recipe, cooking, ingredient]
      terms:
        cuisine: italian|thai|mexican; cuisine the recipe belongs to
        servings: integer 1..24; number of servings
      entities:
        recipe: title, cuisine, servings, score* | search, create:add, rate
      functions:
        - scale_recipe(recipe_id, servings, unit_system?) -> ingredients | Scales a recipe.

`recipe_id` and the like need no term: every entity has an identifier. A field with a star is computed by the service:
it can be asked for and searched by, never set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from data_gen.tool_synthesis.actions import ACTIONS, Action
from data_gen.tool_synthesis.kinds import Schema, schema_of
from toolace import InputError

FOLDER = Path(__file__).parent / "taxonomy"
# our choice: 390 x 8 functions are the 3,000 functionalities of a context tree like the paper's (3,398 in its v1).
FUNCTIONS = 8
WORDS = 8

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_FUNCTION = re.compile(r"([a-z][a-z0-9_]*)\(([^()]*)\) -> ([a-z0-9_, ]+) \| ([A-Z].+[.])", re.DOTALL)
_THIRD_PERSON = re.compile(r"[A-Z][a-z-]*s\b")


@dataclass(frozen=True)
class Term:
    """One parameter or result field.

    Attributes:
        name: as it is written in a call.
        kind: see `data_gen.tool_synthesis.kinds`.
        about: a noun phrase, or "whether ..." for booleans; no article, no full stop.
        examples: values that a description may name.
    """

    name: str
    kind: str
    about: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entity:
    """A thing that APIs of a sub-domain work on.

    Attributes:
        name: singular, snake case.
        plural: its plural.
        has: names of the terms that describe it; the first one is what people call it by.
        computed: those of them that the service works out and nobody sets.
        can: what can be done with it: action -> the verb it is called there, `create` -> "book".
    """

    name: str
    plural: str
    has: tuple[str, ...]
    computed: frozenset[str]
    can: Mapping[str, str]


@dataclass(frozen=True)
class Function:
    """One functionality, a leaf of the tree.

    Attributes:
        name: as a tool would be called.
        needs: required parameters.
        may: optional ones.
        gives: fields of the result.
        about: one sentence in the third person.
    """

    name: str
    needs: tuple[str, ...]
    may: tuple[str, ...]
    gives: tuple[str, ...]
    about: str

    @property
    def title(self) -> str:
        """Its name on the tree."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class SubDomain:
    """One of the 390 topics, with its vocabulary."""

    name: str
    primary: str
    cloud: bool
    words: tuple[str, ...]
    terms: Mapping[str, Term]
    entities: Mapping[str, Entity]
    functions: tuple[Function, ...]
    _schemas: dict[str, Schema] = field(default_factory=dict, repr=False, compare=False)

    def schema(self, name: str) -> Schema:
        """JSON Schema of a term or of an entity's identifier, without its description."""
        if name not in self._schemas:
            self._schemas[name] = self._schema(name)
        return self._schemas[name]

    def _schema(self, name: str) -> Schema:
        if name in self.terms:
            return schema_of(self.terms[name].kind, self.object_of)
        return {"type": "string", "pattern": f"^{self.codes[self.entity_of(name).name]}-[0-9]{{5}}$"}

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """Entity -> the letters before its numbers, no two entities of the topic with the same ones."""
        found: dict[str, str] = {}
        for name in self.entities:
            code, letters = code_of(name), name.replace("_", "").upper()[1:]
            while code in found.values():
                code, letters = code[:2] + (letters[:1] or "X"), letters[1:] + "Z"
            found[name] = code
        return found

    def object_of(self, name: str) -> Schema | None:
        """The object schema of an entity, its fields described; None when there is no such entity."""
        entity = self.entities.get(name)
        if entity is None:
            return None
        properties = {term: self.described(term) for term in entity.has if term not in entity.computed}
        return {"type": "object", "properties": properties, "required": [entity.has[0]]}

    def described(self, name: str) -> Schema:
        """JSON Schema of a term with a short description."""
        return {**self.schema(name), "description": self.about(name)}

    def about(self, name: str) -> str:
        """The bare description of a term: a noun phrase."""
        if name in self.terms:
            return self.terms[name].about
        return f"identifier of the {self.entity_of(name).name.replace('_', ' ')}"

    def entity_of(self, id_name: str) -> Entity:
        """The entity that `recipe_id` identifies.

        Raises:
            InputError: there is none.
        """
        entity = self.entities.get(id_name.removesuffix("_id"))
        if entity is None or not id_name.endswith("_id"):
            fix = "Write it under terms, or name an entity's identifier."
            raise InputError(f"{self.name}: unknown term {id_name!r}", fix=fix)
        return entity

    @cached_property
    def actions(self) -> list[tuple[Entity, Action, str]]:
        """Every (entity, action, verb) that the entities allow."""
        return [
            (entity, ACTIONS[action], verb) for entity in self.entities.values() for action, verb in entity.can.items()
        ]


def code_of(name: str) -> str:
    """Three or four letters that stand before an entity's numbers: `recipe` -> `RCP`, `meal_plan` -> `MLPL`.

    Consonants tell more than beginnings: `product`, `project` and `protocol` would all be PRO; here few share one.
    """
    first, *rest = [word[0] + re.sub("[aeiou]", "", word[1:]) for word in name.split("_")]
    letters = first[:2] + rest[0][:2] if rest else first[:4]
    return (letters if len(letters) > 2 else name.replace("_", "")[:3]).upper().ljust(3, "X")


@cache
def taxonomy() -> tuple[SubDomain, ...]:
    """All sub-domains, in the order of the files.

    Raises:
        InputError: a file is wrong; file, sub-domain and line content are named.
    """
    found = [sub for path in sorted(FOLDER.glob("*.yaml")) for sub in read_file(path)]
    seen: dict[str, str] = {}
    for sub in found:
        if sub.name in seen:
            fix = "Every sub-domain has a name of its own."
            raise InputError(f"{sub.name!r} stands under {seen[sub.name]} and {sub.primary}", where=FOLDER, fix=fix)
        seen[sub.name] = sub.primary
    return tuple(found)


def read_file(path: Path) -> list[SubDomain]:
    """The sub-domains of one primary domain.

    Raises:
        InputError: naming the sub-domain and what is wrong.
    """
    whole = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return [_SubDomainReader(path, whole, row).read() for row in whole["domains"]]


class _SubDomainReader:
    def __init__(self, path: Path, whole: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        self.path, self.whole, self.row = path, whole, row
        self.where = f"{path.name}, {row.get('name')}"

    def read(self) -> SubDomain:
        terms = {name: self._term(name, text) for name, text in (self.row["terms"] or {}).items()}
        entities = dict(self._entity(name, text) for name, text in self.row["entities"].items())
        functions = tuple(self._function(text) for text in self.row["functions"])
        words = tuple(str(word).lower() for word in self.row["words"])
        sub = SubDomain(
            self.row["name"], self.whole["primary"], bool(self.whole.get("cloud")), words, terms, entities, functions
        )
        try:
            self._check(sub)
        except InputError as error:
            raise InputError(error.what, where=self.where, fix=error.fix) from None
        return sub

    def _fail(self, what: str, fix: str) -> InputError:
        return InputError(what, where=self.where, fix=fix)

    def _name(self, name: str) -> str:
        if not _NAME.fullmatch(str(name)):
            raise self._fail(f"{name!r} is no snake-case name", "Use lower-case letters, digits and underscores.")
        return str(name)

    def _term(self, name: str, text: Any) -> Term:
        parts = [part.strip() for part in str(text).split(";")]
        if len(parts) not in (2, 3) or not all(parts) or (len(parts) == 3 and not parts[2].startswith("e.g. ")):
            raise self._fail(f"the term {name}: {text!r}", "Write `kind; what it is` or `kind; what it is; e.g. A, B`.")
        examples = tuple(part.strip() for part in parts[2][5:].split(",")) if len(parts) == 3 else ()
        if parts[1].endswith(".") or " " not in parts[1]:
            raise self._fail(f"the term {name} says {parts[1]!r}", "Write a phrase of two words or more, no full stop.")
        return Term(self._name(name), parts[0], parts[1], examples)

    def _entity(self, name: str, text: str) -> tuple[str, Entity]:
        one, _, many = str(name).partition("/")
        fields, bar, actions = str(text).partition("|")
        if not bar:
            raise self._fail(f"the entity {name}: {text!r}", "Write `fields, ... | actions, ...`.")
        can = {}
        for part in filter(None, (part.strip() for part in actions.split(","))):
            action, _, verb = part.partition(":")
            if action not in ACTIONS:
                raise self._fail(f"the entity {name} can {action!r}", f"Use some of {', '.join(ACTIONS)}.")
            can[action] = verb or ACTIONS[action].verb
        listed = [part.strip() for part in fields.split(",") if part.strip()]
        has = tuple(part.removesuffix("*") for part in listed)
        computed = frozenset(part.removesuffix("*") for part in listed if part.endswith("*"))
        if not has or has[0] in computed:
            raise self._fail(f"the entity {name} has no field to call it by", "Write a name or title first, no star.")
        return one, Entity(self._name(one), many or plural(one), has, computed, can)

    def _function(self, text: str) -> Function:
        match = _FUNCTION.fullmatch(" ".join(str(text).split()))
        if not match:
            fix = "Write `name(a, b, c?) -> x, y | Sentence in the third person.`"
            raise self._fail(f"the function {text!r}", fix)
        name, parameters, gives, about = match.groups()
        listed = [part.strip() for part in parameters.split(",") if part.strip()]
        return Function(
            self._name(name),
            tuple(part for part in listed if not part.endswith("?")),
            tuple(part.removesuffix("?") for part in listed if part.endswith("?")),
            tuple(part.strip() for part in gives.split(",") if part.strip()),
            about,
        )

    def _check(self, sub: SubDomain) -> None:
        """Everything that is named exists, every term is used, and there is enough of everything."""
        if len(sub.functions) < FUNCTIONS or len({f.name for f in sub.functions}) < len(sub.functions):
            raise self._fail(f"{len(sub.functions)} functions", f"Write {FUNCTIONS} or more with different names.")
        if len(sub.words) < WORDS or len(sub.entities) < 2:
            raise self._fail(
                f"{len(sub.words)} words, {len(sub.entities)} entities", f"Write {WORDS} words, 2 entities."
            )
        used = set()
        for function in sub.functions:
            if not function.needs and not function.may:
                raise self._fail(f"{function.name} takes nothing", "Give every function a parameter.")
            if not _THIRD_PERSON.match(function.about):
                raise self._fail(f"{function.name}: {function.about!r}", "Begin with a verb in the third person.")
            used |= {*function.needs, *function.may, *function.gives}
        for entity in sub.entities.values():
            if len(entity.has) < 3:
                raise self._fail(f"the entity {entity.name} has {len(entity.has)} fields", "Give it 3 or more.")
            used |= set(entity.has)
            for action in entity.can:
                problem = ACTIONS[action].problem({term: sub.schema(term) for term in entity.has})
                if problem:
                    raise self._fail(f"the entity {entity.name} can {action}, but {problem}", "Add such a field.")
        for name in sorted(used):
            sub.schema(name)
        unused = sorted(set(sub.terms) - used)
        if unused:
            raise self._fail(
                f"the term {unused[0]!r} is used nowhere", "Use it in an entity or function, or remove it."
            )


def plural(noun: str) -> str:
    """The plural of an English noun, for names: `city` -> `cities`."""
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def by_name() -> Iterator[tuple[str, SubDomain]]:
    """(name, sub-domain) of all."""
    return ((sub.name, sub) for sub in taxonomy())
