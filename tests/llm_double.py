"""LlmDouble: a real HTTP server on loopback that behaves like an OpenAI-compatible one, good days and bad days.

    with LlmDouble(lambda body: "Hello.", latency=0.05, faults={"429": 0.05, "bad_json": 0.05}, seed=1) as double:
        settings = LlmSettings(base_url=double.url, model="double")
        ...
    assert not double.repeated()   # nothing was answered twice

What goes wrong is drawn from the seed, the request and how often it was asked: the same in whatever order calls come.
As a process of its own: `python tests/llm_double.py --latency 0.05` prints the base URL and serves until it is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

Body = dict[str, Any]

# HTTP faults come instead of an answer and are not counted as one; faults of the model are answers.
HTTP_FAULTS = ("307", "400", "429", "503", "500", "dropped", "not_an_object")
MODEL_FAULTS = ("bad_json", "wrong_schema", "truncated", "empty")


def digest(body: Mapping[str, Any]) -> str:
    """A name for a request: equal bodies have equal names."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def default_answer(body: Body) -> str:
    """A text that tells requests apart."""
    return f"Answer {digest(body)}."


class LlmDouble:
    """The server, in a thread.

    Args:
        answer: content of the answer to a request body; a list of texts gives several choices.
        latency: seconds before every answer.
        faults: kind (of HTTP_FAULTS or MODEL_FAULTS) -> share of the calls that it befalls; or a function of the body
            and of how often it was asked (from 1) that says which kind befalls it, "" for none.
        faults_once: the same kinds, befalling the first call of every request.
        seed: of the faults.
        retry_after: the header of 429 and 503; None for none.
        capacity: most calls at a time; more are answered with 429. None for no limit.
        structured: what the server does with `response_format`: "taken", or "refused" with a 400 that names it.
        api_key: the key that is wanted; None: any or none.
        models: names that are served; None: every name.
        echo_thought: a thought put before every answer, in tags.
        counts_tokens: whether answers hold `usage`.
        n_given: most choices given in one answer, whatever `n` was asked; None: n.
        n_refused: whether `n` above 1 is a 400, as of a llama.cpp server with fewer slots.
        envelope: makes the whole JSON of an answer, for servers of another shape.

    Attributes:
        asked: request -> how often it came in; `answered`: how often it got an answer (not an HTTP fault).
        bodies: request -> its body.
        statuses: HTTP status -> how often it was sent; 0 for dropped connections.
        times: when calls came in, seconds of the monotonic clock.
        most_at_once: most calls in flight at a time.
    """

    def __init__(
        self,
        answer: Callable[[Body], str | list[str]] = default_answer,
        *,
        latency: float = 0.0,
        faults: Mapping[str, float] | Callable[[Body, int], str] | None = None,
        faults_once: tuple[str, ...] = (),
        seed: int = 0,
        retry_after: str | None = "0.05",
        capacity: int | None = None,
        structured: str = "taken",
        api_key: str | None = None,
        models: tuple[str, ...] | None = None,
        echo_thought: str = "",
        counts_tokens: bool = True,
        n_given: int | None = None,
        n_refused: bool = False,
        envelope: Callable[[Body], Any] | None = None,
    ) -> None:
        self.answer, self.latency, self.seed, self.retry_after = answer, latency, seed, retry_after
        self.faults, self.faults_once = faults or {}, faults_once
        self.envelope = envelope
        self.capacity, self.structured, self.api_key, self.models = capacity, structured, api_key, models
        self.echo_thought, self.counts_tokens = echo_thought, counts_tokens
        self.n_given, self.n_refused = n_given, n_refused
        named = () if callable(self.faults) else self.faults
        unknown = {*named, *faults_once} - {*HTTP_FAULTS, *MODEL_FAULTS}
        assert not unknown, f"unknown faults {unknown}"
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.bodies: dict[str, Body] = {}
        self.times: list[float] = []
        self.in_flight = self.most_at_once = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """What a client's `base_url` is."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> int:
        """How many calls got an answer."""
        return sum(self.answered.values())

    def repeated(self) -> list[Body]:
        """Bodies that were answered more than once."""
        return [self.bodies[name] for name, count in self.answered.items() if count > 1]

    def __enter__(self) -> LlmDouble:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the double does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, port: int = 0) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._listen(port))
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(runner.cleanup())
            self._loop.close()

    async def _listen(self, port: int) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        self.port = runner.addresses[0][1]
        return runner

    def serve_forever(self, port: int) -> None:
        """Serves in this thread; prints the base URL once it can be asked."""
        threading.Thread(target=lambda: self._ready.wait() and print(self.url, flush=True), daemon=True).start()
        self._serve(port)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return self._error(401, "Incorrect API key provided")
        if request.path == "/v1/models":
            data = [{"id": name, "object": "model"} for name in self.models or ("double",)]
            return self._json(200, {"object": "list", "data": data})
        if request.path not in ("/v1/chat/completions", "/v1/completions"):
            return self._error(404, f"no {request.path} here")
        self.times.append(self._loop.time())
        self.in_flight += 1
        self.most_at_once = max(self.most_at_once, self.in_flight)
        try:
            return await self._complete(request, json.loads(await request.read()))
        finally:
            self.in_flight -= 1

    async def _complete(self, request: web.BaseRequest, body: Body) -> web.StreamResponse:
        name = digest(body)
        self.asked[name] += 1
        self.bodies[name] = body
        if self.capacity is not None and self.in_flight > self.capacity:
            return self._busy(429)
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.models is not None and body.get("model") not in self.models:
            return self._error(404, f"The model {body.get('model')!r} does not exist")
        if self.structured == "refused" and "response_format" in body:
            return self._error(400, "Unknown parameter: 'response_format'")
        if self.n_refused and body.get("n", 1) > 1:
            return self._error(400, "Field 'n': Value must be between 1 <= value <= 1")
        fault = self._fault(name)
        if fault in ("429", "503"):
            return self._busy(int(fault))
        if fault == "307":
            return self._error(307, "moved", {"Location": request.path})
        if fault == "400":
            return self._error(400, "this model's maximum context length is 10 tokens")
        if fault == "500":
            return self._error(500, "internal error")
        if fault == "dropped":
            self.statuses[0] += 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == "not_an_object":
            return self._json(200, ["surprise"])
        self.answered[name] += 1
        if request.path == "/v1/completions":
            return self._json(200, self._scored(body))
        return self._json(200, self._chat(body, fault))

    def _fault(self, name: str) -> str:
        if self.faults_once and self.asked[name] <= len(self.faults_once):
            return self.faults_once[self.asked[name] - 1]
        if callable(self.faults):
            return self.faults(self.bodies[name], self.asked[name])
        if not self.faults:
            return ""
        drawn = random.Random(f"{self.seed} {name} {self.asked[name]}").random()
        for kind, share in self.faults.items():
            drawn -= share
            if drawn < 0:
                return kind
        return ""

    def _chat(self, body: Body, fault: str) -> Any:
        if self.envelope is not None:
            return self.envelope(body)
        texts = self.answer(body)
        texts = [texts] * int(body.get("n", 1)) if isinstance(texts, str) else texts
        texts = [_spoilt(text, fault) for text in texts[: self.n_given]]
        reason = "length" if fault == "truncated" else "stop"
        choices = [
            {"index": i, "message": {"role": "assistant", "content": self.echo_thought + text}, "finish_reason": reason}
            for i, text in enumerate(texts)
        ]
        reply = {"id": "chatcmpl-0", "object": "chat.completion", "model": body.get("model"), "choices": choices}
        if self.counts_tokens:
            read = sum(len(str(message["content"]).split()) for message in body["messages"])
            written = sum(len(text.split()) for text in texts)
            reply["usage"] = {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
            }
        return reply

    def _scored(self, body: Body) -> Body:
        """`echo` with `logprobs`: words are the tokens; a word's log-probability depends on the word alone."""
        tokens = [f"{word} " for word in str(body["prompt"]).split()]
        scores = [-1 - int(hashlib.sha256(token.encode()).hexdigest()[:4], 16) / 65536 for token in tokens]
        offsets = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
        logprobs = {"tokens": tokens, "token_logprobs": [None, *scores[1:]], "text_offset": offsets}
        choice = {"index": 0, "text": "".join(tokens), "logprobs": logprobs, "finish_reason": "length"}
        usage = {"prompt_tokens": len(tokens), "completion_tokens": 0, "total_tokens": len(tokens)}
        return {"id": "cmpl-0", "object": "text_completion", "choices": [choice], "usage": usage}

    def _busy(self, status: int) -> web.Response:
        headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        return self._error(status, "too many requests", headers)

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        return self._json(status, {"error": {"message": message, "type": "error"}}, headers)

    def _json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
        self.statuses[status] += 1
        text = json.dumps(value).encode()
        return web.Response(status=status, body=text, content_type="application/json", headers=headers)


def _spoilt(text: str, fault: str) -> str:
    if fault == "bad_json":
        return text[:-1] + ", and so on" if text[-1:] in "}]" else f'{{"half": "{text}'
    if fault == "wrong_schema":
        return '{"surprise": true}'
    if fault == "truncated":
        return text[: len(text) // 2]
    return "" if fault == "empty" else text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A double of an OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--fault", action="append", default=[], metavar="KIND=SHARE")
    given = parser.parse_args()
    shares = {kind: float(share) for kind, share in (fault.split("=") for fault in given.fault)}
    LlmDouble(latency=given.latency, faults=shares).serve_forever(given.port)
