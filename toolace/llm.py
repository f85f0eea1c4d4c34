"""Llm: the ChatModel behind an OpenAI-compatible server, with journal, budget, and repair of bad answers.

settings = LlmSettings(base_url="http://127.0.0.1:8000/v1", model="qwen")
with Journal(folder / "journal.sqlite") as journal:
    async with Llm(settings, journal) as model:
        reply = await model.chat(ChatRequest([{"role": "user", "content": "Hello."}]))
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from toolace.chat import BadAnswer, CallFailed, ChatReply, ChatRequest, Choice, Sampling, Usage
from toolace.chat_limits import Meter
from toolace.endpoint import Endpoint
from toolace.journal import Entry, Journal, key_of
from toolace.llm_settings import LlmSettings
from toolace.structured import Fault, read_choice, repair, with_demand

# Characters a token, where only a guess is needed: before a call, and for servers that do not count.
_CHARACTERS = 4
# Two draws and two parts of one request must not be given the same seed.
_SEED_STEP, _SEED_RANGE = 1_000_003, 2**31
# Seconds until a busy thread lets another one run. At Python's 5 ms the journal's thread, which needs the interpreter
# for microseconds several times a commit, made answers wait longer than the work on them took.
_SWITCH_INTERVAL = 0.0005


@dataclass
class _Answers:
    """The answers to one prompt, over the calls it took to get as many as were wanted."""

    good: list[Choice]
    faults: list[tuple[Fault, str]]
    usage: Usage
    seconds: float
    reused: bool


class Llm:
    """A language model on a server.

    Args:
        settings: the server and its limits.
        journal: where answers are kept and found again; None: nothing is kept and equal requests are not shared.

    Attributes:
        meter: what was asked and spent so far.

    Raises:
        InputError: the API key is not in the environment.
    """

    def __init__(self, settings: LlmSettings, journal: Journal | None = None) -> None:
        self.settings, self.journal = settings, journal
        self.meter = Meter(
            price_in=settings.price_in,
            price_out=settings.price_out,
            max_calls=settings.max_calls,
            max_tokens=settings.max_tokens_total,
            max_cost=settings.max_cost,
        )
        self.endpoint = Endpoint(settings, self.meter)
        # How schemas are demanded. Found out by the first answers, and the same for all that come later.
        self._by_format = settings.structured != "prompt"
        self._in_words = settings.structured == "prompt"
        self._length_field = "max_tokens"
        self._takes_n = self._one_by_one = False
        self._switch_interval = sys.getswitchinterval()

    async def __aenter__(self) -> Llm:
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_interval, _SWITCH_INTERVAL))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.journal is not None and error is None:
                await self.journal.settled()
            await self.endpoint.close()
        finally:
            sys.setswitchinterval(self._switch_interval)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answers; see `ChatModel.chat`. A bad answer is asked for again at most `settings.repeats` times.

        With `sampling.n` above 1 the bad ones among the answers are left out; only when all are bad it is asked again.
        """
        wanted = replace(request, model=request.model or self.settings.model, sampling=self._sampling(request.sampling))
        usage, seconds, reused = Usage(), 0.0, True
        for repeats in range(self.settings.repeats + 1):
            answers = await self._ask(wanted)
            usage, seconds, reused = usage + answers.usage, seconds + answers.seconds, reused and answers.reused
            if answers.good:
                return ChatReply(tuple(answers.good), usage, seconds, reused, repeats)
            fault, text = answers.faults[0]
            if repeats < self.settings.repeats:
                self.meter.repeats += 1
                wanted = replace(wanted, messages=[*wanted.messages, *repair(text, fault, wanted.schema)])
        self.meter.bad += 1
        raise BadAnswer(fault.reason, fault.detail, text, usage)

    def _sampling(self, asked: Sampling) -> Sampling:
        """What a request leaves open, from the settings."""
        names = ("temperature", "top_p", "max_tokens", "seed")
        open_ = {name: getattr(self.settings, name) for name in names if getattr(asked, name) is None}
        return replace(asked, **open_)

    async def _ask(self, wanted: ChatRequest) -> _Answers:
        """Calls until there are n answers: many servers give one, whatever n is, and some refuse n above 1."""
        result = _Answers([], [], Usage(), 0.0, True)
        count = missing = wanted.sampling.n
        if count == 1 or self._is_asked_one_by_one(wanted):
            calls = (self._call(wanted, 1, part) for part in range(count))
            for entry, reused in await asyncio.gather(*calls):
                self._take(wanted, result, entry, reused, 1)
            return result
        for part in range(count):
            if missing <= 0:
                break
            try:
                entry, reused = await self._call(wanted, missing, part)
            except CallFailed as error:
                if self._takes_n or missing == 1 or error.status not in (400, 422):
                    raise
                await self._call(wanted, 1, 0)  # where the request itself is at fault, this fails too
                self._one_by_one = True
                return await self._ask(wanted)
            self._takes_n = True
            missing -= self._take(wanted, result, entry, reused, missing)
        return result

    def _is_asked_one_by_one(self, wanted: ChatRequest) -> bool:
        """Whether the server refuses n above 1: as it has said, or as the journal shows, from which it is not asked."""
        if self._takes_n or self._one_by_one or self.journal is None:
            return self._one_by_one
        return self.journal.get(self._key(wanted, 1, 0)) is not None

    def _take(self, wanted: ChatRequest, result: _Answers, entry: Entry, reused: bool, most: int) -> int:
        """Adds the choices of a call, at most so many, to the answers; returns how many there were."""
        result.usage += Usage(entry.prompt_tokens, entry.completion_tokens)
        result.seconds += entry.answer["seconds"]
        result.reused = result.reused and reused
        given = entry.answer["choices"][:most]
        for text, thought, finish_reason in given:
            read = read_choice(text, thought, finish_reason, wanted.schema)
            if isinstance(read, Fault):
                result.faults.append((read, text))
            else:
                result.good.append(read)
        self._notice(wanted, result)
        return len(given)

    def _notice(self, wanted: ChatRequest, result: _Answers) -> None:
        """A server that takes `response_format` and then ignores it answers in prose: it is told in words as well."""
        prose = any(fault.reason == "not_json" for fault, _ in result.faults)
        if prose and wanted.schema is not None and self.settings.structured == "auto":
            self._in_words = True

    async def _call(self, wanted: ChatRequest, n: int, part: int) -> tuple[Entry, bool]:
        async def ask() -> Entry:
            return await self._post(wanted, n, part)

        if self.journal is None:
            return await ask(), False
        entry, reused = await self.journal.once(self._key(wanted, n, part), ask)
        self.meter.reused += reused
        return entry, reused

    def _key(self, wanted: ChatRequest, n: int, part: int) -> bytes:
        """Of everything that decides the answer. The server's address is not among it: servers move."""
        schema = wanted.schema
        return key_of(
            {
                "model": wanted.model,
                "messages": [dict(message) for message in wanted.messages],
                "sampling": {**vars(wanted.sampling), "n": n},
                "structured": self.settings.structured,
                "draw": [wanted.draw, part],
            },
            {"schema": "null" if schema is None else schema.canonical},
        )

    async def _post(self, wanted: ChatRequest, n: int, part: int) -> Entry:
        """One call: admitted by the budget, sent in the server's dialect, counted."""
        self.meter.admit()
        try:
            data, seconds = await self._post_in_dialect(wanted, n, part)
            choices = [_read(choice) for choice in data.get("choices") or []]
            if not choices:
                raise CallFailed(
                    f"{self.settings.url} sent an answer without choices. Is it an OpenAI-compatible server?",
                    outage="choices" not in data,  # a proxy whose server is gone says so with status 200
                )
        except (TypeError, AttributeError, KeyError):
            self.meter.failed()
            raise CallFailed(f"{self.settings.url} sent an answer of a shape that is not OpenAI's.") from None
        except BaseException:
            self.meter.failed()
            raise
        usage = _usage(data.get("usage"), wanted, choices)
        self.meter.answered(usage)
        self.endpoint.settle(self._estimate(wanted, n), usage.tokens)
        answer = {"choices": choices, "seconds": round(seconds, 4)}
        return Entry(answer, usage.prompt_tokens, usage.completion_tokens, wanted.stage, wanted.label)

    async def _post_in_dialect(self, wanted: ChatRequest, n: int, part: int) -> tuple[dict[str, Any], float]:
        """Sends the request, and again in another form when the server says it does not know a field."""
        while True:
            body = self._body(wanted, n, part)
            written = {}
            if wanted.schema is not None and self._by_format:
                written["response_format"] = wanted.schema.sent
            try:
                return await self.endpoint.post("/chat/completions", body, self._estimate(wanted, n), written)
            except CallFailed as error:
                if written and self._refuses_format(error):
                    self._by_format, self._in_words = False, True
                elif "max_tokens" in body and "max_completion_tokens" in error.body:
                    self._length_field = "max_completion_tokens"
                else:
                    raise

    def _refuses_format(self, error: CallFailed) -> bool:
        named = "response_format" in error.body or "json_schema" in error.body
        return self.settings.structured == "auto" and error.status >= 400 and named

    def _body(self, wanted: ChatRequest, n: int, part: int) -> dict[str, Any]:
        sampling, schema = wanted.sampling, wanted.schema
        body: dict[str, Any] = {"model": wanted.model, self._length_field: sampling.max_tokens}
        if schema is not None and self._in_words:
            body["messages"] = with_demand(wanted.messages, schema)
        else:
            body["messages"] = [dict(message) for message in wanted.messages]
        if n > 1:
            body["n"] = n
        for name in ("temperature", "top_p"):
            if getattr(sampling, name) is not None:
                body[name] = getattr(sampling, name)
        if sampling.seed is not None:
            body["seed"] = (sampling.seed + wanted.draw * _SEED_STEP + part) % _SEED_RANGE
        return body

    def _estimate(self, wanted: ChatRequest, n: int) -> float:
        """Tokens that a call may cost, as accounts' limits count them beforehand."""
        return _characters(wanted) / _CHARACTERS + n * (wanted.sampling.max_tokens or 0)


def _characters(wanted: ChatRequest) -> int:
    return sum(len(message.get("content") or "") for message in wanted.messages)


def _read(choice: Mapping[str, Any]) -> tuple[str, str, str]:
    """(content, thought, finish reason) of a choice; servers call the thought by two names."""
    message = choice["message"]
    thought = message.get("reasoning_content") or message.get("reasoning") or ""
    text, reason = message.get("content") or message.get("refusal") or "", choice.get("finish_reason") or "stop"
    return (text if isinstance(text, str) else str(text)), str(thought), str(reason)


def _usage(told: Any, wanted: ChatRequest, choices: list[tuple[str, str, str]]) -> Usage:
    """The server's count; a quarter of the characters where it gives none, so that a budget holds there as well."""
    counts = [told.get(name) if isinstance(told, Mapping) else None for name in ("prompt_tokens", "completion_tokens")]
    guesses = [_characters(wanted), sum(len(text) + len(thought) for text, thought, _ in choices)]
    pairs = zip(counts, guesses, strict=True)
    return Usage(*(c if type(c) is int and 0 <= c < 2**40 else 1 + g // _CHARACTERS for c, g in pairs))
