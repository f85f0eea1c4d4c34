"""Seeded faults of turns, results, texts and definitions; see `faults`."""

from __future__ import annotations

import json
import random
from typing import Any

from data_gen.verification.faults import STRUCTURAL, Row, choose, fault, functions, turns


@fault(STRUCTURAL)
def broken_role_order(row: Row, rng: random.Random) -> bool:
    """Two neighbouring turns of different roles changed places."""
    messages = row["messages"]
    places = [i for i in range(len(messages) - 1) if messages[i]["role"] != messages[i + 1]["role"]]
    at = choose(rng, places)
    if at is None:
        return False
    messages[at], messages[at + 1] = messages[at + 1], messages[at]
    return True


@fault(STRUCTURAL)
def ends_with_the_user(row: Row, rng: random.Random) -> bool:
    """The last turn is a request that nobody answers."""
    row["messages"].append({"role": "user", "content": rng.choice(["And one more thing?", "Go on, please."])})
    return True


@fault(STRUCTURAL)
def empty_turn(row: Row, rng: random.Random) -> bool:
    """A turn without content."""
    at = rng.choice([i for i, m in enumerate(row["messages"]) if not m.get("tool_calls")])
    row["messages"][at]["content"] = rng.choice(["", " ", "\n\n"])
    return True


@fault(STRUCTURAL)
def no_answer(row: Row, rng: random.Random) -> bool:
    """Only the request is left."""
    row["messages"] = [m for m in row["messages"] if m["role"] in ("system", "user")][:2]
    return True


@fault(STRUCTURAL)
def wrong_type_label(row: Row, rng: random.Random) -> bool:
    """The dialog says it is of a type that its calls do not bear out."""
    wrong = {"single": "non_tool_use", "parallel": "single", "dependent": "non_tool_use", "non_tool_use": "parallel"}
    row["type"] = wrong.get(row["type"], "multi")
    return True


@fault(STRUCTURAL)
def result_of_another_call(row: Row, rng: random.Random) -> bool:
    """A result that belongs to another API: its members are not those that the definition returns."""
    returns = {tool["name"]: tool.get("returns") or {} for tool in row["tools"]}
    at = choose(
        rng, [i for i in turns(row, "tool") if returns.get(row["messages"][i].get("name"), {}).get("properties")]
    )
    if at is None:
        return False
    known = set(returns[row["messages"][at]["name"]]["properties"])
    strange = {"tracking_code": "ZX-1180", "carrier_notes": ["left at the door"], "bay_number": 4}
    row["messages"][at]["content"] = json.dumps({key: value for key, value in strange.items() if key not in known})
    return True


@fault(STRUCTURAL)
def result_lost(row: Row, rng: random.Random) -> bool:
    """One of several results of a turn is missing."""
    several = [i for i in turns(row, "tool") if row["messages"][i - 1]["role"] == "tool"]
    at = choose(rng, several)
    if at is None:
        return False
    del row["messages"][at]
    return True


@fault(STRUCTURAL)
def result_twice(row: Row, rng: random.Random) -> bool:
    """A result stands twice."""
    at = choose(rng, turns(row, "tool"))
    if at is None:
        return False
    row["messages"].insert(at, dict(row["messages"][at]))
    return True


@fault(STRUCTURAL)
def result_renamed(row: Row, rng: random.Random) -> bool:
    """A result names an API that was not called."""
    at = choose(rng, turns(row, "tool"))
    if at is None:
        return False
    row["messages"][at]["name"] = "another_service.lookup"
    return True


@fault(STRUCTURAL)
def results_exchanged(row: Row, rng: random.Random) -> bool:
    """The results of two different APIs changed places."""
    messages = row["messages"]
    pairs = [i for i in turns(row, "tool") if messages[i - 1]["role"] == "tool" != messages[i - 1].get("name")]
    at = choose(rng, [i for i in pairs if messages[i].get("name") != messages[i - 1].get("name")])
    if at is None:
        return False
    messages[at], messages[at - 1] = messages[at - 1], messages[at]
    return True


@fault(STRUCTURAL)
def result_mistyped(row: Row, rng: random.Random) -> bool:
    """A member of a result is of another type than the definition returns."""
    returns = {tool["name"]: (tool.get("returns") or {}).get("properties", {}) for tool in row["tools"]}
    places = []
    for i in turns(row, "tool"):
        content = _parsed(row["messages"][i]["content"])
        if isinstance(content, dict) and "error" not in content:
            known = returns.get(row["messages"][i].get("name"), {})
            places += [(i, content, k) for k in content if isinstance(known.get(k, {}).get("type"), str)]
    place = choose(rng, places)
    if place is None:
        return False
    at, content, key = place
    content[key] = {"unexpected": [1]} if not isinstance(content[key], dict) else "unexpected"
    row["messages"][at]["content"] = json.dumps(content)
    return True


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@fault(STRUCTURAL)
def call_as_text(row: Row, rng: random.Random) -> bool:
    """A call written into the text of an answer, and broken off."""
    at = choose(rng, turns(row, "assistant", calling=True))
    if at is None:
        return False
    name = row["messages"][at]["tool_calls"][0]["function"]["name"]
    del row["messages"][at + 1 :]
    row["messages"][at] = {"role": "assistant", "content": rng.choice([f'[{name}(value="a', f"Sure: [{name}(a=1)]"])}
    row["type"] = ""
    return True


@fault(STRUCTURAL)
def text_beside_call(row: Row, rng: random.Random) -> bool:
    """An answer that talks and calls, although the system text asks for nothing but calls."""
    at = choose(rng, turns(row, "assistant", calling=True))
    if at is None:
        return False
    asked = "If a function fits, answer only with the call and do not include any other text."
    row["messages"].insert(0, {"role": "system", "content": asked})
    row["messages"][at + 1]["content"] = "Let me look that up for you."
    return True


@fault(STRUCTURAL)
def bare_refusal(row: Row, rng: random.Random) -> bool:
    """A refusal that gives no reason in place of the first answer."""
    at = turns(row, "assistant")[0]
    del row["messages"][at + 1 :]
    text = rng.choice(["I can't do that.", "Sorry, that is not possible.", "Unfortunately I cannot help."])
    row["messages"][at], row["type"] = {"role": "assistant", "content": text}, "non_tool_use"
    return True


def _last_text(row: Row) -> Row | None:
    texts = turns(row, "assistant", calling=False)
    return row["messages"][texts[-1]] if texts else None


@fault(STRUCTURAL)
def truncated(row: Row, rng: random.Random) -> bool:
    """An answer that breaks off in the middle of a sentence."""
    message = _last_text(row)
    if message is None:
        return False
    message["content"] = message["content"].rstrip(" .!?") + rng.choice(
        [
            ", and the",
            " because of the",
            "; next to that there is also a",
            ", which",
            " and what I would suggest to you i",
        ]
    )
    return True


@fault(STRUCTURAL)
def repeated_text(row: Row, rng: random.Random) -> bool:
    """A phrase over and over."""
    message = _last_text(row)
    if message is None:
        return False
    message["content"] += rng.choice([" and so on", " please wait for it", " again"]) * rng.randrange(5, 30) + "."
    return True


@fault(STRUCTURAL)
def mixed_script(row: Row, rng: random.Random) -> bool:
    """Words of another script in an answer to a request in Latin letters."""
    message = _last_text(row)
    if message is None:
        return False
    message["content"] += rng.choice([" 请稍等。", " Пожалуйста, подождите.", " どうぞ。", " 감사합니다."])
    return True


@fault(STRUCTURAL)
def invalid_character(row: Row, rng: random.Random) -> bool:
    """A control, replacement or surrogate character."""
    message = rng.choice([m for m in row["messages"] if m["content"]])
    at = rng.randrange(len(message["content"]) + 1)
    message["content"] = message["content"][:at] + rng.choice("\x00\x07\x1b\ufffd\ud83d") + message["content"][at:]
    return True


@fault(STRUCTURAL)
def placeholder(row: Row, rng: random.Random) -> bool:
    """A slot that was never filled."""
    message = rng.choice([m for m in row["messages"] if m["content"] and m["role"] in ("user", "assistant")])
    slot = rng.choice(["<city>", "{user_name}", "[your name]", "Lorem ipsum dolor", "<insert date here>", "{{value}}"])
    message["content"] += f" It is {slot}."
    return True


@fault(STRUCTURAL)
def placeholder_argument(row: Row, rng: random.Random) -> bool:
    """A slot as an argument."""
    places = [(f["arguments"], k) for f in functions(row) for k, v in f["arguments"].items() if isinstance(v, str)]
    place = choose(rng, places)
    if place is None:
        return False
    place[0][place[1]] = rng.choice(["<city>", "{value}", "[Your Name]", "YOUR_API_KEY"])
    return True


@fault(STRUCTURAL)
def too_long(row: Row, rng: random.Random) -> bool:
    """An answer of five thousand characters."""
    message = _last_text(row)
    if message is None:
        return False
    message["content"] = " ".join(f"item{rng.randrange(10**6)}" for _ in range(520)) + "."
    return True


@fault(STRUCTURAL)
def tool_twice(row: Row, rng: random.Random) -> bool:
    """Two definitions of one name."""
    row["tools"].append(dict(rng.choice(row["tools"])))
    return True


@fault(STRUCTURAL)
def tool_without_words(row: Row, rng: random.Random) -> bool:
    """A definition that says nothing."""
    tool = rng.choice(row["tools"])
    tool["description"] = rng.choice(["", "  ", "API", tool["name"]])
    return True


@fault(STRUCTURAL)
def tool_schema_invalid(row: Row, rng: random.Random) -> bool:
    """A parameter whose schema is none."""
    properties = choose(rng, [t["parameters"]["properties"] for t in row["tools"] if t["parameters"].get("properties")])
    if properties is None:
        return False
    wrong: list[Row] = [{"type": "text"}, {"type": "string", "pattern": "(["}, {"type": "integer", "minimum": "one"}]
    properties[rng.choice(list(properties))] = rng.choice(wrong)
    return True


@fault(STRUCTURAL)
def tool_requires_unknown(row: Row, rng: random.Random) -> bool:
    """A definition that requires what it does not define."""
    schema = rng.choice(row["tools"])["parameters"]
    schema["required"] = [*schema.get("required", []), "undefined_parameter"]
    return True
