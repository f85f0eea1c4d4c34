"""The complexity evaluator over an OpenAI-compatible server that tells the log-probabilities of a prompt.

`/completions` with `echo` and `logprobs`, as vLLM and llama.cpp's Python server do it. The text is rendered here, with
the model's own chat template, so that the server sees the string that training would see.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_gen.dialog_generation.complexity import Keep, Loss, discard
from data_gen.dialog_generation.local_scorer import load_tokenizer
from toolace import Dialog, InputError
from toolace.chat import ChatError
from toolace.chat_limits import Meter
from toolace.embedded import resolve_model
from toolace.endpoint import Endpoint
from toolace.formats import to_toolace
from toolace.llm_settings import LlmSettings
from toolace.rendering import Renderer

_FIX = "Use a server of completions with echo and logprobs (vLLM; llama-cpp-python with logits_all), or no --base_url."
_CHARACTERS_A_TOKEN = 4


class ServerScorer:
    """Eq. (1) by a server.

    Args:
        settings: the server, the model's name there, and its limits.
        tokenizer: folder or hub id of the model's tokenizer, for its chat template.
        template: a chat template instead of the tokenizer's own.
    """

    def __init__(self, settings: LlmSettings, tokenizer: str, template: str | None = None) -> None:
        self.settings = settings
        self.renderer = Renderer(load_tokenizer(Path(resolve_model(tokenizer)), tokenizer), template)
        facts = [settings.url, settings.model, template or self.renderer.tokenizer.chat_template]
        self._identity = hashlib.sha256(repr(facts).encode()).hexdigest()

    @property
    def identity(self) -> str:
        """See `complexity.Evaluator`."""
        return self._identity

    def score(self, dialogs: Sequence[Dialog]) -> list[float]:
        """See `complexity.Evaluator`."""
        return [loss.loss for loss in self.losses(dialogs)]

    def losses(self, dialogs: Sequence[Dialog], keep: Keep = discard) -> list[Loss]:
        """See `complexity.Evaluator`; at most `settings.concurrency` at a time.

        After a failure no dialog is asked for any more; those in flight are finished and kept before it is raised.
        """
        return asyncio.run(self._all(dialogs, keep))

    async def _all(self, dialogs: Sequence[Dialog], keep: Keep) -> list[Loss]:
        endpoint = Endpoint(self.settings, Meter())

        places, found, failures = iter(range(len(dialogs))), dict[int, Loss](), list[InputError]()

        async def work() -> None:
            for place in places:
                if failures:
                    return
                try:
                    found[place] = await self._one(endpoint, dialogs[place])
                    keep(place, found[place])
                except InputError as error:
                    failures.append(error)

        try:
            await asyncio.gather(*(work() for _ in range(self.settings.concurrency)))
        finally:
            await endpoint.close()
        if failures:
            raise failures[0]
        return [found[place] for place in range(len(dialogs))]

    async def _one(self, endpoint: Endpoint, dialog: Dialog) -> Loss:
        text, spans = self.renderer.spans(to_toolace(dialog), dialog.id)
        body = {
            "model": self.settings.model,
            "prompt": text,
            "echo": True,
            "logprobs": 1,
            "max_tokens": 1,  # some servers refuse 0; what is written after the prompt is not looked at
            "temperature": 0,
            "add_special_tokens": False,  # the template has written them
        }
        try:
            answer, _ = await endpoint.post("/completions", body, len(text) / _CHARACTERS_A_TOKEN)
        except ChatError as error:
            raise InputError(f"cannot be scored: {error}", where=dialog.id, fix=_FIX) from None
        return _loss(dialog.id, answer, [(start, end) for start, end, _ in spans])


def _loss(id_: str, answer: Mapping[str, Any], spans: Sequence[tuple[int, int]]) -> Loss:
    """The loss over the tokens that begin inside of the spans, which are characters of the prompt."""
    offsets, scores = _read(id_, answer)
    if not offsets or max(offsets) < spans[-1][0]:
        raise InputError("the server did not echo the whole prompt", where=id_, fix=_FIX)
    total, count = 0.0, 0
    for start, end in spans:
        inside = [score for offset, score in zip(offsets, scores, strict=True) if start <= offset < end]
        if not inside or any(score is None or not math.isfinite(score) for score in inside):
            raise InputError("the server gave response tokens no log-probabilities", where=id_, fix=_FIX)
        total -= sum(score for score in inside if score is not None)
        count += len(inside)
    return Loss(id_, total / count, count)


def _read(id_: str, answer: Mapping[str, Any]) -> tuple[list[int], list[float | None]]:
    """(offset of each token in the text, its log-probability) of an answer, whose shape is checked."""
    try:
        found = answer["choices"][0]["logprobs"]
        offsets, scores = list(found["text_offset"]), list(found["token_logprobs"])
    except (KeyError, IndexError, TypeError):
        raise InputError("the server told no log-probabilities", where=id_, fix=_FIX) from None
    good = len(offsets) == len(scores) and all(type(offset) is int for offset in offsets)
    if not good or not all(score is None or type(score) in (int, float) for score in scores):
        raise InputError("the server's log-probabilities are not a number a token", where=id_, fix=_FIX)
    return offsets, scores
