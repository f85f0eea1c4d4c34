"""The small files of an export: stock tokenizer, trained chat template, configurations that stop where turns end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import read_json, sha256, write_json
from toolace_train.model import load_tokenizer, template_text
from toolace_train.rendering import Renderer
from toolace_train.tuned import Tuned

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
)
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def trained_template(tuned: Tuned) -> str:
    """The chat template the rows were rendered with, its variables in it: the recipe's, else the tokenizer's own."""
    data = tuned.facts.get("data") or {}
    text = template_text(tuned.model)
    if text is None:
        folder = tokenizer_folder(tuned, tuned.weights)
        text = one_template(load_tokenizer(str(folder)).chat_template, str(data.get("rendering")))
    if not text:
        raise InputError("has no chat template", where=tuned.weights, fix="Run the training again.")
    return with_values(text, data.get("chat_template_kwargs") or {})


def one_template(found: str | Mapping[str, str] | None, rendering: str) -> str:
    """The template of a tokenizer; of several by name the one that transformers takes, by whether tools are shown."""
    if not isinstance(found, Mapping):
        return found or ""
    return (found.get("tool_use") if rendering == "native" else None) or found.get("default") or ""


def with_values(template: str, values: Mapping[str, Any]) -> str:
    """A template that renders by itself what it rendered with `data.chat_template_kwargs`.

    Servers and clients would each have to be given the same variables, and most have no place for them. What a client
    sends under these names is overruled: the prompt stays the one that was trained.
    """
    # With a line of its own, the line break that template engines drop after a block is not the template's first.
    head = "".join(f"{{%- set {name} = {_literal(value)} %}}\n" for name, value in values.items() if _can_name(name))
    return template if template.startswith(head) else head + template


def _literal(value: Any) -> str:
    """A value as Jinja writes it; what JSON does not know (a date of YAML) as the text that it prints as."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(str(key))}: {_literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, int | float) and str(value).lstrip("-")[0].isdigit():
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def _can_name(name: str) -> bool:
    """Whether a template can read a variable of this name."""
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment().parse(f"{{% set {name} = 1 %}}")
    except TemplateSyntaxError:
        return False
    return name.isidentifier()


def check_unaltered(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuses an export whose template or tokenizer is no longer the one it was made with.

    Args:
        folder: of the export.
        record: the stage `weights` of its manifest.

    Raises:
        InputError: with the file.
    """
    fix = "Make it again: toolace export RUN."
    template = folder / "chat_template.jinja"
    if template.read_text(encoding="utf-8") != record["settings"].get("template"):
        raise InputError("is not the chat template that was trained with", where=template, fix=fix)
    for name in TOKENIZER:
        known = record["outputs"].get(name)
        path = folder / name
        if (sha256(path) if path.is_file() else None) != known:
            raise InputError("is not the file that the export was made with", where=path, fix=fix)


def end_of_turn(folder: Path) -> int:
    """Id of the token that ends an assistant turn in the export's template.

    Raises:
        InputError: turns do not end with a special token.
    """
    tokenizer = load_tokenizer(str(folder))
    renderer = Renderer(tokenizer)
    asked = [{"role": "user", "content": "Hello."}]
    said = "answer"
    text = renderer.text([*asked, {"role": "assistant", "content": said}])
    rest = tokenizer(text[text.rindex(said) + len(said) :], add_special_tokens=False)["input_ids"]
    special = set(tokenizer.all_special_ids) | {
        index for index, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    found = [index for index in rest if index in special]
    if not found:
        raise InputError("assistant turns end with no special token", where=folder / "chat_template.jinja")
    return int(found[0])


def tokenizer_folder(tuned: Tuned, base: Path) -> Path:
    """Where the tokenizer files lie: beside the tuned weights, else with the base."""
    return tuned.weights if (tuned.weights / "tokenizer.json").is_file() else base


def tokenizer_files(source: Path, target: Path, template: str) -> None:
    """The stock files, byte for byte, but for a template inside tokenizer_config.json that is not the trained one."""
    for name in TOKENIZER:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")
    config = read_json(target / "tokenizer_config.json") if (target / "tokenizer_config.json").exists() else {}
    if config.get("chat_template") not in (None, template):
        # Older servers read only this one.
        write_json(target / "tokenizer_config.json", {**config, "chat_template": template})


def write_configs(base: Path, target: Path, dtype: str) -> None:
    """config.json in the export's precision, and generation_config.json that knows the trained end of turn."""
    config = read_json(base / "config.json")
    for key in ("dtype", "torch_dtype"):
        if key in config or key == "dtype":
            config[key] = dtype
    write_json(target / "config.json", config)
    path = base / "generation_config.json"
    generation = read_json(path) if path.is_file() else {k: config[k] for k in _IDS if config.get(k) is not None}
    ends = generation.get("eos_token_id")
    known = ends if isinstance(ends, list) else [] if ends is None else [ends]
    end = end_of_turn(target)
    if end not in known:
        # Without it a server goes on after the turn.
        generation["eos_token_id"] = [*known, end]
    write_json(target / "generation_config.json", generation)
