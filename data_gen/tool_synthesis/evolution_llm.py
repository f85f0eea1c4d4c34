"""Evolution, the LLM player: new APIs from a subtree, an example of the buffer, and diversity indicators (Sec. 2.1).

Rounds: in each one, sub-domains that lack APIs ask for a few at once, the thinnest first; what is accepted joins the
buffer before the next round draws its examples. A sub-domain's requests depend on its own answers alone, so in whatever
order answers come, the same ones lead to the same requests, and a repeated run finds them all in the journal. That
holds only while no answer is missing: a sub-domain that waits for one asks no further round in that run.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice, zip_longest
from typing import Any

from data_gen.tool_synthesis.adaptation import EVOLVED
from data_gen.tool_synthesis.evolution import ExampleBuffer, OfflineEvolution
from data_gen.tool_synthesis.evolution_prompt import DEFINITION, WISHES, messages, met, tool_of, topic_gate
from data_gen.tool_synthesis.gates import BenchmarkGate, PoolGate
from data_gen.tool_synthesis.proposals import proposal_row, unfinished_row
from data_gen.tool_synthesis.speciation_llm import Failures, check_stop
from data_gen.tool_synthesis.subtrees import Node, Subtree, Subtrees
from data_gen.tool_synthesis.taxonomy import SubDomain
from data_gen.verification.verdict import Verdict
from toolace import Tool
from toolace.chat import ChatRequest
from toolace.fan_out import Progress, run_all
from toolace.llm import Llm
from toolace.rows import Row, dumps

STAGE = "evolution"
# our choice: APIs a sub-domain asks for before it looks at what came. More would share fewer examples, fewer would keep
# a server with room for many calls idle when few sub-domains are filled.
PER_ROUND = 4
# Requests for each API wanted, after which a sub-domain is left as thin as it is; and a few more for the last ones.
TRIES, MORE_TRIES = 2, 4
# our choice: longer examples fill the prompt and are imitated for their length.
EXAMPLE_CHARACTERS = 3_000
# Offline APIs that begin an empty buffer.
_FIRST = 4


@dataclass(frozen=True)
class Ask:
    """One request: who asks, what is to be covered, what is shown, and what is wished."""

    by: SubDomainEvolution
    number: int
    subtree: Subtree
    example: Tool
    wishes: tuple[str, ...]

    @property
    def key(self) -> str:
        """What the request is called in the journal and in `proposals.jsonl`."""
        return f"{self.subtree.sub.name} {self.number}"


class SubDomainEvolution:
    """What one sub-domain asks for and has been given.

    Args:
        sub: the sub-domain.
        nodes: its functionalities, those of the taxonomy and those that documents speak of.
        examples: documented APIs of it; new ones are compared with them.
        wanted: APIs wanted.
        seed: of the recipe.
        stand_in: a sub-domain whose offline APIs begin the buffer where there are no examples; mostly `sub` itself.
    """

    def __init__(
        self, sub: SubDomain, nodes: Sequence[Node], examples: Sequence[Tool], wanted: int, seed: int,
        stand_in: SubDomain | None = None,
    ) -> None:  # fmt: skip
        self.sub, self.wanted = sub, wanted
        self.height = len(examples)
        self.accepted: list[Tool] = []
        self.asked = 0
        # An answer is missing until the next run: what would be asked after it depends on it.
        self.waiting = False
        self._seed = seed
        self._subtrees = Subtrees(sub, nodes, seed)
        self._buffer = ExampleBuffer()
        self._shown: dict[str, Tool] = {}
        self._met: Counter[str] = Counter()
        self._in_pool = PoolGate(examples)
        for tool in examples:
            self._in_pool.add(tool)
        short = [tool for tool in examples if len(dumps(tool.to_function())) <= EXAMPLE_CHARACTERS]
        if not short:
            short = list(islice(OfflineEvolution(stand_in or sub, seed).propose(), _FIRST))
        for tool in short:
            self._show(tool)

    def _show(self, tool: Tool) -> None:
        self._buffer.add(tool)
        self._shown[tool.id or tool.name] = tool

    def asks(self) -> list[Ask]:
        """The requests of the next round; none when there is enough, nothing left to try, or an answer is missing."""
        left = TRIES * self.wanted + MORE_TRIES - self.asked
        made: list[Ask] = []
        if not self._shown or self.waiting:
            return made
        for _ in range(min(PER_ROUND, left, self.wanted - len(self.accepted))):
            subtree = self._subtrees.sample()
            if subtree is None:
                break
            rng = random.Random(f"{self._seed}/evolution/{self.sub.name}/{self.asked}")
            example, _style = self._buffer.sample(rng)
            made.append(Ask(self, self.asked, subtree, self._shown[example], self._wishes(rng)))
            self.asked += 1
        return made

    def _wishes(self, rng: random.Random) -> tuple[str, ...]:
        """One to three indicators, those met least so far likelier."""
        names = list(WISHES)
        chosen: list[str] = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            weights = [0.0 if name in chosen else 1 / (1 + self._met[name]) for name in names]
            chosen.append(rng.choices(names, weights)[0])
        if "type_list_of_lists" in chosen and "type_list_of_objects" in chosen:
            chosen.remove("type_list_of_objects")
        return tuple(chosen)

    def take(self, ask: Ask, value: Mapping[str, Any], model: str, benchmark: Callable[[Tool], Verdict]) -> Row:
        """Judges one answer; an accepted API joins the buffer. Returns its line of `proposals.jsonl`."""
        tool = _tool(ask, value, model)
        verdict = topic_gate(tool, ask.subtree)
        for gate in (benchmark, self._in_pool):
            verdict = gate(tool) if verdict.kept else verdict
        found = met(tool, ask.wishes)
        if verdict.kept:
            self._in_pool.add(tool)
            self._show(tool)
            self._met.update(found)
            self.accepted.append(tool)
        row = proposal_row("api", ask.key, tool.to_function(), verdict, sub=self.sub)
        return {**row, "asked": list(ask.wishes), "met": found}


def _tool(ask: Ask, value: Mapping[str, Any], model: str) -> Tool:
    source = {
        "package": "toolace",
        "version": version("toolace"),
        "file": f"context tree, {ask.subtree.sub.name}",
        "operation": " + ".join(node.name for node in ask.subtree.nodes),
        "example": ask.example.id or ask.example.name,
        "model": model,
    }
    plain = tool_of(value, ask.subtree)
    source["indicators"] = ", ".join(met(plain, ask.wishes))
    id_ = f"evolved:{ask.subtree.sub.name.lower().replace(' ', '_')}:{plain.name}"
    # No licence is stated: what may be done with a model's output, its own terms say.
    return tool_of(value, ask.subtree, id=id_, origin=EVOLVED, source=source)


@dataclass
class Evolved:
    """The outcome: accepted APIs by sub-domain, and a line for each request."""

    tools: dict[str, list[Tool]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


async def evolve(
    model: Llm, evolutions: Sequence[SubDomainEvolution], benchmark: Callable[[Tool], Verdict] | None = None
) -> Evolved:
    """Asks until every sub-domain has what it wants, its tries are used up, or the budget is spent.

    Args:
        model: who is asked.
        evolutions: one for each sub-domain.
        benchmark: keeps benchmark functions out; BFCL's when None.

    Raises:
        InputError: interrupted, or the server refuses every call.
    """
    gate = benchmark or BenchmarkGate()
    result = Evolved()

    async def answer(ask: Ask) -> Any:
        asked = messages(ask.subtree, ask.example, ask.wishes)
        return (await model.chat(ChatRequest(asked, DEFINITION, stage=STAGE, label=ask.key))).parsed

    stopped, number = "", 0
    while not stopped:
        asks = _round(evolutions)
        if not asks:
            break
        number += 1
        failures, errors, done = Failures(), [], set()
        outcomes = run_all(
            asks, answer, model.settings.concurrency, Progress(f"APIs, round {number}", len(asks), model.meter)
        )
        async for outcome in outcomes:
            ask = outcome.item
            done.add(ask.key)
            if outcome.error is None:
                result.rows.append(ask.by.take(ask, outcome.value or {}, model.settings.model, gate))
            else:
                errors.append(outcome.error)
                failures.add(ask.key, outcome.error)
                ask.by.waiting |= ask.key in failures.unfinished
                result.rows.append(_failed(ask, failures))
        stopped = check_stop(outcomes, errors)
        result.rows += [unfinished_row("api", ask.key, stopped) for ask in asks if ask.key not in done]
    result.tools = {evolution.sub.name: evolution.accepted for evolution in evolutions if evolution.accepted}
    return result


def _round(evolutions: Sequence[SubDomainEvolution]) -> list[Ask]:
    """All requests of a round, the first ones of all sub-domains before the second ones, thin sub-domains first."""
    thin_first = sorted(evolutions, key=lambda e: e.height + len(e.accepted))
    asked = [evolution.asks() for evolution in thin_first]
    return [ask for level in zip_longest(*asked) for ask in level if ask is not None]


def _failed(ask: Ask, failures: Failures) -> Row:
    if ask.key in failures.unfinished:
        return unfinished_row("api", ask.key, failures.unfinished[ask.key])
    reason, _, detail = failures.refused[ask.key].partition(": ")
    # A gate's own rule stands before its evidence, see `evolution_prompt.definition_fault`.
    rule, _, evidence = detail.partition(": ") if reason == "refused_by_check" else ("", "", "")
    verdict = Verdict.reject(rule, evidence) if evidence else Verdict.reject(f"llm.{reason}"[:40], detail)
    return proposal_row("api", ask.key, None, verdict, sub=ask.by.sub)


def levelled(heights: Mapping[str, int], total: int) -> dict[str, int]:
    """How many each one gets when `total` are handed out one by one, always to the lowest (of equals the first)."""
    heap = [(height, i, name) for i, (name, height) in enumerate(heights.items())]
    heapq.heapify(heap)
    given = dict.fromkeys(heights, 0)
    for _ in range(total if heap else 0):
        height, i, name = heapq.heappop(heap)
        given[name] += 1
        heapq.heappush(heap, (height + 1, i, name))
    return given
