"""The backend for any OpenAI-compatible server: chat or text completions, prompting or native calls.

Every dialog is a task of its own, as many at once as the server is allowed to be asked, so that none waits for another;
`toolace.endpoint` repeats what fails and honours the server's limits. A question that the server refuses for good, such
as one longer than its context, is answered by the error's text, as the official harness does: it counts, and the run
goes on.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from eval.asking import Answer, Ask, Dialog, T
from eval.chat_template import ChatTemplate
from eval.settings import Server
from toolace.chat import CallFailed, ChatError, ChatStopped
from toolace.chat_limits import Meter
from toolace.endpoint import Endpoint
from toolace.errors import InputError
from toolace.llm_settings import LlmSettings
from toolace.rows import read_rows

R = TypeVar("R")
_CHARACTERS = 4  # a token, where a limit a minute needs a guess before the call
REFUSED = "Error during inference: "  # what the official harness writes as the answer where it could not get one
# Bad request, too large, unprocessable: about this question, and the same however often it is asked.
REFUSALS = (400, 413, 422)
_KEYS = re.compile(r"\bllm\.(?=base_url|api_key_env|concurrency|timeout|temperature)")
_PROBE = [{"role": "user", "content": "Hello."}]
_PROBE_TOOL = {
    "type": "function",
    "function": {"name": "greet", "description": "Greets.", "parameters": {"type": "object", "properties": {}}},
}


class ServerModel:
    """A model on a server.

    Args:
        model: its name there.
        server: where it is.
        temperature: of sampling.

    Raises:
        InputError: the address is none, the key is not in the environment, or the tokenizer cannot be found.
    """

    def __init__(self, model: str, server: Server, temperature: float = 0.0) -> None:
        self.settings = server_settings(model, server, temperature)
        with_our_keys(self.settings.api_key)
        self.template = ChatTemplate(server.tokenizer or model) if server.endpoint == "completions" else None
        self.refused: list[str] = []
        self._takes_questions: asyncio.Task[None] | None = None

    def lead(self, dialogs: Iterable[Dialog[T]], max_new_tokens: int, at_once: int | None = None) -> Iterator[list[T]]:
        """Leads all dialogs at once, up to the server's concurrency; see `AnswerModel.lead`.

        Raises:
            InputError: the server cannot be asked, or did not answer some questions; what was answered was yielded.
        """
        self.refused, self._takes_questions = [], None
        rows: queue.Queue[list[T] | Exception | None] = queue.Queue()
        most = min(self.settings.concurrency, at_once or self.settings.concurrency)
        thread = threading.Thread(target=self._run, args=(iter(dialogs), max_new_tokens, most, rows), daemon=True)
        thread.start()
        while (item := rows.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
        thread.join()
        if self.refused:
            what = f"{len(self.refused)} requests were refused and count as answered by the error"
            print(f"{self.settings.url}: {what} (first: {self.refused[0]})", file=sys.stderr)

    def _run(self, dialogs: Iterator[Dialog[T]], max_new_tokens: int, most: int, rows: queue.Queue[Any]) -> None:
        try:
            failed = asyncio.run(self._lead_all(dialogs, max_new_tokens, most, rows))
            if failed:
                what = f"{len(failed)} questions have no answer ({_said(failed[0])})"
                rows.put(
                    InputError(what, where=self.settings.url, fix="Run the command again: it asks what is missing.")
                )
        except ChatStopped as stop:
            rows.put(InputError(_said(stop), where="evaluate.server", fix="Then run the command again."))
        except Exception as error:  # whatever it is, it belongs to the thread that waits
            rows.put(error)
        rows.put(None)

    async def _lead_all(
        self, dialogs: Iterator[Dialog[T]], max_new_tokens: int, most: int, rows: queue.Queue[Any]
    ) -> list[ChatError]:
        """Leads dialogs `most` at a time; returns the errors of those that could not be led to their end."""
        endpoint = Endpoint(self.settings, Meter())
        failed: list[ChatError] = []

        async def take() -> None:
            for dialog in dialogs:
                try:
                    rows.put([await self._lead(endpoint, dialog, max_new_tokens)])
                except ChatStopped:
                    raise
                except ChatError as error:
                    failed.append(error)

        try:
            await asyncio.gather(*(take() for _ in range(most)))
        finally:
            await endpoint.close()
        return failed

    async def _lead(self, endpoint: Endpoint, dialog: Dialog[T], max_new_tokens: int) -> T:
        ask = next(dialog)
        while True:
            answer = await self._answer(endpoint, ask, max_new_tokens)
            try:
                # A dialog may execute calls of the model, which takes its time: others go on meanwhile.
                ask = await asyncio.to_thread(_send, dialog, answer)
            except _Ended as ended:
                return ended.value  # type: ignore[no-any-return]

    async def _answer(self, endpoint: Endpoint, ask: Ask, max_new_tokens: int) -> Answer:
        try:
            answer = await self._post(endpoint, ask, max_new_tokens)
        except CallFailed as error:
            if error.status not in REFUSALS:
                raise
            if self._takes_questions is None:
                self._takes_questions = asyncio.create_task(self._probe(endpoint, ask, max_new_tokens))
            await self._takes_questions
            self.refused.append(_said(error))
            return Answer(0, f"{REFUSED}{_said(error)}", 0, 0, 0.0, True, None)
        return answer

    async def _probe(self, endpoint: Endpoint, refused: Ask, max_new_tokens: int) -> None:
        """Asks a question that nothing can be wrong with, once, before a refusal is taken for an answer.

        Raises:
            ChatStopped: it is refused as well, so that it is not the questions that are wrong.
        """
        ask = Ask(_PROBE, [_PROBE_TOOL] if refused.tools else None)
        try:
            await self._post(endpoint, ask, max_new_tokens)
        except CallFailed as error:
            why = f"The server refuses even a short question: {_said(error)}. Correct its settings or ours"
            raise ChatStopped(why) from None

    async def _post(self, endpoint: Endpoint, ask: Ask, max_new_tokens: int) -> Answer:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "temperature": self.settings.temperature,
            "max_tokens": max_new_tokens,
        }
        if self.template is None:
            path, body["messages"] = "/chat/completions", list(ask.messages)
            if ask.tools:
                body["tools"] = list(ask.tools)
        else:
            path, body["prompt"] = "/completions", self.template.text(ask)
        cost = sum(len(str(m.get("content") or "")) for m in ask.messages) / _CHARACTERS + max_new_tokens
        reply, seconds = await endpoint.post(path, body, cost)
        answer = _read(reply, seconds, native=ask.tools is not None)
        endpoint.settle(cost, answer.input_tokens + answer.output_tokens)
        return answer


def server_settings(model: str, server: Server, temperature: float = 0.0) -> LlmSettings:
    """The settings of the connection.

    Raises:
        InputError: an address, a number or a key that cannot be; it names the key of `evaluate.server`.
    """
    return with_our_keys(
        lambda: LlmSettings(
            base_url=server.base_url,
            model=model,
            api_key_env=server.api_key_env or None,
            temperature=temperature,
            concurrency=server.concurrency,
            timeout=server.timeout,
        )
    )


def with_our_keys(do: Callable[[], R]) -> R:
    """Does something whose errors name keys of section `llm`, which a recipe's `evaluate` does not have."""
    try:
        return do()
    except InputError as error:
        raise InputError(_our_keys(error.what), where=error.where, fix=_our_keys(error.fix)) from None


def count_refused(path: Path) -> int:
    """Rows of a result file with an answer, or a step of one, that is the text of a refusal."""
    if not path.exists():
        return 0
    return sum(_is_refused(row.get("result")) for _, row in read_rows(path))


def _is_refused(result: Any) -> bool:
    if isinstance(result, list):
        return any(map(_is_refused, result))
    return isinstance(result, str) and result.startswith(REFUSED)


def _our_keys(text: str) -> str:
    return _KEYS.sub("evaluate.server.", text).replace("evaluate.server.temperature", "evaluate.temperature")


def _said(error: Exception) -> str:
    """What an error says, under our keys and without a final full stop, since it is told as a part of a sentence."""
    return _our_keys(str(error)).rstrip(". ")


class _Ended(Exception):
    """Carries what a dialog returns out of a thread, through which a StopIteration cannot pass."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _send(dialog: Dialog[Any], answer: Answer) -> Ask:
    try:
        return dialog.send(answer)
    except StopIteration as stop:
        raise _Ended(stop.value) from None


def _read(reply: Mapping[str, Any], seconds: float, native: bool) -> Answer:
    """The first choice of a reply of either kind.

    Raises:
        CallFailed: the reply has no choice, or one of another form.
    """
    try:
        choice = reply["choices"][0]
        message = choice.get("message") or {"content": choice.get("text")}
        calls = [
            {"id": str(call.get("id") or f"call_{i}"), "name": call["function"]["name"], "arguments": _text(call)}
            for i, call in enumerate(message.get("tool_calls") or [])
        ]
        text, usage = message.get("content") or "", reply.get("usage") or {}
        if not isinstance(text, str):
            raise TypeError(f"content is a {type(text).__name__}")
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise CallFailed(f"the server's reply has no answer in it ({type(error).__name__}: {error})", 200, "") from None
    complete = choice.get("finish_reason") != "length"
    return Answer(0, text, tokens[0], tokens[1], round(seconds, 4), complete, calls or None if native else None)


def _text(call: Mapping[str, Any]) -> str:
    arguments = call["function"].get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {})
