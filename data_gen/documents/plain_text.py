"""Publishers' HTML and Markdown as short plain text: the first sentences, without links, notes and boilerplate."""

from __future__ import annotations

import html
import re
from functools import lru_cache

TOOL_CHARACTERS = 300
PARAMETER_CHARACTERS = 160

# Without any of these there is no markup to take away.
_MARKED = re.compile(r"[<&\[`*#|>]|__|://|\n\s*-")
# Blocks that interrupt what is being said. They are left out unless nothing else is there.
_BLOCK = re.compile(
    r"<(note|important|warning|caution|fullname|examples?|table|ul|ol|dl|pre)\b[^>]*>.*?</\1>",
    re.DOTALL | re.IGNORECASE,
)
_BREAK = re.compile(r"</?(?:p|br|li|div|h\d|dt|dd|tr)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_REFERENCE = re.compile(r"\[([\w.* -]+)\](?!\()")
_MARKS = re.compile(r"``+|`|\*\*|__(?=\w)|(?<=\w)__")
_URL = re.compile(
    r"(?:[,;:]? (?:as )?(?:described|defined|documented|specified|listed|found|available|shown)(?: here)?"
    r"(?: in| at| by| on)?|[,;:]? (?:for example|see|at))?[ (:]*\bhttps?://[^\s)]*[^\s).,;:'\"]\)?"
    r"(?: (?:to learn more|for (?:(?:more|additional|further) )?(?:details|information|info|examples?)))?",
    re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\f\v\u00a0]+")
_LABEL = re.compile(
    r"\A\W*(?:(?:required|optional|output[ _-]only|input[ _-]only|immutable|identifier|unordered list|non-empty|"
    r"ignored for create|in/out|\w+ only)\b(?:\s+for [\w ,/`]{1,60})?[.:;\])]+\s*)+",
    re.IGNORECASE,
)
# Notices set before the text itself, in the same sentence.
_NOTICE = re.compile(
    r"\A\W*(?:LINT: LEGACY_NAMES"
    r"|This API works with the following fleet types:(?:[ ,]+(?:and|EC2|Anywhere|Container)\b)+[. ]*)\s*"
)
_BOILERPLATE = re.compile(
    r"\A(?:for (?:more |additional |detailed )?(?:information|details|examples?|instructions)"
    r"|for (?:a|the) (?:full |complete )?(?:list|description)|see\b|please see|refer to|(?:to )?learn more|read more"
    r"|more information|note\b|nb\b|the results are paginated|when used in a raw http|important\b|warning\b|caution\b"
    r"|examples?\b|end of support|this operation (?:is not|isn't) supported|this functionality is not supported"
    r"|this api (?:is|call is) (?:only|currently)|the following (?:examples?|operations?|actions?)"
    r"|api endpoints? (?:related to|for|concerning)"
    r"|\w* ?(?:is|are) related to \w+|for regional endpoint|you must (?:have|use)|permissions|authorization)",
    re.IGNORECASE,
)
_POINTER = re.compile(
    r"\b(?:see|refer to|described in|more (?:detail|information)s? (?:in|at|on|about))\b", re.IGNORECASE
)
_GLUED = re.compile(r"(?<=[a-z)])\.(?=(?:This|The|If|It|For|Must|Note|Each|When|You|A|Valid|Defaults?) )")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[\"')\]]*)\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|inc|ltd|corp|st|dr|mr|mrs|jr|ex|u\.s|[a-z])\.)\Z", re.IGNORECASE
)


def plain(text: str) -> str:
    """The text without markup, one paragraph a line."""
    if not _MARKED.search(text):
        lines = (" ".join(line.split()) for line in re.split(r"\n\s*\n", text))
        return "\n".join(_GLUED.sub(". ", line) for line in lines if line)
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    without = _BLOCK.sub("\n", text)
    text = without if _TAG.sub("", without).strip() else text
    text = _TAG.sub("", _BREAK.sub("\n", text))
    text = html.unescape(text)
    for _ in range(2):
        text = _LINK.sub(r"\1", text)
    text = _MARKS.sub("", _REFERENCE.sub(r"\1", text))
    text = _URL.sub("", text)
    lines = (_SPACE.sub(" ", line).strip(" #*") for line in re.split(r"\n\s*\n|\n(?=\s*[-*#>|])", text))
    return "\n".join(_GLUED.sub(". ", " ".join(line.split())) for line in lines if line.strip(" -*|>="))


def sentences(text: str) -> list[str]:
    """Sentences of plain text, abbreviations kept whole; list items and headings are no sentences."""
    found: list[str] = []
    for line in plain(text).split("\n"):
        if line[:2] in ("- ", "| ", "> "):
            continue
        pending = ""
        for piece in _SENTENCE_END.split(line):
            pending = f"{pending} {piece}".strip()
            if not _ABBREVIATION.search(pending):
                found.append(pending)
                pending = ""
        if pending:
            found.append(pending)
    return found


@lru_cache(maxsize=8192)
def opening(text: str, limit: int, count: int = 2) -> str:
    """The first sentences that say something: at most `count` of them and `limit` characters, ending in a full stop.

    Labels such as "Required." and sentences that only point elsewhere are passed over.
    """
    chosen: list[str] = []
    length = 0
    for sentence in sentences(_NOTICE.sub("", _LABEL.sub("", plain(text)))):
        sentence = _LABEL.sub("", sentence)
        said = _tidy(sentence)
        if len(said) < 3 or _BOILERPLATE.match(said) or said.lower().startswith("deprecated"):
            continue
        # "One of the following:" without the list says nothing, unless it is all there is.
        if chosen and (sentence.rstrip().endswith((":", "following.", "following:")) or _POINTER.search(sentence)):
            continue
        if chosen and (length + 1 + len(said) > limit):
            break
        chosen.append(said if len(said) <= limit else cut(said, limit))
        length += len(chosen[-1]) + 1
        if len(chosen) == count or length >= limit:
            break
    return " ".join(chosen)[:limit]


def _tidy(sentence: str) -> str:
    sentence = re.sub(r"\s*\((?:see|for more|click|link|docs?|more info)[^()]*\)", "", sentence, flags=re.IGNORECASE)
    sentence = re.sub(
        r",? ?(?:see|refer to|for more information,? see)(?: the| our)? ?[.:]?\Z", "", sentence, flags=re.IGNORECASE
    )
    sentence = re.sub(
        r",? (?:in|with|using|has|have|is) the (?:following )?(?:format|form|structure)[ .:]*\Z", ".", sentence
    )
    sentence = re.sub(r"\(\s*\)|\[\s*\]", "", sentence)
    sentence = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(sentence.split())).strip(" -–—*")
    if not sentence:
        return ""
    sentence = sentence[0].upper() + sentence[1:] if sentence.split()[0].isalpha() else sentence
    sentence = sentence.rstrip(":;, ")
    sentence = re.sub(r"(?<!\.)\.\.\Z", ".", sentence)
    return sentence if sentence.endswith((".", "!", "?", ".)", '."')) else sentence + "."


_CLAUSE = re.compile(
    r"(?:[,;:]| \(| -| –| —| such as| for example| including| which| where| so that| because| unless) "
)


def cut(sentence: str, limit: int) -> str:
    """A sentence shortened at the last clause that leaves at least half of the limit, else at a word."""
    head = sentence[: limit - 1]
    ends = [match.start() for match in _CLAUSE.finditer(head) if match.start() >= limit // 2]
    for end in reversed(ends):
        kept = head[:end].rstrip(" ,;:(-–—")
        if kept.count("(") == kept.count(")") and kept.count('"') % 2 == 0:
            return kept + "."
    return sentence[: limit - 3].rsplit(" ", 1)[0].rstrip(" ,;:(") + "..."
