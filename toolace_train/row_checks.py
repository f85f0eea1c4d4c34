"""One trained row asked of a server: whether its prompt, its answer and its calls are those of the trained model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from toolace.comparison import same_calls
from toolace_train.held_out import calls_in
from toolace_train.local_answers import LocalModel
from toolace_train.prompts import TrainedPrompt, difference
from toolace_train.rendering import Renderer, Unrenderable
from toolace_train.servers import Reply, Server

_LONGEST_TOKEN = 16  # characters of a text that are tried as its first token


@dataclass(frozen=True)
class RowCheck:
    """What one row showed.

    Attributes:
        source: the row.
        prompt: `equal`, `same length` (the server tells no tokens, only how many), or `different`.
        difference: where the prompts part, for people; "" when they do not.
        answer_equal: whether server and local model wrote the same; where the server reads calls itself, the same
            calls beside the same words.
        calls_equal: whether they made the same calls; None when neither made any.
        trained_calls: whether the row's answer holds calls.
        right: whether the server's calls are those of the row; for an answer in words, that it made none.
        gap: logits between the local choice and the server's at the first difference; 0 without one.
    """

    source: str
    prompt: str
    difference: str
    answer_equal: bool
    calls_equal: bool | None
    trained_calls: bool
    right: bool
    gap: float


def check(server: Server, local: LocalModel, prompt: TrainedPrompt, max_tokens: int, rendering: str) -> RowCheck:
    """One row: prompt, answer and calls.

    Args:
        server: asked as a client would.
        local: the model that was trained.
        prompt: of the row.
        max_tokens: longest answer.
        rendering: of the training: `toolace` or `native`, how calls are written.
    """
    served = server.prompt_ids(prompt.messages, prompt.tools)
    reply = server.answer(prompt.messages, prompt.tools, max_tokens)
    state, apart = compare_prompts(prompt.ids, served, reply.prompt_tokens, local)
    own = local.greedy(prompt.ids, max_tokens)
    text = local.text(own)
    calls, made = calls_in(text, rendering), reply.calls or calls_in(reply.text, rendering)
    wanted = calls_in(prompt.answer if rendering == "native" else local.text(local.tokens(prompt.answer)), rendering)
    same = same_calls(calls, made)
    equal = same and _same_words(reply.text, text) if reply.calls else reply.text.strip() == text.strip()
    return RowCheck(
        prompt.source,
        state,
        apart,
        equal,
        same if calls or made else None,
        bool(wanted),
        same_calls(wanted, made),
        0.0 if equal else first_gap(local, prompt.ids, own, _written(reply, prompt, local)),
    )


def _same_words(beside: str, text: str) -> bool:
    """Whether the words a server left beside the calls it read are those of the text."""
    return not beside.strip() or text.strip().startswith(beside.strip())


def _written(reply: Reply, prompt: TrainedPrompt, local: LocalModel) -> str:
    """A server's answer as the model will have written it; calls that the server read as the template writes them."""
    if not reply.calls:
        return reply.text
    calls = [{"type": "function", "function": {"name": c.name, "arguments": dict(c.arguments)}} for c in reply.calls]
    said = {"role": "assistant", "content": reply.text, "tool_calls": calls}
    renderer = Renderer(local.tokenizer)
    try:
        whole = renderer.text([*prompt.messages, said], tools=prompt.tools)
    except Unrenderable:  # such as several calls in a template for one
        return reply.text + "\n".join(json.dumps({"name": c.name, "arguments": c.arguments}) for c in reply.calls)
    answer = whole.removeprefix(renderer.text(prompt.messages, prompt=True, tools=prompt.tools))
    return local.text(local.tokens(answer))


def compare_prompts(
    trained: Sequence[int], served: Sequence[int] | None, counted: int | None, local: LocalModel
) -> tuple[str, str]:
    """(`equal`, `same length` or `different`; where they part).

    Args:
        trained: tokens before the answer in training.
        served: the tokens the server tells, None when it tells none.
        counted: how many the server counted when it answered.
        local: for the text around a difference.
    """
    if served is not None and list(served) != list(trained):
        return "different", difference(trained, served, local.tokenizer)
    if counted is not None and counted != len(trained):
        # What a server tells on request and what it then does are two paths through it.
        return "different", f"the server counted {counted} tokens where {len(trained)} were trained"
    if served is None:
        return ("different", "the server tells nothing about its prompt") if counted is None else ("same length", "")
    return "equal", ""


def first_gap(local: LocalModel, prompt: Sequence[int], own: Sequence[int], text: str) -> float:
    """How far the server's choice was from the local one where the answers part, in logits.

    A server tells text, and models write some words in other tokens than a tokenizer would: of the tokens that the
    server's text can go on with, the likeliest counts.

    Args:
        local: the model.
        prompt: trained prompt, token ids.
        own: the local answer, token ids.
        text: the server's answer.
    """
    whole = local.text(own)
    if whole.strip():
        text = whole[: len(whole) - len(whole.lstrip())] + text.lstrip()  # some servers trim answers
    said = [local.text(own[:k]) for k in range(len(own) + 1)]
    # The fewest tokens that write the longest common beginning: one that ends the turn writes nothing.
    kept = min(range(len(said)), key=lambda k: (-len(said[k]) if text.startswith(said[k]) else 1, k))
    rest = text[len(said[kept]) :]
    before = [*prompt, *own[:kept]]
    if kept == len(own):
        return 0.0  # both were cut at the longest answer
    if not rest:
        return local.gap(before, local.ends)
    served = local.tokens(rest)
    same = 0
    while same < len(served) and kept + same < len(own) and served[same] == own[kept + same]:
        same += 1  # parts of a character that is not whole yet
    if same:
        return local.gap([*before, *served[:same]], {served[same]}) if same < len(served) else 0.0
    starts = {local.tokens(rest[:length])[0] for length in range(1, min(_LONGEST_TOKEN, len(rest)) + 1)}
    return local.gap(before, starts)
