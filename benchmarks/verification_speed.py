"""Speed of the rule layer, beside toolsynth's on the same dialogs in the same run.

    python benchmarks/verification_speed.py DIALOGS [--rows 3000] [--jobs 2] [--peer FOLDER]

DIALOGS is a `dialogs.jsonl` of ours. Measured are: the rules alone on dialogs in memory, in one process and in
`--jobs`; and the whole `toolace verify` from file to files. The peer is toolsynth 0.1 (PyPI, Python 3.12; its rule
layer runs on 3.11 too): give the folder in which its wheel was unpacked, with pydantic and jsonschema installed:

    pip download toolsynth==0.1.0 --no-deps --python-version 3.12 --only-binary=:all: -d wheels
    unzip -d peer wheels/toolsynth-0.1.0-py3-none-any.whl

Its rules know no nested types, no bounds and no formats; it is given what it can read. Reading and conversion are not
counted, for either. Rounds alternate, and the best of three counts, since other work disturbs a machine one way only.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_gen.verification.reading import read_dialog
from data_gen.verification.rules import check
from data_gen.verification.verify import verify_file

ROUNDS = 3


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peer_samples(folder: Path, rows: list[dict[str, Any]]) -> tuple[Callable[[Any], Any], list[Any]]:
    """toolsynth's rule layer, and the rows as it reads them."""
    sys.path.insert(0, str(folder))
    from toolsynth.schemas.tool_spec import Interface, ParamSpec, ToolSpec  # type: ignore[import-not-found]
    from toolsynth.verification.rules import RuleLayer, RuleSample  # type: ignore[import-not-found]

    def parameter(schema: dict[str, Any]) -> Any:
        kind, options = schema.get("type", "string"), schema.get("enum")
        return ParamSpec(
            type=kind if isinstance(kind, str) else "string",
            description=schema.get("description"),
            enum=[str(option) for option in options] if options else None,
            pattern=schema.get("pattern"),
        )

    def spec(tool: dict[str, Any]) -> Any:
        schema = tool["parameters"]
        interface = Interface(
            parameters={name: parameter(inner) for name, inner in schema.get("properties", {}).items()},
            required=schema.get("required", []),
            returns=tool.get("returns") or {},
        )
        return ToolSpec.model_construct(name=tool["name"], description=tool["description"], interface=interface)

    def message(row: dict[str, Any]) -> dict[str, Any]:
        calls = [
            {**c, "function": {"name": c["function"]["name"], "arguments": json.dumps(c["function"]["arguments"])}}
            for c in row.get("tool_calls") or ()
        ]
        return {**row, "tool_calls": calls} if calls else row

    samples = [
        RuleSample(tools=[spec(t) for t in row["tools"]], messages=[message(m) for m in row["messages"]])
        for row in rows
    ]
    return RuleLayer().verify, samples


_dialogs: list[Any] = []


def _check_part(bounds: tuple[int, int]) -> int:
    return sum(check(dialog).kept for dialog in _dialogs[bounds[0] : bounds[1]])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dialogs", type=Path)
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", type=Path, help="folder of the unpacked toolsynth wheel")
    options = parser.parse_args()
    with options.dialogs.open(encoding="utf-8") as stream:
        lines = list(itertools.islice(stream, options.rows))
    rows = [json.loads(line) for line in lines]
    _dialogs.extend(read_dialog(row) for row in rows)
    parts = [(at, min(at + 250, len(rows))) for at in range(0, len(rows), 250)]
    peer = peer_samples(options.peer, rows) if options.peer else None
    gc.collect()
    gc.freeze()
    times: dict[str, list[float]] = {}
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        jobs = f"{options.jobs} processes"
        works: dict[str, Callable[[], Any]] = {
            "rules, 1 process": lambda: _check_part((0, len(rows))),
            f"rules, {jobs}": lambda: pool.map(_check_part, parts, chunksize=1),
            f"toolace verify, {jobs}": lambda: verify_file(path, Path(folder) / "out", jobs=options.jobs),
        }
        if peer:
            works["toolsynth's rules, 1 process"] = lambda: [peer[0](sample) for sample in peer[1]]
        for _ in range(ROUNDS):
            for name, work in works.items():
                times.setdefault(name, []).append(seconds(work))
    best = {name: len(rows) / min(found) for name, found in times.items()}
    print(f"{len(rows)} dialogs, best of {ROUNDS} rounds")
    for name, rate in best.items():
        print(f"{name:<34} {rate:>9.0f} dialogs/s")
    if peer:
        base = best["toolsynth's rules, 1 process"]
        for name in ("rules, 1 process", f"rules, {jobs}"):
            print(f"{name} / toolsynth: {best[name] / base:.1f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
