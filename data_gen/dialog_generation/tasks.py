"""What a tool does, in the words of its document, as an order that a person could give: "share a museum by e-mail".

The description of a real or evolved tool is a sentence about the tool ("Lists the tags of a bucket, and writes the
result into a file."); its verbs are turned into orders, and what only restates the parameters is left to the clauses.
"""

from __future__ import annotations

import re
from functools import lru_cache

_VERB_WORDS = (
    "abandon accept activate add adjust advise allow analyse analyze announce answer appeal apply appraise archive "
    "arrange ask assess assign associate attach authorize balance ban batch block book build buy calculate call "
    "cancel cast catalogue change check choose claim classify clean clear clone close collect combine compare "
    "complete compose compress compute configure confirm connect convert copy correct count create cut deactivate "
    "decide decode define delete deliver deny deploy derive describe detach detect determine diagnose disable "
    "disassociate discard display divide download draft draw drop edit enable encode end enrol enter estimate "
    "evaluate exchange execute explain export extend extract fetch file fill find fit follow forecast freeze generate "
    "geocode get give grant group hand have hide hold identify import index initiate insert install invent invite "
    "issue join judge keep launch let limit link list load locate lock log look make map mark match measure merge "
    "modify monitor move mute name normalise offer open order pair park parse patch pause pay perform permit pick "
    "place plan play plot post predict preview print process project propose provide publish purge put query quote "
    "raise rank rate read rebuild receive recognise recognize recommend record redeem reduce refund refuse register "
    "reject release remind remove rename renew reopen replace reply report request resend reserve reset resize "
    "resolve restart restore resume retire retrieve return reverse review revise revoke rewrite rotate route run "
    "sample save scan schedule score search secure select sell send set share shorten show shut sign simulate solve "
    "sort specify split start stop store submit subscribe suggest sum summarise summarize suspend swap switch sync "
    "tag take tell terminate test tidy toggle track train transfer translate trigger try turn uninstall unlink unlock "
    "unsubscribe untag update upload upgrade use validate value verify view vote wake warn watch weigh withdraw work "
    "write"
)
VERBS = frozenset(_VERB_WORDS.split())
# Returning is what a tool does; who asks for it wants to get or see.
_SAID = {"return": ("get", "look up"), "retrieve": ("get", "fetch"), "tell": ("find out",)}
_RESTATED = re.compile(
    r",? (?:that|which) (?:match|meet|fit|satisfy|are known under|belong)\b.*|, such as .*|, for example .*|,? e\.g\..*"
    r"|,? and returns? .*|, case by case\b.*|,? for a whole list of cases.*|,? for many cases at once.*"
    r"|, with [\w ,]+$|,? by its identifier\b"
    r"|,? \(.*|: .*| from the details given\b"
    r"|, (?:(?:and )?(?:so|where|when|what|until|unless|if|though|but|or|as|in|to|including|excluding|given|based)\b).*"
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)])[.;!](?:\s|$)")
_SECOND = re.compile(r",? (and|or) (?:(then) )?([a-z]+s)\b")
_MOST_WORDS = 14
_NO_BRACES = str.maketrans("", "", "{}")


def imperative(verb: str) -> str:
    """ "measures" -> "measure"."""
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|zz|o)es$", verb):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


@lru_cache(maxsize=65536)
def tasks(name: str, description: str) -> tuple[str, ...]:
    """Orders for a tool: from its description, else from its name; the first word is a verb wherever one is known."""
    return tuple(f"{verb} {rest}".strip() for verb, rest in _verbs_and_rest(name, description))


def _verbs_and_rest(name: str, description: str) -> list[tuple[str, str]]:
    # Braces of a description ("projects/{name}") would be read as places for values.
    plain = description.translate(_NO_BRACES).strip()
    first = _SENTENCE_END.split(plain, maxsplit=1)[0].strip(" .")
    verb, _, rest = _RESTATED.sub("", first).partition(" ")
    order = verb.lower() if verb.lower() in VERBS else imperative(verb.lower())
    rest = rest.strip(" ,")
    if order in VERBS and rest and len(rest.split()) <= _MOST_WORDS:
        rest = _SECOND.sub(_second_order, rest)
        return [(said, rest) for said in _SAID.get(order, (order,))]
    said = words(name.rpartition(".")[2]).split()
    at = next((i for i, word in enumerate(said) if word in VERBS), None)
    if at is None or at == len(said) - 1:
        return [("run", " ".join(said))]
    return [(said[at], " ".join(said[at + 1 :]))]


def _second_order(match: re.Match[str]) -> str:
    """ ", and writes the result" -> ", and write the result"; a noun of the plural stays ("tags and labels")."""
    order = imperative(match[3])
    is_noun = match[0][0] != "," and order in ("name", "value", "score", "record", "list", "tag", "file")
    if order not in VERBS or is_noun:
        return match[0]
    return match[0][: -len(match[3])] + order


@lru_cache(maxsize=65536)
def words(name: str) -> str:
    """`maxResults`, `max_results`, `max-results` -> "max results"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()
