"""System prompts of generated dialogs: the text around the tool list, and the style the list is written in.

A model is best trained on the prompt it will meet. Benchmarks' prompts are read from their own packages, not retyped.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from toolace import InputError
from toolace.embedded import cache_dir

# name -> (text before the list, text after, style); our own wordings.
OURS = {
    "short": (
        "Use the functions below when they fit the request. Answer with calls only, written as "
        "[function(parameter=value, ...), ...]. If no function fits, or a required value is missing, say so instead.\n",
        "\n",
        "json_lines",
    ),
    "plain": (
        "You can call functions. A call is written [name(parameter=value)]; several calls go into the same pair of "
        "brackets, separated by commas, with nothing around them. Do not call anything when the functions do not fit "
        "or when the user has not given what a call needs: explain that in words.\nAvailable functions:\n",
        "\n",
        "json",
    ),
    "yaml": (
        "Below is what you can call, in YAML. When the request can be met with it, your whole answer is a list of "
        "calls, [name(parameter=value), ...]. When it cannot, or when something that a call requires was not said, "
        "answer with a short sentence that says why.\n\n",
        "\n",
        "yaml",
    ),
    "xml": (
        "You work with the tools inside of the <tools> element. Call one or several of them like this, with nothing "
        'else in the message: [tool_name(first=1, second="two")]. If the tools do not serve the request, or a required '
        "parameter has no value yet, tell the user so and call nothing.\n",
        "\n",
        "xml",
    ),
    "markdown": (
        '# Your functions\nTo use functions, write a single line such as [f(x=1), g(y="b")] and no other text. Ask '
        "when a required parameter is missing. Say so when no function is of use.\n\n",
        "\n",
        "markdown",
    ),
    "python": (
        "These functions can be called for the user; their signatures are given as Python. Answer a request that they "
        "can serve with [function(argument=value), ...] alone, any other one in words, naming what is missing.\n\n",
        "\n",
        "python",
    ),
}
NAMES = ("default", "bfcl_v4", *OURS)


def prompt(name: str) -> dict[str, Any] | None:
    """`meta["prompt"]` of a dialog for a prompt's name; None for "default", which needs no entry.

    Raises:
        InputError: unknown name, or bfcl-eval is needed and not installed.
    """
    if name == "default":
        return None
    if name == "bfcl_v4":
        return _bfcl_v4()
    if name not in OURS:
        raise InputError(f"unknown system prompt {name!r}", fix=f"Use one of {', '.join(NAMES)}.")
    before, after, style = OURS[name]
    return {"before": before, "after": after, "style": style}


@cache
def _bfcl_v4() -> dict[str, Any]:
    # bfcl-eval makes folders under this root when imported, by default inside site-packages.
    os.environ.setdefault("BFCL_PROJECT_ROOT", str(cache_dir() / "bfcl"))
    try:
        from bfcl_eval.constants.default_prompts import DEFAULT_SYSTEM_PROMPT_FORMAT
        from bfcl_eval.model_handler.utils import formulate_system_prompt
    except ImportError:
        fix = "Install bfcl-eval, or name another prompt in generate.dialogs.system_prompts."
        raise InputError("the prompt bfcl_v4 needs the package bfcl-eval", fix=fix) from None
    marker: list[dict[str, Any]] = [{"name": "marker"}]
    whole = formulate_system_prompt(DEFAULT_SYSTEM_PROMPT_FORMAT, marker)
    before, after = whole.split(json.dumps(marker, indent=4))
    return {"before": before, "after": after, "style": "json_indent4"}
