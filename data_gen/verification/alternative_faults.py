"""Seeded faults in other ways than `faults` and `dialog_faults` make them: a rule that knows one injector is no rule.

Texts are cut at a random place, turns and sentences said again, slots of other forms left open, values mistyped by what
models really do (numbers as text, names in another spelling), calls written into the text by other conventions.
"""

from __future__ import annotations

import json
import random

from data_gen.verification.faults import PARTIAL, STRUCTURAL, Row, choose, fault, functions, parameters, slots, turns


def _cut(text: str, rng: random.Random) -> str:
    """The text up to a random place that is no end of a sentence; "" when there is none."""
    places = [at for at in range(max(3, len(text) // 8), len(text) - 2) if text[:at].rstrip()[-1:] not in ".!?…"]
    return text[: rng.choice(places)] if places else ""


def _answers(row: Row) -> list[Row]:
    return [row["messages"][i] for i in turns(row, "assistant", calling=False)]


@fault(STRUCTURAL)
def answer_cut_anywhere(row: Row, rng: random.Random) -> bool:
    """An answer that ends at a random letter."""
    message = choose(rng, _answers(row))
    cut = _cut(message["content"], rng) if message else ""
    if not message or len(cut.split()) < 2:
        return False
    message["content"] = cut
    return True


@fault(PARTIAL)
def request_cut_anywhere(row: Row, rng: random.Random) -> bool:
    """A request that ends at a random letter; seen when a value is lost or the end cannot be one."""
    message = row["messages"][rng.choice(turns(row, "user"))]
    cut = _cut(message["content"], rng)
    if not cut:
        return False
    message["content"] = cut
    return True


@fault(STRUCTURAL)
def request_ends_in_a_phrase(row: Row, rng: random.Random) -> bool:
    """A request that ends in a word that wants another, or in an open bracket or quotation."""
    message = row["messages"][rng.choice(turns(row, "user"))]
    message["content"] = message["content"].rstrip(" .!?") + rng.choice(
        [" and the", ", and", " (for", ' "so', ",", " of my"]
    )
    return True


@fault(STRUCTURAL)
def result_cut_anywhere(row: Row, rng: random.Random) -> bool:
    """A JSON result that ends at a random letter."""
    at = choose(rng, [i for i in turns(row, "tool") if row["messages"][i]["content"][:1] in ("{", "[")])
    text = row["messages"][at]["content"] if at is not None else ""
    if len(text) < 8:
        return False
    row["messages"][at]["content"] = text[: rng.randrange(4, len(text) - 1)]
    return True


@fault(STRUCTURAL)
def answer_said_twice(row: Row, rng: random.Random) -> bool:
    """A whole answer that stands twice in its turn."""
    message = choose(rng, [m for m in _answers(row) if len(m["content"].split()) >= 5])
    if not message:
        return False
    message["content"] += rng.choice([" ", "\n", "\n\n"]) + message["content"]
    return True


@fault(STRUCTURAL)
def sentence_three_times(row: Row, rng: random.Random) -> bool:
    """A sentence three times in a row, in an answer or a request."""
    message = choose(rng, [m for m in row["messages"] if m["role"] in ("user", "assistant") and m["content"]])
    message["content"] += (
        rng.choice([" Let me check that now.", " It is what you asked for.", " This is all I have."]) * 3
    )
    return True


@fault(STRUCTURAL)
def answer_of_before(row: Row, rng: random.Random) -> bool:
    """An answer of an earlier turn given again to something else."""
    answers = [m for m in _answers(row) if len(m["content"]) >= 40]
    if len(answers) < 2 or answers[-1]["content"] == answers[0]["content"]:
        return False
    answers[-1]["content"] = answers[0]["content"]
    return True


_SLOTS = (
    "[CITY]", "[USER NAME]", "[date]", "{{user.name}}", "{{ order.id }}", "<insert name>", "<NAME>", "XXX", "XXXX",
    "%s", "%(name)s", "TODO", "TBD", "__NAME__", "INSERT_CITY_HERE", "[insert date]", "(insert name here)", "____",
)  # fmt: skip


@fault(STRUCTURAL)
def slot_of_another_form(row: Row, rng: random.Random) -> bool:
    """A slot that was never filled, in one of many forms, inside a sentence."""
    message = choose(rng, [m for m in row["messages"] if m["content"] and m["role"] in ("user", "assistant")])
    message["content"] = f"Dear {rng.choice(_SLOTS)}, {message['content']}"
    return True


@fault(STRUCTURAL)
def argument_of_another_form(row: Row, rng: random.Random) -> bool:
    """A slot, or what people write where they have no value, as an argument."""
    places = [s for s in slots(row) if isinstance(s.value, str) and s.value]
    slot = choose(rng, places)
    return slot is not None and slot.put(rng.choice([*_SLOTS, "N/A", "n/a", "...", "???", "placeholder", "TBA"]))


@fault(STRUCTURAL)
def number_as_text(row: Row, rng: random.Random) -> bool:
    """A number or a boolean in quotation marks, as small models write them."""
    places = [s for s in slots(row) if type(s.value) in (int, float, bool)]
    slot = choose(rng, [s for s in places if s.schema.get("type") in ("integer", "number", "boolean")])
    return slot is not None and slot.put(json.dumps(slot.value))


@fault(STRUCTURAL)
def null_argument(row: Row, rng: random.Random) -> bool:
    """A value that is null where the definition has a type."""
    slot = choose(rng, [s for s in slots(row) if isinstance(s.schema.get("type"), str) and s.schema["type"] != "null"])
    return slot is not None and slot.put(None)


@fault(STRUCTURAL)
def list_for_one(row: Row, rng: random.Random) -> bool:
    """One value in a list of its own, or a list that became its first item."""
    slot = choose(rng, [s for s in slots(row) if isinstance(s.schema.get("type"), str)])
    if slot is None:
        return False
    slot.holder[slot.key] = slot.value[0] if isinstance(slot.value, list) and slot.value else [slot.value]
    return True


@fault(STRUCTURAL)
def option_in_another_spelling(row: Row, rng: random.Random) -> bool:
    """An option in capitals, or with a blank for an underscore."""
    places = []
    for slot in slots(row):
        options = slot.schema.get("enum")
        if isinstance(slot.value, str) and options:
            others = [slot.value.upper(), slot.value.title(), slot.value.replace("_", " "), f" {slot.value}"]
            places += [(slot, other) for other in others if other not in options]
    place = choose(rng, places)
    return place is not None and place[0].put(place[1])


@fault(STRUCTURAL)
def empty_required_text(row: Row, rng: random.Random) -> bool:
    """A required text that is empty, or blank."""
    places = [s for s in slots(row) if s.required and s.depth == 0 and s.schema.get("type") == "string"]
    slot = choose(rng, [s for s in places if isinstance(s.holder, dict)])
    return slot is not None and slot.put(rng.choice(["", " "]))


@fault(STRUCTURAL)
def name_in_another_spelling(row: Row, rng: random.Random) -> bool:
    """An API called in another case, or without the part before its dot."""
    function = choose(rng, functions(row))
    known = {tool["name"] for tool in row["tools"]}
    if function is None:
        return False
    name = function["name"]
    others = [
        name.upper(),
        name.swapcase(),
        name.rpartition(".")[2] + "_",
        name.replace("_", "-").replace(".", "-") + "-",
    ]
    function["name"] = rng.choice([other for other in others if other not in known])
    return True


@fault(STRUCTURAL)
def parameter_in_another_spelling(row: Row, rng: random.Random) -> bool:
    """A parameter written in another way than defined, such as in capitals."""
    places = []
    for function in functions(row):
        known = parameters(row, function["name"]).get("properties", {})
        places += [
            (function["arguments"], key, key.upper()) for key in function["arguments"] if key.upper() not in known
        ]
    place = choose(rng, places)
    if place is None:
        return False
    place[0][place[2]] = place[0].pop(place[1])
    return True


@fault(STRUCTURAL)
def call_of_a_template(row: Row, rng: random.Random) -> bool:
    """A call written into the content, in the tags of a chat template or as bare JSON."""
    at = choose(rng, turns(row, "assistant", calling=True))
    if at is None:
        return False
    function = row["messages"][at]["tool_calls"][0]["function"]
    text = json.dumps({"name": function["name"], "arguments": function["arguments"]})
    forms = [
        f"<tool_call>\n{text}\n</tool_call>", f"<functioncall> {text}", f"Sure!\n```json\n{text}\n```", text,
        f"[TOOL_CALLS] [{text}]", f"<|python_tag|>{text}", f"<function={function['name']}>{{}}</function>",
        f"Action: {function['name']}\nAction Input: {json.dumps(function['arguments'])}",
    ]  # fmt: skip
    del row["messages"][at + 1 :]
    row["messages"][at], row["type"] = {"role": "assistant", "content": rng.choice(forms)}, "non_tool_use"
    return True


@fault(STRUCTURAL)
def answer_in_another_script(row: Row, rng: random.Random) -> bool:
    """One word of another script in the middle of an answer."""
    message = choose(rng, _answers(row))
    if not message:
        return False
    words = message["content"].split(" ")
    words.insert(rng.randrange(len(words) + 1), rng.choice(["天气", "погода", "الطقس", "날씨", "मौसम", "καιρός"]))
    message["content"] = " ".join(words)
    return True


@fault(STRUCTURAL)
def turn_left_out(row: Row, rng: random.Random) -> bool:
    """A turn of the assistant's is missing between two of the user's, or a call before its result."""
    messages = row["messages"]
    places = [i for i in turns(row, "assistant") if i + 1 < len(messages)]
    at = choose(rng, places)
    if at is None:
        return False
    del messages[at]
    return True


@fault(PARTIAL)
def asks_for_what_was_said(row: Row, rng: random.Random) -> bool:
    """A question for a required value that the request holds, in place of the call."""
    at = choose(rng, [i for i in turns(row, "assistant", calling=True) if row["messages"][i - 1]["role"] == "user"])
    if at is None:
        return False
    function = row["messages"][at]["tool_calls"][0]["function"]
    required = parameters(row, function["name"]).get("required", [])
    name = choose(rng, [name for name in required if name in function["arguments"]])
    if name is None:
        return False
    del row["messages"][at:]
    text = f"To use {function['name']} I need the {name.replace('_', ' ')}. Could you tell me?"
    row["messages"].append({"role": "assistant", "content": text})
    row["type"] = "non_tool_use"
    return True
