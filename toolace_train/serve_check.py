"""`toolace serve-check EXPORT`: proves that a server shows the model the prompt it was trained on, token by token.

Training rows are sent as chats; the server's tokens are compared with those that stood before the trained answer. Then
its greedy answers are compared with those of transformers in this process: where one differs, the gap says by how many
logits the local model preferred its own token there, which tells rounding from other weights.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolace.calls import parse_calls
from toolace.errors import InputError
from toolace.rows import read_json
from toolace_train.local_answers import LocalModel
from toolace_train.prompts import TrainedPrompt, prompts_of, spread
from toolace_train.server_process import free_port, llama_cpp_command, serving, transformers_command
from toolace_train.servers import KINDS, Connection, Server, find_server
from toolace_train.serving import context_length
from toolace_train.settings import DataSettings
from toolace_train.tuned import data_settings

NOISE = 1.0  # logits; our choice: bfloat16 numbers of a logit's size lie 0.125 apart, and errors add up over layers
_AROUND = 6  # tokens of context that are told on each side of a difference
_LONGEST_TOKEN = 16  # characters of a text that are tried as its first token


@dataclass(frozen=True)
class RowCheck:
    """What one row showed.

    Attributes:
        source: the row.
        prompt: `equal`, `same length` (the server tells no tokens, only how many), or `different`.
        difference: where the prompts part, for people; "" when they do not.
        answer_equal, calls_equal: whether server and transformers wrote the same text, and the same calls.
        right: whether the server's calls are those of the training row.
        gap: logits between the local choice and the server's at the first difference; 0 without one.
    """

    source: str
    prompt: str
    difference: str
    answer_equal: bool
    calls_equal: bool
    right: bool
    gap: float


def app(argv: Sequence[str]) -> int:
    """The command: 0 when all is equal up to noise, 1 when a prompt or an answer differs."""
    options = _parser().parse_args(argv)
    if options.n < 1 or options.max_new_tokens < 1 or options.timeout <= 0:
        raise InputError("--n, --max_new_tokens and --timeout must be above 0", fix="Give such a number.")
    folder = exported(options.target)
    data = _settings(folder)
    files = [options.rows] if options.rows else None
    prompts = spread(list(prompts_of(data, folder, files)), options.n)
    if not prompts:
        raise InputError("no training row is left to check", where=options.rows or folder, fix="Name some with --rows.")
    local = LocalModel(folder, options.dtype)
    with _server(options, folder, data, local.precision) as server:
        checks = [check(server, local, prompt, options.max_new_tokens) for prompt in prompts]
    result = summary(checks, server.kind, local.precision, options.noise)
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
    parser.add_argument("--rows", type=Path, metavar="FILE", help="rows to check (default: those of training)")
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


def _settings(folder: Path) -> DataSettings:
    """How the export was trained, out of its manifest."""
    path = folder / "manifest.json"
    stages = read_json(path).get("stages") if path.is_file() else None
    weights = (stages or {}).get("weights")
    if not isinstance(weights, dict):
        raise InputError("does not say how it was trained", where=folder, fix="Make it with toolace export.")
    return data_settings(weights["settings"]["settings"])


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


def check(server: Server, local: LocalModel, prompt: TrainedPrompt, max_tokens: int) -> RowCheck:
    """One row: prompt, answer and calls."""
    served = server.prompt_ids(prompt.messages, prompt.tools)
    reply = server.answer(prompt.messages, prompt.tools, max_tokens)
    state, difference = compare_prompts(prompt.ids, served, reply.prompt_tokens, local)
    own = local.greedy(prompt.ids, max_tokens)
    text = local.text(own)
    equal = reply.text.strip() == text.strip()
    calls = parse_calls(reply.text).calls
    return RowCheck(
        prompt.source,
        state,
        difference,
        equal,
        calls == parse_calls(text).calls,
        calls == parse_calls(_without_end(prompt.answer, local)).calls,
        0.0 if equal else first_gap(local, prompt.ids, own, reply.text),
    )


def _without_end(answer: str, local: LocalModel) -> str:
    return local.text(local.tokens(answer))


def compare_prompts(
    trained: Sequence[int], served: Sequence[int] | None, counted: int | None, local: LocalModel
) -> tuple[str, str]:
    """(`equal`, `same length` or `different`; where they part).

    Args:
        trained: tokens before the answer in training.
        served: the tokens the server tells, None when it tells none.
        counted: how many the server counted when it answered.
        local: for the text around a difference.
    """
    if served is not None and list(served) != list(trained):
        return "different", _difference(trained, served, local)
    if counted is not None and counted != len(trained):
        # What a server tells on request and what it then does are two paths through it.
        return "different", f"the server counted {counted} tokens where {len(trained)} were trained"
    if served is None:
        return ("different", "the server tells nothing about its prompt") if counted is None else ("same length", "")
    return "equal", ""


def _difference(trained: Sequence[int], served: Sequence[int], local: LocalModel) -> str:
    place = next(
        (i for i, pair in enumerate(zip(trained, served, strict=False)) if pair[0] != pair[1]),
        min(len(trained), len(served)),
    )
    first, last = max(0, place - _AROUND), place + _AROUND
    shown = [
        f"{len(ids)} tokens, [{place}] in {local.tokenizer.decode(list(ids[first:last]))!r}"
        for ids in (trained, served)
    ]
    return f"token {place} differs: trained {shown[0]}; served {shown[1]}"


def first_gap(local: LocalModel, prompt: Sequence[int], own: Sequence[int], text: str) -> float:
    """How far the server's choice was from the local one where the answers part, in logits.

    A server tells text, and models write some words in other tokens than a tokenizer would: of the tokens that the
    server's text can go on with, the likeliest counts.

    Args:
        local: the model.
        prompt: trained prompt, token ids.
        own: the local answer, token ids.
        text: the server's answer.
    """
    whole = local.text(own)
    if whole.strip():
        text = whole[: len(whole) - len(whole.lstrip())] + text.lstrip()  # some servers trim answers
    said = [local.text(own[:k]) for k in range(len(own) + 1)]
    # The fewest tokens that write the longest common beginning: one that ends the turn writes nothing.
    kept = min(range(len(said)), key=lambda k: (-len(said[k]) if text.startswith(said[k]) else 1, k))
    rest = text[len(said[kept]) :]
    before = [*prompt, *own[:kept]]
    if kept == len(own):
        return 0.0  # both were cut at the longest answer
    if not rest:
        return local.gap(before, local.ends)
    served = local.tokens(rest)
    same = 0
    while same < len(served) and kept + same < len(own) and served[same] == own[kept + same]:
        same += 1  # parts of a character that is not whole yet
    if same:
        return local.gap([*before, *served[:same]], {served[same]}) if same < len(served) else 0.0
    starts = {local.tokens(rest[:length])[0] for length in range(1, min(_LONGEST_TOKEN, len(rest)) + 1)}
    return local.gap(before, starts)


def summary(checks: Sequence[RowCheck], kind: str, precision: str, noise: float) -> dict[str, Any]:
    """All rows together: counts, the first difference of each kind, and whether it passed."""
    apart = [check for check in checks if check.prompt == "different"]
    beyond = [check for check in checks if check.gap > noise]
    return {
        "server": kind,
        "proof": "tokens" if all(check.prompt != "same length" for check in checks) else "number of tokens",
        "rows": len(checks),
        "prompts_equal": len(checks) - len(apart),
        "answers_equal": sum(check.answer_equal for check in checks),
        "calls_equal": sum(check.calls_equal for check in checks),
        "calls_right": sum(check.right for check in checks),
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
        f"{result['server']}: {rows} trained rows, local answers in {result['local_dtype']}",
        f"  prompts equal        {result['prompts_equal']:>4} of {rows}  (by {result['proof']})",
        f"  answers equal        {result['answers_equal']:>4} of {rows}  (greedy text)",
        f"  calls equal          {result['calls_equal']:>4} of {rows}",
        f"  calls as trained     {result['calls_right']:>4} of {rows}",
        f"  largest gap          {result['largest_gap']:.3f} logits where answers part (noise: {result['noise']:g})",
    ]
    for name in ("first_different_prompt", "first_beyond_noise"):
        found = result[name]
        if found:
            what = found["difference"] or f"the answer differs by {found['gap']:.2f} logits"
            lines.append(f"  {found['source']}: {what}")
    lines.append("passed" if result["passed"] else "FAILED")
    return "\n".join(lines)
