"""Diversity indicators: how an API is changed into another one (paper Sec. 2.1, evolution).

Add functionality or parameters, add constraints, mutate parameter types, change the returned results. Each indicator
changes a Draft in place, name and description with it, or says that it does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from data_gen.tool_synthesis.composition import LABELS
from data_gen.tool_synthesis.kinds import WORDS
from data_gen.tool_synthesis.lookups import ids, items_of_the_only_list
from data_gen.tool_synthesis.shapes import (
    DAY,
    MOMENT,
    TEXT,
    Schema,
    bare,
    choice,
    depth,
    described,
    emails,
    flag,
    many,
    record,
    rows,
    sentence,
    text,
)
from data_gen.tool_synthesis.taxonomy import Entity
from data_gen.tool_synthesis.vocabulary import Draft, Vocabulary, article, said

Indicator = Callable[[Vocabulary, Draft], bool]

_ACTING = frozenset(("create", "update", "schedule", "assign", "rate"))
_LOOKING = frozenset(("search", "rank", "recommend", "match", "nearby", "compare", "statistics", "history", "forecast"))
# Actions on one thing that make as much sense for several.
_ONE = frozenset(("view", "track", "cancel", "tag", "share", "assign", "availability"))


def _entity(v: Vocabulary, draft: Draft) -> Entity | None:
    return v.sub.entities.get(draft.entity)


def add_functionality(v: Vocabulary, draft: Draft) -> bool:
    """A second node of the tree: what is done is also shared, labelled, sent or written to a file."""
    entity = _entity(v, draft)
    if entity is None or len(draft.nodes) > 1:
        return False
    seconds: list[str] = []
    if draft.action in _ACTING:
        seconds = [name for name in ("share", "tag", "remind") if name in entity.can]
    elif draft.action in _LOOKING:
        seconds = ["export", "send"]
    if not seconds:
        return False
    second = v.rng.choice(seconds)
    name, word, also, node = _SECOND[second]
    if name in draft.properties or any(member in draft.returns for member in _SHOWN[second]):
        return False
    draft.returns.update(_SHOWN[second])
    draft.properties[name] = _second_parameter(second, said(entity.name))
    draft.required.append(name)
    draft.words = (*draft.words, *word.split("_"))
    draft.about = sentence(f"{draft.about.rstrip('.')}, and {also}")
    draft.nodes.append(f"{said(entity.name)} {node}")
    return True


# second functionality -> its parameter, what it adds to the name and to the sentence, its node of the tree
_SECOND = {
    "share": ("sharing", "and_share", "shares it by e-mail", "sharing"),
    "tag": ("labels", "with_labels", "puts labels on it", "labels"),
    "remind": ("reminder", "with_reminder", "sets a reminder about it", "reminders"),
    "export": ("file", "to_file", "writes the result into a file", "export"),
    "send": ("delivery", "and_send", "sends the result by e-mail", "sharing"),
}


# second functionality -> what the result holds of it, so that the caller knows that it was done
_ADDRESSES: Schema = {"type": "array", "items": bare(WORDS["email"])}
_SHOWN: Mapping[str, dict[str, Schema]] = {
    "share": {"shared_with": _ADDRESSES},
    "tag": {"labels": {"type": "array", "items": TEXT}},
    "remind": {"reminder_id": TEXT, "reminds_at": MOMENT},
    "export": {"file_url": WORDS["url"]},
    "send": {"sent_to": _ADDRESSES},
}


def _second_parameter(second: str, thing: str) -> Schema:
    if second == "tag":
        return LABELS
    if second == "share":
        members = {
            "recipients": emails("e-mail addresses of those who receive it"),
            "message": text("a few words to go with it", 300),
        }
        return record(members, f"with whom the {thing} is shared", ["recipients"])
    if second == "remind":
        members = {
            "remind_at": described(MOMENT, "when to remind, an RFC 3339 timestamp"),
            "channel": choice("how to remind", ("push", "email", "sms")),
        }
        return record(members, f"reminder about the {thing}", ["remind_at"])
    if second == "export":
        file_name = {**TEXT, "pattern": r"^[A-Za-z0-9_-]{3,40}$"}
        members = {
            "format": choice("format of the file", ("csv", "json", "xlsx", "pdf")),
            "file_name": described(file_name, "name of the file without its ending, e.g. summer_list"),
        }
        return record(members, "file that the result is written to", ["format"])
    members = {
        "recipients": emails("e-mail addresses that the result goes to"),
        "subject": text("subject line of the message", 120),
    }
    return record(members, "how the result is delivered", ["recipients"])


def add_parameter(v: Vocabulary, draft: Draft) -> bool:
    """One more optional parameter: a condition on a search, another field in the result, who is told of a change."""
    options = {name: schema for name, schema in _extra(v, draft).items() if name not in draft.properties}
    if not options:
        return False
    name = v.rng.choice(list(options))
    draft.properties[name] = options[name]
    if name.startswith("include_"):
        term = name.removeprefix("include_")
        inside = items_of_the_only_list(draft.returns)
        (draft.returns if inside is None else inside)[term] = bare(v.sub.schema(term))
    return True


def _extra(v: Vocabulary, draft: Draft) -> dict[str, Schema]:
    entity, action = _entity(v, draft), draft.action
    options: dict[str, Schema] = {}
    if action in _ACTING or action == "cancel":
        options["notify"] = emails("e-mail addresses of people to tell of it")
        when = "day from which it holds, in YYYY-MM-DD format; at once when left out"
        options["effective_from"] = described(DAY, when)
    if entity is None or not action or action in ("batch", "tag", "share"):
        return options
    if action in ("search", "nearby", "rank", "statistics"):
        free = [name for name in v.choices(entity) if not any(p.startswith(name) for p in draft.properties)]
        options |= v.parameters(free)
    if action not in _ACTING and action != "cancel":
        shown = {**draft.returns, **(items_of_the_only_list(draft.returns) or {})}
        for name in entity.has:
            about = v.sub.about(name)
            if name not in shown and not about.startswith("whether"):
                said_how = f"says {about}" if _CLAUSE.match(about) else f"holds the {about}"
                options[f"include_{name}"] = flag(f"whether the result also {said_how}")
    return options


# "where it was felt" is no noun: the result says it.
_CLAUSE = re.compile(r"(?:where|when|who|whom|how|what|which|why|whose)\b")


def add_constraint(v: Vocabulary, draft: Draft) -> bool:
    """A bound where there was none: length of a text, number of items; or an optional choice becomes required."""
    loose: list[tuple[Schema, dict[str, Any]]] = []
    for schema in draft.properties.values():
        kind = schema.get("type")
        if kind == "string" and not {"enum", "format", "pattern", "maxLength"} & set(schema):
            loose.append((schema, {"minLength": 2, "maxLength": v.rng.choice((60, 80, 100, 120, 200))}))
        elif kind == "array" and "maxItems" not in schema:
            loose.append((schema, {"minItems": 1, "maxItems": v.rng.choice((5, 8, 10, 20))}))
    # What the sentence says may be left out, "on a certain deck if wished", stays optional.
    # A condition of a search stays a wish as well.
    free = draft.optional if draft.action not in _LOOKING and not _MAY_BE_LEFT_OUT.search(draft.about) else ()
    choices = [name for name in free if "enum" in draft.properties[name]]
    if loose:
        schema, bounds = v.rng.choice(loose)
        schema.update({key: value for key, value in bounds.items() if key not in schema})
    elif choices:
        draft.required.append(v.rng.choice(choices))
    return bool(loose or choices)


_MAY_BE_LEFT_OUT = re.compile(r"\bif (?:given|wished|wanted|asked|known|named|any)\b|as far as|\boptional")


def several_at_once(v: Vocabulary, draft: Draft) -> bool:
    """Type mutation: the identifier of one thing becomes a list of them."""
    entity = _entity(v, draft)
    if entity is None or draft.action not in _ONE or f"{entity.name}_id" not in draft.properties:
        return False
    thing, things = said(entity.name), said(entity.plural)
    changed = f"{draft.about} "
    for one in (article(thing), f"one {thing}", f"the {thing}"):
        for mark in (" ", ". ", ", ", ": "):
            changed = changed.replace(f" {one}{mark}", f" several {things}{mark}")
    changed = changed.strip()
    if changed == draft.about or f" {thing} " in changed:
        return False
    most, name = v.rng.choice((10, 20, 25, 50)), f"{entity.name}_ids"
    del draft.properties[f"{entity.name}_id"]
    draft.properties = {name: ids(v, entity, f"identifiers of up to {most} {things}", 1, most), **draft.properties}
    draft.required = [name if n == f"{entity.name}_id" else n for n in draft.required]
    draft.about = _plural_pronouns(changed)
    written = "_".join(draft.words)
    if entity.name in written and entity.plural not in written:
        draft.words = tuple(written.replace(entity.name, entity.plural, 1).split("_"))
    else:
        draft.words = (*draft.words, "batch")
    row: Schema = {"type": "object", "properties": {f"{entity.name}_id": TEXT, **draft.returns}}
    draft.returns = {"results": {"type": "array", "items": row}}
    return True


_PRONOUNS = (
    ("its identifier", "their identifiers"), ("with its", "with their"), ("it can be", "they can be"),
    ("that is no longer", "that are no longer"), ("stands at", "stand at"), ("where it stands", "where they stand"),
    ("is free", "are free"), ("identifier given", "identifiers given"), ("confirms it", "confirms them"),
    ("shares it", "shares them"), ("puts labels on it", "puts labels on them"), (" its ", " their "),
)  # fmt: skip


def _plural_pronouns(about: str) -> str:
    """A sentence on one thing, now on several."""
    for one, many_ in _PRONOUNS:
        about = about.replace(one, many_)
    return about


def bulk_requests(v: Vocabulary, draft: Draft) -> bool:
    """Type mutation: the parameters of one call become the members of a list of objects."""
    if draft.action or not 2 <= len(draft.properties) <= 6 or any(map(depth, draft.properties.values())):
        return False
    keys = [n for n in draft.required if draft.properties[n].get("type") in ("string", "integer")]
    if not keys:
        return False
    most, key = v.rng.choice((10, 20, 50)), {keys[0]: bare(draft.properties[keys[0]])}
    item: Schema = {"type": "object", "properties": draft.properties, "required": list(draft.required)}
    name = next(n for n in (v.one("requests", "items", "cases", "entries"), "calls") if n not in draft.properties)
    draft.properties = {name: many(item, f"one object for each case, up to {most}", 1, most)}
    draft.required = [name]
    draft.words = v.rng.choice(((*draft.words, "batch"), ("bulk", *draft.words), (*draft.words, "in", "bulk")))
    tail = v.one("for a whole list of cases in one call", "for many cases at once", "case by case for a list of inputs")
    draft.about = sentence(f"{draft.about.rstrip('.')}, {tail}")
    # Whose result it is, and whose there is none of.
    results: Schema = {"type": "array", "items": {"type": "object", "properties": {**key, **draft.returns}}}
    draft.returns = {"results": results, "failed": rows(**key, error=TEXT)}
    return True


GROUPED = 3
_GROUPS = {
    "filters": "conditions; all that are given must be met",
    "options": "what else can be set",
    "settings": "settings of the request",
    "details": "further details",
}


def nest_options(v: Vocabulary, draft: Draft) -> bool:
    """Type mutation: optional parameters move into one nested object."""
    optional = draft.optional
    name = v.one("options", "settings", "filters" if draft.action in _LOOKING else "details")
    # Fewer need no wrapper.
    # A search may take nothing but its filters; elsewhere something stands beside the group.
    alone = len(draft.properties) == len(optional) and name != "filters"
    if len(optional) < GROUPED or alone or name in draft.properties:
        return False
    if any(depth(draft.properties[n]) > 1 for n in optional):
        return False
    draft.properties[name] = record({n: draft.properties.pop(n) for n in optional}, _GROUPS[name])
    return True


def change_results(v: Vocabulary, draft: Draft) -> bool:
    """The result says more, when it was made or what to mind; now and then it lies inside an envelope."""
    extra: dict[str, Schema] = {"processed_at": MOMENT, "message": TEXT}
    if draft.action in _LOOKING or not draft.action:
        extra = {"generated_at": MOMENT, "warnings": {"type": "array", "items": TEXT}}
    name = v.rng.choice(sorted(extra))
    if name in draft.returns or "result" in draft.returns:
        return False
    if v.maybe(0.3):
        draft.returns = {"result": {"type": "object", "properties": draft.returns}, name: extra[name]}
    else:
        draft.returns[name] = extra[name]
    return True


INDICATORS: Mapping[str, Indicator] = {
    "add_functionality": add_functionality,
    "add_parameter": add_parameter,
    "add_constraint": add_constraint,
    "type_list_of_things": several_at_once,
    "type_list_of_objects": bulk_requests,
    "type_nested_object": nest_options,
    "change_results": change_results,
}
