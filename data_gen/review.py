"""`toolace review DIR`: a person looks at a sample of the kept and of the rejected dialogs, and says what to keep.

The paper's verification is "overseen by human experts" (Section 2.3). Verdicts go to `reviews.jsonl`; `toolace verify
--reviews` obeys them. In a terminal the dialogs come one by one; with --html they are a page that needs no server: it
saves the same file from the browser.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.review_page import page
from data_gen.verification.judging import READABLE, digest
from data_gen.verification.reviews import read_reviews
from toolace import InputError
from toolace.rows import Row, RowLog, read_rows, write_text

_KEYS = "[k]eep  [r]eject  [s]kip  [q]uit"


@dataclass(frozen=True)
class Candidate:
    """A dialog to look at.

    Attributes:
        digest: what it is known by in reviews.
        rule: the rule that rejected it; "" when the rules kept it.
        evidence: why, with the place.
        row: the dialog.
    """

    digest: str
    rule: str
    evidence: str
    row: Row

    @property
    def id(self) -> str:
        """The dialog's id."""
        return str(self.row.get("id") or "")


def sample(folder: str | Path, count: int, *, seed: int = 0, rule: str = "") -> list[Candidate]:
    """A sample of `verified.jsonl` and `rejected.jsonl`: half of it rejected, rules in turn, so that rare ones show.

    Args:
        folder: where verification wrote.
        count: dialogs wanted.
        seed: decides which.
        rule: only dialogs that this rule rejected; "kept" for kept ones only.

    Raises:
        InputError: the files are not there, or hold nothing to look at.
    """
    folder = Path(folder)
    groups: dict[str, list[tuple[str, Candidate]]] = defaultdict(list)
    for name in ("rejected.jsonl", "verified.jsonl"):
        for _, row in read_rows(folder / name):
            candidate = _candidate(row)
            if candidate is not None and rule in ("", candidate.rule or "kept"):
                rank = hashlib.blake2b(f"{seed}/{candidate.digest}".encode(), digest_size=8).hexdigest()
                _keep_first(groups[candidate.rule], (rank, candidate), count)
    kept = [candidate for _, candidate in sorted(groups.pop("", []), key=lambda pair: pair[0])]
    rejected = list(_in_turn([[c for _, c in sorted(g, key=lambda pair: pair[0])] for _, g in sorted(groups.items())]))
    from_rejected = min(len(rejected), max(count - len(kept), (count + 1) // 2))
    chosen = rejected[:from_rejected] + kept[: count - from_rejected]
    if not chosen:
        raise InputError(
            "holds no dialog to review", where=folder, fix="Run `toolace verify` first, or name another rule."
        )
    return chosen


def _keep_first(group: list[tuple[str, Candidate]], item: tuple[str, Candidate], count: int) -> None:
    """Keeps the `count` first by rank, so that a large file is not held in memory."""
    group.append(item)
    if len(group) >= 4 * count + 64:
        group.sort(key=lambda pair: pair[0])
        del group[count:]


def _candidate(row: Row) -> Candidate | None:
    said = row.get("verdict")
    verdict: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    if not isinstance(row.get("messages"), list) or verdict.get("rule") == READABLE:
        return None  # no dialog could be read from it; there is nothing to overrule
    rule, where = str(verdict.get("rule") or ""), str(verdict.get("where") or "")
    evidence = str(verdict.get("evidence") or "") + (f" ({where})" if where else "")
    plain = {key: value for key, value in row.items() if key not in ("verdict", "cost")}
    return Candidate(digest(plain), rule, evidence, plain)


def _in_turn(groups: Sequence[Sequence[Candidate]]) -> Iterator[Candidate]:
    for i in range(max(map(len, groups), default=0)):
        yield from (group[i] for group in groups if i < len(group))


def shown(candidate: Candidate) -> str:
    """A dialog as lines of text for the terminal; control characters are made visible."""
    verdict = f"rejected by {candidate.rule}: {candidate.evidence}" if candidate.rule else "kept by the rules"
    names = ", ".join(str(tool.get("name")) for tool in candidate.row.get("tools") or () if isinstance(tool, Mapping))
    lines = [f"{candidate.id}  {verdict}", f"  tools: {names}"]
    for message in candidate.row["messages"]:
        if not isinstance(message, Mapping):
            continue
        text = str(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            function = call.get("function") if isinstance(call, Mapping) else None
            if isinstance(function, Mapping):
                text += f" -> {function.get('name')}({json.dumps(function.get('arguments'), ensure_ascii=False)})"
        lines.append(f"  {message.get('role')!s:>9}: {text.strip()}")
    return "\n".join(map(_visible, lines))


def _visible(text: str) -> str:
    """No escape sequence of a dialog may reach the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def ask(
    candidates: Sequence[Candidate],
    log: RowLog,
    answer: Callable[[str], str] = input,
    say: Callable[[str], Any] = print,
) -> Counter[str]:
    """Shows dialogs one by one and writes what the person says, each answer at once.

    Args:
        candidates: the dialogs.
        log: `reviews.jsonl`; dialogs in it are not shown again.
        answer: reads a line after a prompt; EOFError ends the review.
        say: shows a text.

    Returns:
        how many were kept, rejected and skipped.
    """
    counts: Counter[str] = Counter()
    left = [candidate for candidate in candidates if candidate.digest not in log.seen]
    for number, candidate in enumerate(left, 1):
        say(f"\n{number} of {len(left)}  {shown(candidate)}")
        word, note = _answered(answer, say)
        if word == "q":
            break
        if word == "s":
            counts["skipped"] += 1
            continue
        log.append([_review(candidate, keep=word == "k", note=note)])
        counts["kept" if word == "k" else "rejected"] += 1
    return counts


def _answered(answer: Callable[[str], str], say: Callable[[str], Any]) -> tuple[str, str]:
    """(key, note): "r wrong city" rejects with a note."""
    while True:
        try:
            word, _, note = answer(f"{_KEYS} [note]: ").strip().partition(" ")
        except EOFError:
            return "q", ""
        if word[:1].lower() in tuple("krsq") and word:
            return word[0].lower(), note.strip()
        say("Write k, r, s or q, and a note behind it if you like.")


def _review(candidate: Candidate, *, keep: bool, note: str) -> Row:
    return {"id": candidate.id, "digest": candidate.digest, "keep": keep, "note": note, "rule": candidate.rule}


def agreement(folder: str | Path, reviews: str | Path) -> dict[str, dict[str, int]]:
    """How often people agreed with each rule ("" for what the rules kept): `{rule: {"agreed", "overruled"}}`.

    Raises:
        InputError: the file is no file of reviews.
    """
    read_reviews(reviews)
    found: dict[str, dict[str, int]] = {}
    last = {str(row["digest"]): row for _, row in read_rows(reviews)}
    for row in last.values():
        rule = str(row.get("rule") or "")
        counts = found.setdefault(rule, {"agreed": 0, "overruled": 0})
        counts["agreed" if bool(row["keep"]) == (not rule) else "overruled"] += 1
    return dict(sorted(found.items()))


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace review`."""
    result = argparse.ArgumentParser(
        prog="toolace review",
        description="Shows a sample of what verification kept and rejected, and writes down what you say of it.",
        epilog="example: toolace review runs/demo --count 20, then "
        "toolace verify runs/demo/dialogs.jsonl --out checked --reviews runs/demo/reviews.jsonl",
    )
    result.add_argument("folder", type=Path, metavar="DIR", help="folder with verified.jsonl and rejected.jsonl")
    result.add_argument("--count", type=int, default=20, metavar="N", help="dialogs to look at (20)")
    result.add_argument("--rule", default="", metavar="RULE", help="only what this rule rejected; kept for kept ones")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--reviews", type=Path, metavar="FILE", help="where verdicts go (default: DIR/reviews.jsonl)")
    result.add_argument("--html", type=Path, metavar="FILE", help="write a page for the browser instead")
    result.add_argument("--summary", action="store_true", help="say how often people agreed with each rule")
    result.add_argument("--json", action="store_true", help="print one JSON object (with --summary or --html)")
    return result


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0.

    Raises:
        InputError: see `sample`; or the terminal is none and neither --html nor --summary is given.
    """
    options = parser().parse_args(argv)
    reviews = options.reviews or options.folder / "reviews.jsonl"
    if options.count < 1:
        raise InputError(f"--count is {options.count}", fix="Give 1 or more.")
    if options.summary:
        found = agreement(options.folder, reviews)
        lines = [f"{rule or 'kept'}: {n['agreed']} agreed, {n['overruled']} overruled" for rule, n in found.items()]
        print(json.dumps({"reviews": str(reviews), "rules": found}) if options.json else "\n".join(lines))
        return 0
    candidates = sample(options.folder, options.count, seed=options.seed, rule=options.rule)
    if options.html:
        write_text(options.html, page(candidates))
        print(json.dumps({"page": str(options.html), "dialogs": len(candidates)}) if options.json else options.html)
        return 0
    if not sys.stdin.isatty():
        fix = "Run it in a terminal, or write a page with --html FILE."
        raise InputError("there is nobody to ask: the input is no terminal", fix=fix)
    log = RowLog(reviews, key="digest")
    try:
        counts = ask(candidates, log)
    finally:
        log.close()
    print(f"{counts['kept']} kept, {counts['rejected']} rejected, {counts['skipped']} skipped: {reviews}")
    return 0
