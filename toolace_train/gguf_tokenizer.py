"""A byte-level BPE tokenizer.json in the words of GGUF.

llama.cpp does not read a tokenizer's splitting rules from the file: it knows them by a name. A wrong name gives other
tokens without any error, so the rules are compared with those that belong to the names, and unknown ones are refused.
`toolace serve-check` then proves on real rows that the tokens are those of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import read_json

_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
# Splitting rules -> llama.cpp's name for them (`tokenizer.ggml.pre`).
NAMES: dict[tuple[Any, ...], str] = {
    (("Split", _LLAMA_3, "Isolated", False), ("ByteLevel", False, False)): "llama-bpe",
    (("Split", _QWEN_2, "Isolated", False), ("ByteLevel", False, False)): "qwen2",
    (("Digits", True), ("ByteLevel", False, True)): "smollm",
    (("ByteLevel", False, True),): "gpt-2",
}
# gguf's token types
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5


@dataclass(frozen=True)
class GgufVocabulary:
    """A vocabulary as GGUF stores it.

    Attributes:
        pre: llama.cpp's name of the splitting rules.
        tokens: texts in order of their ids, padded to the model's vocabulary.
        types: gguf's type of each token.
        merges: "left right", in order of rank.
    """

    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]


class UnknownTokenizer(InputError):
    """A tokenizer that cannot be written as GGUF here."""


def read_vocabulary(folder: Path, size: int) -> GgufVocabulary:
    """The vocabulary of a model folder.

    Args:
        folder: holds tokenizer.json.
        size: rows of the embedding; ids that the tokenizer does not use are filled up.

    Raises:
        UnknownTokenizer: it is no byte-level BPE, or its splitting rules have no name here.
    """
    path = folder / "tokenizer.json"
    tokenizer = read_json(path)
    model = tokenizer["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise UnknownTokenizer(f"is a {model.get('type')} tokenizer without byte-level BPE", where=path)
    pre = rules_name(tokenizer)
    if pre is None:
        raise UnknownTokenizer("has splitting rules that are not known here", where=path)
    tokens = {index: text for text, index in model["vocab"].items()}
    types = dict.fromkeys(tokens, NORMAL)
    for added in tokenizer.get("added_tokens") or []:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    if max(tokens) >= size:
        raise UnknownTokenizer(f"has id {max(tokens)}, but the model has only {size} rows", where=path)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return GgufVocabulary(
        pre,
        [tokens.get(index, f"[PAD{index}]") for index in range(size)],
        [types.get(index, UNUSED) for index in range(size)],
        merges,
    )


def rules_name(tokenizer: Mapping[str, Any]) -> str | None:
    """llama.cpp's name for the splitting rules of a tokenizer.json, or None."""
    rules = tokenizer.get("pre_tokenizer") or {}
    steps = rules.get("pretokenizers", [rules])
    name = NAMES.get(tuple(_step(step) for step in steps))
    normalizer = (tokenizer.get("normalizer") or {}).get("type")
    # Qwen's own files normalise to NFC; llama.cpp does not, which only text outside NFC can show.
    if normalizer is not None and not (name == "qwen2" and normalizer == "NFC"):
        return None
    return name


def _step(step: Mapping[str, Any]) -> tuple[Any, ...]:
    kind = step.get("type")
    if kind == "Split":
        return ("Split", (step.get("pattern") or {}).get("Regex"), step.get("behavior"), step.get("invert"))
    if kind == "Digits":
        return ("Digits", step.get("individual_digits"))
    if kind == "ByteLevel":
        return ("ByteLevel", step.get("add_prefix_space"), step.get("use_regex", True))
    return (kind,)


def special_ids(folder: Path) -> dict[str, int]:
    """Ids of the tokens with a role: `bos`, `eos`, `pad`, `unk`; those that the tokenizer has."""
    config, tokenizer = read_json(folder / "tokenizer_config.json"), read_json(folder / "tokenizer.json")
    ids = dict(tokenizer["model"]["vocab"])
    ids.update({added["content"]: added["id"] for added in tokenizer.get("added_tokens") or []})
    found = {}
    for role in ("bos", "eos", "pad", "unk"):
        token = config.get(f"{role}_token")
        text = token.get("content") if isinstance(token, dict) else token
        if text in ids:
            found[role] = ids[text]
    return found
