"""`toolace export RUN`: a finished run as a folder that servers and the hub take.

Merged weights, the stock tokenizer with the chat template that was trained, GGUF, and a model card with the commands
that serve it. Each part is a stage of the folder's own manifest.json: what is done is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.hub import check_name, hub_files, send
from toolace.rows import read_json, write_text
from toolace.runs import Run
from toolace_train.export_files import end_of_turn, tokenizer_files, tokenizer_folder, trained_template, write_configs
from toolace_train.gguf_export import BYTES, KINDS, check_convertible, write_gguf
from toolace_train.merging import merge, shapes
from toolace_train.model import load_tokenizer, locate
from toolace_train.model_card import model_card
from toolace_train.rendering import Renderer
from toolace_train.serving import Serving, context_length
from toolace_train.tuned import Tuned, read_tuned

OWN_TYPE = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
_SIZES = {"bfloat16": 2, "float16": 2, "float32": 4}
_ROOM = 1.05  # for the small files and the file system's own


def app(argv: Sequence[str]) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(argv)
    if options.push:
        check_name(options.push)
    tuned = read_tuned(options.run)
    target = options.to or tuned.run / "export"
    run = Run(target)
    with run.working():
        done = export(tuned, target, merged=options.merge, gguf=_kinds(options.gguf, tuned, options.merge))
        pushed = _push(target, options) if options.push else None
    if options.json:
        print(json.dumps({"folder": str(target), "stages": done, "push": pushed}, ensure_ascii=False))
        return 0
    if all(stage.get("reused") for stage in done.values()):
        print(f"nothing to do: {target} is up to date")
    else:
        made = [name for name, stage in done.items() if not stage.get("reused")]
        print(f"written: {target} ({', '.join(made)}); how to serve it: {target / 'README.md'}")
    if tuned.quantized and options.merge:
        print("note: trained on the quantised base (QLoRA), merged into its unquantised weights")
    if pushed:
        _tell(pushed)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolace export",
        description="A finished run as merged weights, GGUF and a model card, with the prompt it was trained on.",
        epilog="example: toolace export runs/demo --gguf bf16,q8_0",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder with a finished training")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where to (default: RUN/export)")
    merging = "merge the adapter into its base (default); --no-merge leaves it an adapter"
    parser.add_argument("--merge", action=argparse.BooleanOptionalAction, default=True, help=merging)
    types = f"types of GGUF, comma-separated: {', '.join(KINDS)}, none (default: auto, the weights' own type)"
    parser.add_argument("--gguf", default="auto", metavar="TYPES", help=types)
    parser.add_argument("--push", metavar="OWNER/NAME", help="send it to this repository of the hub; see --dry_run")
    parser.add_argument("--public", action="store_true", help="a new repository is public")
    parser.add_argument("--dry_run", "--dry-run", action="store_true", help="with --push: only say what would be sent")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _kinds(given: str, tuned: Tuned, merged: bool) -> tuple[str, ...]:
    """The GGUF types asked for; `auto` is the weights' own type."""
    if given == "auto":
        return _own_kind(tuned) if merged else ()
    kinds = tuple(dict.fromkeys(kind.strip() for kind in given.split(",") if kind.strip() not in ("", "none")))
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"unknown GGUF type {kind!r}", where="--gguf", fix=f"Use {', '.join(KINDS)} or none.")
    if kinds and not merged:
        raise InputError("a GGUF needs merged weights", where="--no-merge", fix="Leave --no-merge out.")
    return kinds


def _own_kind(tuned: Tuned) -> tuple[str, ...]:
    """The weights' own type, or none with a note where this model has no GGUF here."""
    kind = OWN_TYPE[tuned.model.dtype]
    try:
        check_convertible(_view(_base(tuned), tuned), kind)
    except InputError as error:
        print(f"note: no GGUF: {error}", file=sys.stderr)
        return ()
    return (kind,)


def export(tuned: Tuned, target: Path, *, merged: bool = True, gguf: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Writes what is missing of an export; returns each stage's record, with `reused` for what was done before.

    Raises:
        InputError: the base cannot be had, the disk is too small, or a GGUF cannot be written.
    """
    base = _base(tuned)
    run = Run(target)
    if merged:
        for kind in gguf:
            # Before the merge, which can take minutes; the tokenizer and the shape are those of the export.
            check_convertible(_view(base, tuned), kind)
    template = trained_template(tuned)
    # `settings` is also what serve-check reads of an export whose run is elsewhere.
    facts = {"weights": _digests(tuned), "settings": dict(tuned.facts), "template": template, "merged": merged}
    facts["code"] = _code()
    _room(base, target, tuned.model.dtype, gguf if merged else (), merged)
    done = {"weights": _weights(run, tuned, base, merged, facts, template)}
    end = end_of_turn(target)
    for kind in gguf:
        file = f"{tuned.name}-{kind}.gguf"
        work = _gguf_work(target, target / file, kind, tuned.name, end)
        inputs = [target / name for name in done["weights"]["outputs"]]
        done[f"gguf/{kind}"] = run.stage(f"gguf/{kind}", work, settings=facts, inputs=inputs, outputs=[file])
    done["card"] = _card(run, tuned, done, facts)
    return done


def _weights(
    run: Run, tuned: Tuned, base: Path, merged: bool, facts: Mapping[str, Any], template: str
) -> dict[str, Any]:
    known = run.manifest["stages"].get("weights") or {}
    found = run.finished("weights", settings=facts, outputs=list(known.get("outputs") or ()))
    if found:
        return {**found, "reused": True}
    started, target = time.monotonic(), run.folder
    # One name, so that what a killed export left here goes away with the next.
    scratch = target / ".making"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    counts: dict[str, Any] = {}
    try:
        tokenizer_files(tokenizer_folder(tuned, base), scratch, template)
        if merged:
            adapter = tuned.weights if tuned.kind == "adapter" else None
            counts = merge(base, adapter, scratch, tuned.model.dtype, quantized=tuned.quantized)
            write_configs(base, scratch, tuned.model.dtype)
        else:
            for name in ("adapter_model.safetensors", "adapter_config.json"):
                shutil.copyfile(tuned.weights / name, scratch / name)
        made = sorted(path.name for path in scratch.iterdir())
        # What was made of other weights goes, so that no GGUF of them is served by mistake.
        for name in {*(known.get("outputs") or ()), *_gguf_files(run)} - set(made):
            (target / name).unlink(missing_ok=True)
        for name in made:
            (scratch / name).replace(target / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return run.record("weights", counts, time.monotonic() - started, settings=facts, outputs=made)


def _gguf_files(run: Run) -> list[str]:
    """Names of the GGUF files that the manifest knows and that are there."""
    stages = run.manifest["stages"]
    names = (name for stage in stages if stage.startswith("gguf/") for name in stages[stage]["outputs"])
    return [name for name in names if (run.folder / name).is_file()]


def _gguf_work(folder: Path, file: Path, kind: str, name: str, end: int) -> Callable[[], dict[str, Any]]:
    return lambda: write_gguf(folder, file, kind, name=name, end_of_turn=end)


def _card(run: Run, tuned: Tuned, done: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    counts = done["weights"]["counts"] or None
    names = tuple(_gguf_files(run))
    config = read_json(_base(tuned) / "config.json")
    longest = int(config.get("max_position_embeddings") or 0) or 4096
    serving = Serving(
        run.folder,
        tuned.data.rendering,
        str(config.get("model_type")),
        context_length(int(tuned.data.max_length), longest),
        names,
    )
    results = tuned.run / "eval" / "results.json"

    def work() -> dict[str, Any]:
        write_text(run.folder / "README.md", model_card(tuned, serving, counts, example_prompt(tuned, run.folder)))
        return {}

    inputs = [results] if results.is_file() else []
    settings = {**facts, "gguf": list(names)}
    return run.stage("card", work, settings=settings, inputs=inputs, outputs=["README.md"])


def example_prompt(tuned: Tuned, folder: Path) -> str:
    """The prompt of the first trained row, or one of a made-up request, which it says, when the rows are not here."""
    from toolace_train.prompts import example_text

    renderer = Renderer(load_tokenizer(str(folder)))
    counts = tuned.record.get("counts") or {}
    text = example_text(tuned.data, renderer, tuned.facts, tuned.run, counts)
    if text is not None:
        return text
    messages = [{"role": "system", "content": "..."}, {"role": "user", "content": "..."}]
    return "(a made-up request: the training rows are not here)\n" + renderer.text(messages, prompt=True)


def _base(tuned: Tuned) -> Path:
    """The folder whose weights are exported or merged into."""
    return Path(locate(tuned.model.model_name_or_path)) if tuned.kind == "adapter" else tuned.weights


def _view(base: Path, tuned: Tuned) -> Path:
    """A folder with both config.json and the tokenizer, to be checked before anything is written."""
    return base if (base / "tokenizer.json").is_file() else tuned.weights


def _code() -> str:
    """A fingerprint of the modules that decide an export; those that train may change without a new one."""
    digest = hashlib.sha256()
    for name in ("export", "export_files", "merging", "gguf_export", "gguf_tokenizer", "model_card", "serving"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def _digests(tuned: Tuned) -> dict[str, Any]:
    return dict(tuned.record.get("outputs") or {})


def _room(base: Path, target: Path, dtype: str, gguf: Sequence[str], merged: bool) -> None:
    """Refuses to start when the disk cannot hold the result; parts that are there already count as room."""
    if not merged:
        return
    values = sum(math.prod(shape) for _, shape in shapes(base))
    need = values * (_SIZES[dtype] + sum(BYTES[kind] for kind in gguf)) * _ROOM
    here = sum(path.stat().st_size for path in target.iterdir() if path.is_file())
    free = shutil.disk_usage(target).free + here
    if need > free:
        what = f"the export needs {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise InputError(what, where=target, fix="Free some, name another disk with --to, or ask for fewer --gguf.")


def _push(target: Path, options: argparse.Namespace) -> dict[str, Any]:
    paths = sorted(
        path for path in target.iterdir() if path.is_file() and path.name[0] != "." and path.name != "manifest.json"
    )
    files = hub_files(target, paths)
    if not options.dry_run:
        token = os.environ.get("HF_TOKEN") or None
        return {
            "pushed": True,
            **send(target, files, options.push, kind="model", private=not options.public, token=token),
        }
    listed = [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in files]
    return {"pushed": False, "repo": options.push, "private": not options.public, "files": listed}


def _tell(pushed: Mapping[str, Any]) -> None:
    if pushed["pushed"]:
        print(f"{pushed['files']} files, {pushed['bytes']} bytes: {pushed['url']}")
        return
    print(f"would be sent to {pushed['repo']} ({'private' if pushed['private'] else 'public'} if new):")
    for file in pushed["files"]:
        print(f"  {file['bytes']:>12} {file['sha256'][:12]}  {file['path']}")
    print("nothing was sent; leave --dry_run out to send it")
