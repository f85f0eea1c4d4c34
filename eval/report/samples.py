"""A few questions to look at, with both models' answers: drawn by seed, spread over categories and outcomes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from eval.report.run_folder import RunFolder

COUNT, SEED = 20, 0
MAX_TEXT = 3_000  # characters of one answer or document that are shown
OUTCOMES = {
    "gained": "only {tuned} right",
    "lost": "only {base} right",
    "wrong": "both wrong",
    "right": "both right",
}

_WITHOUT_GOLD = {"irrelevance": "No call: none of the functions fits.", "relevance": "Any call."}


@dataclass(frozen=True)
class Answer:
    """One model's answer to a question and its verdict."""

    model: str
    text: str
    valid: bool
    reason: str


@dataclass(frozen=True)
class Sample:
    """One question. `outcome` is a key of OUTCOMES, `outcome_text` its words."""

    id: str
    category: str
    outcome: str
    outcome_text: str
    question: str
    functions: list[tuple[str, str]]
    gold: str
    answers: list[Answer]


def draw_samples(run: RunFolder, models: list[str], count: int = COUNT, seed: int = SEED) -> list[Sample]:
    """Takes one question in turn from every category and outcome until there are enough.

    The same run gives the same samples. Questions and gold answers come from the official package, or with a protocol
    of 2024 from its download.
    """
    from eval.bfcl.data import Data

    data = Data(run.protocol)
    strata: dict[tuple[str, str], list[str]] = {}
    for category in (
        name for name in data.protocol.categories if all(name in run.verdicts.get(model, {}) for model in models)
    ):
        tables = [run.verdicts[model][category] for model in models]
        for id_ in sorted(set(tables[0]).intersection(*tables)):
            if all(id_ in run.outputs.get(model, {}).get(category, {}) for model in models):
                outcome = _outcome([bool(table[id_]["valid"]) for table in tables])
                strata.setdefault((category, outcome), []).append(id_)
    drawn = _in_turn(strata, count, seed)
    prompts = {name: {p.id: p for p in data.prompts(name)} for name in dict.fromkeys(c for c, _, _ in drawn)}
    gold = {name: data.gold(name) for name in prompts}
    return [
        _sample(run, models, category, outcome, id_, prompts[category][id_], gold[category].get(id_))
        for category, outcome, id_ in drawn
        if id_ in prompts[category]
    ]


def _outcome(valid: list[bool]) -> str:
    if all(valid):
        return "right"
    if not any(valid):
        return "wrong"
    return "gained" if valid[-1] else "lost"


def _in_turn(strata: dict[tuple[str, str], list[str]], count: int, seed: int) -> list[tuple[str, str, str]]:
    """One from each stratum in turn, outcomes that tell most first; the result is back in the benchmark's order."""
    order = {key: index for index, key in enumerate(strata)}
    queues = {key: random.Random(f"{seed}/{key}").sample(ids, len(ids)) for key, ids in strata.items()}
    ranks = list(OUTCOMES)
    turns = sorted(queues, key=lambda key: (ranks.index(key[1]), order[key]))
    drawn: list[tuple[str, str, str]] = []
    while len(drawn) < count and any(queues.values()):
        for key in turns:
            if queues[key] and len(drawn) < count:
                drawn.append((*key, queues[key].pop()))
    categories = list(dict.fromkeys(category for category, _ in strata))
    return sorted(drawn, key=lambda item: (categories.index(item[0]), ranks.index(item[1])))


def _sample(run: RunFolder, models: list[str], category: str, outcome: str, id_: str, prompt: Any, gold: Any) -> Sample:
    from eval.bfcl.categories import category as find_category

    names = {"base": models[0], "tuned": models[-1]}
    words = OUTCOMES[outcome].format(**names) if len(models) > 1 else outcome
    turns = [*prompt.messages, *(message for turn in prompt.later_turns for message in turn)]
    asked = [m for m in turns if m["role"] != "system"]
    question = "\n\n".join(m["content"] if len(asked) == 1 else f"{m['role']}: {m['content']}" for m in asked)
    functions = [(str(f.get("name")), shorten(json.dumps(f, indent=2, ensure_ascii=False))) for f in prompt.functions]
    answers = []
    for model in models:
        verdict = run.verdicts[model][category][id_]
        error = verdict.get("error")
        reason = " ".join(map(str, error)) if isinstance(error, list) else str(error or "")
        reason = ": ".join(filter(None, [str(verdict.get("error_type") or ""), reason]))
        text = run.outputs[model][category][id_]
        answers.append(Answer(model, shorten(text), bool(verdict["valid"]), shorten(reason, 400)))
    shown = render_gold(gold) if gold else _WITHOUT_GOLD.get(find_category(category, protocol=run.protocol).kind, "")
    return Sample(id_, category, outcome, words, question, functions, shown, answers)


def render_gold(gold: list[Any]) -> str:
    """Accepted answers, one call a line; alternatives by `|`, optional parameters in square brackets.

    Calls of turns, and calls that are executed, are texts: those of a turn stand in one line.
    """
    lines = []
    for call in gold:
        if not isinstance(call, dict):
            lines.append(call if isinstance(call, str) else ", ".join(map(str, call)) or "no call")
            continue
        for name, arguments in call.items():
            shown = []
            for key, options in arguments.items():
                values = " | ".join(json.dumps(v, ensure_ascii=False) for v in options if v != "")
                text = f"{key} = {values or 'any'}"
                shown.append(f"[{text}]" if "" in options else text)
            lines.append(f"{name}({', '.join(shown)})")
    return "\n".join(lines)


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """The beginning of a long text, with the number of characters left out."""
    return text if len(text) <= limit else f"{text[:limit]} \u2026 ({len(text) - limit:,} more characters)"
