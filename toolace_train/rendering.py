"""Rows become token ids and labels, by the recipe's rendering; see toolace/rendering.py for the masks.

`toolace`: the tools in the system prompt and calls as text, as ToolACE was published. `native`: the model's own tool
template (native.py).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from toolace.dialogs import Dialog
from toolace.formats import to_toolace
from toolace.rendering import IGNORED, Rendered, Renderer, Unrenderable, chat_messages
from toolace.turn_masks import masked_ordinals
from toolace_train.native import NativeRenderer, native_messages, native_tools, refuse_dates
from toolace_train.settings import DataSettings

__all__ = ["IGNORED", "DialogRenderer", "Rendered", "Renderer", "Unrenderable", "chat_messages"]


class DialogRenderer:
    """Renders dialogs as `data.rendering` and `data.train_on` say.

    Args:
        settings: the section `data`.
        renderer: tokenizer and template.

    Raises:
        InputError: the template writes today's date.
    """

    def __init__(self, settings: DataSettings, renderer: Renderer) -> None:
        kind = NativeRenderer if settings.rendering == "native" else Renderer
        values = {**renderer.values, **settings.chat_template_kwargs}
        self.settings = settings
        self.renderer = kind(renderer.tokenizer, renderer.template, values)
        refuse_dates(self.renderer)

    def render(self, dialog: Dialog, source: str) -> list[Rendered]:
        """Token ids and labels; more than one sequence only where the template shows earlier turns differently.

        Raises:
            InputError: the dialog cannot be written in this form.
            Unrenderable: it cannot be trained on; with a rule.
        """
        messages, tools = self.shown(dialog)
        return self.renderer.render_turns(messages, source, self._skipped(dialog), tools)

    def shown(self, dialog: Dialog) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(messages, tools) as the chat template is given them."""
        if self.settings.rendering == "native":
            return native_messages(dialog), native_tools(dialog)
        return list(chat_messages(to_toolace(dialog))), []

    def prompt(self, dialog: Dialog, until: int) -> str:
        """What a server must show the model for message `until` of `shown`, an assistant turn, to be answered."""
        messages, tools = self.shown(dialog)
        return self.renderer.text(messages[:until], prompt=True, tools=tools)

    def _skipped(self, dialog: Dialog) -> Collection[int]:
        """Ordinals of the assistant turns that are not trained: masked ones, and with `train_on: last` all but one."""
        said = sum(message.role == "assistant" for message in dialog.messages)
        skipped = set(masked_ordinals(dialog))
        return skipped | set(range(said - 1)) if self.settings.train_on == "last" else skipped
