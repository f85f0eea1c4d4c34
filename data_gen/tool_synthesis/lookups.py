"""Composition of the actions that look things up: what they take and return, drawn anew for each API."""

from __future__ import annotations

from data_gen.tool_synthesis.kinds import WORDS
from data_gen.tool_synthesis.shapes import (
    DAY,
    FLAG,
    INTEGER,
    MOMENT,
    NUMBER,
    TEXT,
    Schema,
    bare,
    choice,
    described,
    integer,
    many,
    number,
    record,
    rows,
    sentence,
    some_of,
    text,
)
from data_gen.tool_synthesis.taxonomy import Entity
from data_gen.tool_synthesis.vocabulary import Draft, Vocabulary, article, field_of, said, say_all, third


def draft(
    e: Entity,
    words: str,
    about: str,
    properties: dict[str, Schema],
    required: list[str],
    returns: dict[str, Schema],
    node: str,
    *subject: str,
) -> Draft:
    """A draft of an action on an entity; `words` is its name in snake case, `subject` the fields that it is about."""
    name = tuple(words.split("_"))
    return Draft(name, e.plural, sentence(about), properties, required, returns, [node], subject=subject)


def named(v: Vocabulary, verb: str, *names: str) -> str:
    """One of several names; a name without a verb gets one."""
    name = v.one(*names)
    return name if name.startswith(f"{verb}_") or ("_" not in verb and name.split("_")[0] in _VERBS) else f"get_{name}"


_VERBS = frozenset(("get", "find", "show", "suggest", "list", "chart", "set"))


def filters(v: Vocabulary, e: Entity, names: list[str]) -> dict[str, Schema]:
    """Fields as search conditions: numbers and days as bounds, choices as one or several, the rest as they are."""
    found: dict[str, Schema] = {}
    for name in names:
        schema, about = v.sub.schema(name), v.sub.about(name)
        if schema.get("type") in ("integer", "number"):
            found |= _bounds(v, name, schema, about)
        elif schema.get("format") in ("date", "date-time"):
            found[f"{name}_from"] = v.parameter(name, f"{about}: this day or later")
            found[f"{name}_to"] = v.parameter(name, f"{about}: this day or earlier")
        elif "enum" in schema and v.maybe(0.3):
            found[f"{name}_any_of"] = some_of(schema["enum"], f"{about}; any of those given")
        else:
            found[name] = v.parameter(name)
    return found


def _bounds(v: Vocabulary, name: str, schema: Schema, about: str) -> dict[str, Schema]:
    plain: Schema = {key: schema[key] for key in ("type", "minimum", "maximum", "multipleOf") if key in schema}
    style = v.rng.random()
    if style < 0.8:
        ends = {"min": described(plain, "lower bound, inclusive"), "max": described(plain, "upper bound, inclusive")}
        return {f"{name}_range": record(ends, f"{about}, as a range")}
    if style < 0.9:
        return {f"max_{name}": described(plain, f"upper limit: {about}")}
    return {f"min_{name}": described(plain, f"lower limit: {about}")}


def count(v: Vocabulary, e: Entity, most: int) -> Schema:
    """How many things to return."""
    return integer(v.one(f"how many {said(e.plural)} to return", f"number of {said(e.plural)} wanted"), 1, most)


def items_of_the_only_list(returns: dict[str, Schema]) -> dict[str, Schema] | None:
    """Members of the things that a result lists; None when it lists nothing, or several kinds of things."""
    lists = [s for s in returns.values() if s.get("type") == "array" and s["items"].get("properties")]
    found: dict[str, Schema] | None = lists[0]["items"]["properties"] if len(lists) == 1 else None
    return found


def counting(v: Vocabulary, e: Entity) -> str:
    """What the parameter is called that says how many things to return."""
    return v.one("count", "how_many", f"number_of_{e.plural}", "top_n")


def period(v: Vocabulary, about: str) -> dict[str, Schema]:
    """A span of days: two parameters, or one nested object."""
    first = described(DAY, "first day, in YYYY-MM-DD format")
    last = described(DAY, "last day, in YYYY-MM-DD format")
    if v.maybe(0.75):
        return {"period": record({"from": first, "to": last}, about, ["from", "to"])}
    names = v.rng.choice((("start_date", "end_date"), ("date_from", "date_to"), ("first_day", "last_day")))
    return dict(zip(names, (first, last), strict=True))


def ids(v: Vocabulary, e: Entity, about: str, low: int, high: int) -> Schema:
    """Identifiers of several things, none twice."""
    return many(v.sub.schema(f"{e.name}_id"), about, low, high, unique=True)


def search(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """Things by several fields, or by exactly two."""
    names, things = v.some(list(v.fields(e)), 2, 4), said(e.plural)
    properties = filters(v, e, names)
    required: list[str] = []
    if len(names) == 2 and v.maybe(0.6):
        by = "_and_".join(field_of(name, e).replace(" ", "_") for name in names)
        words = f"{v.one('list', 'get', 'find', verb)}_{e.plural}_by_{by}"
        about = f"lists the {things} that match a given {say_all(names, e)}"
        required = [name for name in names if name in properties] or list(properties)
    else:
        words = f"{verb}_{e.plural}"
        about = v.one(
            f"{third(verb)} {things} by {say_all(names, e)}",
            f"returns the {things} that meet all the conditions given, such as {say_all(names[:2], e)}",
            f"finds {things}, narrowed down by {say_all(names, e)}",
        )
    returns = {e.plural: v.listed(e, v.some(list(v.fields(e)), 2, 4)), "total": INTEGER}
    return draft(e, words, about, properties, required, returns, f"{said(e.name)} search", *names)


def view(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """One thing by its identifier."""
    thing, shown = said(e.name), v.some(list(e.has), 3, 5)
    words = named(v, verb, f"{verb}_{e.name}", f"{verb}_{e.name}_details", f"show_{e.name}", f"find_{e.name}_by_id")
    about = v.one(
        f"gets one {thing} with its {say_all(shown, e)}",
        f"returns what is stored about {article(thing)}, such as {say_all(shown[:2], e)}",
        f"looks up {article(thing)} by its identifier and returns {say_all(shown, e)}",
    )
    return draft(e, words, about, v.identifier(e), [f"{e.name}_id"], v.results(shown), f"{thing} details")


def compare(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """Several things side by side."""
    by, things, name = v.some(list(v.fields(e)), 2, 5), said(e.plural), f"{e.name}_ids"
    properties = {
        name: ids(v, e, f"identifiers of the {things} to compare", 2, v.rng.choice((3, 4, 5, 6))),
        "criteria": some_of(
            by, v.one("what to compare them by; everything when left out", "fields to set side by side")
        ),
    }
    shown = say_all(by[:3], e)
    about = v.one(
        f"compares several {things} side by side by {shown}",
        f"sets {things} against each other as to {shown}",
        f"shows in what two or more {things} differ: {shown}",
    )
    returns = {"comparison": v.listed(e, by), "differences": {"type": "array", "items": TEXT}}
    return draft(e, f"{verb}_{e.plural}", about, properties, [name], returns, f"{said(e.name)} comparison")


def rank(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """The first things in the order of a number field."""
    by, things = v.rng.choice(v.amounts(e)), said(e.plural)
    what, chosen, number_of = field_of(by, e), v.some(v.choices(e), 0, 2), counting(v, e)
    order = choice(f"whether the list begins with the highest or the lowest {what}", ("highest", "lowest"))
    properties = {
        number_of: count(v, e, v.rng.choice((10, 20, 25, 50))),
        v.one("order", "direction", "begin_with"): {**order, "default": "highest"},
        **v.parameters(chosen),
    }
    short = what.replace(" ", "_")
    words = v.one(f"{verb}_{e.plural}_by_{short}", f"top_{e.plural}_by_{short}", f"list_{e.plural}_ranked_by_{short}")
    about = v.one(
        f"lists the {things} with the highest or the lowest {what}",
        f"orders {things} by {what} and returns the first of them with {v.its(e)}",
    )
    returns = {e.plural: v.listed(e, [e.has[0], by])}
    return draft(e, words, about, properties, [number_of], returns, f"{said(e.name)} ranking", by)


def recommend(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """Things that suit wishes, which stand in a nested object."""
    # A state or another thing that the service works out is nobody's wish.
    offered = [name for name in v.choices(e) if name not in e.computed] or v.choices(e)
    liked = [*v.some(offered, 1, 3), *v.some(v.numbers(e), 0, 1)]
    things = said(e.plural)
    wishes = {**record(filters(v, e, liked), f"wishes as to {say_all(liked, e)}"), "minProperties": 1}
    name = v.one("preferences", "wishes", f"{e.name}_preferences", "taste")
    properties = {name: wishes, counting(v, e): count(v, e, 10)}
    if v.maybe(0.5):
        properties[v.one("exclude_ids", "except_ids", f"known_{e.plural}")] = ids(
            v, e, f"identifiers of {things} that are known already", 1, 20
        )
    about = v.one(
        f"recommends {things} that suit somebody's wishes as to {say_all(liked, e)}",
        f"suggests {things} by preferred {say_all(liked, e)}, best match first",
    )
    words = named(v, verb, f"{verb}_{e.plural}", f"suggest_{e.plural}", f"{e.name}_recommendations")
    returns = {e.plural: v.listed(e, [e.has[0], *liked], match=NUMBER)}
    return draft(e, words, about, properties, [name], returns, f"{said(e.name)} recommendations")


def match(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """Things that resemble a given one."""
    by, thing, things = v.some(list(v.fields(e))[1:] or list(v.fields(e)), 2, 4), said(e.name), said(e.plural)
    properties = {**v.identifier(e, f"identifier of the {thing} to start from"), counting(v, e): count(v, e, 20)}
    if v.maybe(0.6):
        properties[v.one("alike_in", "same", "compare_by")] = some_of(by, f"in what the {things} must resemble it")
    about = v.one(
        f"finds {things} that resemble a given one in {say_all(by[:2], e)}",
        f"lists {things} whose {say_all(by[:3], e)} come close to those of a known one",
    )
    words = v.one(f"{verb}_similar_{e.plural}", f"list_{e.plural}_alike", f"get_{e.plural}_like_this")
    returns = {e.plural: v.listed(e, [e.has[0], *by[:2]], similarity=NUMBER)}
    return draft(e, words, about, properties, [f"{e.name}_id"], returns, f"similar {things}")


def nearby(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """Things around a point or a town."""
    things = said(e.plural)
    if v.maybe(0.7):
        latitude = described(WORDS["latitude"], "latitude in decimal degrees")
        longitude = described(WORDS["longitude"], "longitude in decimal degrees")
        point = {"latitude": latitude, "longitude": longitude}
        properties = {v.one("center", "point", "location"): record(point, "point to look around", list(point))}
    else:
        towns = ("town or address to look around, e.g. Porto", "place to look around, e.g. 12 Harbour Street, Bristol")
        properties = {v.one("near", "around", "town"): text(v.one(*towns))}
    required = list(properties)
    properties[v.one("radius_km", "within_km", "distance_km")] = number(
        "radius around it in kilometres", 0.1, v.rng.choice((25, 50, 100))
    )
    properties |= v.parameters(name for name in v.some(v.choices(e), 0, 2) if name not in properties)
    words = v.one(f"{verb}_{e.plural}_nearby", f"{verb}_nearby_{e.plural}", f"locate_{e.plural}")
    shown = v.some(list(v.fields(e)), 2, 3)
    about = v.one(
        f"finds {things} near a place, each with its {say_all(shown, e)}",
        f"lists the {things} within some distance of a point, nearest first, with their {say_all(shown, e)}",
    )
    returns = {e.plural: v.listed(e, shown, distance_km=NUMBER)}
    return draft(e, words, about, properties, required, returns, f"{things} nearby")


def availability(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """When a bookable thing is free."""
    thing, when = said(e.name), period(v, "days that come into question")
    about = v.one(
        f"tells when {article(thing)} is free within some days, with {v.its(e)}",
        f"checks on which days {article(thing)} can still be had, with {v.its(e)}",
    )
    words = named(v, verb, f"{verb}_{e.name}_availability", f"{e.name}_availability", f"list_free_slots_of_{e.name}")
    returns = {"available": FLAG, "slots": rows(start=MOMENT, end=MOMENT)}
    properties = {**v.identifier(e), **when}
    return draft(e, words, about, properties, [f"{e.name}_id", *when], returns, f"{thing} availability")


def track(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """How a thing stands now."""
    thing, properties = said(e.name), v.identifier(e)
    if v.maybe(0.5):
        properties["since"] = described(MOMENT, "only changes after this moment, an RFC 3339 timestamp")
    shown = [name for name in e.has if name in e.computed] or v.some(list(v.fields(e)), 1, 2)
    about = v.one(
        f"tells how {article(thing)} stands at the moment, with {say_all(shown[:3], e)}",
        f"{third(verb)} {article(thing)}: where it stands now, what changed last, and {v.its(e)}",
    )
    words = named(v, verb, f"{verb}_{e.name}", f"{e.name}_status", f"{verb}_{e.name}_progress")
    returns = {**v.results(shown), "events": rows(at=MOMENT, event=TEXT)}
    return draft(e, words, about, properties, [f"{e.name}_id"], returns, f"{thing} tracking")


def history(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """A number field over a period."""
    by, thing = v.rng.choice(v.moving(e)), said(e.name)
    what, when = field_of(by, e), period(v, "period to look back on")
    about = v.one(
        f"returns how the {what} of {article(thing)} developed over a period",
        f"gets past values of the {what} of {article(thing)}, beside {v.its(e, 1, 1)}",
    )
    interval = choice("distance between two points", ("daily", "weekly", "monthly"))
    short = what.replace(" ", "_")
    words = named(v, verb, f"{verb}_{e.name}_{short}_history", f"{verb}_{short}_history_of_{e.name}", f"chart_{e.name}_{short}")  # fmt: skip  # noqa: E501
    values = rows(date=DAY, **v.results([by]))
    returns = {"values": values, "trend": {**TEXT, "enum": ["rising", "falling", "steady"]}}
    properties = {**v.identifier(e), **when, "interval": interval}
    return draft(e, words, about, properties, [f"{e.name}_id", *when], returns, f"{thing} history", by)


def statistics(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """A number field, summed up for each value of a choice field."""
    measures, groups, things = v.some(v.amounts(e), 1, 3), v.some(v.choices(e), 1, 2), said(e.plural)
    functions = v.some(("mean", "median", "sum", "min", "max", "count"), 3, 6)
    properties = {
        "measure": choice(f"which number of the {things} to sum up", measures),
        "statistic": choice("how to sum it up", functions),
        "group_by": choice("what to form groups by", groups),
    }
    for name, options in (("measure", measures), ("group_by", groups)):
        if len(options) == 1:
            del properties[name]
    required = list(properties)
    about = v.one(
        f"{third(verb)} the {say_all(measures, e)} of {things} by {say_all(groups, e)}",
        f"computes figures on {things}: {say_all(measures, e)} for each {field_of(groups[0], e)}",
    )
    by = field_of(groups[0], e).replace(" ", "_")
    words = named(v, verb, f"{verb}_{e.plural}", f"{e.name}_statistics", f"{verb}_{e.plural}_by_{by}")
    properties |= period(v, f"only {things} of these days")
    returns = {"groups": rows(group=TEXT, value=NUMBER, count=INTEGER)}
    return draft(e, words, about, properties, required, returns, f"{said(e.name)} statistics", *measures, *groups)


def forecast(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """A number field in the coming days."""
    by, thing = v.rng.choice(v.moving(e)), said(e.name)
    what = field_of(by, e)
    properties = {**v.identifier(e), "days_ahead": integer("how many days ahead", 1, v.rng.choice((7, 14, 30, 90)))}
    if v.maybe(0.5):
        properties["confidence"] = number("share of cases that the interval should cover, e.g. 0.9", 0.5, 0.99)
    about = v.one(
        f"forecasts the {what} of {article(thing)} for the coming days",
        f"predicts the {what} of {article(thing)} day by day, with an interval for each",
    )
    short = what.replace(" ", "_")
    words = named(v, verb, f"{verb}_{e.name}_{short}", f"{verb}_{short}_of_{e.name}", f"{e.name}_{short}_outlook")
    returns = {"forecast": rows(date=DAY, **v.results([by]), low=NUMBER, high=NUMBER)}
    return draft(e, words, about, properties, list(properties)[:2], returns, f"{thing} forecasts", by)


def estimate(v: Vocabulary, e: Entity, verb: str) -> Draft:
    """A number field, worked out from others."""
    wanted, thing = v.rng.choice(v.moving(e)), said(e.name)
    inputs = v.some([n for n in v.settable(e)[1:] if n != wanted and n in v.fields(e)] or v.settable(e)[:1], 2, 4)
    what = field_of(wanted, e)
    about = v.one(
        f"estimates the {what} of {article(thing)} from its {say_all(inputs, e)}",
        f"gives a first idea of the {what} that {article(thing)} would have",
    )
    short = what.replace(" ", "_")
    words = v.one(f"{verb}_{e.name}_{short}", f"{verb}_{short}_of_{e.name}", f"predict_{e.name}_{short}")
    returns = {wanted: bare(v.sub.schema(wanted)), "low": NUMBER, "high": NUMBER}
    required = inputs[: max(1, len(inputs) - 1)]
    return draft(e, words, about, v.parameters(inputs), required, returns, f"{thing} estimates", wanted)
