"""The offline assistant agent: words for the turns in which it does not call (paper Sec. 2.2, four actions).

Calls themselves are known from the plan of the dialog; this player only finds the words of the other three actions:
asking for what is missing, summarising a result, and declining.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from data_gen.dialog_generation.phrases import words
from data_gen.dialog_generation.values import and_list
from toolace import Tool

_DECLINE = (
    "None of the available functions can do that. They only cover {topics}.",
    "I'm sorry, I can't help with this: the functions I have are for {topics}.",
    "The functions I was given ({topics}) don't fit this request, so I can't carry it out.",
    "That is outside of what I can do here. I could help with {topics}.",
    "No function in the list can be used for this. What I have is {topics}.",
    "I don't have a function for that. If you need {topics}, let me know.",
    "This can't be answered with the functions at hand, which deal with {topics}.",
    "Unfortunately there is no suitable function for your question among those I have: {topics}.",
)
_NO_TOOLS = (
    "I have no functions to call here, so I can't look that up for you.",
    "There are no functions available to me at the moment, so I'm unable to do this.",
    "No functions were provided, so I cannot carry out this request.",
)
_MISSING = (
    "To use {tool} I still need the {missing}. Could you tell me?",
    "Your request lacks the {missing}, which {tool} requires. Please provide it.",
    "I can do this with {tool}, but the {missing} is missing. What should it be?",
    "Which {missing} should I use? {tool} can't be called without it.",
    "Please give me the {missing} first: it is a required parameter of {tool}.",
    "Before I can call {tool}, I need to know the {missing}.",
)
_SUMMARY = (
    "Here is what I found: {facts}.",
    "The result: {facts}.",
    "Done. {facts}.",
    "I looked it up: {facts}.",
    "According to {tool}, {facts}.",
    "{facts}.",
)
_ERROR = (
    "That did not work: {error}. Would you like to try again with other details?",
    "{tool} returned an error: {error}.",
    "I could not complete this because of an error: {error}.",
)


class OfflineAssistant:
    """Writes assistant turns without calls from a seeded generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def decline(self, tools: Sequence[Tool]) -> str:
        """Says that no candidate tool fits."""
        if not tools:
            return self.rng.choice(_NO_TOOLS)
        topics = and_list([words(tool.name.split(".")[-1]) for tool in tools[:3]])
        return self.rng.choice(_DECLINE).replace("{topics}", topics)

    def ask_for(self, tool: Tool, missing: Sequence[str]) -> str:
        """Asks for required parameters that the request lacks."""
        nouns = and_list([words(name) for name in missing])
        return self.rng.choice(_MISSING).replace("{tool}", tool.name).replace("{missing}", nouns)

    def summarise(self, results: Sequence[tuple[str, str]]) -> str:
        """Puts tool results, pairs (tool name, JSON text), into words."""
        parsed = [(name, json.loads(content)) for name, content in results]
        failed = [(name, value["error"]) for name, value in parsed if isinstance(value, dict) and "error" in value]
        if failed:
            name, error = failed[0]
            return self.rng.choice(_ERROR).replace("{tool}", name).replace("{error}", str(error).rstrip("."))
        facts = "; ".join(_facts(value) for _, value in parsed)
        frames = _SUMMARY if len(parsed) == 1 else [frame for frame in _SUMMARY if "{tool}" not in frame]
        text = self.rng.choice(frames).replace("{tool}", parsed[0][0]).replace("{facts}", facts)
        return text[0].upper() + text[1:]


def _facts(value: Any, name: str = "") -> str:
    """A result in words: at most the first few leaves, in the order of the result."""
    if isinstance(value, dict):
        return ", ".join(_facts(inner, words(key)) for key, inner in list(value.items())[:5])
    if isinstance(value, list):
        shown = [_facts(item) for item in value[:3]]
        text = "; ".join(shown) if any("," in s for s in shown) else and_list(shown) if shown else "none"
        return f"{name}: {text}" if name else text
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"{name} {value}" if name else str(value)
