"""The data card: what is in a data set, where it comes from, how it was checked, and how to make it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from data_gen.data_checks import Checks
from data_gen.dataset_rows import BY_A_MODEL, NOT_STATED
from data_gen.overlap_report import not_compared
from toolace.formats import FORMATS
from toolace.rows import write_text
from toolace.runs import versions

Composition = Counter[tuple[str, str, str]]  # (split, dialog type, source) -> rows
_CORPORA = ("toolace", "botocore", "google-api-python-client", "bfcl-eval")


def write_card(
    folder: Path,
    counts: Mapping[str, Any],
    composition: Composition,
    licences: Counter[str],
    checks: Checks,
    facts: Mapping[str, Any],
) -> Path:
    """Writes `README.md` of the data set.

    Args:
        folder: of the data set.
        counts: what `make_dataset` returns.
        composition: rows by split, type and source.
        licences: dialogs by licence of the tools they show.
        checks: how the rows were checked; nothing else is claimed.
        facts: `name`, `command`, `recipe`, `plan`, `seed`.
    """
    parts = [
        _header(folder, counts, licences, facts),
        _about(counts, facts, checks),
        _composition(composition),
        _loading(facts),
        _checks(checks),
        _overlap(checks),
        _licences(licences),
        _provenance(facts),
    ]
    return write_text(folder / "README.md", "\n".join(part for part in parts if part))


def _header(folder: Path, counts: Mapping[str, Any], licences: Counter[str], facts: Mapping[str, Any]) -> str:
    """The YAML block that the hub and `datasets.load_dataset` read: one configuration a format."""
    splits, formats = list(counts["splits"]), list(facts["plan"]["formats"])
    configs: list[dict[str, Any]] = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": f"{name}/{split}.parquet"} for split in splits],
            **({"default": True} if i == 0 else {}),
        }
        for i, name in enumerate(formats)
    ]
    if not configs:
        files = [{"split": split, "path": f"{split}.jsonl"} for split in splits]
        configs = [{"config_name": "default", "data_files": files}]
    known = sorted(licence for licence in licences if licence not in (NOT_STATED, BY_A_MODEL))
    info = [
        {
            "config_name": config["config_name"],
            "splits": [
                {
                    "name": item["split"],
                    "num_bytes": (folder / item["path"]).stat().st_size,
                    "num_examples": counts["splits"][item["split"]],
                }
                for item in config["data_files"]
            ],
        }
        for config in configs
    ]
    header: dict[str, Any] = {
        "pretty_name": str(facts.get("name") or folder.name),
        "language": ["en"],
        "license": known[0].lower() if len(known) == 1 and len(licences) == 1 else "other",
        "task_categories": ["text-generation"],
        "tags": ["function-calling", "tool-use", "synthetic"],
        "size_categories": [_size(counts["rows"])],
        "configs": configs,
        # Readers compare it with what they find, and so does `toolace publish`.
        "dataset_info": info,
    }
    return "---\n" + yaml.dump(header, Dumper=_Plain, sort_keys=False, allow_unicode=True) + "---\n"


class _Plain(yaml.SafeDumper):
    """Writes equal parts out again: the hub's readers know no YAML aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """Of anything."""
        return True


def _size(rows: int) -> str:
    """The hub's word for a number of rows."""
    steps = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((word for limit, word in steps if rows < limit), "n>1M")


def _about(counts: Mapping[str, Any], facts: Mapping[str, Any], checks: Checks) -> str:
    name = facts.get("name") or "Function-calling dialogs"
    checked = ", checked by rules" if checks.ledger is not None else ""
    compared = " and compared with benchmarks" if checks.overlap is not None else ""
    lines = [
        f"# {name}",
        "",
        f"{counts['rows']} dialogs in which an assistant calls functions, or rightly does not, after ToolACE (arXiv "
        f"2409.00920){checked}{compared}.",
        "",
        f"Of {counts['in']} dialogs {counts['left_out']} were left out"
        + (": " + ", ".join(f"{rule} {n}" for rule, n in counts["reasons"].items()) if counts["reasons"] else "")
        + ". They stand in `left_out.jsonl` with the reason.",
    ]
    if counts["short"]:
        lacking = ", ".join(f"{kind} {count}" for kind, count in counts["short"].items())
        lines += ["", f"Fewer than wanted: {lacking}."]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _composition(composition: Composition) -> str:
    splits = [name for name in ("train", "validation", "test") if any(key[0] == name for key in composition)]
    parts = ["## Composition", ""]
    for title, part in (("type", 1), ("source", 2)):
        cells: Counter[tuple[str, str]] = Counter()
        for key, count in composition.items():
            cells[(key[part], key[0])] += count
        names = sorted({name for name, _ in cells})
        parts.append(_table([title, *splits], [[name, *(cells[(name, split)] for split in splits)] for name in names]))
    return "\n".join(parts)


def _loading(facts: Mapping[str, Any]) -> str:
    formats = list(facts["plan"]["formats"])
    lines = ["## Loading", "", "```python", "from datasets import load_dataset", ""]
    lines += [f'rows = load_dataset("FOLDER_OR_REPOSITORY", "{name}", split="train")' for name in formats[:1]]
    lines += ['rows = load_dataset("json", data_files="train.jsonl", split="train")', "```", ""]
    if formats:
        lines += ["| configuration | for |", "| --- | --- |"]
        lines += [f"| {name} | {FORMATS[name].reader} |" for name in formats]
        lines += [
            "",
            "Arguments, tools and meta are JSON text in Parquet: objects of any shape have no common columns.",
        ]
    return "\n".join(lines) + "\n"


def _checks(checks: Checks) -> str:
    """Rules, pass rates, and whether a model judged."""
    if checks.ledger is None:
        return "## Verification\n\nNothing beside the rows says that they were verified: no ledger is of these rows.\n"
    text = checks.ledger.markdown().replace("# Verification ledger", "## Verification")
    if checks.opinions:
        asked = ", ".join(f"{name} {count}" for name, count in checks.opinions.items())
        text += f"\nA language model was asked about dialogs that the rules had kept; opinions: {asked}.\n"
    else:
        text += "\nNo language model judged these dialogs.\n"
    if checks.reports:
        text += "\nReports: " + ", ".join(f"[{name}]({name})" for name in checks.reports) + ".\n"
    return text


def _overlap(checks: Checks) -> str:
    found = checks.overlap
    if found is None:
        return "## Decontamination\n\nNothing beside the rows says that they were compared with benchmarks.\n"
    lines = [
        "## Decontamination",
        "",
        f"{found['overlapping']} of {found['rows']} dialogs shared a request or a tool with a benchmark and were left "
        "out.",
        "",
    ]
    rows = [
        [name, sizes.get("requests", 0), sizes.get("tools", 0), found["benchmarks"].get(name, 0)]
        for name, sizes in found["compared_with"].items()
    ]
    lines.append(_table(["benchmark", "requests", "functions", "overlapping dialogs"], rows))
    missing = not_compared(found["compared_with"])
    lines += [f"Not compared with: {', '.join(missing)}.\n"] if missing else []
    return "\n".join(lines)


def _licences(licences: Counter[str]) -> str:
    if not licences:
        return ""
    head = "## Licences\n\nDialogs by the licence of the API documents their tools come from; one may show several.\n\n"
    text = head + _table(["licence", "dialogs"], sorted(licences.items()))
    if licences[BY_A_MODEL]:
        text += "\nTools that a language model wrote state no licence: the terms of that model say what may be done.\n"
    if licences[NOT_STATED]:
        text += "\nWhere none is stated, ask the publisher of the API before you pass the dialogs on.\n"
    return text


def _provenance(facts: Mapping[str, Any]) -> str:
    installed = ", ".join(f"{name} {version}" for name, version in versions(_CORPORA).items())
    lines = ["## Where it comes from, and how to make it again", "", f"Made with {installed}, seed {facts['seed']}."]
    if facts.get("command"):
        lines += ["", "```sh", str(facts["command"]), "```"]
    if facts.get("recipe"):
        lines += ["", "The recipe:", "", "```yaml", yaml.safe_dump(facts["recipe"], sort_keys=False).rstrip(), "```"]
    lines += ["", "The same versions, recipe and seed give the same rows."]
    return "\n".join(lines) + "\n"
