from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pools import everyday_pool, mixed_pool

from data_gen.dialog_generation import sentences
from data_gen.dialog_generation.phrases import phrases_of
from data_gen.dialog_generation.sentences import (
    Sentence,
    append_clauses,
    capital,
    dress,
    join_clauses,
    lowered,
    mood_of,
)
from data_gen.dialog_generation.user import _NUMBER_WORDS, OfflineUser, Request, askable
from data_gen.documents.everyday import seeds
from toolace import Tool

COUNT = 6000
# Names that repeat a word of their own, and values that begin with the word for them.
REPEATING_NAMES = re.compile(r"La La Land|New York, New York|arn(?= arn:aws)")
DIRT = re.compile(
    r"[{}]|  |\?\?|\.\.(?!\.)| [,;?]| \.(?!\w)|,,|[?!],|,\.|: \.|;;|\?\.|"
    r"\b([^\W\d]+) \1\b|\band,|, and and\b|\bnothing else\b"
)


@cache
def askable_tools() -> tuple[Tool, ...]:
    return tuple(tool for tool in mixed_pool() if askable(tool))


@cache
def requests() -> tuple[tuple[tuple[Tool, ...], Request], ...]:
    """Thousands of requests of all three shapes, over everyday and real tools."""
    rng = random.Random(11)
    user = OfflineUser(rng, 0.5)
    everyday = [tool for tool in askable_tools() if tool.id.startswith("everyday:")]
    made = []
    for i in range(COUNT):
        tools = everyday if i % 4 else askable_tools()
        tool = rng.choice(tools)
        if i % 3 == 0:
            made.append(((tool,), user.ask_one(tool)))
        elif i % 3 == 1:
            made.append(((tool,), user.ask_same(tool, rng.choice((2, 2, 3)))))
        else:
            pair = tuple(rng.sample(tools, 2))
            made.append((pair, user.ask_several(pair)))
    return tuple(made)


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner)


def spellings(text: str) -> set[str]:
    """How a text argument may stand in a request: as it is, with spaces for underscores, a date in words."""
    found = {text, text.replace("_", " ")}
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        from datetime import date

        day = date.fromisoformat(text)
        found.add(f"{day:%B} {day.day}, {day.year}")
    return found


def holds(request: str, text: str) -> bool:
    """Whether a spelling stands in the request as words of its own; its first letter may begin a sentence."""
    for spelling in spellings(text):
        first = spelling[:1]
        start = f"[{re.escape(first.upper())}{re.escape(first)}]" if first.isalpha() else re.escape(first)
        if re.search(rf"(?<![A-Za-z0-9]){start}{re.escape(spelling[1:])}(?![A-Za-z0-9])", request):
            return True
    return False


def test_every_text_argument_stands_in_the_request() -> None:
    for _, request in requests():
        for call in request.calls:
            for text in texts_in(call.arguments):
                assert holds(request.text, text), f"{text!r} is not in {request.text!r}"


def test_every_number_argument_stands_in_the_request() -> None:
    for _, request in requests():
        for call in request.calls:
            for number in numbers_in(call.arguments):
                ways = {str(number), f"{number:,}"}
                if type(number) is int and 2 <= number <= 10:
                    ways.add(_NUMBER_WORDS[number])
                found = any(
                    re.search(rf"(?<![\w.]){re.escape(way)}(?![\w]|[.,]\d)", request.text, re.I) for way in ways
                )
                assert (
                    found or f"{number}x" in request.text or re.search(rf"\D{re.escape(str(number))}\D", request.text)
                ), f"{number} is not in {request.text!r}"


def test_a_name_written_in_its_own_way_is_never_capitalised() -> None:
    """A file, a user name or an identifier begins a sentence as it is."""
    for _, request in requests():
        for call in request.calls:
            for text in texts_in(call.arguments):
                if re.search(r"[./@#\\\d]", text) and " " not in text and text not in request.text:
                    assert spellings(text) & {part for part in spellings(text) if part in request.text}, request.text


def test_no_request_is_dirty() -> None:
    dirty = []
    for _, request in requests():
        found = DIRT.search(REPEATING_NAMES.sub("X", request.text))
        if found:
            dirty.append((found[0], request.text))
    assert dirty == []


def test_requests_differ_and_no_frame_is_worn_out() -> None:
    texts = [request.text for _, request in requests()]
    assert len(set(texts)) >= 0.985 * len(texts)
    frames = [frame.split("{")[0].strip() for group in sentences._NEXT.values() for frame in group if frame != "{}"]
    for phrase in {*map(str.strip, sentences._OPENINGS), *map(str.strip, sentences._CLOSINGS), *frames, "Please"}:
        share = sum(text.startswith(f"{phrase} ") or f". {phrase} " in text or text.endswith(phrase) for text in texts)
        assert 0 < share <= 0.12 * len(texts), f"{phrase!r} in {share} of {len(texts)} requests"
    first_words = Counter(" ".join(text.split()[:3]) for text in texts)
    assert first_words.most_common(1)[0][1] <= 0.03 * len(texts)


def test_openers_of_a_tool_are_all_used() -> None:
    tool = askable_tools()[0]
    user = OfflineUser(random.Random(1), 0.0)
    asks = phrases_of(tool).asks
    starts = {ask.split("{")[0].strip().lower()[:18] for ask in asks if not ask.startswith("{")}
    texts = [user.ask_one(tool).text.lower() for _ in range(300)]
    assert all(any(start in text for text in texts) for start in starts)


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    def ten(seed: int) -> list[str]:
        user = OfflineUser(random.Random(seed))
        return [user.ask_one(tool).text for tool in askable_tools()[:10]]

    assert ten(5) == ten(5)
    assert ten(5) != ten(6)


def test_all_calls_of_a_request_give_what_is_required_and_nothing_unknown() -> None:
    for tools, request in requests():
        by_name = {tool.name: tool for tool in tools}
        for call in request.calls:
            tool = by_name[call.name]
            assert set(tool.required) <= set(call.arguments) <= set(tool.properties)


def test_the_calls_of_one_request_differ() -> None:
    for _, request in requests():
        assert all(call not in request.calls[:i] for i, call in enumerate(request.calls))


def test_optional_parameters_follow_the_share() -> None:
    def share(optional: float) -> float:
        user = OfflineUser(random.Random(2), optional)
        given = possible = 0
        for tool in (tool for tool in everyday_pool()[0] for _ in range(3)):
            call = user.ask_one(tool).calls[0]
            names = [name for name in tool.properties if name not in tool.required]
            possible, given = possible + len(names), given + sum(name in call.arguments for name in names)
        return given / possible

    assert share(0.0) < 0.16 < 0.3 < share(0.4) < 0.55 < 0.95 < share(1.0)


def test_a_left_out_parameter_is_neither_in_the_request_nor_in_its_words() -> None:
    rng = random.Random(3)
    user = OfflineUser(rng, 0.3)
    tools = [tool for tool in everyday_pool()[0] if user.droppable(tool)]
    assert len(tools) > 150
    for tool in tools:
        for parameter in user.droppable(tool):
            text, reply, call = user.ask_without(tool, parameter)
            value = call.arguments[parameter]
            for part in texts_in(value):
                assert holds(reply, part), (reply, value)
                if "enum" not in tool.properties[parameter]:  # a word of an enumeration can be a word of any sentence
                    assert not holds(text, part), (text, part)
            assert DIRT.search(REPEATING_NAMES.sub("X", f"{text}\n{reply}")) is None, (text, reply)
            assert set(tool.required) <= set(call.arguments)


def test_do_the_same_for_is_only_said_where_one_thing_can_be_meant() -> None:
    rng = random.Random(4)
    user = OfflineUser(rng)
    route = next(tool for tool in everyday_pool()[0] if tool.name == "gapBetweenCities")
    for _ in range(300):
        text = user.ask_same(route, 2).text
        assert "the same" not in text and "again for" not in text


@pytest.mark.parametrize(
    ("opener", "mood"),
    [
        ("What will the weather be like in {place}", "question"),
        ("I'm packing for {place}, how should I expect the sky to look", "question"),
        ("We live in {town}; which person serves as {office}", "question"),
        ("My power bill is huge and I suspect the {device}, which is on {hours} hours a day", "statement"),
        ("A bill of {sum} came in; have it paid {pay_on}", "statement"),
        ("{learner} has decided on course {number}, do the enrolment", "statement"),
        ("Do this complex {operation}, left {left}", "order"),
        ("Have {item} brought to room {room}", "order"),
        ("Find {title}", "order"),
        ("Until when can I sue for {claim}", "question"),
        ("Price history of {symbol}", "statement"),
    ],
)
def test_moods_are_read_off_the_opener(opener: str, mood: str) -> None:
    assert mood_of(opener) == mood


def test_every_seed_opener_that_begins_with_a_question_word_asks() -> None:
    for seed in seeds().values():
        for ask in seed["ask"]:
            if ask.split(" ")[0] in ("What", "How", "Which", "Who", "Where", "Is", "Are", "Can", "Could"):
                assert mood_of(ask) == "question", ask


def test_a_value_with_a_question_in_it_makes_no_question() -> None:
    user = OfflineUser(random.Random(0), 0.0)
    tool = next(tool for tool in everyday_pool()[0] if tool.name == "sms.dispatch")
    for _ in range(60):
        request = user.ask_one(tool)
        assert not request.text.rstrip('"').endswith("?") or mood_of_any(tool, request.text)


def mood_of_any(tool: Tool, text: str) -> bool:
    return any(mood_of(ask) == "question" for ask in phrases_of(tool).asks)


@pytest.mark.parametrize(
    ("sentence", "inside", "first"),
    [
        (Sentence("Compute the sum", "order"), "compute the sum", "Compute the sum"),
        (Sentence("I need it", "statement"), "I need it", "I need it"),
        (Sentence("I'm off", "statement"), "I'm off", "I'm off"),
        (Sentence("A coin", "statement"), "a coin", "A coin"),
        (Sentence("ISBN lookup", "statement"), "ISBN lookup", "ISBN lookup"),
        (Sentence("pH of lemon juice", "statement"), "pH of lemon juice", "pH of lemon juice"),
        (Sentence("Spanish forms of ser", "statement"), "Spanish forms of ser", "Spanish forms of ser"),
        (
            Sentence("The Stranger, quotations", "statement", True),
            "The Stranger, quotations",
            "The Stranger, quotations",
        ),
        (Sentence("tabby cat diet", "statement", True), "tabby cat diet", "Tabby cat diet"),
        (Sentence("backup.zip to tar", "statement", True), "backup.zip to tar", "backup.zip to tar"),
        (Sentence("maria_r, score", "statement", True), "maria_r, score", "maria_r, score"),
    ],
)
def test_capitals(sentence: Sentence, inside: str, first: str) -> None:
    assert (lowered(sentence), capital(sentence)) == (inside, first)


def test_clauses_with_their_own_and_come_last_and_get_no_second_one() -> None:
    assert join_clauses(["on Monday"]) == "on Monday"
    assert join_clauses(["on Monday", "with tea"]) == "on Monday and with tea"
    assert join_clauses(["and rate it 4", "on Monday"]) == "on Monday and rate it 4"
    assert join_clauses(["plus 2 kids", "on Monday", "with tea"]) == "on Monday, with tea, plus 2 kids"
    for seed in range(40):
        text = append_clauses("Book a table", ["and keep it", "only outside", "with tea"], random.Random(seed))
        assert text == "Book a table, only outside, with tea, and keep it"


def test_questions_end_with_a_question_mark_and_nothing_else_does() -> None:
    asks = {
        mood: {dress([Sentence("it rains", mood)], random.Random(i)) for i in range(200)} for mood in sentences._NEXT
    }
    bare = {mood: {text.rstrip() for text in texts if "rains" in text.split(" ")[-1]} for mood, texts in asks.items()}
    assert {text[-1] for text in bare["question"]} == {"?", "s"}  # some leave the mark out
    assert {text[-1] for text in bare["order"] | bare["statement"]} == {".", "s"}
    assert dress([Sentence('say "are you there?"', "order")], random.Random(1), bare=True) == 'Say "are you there?"'


def test_two_towns_of_one_request_are_two() -> None:
    tool = next(tool for tool in everyday_pool()[0] if tool.name == "gapBetweenCities")
    user = OfflineUser(random.Random(1))
    for _ in range(1500):
        arguments = user.ask_one(tool).calls[0].arguments
        assert arguments["first_city"] != arguments["second_city"]


def test_please_and_then_only_go_with_orders() -> None:
    for seed in range(400):
        statement = dress(
            [Sentence("I need tea", "statement"), Sentence("I need milk", "statement")], random.Random(seed)
        )
        assert not re.search(r"Please [iI]|Then|After that|Next", statement.removesuffix(" Please be quick."))
    openings = {dress([Sentence("Find tea", "order")], random.Random(seed)).split(" ")[0] for seed in range(400)}
    assert {"Please", "Find"} <= openings


def test_a_tool_that_wants_what_nobody_can_say_is_not_askable() -> None:
    pattern = {"type": "string", "pattern": r"^(?=.{90})arn:aws:\d{12}$", "description": "An ARN."}
    free = {"type": "object", "description": "Free-form tags."}
    for name, spec in (("arn", pattern), ("tags", free), ("filters", {"type": "array", "items": free})):
        schema = {"type": "object", "properties": {name: spec}, "required": [name]}
        assert not askable(Tool("thing.get", "Gets a thing of the account.", schema)), name
        assert askable(Tool("thing.get", "Gets a thing of the account.", {**schema, "required": []})), name
    assert len(askable_tools()) > 400
