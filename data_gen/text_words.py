"""Words of a text in any script, for comparing texts: accents dropped, and scripts without spaces taken sign by sign.

Chinese, Japanese, Thai, Lao, Khmer and Burmese put no spaces between words; a run of their signs is compared where a
run of words is compared elsewhere, and has to be longer to say as much (`run_length`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from data_gen.tool_synthesis.similarity import words_of

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_TOKEN = re.compile(rf"[{_NO_SPACES}]|[^\W_{_NO_SPACES}]+")
_SIGN = re.compile(rf"[{_NO_SPACES}]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
WORD_RUN = 8  # words in a row; our choice: shorter runs are turns of phrase, PaLM's and our own checks use eight
SIGN_RUN = 13  # our choice: a word of Chinese has one and a half to two signs


def words(text: str) -> list[str]:
    """Lower-case words; names in camelCase and snake_case fall apart; each sign of a script without spaces is one."""
    if text.isascii():
        return words_of(text)
    parted = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text))
    plain = "".join(c for c in parted if not unicodedata.category(c).startswith("M"))
    return _TOKEN.findall(unicodedata.normalize("NFC", plain).casefold())


def is_sign(word: str) -> bool:
    """Whether a word is a sign of a script without spaces."""
    return len(word) == 1 and _SIGN.match(word) is not None


def run_length(found: Sequence[str]) -> int:
    """How many words (or signs, where most are) in a row are more than a turn of phrase."""
    return SIGN_RUN if 2 * sum(map(is_sign, found)) > len(found) else WORD_RUN


def runs(found: Sequence[str]) -> Iterator[str]:
    """Every run of neighbouring words that is long enough, as one string."""
    size = run_length(found)
    for i in range(len(found) - size + 1):
        yield " ".join(found[i : i + size])
