"""`toolace audit FILE...`: what is wrong with training rows, before GPU time is spent on them.

Rows that cannot be read, calls that do not fit their tools, calls that are no calls, duplicates, rows that would be
cut, masks that do not decode; how many tokens are trained, and how long rows are, as a picture. Rows are judged by the
code that prepares them for training.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from toolace.dialogs import Dialog
from toolace.embedded import NAME
from toolace.errors import InputError
from toolace.recipe import load_recipe
from toolace.rows import write_rows, write_text
from toolace_train.call_checks import Finding, call_findings
from toolace_train.data import RowMaker, read_items
from toolace_train.model import load_tokenizer, locate, template_text
from toolace_train.ordered_threads import in_order
from toolace_train.rendering import IGNORED, DialogRenderer, Renderer
from toolace_train.settings import DataSettings, ModelSettings
from toolace_train.sources import Item
from toolace_train.token_figures import percentile, token_histogram

RULES = {
    "row.unreadable": "cannot be read as a dialog",
    "row.duplicate": "says the same as an earlier row",
    "row.no_assistant": "has no assistant turn",
    "row.masked": "all its assistant turns are masked",
    "row.row": "cannot be written in the toolace form",
    "row.special_token": "holds a special token of the model",
    "row.template": "the chat template cannot express it",
    "row.mask": "trained tokens do not decode to the assistant's words",
    "row.over_length": "is longer than max_length",
    "call.tool": "calls a tool that is not on offer",
    "call.arguments": "arguments do not fit the tool's schema",
    "call.text": "text that is meant as calls and cannot be read",
}
_EXAMPLE = """example:
  toolace audit runs/demo/train.jsonl --max_length 1792
  toolace audit recipes/toolace8b.yaml --strict

findings:
"""


@dataclass(frozen=True)
class AuditedRow:
    """One row: where it stands, what was found, and its tokens (0 when it cannot be rendered)."""

    item: Item
    id: str
    findings: Sequence[Finding]
    tokens: int = 0
    trained: int = 0
    fingerprint: bytes = b""


@dataclass
class Audit:
    """What was found in all rows."""

    rows: int = 0
    with_findings: int = 0
    lengths: list[int] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Counts, without the findings themselves."""
        ordered, tokens, trained = sorted(self.lengths), sum(self.lengths), sum(self.trained)
        return {
            "rows": self.rows,
            "without_findings": self.rows - self.with_findings,
            "findings": dict(sorted(self.rules.items())),
            "tokens": tokens,
            "trained": trained,
            "trained_share": round(trained / tokens, 4) if tokens else 0.0,
            "length": {
                name: percentile(ordered, share)
                for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1.0))
            },
            "seconds": round(self.seconds, 2),
        }


class RowAuditor:
    """Judges rows one by one; safe to be called from several threads."""

    def __init__(self, dialogs: DialogRenderer) -> None:
        self.maker = RowMaker(dialogs)

    def __call__(self, item: Item) -> AuditedRow:
        """What is found in one row."""
        try:
            dialog = item.dialog()
        except InputError as error:
            return AuditedRow(item, item.id, [("row.unreadable", error.what)])
        findings = list(call_findings(dialog))
        made = self.maker.make_dialog(item, dialog)
        if made.verdict:
            findings.append((f"row.{made.verdict['rule']}", made.verdict["evidence"]))
        tokens = sum(len(one.input_ids) for one in made.rendered)
        trained = sum(label != IGNORED for one in made.rendered for label in one.labels)
        return AuditedRow(item, dialog.id, findings, tokens, trained, fingerprint(dialog))


def fingerprint(dialog: Dialog) -> bytes:
    """Equal for dialogs that say the same with the same tools, whatever their ids."""
    turns = [[m.role, m.content, [call.to_json() for call in m.calls], m.name] for m in dialog.messages]
    facts = [turns, [tool.to_function() for tool in dialog.tools]]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def audit(settings: DataSettings, renderer: Renderer) -> Audit:
    """Reads and judges every row of `settings.files`.

    Raises:
        InputError: a file is missing or empty, or a template that writes today's date.
    """
    # A row that is too long is a finding here, whatever training would do about it.
    settings = dataclasses.replace(settings, over_length="drop") if settings.over_length == "error" else settings
    found, seen, start = Audit(), dict[bytes, str](), time.perf_counter()
    auditor = RowAuditor(DialogRenderer(settings, renderer))
    bar = tqdm(read_items(settings), desc="audit", unit="row", leave=False, disable=None)
    for row in in_order(auditor, bar):
        findings = [*row.findings, *_duplicate(row, seen)]
        found.rows += 1
        found.with_findings += bool(findings)
        if row.tokens:
            found.lengths.append(row.tokens)
            found.trained.append(row.trained)
        for rule, evidence in findings:
            found.rules[rule] += 1
            found.findings.append({"where": row.item.where, "id": row.id, "rule": rule, "evidence": evidence})
    found.seconds = time.perf_counter() - start
    return found


def _duplicate(row: AuditedRow, seen: dict[bytes, str]) -> Iterator[Finding]:
    if not row.fingerprint:
        return
    first = seen.setdefault(row.fingerprint, row.item.where)
    if first != row.item.where:
        yield "row.duplicate", f"says the same as {first}"


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace audit`."""
    result = argparse.ArgumentParser(
        prog="toolace audit",
        description="Says what is wrong with training rows, and how many tokens they have.",
        epilog=_EXAMPLE + "".join(f"  {rule:<18}{text}\n" for rule, text in RULES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("files", nargs="+", metavar="FILE", help="file, folder, hub id; or one recipe with its data")
    result.add_argument("--model", dest="model_name_or_path", help=f"tokenizer and template (default: {NAME})")
    result.add_argument("--chat_template", choices=["tokenizer", "llama3"], help="default: the tokenizer's own")
    result.add_argument("--rendering", choices=["toolace", "native"], help="default: toolace")
    result.add_argument("--max_length", type=int, metavar="N", help="most tokens in a row (default: 4096)")
    result.add_argument("--over_length", choices=["drop", "truncate_tools"], help="default: drop")
    result.add_argument("--train_on", choices=["all", "last"], help="default: all")
    result.add_argument("--out", type=Path, help="folder for audit.jsonl and tokens.svg (default: audit/ beside FILE)")
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    result.add_argument("--strict", action="store_true", help="exit with 1 when anything was found")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 1 with --strict when something was found.

    Raises:
        InputError: a file or the model cannot be had, or cannot be written.
    """
    options = parser().parse_args(argv)
    model, data = _settings(options)
    if data.max_length < 1:
        raise InputError(f"--max_length is {data.max_length}", fix="Give a whole number of at least 1.")
    tokenizer = load_tokenizer(locate(model.model_name_or_path))
    found = audit(data, Renderer(tokenizer, template_text(model)))
    folder = options.out or _beside(options.files[0])
    write_rows(folder / "audit.jsonl", found.findings)
    named = ", ".join(options.files)
    title = f"Tokens a row: {named if len(named) < 80 else f'{len(options.files)} files'}"
    figure = token_histogram(found.lengths, found.trained, data.max_length, title)
    write_text(folder / "tokens.svg", figure)
    if options.json:
        facts = {"files": options.files, "model": model.model_name_or_path, "out": str(folder)}
        print(json.dumps({**facts, **found.to_json()}))
    else:
        print(table(found))
        print(f"{folder / 'audit.jsonl'}, {folder / 'tokens.svg'}")
    return 1 if options.strict and found.findings else 0


def _settings(options: argparse.Namespace) -> tuple[ModelSettings, DataSettings]:
    """The recipe's settings, or those of the files named, with what the command line says."""
    model, data = ModelSettings(), DataSettings(files=tuple(options.files))
    recipes = [file for file in options.files if file.endswith((".yaml", ".yml"))]
    if recipes:
        if len(options.files) > 1:
            raise InputError("a recipe names its own data", where=recipes[0], fix="Name it alone, or only files.")
        recipe = load_recipe(recipes[0])
        model, data = recipe.settings("model", ModelSettings), recipe.settings("data", DataSettings)
    given = {key: value for key, value in vars(options).items() if value is not None}
    return _replaced(model, given), _replaced(data, {**given, "files": data.files})


def _replaced(settings: Any, given: dict[str, Any]) -> Any:
    names = {one.name for one in dataclasses.fields(settings)}
    return dataclasses.replace(settings, **{key: value for key, value in given.items() if key in names})


def _beside(file: str) -> Path:
    path = Path(file).expanduser()
    if not path.exists():
        return Path("audit")  # a data set of the hub
    return (path if path.is_dir() else path.parent) / "audit"


def table(found: Audit) -> str:
    """The audit as lines of text."""
    facts = found.to_json()
    length, speed = facts["length"], found.rows / max(found.seconds, 1e-9)
    lines = [f"{found.rows:,} rows: {facts['without_findings']:,} without findings ({speed:.0f} rows/s)"]
    lines.append(
        f"{facts['tokens']:,} tokens, {facts['trained']:,} trained ({100 * facts['trained_share']:.1f} %); a row: "
        f"median {length['median']:,}, 95 % {length['p95']:,}, 99 % {length['p99']:,}, longest {length['longest']:,}"
    )
    for rule, count in found.rules.most_common():
        lines.append(f"  {count:>7,}  {rule:<18}{RULES[rule]}")
    return "\n".join(lines)
