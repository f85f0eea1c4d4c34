"""The many ways in which people begin to ask for something, around an order such as "share a museum".

Three registers: plain ones say the order; vague ones only hint at what it is about, further from the tool's description
(paper, Sec. 2.2: "further from the API description"); close ones say the tool's own words. No lead says a value.
"""

from __future__ import annotations

import re
from functools import lru_cache

from data_gen.dialog_generation.tasks import VERBS

PLAIN = (
    "{}", "{}", "{} for me", "{} now", "can you {}", "could you {}", "would you {}", "can you {} for me",
    "could you {} for me", "could you please {}", "would you kindly {}", "can I ask you to {}", "may I ask you to {}",
    "would it be possible to {}", "is it possible to {}", "is there a way to {}", "are you able to {}",
    "would you be able to {}", "can you help me {}", "could you help me {}", "would you help me to {}",
    "will you {} when you have a moment", "do you think you could {}", "might I get you to {}",
    "I need to {}", "I need you to {}", "I want to {}", "I want you to {}", "I'd like to {}", "I'd like you to {}",
    "I would like to {}", "I would love to {}", "I have to {}", "I must {}", "I'm trying to {}", "I was asked to {}",
    "I was told to {}", "I promised to {}", "I'm about to {}", "I was hoping to {}", "I'm hoping you can {}",
    "I still have to {}", "I should {}", "I'm supposed to {}", "I forgot to {}", "I'm ready to {}",
    "I've been meaning to {}",
    "I wonder if you could {}", "I could use some help to {}", "I'd be glad if you could {}",
    "I'd appreciate help to {}",
    "we need to {}", "we want to {}", "we have to {}", "we'd like to {}", "we are trying to {}", "we still have to {}",
    "we were asked to {}", "we should {}", "we have decided to {}", "we agreed to {}",
    "help me {}", "help us {}", "let's {}", "go ahead and {}", "be so kind as to {}", "your task is to {}",
    "my task is to {}", "the next step is to {}", "the first thing to do is to {}", "the plan is to {}",
    "it's time to {}", "time to {}", "my colleague wants me to {}", "my manager asked me to {}", "my team has to {}",
    "a client asks us to {}",
    "a friend asked me to {}", "somebody has to {}", "all I need is to {}", "what I want is to {}", "my goal is to {}",
    "next on my list is to {}", "it would help to {}", "it would be great to {}", "there is one thing left: {}",
    "one small favour: {}", "a request from the office: {}", "here is what I need: {}", "one for you: {}",
)  # fmt: skip

# What an order is about, by what is done with it. `{}` is the thing ("the tags of a bucket").
_LOOK = (
    "I'm curious about {}", "what is there to know about {}", "what do we know about {}", "I'd like to hear about {}",
    "I was wondering about {}", "what can you tell me about {}", "do you have anything on {}", "I'm after {}",
    "my question is about {}", "I'm missing an overview of {}", "I can't seem to find {}", "any idea about {}",
    "somebody asked me about {}", "let me hear about {}", "it's about {}", "I have to know more about {}",
)  # fmt: skip
_MAKE = (
    "we don't have {} yet", "there should be {}", "what about {}", "I'm missing {}", "it's time for {}",
    "I could do with {}",
    "we are going to need {}", "I can't go on without {}", "sort out {} for me", "take care of {}", "see to {} for me",
)  # fmt: skip
_CHANGE = (
    "something about {} is no longer right", "there is a change to {}", "what we have on {} is out of date",
    "things have moved on with {}", "I got something wrong with {}", "take care of {}", "see to {} for me",
    "I've changed my mind about {}",
)  # fmt: skip
_END = (
    "I'm done with {}", "I no longer want {}", "get {} out of my way", "I won't be needing {} any more",
    "we can do without {}", "it's over with {}", "I want nothing more to do with {}",
)  # fmt: skip
_OTHER = (
    "I need something done about {}", "take care of {}", "what about {}", "there's something to do about {}",
    "see to {} for me", "I'm stuck with {}", "I have an issue with {}", "can you deal with {}", "my problem is {}",
)  # fmt: skip
_LOOKING_WORDS = (
    "get fetch list find show give look search tell read view query describe retrieve track check report count name "
    "summarize summarise compare rank order recommend suggest"
)
_MAKING_WORDS = "create add book make set schedule register open start submit reserve build generate put"
_CHANGING_WORDS = "update change edit modify replace move rename revise adjust patch correct rewrite"
_ENDING_WORDS = "delete remove cancel withdraw stop close end drop discard terminate revoke archive"
_HINTS = tuple(
    (frozenset(verbs.split()), leads)
    for verbs, leads in (
        (_LOOKING_WORDS, _LOOK),
        (_MAKING_WORDS, _MAKE),
        (_CHANGING_WORDS, _CHANGE),
        (_ENDING_WORDS, _END),
    )
)


def _vague_leads(verb: str) -> tuple[str, ...]:
    return next((leads for verbs, leads in _HINTS if verb in verbs), _OTHER)


_PARTICLE = re.compile(r"^(?:me|up|on|for|out)\b ?")
_ORDER_AFTER = re.compile(rf" and (?={'|'.join(sorted(VERBS))}\b)")
# "how a poll stands": a clause, which no hint can be about.
_CLAUSE = re.compile(r"^(?:(?:in|on|at|for|to|by|from) )?(?:how|whether|what|which|when|where|why|who|that|if)\b")


@lru_cache(maxsize=4096)
def openers(tasks: tuple[str, ...], name: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(plain, vague, close) openers for the orders of one tool."""
    plain = tuple(lead.replace("{}", task) for task in tasks for lead in PLAIN)
    vague = []
    for task in tasks:
        verb, _, thing = task.partition(" ")
        # "look up a bill and return its sum": a hint names the bill alone.
        thing = _ORDER_AFTER.split(_PARTICLE.sub("", thing))[0].split(", ")[0]
        thing = "" if _CLAUSE.match(thing) else thing
        vague += [lead.replace("{}", thing) for lead in _vague_leads(verb)] if thing else []
    close = (f"use {name} to {tasks[0]}", f"call {name}", f"run {name} to {tasks[0]}", f"I need a call of {name}")
    return plain, tuple(vague) or plain, close
