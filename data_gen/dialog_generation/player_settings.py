"""Settings of the players: who plays which agent, how decisions are voted on, and how self-guidance goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolace import InputError

Player = Literal["llm", "offline"]


@dataclass(frozen=True)
class AgentSettings:
    """Section `generate.dialogs.agents`, read when `generate.dialogs.players` is `llm`.

    Attributes:
        user, assistant, tool: who plays the agent. An offline assistant under a user of `llm` knows what is asked for,
            because the model then only words a request that was drawn offline.
        samples: answers drawn for one decision of the assistant (Sec. 2.2: "each action is sampled several times").
        agreement: share of the samples that must make the same decision: the action, the functions, their arguments.
        disagreement: what happens to a turn below that share. drop: the dialog ends before it; mask: the most frequent
            decision is taken and `meta.masked` says that its message is not trained on.
        attempts: how often a dialog is tried before its place stays empty; each failure is kept with its reason.
        concurrency: dialogs in work at a time; the calls in flight are limited by `llm.concurrency`.
    """

    user: Player = "llm"
    assistant: Player = "llm"
    tool: Player = "llm"
    samples: int = 3  # our choice: the paper gives no number; the smallest with a majority
    agreement: float = 0.6  # our choice: two of three; 1.0 keeps unanimous decisions only
    disagreement: Literal["drop", "mask"] = "drop"
    attempts: int = 2
    concurrency: int = 200

    def check(self) -> None:
        """Raises InputError for numbers that cannot be met."""
        where = "generate.dialogs.agents"
        for name in ("samples", "attempts", "concurrency"):
            if getattr(self, name) < 1:
                raise InputError(f"is {getattr(self, name)}", where=f"{where}.{name}", fix="Write 1 or more.")
        if not 0 < self.agreement <= 1:
            raise InputError(f"is {self.agreement}", where=f"{where}.agreement", fix="Write a share up to 1.")


@dataclass(frozen=True)
class GuidanceSettings:
    """Section `generate.dialogs.guidance`: the range of losses that dialogs are steered into (Sec. 2.2).

    Attributes:
        low, high: the range, in nats a token (Eq. 1): below it the model has mastered the dialog, above it the model
            does not learn it.
        rounds: how often a dialog outside of the range is made again, harder or simpler by one level each time.
        outside: what happens to those that stay outside: keep the nearest to the range, or drop them.
        model: the model to be tuned, which scores: folder, adapter folder, hub id or embedded name.
    """

    low: float
    high: float
    rounds: int = 2  # our choice: levels beyond two say no more than "harder still"
    outside: Literal["keep", "drop"] = "keep"
    model: str = "embedded/SmolLM2-135M-Instruct"

    def check(self) -> None:
        """Raises InputError for a range that holds nothing."""
        where = "generate.dialogs.guidance"
        if not (math.isfinite(self.low) and math.isfinite(self.high) and 0 <= self.low < self.high):
            raise InputError(f"the range is {self.low} to {self.high}", where=where, fix="Give 0 <= low < high.")
        if self.rounds < 1:
            raise InputError(f"rounds is {self.rounds}", where=where, fix="Write 1 or more.")
