"""The offline user agent: writes the request for a set of calls, never twice in the same way.

The paper's user agent is a language model (Sec. 2.2); this player needs none. It draws values, an opener and clauses,
their order, which optional parameters to leave out, and manners, all from one seeded generator.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.dialog_generation.phrases import SLOT, Phrases, phrases_of, slots
from data_gen.dialog_generation.values import Value, and_list, draw, drawable
from toolace import Call, Tool

_QUESTION = frozenset(
    ["what", "what's", "whats", "which", "who", "who's", "whose", "when", "where", "where's", "why", "how", "how's", "is", "are", "am", "was", "were", "do", "does", "did", "can", "could", "will", "would", "should", "shall", "may", "might", "has", "have", "had", "any"]
)
_OPENINGS = (
    "Hi, ",
    "Hello, ",
    "Hey, ",
    "Hi there! ",
    "Hello! ",
    "Good morning. ",
    "Quick question: ",
    "Okay, ",
    "So, ",
)
_CLOSINGS = (" Thanks!", " Thank you.", " Please be quick.", " Thanks in advance.", " I'd appreciate it.")
_NEXT = ("Also, {}", "And {}", "Then {}", "After that, {}", "In addition, {}", "{}", "Next, {}", "Besides that, {}")


@dataclass(frozen=True)
class Request:
    """A user turn and the calls it asks for."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class _Part:
    sentence: str
    arguments: dict[str, Any]


class OfflineUser:
    """Writes user turns from a seeded generator; see the module's description."""

    def __init__(self, rng: random.Random, optional_share: float = 0.4) -> None:
        self.rng = rng
        self.optional_share = optional_share

    def ask_one(self, tool: Tool) -> Request:
        """A request that one call of `tool` answers."""
        part = self._part(tool, phrases_of(tool))
        return Request(self._dress([part.sentence]), (Call(tool.name, part.arguments),))

    def ask_same(self, tool: Tool, count: int) -> Request:
        """A request that needs `count` calls of one tool with different arguments."""
        phrases = phrases_of(tool)
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
        return Request(self._dress([part.sentence for part in unique]), calls)

    def ask_several(self, tools: Sequence[Tool]) -> Request:
        """A request that needs one call of each tool, in this order."""
        parts = [self._part(tool, phrases_of(tool)) for tool in tools]
        calls = tuple(Call(tool.name, part.arguments) for tool, part in zip(tools, parts, strict=True))
        return Request(self._dress([part.sentence for part in parts]), calls)

    def ask_without(self, tool: Tool, parameter: str) -> tuple[str, str, Call]:
        """A request for `tool` that leaves out one required parameter (whose clause some opener does not hold).

        Returns the request, the reply that gives the value when asked for it, and the call with every value.
        """
        phrases = phrases_of(tool)
        part = self._part(tool, phrases, leave_out=parameter)
        spec = phrases.specs.get(parameter, tool.properties[parameter])
        value = self.value(spec, parameter)
        frame = self.rng.choice(("{}", "{}, please", "It's {}", "Sorry, {}", "Let's say {}", "Make it {}"))
        said = self._clause(spec, value) if spec.get("type") in ("boolean", "object") else value.text
        arguments = {**part.arguments, parameter: value.argument}
        call = Call(tool.name, {name: arguments[name] for name in tool.properties if name in arguments})
        return self._dress([part.sentence]), _capital(frame.replace("{}", said)) + ".", call

    def ask_then(self, first: Tool, second: Tool, parameter: str, noun: str) -> tuple[str, Call, dict[str, Any]]:
        """A request whose second call takes `parameter` from the first call's result, spoken of as "that <noun>".

        Returns the text, the first call, and the second call's other arguments.
        """
        one = self._part(first, phrases_of(first))
        two = self._part(second, phrases_of(second), given={parameter: Value(None, f"that {noun}")})
        others = {name: value for name, value in two.arguments.items() if name != parameter}
        return self._dress([one.sentence, two.sentence], join=False), Call(first.name, one.arguments), others

    def droppable(self, tool: Tool) -> list[str]:
        """Required parameters that a request can leave out without breaking an opener."""
        phrases = phrases_of(tool)
        return [name for name in tool.required if any(name not in slots(ask) for ask in phrases.asks)]

    def _part(
        self, tool: Tool, phrases: Phrases, leave_out: str = "", given: Mapping[str, Value] | None = None
    ) -> _Part:
        fitting = [ask for ask in phrases.asks if leave_out not in slots(ask)] if leave_out else list(phrases.asks)
        ask = self.rng.choice(fitting)
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
        drawn: dict[str, Value] = {}
        for name in names:
            if name in given:
                drawn[name] = given[name]
                continue
            for _ in range(8):
                value = self.value(phrases.specs.get(name, tool.properties[name]), name)
                # Two cities or two people of one request are different ones.
                if not isinstance(value.argument, str) or value.text not in [v.text for v in drawn.values()]:
                    break
            drawn[name] = value
        return drawn

    def value(self, spec: Mapping[str, Any], name: str) -> Value:
        """Draws a value for one parameter, objects member by member."""
        if spec.get("type") == "object":
            return self._object(spec)
        if spec.get("type") == "array" and (spec.get("items") or {}).get("type") == "object":
            members = [self._object(spec["items"]) for _ in range(self.rng.choice((1, 2, 2)))]
            return Value([m.argument for m in members], and_list([m.text for m in members]))
        return draw(spec, self.rng, name)

    def _object(self, spec: Mapping[str, Any]) -> Value:
        required = spec.get("required") or ()
        said, members = [], {}
        for name, inner in (spec.get("properties") or {}).items():
            if name not in required and not drawable(inner):
                continue
            if name not in required and self.rng.random() > max(self.optional_share, 0.4 if not required else 0):
                continue
            value = self.value(inner, name)
            members[name] = value.argument
            said.append(self._clause(inner, value))
        sayable = [(name, inner) for name, inner in (spec.get("properties") or {}).items() if drawable(inner)]
        if not members and sayable:
            name, inner = sayable[0]
            value = self.value(inner, name)
            members, said = {name: value.argument}, [self._clause(inner, value)]
        said = [said[0], *[clause.removeprefix("and ") for clause in said[1:]]] if said else ["nothing else"]
        return Value(members, and_list(said))

    def _clause(self, spec: Mapping[str, Any], value: Value) -> str:
        if spec.get("type") == "boolean":
            says = spec.get("say_true" if value.argument else "say_false") or ["{}"]
        elif spec.get("type") == "object":
            return value.text
        else:
            says = spec.get("say") or ["{}"]
        return str(self.rng.choice(says)).replace("{}", value.text)

    def _fill(self, ask: str, phrases: Phrases, drawn: Mapping[str, Value]) -> str:
        def put(match: Any) -> str:
            bare, name = match[1], match[2]
            spec = phrases.specs.get(name, {})
            plain = bare or ("say" not in spec and spec.get("type") not in ("boolean", "object"))
            return drawn[name].text if plain else self._clause(spec, drawn[name])

        return SLOT.sub(put, ask)

    def _sentence(self, ask: str, phrases: Phrases, drawn: Mapping[str, Value], rest: Sequence[str]) -> str:
        order = list(rest)
        self.rng.shuffle(order)
        clauses = [self._clause(phrases.specs.get(name, {}), drawn[name]).removeprefix("and ") for name in order]
        text = self._fill(ask, phrases, drawn)
        if not clauses:
            return text
        if len(clauses) > 2 or self.rng.random() < 0.35:
            return f"{text}, {and_list(clauses)}"
        return f"{text} {' '.join(clauses)}" if len(clauses) == 1 else f"{text} {clauses[0]}, {clauses[1]}"

    def _list_request(self, tool: Tool, phrases: Phrases, count: int) -> Request | None:
        """One opener with several values in one slot: "the weather in Oslo, Lyon and Cork"."""
        slot = phrases.many_slot
        values = self._distinct(tool, phrases, slot, count)
        if len(values) < 2:
            return None
        wanted = self._chosen(tool, phrases, slots(phrases.many), "")
        drawn = self._draw(tool, phrases, [n for n in wanted if n != slot], {})
        rest = [name for name in wanted if name not in slots(phrases.many)]
        each = self._respective(tool, phrases, [n for n in rest if n != slot], len(values))
        texts = {slot: Value(None, and_list([v.text for v in values]))}
        if each:
            name, own = each
            texts[name] = Value(None, and_list([v.text for v in own]) + " respectively")
        sentence = self._sentence(phrases.many, phrases, {**drawn, **texts}, rest)
        calls = []
        for i, value in enumerate(values):
            own_values = {slot: value, **({each[0]: each[1][i]} if each else {})}
            merged = {**drawn, **own_values}
            calls.append(Call(tool.name, {n: merged[n].argument for n in tool.properties if n in merged}))
        return Request(self._dress([sentence]), tuple(calls))

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
        """A whole request, then "do the same for B and C" for one string parameter."""
        ask = self.rng.choice(phrases.asks)
        wanted = self._chosen(tool, phrases, slots(ask), "")
        strings = [n for n in wanted if n in tool.required and phrases.specs.get(n, {}).get("type") == "string"]
        if not strings:
            return None
        slot = phrases.many_slot if phrases.many_slot in strings else strings[0]
        values = self._distinct(tool, phrases, slot, count)
        if len(values) < 2:
            return None
        drawn = self._draw(tool, phrases, wanted, {slot: values[0]})
        sentence = self._sentence(ask, phrases, drawn, [n for n in wanted if n not in slots(ask)])
        more = self.rng.choice(
            ("do the same for {}", "I need the same for {}", "repeat that for {}", "likewise for {}")
        )
        more = more.replace("{}", and_list([v.text for v in values[1:]]))
        calls = [
            Call(tool.name, {n: (v if n == slot else drawn[n]).argument for n in tool.properties if n in drawn})
            for v in values
        ]
        return Request(self._dress([sentence, more]), tuple(calls))

    def _dress(self, sentences: Sequence[str], join: bool = True) -> str:
        """Punctuation, connecting words and manners around the bare sentences."""
        rng = self.rng
        dressed: list[str] = []
        for i, sentence in enumerate(sentences):
            if i and join:
                frame = rng.choice(_NEXT)
                sentence = frame.replace("{}", _lower_first(sentence) if frame != "{}" else sentence)
            elif i:
                sentence = f"Then {_lower_first(sentence)}"
            dressed.append(_capital(sentence) + _end(sentence))
        text = " ".join(dressed)
        if rng.random() < 0.18:
            opening = rng.choice(_OPENINGS)
            text = opening + (_lower_first(text) if opening.endswith((", ", ": ")) else text)
        elif rng.random() < 0.08 and not text.endswith("?"):
            text = "Please " + _lower_first(text)
        if rng.random() < 0.1:
            text += rng.choice(_CLOSINGS)
        if rng.random() < 0.06:
            text = text.rstrip(".?")
        return text


def askable(tool: Tool) -> bool:
    """Whether this player can fill every required parameter of a tool."""
    specs = phrases_of(tool).specs
    return all(drawable(specs.get(name, tool.properties.get(name, {}))) for name in tool.required)


def _sayable(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("say") or spec.get("say_true") or spec.get("type") == "object")


def _last_sentence(text: str) -> str:
    return text.replace("! ", ". ").replace("? ", ". ").split(". ")[-1]


def _end(sentence: str) -> str:
    """A question mark after what begins like a question, else a full stop."""
    if sentence.endswith((".", "?", "!")):
        return ""
    first = _last_sentence(sentence).split(" ")[0].lower().strip(",'")
    if first in ("also", "and", "then", "next", "after", "in", "besides"):
        rest = (
            _last_sentence(sentence).split(", ")[-1] if "," in sentence else _last_sentence(sentence)[len(first) + 1 :]
        )
        first = rest.split(" ")[0].lower()
    if first not in _QUESTION and ", " in sentence:
        # "I'm packing for Oslo, how should I expect the sky to look"
        tail = _last_sentence(sentence).split(", ", 1)[-1].split(" ")[0].lower()
        return (
            "?" if tail in _QUESTION - {"is", "are", "any", "was", "were", "have", "had", "has", "may", "when"} else "."
        )
    return "?" if first in _QUESTION else "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_KEEP_CAPITAL = ("I ", "I'", "I,")


def _lower_first(text: str) -> str:
    """Lower-cases a sentence's first letter inside another one, but not of names, acronyms and "I"."""
    first = text.split(" ")[0]
    if text.startswith(_KEEP_CAPITAL) or (len(first) > 1 and not first[1:].islower()) or first.lower() not in _STARTERS:
        return text
    return text[0].lower() + text[1:]


_STARTERS = frozenset(
    ["a", "an", "the", "my", "our", "we", "please", "could", "can", "would", "will", "what", "which", "who", "when", "where", "why", "how", "is", "are", "do", "does", "did", "should", "give", "find", "show", "tell", "get", "look", "list", "need", "let", "check", "compare", "add", "set", "make", "create", "help", "want", "pull", "fetch", "bring", "work", "work", "calculate", "compute", "figure", "estimate", "convert", "translate", "search", "recommend", "suggest", "plan", "order", "book", "reserve", "rent", "buy", "sell", "send", "write", "read", "play", "turn", "switch", "open", "close", "start", "stop", "remind", "schedule", "cancel", "change", "update", "delete", "remove", "put", "draw", "plot", "rank", "sort", "count", "measure", "identify", "explain", "describe", "draft", "pick", "choose", "see", "track", "log", "record", "save", "run", "test", "try", "use", "for", "if", "it", "there", "someone", "any", "once", "before", "after", "to", "in", "at", "on", "with", "from", "how's", "what's", "where's"]
)
