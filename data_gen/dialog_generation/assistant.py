"""The offline assistant agent: words for the turns in which it does not call (paper Sec. 2.2, four actions).

Calls themselves are known from the plan of the dialog; this player only finds the words of the other three actions:
asking for what is missing, summarising a result, and declining.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_gen.dialog_generation.phrases import gerund, words
from data_gen.dialog_generation.sentences import and_list
from data_gen.dialog_generation.tasks import VERBS, tasks
from data_gen.dialog_generation.tool import PASSING
from toolace import Tool

# What is said first, and what is then said of the functions there are; either may stand before the other's subject.
_DECLINE = (
    "None of the available functions can do that.", "I'm sorry, no function I have fits this request.",
    "That is outside of what my functions can do.", "No function in the list can be used for this.",
    "I don't have a function for that.", "This can't be answered with the functions at hand.",
    "Unfortunately there is no suitable function for your request.", "I can't do this with the functions I was given.",
    "I looked through the functions, and none of them does this.", "There is no function here that would serve you.",
    "Your request does not match any function I can call.", "This is not something the given functions cover.",
    "I have to pass on this one, since no function fits.", "The functions at hand were made for other things.",
    "Sorry, that can't be done with what I can call.", "I see no function that could carry this out.",
    "For this I would need a function that is not in the list.", "My functions do not reach that far.",
    "Nothing I can call would give you that.", "I'm afraid this needs a function that I lack.",
)  # fmt: skip
_OFFER = (
    "They are for {topics}.", "What I have is for {topics}.", "I could help with {topics}.",
    "What I can call is for {topics}.", "The functions on offer are for {topics}.", "My functions are for {topics}.",
    "Those I was given are for {topics}.", "I am set up for {topics}.", "What is possible here: {topics}.",
    "I can only offer help with {topics}.", "Perhaps {topics} would be of use?", "Here I can do no more than {topics}.",
    "If you need {topics}, I'm ready.", "All there is at the moment is for {topics}.", "",
)  # fmt: skip
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
    "I have no functions to call here.", "There are no functions available to me at the moment.",
    "No functions were provided.", "I was given no functions in this conversation.", "No tools are connected here.",
    "I can't call any functions right now.", "There is nothing here that I could call.",
    "This conversation comes without functions.", "The list of functions is empty.", "I'm working without tools here.",
    "No function is on offer.", "I lack a function for this, as none was given.",
)  # fmt: skip
_NO_TOOLS_ENDS = (
    "So I can't look that up for you.", "That is why I'm unable to do this.", "So I cannot carry out this request.",
    "This would need one.", "Without one I can't help with that.", "I'm sorry that I can't do more.",
    "If you connect one that does this, I will gladly use it.", "You would have to do this in another way.",
    "For that I would need access to a service.", "Anything I told you would be made up.",
    "With a suitable one I could try again.", "I can only answer in words.",
)  # fmt: skip
_MISSING = (
    "To use {tool} I still need {missing}.", "Your request lacks {missing}, which {tool} requires.",
    "I can do this with {tool}, but you have not given {missing}.", "{tool} can't be called without {missing}.",
    "Before I can call {tool}, I need to know {missing}.", "One thing is missing for {tool}: {missing}.",
    "I'm ready to call {tool}, except for {missing}.", "{tool} asks for {missing}, and you did not say it.",
    "You have not told me {missing} yet, and {tool} requires it.", "What {tool} still lacks is {missing}.",
    "For this I would call {tool}, which requires {missing}.", "Something is not said yet: {tool} needs {missing}.",
    "I would rather not guess {missing} for {tool}.", "{tool} has no value yet for what it requires: {missing}.",
)  # fmt: skip
_MISSING_ENDS = (
    "Could you tell me?", "Please provide it.", "Which should I use?", "What should it be?", "Can you give it to me?",
    "Please let me know.", "Then I can go ahead.", "What is it?", "Would you add it?", "I need it to go on.",
    "Please fill that in.", "What may I use?", "Could you add that?", "",
)  # fmt: skip
_SUMMARY = (
    "Here is what I found: {facts}.", "The result: {facts}.", "Done: {facts}.", "This is what came back: {facts}.",
    "According to {tool}, {facts}.", "{facts}.", "It worked. {facts}.", "All right: {facts}.", "{tool} says: {facts}.",
    "I have it now: {facts}.", "Here you go: {facts}.", "The answer is in: {facts}.", "That went through: {facts}.",
    "From {tool}: {facts}.", "In short: {facts}.", "Here are the details: {facts}.", "I looked it up: {facts}.",
    "This is the outcome: {facts}.", "{facts}. Anything else?", "{facts}. Let me know if you need more.",
)  # fmt: skip
# For several results at once, and for results that only say that something was done.
_ONE_RESULT = ("{tool}", "It worked", "I looked it up")
_ERROR = (
    "That did not work: {error}.", "{tool} returned an error: {error}.", "I could not complete this: {error}.",
    "There was a problem: {error}.", "The call of {tool} failed: {error}.", "No luck this time: {error}.",
    "{tool} answered with an error: {error}.", "It did not go through: {error}.", "I got an error: {error}.",
    "Sorry, this failed: {error}.",
)  # fmt: skip
_ERROR_ENDS = (
    "", "", "Would you like to try again with other details?", "How would you like to go on?", "Shall I try again?",
    "Please check the details.", "Tell me if I should try something else.", "Nothing was changed.",
    "Is there another value I could use?",
)  # fmt: skip
# Errors that pass by themselves are not answered by asking for other details.
_PASSING_ENDS = (
    "", "", "Shall I try again?", "It may work in a moment.", "Should I repeat it?", "We could wait a little.",
    "I can try once more if you like.",
)  # fmt: skip
# A name that ends with one of these is no noun: "the measured on" says nothing.
_LINK_WORDS = (
    "on at by from to in for of with about until ok as off is around near where when since between after before"
)
_LINKS = frozenset(_LINK_WORDS.split())
_TOPIC_WORDS = 12


class OfflineAssistant:
    """Writes assistant turns without calls from a seeded generator."""

    def __init__(self, rng: random.Random, level: int = 0) -> None:
        """`rng` decides every choice of words; below level 0 of self-guidance they repeat those of the dialog."""
        self.rng = rng
        self.level = level

    def decline(self, tools: Sequence[Tool], said: str = "") -> str:
        """Says that no candidate tool fits; `said` is the request, which simpler answers repeat."""
        if not tools:
            return f"{self.rng.choice(_NO_TOOLS)} {self.rng.choice(_NO_TOOLS_ENDS)}"
        if self.level < 0 and said:
            names = and_list([tool.name for tool in tools])
            return self.rng.choice(_DECLINE_CLOSE).replace("{names}", names).replace("{said}", said)
        topics = and_list([topic(tool) for tool in tools[:3]])
        return f"{self.rng.choice(_DECLINE)} {self.rng.choice(_OFFER).replace('{topics}', topics)}".strip()

    def ask_for(self, tool: Tool, missing: Sequence[str], said: str = "") -> str:
        """Asks for required parameters that the request lacks; `said` as in `decline`."""
        if self.level < 0 and said:
            frame = self.rng.choice(_MISSING_CLOSE).replace("{tool}", tool.name)
            return frame.replace("{names}", and_list(missing)).replace("{said}", said)
        nouns = and_list([_noun(name) for name in missing])
        # The name of a function keeps its letters; the noun of a parameter begins a sentence with a capital.
        text = self.rng.choice(_MISSING).replace("{missing}", nouns)
        text = (text[0].upper() + text[1:]).replace("{tool}", tool.name)
        return f"{text} {self.rng.choice(_MISSING_ENDS)}".strip()

    def summarise(self, results: Sequence[tuple[str, str]]) -> str:
        """Puts tool results, pairs (tool name, JSON text), into words."""
        parsed = [(name, json.loads(content)) for name, content in results]
        failed = [(name, _message(value)) for name, value in parsed if isinstance(value, dict) and "error" in value]
        good = [(name, value) for name, value in parsed if not (isinstance(value, dict) and "error" in value)]
        if failed and not good:
            name, error = failed[0]
            ends = _PASSING_ENDS if error in PASSING else _ERROR_ENDS
            text = self.rng.choice(_ERROR).replace("{tool}", name).replace("{error}", error)
            return f"{text} {self.rng.choice(ends)}".strip()
        facts = "; ".join(_result(name, value) for name, value in good)
        frames = _SUMMARY if len(parsed) == 1 else [frame for frame in _SUMMARY if not _is_of_one(frame)]
        frame = self.rng.choice(frames)
        if "{facts}" in frame[:7] or frame.startswith("It worked."):
            facts = facts[0].upper() + facts[1:]
        text = frame.replace("{tool}", parsed[0][0]).replace("{facts}", facts)
        for name, error in failed:
            text += f" {name} returned an error: {error}."
        return text


def _is_of_one(frame: str) -> bool:
    return any(part in frame for part in _ONE_RESULT)


def _message(value: Mapping[str, Any]) -> str:
    """What an error result says."""
    error = value["error"]
    return str(error.get("message") or error if isinstance(error, dict) else error).rstrip(".")


_SECOND = re.compile(
    r"(?P<first>(?:.*?,? )??)and (?P<verb>[a-z]+) (?P<rest>(?:a|an|the|its|it|them|how|what|whether)\b.*)"
)


def topic(tool: Tool) -> str:
    """What a tool is for, from its description ("measuring how far two cities are apart"); else its name in quotes."""
    order = tasks(tool.name, tool.description)[0]
    verb, _, rest = order.partition(" ")
    if verb == "run" or not rest or len(order.split()) > _TOPIC_WORDS:
        return f'"{words(tool.name.split(".")[-1])}"'
    second = _SECOND.match(rest)  # "write and send an e-mail"
    if second and second["verb"] in VERBS:
        return f"{gerund(verb)} {second['first']}and {gerund(second['verb'])} {second['rest']}"
    return f"{gerund(verb)} {rest}"


def _noun(parameter: str) -> str:
    name = words(parameter)
    return f'a value for "{name}"' if name.split(" ")[-1] in _LINKS else f"the {name}"


def _result(tool: str, value: Any) -> str:
    """One result in words; a result that only says "ok" tells what is done."""
    if isinstance(value, dict) and (not value or value == {"status": "ok"}):
        return f"the call of {tool} is done"
    return _facts(value) or "no details"


def _facts(value: Any, name: str = "") -> str:
    """A result in words: the first few leaves, in the order of the result; lists of things by what names each."""
    if isinstance(value, dict):
        inner = [_facts(member, words(key)) for key, member in list(value.items())[:5]]
        return ", ".join(fact for fact in inner if fact)
    if isinstance(value, list):
        return _listed(value, name)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    text = value.replace("_", " ") if isinstance(value, str) and value.replace("_", "").islower() else str(value)
    if not name:
        return text
    return f"{name} {text}" if name in ("total", "count") else f"{name}: {text}"


def _listed(value: Sequence[Any], name: str) -> str:
    if not value:
        return f"no {name}" if name else "none"
    shown = [fact for fact in (_thing(item) if isinstance(item, dict) else _facts(item) for item in value[:3]) if fact]
    text = "; ".join(shown) if any("," in s and "(" not in s for s in shown) else and_list(shown) if shown else "none"
    more = f" and {len(value) - 3} more" if len(value) > 3 else ""
    return f"{name}: {text}{more}" if name else text + more


def _thing(item: Mapping[str, Any]) -> str:
    """An object of a list: what names it, the rest in brackets ("Casablanca (film id FIL-10233, length 102)")."""
    scalars = {key: value for key, value in list(item.items())[:5] if not isinstance(value, (dict, list))}
    texts = [key for key, value in scalars.items() if isinstance(value, str)]
    head = next((key for key in texts if words(key).split(" ")[-1] in _NAMING), texts[0] if texts else "")
    if not head:
        return _facts(item)
    rest = [f"{words(key)} {_facts(value)}" for key, value in scalars.items() if key != head]
    return f"{scalars[head]} ({', '.join(rest)})" if rest else str(scalars[head])


_NAMING = frozenset(("name", "title", "label"))
