"""What an operation takes that nobody asks for: credentials, paging, transport, withdrawn parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_gen.documents.limits import IGNORED
from data_gen.documents.naming import snake

# Credentials and transport by any name: a person never says them, so a call never holds them.
_SECRET = re.compile(
    r"(?:x_)?(?:api_?key|app_?key|appid|app_id_key|access_?token|auth(?:entication|orization)?_?(?:token|key)?|"
    r"authorization|bearer(?:_token)?|client_secret|api_?secret|app_?secret|ws_?key|access_?key(?:_id)?|"
    r"secret_?(?:access_?)?key|private_key|subscription_?key|session_?token|csrf(?:_?token)?|xsrf_token|jwt|id_token|"
    r"refresh_token|oauth_\w+|api_version|user_agent|accept(?:_language|_encoding)?|content_type|callback|jsonp|"
    r"prettyprint|pretty_print|signature|nonce)"
)
# What a description calls the caller's own credentials, whatever their name: "Your Plaid API `secret`."
_OWN_KEY = re.compile(
    r"\byour (?:[\w-]+ ){0,2}api (?:`?(?:key|secret|token|client_id|client id|password))", re.IGNORECASE
)
# A `token` may be anything; this one is the caller's.
_TOKEN = re.compile(r"\b(?:auth\w*|access|api|bearer|session)[ _](?:token|key)|\bjwt\b", re.IGNORECASE)
# More names of paging and sorting than other corpora have, and OData's ways to shape an answer.
_PAGING_WORDS = (
    "per_page offset cursor skip top pagesize page_no page_num pagenum items_per_page results_per_page start_cursor "
    "end_cursor starting_after ending_before pagination paginate sort_direction sort_dir orderby order_direction "
    "select expand count include_count per_page_count pretty envelope maxresults pagetoken continuation_token "
    "take page_limit page_offset perpage pagenumber nexttoken pg rpp start_at"
)
# What can only mean the pages of an answer, wherever it stands.
_PAGE_WORDS = (
    "per_page page_no page_num page_number page_size page_limit page_offset page_token pagesize pagenum pagenumber "
    "perpage pagetoken nexttoken next_token next_page_token items_per_page results_per_page start_cursor end_cursor "
    "cursor offset skip take continuation_token pagination_token pg rpp"
)
_PAGES = frozenset(_PAGE_WORDS.split())
# These, too, when they are numbers.
_NUMBERED = frozenset(("start", "start_index", "max_results", "maxresults", "count", "top", "from_index", "results"))
# Names of paging and transport in a query, of content in a body.
_BODY_WORDS = frozenset(("kind", "key", "version", "order", "sort", "marker", "fields", "callback", "limit", "page"))
_PAGING = frozenset(_PAGING_WORDS.split())
_WITHDRAWN = re.compile(r"\bdeprecated\b|no longer (?:available|supported|used)|\bobsolete\b", re.IGNORECASE)
_FORMATS = frozenset(("json", "xml", "csv", "yaml", "yml", "html", "jsonp", "rss", "txt", "text"))
# Parameters that choose the form of the answer, when all their values are such forms.
_CHOOSES_FORM = frozenset(("format", "output", "response_format", "output_format", "ext", "extension", "type"))


class Noise:
    """Which parameters of one description are left out.

    Args:
        root: the description; its security schemes name the query parameters that hold keys.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.keys = _key_names(root)

    def is_parameter(self, name: str, node: Mapping[str, Any], schema: Any) -> bool:
        """Whether a path, query or form parameter is left out; of required ones only credentials and forms are.

        Args:
            name: as the description writes it.
            node: the parameter object.
            schema: its schema.
        """
        own, place = snake(name), node.get("in")
        if place == "formData":
            return own in self.keys
        if own in self.keys or _SECRET.fullmatch(own):
            return True
        if place == "query" and node.get("required") is not True:
            text = node.get("description")
            if own in ("start", "start_index") and is_paging(own, schema):
                return True
            if own in _PAGING or own in _PAGES or (own in IGNORED and own != "kind") or node.get("deprecated") is True:
                return True
            if isinstance(text, str) and (_OWN_KEY.search(text[:200]) or (own == "token" and _TOKEN.search(text))):
                return True
            if isinstance(text, str) and _WITHDRAWN.search(text[:120]):
                return True
        if own in ("page", "limit"):
            return place == "query"
        return own in _CHOOSES_FORM and _is_form(own, place, schema)

    def is_member(self, name: str, required: bool, text: Any = "") -> bool:
        """Whether a member of a request body is left out; `text` is its description."""
        own = snake(name)
        if own in self.keys or _SECRET.fullmatch(own) or (isinstance(text, str) and _OWN_KEY.search(text[:200])):
            return True
        return not required and (own in _PAGES or own in IGNORED - _BODY_WORDS)


def is_paging(name: str, schema: Any) -> bool:
    """Whether a parameter of a tool says which part of an answer is wanted; `start` does when it is a number."""
    own = snake(name)
    stated = schema.get("type") if isinstance(schema, Mapping) else ""
    number = stated in ("integer", "number")
    return stated not in ("object", "array") and _is_page(own, number=number)


def _is_page(own: str, *, number: bool) -> bool:
    return own in _PAGES or own in ("page", "limit", "start_at") or (number and own in _NUMBERED)


def _is_form(name: str, place: Any, schema: Any) -> bool:
    """Whether the values are forms of an answer: json, xml, csv."""
    if name == "format" and place == "path":
        return True
    stated = schema if isinstance(schema, dict) else {}
    values = stated.get("enum")
    listed = values if isinstance(values, list) and values else [stated.get("default")]
    return {str(value).lower() for value in listed} <= _FORMATS


def _key_names(root: Mapping[str, Any]) -> frozenset[str]:
    """Query parameters that the security schemes declare as keys."""
    components = root.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else root.get("securityDefinitions")
    names = set()
    for scheme in (schemes or {}).values() if isinstance(schemes, dict) else ():
        if isinstance(scheme, dict) and scheme.get("type") == "apiKey" and isinstance(scheme.get("name"), str):
            names.add(snake(scheme["name"]))
    return frozenset(names)
