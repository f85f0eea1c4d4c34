"""Prompts as they were trained: the tokens of a training row up to where the loss begins to count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.formats import read_any
from toolace_train.model import load_tokenizer
from toolace_train.rendering import IGNORED, DialogRenderer, Renderer
from toolace_train.settings import DataSettings


@dataclass(frozen=True)
class TrainedPrompt:
    """What a server must show the model for the last assistant turn of a training row.

    Attributes:
        source: the row.
        messages, tools: what a client sends.
        ids: tokens that stood before the turn in training, [length].
        text: the same as text.
        answer: the trained answer, with the token that ends it.
    """

    source: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    ids: list[int]
    text: str
    answer: str


def prompts_of(data: DataSettings, model: Path, files: Sequence[str | Path] | None) -> Iterator[TrainedPrompt]:
    """The prompts of training rows, in order; rows that were not trained (too long, not renderable) are left out.

    Args:
        data: the section `data` of the recipe.
        model: folder of the tokenizer and its chat template.
        files: rows to take instead of the recipe's.

    Raises:
        InputError: a file is missing or broken.
    """
    renderer = DialogRenderer(data, Renderer(load_tokenizer(str(model))))
    for file in files or [_path(entry) for entry in data.files]:
        if not Path(file).is_file():
            raise InputError("no such file of training rows", where=file, fix="Name one with --rows.")
        for dialog in read_any(str(file)):
            source = f"{file} ({dialog.id})"
            try:
                rendered = renderer.render(dialog, source)[-1]
            except InputError:  # `Unrenderable`, or a row that the toolace form cannot hold
                continue
            if len(rendered.input_ids) > data.max_length:
                continue
            messages, tools = renderer.shown(dialog)
            last = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
            start, end = _last_trained(rendered.labels)
            decode = renderer.renderer.tokenizer.decode
            yield TrainedPrompt(
                source,
                messages[:last],
                tools,
                rendered.input_ids[:start],
                decode(rendered.input_ids[:start]),
                decode(rendered.input_ids[start:end]),
            )


def spread(prompts: Sequence[TrainedPrompt], count: int) -> list[TrainedPrompt]:
    """`count` prompts at even distances, the first included."""
    if len(prompts) <= count:
        return list(prompts)
    return [prompts[i * len(prompts) // count] for i in range(count)]


def _last_trained(labels: Sequence[int]) -> tuple[int, int]:
    """Where the last run of trained tokens begins and ends."""
    end = len(labels)
    while labels[end - 1] == IGNORED:
        end -= 1
    start = end
    while start and labels[start - 1] != IGNORED:
        start -= 1
    return start, end


def _path(entry: Any) -> str:
    return str(entry["path"] if isinstance(entry, dict) else getattr(entry, "path", entry))
