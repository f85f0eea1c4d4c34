"""A brain for LlmDouble that plays the three agents from what they are told: the same prompts a real model would get.

The user writes clauses, "Books a table in a restaurant [city = Oslo; seats = 4].", out of the functions and values in
its task. The assistant finds the function by its description, asks for what is missing, and takes values out of
results. The tool makes results from the schema it is asked for. Everything follows from the request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from toolace import Tool

Body = dict[str, Any]
FROM_RESULT = "what the first step tells"


def tool(name: str, description: str, domain: str, parameters: dict[str, Any], returns: dict[str, Any]) -> Tool:
    schema = {"type": "object", "properties": parameters, "required": [p for p in parameters if p != "note"]}
    shape = {"type": "object", "properties": returns, "required": list(returns)}
    return Tool(name, description, schema, shape, id=f"evolved:{name}", domain=domain, path=(domain,))


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 9}
_FLAG = {"type": "boolean"}
_CITY = {"type": "string", "description": "Name of a city"}
TOOLS = (
    tool("find_restaurant", "Finds a restaurant in a city", "food", {"city": _CITY, "seats": _NUMBER},
         {"restaurant": _TEXT, "stars": _NUMBER}),
    tool("book_table", "Books a table in a restaurant", "food", {"restaurant": _TEXT, "seats": _NUMBER},
         {"booking_id": _TEXT, "status": _TEXT}),
    tool("cancel_table", "Cancels the booking of a table", "food", {"booking_id": _TEXT}, {"status": _TEXT}),
    tool("rate_dish", "Rates a dish", "food", {"dish": _TEXT, "stars": _NUMBER}, {"average": {"type": "number"}}),
    tool("search_flight", "Searches a flight to a city", "travel", {"city": _CITY, "passengers": _NUMBER},
         {"flight_id": _TEXT, "price": _NUMBER}),
    tool("flight_status", "Tells the status of a flight", "travel", {"flight_id": _TEXT}, {"status": _TEXT}),
    tool("rent_car", "Rents a car in a city", "travel", {"city": _CITY, "days": _NUMBER}, {"car": _TEXT}),
    tool("play_song", "Plays a song in a room", "home", {"song": _TEXT, "room": _TEXT}, {"playing": _FLAG}),
    tool("set_lamp", "Sets the lamp of a room", "home", {"room": _TEXT, "level": _NUMBER}, {"status": _TEXT}),
)  # fmt: skip


def brain(body: Body) -> str | list[str]:
    """The answer of whichever agent is asked for."""
    name = body["response_format"]["json_schema"]["name"]
    play: dict[str, Callable[[Body], Any]] = {
        "user_message": _user,
        "assistant_decision": _assistant,
        "tool_results": _tool,
    }
    return json.dumps(play[name](body))


def _prompts(body: Body) -> tuple[str, str]:
    messages = body["messages"]
    return messages[0]["content"], messages[1]["content"]


def _functions(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"name":')]


def number_of(body: Body) -> int:
    """A number that goes with what is asked; how the schema is demanded, in words or not, does not change it."""
    return int(hashlib.sha256(body["messages"][1]["content"].encode()).hexdigest()[:8], 16)


def _user(body: Body) -> dict[str, str]:
    task = _prompts(body)[1].rsplit("\n\n", 1)[0]
    functions = {f["name"]: f for f in _functions(task)}
    if "Answer the assistant's question" in task:
        values = json.loads(task.split("Values you may use where they are asked for: ")[1].rstrip("."))
        return {"message": f"It is this {_clause('', values)}"}
    if "Say this in your own words" in task:
        return {"message": "Well then. " + task.split("exactly as it is:\n")[1]}
    if not functions:
        return {"message": f"Good day number {number_of(body)}, how are things?"}
    if "the assistant has no function" in task or "The assistant has only these functions" in task:
        first = next(iter(functions.values()))
        return {"message": f"{first['description']} for case {number_of(body) % 9973}, would you?"}
    given = task.partition("Values you may use: ")[2].rstrip(".")
    hints = [json.loads(part) for part in given.split("; ")] if given else []
    listed = re.search(r"these functions, (.*):\n", task)
    names = list(functions)
    if listed:
        pairs = [part.split(" x ") for part in listed[1].split(", ")]
        names = [name for count, name in pairs for _ in range(int(count))]
    taken = re.search(r"needs a value \(its parameter (\w+)\)", task)
    clauses = []
    for i, name in enumerate(names):
        values = dict(hints[i]) if i < len(hints) else {}
        if taken and i == 1:
            values[taken[1]] = FROM_RESULT
        clauses.append(_clause(functions[name]["description"], values))
    return {"message": f"{' '.join(clauses)} That is matter {number_of(body) % 9973}."}


def _clause(description: str, values: dict[str, Any]) -> str:
    return f"{description} [{'; '.join(f'{name} = {value}' for name, value in values.items())}]."


def _assistant(body: Body) -> dict[str, Any]:
    system, said = _prompts(body)
    functions = _functions(system)
    lines = said.split("The conversation so far:\n")[1].split("\n\nDecide")[0].splitlines()
    start = _request_at(lines)
    wanted = _wanted(lines[start], functions)
    for line in lines[start + 1 :]:
        if line.startswith("USER: It is this") and wanted:
            told = _pairs(line)
            for name, spec in wanted[0][0]["parameters"]["properties"].items():
                if name in told:
                    wanted[0][1].setdefault(name, _typed(told[name], spec))
    results = [line.partition(": ")[2] for line in lines[start + 1 :] if line.startswith("TOOL ")]
    made = sum(line.startswith("ASSISTANT CALLS") for line in lines[start + 1 :])
    waiting = [pair for pair in wanted if FROM_RESULT in pair[1].values()]
    if not wanted:
        return _decided("answer", reply="None of the functions that I have fits this request.")
    lacking = [p for f, args in wanted for p in f["parameters"].get("required", ()) if p not in args]
    if lacking:
        return _decided("ask", reply=f"Which {lacking[0].replace('_', ' ')} should it be?")
    if waiting and results and made == 1 and '"error"' not in results[0]:
        function, args = waiting[0]
        found = json.loads(results[0])
        filled = {p: _taken(p, found) if v == FROM_RESULT else v for p, v in args.items()}
        return _decided("call", [{"name": function["name"], "arguments": filled}])
    if results:
        told = results[-1][:200].strip("{}")
        return _decided("summarise", reply=f"To request {number_of(body)} this came back: {told}.")
    return _decided("call", [{"name": f["name"], "arguments": args} for f, args in wanted if (f, args) not in waiting])


def _request_at(lines: Sequence[str]) -> int:
    return max(
        i for i, line in enumerate(lines) if line.startswith("USER: ") and not line.startswith("USER: It is this")
    )


def _wanted(line: str, functions: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for description, values in re.findall(r"([A-Z][^\[\].]*) \[([^\]]*)\]", line.removeprefix("USER: ")):
        function = next((f for f in functions if f["description"].rstrip(".") == description.strip()), None)
        if function:
            specs = function["parameters"]["properties"]
            told = _pairs(f"[{values}]")
            found.append((function, {p: _typed(told[p], specs[p]) for p in specs if p in told}))
    return found


def _pairs(line: str) -> dict[str, str]:
    inside = re.search(r"\[([^\]]*)\]", line)
    parts = [part.split(" = ", 1) for part in inside[1].split("; ")] if inside else []
    return {pair[0]: pair[1] for pair in parts if len(pair) == 2}


def _typed(text: str, spec: dict[str, Any]) -> Any:
    return int(text) if spec.get("type") == "integer" and text != FROM_RESULT else text


def _taken(parameter: str, result: dict[str, Any]) -> Any:
    return result.get(parameter, next(iter(result.values())))


def _decided(action: str, calls: Sequence[dict[str, Any]] = (), reply: str = "") -> dict[str, Any]:
    thinking = {"tool_needed": bool(calls), "tools": [c["name"] for c in calls], "required_missing": [],
                "optional_given": [], "order": "one" if calls else "none"}  # fmt: skip
    return {"thinking": thinking, "action": action, "calls": list(calls), "reply": reply}


def _tool(body: Body) -> dict[str, Any]:
    members = body["response_format"]["json_schema"]["schema"]["properties"]
    calls = re.findall(r"^(result_\d+): (\{.*?\}\})", _prompts(body)[1], re.MULTILINE)
    arguments = {key: json.loads(text)["arguments"] for key, text in calls}
    return {key: _made(schema, arguments.get(key, {}), f"{number_of(body)}{key}") for key, schema in members.items()}


def _made(schema: dict[str, Any], arguments: dict[str, Any], salt: str) -> Any:
    kind = schema.get("type")
    if kind == "object":
        if list(schema.get("properties", {})) == ["error"]:
            return {"error": "the service is busy, try again later"}
        return {p: arguments.get(p, _made(s, {}, salt + p)) for p, s in schema.get("properties", {}).items()}
    digest = hashlib.sha256(salt.encode()).hexdigest()
    if kind in ("integer", "number"):
        return 1 + int(digest[:4], 16) % 9
    return True if kind == "boolean" else f"Q{digest[:7]}"
