"""Rows become token ids and labels: loss on assistant tokens only, every span decoded and compared with its message.

A wrong mask trains the wrong thing without any error, so nothing is taken on trust: the text of each assistant turn is
found by rendering the dialog turn by turn, mapped to tokens by character offsets, and read back.

Training and the complexity evaluator both render with this, so that what is scored is what would be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolace.errors import InputError

IGNORED = -100


@dataclass(frozen=True)
class Rendered:
    """One dialog as the model sees it.

    Attributes:
        input_ids: token ids, [length].
        labels: the same ids where the loss counts, -100 elsewhere, [length].
        source: row id or `file:line`, for messages.
        prefix: the text before the first user turn; rows with the same text can share its computation.
    """

    input_ids: list[int]
    labels: list[int]
    source: str
    prefix: str


def chat_messages(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """A ToolACE row (`system`, `conversations`) as role/content messages, the shape chat templates take."""
    turns = [{"role": turn["from"], "content": turn["value"]} for turn in row["conversations"]]
    return [{"role": "system", "content": row["system"]}, *turns] if row.get("system") else turns


class Renderer:
    """Renders rows with one tokenizer and its chat template.

    Args:
        tokenizer: a fast tokenizer with a chat template.
        template: a chat template to use instead of the tokenizer's own, or None.

    Raises:
        InputError: no chat template.
    """

    def __init__(self, tokenizer: Any, template: str | None = None) -> None:
        self.tokenizer, self.template = tokenizer, template
        if not (template or tokenizer.chat_template):
            fix = "Set model.chat_template in the recipe."
            raise InputError("the tokenizer has no chat template", where=tokenizer.name_or_path, fix=fix)
        self.special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)

    def text(self, messages: Sequence[Mapping[str, str]], prompt: bool = False) -> str:
        """The dialog as text; with `prompt` it ends where the assistant's next turn begins."""
        rendered: str = self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=prompt, chat_template=self.template
        )
        return rendered

    def render(self, row: Mapping[str, Any], source: str) -> Rendered:
        """Token ids and labels of a ToolACE row.

        Raises:
            InputError: a turn holds a special token of the model, no assistant turn is there, or a span does not decode
                to its message.
        """
        messages = chat_messages(row)
        whole, spans = self.spans(row, source)
        encoded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        labels = [IGNORED] * len(ids)
        cursor = 0
        for start, end, text in spans:
            while cursor < len(ids) and offsets[cursor][0] < start:
                cursor += 1
            first = cursor
            while cursor < len(ids) and offsets[cursor][1] <= end:
                labels[cursor] = ids[cursor]
                cursor += 1
            self._compare(ids[first:cursor], text, source)
        return Rendered(ids, labels, source, self._prefix(whole, messages))

    def spans(self, row: Mapping[str, Any], source: str) -> tuple[str, list[tuple[int, int, str]]]:
        """The text of a row, and (start, end, text) of each assistant turn in it, as characters.

        Raises:
            InputError: as `render`.
        """
        messages = chat_messages(row)
        self._refuse_special(messages, source)
        spans = [self._span(messages, i, source) for i, m in enumerate(messages) if m["role"] == "assistant"]
        if not spans:
            raise InputError("has no assistant turn to train on", where=source, fix="Drop the row.")
        return self.text(messages), spans

    def _span(self, messages: Sequence[Mapping[str, str]], index: int, source: str) -> tuple[int, int, str]:
        """(start, end, text) in the rendered dialog: the turn's words and the token that ends the turn."""
        before = self.text(messages[:index], prompt=True)
        after = self.text(messages[: index + 1])
        if not after.startswith(before):
            fix = "Use a chat template whose text for a dialog begins with its text for the turns so far."
            raise InputError("the chat template changes earlier turns", where=source, fix=fix)
        text = after[len(before) :].rstrip("\n")
        return len(before), len(before) + len(text), text

    def _compare(self, ids: Sequence[int], text: str, source: str) -> None:
        decoded = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if decoded != text:
            fix = "A token crosses the edge of the turn; use another chat template or report the row."
            what = f"the trained tokens decode to {decoded[:60]!r} instead of {text[:60]!r}"
            raise InputError(what, where=source, fix=fix)

    def _refuse_special(self, messages: Sequence[Mapping[str, str]], source: str) -> None:
        for message in messages:
            for token in self.special:
                if token in message["content"]:
                    fix = "Remove it from the row: the model would read it as the end of a turn."
                    what = f"a {message['role']} turn holds the special token {token!r}"
                    raise InputError(what, where=source, fix=fix)

    def _prefix(self, whole: str, messages: Sequence[Mapping[str, str]]) -> str:
        if messages[0]["role"] != "system":
            return ""
        system = messages[0]["content"]
        found = whole.find(system.strip())
        return whole[: found + len(system.strip())] if found >= 0 else ""
