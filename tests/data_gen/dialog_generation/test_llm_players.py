"""What each player does with an answer, asked through a model that answers from a list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from scripted_brain import TOOLS

from data_gen.dialog_generation.agents import Aim, Decision, Scene, Wish
from data_gen.dialog_generation.facts import earlier_facts
from data_gen.dialog_generation.llm_assistant import LlmAssistantPlayer, vote
from data_gen.dialog_generation.llm_tool import LlmToolPlayer
from data_gen.dialog_generation.llm_user import LlmUserPlayer
from data_gen.dialog_generation.offline_players import OfflineToolPlayer, suggestions
from toolace import Call, Message
from toolace.chat import BadAnswer, ChatReply, ChatRequest, Choice, Usage
from toolace.structured import Fault, read_choice

BY_NAME = {tool.name: tool for tool in TOOLS}
TABLE, BOOK, CANCEL = (BY_NAME[name] for name in ("find_restaurant", "book_table", "cancel_table"))


class Answering:
    """A ChatModel that gives the next of some answers, judged as the chat layer judges them, without asking again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = [answer if isinstance(answer, str) else json.dumps(answer) for answer in answers]
        self.asked: list[ChatRequest] = []

    async def chat(self, request: ChatRequest) -> ChatReply:
        self.asked.append(request)
        read = [read_choice(self.answers.pop(0), "", "stop", request.schema) for _ in range(request.sampling.n)]
        good = [choice for choice in read if isinstance(choice, Choice)]
        faults = [fault for fault in read if isinstance(fault, Fault)]
        if not good:
            raise BadAnswer(faults[0].reason, faults[0].detail, "", Usage())
        return ChatReply(tuple(good))


def scene(*tools: Any, **changes: Any) -> Scene:
    values = {"persona": "a nurse", "manner": "short", "meta": {"seed": 1}, **changes}
    return Scene(0, "dialog-000000", "single", tools, (Aim("single", tools[:1]),), **values)


def decided(action: str, calls: Sequence[Call] = (), reply: str = "") -> dict[str, Any]:
    thinking = {"tool_needed": True, "tools": [], "required_missing": [], "optional_given": [], "order": "one"}
    return {"thinking": thinking, "action": action, "calls": [call.to_json() for call in calls], "reply": reply}


ASKED = [Message("user", "A table for 4 in Oslo, please.")]
OSLO = Call("find_restaurant", {"city": "Oslo", "seats": 4})


def decide(answers: Sequence[Any], messages: Sequence[Message] = ASKED, samples: int = 1) -> Decision:
    player = LlmAssistantPlayer(Answering(*answers), samples)
    return asyncio.run(player.decide(scene(TABLE, BOOK), Aim("single", (TABLE,)), Wish(""), messages))


def test_a_decision_becomes_calls() -> None:
    assert decide([decided("call", [OSLO])]) == Decision("call", (OSLO,), "", 1.0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (decided("call", [Call("find_hotel", {})]), "there is no function 'find_hotel'"),
        (decided("call", [Call("find_restaurant", {"city": "Oslo"})]), "'seats' is a required property"),
        (decided("call", [Call("find_restaurant", {"city": "Oslo", "seats": "four"})]), "is not of type 'integer'"),
        (decided("call", [Call("find_restaurant", {"city": "Oslo", "seats": 44})]), "maximum"),
        (decided("call", [Call("find_restaurant", {**OSLO.arguments, "view": "sea"})]), "has no parameter 'view'"),
        (decided("call", [OSLO, OSLO]), "the same call"),
        (decided("call"), '"calls" is empty'),
        (decided("answer", [OSLO], "Well."), '"calls" is not empty'),
        (decided("ask"), '"reply" is empty'),
        (decided("summarise", (), "It is done."), "there is no result"),
        ({**decided("call", [OSLO]), "thinking": "none"}, "is not of type 'object'"),
        ("[find_restaurant(city='Oslo', seats=4)]", "not JSON"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_is_told_why(answer: Any, reason: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        decide([answer])
    assert reason in refused.value.detail


def test_a_call_whose_result_is_there_is_not_made_again_but_one_that_failed_may_be() -> None:
    calling = Message("assistant", calls=(OSLO,), call_ids=("call_0",))
    good, bad = '{"restaurant": "Fjord", "stars": 4}', '{"error": "busy"}'
    with pytest.raises(BadAnswer, match="was made before"):
        decide([decided("call", [OSLO])], [*ASKED, calling, Message("tool", good, name=TABLE.name)])
    again = decide([decided("call", [OSLO])], [*ASKED, calling, Message("tool", bad, name=TABLE.name)])
    assert again.calls == (OSLO,)


def test_samples_agree_on_equal_calls_whatever_their_order_and_the_spelling_of_numbers() -> None:
    one, two = Call("a", {"x": 1, "y": "b "}), Call("c", {})
    same = [Decision("call", (one, two)), Decision("call", (two, Call("a", {"y": "b", "x": 1.0})))]
    assert vote(same, 2).share == 1.0 and vote(same, 2).calls == (one, two)
    assert vote([Decision("answer", text="No."), Decision("answer", text="Sorry, no.")], 2).share == 1.0
    other = [*same, Decision("call", (Call("a", {"x": 2, "y": "b"}), two))]
    assert vote(other, 3).share == pytest.approx(2 / 3)
    assert vote([Decision("call", (one,)), Decision("ask", text="Which?")], 2).share == 0.5


def test_a_sample_that_cannot_be_used_agrees_with_nobody() -> None:
    answers = [decided("call", [OSLO]), decided("call"), decided("call", [OSLO])]
    assert decide(answers, samples=3).share == pytest.approx(2 / 3)


def test_the_server_is_sent_the_functions_own_parameters_as_the_schema() -> None:
    model = Answering(decided("call", [OSLO]))
    asyncio.run(LlmAssistantPlayer(model, 1).decide(scene(TABLE), Aim("single"), Wish(""), ASKED))
    schema = model.asked[0].schema
    assert schema is not None
    sent = schema.response_format["json_schema"]["schema"]["properties"]["calls"]["items"]["anyOf"]
    assert sent[0]["properties"]["name"] == {"const": "find_restaurant"}
    assert sent[0]["properties"]["arguments"]["properties"]["seats"] == {"type": "integer", "minimum": 1, "maximum": 9}


BOOKED = [
    Message("user", "Book Fjord for 2."),
    Message("assistant", calls=(Call("book_table", {"restaurant": "Fjord", "seats": 2}),), call_ids=("call_0",)),
    Message("tool", '{"booking_id": "B-77", "name": "Lindqvist", "status": "open"}', name="book_table"),
    Message("assistant", "Booked under B-77."),
    Message("user", "Cancel it."),
]
CANCELLED = Call("cancel_table", {"booking_id": "B-77"})


def answered(result: Any, messages: Sequence[Message] = BOOKED, call: Call = CANCELLED, errors: float = 0.0) -> str:
    tools = (BOOK, CANCEL, TABLE)
    player = LlmToolPlayer(Answering({"result_1": result}))
    return asyncio.run(player.answer(scene(*tools, errors=errors), messages, [call]))[0]


def test_a_result_fits_the_definition_and_is_kept_as_json() -> None:
    assert json.loads(answered({"status": "cancelled", "booking_id": "B-77"})) == {
        "status": "cancelled", "booking_id": "B-77",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"stat": 1}, "'status' is a required property"),
        ({"status": 1}, "is not of type 'string'"),
        ({"error": "gone"}, "does not fail"),
        ({}, "empty"),
        ({"status": "x" * 5000}, "longer than"),
        ({"status": "ok", "booking_id": "B-78"}, "the call is about 'B-77'"),
        ({"status": "ok", "name": "Svensson"}, "an earlier result said 'Lindqvist'"),
    ],
)
def test_a_result_that_does_not_fit_or_contradicts_what_was_told_is_refused(result: Any, reason: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        answered(result)
    assert reason in refused.value.detail


def test_what_may_change_between_two_results_may_change() -> None:
    assert json.loads(answered({"status": "cancelled"}))["status"] == "cancelled"


def test_a_call_that_is_to_fail_gets_an_error_and_nothing_else() -> None:
    assert answered({"error": "the kitchen is closed"}, errors=1.0) == '{"error": "the kitchen is closed"}'
    with pytest.raises(BadAnswer, match="this call fails"):
        answered({"status": "cancelled"}, errors=1.0)


def test_the_offline_tool_says_the_same_of_a_thing_as_before() -> None:
    again = Call("show_booking", {"booking_id": "B-77"})
    assert earlier_facts(BOOKED, again) == {"name": "Lindqvist", "status": "open"}
    assert earlier_facts(BOOKED, Call("show_booking", {"booking_id": "B-99"})) == {}
    assert earlier_facts(BOOKED, Call("count", {"seats": 2})) == {}  # a number alone names nothing
    result = asyncio.run(OfflineToolPlayer().answer(scene(CANCEL), BOOKED, [CANCELLED]))
    assert json.loads(result[0]) == {"status": "open"}


def test_the_offline_tool_answers_the_same_call_in_the_same_place_alike() -> None:
    results = [asyncio.run(OfflineToolPlayer().answer(scene(TABLE), ASKED, [OSLO])) for _ in range(2)]
    assert results[0] == results[1]


def ask(answer: str, aim: Aim, messages: Sequence[Message] = (), **changes: Any) -> tuple[Wish, str]:
    model = Answering({"message": answer})
    wish = asyncio.run(LlmUserPlayer(model, 0.5).ask(scene(TABLE, BOOK, **changes), aim, messages))
    return wish, json.dumps(model.asked[0].messages)


def test_the_user_is_told_who_it_is_what_to_ask_for_and_how_far_from_the_description() -> None:
    wish, prompt = ask(" Somewhere to eat? ", Aim("single", (TABLE,)), level=1)
    assert wish.text == "Somewhere to eat?" and not wish.steps
    assert "a nurse" in prompt and "Finds a restaurant in a city" in prompt and "not in the description" in prompt
    assert "Values you may use" in prompt


def test_what_is_left_out_is_not_suggested_to_the_user() -> None:
    _, prompt = ask("Find a table.", Aim("withheld", (TABLE,), "city"))
    suggested = prompt.split("Values you may use")[1]
    assert "seats" in suggested and "city" not in suggested


@pytest.mark.parametrize(
    ("text", "reason"),
    [("Please run find_restaurant.", "function name"), ("   ", "empty"), (ASKED[0].content, "repeats an earlier one")],
)
def test_a_message_that_is_no_users_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        ask(text, Aim("single", (TABLE,)), ASKED)
    assert reason in refused.value.detail


def test_suggested_values_are_drawn_anew_for_each_dialog() -> None:
    drawn = {json.dumps(suggestions(TABLE, scene(TABLE, attempt=i), 0, 1.0)) for i in range(20)}
    assert len(drawn) > 15
