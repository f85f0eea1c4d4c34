"""README.md of an export: base, data, recipe, scores, the prompt with an example, and how to serve it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from toolace.embedded import NAME as EMBEDDED
from toolace.rows import read_json
from toolace_train.serving import Serving, serving_text
from toolace_train.sources import as_source
from toolace_train.tuned import Tuned

CITATION = """@misc{liu2024toolace,
  title = {ToolACE: Winning the Points of LLM Function Calling},
  author = {Liu, Weiwen and others},
  year = {2024},
  eprint = {2409.00920},
  archivePrefix = {arXiv}
}"""
# Bases whose licence is known here; the others' stands on their own cards.
LICENCES = {EMBEDDED: "apache-2.0"}
ORIGINS = {EMBEDDED: "HuggingFaceTB/SmolLM2-135M-Instruct"}
_LONGEST = 1500  # characters of the example; the rest is a tool list


def model_card(tuned: Tuned, serving: Serving, merged: Mapping[str, Any] | None, example: str) -> str:
    """The card's text.

    Args:
        tuned: the run.
        serving: how the export is served.
        merged: what `merge` returned; None for an adapter that was left as it is.
        example: a prompt as trained.
    """
    base = tuned.model.model_name_or_path
    parts = [
        _header(base, merged is None),
        f"# {tuned.name}",
        _intro(tuned, base, merged),
        "## Prompt\n\nA prompt exactly as trained (long ones are cut in the middle here):\n\n" + _fenced(_cut(example)),
        serving_text(serving),
        "## Data\n\n" + _data(tuned),
        "## Training\n\n" + _training(tuned),
        "## Scores\n\n" + _scores(tuned.run),
        _licence(base),
        "## Citation\n\nThe method is ToolACE, [arXiv 2409.00920](https://arxiv.org/abs/2409.00920):\n\n```bibtex\n"
        + CITATION
        + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _header(base: str, adapter: bool) -> str:
    header: dict[str, Any] = {"pipeline_tag": "text-generation", "tags": ["function-calling", "tool-use", "toolace"]}
    origin = ORIGINS.get(base, base)
    if origin.count("/") == 1 and not origin.startswith((".", "/", "~")):  # a hub id, which a folder is not
        header["base_model"] = origin
        header["base_model_relation"] = "adapter" if adapter else "finetune"
    if base in LICENCES:
        header["license"] = LICENCES[base]
    header["library_name"] = "peft" if adapter else "transformers"
    return f"---\n{yaml.safe_dump(header, sort_keys=False)}---"


def _intro(tuned: Tuned, base: str, merged: Mapping[str, Any] | None) -> str:
    lines = [f"`{base}`, tuned to call functions."]
    if merged is None:
        lines.append("A LoRA adapter: load it on its base with PEFT.")
    elif tuned.kind == "adapter":
        lines.append(f"A LoRA adapter merged into its base ({merged['how']}), {merged['parameters']:,} parameters.")
    else:
        lines.append(f"All weights were trained, {merged['parameters']:,} parameters.")
    if tuned.quantized:
        lines.append(
            "The adapter was trained on the quantised base (QLoRA) and merged into the unquantised weights, which "
            "differ from it by the error of quantisation."
        )
    return " ".join(lines)


def _data(tuned: Tuned) -> str:
    stages = tuned.manifest["stages"]
    rows = [
        f"- {name}: {_counts(stages[name].get('counts') or {})}"
        for name in ("tools", "dialogs", "verify", "dataset")
        if isinstance(stages.get(name), dict)
    ]
    files = ", ".join(f"`{as_source(entry).path}`" for entry in tuned.data.files)
    return "\n".join([f"Rows: {files}.", *rows])


def _training(tuned: Tuned) -> str:
    recipe = {
        key: tuned.facts[key]
        for key in ("model", "lora", "quantization", "data", "train", "seed")
        if tuned.facts.get(key)
    }
    versions = ", ".join(f"{name} {number}" for name, number in (tuned.record.get("versions") or {}).items())
    return "\n\n".join(
        [
            f"{_counts(tuned.record.get('counts') or {})}; {float(tuned.record.get('seconds') or 0):,.0f} s.",
            f"```sh\n{tuned.record.get('command', '')}\n```",
            f"```yaml\n{yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)}```",
            f"Versions: {versions}.",
        ]
    )


def _scores(run: Path) -> str:
    path = run / "eval" / "results.json"
    if not path.is_file():
        return "Not evaluated in this run (`toolace evaluate` writes `eval/results.json`)."
    results = read_json(path)
    lines = ["| model | protocol | score | value | 95 % interval |", "| --- | --- | --- | ---: | --- |"]
    lines += [
        f"| {row.get('model')} | {row.get('protocol')} | {name} | {value} | {_interval(row)} |"
        for row, name, value in _score_rows(results)
    ]
    return "\n".join(lines)


def _score_rows(results: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], str, str]]:
    for row in results.get("aggregates") or []:
        yield row, str(row.get("name")), _number(row.get("value"))
    for row in results.get("rows") or []:
        yield row, f"{row.get('category')} ({row.get('n')} items)", _number(row.get("accuracy"))


def _interval(row: Mapping[str, Any]) -> str:
    return f"{_number(row.get('low'))} to {_number(row.get('high'))}"


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, (int, float)) else "–"


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in counts.items())


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _licence(base: str) -> str:
    known = f" ({LICENCES[base]})" if base in LICENCES else ""
    return f"## Licence\n\nThe weights derive from `{base}`: its licence{known} applies, and that of the training rows."


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]}\n[... {len(text) - _LONGEST:,} characters ...]\n{text[-_LONGEST // 2 :]}"


def _fenced(text: str) -> str:
    """A code block that no run of backticks inside can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
