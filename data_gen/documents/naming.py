"""Names: publishers' camel case as snake case, and identifiers that a call can be written with."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from functools import lru_cache

_ACRONYM_PLURAL = re.compile(r"([A-Z]{2,})s(?=[A-Z]|$|_)")
_BEFORE_WORD = re.compile(r"([A-Z0-9]+)([A-Z][a-z])")
_AFTER_SMALL = re.compile(r"([a-z])([A-Z])")
# Brand names that camel case would tear apart.
_WHOLE = (
    ("IPv4", "Ipv4"), ("IPv6", "Ipv6"), ("IoT", "Iot"), ("OAuth", "Oauth"), ("GitHub", "Github"), ("DevOps", "Devops"),
    ("DynamoDB", "Dynamodb"), ("MySQL", "Mysql"), ("PostgreSQL", "Postgresql"), ("NoSQL", "Nosql"), ("vCPU", "Vcpu"),
    ("VMware", "Vmware"), ("LoRaWAN", "Lorawan"), ("QuickSight", "Quicksight"), ("SageMaker", "Sagemaker"),
    ("OpenID", "Openid"), ("LinkedIn", "Linkedin"), ("YouTube", "Youtube"), ("PubSub", "Pubsub"), ("gRPC", "Grpc"),
)  # fmt: skip


@lru_cache(maxsize=65_536)
def snake(name: str) -> str:
    """`ListHAPGs` -> `list_hapgs`, `dbInstanceARN` -> `db_instance_arn`, `min-rating` -> `min_rating`."""
    for brand, plain in _WHOLE:
        name = name.replace(brand, plain)
    name = _ACRONYM_PLURAL.sub(lambda match: match.group(1).capitalize() + "s", name)
    name = _BEFORE_WORD.sub(r"\1_\2", name)
    name = _AFTER_SMALL.sub(r"\1_\2", name)
    return re.sub(r"_+", "_", re.sub(r"\W", "_", name)).strip("_").lower()


def identifier(name: str) -> str:
    """A snake-case name that is no Python keyword, so that it can stand before "=" in a call."""
    plain = snake(name)
    if not plain or plain[0].isdigit():
        plain = f"value_{plain}".rstrip("_")
    return f"{plain}_value" if keyword.iskeyword(plain) else plain


_IRREGULAR = {
    "data": "data", "news": "news", "series": "series", "status": "status", "address": "address", "access": "access",
    "metadata": "metadata", "analytics": "analytics", "indices": "index", "matrices": "matrix", "people": "person",
    "properties": "property", "settings": "settings", "credentials": "credentials", "statistics": "statistics",
    "dns": "dns", "tls": "tls", "kms": "kms", "gps": "gps", "sms": "sms", "caches": "cache", "leases": "lease",
    "databases": "database", "releases": "release", "purchases": "purchase", "cases": "case", "phrases": "phrase",
    "licenses": "license", "courses": "course", "responses": "response", "expenses": "expense", "movies": "movie",
    "cors": "cors", "statuses": "status", "aws": "aws", "https": "https", "os": "os", "ips": "ip", "ios": "ios",
    "alias": "alias", "canvas": "canvas", "bias": "bias", "atlas": "atlas", "quizzes": "quiz",
    "aliases": "alias", "canvases": "canvas", "warehouses": "warehouse", "calories": "calorie", "cookies": "cookie",
}  # fmt: skip


def singular(word: str) -> str:
    """The singular of an English plural noun, for names: `policies` -> `policy`, `addresses` -> `address`."""
    head, _, last = word.rpartition("_")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif last.endswith(("sses", "shes", "ches", "xes", "zzes")):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 3:
        last = last[:-1]
    return f"{head}_{last}" if head else last


def styled(service: str, operation: str, *, dotted: bool) -> str:
    """`service.operation`, or the plain operation when it says enough by itself: three words or more."""
    if not dotted and operation.count("_") >= 2:
        return operation
    prefix = snake(service)
    return f"{prefix}_service.{operation}" if keyword.iskeyword(prefix) else f"{prefix}.{operation}"


# Last words of a method that leave its object open, as in `events.quickAdd` and `values.batchGet`.
_OPEN_WORDS = (
    "get add list update delete create insert import export clear append patch modify query search run close "
    "cancel undelete move copy watch stop start reset resume suspend restart retry approve reject publish "
    "unpublish validate verify archive restore generate analyze predict commit rollback lookup poll annotate "
    "translate detect synthesize aggregate compute check compare mutate merge reopen accept decline enable "
    "disable attach detach invalidate revoke rename complete"
)
_OPEN = frozenset(_OPEN_WORDS.split())


def action_name(chain: tuple[str, ...], method: str, taken: Mapping[str, str]) -> str:
    """A readable name for a method of nested resources, verb first; parents are named too when it is taken.

    `events.list` -> `list_events`, `events.quickAdd` -> `quick_add_event`, `disks.setLabels` -> `set_labels_for_disk`.
    """
    verb = snake(method)
    nouns = [snake(name) for name in chain if name not in ("v1", "v2")]
    for width in range(1, len(nouns) + 1):
        own = nouns[-width:]
        last = own[-1] if verb in ("list", "search", "query", "batch_get") else singular(own[-1])
        noun = "_".join([*map(singular, own[:-1]), last])
        name = f"{verb}_{noun}" if verb.rpartition("_")[2] in _OPEN or "_" not in verb else f"{verb}_for_{noun}"
        if width == 1 and "_" in verb and f"_{singular(own[-1])}_" in f"_{verb}_":
            name = verb
        if name not in taken:
            return name
    return "_".join([verb, *map(snake, chain)])
