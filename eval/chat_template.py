"""A model's tokenizer and chat template: from a conversation to the text or tokens that the model continues."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from eval.asking import Ask, Message
from toolace.embedded import resolve_model
from toolace.errors import InputError


class ChatTemplate:
    """What a model's own tokenizer makes of conversations.

    Args:
        name: a model or adapter folder, "embedded/SmolLM2-135M-Instruct", or a hub id.

    Raises:
        InputError: nothing there, and the hub does not answer either.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoTokenizer

        self.tokenizer: Any = or_explain(lambda: AutoTokenizer.from_pretrained(resolve_model(name)), name)
        self._takes_tools: bool | None = None  # not known before the first question with tools

    def token_ids(self, ask: Ask) -> list[int]:
        """Token ids of a conversation, up to where the assistant's turn begins.

        Raises:
            InputError: the conversation comes with tools, and the template has no place for them.
        """
        ids: list[int] = self._render(ask.messages, ask.tools, tokenize=True, return_dict=True)["input_ids"]
        if ask.tools and self._takes_tools is None:
            self._takes_tools = ids != self._render(ask.messages, None, tokenize=True, return_dict=True)["input_ids"]
        if ask.tools and not self._takes_tools:
            fix = "Ask it with evaluate.mode: prompting."
            raise InputError("the chat template of the model takes no tools", where="evaluate.mode", fix=fix)
        return ids

    def text(self, ask: Ask) -> str:
        """The same as text, for a server that is asked for the continuation of a text."""
        self.token_ids(ask)  # refuses tools that would be lost
        text: str = self._render(ask.messages, ask.tools, tokenize=False)
        return text

    def _render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None, **how: Any) -> Any:
        return self.tokenizer.apply_chat_template(
            [_for_template(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=True,
            **how,
        )


def _for_template(message: Message) -> Message:
    """A message as templates expect it: text where there is none, arguments of calls as objects."""
    message = {**message, "content": message.get("content") or ""}
    if "tool_calls" in message:
        message["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _object(call["function"]["arguments"])}}
            for call in message["tool_calls"]
        ]
    return message


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def or_explain(load: Callable[[], Any], name: str) -> Any:
    """What `load` returns.

    Raises:
        InputError: instead of the library's error when a model cannot be loaded.
    """
    try:
        return load()
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        fix = "Give a folder with config.json and weights, or a hub id that this machine can download."
        raise InputError(f"no model can be loaded ({reason})", where=name, fix=fix) from None
