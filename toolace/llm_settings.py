"""LlmSettings: the section of a recipe that says which server plays a role, how it is asked and what it may cost."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from toolace.errors import InputError


@dataclass(frozen=True)
class LlmSettings:
    """An OpenAI-compatible server and the limits on its use.

    Attributes:
        base_url: where `/chat/completions` follows, such as `http://127.0.0.1:8000/v1`.
        model: the model's name there.
        api_key_env: name of the environment variable that holds the key; None: no key is sent. The key itself stands
            neither in a recipe nor in a journal.
        temperature, top_p: sampling; None: the server's default (some reasoning models allow no other).
        max_tokens: longest answer, thought included.
        concurrency: most calls in flight.
        requests_per_minute, tokens_per_minute: the account's limits; None for none.
        max_calls, max_tokens_total, max_cost: the budget of one run; None for no limit.
        price_in, price_out: money for a million tokens read and written.
        timeout: seconds after which a call without an answer is made again.
        repeats: how often a bad answer is asked for again, with what was wrong.
        seed: sent with every call, changed by the number of the draw; None: not sent.
        structured: how JSON answers are demanded. json_schema: by the server's `response_format`; prompt: in words;
            auto: the first, and in words once the server turns out not to do it.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 1024
    concurrency: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_calls: int | None = None
    max_tokens_total: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    timeout: float = 120.0
    repeats: int = 1
    seed: int | None = None
    structured: Literal["auto", "json_schema", "prompt"] = "auto"

    def __post_init__(self) -> None:
        if not self.model:
            raise InputError("llm.model is empty", fix="Name the model that the server serves.")
        for name in ("max_tokens", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout"):
            self._at_least(name, 0, above=True)
        for name in ("max_calls", "max_tokens_total", "max_cost", "price_in", "price_out", "repeats", "temperature"):
            self._at_least(name, 0)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"llm.top_p is {self.top_p}", fix="Give a number above 0 and up to 1.")
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise InputError("llm.max_cost needs prices", fix="Give llm.price_in and llm.price_out, a million tokens.")
        self._check_url()

    def _at_least(self, name: str, least: int, *, above: bool = False) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if not math.isfinite(value) or value < least or (above and value == least):
            raise InputError(
                f"llm.{name} is {value}", fix=f"Give a number {'above' if above else 'of at least'} {least}."
            )

    def _check_url(self) -> None:
        fix = "Write it as in http://127.0.0.1:8000/v1."
        try:
            url = urlsplit(self.base_url)
            _ = url.port  # a ValueError when it is no number
        except ValueError as error:
            raise InputError(f"llm.base_url {self.base_url!r} is no address ({error})", fix=fix) from None
        if url.username or url.password:
            # not shown: it holds a secret
            raise InputError("llm.base_url holds a user name or a password", fix="Use llm.api_key_env.")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise InputError(f"llm.base_url {self.base_url!r} is no http address", fix=fix)

    @property
    def url(self) -> str:
        """`base_url` without a slash at its end, nor the path that people copy with it."""
        return self.base_url.rstrip("/").removesuffix("/chat/completions")

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine: it is then asked past any proxy."""
        host = urlsplit(self.base_url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    def api_key(self) -> str | None:
        """The key out of the environment; None when none is wanted.

        Raises:
            InputError: the variable is not set, or holds what no header can.
        """
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            fix = f"Set it (export {self.api_key_env}=...), or remove llm.api_key_env."
            raise InputError(f"the environment variable {self.api_key_env} holds no key", fix=fix)
        if not key.isascii() or not key.isprintable():
            raise InputError(f"the key in {self.api_key_env} holds characters that no key has", fix="Copy it again.")
        return key
