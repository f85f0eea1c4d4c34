"""`toolace complexity FILE`: how hard the model to be tuned finds a dialog (paper, Sec. 2.2, Eq. 1).

H_M(x, y) = -(1/n) sum log p(t_i | x, t_1 .. t_i-1): the mean negative log-likelihood of the tokens of the assistant's
turns, on exactly the string that training would see (toolace/rendering.py). Backends: `local_scorer` computes it with
transformers, `server_scorer` asks an OpenAI-compatible server for the log-probabilities of a prompt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from toolace import Dialog, InputError
from toolace.formats import read_any, to_toolace
from toolace.rows import Row, RowLog, dumps, write_rows

# Dialogs scored before their losses are written down: what a killed run can lose.
CHUNK = 256
# our choice: calls in flight that keep one server busy without filling its memory with logits.
CONCURRENCY = 16


@dataclass(frozen=True)
class Loss:
    """The complexity of one dialog.

    Attributes:
        id: of the dialog.
        loss: H_M, in nats a response token.
        tokens: response tokens, over all assistant turns.
    """

    id: str
    loss: float
    tokens: int

    def to_json(self) -> Row:
        """A line of the file that `toolace complexity` writes."""
        return {"id": self.id, "loss": self.loss, "tokens": self.tokens}


Keep = Callable[[int, Loss], None]


def discard(place: int, loss: Loss) -> None:
    """A `Keep` for who wants all losses together."""


class Evaluator(Protocol):
    """Something that can tell losses; also a `self_guided.Scorer`."""

    @property
    def identity(self) -> str:
        """What decides the losses besides the dialogs: losses of another identity are never mixed in."""
        ...

    def losses(self, dialogs: Sequence[Dialog], keep: Keep = discard) -> list[Loss]:
        """The loss of each dialog, in order.

        Args:
            keep: is given each loss, with the dialog's place, as soon as it is known: it outlives a failure.

        Raises:
            InputError: a dialog cannot be scored, or none can; there is no such thing as a missing loss.
        """
        ...

    def score(self, dialogs: Sequence[Dialog]) -> list[float]:
        """The same without ids and counts."""
        ...


def score_file(path: str | Path, out: str | Path, evaluator: Evaluator) -> list[Loss]:
    """Scores a file of dialogs, in any format that `toolace convert` reads: one `Loss` a line in `out`, in file order.

    Losses are written down as they come, beside `out`; a killed run goes on where it was.

    Raises:
        InputError: see `Evaluator.losses`; the file is empty.
    """
    dialogs = list(read_any(path))
    if not dialogs:
        raise InputError("holds no dialogs", where=path, fix="Make some with `toolace dialogs RECIPE`.")
    part = Path(out).with_name(f"{Path(out).name}.part")
    log = RowLog(part)
    try:
        known = {row["id"]: row for row in log.rows}
        keys = [loss_key(dialog, evaluator.identity) for dialog in dialogs]
        new = {key: dialog for key, dialog in zip(keys, dialogs, strict=True) if key not in known}
        with tqdm(total=len(dialogs), desc="complexity", unit="dialog", disable=None) as bar:
            bar.update(len(dialogs) - len(new))
            for chunk in _chunks(_sorted(new)):
                known.update(_scored(chunk, evaluator, log))
                bar.update(len(chunk))
    finally:
        log.close()
    found = [Loss(d.id, known[key]["loss"], known[key]["tokens"]) for key, d in zip(keys, dialogs, strict=True)]
    write_rows(out, (loss.to_json() for loss in found))
    part.unlink()
    return found


def _scored(chunk: Sequence[tuple[str, Dialog]], evaluator: Evaluator, log: RowLog) -> dict[str, Row]:
    """Rows of a chunk by key, which are in the log; when one dialog fails, those that were finished are."""
    rows: dict[int, Row] = {}

    def keep(place: int, loss: Loss) -> None:
        key, dialog = chunk[place]
        if not math.isfinite(loss.loss):
            fix = "Use another --dtype, or leave the row out."
            raise InputError(f"the loss is {loss.loss}", where=dialog.id, fix=fix)
        rows[place] = {"id": key, "loss": loss.loss, "tokens": loss.tokens}

    try:
        evaluator.losses([dialog for _, dialog in chunk], keep)
    finally:
        log.append(rows.values())
    return {row["id"]: row for row in rows.values()}


def loss_key(dialog: Dialog, identity: str) -> str:
    """Tells what is scored: the same row under the same model has the same loss, whatever its id or place."""
    return hashlib.sha256(f"{identity}\0{dumps(to_toolace(dialog))}".encode("utf-8", "surrogatepass")).hexdigest()


def _sorted(dialogs: dict[str, Dialog]) -> list[tuple[str, Dialog]]:
    """Dialogs with one prompt one after another, so that a chunk holds all of them."""
    return sorted(dialogs.items(), key=lambda pair: to_toolace(pair[1]).get("system") or "")


def _chunks(pairs: Sequence[tuple[str, Dialog]]) -> Iterator[Sequence[tuple[str, Dialog]]]:
    for start in range(0, len(pairs), CHUNK):
        yield pairs[start : start + CHUNK]


def summary(losses: Sequence[Loss]) -> dict[str, Any]:
    """Counts and quantiles of losses, for people and for `--json`."""
    values = sorted(loss.loss for loss in losses)

    def quantile(share: float) -> float:
        return round(values[min(int(share * len(values)), len(values) - 1)], 4)

    return {
        "rows": len(values),
        "tokens": sum(loss.tokens for loss in losses),
        "mean": round(statistics.fmean(values), 4),
        "p10": quantile(0.1),
        "p50": quantile(0.5),
        "p90": quantile(0.9),
    }


def parser() -> argparse.ArgumentParser:
    """The command line of `toolace complexity`."""
    result = argparse.ArgumentParser(
        prog="toolace complexity",
        description="How hard a model finds each dialog: mean negative log-likelihood a response token (Eq. 1).",
        epilog="example: toolace complexity runs/demo/verified.jsonl --model embedded/SmolLM2-135M-Instruct\n"
        "Goes on where it was when it is run again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("file", type=Path, help="dialogs in any format that toolace convert reads")
    add("--model", required=True, help="folder, adapter folder, hub id, embedded name; with --base_url its name there")
    add("--out", type=Path, metavar="FILE", help="where the losses go (default: FILE.losses.jsonl beside FILE)")
    add("--dtype", help="precision (default: bfloat16 on a GPU, float32 on a CPU)")
    add("--chat_template", type=Path, metavar="FILE", help="a chat template instead of the tokenizer's own")
    add("--base_url", metavar="URL", help="ask this OpenAI-compatible server (completions with echo and logprobs)")
    add("--tokenizer", metavar="FOLDER", help="with --base_url: whose chat template renders (default: --model)")
    add("--api_key_env", metavar="NAME", help="with --base_url: the environment variable that holds the key")
    add("--concurrency", type=int, metavar="N", help="with --base_url: most calls in flight (default: 16)")
    add("--json", action="store_true", help="print the summary as one JSON object")
    return result


def evaluator_of(options: argparse.Namespace) -> Evaluator:
    """The backend that the options ask for. Raises InputError when it cannot be had, or one says nothing to it."""
    idle = ("dtype",) if options.base_url else ("tokenizer", "api_key_env", "concurrency")
    given = [f"--{name}" for name in idle if getattr(options, name) is not None]
    if given:
        what, fix = "have no meaning without --base_url", "Leave them out, or name the server with --base_url."
        if options.base_url:
            what, fix = "has no meaning with --base_url: the server has its own precision", "Leave it out."
        raise InputError(f"{', '.join(given)} {what}", where="toolace complexity", fix=fix)
    template = None
    if options.chat_template is not None:
        try:
            template = options.chat_template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fix = "Name a text file with a Jinja chat template."
            raise InputError(f"cannot be read ({error})", where=options.chat_template, fix=fix) from None
    if options.base_url:
        from data_gen.dialog_generation.server_scorer import ServerScorer
        from toolace.llm_settings import LlmSettings

        settings = LlmSettings(
            options.base_url,
            options.model,
            api_key_env=options.api_key_env,
            concurrency=CONCURRENCY if options.concurrency is None else options.concurrency,
        )
        return ServerScorer(settings, options.tokenizer or options.model, template)
    from data_gen.dialog_generation.local_scorer import LocalScorer

    return LocalScorer(options.model, options.dtype or "auto", template)


def app(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0. Raises InputError: see `score_file`."""
    options = parser().parse_args(argv)
    out = options.out or options.file.with_name(f"{options.file.stem}.losses.jsonl")
    if out.resolve() == options.file.resolve():
        raise InputError("would be replaced by its losses", where=out, fix="Name another file with --out.")
    found = summary(score_file(options.file, out, evaluator_of(options)))
    if options.json:
        print(json.dumps({"file": str(options.file), "out": str(out), "model": options.model, **found}))
    else:
        print(f"{found['rows']} dialogs, {found['tokens']} response tokens: mean loss {found['mean']:.3f}, ", end="")
        print(f"10 % below {found['p10']:.3f}, half below {found['p50']:.3f}, 10 % above {found['p90']:.3f}")
        print(out)
    return 0
