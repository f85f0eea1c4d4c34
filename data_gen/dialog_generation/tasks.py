"""What a tool does, in the words of its document, as an order that a person could give: "share a museum by e-mail".

The description of a real or evolved tool is a sentence about the tool ("Lists the tags of a bucket, and writes the
result into a file."); its verbs are turned into orders, and what only restates the parameters is left to the clauses.
"""

from __future__ import annotations

import re
from functools import lru_cache

_VERB_WORDS = (
    "abandon abort accept activate add adjust advise agree align allow analyse analyze announce answer appeal "
    "apply appraise approve approximate archive arrange ask assess assign associate attach authorize balance ban "
    "batch block book build buy calculate call cancel cast catalogue change check choose claim classify clean "
    "clear clone close collect combine compare complete compose compress compute configure confirm connect "
    "convert copy correct count create cut deactivate decide decode decrypt define delete deliver deny deploy "
    "deregister derive describe design detach detect determine diagnose disable disassociate discard dismiss "
    "display divide download draft draw drop edit enable encode encrypt end enrol enroll enter enumerate estimate "
    "evaluate examine exchange execute explain export extend extract fetch file fill find fit follow forecast "
    "freeze generate geocode get give grant group hand have hide hold identify import index initiate insert "
    "inspect install invent invite issue join judge keep launch let limit link list load locate lock log look "
    "make map mark match measure merge modify monitor move mute name normalise obtain offer open order pair park "
    "parse patch pause pay perform permit pick place plan play plot post postpone predict prepare preview print "
    "process project propose provide provision publish purge put query quote raise rank rate read rebuild receive "
    "recognise recognize recommend record redeem redeploy reduce refresh refund refuse register reject release "
    "remind remove rename renew reopen repeat replace reply report request rescale reschedule resend reserve "
    "reset resize resolve restart restore resume retire retrieve return reverse review revise revoke rewrite "
    "rotate route run sample save scan schedule score search secure select sell send set share shorten show shut "
    "sign simulate solve sort specify split start stop store submit subscribe suggest sum summarise summarize "
    "suspend swap switch sync tag take tell terminate test tidy toggle trace track train transcribe transfer "
    "translate trigger try turn uninstall unlink unlock unpublish unregister unsubscribe untag update upgrade "
    "upload upsert use validate value verify view vote wake warn watch weigh withdraw work write"
)
VERBS = frozenset(_VERB_WORDS.split())
# Returning is what a tool does; who asks for it wants to get or see.
_SAID = {"obtain": ("get",), "return": ("get", "look up"), "retrieve": ("get", "fetch"), "tell": ("find out",)}
_RESTATED = re.compile(
    r",? (?:that|which) (?:match|meet|fit|satisfy|are known under|belong)\b.*|, such as .*|, for example .*|,? e\.g\..*"
    r"|,? and returns? .*|, case by case\b.*|,? for a whole list of cases.*|,? for many cases at once.*"
    r"|, with [\w ,]+$|,? by its identifier\b|, narrowed down by [\w ,]+ as far as given|, each with its [\w ]+"
    r"|,? \(.*|: .*| from the details given\b"
    r"|, (?:(?:and )?(?:so|where|when|what|until|unless|if|though|but|or|as|in|to|including|excluding|given|based)\b).*"
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)])[.;!](?:\s|$)")
# What can stand after a verb but not after a noun: "and sends the result", but "discipline and casts done".
_OBJECT_WORDS = (
    "a an the its it them their one two all any every each some several this that these how whether what which when "
    "where to for on up back with details"
)
_SECOND = re.compile(
    rf"(?:(?P<comma>, )|(?: |^))(?P<word>and|or) (?:then )?(?P<verb>[a-z]+s)\b"
    rf"(?=(?(comma) \w| (?:{_OBJECT_WORDS.replace(' ', '|')})\b))"
)
# "Voids a ticket": before one of these a word in -s can only be a verb.
_AFTER_VERB_WORDS = "a an the its several one some all two"
_AFTER_VERB = frozenset(_AFTER_VERB_WORDS.split())
# Names that end with what is done: `subscriptions_rename`, not `team_schedule`.
_LAST_VERB_WORDS = (
    "cancel create delete dismiss disable enable inspect redeploy remove rename restart stop update validate verify"
)
_LAST_VERBS = frozenset(_LAST_VERB_WORDS.split())
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
    rest = _plain_case(rest.strip(" ,"))
    if len(rest.split()) > _MOST_WORDS:  # what stands after a comma only adds to it
        rest = rest.split(", ")[0]
    is_verb = order in VERBS or (verb[-1:] == "s" and verb[-2:] != "ss" and rest.split(" ")[0] in _AFTER_VERB)
    if is_verb and rest and len(rest.split()) <= _MOST_WORDS:
        rest = _SECOND.sub(_second_order, rest)
        return [(said, rest) for said in _SAID.get(order, (order,))]
    said = words(name.rpartition(".")[2]).split()
    at = next((i for i, word in enumerate(said[:-1]) if word in VERBS), None)
    if at is not None:
        return [(said[at], " ".join(said[at + 1 :]))]
    if len(said) > 1 and said[-1] in _LAST_VERBS:
        return [(said[-1], " ".join(said[:-1]))]
    # A name without a verb is the thing itself: "teams by season".
    return [("get" if len(said) > 1 else "run", " ".join(said))]


def _plain_case(text: str) -> str:
    """ "Custom Fields List" as a person writes it; acronyms and single names keep their capitals."""
    said = text.split()
    titled = [word for word in said if re.fullmatch(r"[A-Z][a-z']+", word)]
    if len(titled) < 2 or len(titled) < 0.6 * sum(len(word) > 3 for word in said):
        return text
    return " ".join(word.lower() if word in titled else word for word in said)


def _second_order(match: re.Match[str]) -> str:
    """ ", and writes the result" -> ", and write the result"; a noun of the plural stays ("tags and labels")."""
    order = imperative(match["verb"])
    if order not in VERBS:
        return match[0]
    return match[0][: -len(match["verb"])] + order


@lru_cache(maxsize=65536)
def words(name: str) -> str:
    """`maxResults`, `max_results`, `max-results` -> "max results"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()
