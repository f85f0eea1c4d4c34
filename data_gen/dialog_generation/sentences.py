"""Grammar of the offline user's turns: question marks, capitals, connecting words, and clauses one after another.

What a sentence is (a question, an order, a statement) is read off the opener before values are put in, since a value
may hold commas and question words of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mood = Literal["question", "order", "statement"]

_QUESTION_WORDS = (
    "what what's whats which who who's whose when where where's why how how's is are am was were do does did can "
    "could will would should shall may might has any"
)
_QUESTION = frozenset(_QUESTION_WORDS.split())
# Verbs that begin an order. A word that openers also use as a noun ("Price alert", "Score update") is left out.
_ORDER_WORDS = (
    "add adapt announce apply arrange ask assess assign back be break bring broadcast buy calculate call cancel "
    "cap carry change check clean close collect combine compare compress compute condense conjugate convert "
    "correlate create decode deduplicate define describe diagnose dig do draft draw enrol estimate evaluate "
    "explain export extend fetch find fit flip follow generate get give have help hold identify invite keep lay "
    "let list log look make mark measure move name notify open order pack pay pick ping place play plot plug post "
    "predict prepare proofread publish pull put quote rank read rearrange recognise recommend record redeem "
    "reflect remind remove rename render renew repeat replace request reschedule reserve return rewrite roll "
    "rotate run save say scan schedule search see send set show sign simulate solve sort spin split start state "
    "suggest sum summarise tailor take teach tell tidy tile track translate transpose try turn use watch withdraw "
    "work write delete update tag stop upload download autocomplete"
)
_ORDERS = frozenset(_ORDER_WORDS.split())
_PROPER = frozenset(("Spanish", "Grandma"))

_OPENINGS = (
    "Hi, ",
    "Hello, ",
    "Hey, ",
    "Hi there! ",
    "Hello! ",
    "Good morning. ",
    "Quick question: ",
    "Okay, ",
    "So, ",
    "Good evening, ",
    "Hello again. ",
)
_CONTEXTS = (
    "I'm preparing a report. ", "Before my meeting starts: ", "For my records, ", "My colleague is waiting for this: ",
    "I'm on the phone with a customer. ", "Something for today: ", "This one is urgent. ", "No hurry with this one. ",
    "I was just thinking, ", "It came up at lunch: ", "A small thing: ", "As we discussed, ", "One more thing, ",
    "I'm back with another request. ", "I hope you can help. ", "This is new to me. ", "Bear with me: ",
    "Here is the situation. ", "We are short of time. ", "I'm tidying up. ", "First things first: ",
    "As a favour to a friend, ",
    "I keep putting this off. ", "You may remember me. ", "Let me be quick: ", "If you have a minute, ", "By the way, ",
    "I'm filling in for somebody. ", "It's my first day here. ", "I'm writing from the train. ", "To get this done: ",
    "My notes are a mess. ", "I've got a small job for you. ", "Back to work: ", "Let's see. ", "All right, ",
    "Now then, ",
    "This may sound odd. ", "I'm told you can do this. ", "Just to be sure, ",
)  # fmt: skip
_CLOSINGS = (" Thanks!", " Thank you.", " Please be quick.", " Thanks in advance.", " I'd appreciate it.", " Cheers!")
_NEXT: dict[Mood, tuple[str, ...]] = {
    "order": (
        "Also, {}",
        "And {}",
        "Then {}",
        "After that, {}",
        "In addition, {}",
        "{}",
        "Next, {}",
        "Besides that, {}",
        "While you're at it, {}",
    ),
    "question": ("Also, {}", "And {}", "{}", "Besides that, {}", "One more thing: {}", "{}"),
    "statement": ("Also, {}", "{}", "Besides that, {}", "And another thing: {}", "{}", "Apart from that, {}"),
}
# A clause that begins with one of these (or a participle) follows its sentence without a comma.
_TIGHT_WORDS = (
    "with in for at on from without to as that over of by under within around since near during until into about "
    "after before through across behind per when where who whose and plus while up starting among via towards "
    "inside between along outside against above below"
)
_TIGHT = frozenset(_TIGHT_WORDS.split())
_LOOSE_PARTICIPLES = frozenset(("being", "nothing", "anything", "something", "everything"))


@dataclass(frozen=True)
class Sentence:
    """A sentence without its capital and its final mark.

    Attributes:
        literal: it begins with a value, which must keep its letters.
    """

    text: str
    mood: Mood
    literal: bool = False


def mood_of(opener: str) -> Mood:
    """Whether an opener asks, orders or states ("I'm off to {town}, what is the weather like" asks)."""
    first, *later = (part.split(" ") for part in re.split(r"[,;:.?!] ", opener))
    head = first[0].lower()
    if head in _TIGHT and first[1:2] and first[1] in ("when", "which", "what", "whom"):  # "Until when can I sue"
        return "question"
    if head in _QUESTION and (head != "do" or first[1:2] != ["this"]):
        return "question"
    for words in later:
        words = words[1:] if words[0] in ("so", "and", "but") and len(words) > 1 else words
        follows = words[1] if len(words) > 1 else ""
        # "do the enrolment" is an order, "which is on for 3 hours" a relative clause
        if words[0].lower() in _QUESTION and (words[0], follows) not in (("do", "the"), ("which", "is")):
            return "question"
    return "order" if head in _ORDERS else "statement"


def sentence_of(opener: str, text: str) -> Sentence:
    """The sentence `text` made from `opener` by putting values in."""
    if opener.startswith("{"):
        return Sentence(text, "question" if mood_of(opener) == "question" else "statement", literal=True)
    return Sentence(text, mood_of(opener))


def and_list(texts: Sequence[str]) -> str:
    """Joins as English does: "a", "a and b", "a, b and c"."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def join_clauses(clauses: Sequence[str]) -> str:
    """Clauses as one: those that bring their own "and" or "plus" come last and get no second one."""
    own = [clause for clause in clauses if _place(clause) == 2]
    bare = [clause for clause in clauses if _place(clause) < 2]
    if not own:
        return and_list(bare)
    return ", ".join((*bare, *own)) if len(clauses) > 2 else " ".join((*bare, *own))


def append_clauses(text: str, clauses: Sequence[str], rng: random.Random) -> str:
    """A sentence with the clauses of further parameters after it."""
    if not clauses:
        return text
    ordered = sorted(clauses, key=_place)
    tight = _is_tight(ordered[0]) and ordered[0].split(" ")[0] != text.split(" ")[-1]
    if len(ordered) == 2 and tight and _place(ordered[1]) < 2 and rng.random() < 0.4:
        return f"{text} {ordered[0]}, {ordered[1]}"
    joined = join_clauses(ordered)
    return f"{text} {joined}" if tight and (len(ordered) == 1 or rng.random() < 0.6) else f"{text}, {joined}"


def _place(clause: str) -> int:
    """What speaks of a noun ("that are halal") stands best right after the sentence, what brings its own "and" last."""
    first = clause.split(" ")[0]
    return 0 if first in ("that", "who", "whose") else 2 if first in ("and", "plus") else 1


def _is_tight(clause: str) -> bool:
    first = clause.split(" ")[0]
    participle = first.endswith(("ing", "ed")) and first not in _LOOSE_PARTICIPLES
    return first in _TIGHT or participle


def dress(sentences: Sequence[Sentence], rng: random.Random, dependent: bool = False, bare: bool = False) -> str:
    """Punctuation, connecting words and manners around bare sentences.

    Args:
        dependent: the second sentence rests on the first one's answer, so it only ever follows with "then".
        bare: no manners, for a short reply.
    """
    if bare:
        return " ".join(capital(sentence) + _mark(sentence) for sentence in sentences)
    said = [_first(sentences[0], rng)]
    for sentence in sentences[1:]:
        frames = (("Then {}",) if sentence.mood == "order" else ("{}",)) if dependent else _NEXT[sentence.mood]
        frame = rng.choice(frames)
        inner = capital(sentence) if frame == "{}" else lowered(sentence)
        said.append(frame.replace("{}", inner) + _mark(sentence))
    text = " ".join(said)
    if rng.random() < 0.1:
        text += rng.choice(_CLOSINGS)
    elif rng.random() < 0.06:
        text = text.rstrip(".?")
    return text


def _first(sentence: Sentence, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.3:
        opening = rng.choice(_OPENINGS if draw < 0.13 else _CONTEXTS)
        inner = lowered(sentence) if opening.endswith((", ", ": ")) else capital(sentence)
        return opening + inner + _mark(sentence)
    if draw < 0.38 and sentence.mood == "order" and not sentence.text.lower().startswith("please"):
        return f"Please {lowered(sentence)}{_mark(sentence)}"
    return capital(sentence) + _mark(sentence)


def _mark(sentence: Sentence) -> str:
    """The mark that ends a sentence; a quotation may bring its own."""
    if sentence.text.endswith((".", "?", "!", '."', '?"', '!"')):
        return ""
    return "?" if sentence.mood == "question" else "."


def capital(sentence: Sentence) -> str:
    """The text with a capital first letter, unless it begins with something that is never written so.

    Those are a file, an address or an identifier given as a value, and words such as "pH".
    """
    text = sentence.text
    first = text.split(" ")[0].rstrip(",:;")
    plain = re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*", first) is not None
    if (sentence.literal and not plain) or (len(first) > 1 and not first[1:].islower() and plain):
        return text
    return text[:1].upper() + text[1:]


def lowered(sentence: Sentence) -> str:
    """The text as it stands inside another sentence; values, names, acronyms and "I" keep their letters."""
    text = sentence.text
    first = text.split(" ")[0].rstrip(",:;")
    name = first in _PROPER or first.startswith("I'") or (first != "A" and not first[1:].islower())
    return text if sentence.literal or name else text[0].lower() + text[1:]
