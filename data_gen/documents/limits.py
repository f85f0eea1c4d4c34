"""How much of a schema is kept: enough to be the real API, little enough to be read in a prompt."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_gen.documents.naming import snake


@dataclass(frozen=True)
class Limits:
    """Bounds on one schema.

    Attributes:
        depth: objects within objects, the outermost counted.
        properties: members of one object; required ones first.
        described: whether descriptions, bounds and required lists are kept.
    """

    depth: int
    properties: int
    described: bool


PARAMETER_LIMITS = Limits(depth=4, properties=25, described=True)
# our choice: of a result only its shape is shown to a model; whole ones would fill the prompt.
RESULT_LIMITS = Limits(depth=2, properties=8, described=False)
ENUM_VALUES = 40

# Parameters of every other operation of a corpus: paging, sorting, authentication, transport. Nobody asks for them.
_IGNORED = (
    "next_token next_page_token page_token page_size max_results max_items max_records max_page_size limit marker "
    "next_marker starting_token start_token exclusive_start_key sort_by sort_order order_by sort order sorting "
    "client_token client_request_token idempotency_token request_token client_request_id request_id dry_run "
    "validate_only access_token alt callback fields key oauth_token pretty_print quota_user user_ip upload_type "
    "upload_protocol xgafv read_mask field_mask update_mask request_options kind etag self_link "
    "return_partial_success show_deleted hl locale_code page page_number start_index view version api_version"
)
IGNORED = frozenset(_IGNORED.split())
# Members of results that only serve transport.
_PAGING = "next_token next_page_token marker next_marker request_id kind etag self_link response_metadata status_code"
PAGING = frozenset(_PAGING.split())


# Members that say what a thing is; discovery documents list theirs by the alphabet, so a cut would lose "title".
_TELLING_WORDS = (
    "name display_name title summary description subject text content body query location address start end start_time "
    "end_time date due status state type category labels attendees recurrence reminders visibility time_zone url uri "
    "email phone price amount quantity currency language"
)
_TELLING = frozenset(_TELLING_WORDS.split())


def trimmed(names: Sequence[str], required: Sequence[str], most: int) -> list[str]:
    """At most `most` of the names in their order: the required ones, then telling ones, then the first ones."""
    kept: set[str] = set()
    telling = [name for name in names if snake(name) in _TELLING]
    for group in ([name for name in names if name in required], telling, names):
        for name in group:
            if len(kept) < most:
                kept.add(name)
    return [name for name in names if name in kept]


def keep_enum(values: Sequence[Any]) -> dict[str, Any]:
    """The enum, if it is short enough to be read; duplicates removed."""
    distinct = list(dict.fromkeys(values))
    return {"enum": distinct} if 0 < len(distinct) <= ENUM_VALUES else {}


_IDLE = re.compile(r"\^?\(?(?:\.|\[\\s\\S\]|\[\^\\?[\w]*\]|\\S|\\p\{\w+\})[*+]?\)?\$?")


def keep_pattern(pattern: Any) -> dict[str, str]:
    """The pattern, if Python reads it and it says something."""
    if not isinstance(pattern, str) or not pattern or _IDLE.fullmatch(pattern) or len(pattern) > 200:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what a later Python may read otherwise
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return {}
    return {"pattern": pattern}
