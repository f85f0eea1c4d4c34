"""The offline assistant agent: words for the turns in which it does not call (paper Sec. 2.2, four actions).

Calls themselves are known from the plan of the dialog; this player only finds the words of the other three actions:
asking for what is missing, summarising a result, and declining.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from data_gen.dialog_generation.phrases import gerund, imperative, words
from data_gen.dialog_generation.sentences import and_list
from toolace import Tool

_DECLINE = (
    "None of the available functions can do that. They are for {topics}.",
    "I'm sorry, I can't help with this: the functions I have are for {topics}.",
    "The functions I was given, for {topics}, don't fit this request, so I can't carry it out.",
    "That is outside of what I can do here. I could help with {topics}.",
    "No function in the list can be used for this. What I have is for {topics}.",
    "I don't have a function for that, only for {topics}.",
    "This can't be answered with the functions at hand, which are for {topics}.",
    "Unfortunately there is no suitable function for your question among those I have, which are for {topics}.",
)
# The same in words that stand in the prompt, which a model can copy: for self-guidance's simpler levels.
_DECLINE_CLOSE = (
    'You asked: "{said}" The functions are {names}. None of the functions can do this.',
    'The request is: "{said}" The available functions are {names}. None of the functions fits the request.',
    'You said: "{said}" I can only call {names}. No function fits.',
)
_MISSING_CLOSE = (
    'You asked: "{said}" The function is {tool}. The required parameter {names} is missing. What is the {names}?',
    'The request is: "{said}" To call {tool}, the parameter {names} is required. What is the {names}?',
    'You said: "{said}" The function {tool} requires {names}. Please give the {names}.',
)
_NO_TOOLS = (
    "I have no functions to call here, so I can't look that up for you.",
    "There are no functions available to me at the moment, so I'm unable to do this.",
    "No functions were provided, so I cannot carry out this request.",
)
_MISSING = (
    "To use {tool} I still need {missing}. Could you tell me?",
    "Your request lacks {missing}, which {tool} requires. Please provide it.",
    "I can do this with {tool}, but you have not given {missing}. Which should I use?",
    "Could you give me {missing}? {tool} can't be called without it.",
    "Please give me {missing} first: it is a required parameter of {tool}.",
    "Before I can call {tool}, I need to know {missing}.",
)
_SUMMARY = (
    "Here is what I found: {facts}.",
    "The result: {facts}.",
    "Done: {facts}.",
    "This is what came back: {facts}.",
    "According to {tool}, {facts}.",
    "{facts}.",
)
_ERROR = (
    "That did not work: {error}. Would you like to try again with other details?",
    "{tool} returned an error: {error}.",
    "I could not complete this because of an error: {error}.",
)
# A name that ends with one of these is no noun: "the measured on" says nothing.
_LINKS = frozenset(
    ("on", "at", "by", "from", "to", "in", "for", "of", "with", "about", "until", "ok", "as", "off", "is")
)
_TOPIC_WORDS = 9


class OfflineAssistant:
    """Writes assistant turns without calls from a seeded generator."""

    def __init__(self, rng: random.Random, level: int = 0) -> None:
        """`rng` decides every choice of words; below level 0 of self-guidance they repeat those of the dialog."""
        self.rng = rng
        self.level = level

    def decline(self, tools: Sequence[Tool], said: str = "") -> str:
        """Says that no candidate tool fits; `said` is the request, which simpler answers repeat."""
        if not tools:
            return self.rng.choice(_NO_TOOLS)
        if self.level < 0 and said:
            names = and_list([tool.name for tool in tools])
            return self.rng.choice(_DECLINE_CLOSE).replace("{names}", names).replace("{said}", said)
        return self.rng.choice(_DECLINE).replace("{topics}", and_list([topic(tool) for tool in tools[:3]]))

    def ask_for(self, tool: Tool, missing: Sequence[str], said: str = "") -> str:
        """Asks for required parameters that the request lacks; `said` as in `decline`."""
        if self.level < 0 and said:
            frame = self.rng.choice(_MISSING_CLOSE).replace("{tool}", tool.name)
            return frame.replace("{names}", and_list(missing)).replace("{said}", said)
        nouns = and_list([_noun(name) for name in missing])
        return self.rng.choice(_MISSING).replace("{tool}", tool.name).replace("{missing}", nouns)

    def summarise(self, results: Sequence[tuple[str, str]]) -> str:
        """Puts tool results, pairs (tool name, JSON text), into words."""
        parsed = [(name, json.loads(content)) for name, content in results]
        failed = [(name, value["error"]) for name, value in parsed if isinstance(value, dict) and "error" in value]
        good = [value for _, value in parsed if not (isinstance(value, dict) and "error" in value)]
        if failed and not good:
            name, error = failed[0]
            return self.rng.choice(_ERROR).replace("{tool}", name).replace("{error}", str(error).rstrip("."))
        facts = "; ".join(_facts(value) for value in good) or "no details"
        frames = _SUMMARY if len(parsed) == 1 else [frame for frame in _SUMMARY if "{tool}" not in frame]
        frame = self.rng.choice(frames)
        if "{facts}" in frame[:7]:
            facts = facts[0].upper() + facts[1:]
        text = frame.replace("{tool}", parsed[0][0]).replace("{facts}", facts)
        for name, error in failed:
            text += f" {name} returned an error: {error}."
        return text


def topic(tool: Tool) -> str:
    """What a tool is for, from the first words of its description ("measuring how far two cities are apart")."""
    name = words(tool.name.split(".")[-1])
    first = tool.description.strip().split(". ")[0].split(", ")[0].rstrip(".")
    verb, _, rest = first.partition(" ")
    if not rest or not verb.isalpha() or not verb.endswith("s") or len(first.split()) > _TOPIC_WORDS:
        return f'"{name}"'
    doing = gerund(imperative(verb.lower()))
    second = re.match(r"and ([a-z]+s) (.*)", rest)  # "Writes and sends an e-mail"
    return f"{doing} and {gerund(imperative(second[1]))} {second[2]}" if second else f"{doing} {rest}"


def _noun(parameter: str) -> str:
    name = words(parameter)
    return f'a value for "{name}"' if name.split(" ")[-1] in _LINKS else f"the {name}"


def _facts(value: Any, name: str = "") -> str:
    """A result in words: at most the first few leaves, in the order of the result."""
    if isinstance(value, dict):
        inner = [_facts(member, words(key)) for key, member in list(value.items())[:5]]
        return ", ".join(fact for fact in inner if fact)
    if isinstance(value, list):
        shown = [fact for fact in (_facts(item) for item in value[:3]) if fact]
        text = "; ".join(shown) if any("," in s for s in shown) else and_list(shown) if shown else "none"
        return f"{name}: {text}" if name else text
    if isinstance(value, bool):
        value = "yes" if value else "no"
    text = value.replace("_", " ") if isinstance(value, str) and value.replace("_", "").islower() else str(value)
    return f"{name}: {text}" if name else text
