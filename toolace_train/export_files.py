"""The small files of an export: stock tokenizer, trained chat template, configurations that stop where turns end."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolace.errors import InputError
from toolace.rows import read_json, write_json
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
    """The chat template the rows were rendered with: the recipe's, else the tokenizer's own."""
    text = template_text(tuned.model)
    if text is None:
        folder = tokenizer_folder(tuned, tuned.weights)
        text = load_tokenizer(str(folder)).chat_template
    if not isinstance(text, str) or not text:
        raise InputError("has no chat template", where=tuned.weights, fix="Run the training again.")
    return text


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
