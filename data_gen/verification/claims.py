"""Claim: a scalar argument that wants support from the conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_gen.verification.heard import normalised


@dataclass(eq=False)  # not frozen: that makes making one three times as slow, and there are many
class Claim:
    """A scalar argument that wants support.

    Attributes:
        value: a string, or a number that is no boolean.
        schema: of the parameter.
        name: of the parameter or member; empty inside lists.
        required: whether the call must give it.
    """

    value: Any
    schema: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    required: bool = False

    @cached_property
    def definition(self) -> str:
        """Name and description, as normalised words."""
        return normalised(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", self.name)) + normalised(
            str(self.schema.get("description") or "")
        )
