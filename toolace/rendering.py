"""Rows become token ids and labels: loss on assistant tokens only, every span decoded and compared with its message.

A wrong mask trains the wrong thing without any error, so nothing is taken on trust: the text of each assistant turn is
found by rendering the dialog turn by turn, mapped to tokens by character offsets, and read back.

Training and the complexity evaluator both render with this, so that what is scored is what would be trained on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolace.errors import InputError

IGNORED = -100
# What a template may put ahead of an answer that holds no thought.
_LEAD = re.compile(r"\s*(?:<think>\s*</think>\s*)?")

Messages = Sequence[Mapping[str, Any]]


class Unrenderable(InputError):
    """A row that cannot be trained on as it is.

    Args:
        rule: special_token, no_assistant, masked, template, or mask.
    """

    def __init__(self, rule: str, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.rule = rule


@dataclass(frozen=True)
class Rendered:
    """One dialog as the model sees it.

    Attributes:
        input_ids: token ids, [length].
        labels: the same ids where the loss counts, -100 elsewhere, [length].
        source: row id or `file:line`, for messages.
        prefix: the text before the first user turn; rows with the same text can share its computation.
        row: number of the row among those that are used; sequences of the same row have the same.
    """

    input_ids: list[int]
    labels: list[int]
    source: str
    prefix: str
    row: int = 0


@dataclass(frozen=True)
class Span:
    """An assistant turn in the text of a dialog: its words and the token that ends it.

    Attributes:
        start, end: characters.
        text: what stands there.
        message: the message it came from.
        until: the dialog's text when it ends with this turn.
    """

    start: int
    end: int
    text: str
    message: Mapping[str, Any]
    until: str


def chat_messages(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """A ToolACE row (`system`, `conversations`) as role/content messages, the shape chat templates take."""
    turns = [{"role": turn["from"], "content": turn["value"]} for turn in row["conversations"]]
    return [{"role": "system", "content": row["system"]}, *turns] if row.get("system") else turns


def special_tokens(tokenizer: Any) -> list[str]:
    """Texts that the tokenizer reads as control tokens wherever they stand, the reserved ones included."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return sorted({*tokenizer.all_special_tokens, *added}, key=lambda token: (-len(token), token))


class Renderer:
    """Renders rows with one tokenizer and its chat template.

    Args:
        tokenizer: a fast tokenizer with a chat template.
        template: a chat template to use instead of the tokenizer's own, or None.
        values: further variables of the template, such as `date_string` or `enable_thinking`.

    Raises:
        InputError: no chat template.
    """

    def __init__(self, tokenizer: Any, template: str | None = None, values: Mapping[str, Any] | None = None) -> None:
        self.tokenizer, self.template, self.values = tokenizer, template, dict(values or {})
        if not (template or tokenizer.chat_template):
            fix = "Set model.chat_template in the recipe."
            raise InputError("the tokenizer has no chat template", where=tokenizer.name_or_path, fix=fix)
        special = "|".join(map(re.escape, special_tokens(tokenizer)))
        self._special = re.compile(special or r"(?!)")
        self._ending = re.compile(rf"(?:\s*(?:{special or '(?!)'}))+\s*")

    def text(self, messages: Messages, prompt: bool = False, tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """The dialog as text; with `prompt` it ends where the assistant's next turn begins.

        Raises:
            Unrenderable: the template raises an error, as some do for roles or calls they do not know.
        """
        from jinja2 import TemplateError

        try:
            rendered: str = self.tokenizer.apply_chat_template(
                list(messages),
                tools=list(tools) or None,
                tokenize=False,
                add_generation_prompt=prompt,
                chat_template=self.template,
                **self.values,
            )
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            fix = "Use a chat template that can write such rows, or data.rendering: toolace."
            raise Unrenderable("template", f"the chat template refuses it: {reason}", fix=fix) from None
        return rendered

    def render(self, row: Mapping[str, Any], source: str) -> Rendered:
        """Token ids and labels of a ToolACE row, all assistant turns trained.

        Raises:
            Unrenderable: a turn holds a special token of the model, no assistant turn is there, or a span does not
                decode to its message.
        """
        messages = chat_messages(row)
        whole, spans = self._spans(messages, source)
        return self.encode(messages, whole, spans, spans, source)

    def render_turns(
        self, messages: Messages, source: str, skip: Collection[int] = (), tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[Rendered]:
        """Token ids and labels of a dialog, as one sequence where that is what a server would show turn by turn.

        Some templates show an earlier turn otherwise than when it was the last (Qwen3 drops thoughts). Then each
        trained turn becomes a sequence of its own, so that every one follows the very prompt it will follow when
        served.

        Args:
            messages: what the template takes.
            skip: ordinals of assistant turns that are not trained.
            tools: what the template takes as tools.

        Raises:
            Unrenderable: see `render`; or all assistant turns are skipped.
        """
        whole, spans = self._spans(messages, source, tools)
        wanted = [span for number, span in enumerate(spans) if number not in skip]
        if not wanted:
            raise Unrenderable("masked", "all assistant turns are masked", where=source, fix="Drop the row.")
        if all(whole.startswith(span.until.rstrip("\n")) for span in spans):
            return [self.encode(messages, whole, spans, wanted, source)]
        return [self.encode(messages, span.until, [span], [span], source) for span in wanted]

    def spans(self, row: Mapping[str, Any], source: str) -> tuple[str, list[tuple[int, int, str]]]:
        """The text of a row, and (start, end, text) of each assistant turn in it, as characters.

        Raises:
            Unrenderable: as `render`.
        """
        whole, spans = self._spans(chat_messages(row), source)
        return whole, [(span.start, span.end, span.text) for span in spans]

    def _spans(
        self, messages: Messages, source: str, tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[str, list[Span]]:
        self._refuse_special(messages, tools, source)
        said = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        if not said:
            raise Unrenderable("no_assistant", "has no assistant turn to train on", where=source, fix="Drop the row.")
        try:
            spans = [self._span(messages, i, source, tools) for i in said]
            last = said[-1] == len(messages) - 1
            return spans[-1].until if last else self.text(messages, tools=tools), spans
        except Unrenderable as error:
            raise Unrenderable(error.rule, error.what, where=source, fix=error.fix) from None

    def _span(self, messages: Messages, index: int, source: str, tools: Sequence[Mapping[str, Any]]) -> Span:
        """The turn's words and the token that ends the turn."""
        before = self.text(messages[:index], prompt=True, tools=tools)
        after = self.text(messages[: index + 1], tools=tools)
        if not after.startswith(before):
            fix = "Use a chat template whose text for a dialog begins with its text for the turns so far."
            raise Unrenderable("template", "the chat template changes earlier turns", where=source, fix=fix)
        text = after[len(before) :].rstrip("\n")
        return Span(len(before), len(before) + len(text), text, messages[index], after)

    def encode(
        self, messages: Messages, whole: str, spans: Sequence[Span], trained: Sequence[Span], source: str
    ) -> Rendered:
        """Tokens of the whole text; every span is decoded and compared, the trained ones become labels.

        Raises:
            Unrenderable: a span's tokens are not its text, or the text is not what the message says.
        """
        encoded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        labels = [IGNORED] * len(ids)
        cursor = 0
        for span in spans:
            while cursor < len(ids) and offsets[cursor][0] < span.start:
                cursor += 1
            first = cursor
            while cursor < len(ids) and offsets[cursor][1] <= span.end:
                cursor += 1
            self._compare(ids[first:cursor], span.text, source)
            self.check_turn(span, source)
            if span in trained:
                labels[first:cursor] = ids[first:cursor]
        return Rendered(ids, labels, source, self._prefix(whole, messages))

    def check_turn(self, span: Span, source: str) -> None:
        """Refuses a template that drops or adds words in an assistant turn, or does not end it.

        Raises:
            Unrenderable: with what the template writes instead.
        """
        said = span.message["content"].strip()
        start = span.text.find(said) if span.text.lstrip().startswith(said) else _lead(span.text)
        if not span.text.startswith(said, start):
            fix = "Use a chat template that shows assistant turns as they are."
            what = f"the chat template writes {span.text[:60]!r} for the assistant's {said[:60]!r}"
            raise Unrenderable("mask", what, where=source, fix=fix)
        self.check_end(span.text[start + len(said) :], source)

    def check_end(self, rest: str, source: str) -> None:
        """Refuses a turn that does not close with a special token: the model would never learn to stop.

        Raises:
            Unrenderable: with what stands at the end.
        """
        if not self._ending.fullmatch(rest):
            what = f"the assistant's turn ends with {rest[-60:]!r} instead of a special token"
            raise Unrenderable("mask", what, where=source, fix="Use a chat template that ends turns with one.")

    def _compare(self, ids: Sequence[int], text: str, source: str) -> None:
        decoded = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if decoded != text:
            fix = "A token crosses the edge of the turn; use another chat template or report the row."
            what = f"the trained tokens decode to {decoded[:60]!r} instead of {text[:60]!r}"
            raise Unrenderable("mask", what, where=source, fix=fix)

    def words(self, message: Mapping[str, Any]) -> str:
        """All text of a message that comes from the row."""
        return str(message["content"])

    def _refuse_special(self, messages: Messages, tools: Sequence[Mapping[str, Any]], source: str) -> None:
        parts = [(f"a {message['role']} turn", self.words(message)) for message in messages]
        for what, text in [*parts, ("a tool", str(tools) if tools else "")]:
            found = self._special.search(text)
            if found:
                fix = "Remove it from the row: the model would read it as the end of a turn."
                raise Unrenderable(
                    "special_token", f"{what} holds the special token {found[0]!r}", where=source, fix=fix
                )

    def _prefix(self, whole: str, messages: Messages) -> str:
        if messages[0]["role"] != "system":
            return ""
        system = messages[0]["content"]
        found = whole.find(system.strip())
        return whole[: found + len(system.strip())] if found >= 0 else ""


def _lead(text: str) -> int:
    found = _LEAD.match(text)
    return found.end() if found else 0
