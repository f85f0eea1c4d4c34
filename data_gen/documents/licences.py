"""Licences as publishers write them, as SPDX ids: "Apache 2.0", "The MIT License (MIT)", an address."""

from __future__ import annotations

import re
from typing import Any

# Licences that allow reuse of a text with at most a notice or a name.
_PERMISSIVE = (
    "Apache-2.0 MIT MIT-0 BSD-2-Clause BSD-3-Clause 0BSD ISC CC0-1.0 Unlicense Zlib BSL-1.0 PSF-2.0 Python-2.0 "
    "CC-BY-3.0 CC-BY-4.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0-AU HPND OGL-UK-3.0 OGL-UK-2.0 NCSA PostgreSQL"
)
PERMISSIVE = frozenset(_PERMISSIVE.split())
_KNOWN = {id_.lower(): id_ for id_ in (*PERMISSIVE, "MPL-2.0", "EPL-2.0", "EUPL-1.2", "LGPL-2.1", "LGPL-3.0")}
_KNOWN |= {id_.lower(): id_ for id_ in ("GPL-2.0", "GPL-3.0", "AGPL-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0")}
# In this order: the first that is found decides.
_SPELLINGS = (
    (r"affero|\bagpl", "AGPL-3.0"),
    (r"lesser|\blgpl.*2", "LGPL-2.1"),
    (r"\blgpl", "LGPL-3.0"),
    (r"(?:\bgpl|gnu general public|licenses/gpl).*\b(?:v ?)?2", "GPL-2.0"),
    (r"\bgpl|gnu general public", "GPL-3.0"),
    (r"non-?commercial|\bby-nc", "CC-BY-NC-4.0"),
    (r"share-?alike|\bby-sa", "CC-BY-SA-4.0"),
    (r"no-?deriv|\bby-nd", "CC-BY-ND-4.0"),
    (r"apache.*2|licenses/license-2\.0|\bapl ?2", "Apache-2.0"),
    (r"\bmit\b", "MIT"),
    (r"\bcc-?0\b|publicdomain/zero", "CC0-1.0"),
    (r"unlicense", "Unlicense"),
    (r"bsd.*3|3-clause|new bsd|modified bsd|\bbsd3", "BSD-3-Clause"),
    (r"bsd.*2|2-clause|simplified bsd|freebsd", "BSD-2-Clause"),
    (r"(?:creative commons.*attribution|\bcc[ -]by|licenses/by/)\D*4", "CC-BY-4.0"),
    (r"(?:creative commons.*attribution|\bcc[ -]by|licenses/by/)\D*3", "CC-BY-3.0"),
    (r"mozilla public|\bmpl", "MPL-2.0"),
    (r"eclipse public|\bepl", "EPL-2.0"),
    (r"\beupl", "EUPL-1.2"),
    (r"\bisc\b", "ISC"),
    (r"python software foundation|\bpsf\b", "PSF-2.0"),
    (r"open government licen[cs]e.*3|open-government-licence/version/3", "OGL-UK-3.0"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), id_) for pattern, id_ in _SPELLINGS)


def spdx(stated: Any) -> str:
    """The SPDX id of a stated licence, its own words when it has none, "" when nothing is stated.

    Args:
        stated: a name, or OpenAPI's `info.license` object with `identifier`, `name` and `url`.
    """
    if isinstance(stated, dict):
        identifier, name, url = (_text(stated.get(key)) for key in ("identifier", "name", "url"))
        return identifier or _guess(name) or _guess(url) or name
    return _guess(_text(stated)) or _text(stated)


def is_permissive(licence: str) -> bool:
    """Whether a text under this licence may be reused with at most a notice; unknown licences are not."""
    return licence in PERMISSIVE or licence in ("BSD", "BSD License")


def _text(value: Any) -> str:
    return " ".join(value.split())[:100] if isinstance(value, str) else ""


def _guess(text: str) -> str:
    if text.lower() in _KNOWN:
        return _KNOWN[text.lower()]
    return next((id_ for pattern, id_ in _COMPILED if pattern.search(text.lower())), "")
