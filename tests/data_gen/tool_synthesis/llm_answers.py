"""What a model may answer to the agents of tool synthesis, made from the prompt alone: for `llm_double.LlmDouble`."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np

from data_gen.tool_synthesis.candidates import Candidate
from data_gen.tool_synthesis.speciation import Leaf
from toolace import Tool

Body = dict[str, Any]

# Five services with their operations; a bank that fits no topic of its neighbours, and one that is about nothing.
SERVICES = {
    "Kitchen Shelf": ("search_recipes", "Searches recipes by ingredient.", "scale_recipe", "Scales a recipe."),
    "Sky Desk": ("get_forecast", "Gets the weather forecast of a city.", "list_storms", "Lists storms near a place."),
    "Hive Book": ("record_hive", "Records a beehive.", "log_honey", "Logs the honey harvest for groceries.",
                  "find_swarm", "Finds bees that like beer."),
    "Rail Hub": ("search_trains", "Searches trains between stations.", "reserve_seat", "Reserves a seat on a train."),
    "Ledger One": ("post_invoice", "Posts an invoice for beer.", "list_invoices", "Lists the invoices of a customer."),
}  # fmt: skip


def candidates(services: dict[str, tuple[str, ...]] | None = None) -> list[Candidate]:
    """Tools of the services, as `candidates.read_candidates` gives them."""
    found = []
    for title, texts in (services or SERVICES).items():
        for name, about in zip(texts[::2], texts[1::2], strict=True):
            schema = {"type": "object", "properties": {"place": {"type": "string", "description": "Name of a place."}}}
            source = {"package": "files", "version": "1", "file": "specs.json"}
            tool = Tool(name, about, schema, id=f"made:{name}", path=(title,), origin="real", source=source)
            found.append(Candidate(tool, Leaf(f"files/{title}", title, "", f"{name} {about}")))
    return found


def answer(body: Body) -> str:
    """The first listed topic and the document's operations; "none"; or an API that covers what is asked."""
    kind = body["response_format"]["json_schema"]["name"]
    said = next(message["content"] for message in body["messages"] if message["role"] == "user")
    if kind == "same_topic":
        return json.dumps({"same_as": "none"})
    return json.dumps(proposal(said) if kind == "speciation" else definition(said))


def title_of(body: Body) -> str:
    """The service that a speciation prompt is about."""
    said = next(message["content"] for message in body["messages"] if message["role"] == "user")
    found = re.search(r"<document>\n# (.+)", said)
    return found[1] if found else ""


def proposal(said: str, **changes: Any) -> dict[str, Any]:
    """A good answer to a speciation prompt."""
    listed = re.search(r"^- (.+?) > (.+)$", said, re.MULTILINE)
    assert listed
    done = re.findall(r"^- `(\w+)`: (.+)$", said, re.MULTILINE)
    named = [{"name": name.replace("_", " "), "description": about} for name, about in done]
    found = {"primary": listed[1], "sub_domain": listed[2], "reason": "The document is about it."}
    return {
        **found,
        "functionalities": named or [{"name": "fill a form", "description": "Fills a form in."}],
        **changes,
    }


def definition(said: str, **changes: Any) -> dict[str, Any]:
    """A good answer to an evolution prompt: it covers the nodes, and no two prompts get the same one."""
    nodes = re.findall(r"^- (.+?): (.+?) \(from: ", said, re.MULTILINE)
    word = "".join(chr(97 + digit % 26) for digit in hashlib.sha256(said.encode()).digest()[:7])
    about = f"Handles {' and '.join(name for name, _ in nodes)} for the {word} desk of {word[::-1]}."
    parameters = {
        "place": {"type": "string", "description": "Name of the place.", "maxLength": 40},
        "rows": {
            "type": "array", "description": "Rows of numbers.",
            "items": {"type": "array", "items": {"type": "number"}},
        },
        "mode": {"type": "string", "description": "How to do it.", "enum": ["fast", "thorough"]},
    }  # fmt: skip
    made = {
        "name": f"{'_'.join(nodes[0][0].split())}_{word}",
        "description": about,
        "parameters": {"type": "object", "properties": parameters, "required": ["place"]},
        "returns": {"type": "object", "properties": {"done": {"type": "boolean"}}, "required": []},
    }
    return {**made, **changes}


def by_words(texts: Any, tokens: int = 0) -> Any:
    """Texts as unit vectors of the words they hold, in place of sentence embeddings: quick, and easy to foretell."""
    vectors = np.zeros((len(texts), 4096), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in re.findall(r"[a-z]+", text.lower()):
            row[int(hashlib.sha256(word.encode()).hexdigest()[:6], 16) % 4096] = 1
        row /= max(1e-9, float(np.linalg.norm(row)))
    return vectors
