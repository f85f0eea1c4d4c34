"""Names of operations: the publisher's operationId when it is a name, else verb and path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from data_gen.documents.naming import identifier, singular, snake

# our choice: longer names are paths written with underscores.
NAME_CHARACTERS = 50

_VERBS = {"get": "get", "post": "create", "put": "update", "patch": "update", "delete": "delete"}
# Segments of paths that name no thing.
_IDLE = re.compile(
    r"v?\d+(?:[._]\d+)*(?:alpha|beta)?\d*|api|apis|rest|public|json|xml|services?|_?latest", re.IGNORECASE
)
_SUFFIX = re.compile(r"\.(?:json|xml|php|aspx?|do|html?)\Z|\.?\{[^{}]*format[^{}]*\}\Z", re.IGNORECASE)
_PARAMETER = re.compile(r"\{([^{}]*)\}")
_GENERATED = re.compile(r"[0-9a-f]{8,}|\d{5,}|\A(?:operation|endpoint|api|get|post|put|delete)_?\d*\Z", re.IGNORECASE)
_CONTROLLER = re.compile(r"(.+?)_?Controller[._]?(?:V\d+_)?(.+)", re.IGNORECASE)
# First words of a segment that is a whole name, as in `POST /getChat`.
_SPOKEN = frozenset(
    ("get", "set", "list", "create", "update", "delete", "edit", "post", "answer", "forward", "ban", "pin")
)
# First words that ask something to be done, so that a path's last segment is the verb: `/pets/{id}/archive`.
_ACTION_WORDS = (
    "archive restore cancel search query send start stop run close open approve reject publish unpublish validate "
    "verify export import copy move merge reset resume suspend enable disable add remove clear activate deactivate "
    "convert translate calculate compute estimate generate analyze predict sync refresh retry complete confirm "
    "capture refund void pay lock unlock subscribe unsubscribe follow unfollow like unlike share invite accept "
    "decline upload download render preview compare check lookup find execute trigger register login logout "
    "bulk batch transfer reopen assign unassign duplicate clone restart pause ping revoke rename"
)
_ACTIONS = frozenset(_ACTION_WORDS.split())


def operation_name(operation_id: object, method: str, path: str) -> str:
    """A readable identifier for an operation.

    `listPets` -> `list_pets`, `PetsController_findAll` -> `find_all_pets`, FastAPI's `read_item_items__id__get` ->
    `read_item`, `GET /v1/pets/{petId}` without an id -> `get_pet`.
    """
    if isinstance(operation_id, str) and operation_id.strip():
        name = identifier(_own_words(operation_id.strip()[:300], method, path))
        if name.isascii() and 3 <= len(name) <= NAME_CHARACTERS and not _GENERATED.search(name):
            return name
    return path_name(method, path)


def _own_words(operation_id: str, method: str, path: str) -> str:
    """The id without what a framework added to the name that a person gave."""
    slug = re.sub(r"\W", "_", path)
    for tail in (f"{slug}_{method}", f"{slug}{method}"):
        if operation_id.endswith(tail) and len(operation_id) > len(tail):
            return operation_id.removesuffix(tail)
    controller = _CONTROLLER.fullmatch(operation_id)
    if controller:
        noun, verb = snake(controller[1]), snake(controller[2])
        return verb if "_" in verb and singular(noun) in verb else f"{verb}_{noun}"
    return operation_id


def path_name(method: str, path: str, *, width: int = 1) -> str:
    """Verb and noun of a path, with `width` - 1 of the nouns above.

    `GET /pets` -> `list_pets`, `POST /pets/{id}/archive` -> `archive_pet`, `GET /pets/{id}/owners` -> `list_owners`,
    with a width of 2 `list_pet_owners`.
    """
    nouns, ends_in_parameter = _nouns(path)
    if not nouns:
        parameters = _PARAMETER.findall(path)
        nouns, ends_in_parameter = ([snake(parameters[-1])[:40] or "root"], True) if parameters else (["root"], True)
    verb = _VERBS.get(method, method)
    last = nouns[-1]
    if last.partition("_")[0] in _SPOKEN and "_" in last and width == 1:
        return _cut(last)
    if last.partition("_")[0] in _ACTIONS and (len(nouns) > 1 or "_" in last):
        above = [singular(noun) for noun in nouns[-1 - width : -1]] if "_" not in last or width > 1 else []
        return _cut("_".join([last, *above]))
    many = not ends_in_parameter and singular(last) != last
    if method == "get" and many:
        return _cut("_".join(["list", *map(singular, nouns[-width:-1]), last]))
    own = last if not ends_in_parameter and method != "post" else singular(last)
    return _cut("_".join([verb, *map(singular, nouns[-width:-1]), own]))


def _nouns(path: str) -> tuple[list[str], bool]:
    """Words of a path's fixed segments, and whether it ends in a parameter."""
    segments = [part for part in _SUFFIX.sub("", path[:500]).replace(":", "/").split("/") if part]
    nouns: list[str] = []
    for segment in segments:
        words = snake(_PARAMETER.sub("_", segment))
        if words and words.isascii() and not _IDLE.fullmatch(segment):
            nouns.append(words)
    return nouns, bool(segments) and _PARAMETER.fullmatch(segments[-1]) is not None


def _cut(name: str) -> str:
    words: Sequence[str] = re.sub(r"_+", "_", name).strip("_").split("_")
    while len(words) > 2 and len("_".join(words)) > NAME_CHARACTERS:
        words = [words[0], *words[2:]]
    return identifier("_".join(words)[:NAME_CHARACTERS].rstrip("_"))


def distinct_name(name: str, method: str, path: str, tag: str, taken: set[str]) -> str:
    """The name, or the first of its longer forms that is not taken in the document."""
    candidates = [name]
    candidates += [path_name(method, path, width=width) for width in (2, 3)]
    parameters = _PARAMETER.findall(path)
    if parameters:
        candidates.append(_cut(f"{name}_by_{snake(parameters[-1])}"))
    if tag:
        candidates.append(_cut(f"{name}_{snake(tag)}"))
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
