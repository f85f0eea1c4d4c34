"""`toolace serve-check EXPORT`: proves that a server shows the model the prompt it was trained on, token by token.

Training rows are sent as chats; the server's tokens are compared with those that the run kept and trained on. Then its
greedy answers are compared with those of base and adapter in this process: where one differs, the gap says by how many
logits the local model preferred its own token there, which tells rounding from other weights. So nothing is compared
with the export itself, which may be what is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolace.errors import InputError
from toolace.rows import read_json
from toolace_train.export_files import check_unaltered
from toolace_train.local_answers import LocalModel
from toolace_train.model import load_tokenizer, locate
from toolace_train.prompts import TrainedPrompt, prompts_of, spread, trained_rows
from toolace_train.rendering import Renderer
from toolace_train.row_checks import RowCheck, check
from toolace_train.server_process import free_port, llama_cpp_command, serving, transformers_command
from toolace_train.servers import KINDS, Connection, Server, find_server
from toolace_train.serving import context_length
from toolace_train.settings import DataSettings
from toolace_train.tuned import Tuned, data_settings, read_tuned

NOISE = 1.0  # logits; our choice: bfloat16 numbers of a logit's size lie 0.125 apart, and errors add up over layers


def app(argv: Sequence[str]) -> int:
    """The command: 0 when all is equal up to noise, 1 when a prompt or an answer differs."""
    options = _parser().parse_args(argv)
    if options.n < 1 or options.max_new_tokens < 1 or options.timeout <= 0:
        raise InputError("--n, --max_new_tokens and --timeout must be above 0", fix="Give such a number.")
    folder = exported(options.target)
    trained = _trained(folder, options.run)
    prompts, proof = _prompts(trained, folder, options.rows, options.n)
    local, own = _local(trained, folder, options.dtype)
    with _server(options, folder, trained.data, local.precision) as server:
        rendering = trained.data.rendering
        checks = [check(server, local, prompt, options.max_new_tokens, rendering) for prompt in prompts]
    result = summary(checks, server.kind, local.precision, options.noise) | {"trained": proof, "answers_of": own}
    print(json.dumps(result, ensure_ascii=False) if options.json else table(result))
    return 0 if result["passed"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolace serve-check",
        description="Proves that a server shows an exported model the prompt it was trained on, and answers alike.",
        epilog="example: toolace serve-check runs/demo --server llama.cpp --binary llama-server",
    )
    parser.add_argument("target", type=Path, metavar="RUN_OR_EXPORT", help="an export, or a run that has one")
    parser.add_argument("--base_url", metavar="URL", help="a server that runs; without it one is started")
    parser.add_argument("--server", choices=tuple(KINDS), help="its kind (default: found out), or which one to start")
    parser.add_argument("--model", help="the model's name on the server (default: the first it lists)")
    parser.add_argument("--api_key_env", metavar="NAME", help="environment variable that holds the server's key")
    parser.add_argument("--binary", default="llama-server", help="llama.cpp's server, to start it")
    parser.add_argument("--gguf", metavar="FILE", help="which GGUF to start it with (default: the export's first)")
    rows = "other rows to check, prepared as those of training were (default: those of training)"
    parser.add_argument("--rows", type=Path, metavar="FILE", help=rows)
    run = "the run that was exported (default: the folder that the export lies in)"
    parser.add_argument("--run", type=Path, metavar="RUN", help=run)
    parser.add_argument("--n", type=int, default=50, help="how many rows (default: 50)")
    parser.add_argument("--max_new_tokens", type=int, default=128, help="longest answer (default: 128)")
    precision = "precision of the local answers (default: auto, float32 on a CPU, the weights' own on a GPU)"
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float16", "float32"), help=precision)
    parser.add_argument("--noise", type=float, default=NOISE, help=f"logits a choice may differ by (default: {NOISE})")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a server to start, and to answer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def exported(target: Path) -> Path:
    """The export's folder: the one given, or a run's `export/`.

    Raises:
        InputError: neither is there.
    """
    for folder in (target, target / "export"):
        if (folder / "chat_template.jinja").is_file() and (folder / "config.json").is_file():
            return folder
    raise InputError("is no export and has none", where=target, fix=f"Make one: toolace export {target}")


@dataclass(frozen=True)
class _Trained:
    """How an export was trained.

    Attributes:
        facts: what decided the weights, as the export's manifest keeps it.
        tuned: the run; None when it is not here.
    """

    facts: Mapping[str, Any]
    tuned: Tuned | None

    @property
    def data(self) -> DataSettings:
        return data_settings(self.facts)


def _trained(folder: Path, run: Path | None) -> _Trained:
    """Reads an export's manifest, and finds its run.

    Raises:
        InputError: there is no manifest; template or tokenizer are not those it was made with; the run has been trained
            anew since.
    """
    path = folder / "manifest.json"
    stages = read_json(path).get("stages") if path.is_file() else None
    weights = (stages or {}).get("weights")
    if not isinstance(weights, dict):
        raise InputError("does not say how it was trained", where=folder, fix="Make it with toolace export.")
    check_unaltered(folder, weights)
    settings = weights["settings"]
    tuned = None
    if run or (folder.resolve().parent / "manifest.json").is_file():
        with contextlib.nullcontext() if run else contextlib.suppress(InputError):  # it may lie in any folder
            tuned = read_tuned(run or folder.parent)
    if tuned and settings.get("weights") != dict(tuned.record.get("outputs") or {}):
        if run is None and settings["settings"] != dict(tuned.facts):
            tuned = None  # a run of something else
        else:
            fix = f"Export it again: toolace export {tuned.run}"
            raise InputError("was exported from other weights than the run holds now", where=folder, fix=fix)
    return _Trained(settings["settings"], tuned)


def _prompts(trained: _Trained, folder: Path, file: Path | None, count: int) -> tuple[list[TrainedPrompt], str]:
    """Prompts of trained rows, evenly spread, and where their tokens come from."""
    renderer, data, facts = Renderer(load_tokenizer(str(folder))), trained.data, trained.facts
    if file:
        # As those of training, but that none is held out, and one that is too long is no reason to stop.
        long: Any = "truncate_tools" if data.over_length == "truncate_tools" else "drop"
        data = dataclasses.replace(data, files=[str(file)], over_length=long)
        found = trained_rows(data, renderer, {**facts, "held_out": 0}, None, {})
    else:
        tuned = trained.tuned
        counts = (tuned.record.get("counts") or {}) if tuned else {}
        found = trained_rows(data, renderer, facts, tuned.run if tuned else None, counts)
    prompts = prompts_of(spread(found.rows, count), data, renderer)
    return prompts, "tokens kept by the run" if found.kept else "rows rendered again"


def _local(trained: _Trained, folder: Path, dtype: str) -> tuple[LocalModel, str]:
    """The model as it was trained, and what that is; the export's own weights only without the run or its base."""
    tuned = trained.tuned
    if tuned and tuned.kind == "model":
        return LocalModel(folder, dtype, weights=tuned.weights), "trained weights"
    if tuned:
        with contextlib.suppress(InputError):  # a base that is on the hub, and no network
            base = Path(locate(tuned.model.model_name_or_path))
            return LocalModel(folder, dtype, weights=base, adapter=tuned.weights), "base and adapter"
    return LocalModel(folder, dtype), "export"


@contextlib.contextmanager
def _server(options: argparse.Namespace, folder: Path, data: DataSettings, precision: str) -> Iterator[Server]:
    """The server to check: one that runs, or one of our own."""
    if options.base_url:
        connection = Connection(options.base_url, options.timeout, options.api_key_env)
        yield find_server(connection, options.server, options.model)
        return
    port = free_port()
    if options.server == "transformers":
        command, name = transformers_command(folder, port, precision), str(folder)
    elif options.server == "llama.cpp":
        longest = int(read_json(folder / "config.json").get("max_position_embeddings") or 0) or 4096
        context = context_length(data.max_length + options.max_new_tokens, longest)
        gguf = _gguf(folder, options.gguf)
        command = llama_cpp_command(options.binary, gguf, folder / "chat_template.jinja", context, port)
        name = None
    else:
        fix = "Give --base_url, or --server llama.cpp or transformers to have one started."
        raise InputError("names no server to check", where="serve-check", fix=fix)
    with serving(command, port, options.timeout) as connection:
        yield find_server(connection, options.server, options.model or name)


def _gguf(folder: Path, name: str | None) -> Path:
    found = [folder / name] if name else sorted(folder.glob("*.gguf"))
    if not found or not found[0].is_file():
        what = f"holds no {name or 'GGUF'}"
        raise InputError(what, where=folder, fix="Export it with toolace export RUN --gguf bf16.")
    return found[0]


def summary(checks: Sequence[RowCheck], kind: str, precision: str, noise: float) -> dict[str, Any]:
    """All rows together: counts, the first difference of each kind, and whether it passed."""
    apart = [check for check in checks if check.prompt == "different"]
    beyond = [check for check in checks if check.gap > noise]
    calling = [check for check in checks if check.calls_equal is not None]
    trained = [check for check in checks if check.trained_calls]
    return {
        "server": kind,
        "proof": "tokens" if all(check.prompt != "same length" for check in checks) else "number of tokens",
        "rows": len(checks),
        "prompts_equal": len(checks) - len(apart),
        "answers_equal": sum(check.answer_equal for check in checks),
        "answers_with_calls": len(calling),
        "calls_equal": sum(bool(check.calls_equal) for check in calling),
        "trained_calls": len(trained),
        "calls_right": sum(check.right for check in trained),
        "trained_words": len(checks) - len(trained),
        "words_right": sum(check.right for check in checks if not check.trained_calls),
        "largest_gap": round(max(check.gap for check in checks), 4),
        "noise": noise,
        "local_dtype": precision,
        "first_different_prompt": asdict(apart[0]) if apart else None,
        "first_beyond_noise": asdict(beyond[0]) if beyond else None,
        "passed": not apart and not beyond,
    }


def table(result: dict[str, Any]) -> str:
    """The summary for people."""
    rows = result["rows"]
    lines = [
        f"{result['server']}: {rows} trained rows ({result['trained']}); local answers of {result['answers_of']} in "
        f"{result['local_dtype']}",
        f"  prompts equal        {result['prompts_equal']:>4} of {rows}  (by {result['proof']})",
        f"  answers equal        {result['answers_equal']:>4} of {rows}  (greedy)",
        f"  calls equal          {result['calls_equal']:>4} of {result['answers_with_calls']}  (where one side calls)",
        f"  calls as trained     {result['calls_right']:>4} of {result['trained_calls']}",
        f"  no call, as trained  {result['words_right']:>4} of {result['trained_words']}",
        f"  largest gap          {result['largest_gap']:.3f} logits where answers part (noise: {result['noise']:g})",
    ]
    for name in ("first_different_prompt", "first_beyond_noise"):
        found = result[name]
        if found:
            what = found["difference"] or f"the answer differs by {found['gap']:.2f} logits"
            lines.append(f"  {found['source']}: {what}")
    lines.append("passed" if result["passed"] else "FAILED")
    return "\n".join(lines)
