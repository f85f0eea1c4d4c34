"""Composition: what an entity's fields and an action make together, as a Draft; one small function an action.

Each builder draws which fields take part, how a condition is written and how the sentence goes, so that the same action
on two entities reads as two APIs of different authors would. Here are the actions that make and change things; those
that look things up stand in `lookups`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from data_gen.tool_synthesis import lookups
from data_gen.tool_synthesis.kinds import WORDS
from data_gen.tool_synthesis.lookups import draft, named
from data_gen.tool_synthesis.shapes import (
    DAY,
    FLAG,
    INTEGER,
    MOMENT,
    NUMBER,
    TEXT,
    Schema,
    choice,
    described,
    emails,
    flag,
    integer,
    many,
    record,
    rows,
    sentence,
    text,
)
from data_gen.tool_synthesis.taxonomy import Entity, Function
from data_gen.tool_synthesis.vocabulary import Draft, Vocabulary, article, field_of, said, say_all, third

Builder = Callable[[Vocabulary, Entity, str], Draft]

LABELS = many({**TEXT, "minLength": 2, "maxLength": 30}, "labels to put on it, e.g. urgent or favourite", 1, 10, unique=True)  # fmt: skip  # noqa: E501


def of_function(v: Vocabulary, function: Function) -> Draft:
    """The draft of a function of the taxonomy: its own name, sentence, parameters and results."""
    entity = next((e for e in v.sub.entities if f"{e}_id" in function.needs), "")
    group = v.sub.name.lower().replace("-", " ").replace(" ", "_")
    properties = v.parameters((*function.needs, *function.may))
    returns, node = _as_promised(v.results(function.gives), function.about), function.title
    words = tuple(function.name.split("_"))
    return Draft(words, group, function.about, properties, list(function.needs), returns, [node], entity=entity)


# Sentences that promise several things, and the noun that says what they are.
_LISTS = re.compile(r"(?:Lists|Ranks|Searches)\b")
_SEVERAL = re.compile(
    r"(?:Finds|Suggests|Names)(?: (?!(?:an?|one|of|for|from|in|to|out|and|what|whose|how|that|who|which)\b)"
    r"[\w-]+){0,2}? (\w+(?<![siu])(?<!instruction)s|people)\b"
)
_NOUN = re.compile(r"^\w+(?! (?:who|what|everyone)\b)(?: [\w-]+){0,4}? ([a-z]+(?<![siu])s|people)\b")
# Figures on all the things together stand beside them.
_ON_ALL = re.compile(r"total|count|size$|balance|_devices$|_resources$")


def _as_promised(returns: dict[str, Schema], about: str) -> dict[str, Schema]:
    """Results of a function, as a list of things where its sentence says that there are several."""
    several = _SEVERAL.match(about)
    if any(schema.get("type") == "array" for schema in returns.values()) or not (several or _LISTS.match(about)):
        return returns
    noun = several or _NOUN.match(about)
    name = noun[1] if noun else "entries"
    inside = {key: schema for key, schema in returns.items() if not _ON_ALL.search(key)} or returns
    beside = {key: schema for key, schema in returns.items() if key not in inside}
    return {name if name not in beside else "entries": rows(**inside), **beside}


def of_action(v: Vocabulary, entity: Entity, action: str, verb: str) -> Draft:
    """The draft of an action on an entity.

    Args:
        v: vocabulary of the entity's sub-domain.
        entity: one whose fields offer what the action needs.
        action: a name of `ACTIONS`.
        verb: what the action is called there.
    """
    v.promised = []
    made = BUILDERS[action](v, entity, verb)
    made.action, made.entity = action, entity.name
    inside = lookups.items_of_the_only_list(made.returns)
    known = made.returns if inside is None else inside
    # Wordings that were drawn and not taken promise too: a field more does no harm.
    known.update({name: schema for name, schema in v.results(v.promised).items() if said_in(name, entity, made.about)})
    return made


def said_in(name: str, entity: Entity, about: str) -> bool:
    """Whether a sentence names a field."""
    return field_of(name, entity) in about


def _create(v: Vocabulary, e: Entity, verb: str) -> Draft:
    given, thing = v.settable(e), said(e.name)
    # What a thing belongs to is given with it: a stay is at a hotel, a booking for a table.
    owners = [name for name in given[1:] if name.endswith("_id") and name not in v.sub.terms]
    names = [given[0], *owners, *v.some([name for name in given[1:] if name not in owners], 2, 6)]
    required = [names[0], *owners, *v.some(names[1 + len(owners) :], 1, 2)]
    about = v.one(
        f"{third(verb)} {article(thing)} with its {say_all(required, e)}",
        f"{third(verb)} {article(thing)} and returns its identifier",
        f"{third(verb)} a new {thing} from the details given",
    )
    returns = {f"{e.name}_id": TEXT, **v.results(sorted(e.computed)), **v.results(names[:1])}
    return draft(e, f"{verb}_{e.name}", about, v.parameters(names), required, returns, f"{thing} {said(verb)}")


def _update(v: Vocabulary, e: Entity, verb: str) -> Draft:
    names, thing, identifier = v.some(v.settable(e), 2, 4), said(e.name), f"{e.name}_id"
    if v.maybe(0.75):
        changes = record(v.parameters(names), "new values; what is left out stays as it is")
        properties = {**v.identifier(e), "changes": {**changes, "minProperties": 1}}
        words, required = v.one(f"{verb}_{e.name}", f"edit_{e.name}", f"modify_{e.name}"), list(properties)
        about = f"changes {say_all(names, e)} of {article(thing)}; what is not named stays as it is"
    elif v.maybe(0.5):
        named_fields = [name for name in v.settable(e) if v.sub.schema(name).get("type") != "boolean"]
        names = [v.rng.choice(named_fields)]
        what = field_of(names[0], e)
        properties = {**v.identifier(e), f"new_{names[0]}": v.parameter(names[0], f"new {v.sub.about(names[0])}")}
        short = what.replace(" ", "_")
        words, required = v.one(f"set_{e.name}_{short}", f"change_{e.name}_{short}"), list(properties)
        about = v.one(f"changes the {what} of {article(thing)}", f"gives {article(thing)} another {what}")
    else:
        properties, required = {**v.identifier(e), **v.parameters(names)}, [identifier]
        words = v.one(f"{verb}_{e.name}", f"revise_{e.name}")
        about = v.one(
            f"{third(verb)} {article(thing)}, for example its {say_all(names[:2], e)}",
            f"replaces {say_all(names, e)} of an existing {thing}",
        )
    returns = {identifier: TEXT, **v.results(names), "updated_at": MOMENT}
    return draft(e, words, about, properties, required, returns, f"{thing} changes", *names)


def _cancel(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    properties = v.identifier(e, f"identifier of the {thing} to {said(verb)}")
    if v.maybe(0.6):
        properties[v.one("reason", "why", "note", f"{verb}_reason")] = text(
            f"why, in a few words; stored with the {thing}", 200
        )
    about = v.one(
        f"{third(verb)} {article(thing)} for good; the answer shows {v.its(e)} once more",
        f"{third(verb)} {article(thing)} that is no longer wanted; the confirmation shows {v.its(e)}",
        f"{third(verb)} the {thing} with the identifier given and confirms it by {v.its(e)}",
    )
    returns = {f"{e.name}_id": TEXT, "done": FLAG, "done_at": MOMENT}
    return draft(e, f"{verb}_{e.name}", about, properties, [f"{e.name}_id"], returns, f"{thing} {said(verb)}")


def _batch(v: Vocabulary, e: Entity, verb: str) -> Draft:
    given, things = v.settable(e), said(e.plural)
    names = [given[0], *v.some(given[1:], 1, 4)]
    item: Schema = {"type": "object", "properties": v.parameters(names), "required": v.some(names, 1, 2)}
    wanted = f"{things} to {said(verb)}, each with its {say_all(names, e)}"
    properties = {
        e.plural: many(item, wanted, 1, v.rng.choice((20, 50, 100))),
        v.one("on_error", "if_invalid", "on_conflict"): choice(
            f"what to do when one of the {things} cannot be stored", ("skip", "stop")
        ),
    }
    about = v.one(
        f"{third(verb)} several {things} at once, each with its {say_all(names, e)}",
        f"{third(verb)} a list of {things} in one go and reports those that failed",
    )
    words = v.one(f"{verb}_{e.plural}", f"bulk_{verb}_{e.plural}", f"{verb}_{e.plural}_batch")
    returns = {"accepted": INTEGER, "failed": rows(index=INTEGER, error=TEXT)}
    return draft(e, words, about, properties, [e.plural], returns, f"{said(e.name)} {said(verb)}")


def _schedule(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    slot: dict[str, Schema] = {
        "date": described(DAY, f"day of the {thing}, in YYYY-MM-DD format"),
        "start_time": described(WORDS["time"], "when it begins, in 24-hour HH:MM format"),
    }
    properties, required = v.identifier(e), [f"{e.name}_id"]
    needed = list(slot)
    if v.maybe(0.7):
        slot["duration_minutes"] = integer("how long it takes, in minutes", 5, 1440)
    if v.maybe(0.6):
        name = v.one("slot", "appointment", "when")
        properties[name] = record(slot, f"day and time of the {thing}", needed)
        required.append(name)
    else:
        properties |= slot
        required += needed
    if v.maybe(0.4):
        properties["notify"] = emails("e-mail addresses of people to tell")
    about = v.one(
        f"sets the day and time of {article(thing)} and returns {v.its(e)} with any conflicts",
        f"{third(verb)} {article(thing)} for a day and time and returns {v.its(e, 1, 1)}",
    )
    returns = {f"{e.name}_id": TEXT, "starts_at": MOMENT, "conflicts": {"type": "array", "items": TEXT}}
    return draft(e, f"{verb}_{e.name}", about, properties, required, returns, f"{thing} scheduling")


def _alert(v: Vocabulary, e: Entity, verb: str) -> Draft:
    by, thing = v.rng.choice(v.moving(e)), said(e.name)
    what = field_of(by, e)
    channels = v.some(("email", "sms", "push", "webhook"), 2, 4)
    limit, side = v.one("threshold", "limit", f"{by}_limit"), v.one("direction", "side", "when")
    condition: dict[str, Schema] = {
        limit: described(v.sub.schema(by), f"limit: {v.sub.about(by)}"),
        side: choice("on which side of the limit to tell", ("above", "below")),
    }
    if v.maybe(0.5):
        condition = {"condition": record(condition, f"when to tell: {v.sub.about(by)}", list(condition))}
    required = [f"{e.name}_id", *condition]
    properties = {
        **v.identifier(e),
        **condition,
        v.one("channel", "notify_by", "via"): choice("how to tell", channels),
    }
    about = v.one(
        f"tells when the {what} of {article(thing)} passes a limit",
        f"sets an alarm for the {what} of {article(thing)}; the message shows {v.its(e, 1, 2, by)}",
    )
    short = what.replace(" ", "_")
    words = v.one(f"{verb}_{e.name}_{short}", f"create_{e.name}_{short}_alert", f"set_{short}_alert_for_{e.name}")
    return draft(e, words, about, properties, required, {"alert_id": TEXT, "active": FLAG}, f"{thing} alerts", by)


def _rate(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing, most = said(e.name), v.rng.choice((5, 5, 10))
    stars = v.one("stars", "rating", "score_given", "points")
    review: dict[str, Schema] = {stars: integer(f"rating from 1 to {most}, the more the better", 1, most)}
    if v.maybe(0.8):
        review[v.one("comment", "remarks", "text")] = text(
            f"what the reviewer says about the {thing}", v.rng.choice((280, 500, 1000))
        )
    if v.maybe(0.4):
        review["anonymous"] = flag("whether the reviewer's name is left out")
    required = [stars]
    if len(review) > 2:
        review, required = {"review": record(review, f"what the reviewer thinks of the {thing}", required)}, ["review"]
    properties = {**v.identifier(e), **review}
    about = v.one(
        f"stores a rating of {article(thing)}, shown beside {v.its(e)}",
        f"{third(verb)} {article(thing)} on a scale of 1 to {most} and returns the average rating beside {v.its(e)}",
    )
    words = v.one(f"{verb}_{e.name}", f"review_{e.name}")
    returns = {"review_id": TEXT, "average": NUMBER, "reviews": INTEGER}
    return draft(e, words, about, properties, [f"{e.name}_id", *required], returns, f"{thing} reviews")


def _share(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    recipients = emails("e-mail addresses of those who receive it", v.rng.choice((5, 20, 50)))
    people = v.one("recipients", "send_to", "people", "emails")
    properties = {**v.identifier(e), people: recipients}
    extras: dict[str, Schema] = {}
    if v.maybe(0.7):
        extras[v.one("message", "note", "greeting")] = text("a few words to go with it", 500)
    if v.maybe(0.7):
        extras[v.one("permission", "access", "role")] = choice(
            f"what they may do with the {thing}", ("view", "comment", "edit")
        )
    if v.maybe(0.6):
        extras["expires_on"] = described(DAY, "last day on which they can open it, in YYYY-MM-DD format")
    whole = len(extras) > 2
    properties |= {"invitation": record(extras, f"what goes to those who receive the {thing}")} if whole else extras
    about = v.one(
        f"{third(verb)} {article(thing)} with other people by e-mail; the message shows {v.its(e)}",
        f"sends {article(thing)} to several people, with {v.its(e)}",
    )
    returns = {"link": WORDS["url"], "sent": INTEGER}
    required = [f"{e.name}_id", people]
    return draft(e, f"{verb}_{e.name}", about, properties, required, returns, f"{thing} sharing")


def _export(v: Vocabulary, e: Entity, verb: str) -> Draft:
    columns, things = v.some(list(v.fields(e)), 3, 6), said(e.plural)
    kind = v.one("format", "file_format", "file_type")
    file: dict[str, Schema] = {
        kind: choice("format of the file", v.some(("csv", "json", "xlsx", "pdf", "xml"), 2, 4)),
        v.one("columns", "fields_shown", "include"): many(
            {**TEXT, "enum": columns}, "which columns the file has; all when left out", unique=True
        ),
    }
    required = [kind]
    if v.maybe(0.5):
        file["file_name"] = described(
            {**TEXT, "pattern": r"^[A-Za-z0-9_-]{3,40}$"}, "name of the file without its ending"
        )
        file, required = {"file": record(file, f"the file that the {things} are written to", required)}, ["file"]
    properties = {**file, **lookups.filters(v, e, v.some(v.choices(e), 0, 1))}
    about = v.one(
        f"{third(verb)} {things} with {say_all(columns[:2], e)} as a file",
        f"writes {things} into a file with {say_all(columns[:3], e)} as columns",
    )
    returns = {"download_url": WORDS["url"], "rows": INTEGER}
    return draft(e, f"{verb}_{e.plural}", about, properties, required, returns, f"{said(e.name)} export")


def _assign(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    people = ("name of the person in charge, e.g. Priya Nair", "who takes it over, e.g. Tom Okafor")
    person = v.one("assignee", "owner", "responsible_person", "handled_by")
    properties = {**v.identifier(e), person: text(v.one(*people))}
    if v.maybe(0.6):
        properties[v.one("due_on", "deadline", "until")] = described(
            DAY, "until when it should be done, in YYYY-MM-DD format"
        )
    if v.maybe(0.4):
        properties[v.one("note", "instructions", "briefing")] = text("what the person should know", 300)
    about = v.one(
        f"puts somebody in charge of {article(thing)}; the message to them shows {v.its(e)}",
        f"{third(verb)} {article(thing)} to a person; the message to them shows {v.its(e)}",
    )
    returns = {f"{e.name}_id": TEXT, person: TEXT, "notified": FLAG}
    required = [f"{e.name}_id", person]
    return draft(e, f"{verb}_{e.name}", about, properties, required, returns, f"{thing} assignment")


def _tag(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    labels = v.one("labels", "tags", "keywords")
    properties = {**v.identifier(e), labels: LABELS}
    if v.maybe(0.6):
        properties[v.one("replace", "clear_first", "overwrite")] = flag("whether the labels it has already are removed")
    about = v.one(
        f"puts labels on {article(thing)} and returns {v.its(e)} with all of them",
        f"adds labels of your own choice to {article(thing)} and returns {v.its(e)}",
    )
    words = v.one(f"{verb}_{e.name}", f"tag_{e.name}", f"add_labels_to_{e.name}")
    returns = {labels: {"type": "array", "items": TEXT}}
    return draft(e, words, about, properties, [f"{e.name}_id", labels], returns, f"{thing} labels")


def _remind(v: Vocabulary, e: Entity, verb: str) -> Draft:
    thing = said(e.name)
    moment = v.one("remind_at", "at", "reminder_time", "when")
    properties = {
        **v.identifier(e),
        moment: described(MOMENT, "when to remind, an RFC 3339 timestamp"),
        v.one("channel", "via", "by"): choice("how to remind", v.some(("push", "email", "sms", "voice"), 2, 4)),
    }
    if v.maybe(0.5):
        properties[v.one("repeat", "again", "recurrence")] = choice(
            "how often to remind again", ("never", "daily", "weekly", "monthly")
        )
    about = v.one(
        f"sets a reminder about {article(thing)} that shows {v.its(e)}",
        f"reminds somebody of {article(thing)} and {v.its(e)} at a given moment",
    )
    words = named(v, verb, f"{verb}_{e.name}_reminder", f"set_reminder_about_{e.name}")
    returns = {"reminder_id": TEXT, "next_at": MOMENT}
    return draft(e, words, about, properties, [f"{e.name}_id", moment], returns, f"{thing} reminders")


BUILDERS: Mapping[str, Builder] = {
    "search": lookups.search, "view": lookups.view, "create": _create, "update": _update, "cancel": _cancel,
    "batch": _batch, "compare": lookups.compare, "rank": lookups.rank, "recommend": lookups.recommend,
    "match": lookups.match, "nearby": lookups.nearby, "availability": lookups.availability, "schedule": _schedule,
    "track": lookups.track, "history": lookups.history, "statistics": lookups.statistics, "alert": _alert,
    "forecast": lookups.forecast, "estimate": lookups.estimate, "rate": _rate, "share": _share, "export": _export,
    "assign": _assign, "tag": _tag, "remind": _remind,
}  # fmt: skip
__all__ = ["BUILDERS", "LABELS", "of_action", "of_function", "sentence"]
