"""The offline user agent: writes the request for a set of calls, never twice in the same way.

The paper's user agent is a language model (Sec. 2.2); this player needs none. It draws values, an opener and clauses,
their order, which optional parameters to leave out, and manners, all from one seeded generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_gen.dialog_generation.phrases import (
    QUESTION_STYLES,
    SLOT,
    STYLES,
    Phrases,
    at_level,
    phrases_of,
    slots,
    words,
)
from data_gen.dialog_generation.sentences import Sentence, and_list, append_clauses, dress, mood_of, sentence_of
from data_gen.dialog_generation.structures import draw_any, in_order
from data_gen.dialog_generation.vagueness import leave_open, stands
from data_gen.dialog_generation.values import NoValue, Value, drawable
from data_gen.verification.identity import remembered
from toolace import Call, Tool

_AGAIN = (
    "do the same for {}",
    "I need the same for {}",
    "repeat that for {}",
    "I'd like the same for {}",
    "could you do that for {} too",
    "run it again for {}",
)
_REPLIES = (
    "{}", "{}, please", "It's {}", "Sorry, {}", "Let's say {}", "Make it {}", "Of course: {}", "Take {}",
    "That would be {}", "Right, {}", "Oh, {}", "Ah yes, {}", "I forgot: {}", "I meant {}", "Use {}", "I think {}",
    "Go with {}", "{} it is", "{}, thanks", "{} should do", "In that case {}", "Well, {}", "Hmm, {}",
    "Here you are: {}",
    "{} would be good", "You can take {}", "I'd say {}", "{} for this one", "Okay, {}", "Then {}", "Sure, {}",
    "My mistake: {}", "{}, I think",
    "Good point, {}", "It should be {}", "I have {} here", "The answer is {}", "{}, if that works",
)  # fmt: skip
_CORRECTIONS = (
    "sorry, the {noun} should have been {}", "try it with the {noun} {}", "I mixed something up, the {noun} is {}",
    "then take {} as the {noun}", "my mistake, I meant {} for the {noun}", "okay, use {} for the {noun} instead",
    "let's try again with {} as the {noun}", "I looked it up: the {noun} is {}",
    "that was wrong, the {noun} must be {}",
    "could you do it with the {noun} {} then", "what about {} as the {noun}", "change the {noun} to {} and repeat it",
)  # fmt: skip
_INSISTING = (
    "Please try again", "Try once more", "Give it another try", "Then please repeat it", "Okay, once more",
    "Please send it again", "Let's try that again", "One more attempt", "Please retry", "Run it again",
    "Could you try that again", "Go ahead and try again",
)  # fmt: skip
_INSISTING_ENDS = (
    "", "please", "now", "with the same details", "for me", "as it was", "in case it works now", "without changes",
    "and tell me how it goes",
)  # fmt: skip
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# "for {} people" can say its number as a word; "y = {}" or "{} to 9" cannot.
_COUNTED = re.compile(r"(?<![=x/] )\{\} (?!(?:and|or|to|by|x|percent|out)\b)[a-z]{4,}")


@dataclass(frozen=True)
class Request:
    """A user turn and the calls it asks for."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class _Part:
    sentence: Sentence
    arguments: dict[str, Any]


class OfflineUser:
    """Writes user turns from a seeded generator; see the module's description."""

    def __init__(self, rng: random.Random, optional_share: float = 0.4, level: int = 0) -> None:
        """Optional parameters are given with the probability `optional_share`; `level` is that of self-guidance:
        above 0 requests only hint at the tool, below it they use its own words."""
        self.rng = rng
        self.optional_share = optional_share
        self.level = level
        self.style = STYLES[0]

    def ask_one(self, tool: Tool) -> Request:
        """A request that one call of `tool` answers."""
        part = self._part(tool, self._phrases(tool))
        return Request(dress([part.sentence], self.rng), (Call(tool.name, part.arguments),))

    def ask_same(self, tool: Tool, count: int) -> Request:
        """A request that needs `count` calls of one tool with different arguments."""
        phrases = self._phrases(tool)
        if phrases.many and self.rng.random() < 0.75:
            request = self._list_request(tool, phrases, count)
            if request:
                return request
        if phrases.asks and self.rng.random() < 0.4:
            request = self._same_for_request(tool, phrases, count)
            if request:
                return request
        parts = [self._part(tool, phrases) for _ in range(count)]
        unique = [p for i, p in enumerate(parts) if p.arguments not in [q.arguments for q in parts[:i]]]
        calls = tuple(Call(tool.name, part.arguments) for part in unique)
        return Request(dress([part.sentence for part in unique], self.rng), calls)

    def ask_several(self, tools: Sequence[Tool]) -> Request:
        """A request that needs one call of each tool, in this order."""
        parts = [self._part(tool, self._phrases(tool)) for tool in tools]
        calls = tuple(Call(tool.name, part.arguments) for tool, part in zip(tools, parts, strict=True))
        return Request(dress([part.sentence for part in parts], self.rng), calls)

    def ask_without(self, tool: Tool, parameter: str) -> tuple[str, str, Call]:
        """A request for `tool` without one of `droppable(tool)`: it is left out, or spoken of as "that city".

        Returns the request, the reply that gives the value when asked for it, and the call with every value.

        Raises:
            NoValue: the parameter is not droppable, or a value cannot be drawn.
        """
        spec = phrases_of(tool).specs.get(parameter, tool.properties[parameter])
        opened = leave_open(phrases_of(tool), parameter, spec)
        if opened is None:
            raise NoValue(parameter)
        phrases, vague = opened
        if vague:
            part = self._part(tool, phrases, given={parameter: Value(None, vague)})
        else:
            part = self._part(tool, phrases, leave_out=parameter)
        value = self.value(spec, parameter)
        clause = spec.get("type") in ("boolean", "object")
        frame = self.rng.choice(_REPLIES[:2] if clause else _REPLIES)
        said = frame.replace("{}", self._clause(spec, value) if clause else value.text)
        reply = Sentence(said.removeprefix("and "), "statement", literal=frame.startswith("{}"))
        arguments = {**part.arguments, parameter: value.argument}
        call = Call(tool.name, {name: arguments[name] for name in tool.properties if name in arguments})
        return dress([part.sentence], self.rng), dress([reply], self.rng, bare=True), call

    def ask_then(self, first: Tool, second: Tool, parameter: str, noun: str) -> tuple[str, Call, dict[str, Any]]:
        """A request whose second call takes `parameter` from the first call's result, spoken of as "that <noun>".

        Returns the text, the first call, and the second call's other arguments.
        """
        one = self._part(first, phrases_of(first))
        pointing = _pointing(phrases_of(second), parameter)
        two = self._part(second, pointing, given={parameter: Value(None, f"that {noun}")})
        others = {name: value for name, value in two.arguments.items() if name != parameter}
        text = dress([one.sentence, two.sentence], self.rng, dependent=True)
        return text, Call(first.name, one.arguments), others

    def insist(self) -> str:
        """After an error that passes by itself: the wish for the same call again."""
        text = f"{self.rng.choice(_INSISTING)} {self.rng.choice(_INSISTING_ENDS)}".strip()
        return f"{text}?" if text.startswith("Could") else f"{text}."

    def correct(self, tool: Tool, call: Call, blamed: str = "") -> tuple[str, Call] | None:
        """After a call failed: the same wish with another value of one parameter, as (text, call); None when no value
        of the call can be said alone. `blamed` is the parameter that the error is about, if it is about one."""
        specs = phrases_of(tool).specs
        texts = [name for name in call.arguments if specs.get(name, {}).get("type") == "string"]
        names = [name for name in texts if name in tool.required]
        if not names:
            return None
        name = blamed if blamed in names else self.rng.choice(names)
        try:
            values = self._distinct(tool, phrases_of(tool), name, 4)
        except NoValue:
            return None
        others = [value for value in values if value.argument != call.arguments[name]]
        if not others:
            return None
        frame = self.rng.choice(_CORRECTIONS).replace("{noun}", words(name))
        text = dress([sentence_of(frame, frame.replace("{}", others[0].text))], self.rng, bare=True)
        return text, Call(call.name, {**call.arguments, name: others[0].argument})

    def _phrases(self, tool: Tool) -> Phrases:
        return at_level(phrases_of(tool), self.level, self.rng)

    def droppable(self, tool: Tool) -> list[str]:
        """Required parameters that a request can leave open and still be English."""
        phrases = phrases_of(tool)
        specs = {name: phrases.specs.get(name, tool.properties.get(name, {})) for name in tool.required}
        return [name for name, spec in specs.items() if leave_open(phrases, name, spec)]

    def value(self, spec: Mapping[str, Any], name: str) -> Value:
        """Draws a value for one parameter, objects member by member."""
        style = self.style
        if spec.get("type") == "array":  # several objects after one another are only readable when each is short
            self.style = "list"
        value = draw_any(spec, name, self.rng, max(self.optional_share, 0.1), self._clause)
        self.style = style
        return value

    def _part(
        self, tool: Tool, phrases: Phrases, leave_out: str = "", given: Mapping[str, Value] | None = None
    ) -> _Part:
        fitting = [ask for ask in phrases.asks if leave_out not in slots(ask)] if leave_out else list(phrases.asks)
        ask = self.rng.choice(fitting)
        self._set_style(ask)
        for name in given or ():  # "museum {=museum_id}" becomes "that museum", not "museum that museum"
            ask = ask.replace(f"{noun_of(name)} {{={name}}}", f"{{={name}}}")
        wanted = self._chosen(tool, phrases, slots(ask), leave_out)
        drawn = self._draw(tool, phrases, wanted, given or {})
        sentence = self._sentence(ask, phrases, drawn, [name for name in wanted if name not in slots(ask)])
        return _Part(sentence, {name: drawn[name].argument for name in tool.properties if name in drawn})

    def _chosen(self, tool: Tool, phrases: Phrases, in_ask: set[str], leave_out: str) -> list[str]:
        chosen = []
        for name in tool.properties:
            if name == leave_out:
                continue
            optional = name not in tool.required and name not in in_ask
            spec = phrases.specs.get(name, {})
            if optional and (self.rng.random() > self.optional_share or not _sayable(spec) or not drawable(spec)):
                continue
            chosen.append(name)
        return chosen

    def _draw(self, tool: Tool, phrases: Phrases, names: Sequence[str], given: Mapping[str, Value]) -> dict[str, Value]:
        specs = {name: phrases.specs.get(name, tool.properties[name]) for name in names}
        drawn: dict[str, Value] = {}
        for name in names:
            if name in given:
                drawn[name] = given[name]
                continue
            for _ in range(8):
                value = self.value(specs[name], name)
                # Two cities or two people of one request are different ones.
                if not isinstance(value.argument, str) or value.text not in [v.text for v in drawn.values()]:
                    break
            drawn[name] = value
        return in_order(drawn, specs, set(given))

    def _set_style(self, ask: str) -> None:
        """One way of saying values for a sentence and for the members of its objects, fixed before any is drawn."""
        self.style = self.rng.choice(QUESTION_STYLES if mood_of(ask) == "question" else STYLES)

    def _clause(self, spec: Mapping[str, Any], value: Value) -> str:
        if spec.get("type") == "boolean":
            says = spec.get("say_true" if value.argument else "say_false") or ["{}"]
        elif spec.get("type") == "object":
            return value.text
        else:
            says = spec.get("say") or ["{}"]
            says = [say for say in (spec.get("styles") or {}).get(self.style, ()) if say in says] or says
        say = str(self.rng.choice(says))
        number = value.argument
        if type(number) is int and 2 <= number <= 10 and _COUNTED.search(say) and self.rng.random() < 0.2:
            return say.replace("{}", _NUMBER_WORDS[number])
        return say.replace("{}", value.text)

    def _fill(self, ask: str, phrases: Phrases, drawn: Mapping[str, Value]) -> str:
        def put(match: re.Match[str]) -> str:
            bare, name = match[1], match[2]
            spec = phrases.specs.get(name, {})
            plain = bare or ("say" not in spec and spec.get("type") not in ("boolean", "object"))
            return drawn[name].text if plain else self._clause(spec, drawn[name])

        return SLOT.sub(put, ask)

    def _sentence(
        self,
        ask: str,
        phrases: Phrases,
        drawn: Mapping[str, Value],
        rest: Sequence[str],
        respective: Collection[str] = (),
    ) -> Sentence:
        order = list(rest)
        self.rng.shuffle(order)
        clauses = [
            self._clause(phrases.specs.get(name, {}), drawn[name]) + " respectively" * (name in respective)
            for name in order
        ]
        return sentence_of(ask, append_clauses(self._fill(ask, phrases, drawn), clauses, self.rng))

    def _list_request(self, tool: Tool, phrases: Phrases, count: int) -> Request | None:
        """One opener with several values in one slot: "the weather in Oslo, Lyon and Cork"."""
        slot = phrases.many_slot
        self._set_style(phrases.many)
        values = self._distinct(tool, phrases, slot, count)
        if len(values) < 2:
            return None
        wanted = self._chosen(tool, phrases, slots(phrases.many), "")
        drawn = self._draw(tool, phrases, [n for n in wanted if n != slot], {})
        rest = [name for name in wanted if name not in slots(phrases.many)]
        each = self._respective(tool, phrases, [n for n in rest if n != slot], len(values))
        texts = {slot: Value(None, and_list([v.text for v in values]))}
        if each:
            texts[each[0]] = Value(None, and_list([v.text for v in each[1]]))
        sentence = self._sentence(phrases.many, phrases, {**drawn, **texts}, rest, [each[0]] if each else ())
        calls = []
        for i, value in enumerate(values):
            merged = {**drawn, slot: value, **({each[0]: each[1][i]} if each else {})}
            calls.append(Call(tool.name, {n: merged[n].argument for n in tool.properties if n in merged}))
        return Request(dress([sentence], self.rng), tuple(calls))

    def _respective(
        self, tool: Tool, phrases: Phrases, names: Sequence[str], count: int
    ) -> tuple[str, list[Value]] | None:
        scalar = [n for n in names if phrases.specs.get(n, {}).get("type") in ("integer", "number", "string")]
        if not scalar or self.rng.random() > 0.35:
            return None
        name = self.rng.choice(scalar)
        values = self._distinct(tool, phrases, name, count)
        return (name, values) if len(values) == count else None

    def _distinct(self, tool: Tool, phrases: Phrases, name: str, count: int) -> list[Value]:
        values: list[Value] = []
        for _ in range(count * 6):
            value = self.value(phrases.specs.get(name, tool.properties[name]), name)
            if len(values) < count and value.argument not in [v.argument for v in values]:
                values.append(value)
        return values

    def _same_for_request(self, tool: Tool, phrases: Phrases, count: int) -> Request | None:
        """A whole request, then "do the same for B and C" for the one parameter this can be about."""
        ask = self.rng.choice(phrases.asks)
        self._set_style(ask)
        wanted = self._chosen(tool, phrases, slots(ask), "")
        slot = _repeatable(tool, phrases, wanted)
        values = self._distinct(tool, phrases, slot, count) if slot else []
        if len(values) < 2:
            return None
        drawn = self._draw(tool, phrases, wanted, {slot: values[0]})
        sentence = self._sentence(ask, phrases, drawn, [n for n in wanted if n not in slots(ask)])
        again = self.rng.choice(_AGAIN)
        more = sentence_of(again, again.replace("{}", and_list([v.text for v in values[1:]])))
        calls = [
            Call(tool.name, {n: (v if n == slot else drawn[n]).argument for n in tool.properties if n in drawn})
            for v in values
        ]
        return Request(dress([sentence, more], self.rng), tuple(calls))


def noun_of(parameter: str) -> str:
    """What a person calls the thing that a parameter names: a "museum id" is of a museum, a "book title" of a book.

    A "borrowed title" stays a title, and a "first name" a name.
    """
    name = words(parameter)
    for ending in (" title", " id", " identifier", " name"):
        rest = name.removesuffix(ending)
        if rest != name:
            return name if rest in _PARTS_OF_NAMES else ending.strip() if rest.endswith("ed") else rest
    return name


_NAME_PARTS = "first last full middle given family display user file host screen domain"
_PARTS_OF_NAMES = frozenset(_NAME_PARTS.split())


def _repeatable(tool: Tool, phrases: Phrases, wanted: Sequence[str]) -> str:
    """The required text parameter that "the same for Oslo" is about, "" when it could be another one.

    With two cities in a request nobody knows which of them Oslo replaces; a word of an enumeration says nothing alone.
    """
    specs = {name: phrases.specs.get(name, {}) for name in wanted}
    texts = [n for n in wanted if specs[n].get("type") == "string" and "enum" not in specs[n]]
    slot = phrases.many_slot if phrases.many_slot in texts else next((n for n in texts if n in tool.required), "")
    if not slot:
        return ""
    source = specs[slot].get("kind"), specs[slot].get("values")
    alike = [n for n in texts if (specs[n].get("kind"), specs[n].get("values")) == source]
    return slot if alike == [slot] else ""


def _pointing(phrases: Phrases, parameter: str) -> Phrases:
    """The phrases with which "that museum" can take the place of a parameter's value.

    Raises:
        NoValue: every way of saying it would turn into something nobody says.
    """
    spec, slot = phrases.specs[parameter], f"{{={parameter}}}"
    if "styles" in spec or not spec.get("say"):  # made from the schema: "museum id that museum" is no English
        asks = [ask.replace(f"{{{parameter}}}", slot) for ask in phrases.asks]
        noun = f"{noun_of(parameter)} {slot}"  # "look up design DES-12345": the noun makes it a whole phrase
        named = [ask for ask in asks if noun in ask or (slot in ask and stands(ask, slot, phrases.specs))]
        plain = {key: value for key, value in spec.items() if key != "styles"}
        specs = {**phrases.specs, parameter: {**plain, "say": _POINTERS}}
        # "look up that design" is better than "look up a design with that design".
        asks = named or [ask for ask in asks if slot not in ask]
        if not asks:
            raise NoValue(parameter)
        return replace(phrases, asks=tuple(asks), specs=specs)
    says = [say for say in spec["say"] if stands(say, "{}", phrases.specs)]
    asks = [ask for ask in phrases.asks if slot not in ask or stands(ask, slot, phrases.specs)]
    if not says or not asks:
        raise NoValue(parameter)
    return replace(phrases, asks=tuple(asks), specs={**phrases.specs, parameter: {**spec, "say": says}})


_POINTERS = ("for {}", "with {}", "using {}", "this time for {}", "and do it for {}")


@remembered
def askable(tool: Tool) -> bool:
    """Whether this player can fill every required parameter of a tool."""
    specs = phrases_of(tool).specs
    return all(drawable(specs.get(name, tool.properties.get(name, {}))) for name in tool.required)


def _sayable(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("say") or spec.get("say_true") or spec.get("type") == "object")
