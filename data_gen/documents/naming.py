"""Names: publishers' camel case as snake case, and identifiers that a call can be written with."""

from __future__ import annotations

import keyword
import re

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
    "aliases": "alias", "canvases": "canvas", "warehouses": "warehouse", "calories": "calorie", "cookies": "cookie",
}  # fmt: skip


def singular(word: str) -> str:
    """The singular of an English plural noun, for names: `policies` -> `policy`, `addresses` -> `address`."""
    head, _, last = word.rpartition("_")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif last.endswith(("sses", "shes", "ches", "xes", "zes")):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 3:
        last = last[:-1]
    return f"{head}_{last}" if head else last


def styled(service: str, operation: str, *, dotted: bool) -> str:
    """`service.operation`, or the plain operation when it says enough by itself: three words or more."""
    return operation if not dotted and operation.count("_") >= 2 else f"{snake(service)}.{operation}"
