"""The range of complexities worth generating for a model (paper, Sec. 2.2), measured: `toolace calibrate RECIPE`.

A small prior set over several levels of complexity is scored by the model. Samples that it already gets right give the
lower bound. It is then tuned on the prior set, by a real LoRA run of the recipe; samples whose loss stays high give the
upper bound. The paper gives the procedure and no numbers: where "high" begins is our choice and stands in the result.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import yaml

from data_gen.dialog_generation.complexity import Loss
from data_gen.dialog_generation.complexity_figures import relations, svg, table
from data_gen.dialog_generation.generation import DialogSettings
from data_gen.dialog_generation.plans import draw_plans
from data_gen.dialog_generation.production import Maker
from data_gen.tool_synthesis.pool import read_pool
from toolace import Dialog, InputError, Tool, write_dialogs
from toolace.recipe import Recipe, load_recipe
from toolace.rows import sha256, write_json, write_rows, write_text

# our choice: levels of the prior set, one after another; simpler, as drawn, harder, much harder.
LEVELS = (-1, 0, 1, 2)
# our choice: losses after tuning that count as "stays high": those of the worst tenth.
HIGH_SHARE = 0.1
_SECTIONS = ("model", "lora", "quantization", "data", "train")


@dataclass(frozen=True)
class Calibration:
    """A range of losses and what it rests on; `calibration.json`.

    Attributes:
        low, high: what `generate.dialogs.guidance` takes.
        model: the model it holds for; for another one it says nothing.
        prior: dialogs of the prior set; right: those the model already gets right; high_after: those that stay high.
        mean_before, mean_after: losses of the prior set before and after tuning.
        prior_sha256: of `prior.jsonl`.
    """

    low: float
    high: float
    model: str
    prior: int
    right: int
    high_after: int
    mean_before: float
    mean_after: float
    prior_sha256: str = ""


class Judge(Protocol):
    """A scorer that also tells what the model gets right."""

    def judged(self, dialogs: Sequence[Dialog]) -> list[tuple[Loss, bool]]:
        """Loss and whether the model gets it right, of each dialog."""
        ...


def prior_set(tools: Sequence[Tool], settings: DialogSettings, seed: int) -> list[Dialog]:
    """`settings.count` dialogs over the levels, as many of each; the same for the same seed."""
    maker, redrawn = Maker(tools, settings, seed), Counter[str]()
    groups = draw_plans(replace(settings, per_tool_list=1), seed)
    plans = [replace(group[0], level=LEVELS[i % len(LEVELS)]) for i, group in enumerate(groups)]
    return [dialog for plan in plans for dialog in maker.group([plan], redrawn)]


def bounds(before: Sequence[tuple[Loss, bool]], after: Sequence[Loss], model: str = "") -> Calibration:
    """The range, from the prior set's losses before and after tuning, in the same order.

    Lower bound: the mean loss of what the model already gets right, 0 when that is nothing: then nothing is too easy.
    Upper bound: the mean loss, before tuning, of the tenth whose loss after tuning is the highest: a dialog that looks
    like these will not be learnt either. Losses before tuning are what new dialogs are compared with.

    Raises:
        InputError: the two bounds leave no range between them.
    """
    first = [loss.loss for loss, _ in before]
    right = [loss.loss for loss, is_right in before if is_right]
    hardest = sorted(range(len(after)), key=lambda i: -after[i].loss)[: max(int(HIGH_SHARE * len(after)), 1)]
    low = statistics.fmean(right) if right else 0.0
    high = statistics.fmean(first[i] for i in hardest)
    if not low < high:
        what = f"what the model gets right has a mean loss of {low:.3f}, what it does not learn one of {high:.3f}"
        raise InputError(what, where="calibration", fix="Take a larger or more varied prior set (--count).")
    means = statistics.fmean(first), statistics.fmean(loss.loss for loss in after)
    found = [round(number, 4) for number in (low, high, *means)]
    return Calibration(found[0], found[1], model, len(first), len(right), len(hardest), found[2], found[3])


def training_recipe(recipe: Recipe, folder: Path) -> str:
    """A runnable recipe that tunes the recipe's model, as the recipe says, on the prior set alone."""
    values: dict[str, Any] = {name: dict(recipe.mapping(name)) for name in _SECTIONS if recipe.has(name)}
    values["data"] = {**values.get("data", {}), "files": [str(folder / "prior.jsonl")]}
    if recipe.values.get("accelerate_config"):
        values["accelerate_config"] = recipe.values["accelerate_config"]
    whole = {"name": "calibration", "out": str(folder / "tuned"), "seed": recipe.seed, **values}
    text = yaml.safe_dump(whole, sort_keys=False)
    head = 'recipe: r"""   # this line and the last one make the file runnable\n'
    tail = '# """; import toolace.launch; toolace.launch.run(__name__, __file__)\n'
    return f"# toolace train {folder / 'tuning.yaml'}\n{head}{text}{tail}"


def calibrate(recipe: Recipe, tools: Sequence[Tool], settings: DialogSettings, folder: Path) -> Calibration:
    """The whole measurement; everything it makes is kept in `folder`.

    Raises:
        InputError: a stage cannot be done; its message says which.
    """
    from data_gen.dialog_generation.local_scorer import LocalScorer

    for section in ("model", "lora", "train"):
        if not recipe.has(section):
            raise InputError(f"has no section {section}", where=recipe.path, fix="See recipes/smollm2_135m.yaml.")
    model = str(recipe.mapping("model").get("model_name_or_path", "embedded/SmolLM2-135M-Instruct"))
    dialogs = prior_set(tools, settings, recipe.seed)
    write_dialogs(folder / "prior.jsonl", dialogs)
    before = LocalScorer(model).judged(dialogs)
    write_rows(folder / "before.jsonl", ({**loss.to_json(), "right": right} for loss, right in before))
    tuning = folder / "tuning.yaml"
    write_text(tuning, training_recipe(recipe, folder))
    # A process of its own: data_gen knows of training only that there is a command for it.
    done = subprocess.run([sys.executable, "-m", "toolace", "train", str(tuning)], stdout=sys.stderr)
    if done.returncode:
        raise InputError(f"tuning ended with exit code {done.returncode}", where=tuning, fix="Its message is above.")
    after = LocalScorer(str(folder / "tuned" / "adapter")).losses(dialogs)
    write_rows(folder / "after.jsonl", (loss.to_json() for loss in after))
    figures(folder, dialogs, [loss.loss for loss, _ in before])
    found = replace(bounds(before, after, model), prior_sha256=sha256(folder / "prior.jsonl"))
    write_json(folder / "calibration.json", asdict(found))
    return found


def figures(folder: Path, dialogs: Sequence[Dialog], losses: Sequence[float]) -> Mapping[str, Any]:
    """Writes Figure 2's relations: `relations.json`, `relations.md`, `relations.svg`."""
    found = relations(dialogs, losses)
    write_json(folder / "relations.json", found)
    write_text(folder / "relations.md", table(found))
    write_text(folder / "relations.svg", svg(found))
    return found


def app(argv: Sequence[str] | None = None) -> int:
    """`toolace calibrate RECIPE --tools FILE --out DIR`; returns 0. Raises InputError: see `calibrate`."""
    parser = argparse.ArgumentParser(
        prog="toolace calibrate",
        description="Measures between which losses dialogs are worth making for a model: it tunes the model shortly.",
        epilog="writes calibration.json, relations.svg, relations.md, prior.jsonl, before.jsonl, after.jsonl, tuned/\n"
        "example: toolace calibrate recipes/smollm2_135m.yaml --tools runs/demo/tools.jsonl --out runs/calibration",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a training recipe: its model, lora and train sections are used")
    parser.add_argument("--tools", type=Path, required=True, metavar="FILE", help="tools.jsonl of a pool")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for everything that is made")
    parser.add_argument("--count", type=int, default=400, metavar="N", help="dialogs of the prior set (default 400)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    options, overrides = parser.parse_known_args(argv)
    if options.count < 20:
        raise InputError(f"--count is {options.count}", fix="Give 20 or more: the bounds are means of a tenth.")
    # our choice: numbers of candidates and of turns far apart, since the prior set is to spread over complexities
    settings = DialogSettings(count=options.count, candidates={1: 1, 2: 1, 4: 1, 8: 1}, turns={1: 3, 2: 1})
    found = calibrate(load_recipe(options.recipe, overrides), read_pool(options.tools), settings, options.out)
    if options.json:
        print(json.dumps(asdict(found)))
    else:
        print(
            f"range {found.low:.3f} to {found.high:.3f}: {found.right} of {found.prior} right before tuning, ", end=""
        )
        print(f"mean loss {found.mean_before:.3f} before and {found.mean_after:.3f} after")
        print(options.out / "calibration.json")
    return 0
