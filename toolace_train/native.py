"""The model's own tool template: messages and tools rendered exactly as a server renders them.

A server calls `apply_chat_template(messages, tools=tools)`; so does this, and nothing is corrected afterwards. What the
template cannot express is no training row: a template that takes one call a turn, that leaves text beside calls out, or
that knows no tools would otherwise teach a dialog that nobody had. Such rows are refused with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from toolace.dialogs import Dialog
from toolace.errors import InputError
from toolace.rendering import Messages, Rendered, Renderer, Span, Unrenderable
from toolace_train.mentions import mentions

_FIX = "Use a template that shows it, or data.rendering: toolace."


def native_messages(dialog: Dialog) -> list[dict[str, Any]]:
    """The OpenAI messages of a dialog, `arguments` as objects: what servers hand to a template."""
    return [message.to_json() for message in dialog.messages if message.role != "system" or message.content]


def native_tools(dialog: Dialog) -> list[dict[str, Any]]:
    """The OpenAI tools of a dialog."""
    return [tool.to_openai() for tool in dialog.tools]


class NativeRenderer(Renderer):
    """Renders messages with tool calls through a tool template; see `Renderer`."""

    def render_turns(
        self, messages: Messages, source: str, skip: Collection[int] = (), tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[Rendered]:
        """See `Renderer.render_turns`; the words of the other turns and the tools must be in the text too.

        Raises:
            Unrenderable: the template leaves something out.
        """
        rendered = super().render_turns(messages, source, skip, tools)
        whole = self.text(messages, tools=tools)
        if tools and whole == self._without_tools(messages):
            raise Unrenderable("template", "the chat template shows no tools", where=source, fix=_FIX)
        for tool in tools:
            name = tool["function"]["name"]
            if not mentions(whole, name):
                what = f"the chat template does not show the tool {name!r}"
                raise Unrenderable("template", what, where=source, fix=_FIX)
        for message in messages:
            if message["role"] != "assistant" and not shows(whole, message["content"].strip()):
                what = f"the chat template leaves out {message['content'][:60]!r} of a {message['role']} turn"
                raise Unrenderable("template", what, where=source, fix=_FIX)
        return rendered

    def _without_tools(self, messages: Messages) -> str:
        try:
            return self.text(messages)
        except Unrenderable:
            return ""

    def check_turn(self, span: Span, source: str) -> None:
        """For a turn with calls: its text, every name and every value stand in the span, and the turn is ended."""
        calls = span.message.get("tool_calls")
        if not calls:
            super().check_turn(span, source)
            return
        content, names = span.message["content"].strip(), [call["function"]["name"] for call in calls]
        missing = [name for name in names if not mentions(span.text, name)]
        missing += [word for call in calls for word in _leaves(call["function"]) if not shows(span.text, word)]
        # The words must be those before the calls: the same ones may stand in an argument.
        before = span.text[: span.text.find(names[0])]
        if not missing and content and content not in before and not span.text.lstrip().startswith(content):
            missing = [content]
        if missing:
            what = f"the chat template leaves out {missing[0]!r} of an assistant turn with calls"
            raise Unrenderable("template", what, where=source, fix=_FIX)
        ends = self._ending_of(span.text)
        if ends < 0:
            self.check_end(span.text, source)

    def _ending_of(self, text: str) -> int:
        """Where the special tokens that close the text begin; -1 when none do."""
        starts = [found.start() for found in self._special.finditer(text)]
        return next((start for start in starts if self._ending.fullmatch(text, start)), -1)

    def words(self, message: Mapping[str, Any]) -> str:
        """All text of a message that comes from the row, calls included."""
        return f"{message['content']}{message.get('tool_calls') or ''}"

    def _prefix(self, whole: str, messages: Messages) -> str:
        """Up to the first words of the user: some templates put the tools into the user's turn."""
        first = next((m["content"].strip() for m in messages if m["role"] == "user"), "")
        found = whole.find(first) if first else -1
        return whole[:found] if found > 0 else ""


def _leaves(value: Any) -> Iterator[Any]:
    """Names and plain values inside of a JSON value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("name", "arguments"):  # templates have names of their own for these two
                yield key
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def shows(text: str, value: Any) -> bool:
    """Whether a text holds a value: as it is, as JSON, or as Python writes it."""
    if not isinstance(value, str):
        return json.dumps(value) in text or str(value) in text
    if value in text:
        return True
    forms = (json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1], repr(value)[1:-1])
    # Inside of text that is encoded twice, quotes and backslashes are doubled once more.
    return any(form in text or json.dumps(form, ensure_ascii=False)[1:-1] in text for form in forms)


def refuse_dates(renderer: Renderer) -> None:
    """Refuses a template that writes the day on which it is rendered: a served prompt would be another one tomorrow.

    Raises:
        InputError: with the variable that most such templates take instead.
    """
    # A text in the place of the clock cannot be called: a template that asks for the time breaks on it.
    probe = Renderer(renderer.tokenizer, renderer.template, {"strftime_now": "", **renderer.values})
    user = {"role": "user", "content": "hi"}
    for messages in ([user], [{"role": "system", "content": "s"}, user]):
        try:
            renderer.text(messages, prompt=True)
        except Unrenderable:
            continue  # the rows will tell
        try:
            probe.text(messages, prompt=True)
        except Unrenderable:
            raise _dated() from None


def _dated() -> InputError:
    fix = (
        "Set data.chat_template_kwargs, for Llama 3.2 {date_string: 26 Jul 2024}, and give the server the same; "
        "or model.chat_template: llama3."
    )
    what = "the chat template writes today's date into every prompt"
    return InputError(what, where="model.chat_template", fix=fix)
