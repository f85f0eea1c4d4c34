"""Rows become token ids and labels: see toolace/rendering.py, which the complexity evaluator of data_gen uses too."""

from __future__ import annotations

from toolace.rendering import IGNORED, Rendered, Renderer, chat_messages

__all__ = ["IGNORED", "Rendered", "Renderer", "chat_messages"]
