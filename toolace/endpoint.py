"""Endpoint: one OpenAI-compatible server over HTTP, asked again when that can help, within its limits.

aiohttp and not the openai package: five hundred calls of 50 ms, a hundred in flight, took that package's client 2.0 s
and this one 0.5 s, journal included (`benchmarks/chat_client.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolace.chat import CallFailed, ChatStopped
from toolace.chat_limits import Meter, Pace, Window, backoff, retry_after
from toolace.llm_settings import LlmSettings
from toolace.rows import strict_json

if TYPE_CHECKING:
    import aiohttp

# Repeats after errors of the connection or the server; and after 429 and 503, which a patient client outlives.
ERROR_REPEATS = 8
THROTTLE_REPEATS = 60
# our choice: so many requests given up one after another, with no answer to any other in between, are an outage. One
# request that a server chokes on is outlived; a hundred dialogs in work are not thrown after a server that is gone.
OUTAGE = 5
BODY_LIMIT = 32 * 1024 * 1024
_SHOWN = 300

# Words in an error that name a field of the request which the server does not know: no repeat helps. Some servers
# answer 500 to them (llama-cpp-python does).
_FIELDS = ("response_format", "json_schema", "max_completion_tokens")


@dataclass(frozen=True)
class Response:
    """An HTTP answer.

    Attributes:
        status: HTTP status; 0 when the connection failed.
        body: the bytes, or the reason as bytes when the connection failed.
        wait: seconds of its Retry-After header.
        seconds: from sending to the last byte.
    """

    status: int
    body: bytes
    wait: float | None = None
    seconds: float = 0.0

    @property
    def said(self) -> str:
        """The error message, as one short line."""
        text = self.body[:20_000].decode("utf-8", "replace")
        try:
            error = json.loads(text)
            error = error.get("error", error)
            text = str(error.get("message") or error) if isinstance(error, dict) else str(error)
        except (ValueError, AttributeError, RecursionError):
            pass
        line = " ".join(text.split())
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


class Endpoint:
    """A server, with the connections to it.

    Args:
        settings: where it is and what it may be asked.
        meter: where failed attempts are counted.
    """

    def __init__(self, settings: LlmSettings, meter: Meter) -> None:
        self.settings, self.meter = settings, meter
        self.window = Window(settings.concurrency)
        self._key = settings.api_key()
        self._requests = Pace(settings.requests_per_minute)
        self._tokens = Pace(settings.tokens_per_minute)
        self._session: aiohttp.ClientSession | None = None
        self._ever_answered = False
        self._given_up = 0  # requests since the last answer
        self._stopped = ""

    async def post(
        self, path: str, body: Mapping[str, Any], tokens: float, written: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], float]:
        """Sends one request, again as long as that can help; returns the JSON object of the answer and its seconds.

        Args:
            path: what follows the base URL, such as "/chat/completions".
            body: the request's JSON.
            tokens: an estimate of what it will cost, for the limit a minute; `settle` corrects it.
            written: further members of the request that are JSON text already.

        Raises:
            CallFailed: the server refuses this request or fails again and again.
            ChatStopped: the server refuses all of them, or is gone: `OUTAGE` requests in a row were given up.
        """
        members = "".join(f', "{name}": {text}' for name, text in (written or {}).items())
        payload = f"{json.dumps(body)[:-1]}{members}}}".encode()
        errors = throttles = 0
        while True:
            response = await self._attempt(path, payload, tokens, again=bool(errors or throttles))
            if response.status == 200:
                try:
                    return self._object(response), response.seconds
                except ValueError as error:
                    response = Response(0, f"an answer that is not a JSON object ({error})".encode())
            self._refuse_hopeless(response)
            if response.status in (429, 503):
                throttles += 1
                self.meter.throttles += 1
            else:
                errors += 1
                self.meter.failures += 1
            if errors > ERROR_REPEATS or throttles > THROTTLE_REPEATS:
                self._give_up(response, errors + throttles)
            await asyncio.sleep(self._pause(response, errors + throttles - 1))

    def settle(self, estimated: float, spent: float) -> None:
        """Corrects the estimate of a call's tokens."""
        self._tokens.settle(estimated, spent)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @staticmethod
    def _pause(response: Response, repeat: int) -> float:
        """Seconds until the repeat; 0 where the window is closed for as long as the server asked."""
        if response.wait and response.status in (429, 503):
            return 0.0
        return max(response.wait or 0.0, backoff(repeat))

    async def _attempt(self, path: str, payload: bytes, tokens: float, *, again: bool) -> Response:
        entered = await self.window.enter(again=again)
        try:
            if self._stopped:
                raise ChatStopped(self._stopped)
            await self._requests.take(1)
            await self._tokens.take(tokens)
            response = await self._send(self.settings.url + path, payload)
            if response.status in (429, 503):
                self.window.throttled(entered, response.wait or 0.0)
            elif response.status == 200:
                self._ever_answered, self._given_up = True, 0
                self.window.succeeded()
            return response
        finally:
            self.window.leave()

    async def _send(self, url: str, payload: bytes) -> Response:
        import aiohttp

        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            # A redirect is not followed: it would carry the key to somewhere else.
            async with self._connections().post(url, data=payload, allow_redirects=False) as answer:
                body = await self._read(answer)
                wait = retry_after(answer.headers.get("Retry-After"))
                return Response(answer.status, body, wait, loop.time() - start)
        except (asyncio.TimeoutError, TimeoutError):
            return Response(0, f"no answer within {self.settings.timeout:g} s (llm.timeout)".encode())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Response(0, f"{type(error).__name__}: {error}".encode())

    @staticmethod
    async def _read(answer: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > BODY_LIMIT:
                raise ValueError(f"an answer of more than {BODY_LIMIT} bytes")
        return b"".join(parts)

    def _connections(self) -> aiohttp.ClientSession:
        """The session, made inside the running loop when it is first needed."""
        if self._session is None:
            import aiohttp

            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),  # the window is the limit
                timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
                headers=headers,
                trust_env=not self.settings.is_local,
            )
        return self._session

    @staticmethod
    def _object(response: Response) -> dict[str, Any]:
        try:
            value = strict_json(response.body.decode("utf-8"))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(value, dict):
            raise ValueError(f"a JSON {type(value).__name__}")
        return value

    def _refuse_hopeless(self, response: Response) -> None:
        """Raises when a repeat cannot help, with what to do about it."""
        status, said = response.status, response.said
        told = f"{self.settings.url} answered {status} ({said}). "
        if status in (401, 402) or (status == 429 and "insufficient_quota" in response.body.decode("utf-8", "replace")):
            self._stop(told + self._advice_on_access(status))
        if status in (403, 404) and not self._ever_answered:
            model = self.settings.model
            self._stop(
                f"{told}Check llm.base_url and that the key may use the model {model!r} (GET /models lists them)."
            )
        if 300 <= status < 400:
            self._stop(told + "It redirects: set llm.base_url to the address behind it.")
        known_field = status >= 500 and any(field in said for field in _FIELDS)
        if known_field or (400 <= status < 500 and status not in (408, 409, 425, 429)):
            if status == 404:  # it has answered before: the model or what stands behind a proxy is gone
                raise self._outage(f"{told}Is the model still served?", response)
            raise CallFailed(f"{told}The request itself is refused: see the message.", status, said)

    def _advice_on_access(self, status: int) -> str:
        if status != 401:
            return "The account has no credit left."
        variable = self.settings.api_key_env
        return f"Check the key in {variable}." if variable else "Name the variable with the key in llm.api_key_env."

    def _give_up(self, response: Response, attempts: int) -> None:
        if response.status == 0 and not self._ever_answered:
            self._stop(
                f"{self.settings.url} cannot be asked: {response.said}. Start the server or correct llm.base_url."
            )
        said = f"answered {response.status} ({response.said})" if response.status else response.said
        what = f"{self.settings.url}: {attempts} attempts failed, the last one: {said}. Run again to repeat this call."
        raise self._outage(what, response)

    def _outage(self, what: str, response: Response) -> CallFailed:
        """The failure of one call that the server is to blame for; ChatStopped when it was not the first in a row."""
        self._given_up += 1
        if self._given_up >= OUTAGE:
            said = f"{response.status} ({response.said})" if response.status else response.said
            told = f"{self.settings.url}: {self._given_up} calls in a row failed, the last one: {said}. "
            self._stop(told + "See to the server, then run again.")
        return CallFailed(what, response.status, response.said, outage=True)

    def _stop(self, why: str) -> None:
        self._stopped = " ".join(why.split())
        raise ChatStopped(self._stopped)
