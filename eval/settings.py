"""Section `evaluate` of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Server:
    """Section `evaluate.server`: an OpenAI-compatible server and how it is asked.

    Attributes:
        base_url: where `/chat/completions` follows, such as `http://127.0.0.1:8000/v1`.
        api_key_env: name of the environment variable that holds the key; "" for none.
        concurrency: most questions in flight.
        endpoint: `chat`, or `completions`: the text that the chat template of `tokenizer` makes is continued.
        tokenizer: a model folder or hub id, for `completions`; "" takes the model's name for one.
        timeout: seconds after which a question without an answer is asked again.
    """

    base_url: str = ""
    api_key_env: str = ""
    concurrency: int = 64
    endpoint: Literal["chat", "completions"] = "chat"
    tokenizer: str = ""
    timeout: float = 600.0


@dataclass(frozen=True)
class EvaluateSettings:
    """What is asked of which models, and how.

    Attributes:
        models: the name a model has in the tables -> folder, adapter folder, embedded model, hub id, or its name on the
            server.
        protocol: version of the benchmark's questions, rules and formulas: `v4`, `v3-2024` or `v1-2024`.
        categories: BFCL categories of the protocol, or `all`, `single_turn`, `non_live`, `live`, `executable`,
            `multi_turn`; none: its single-turn Python ones.
        limit: category -> number of its questions to ask, a seeded sample; a category without an entry is asked whole.
        data_folder: where questions of 2024 are read from; "": they are downloaded once.
        backend: `transformers` or `vllm`, in this process, or `server`.
        mode: `prompting`: the functions are in the system prompt and calls are text; `native`: they are given as tools.
        tool_role: role of messages that tell results of calls in prompting mode; `ipython` is what the leaderboard
            gives Llama since April 2025, `tool` what it gave it before and gives others.
        max_new_tokens: longest single answer, in tokens.
        temperature: of sampling by vLLM or a server; the transformers backend is greedy.
        batch_size: most questions answered at once by the transformers backend.
        dtype: precision of a model in this process (`bfloat16`, `float32`).
        vllm: further arguments of `vllm.LLM`, under their names there (`tensor_parallel_size`, ...).
        server: of the backend `server`.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    protocol: str = "v4"
    categories: Sequence[str] = ()
    limit: Mapping[str, int] = field(default_factory=dict)
    data_folder: str = ""
    backend: Literal["transformers", "vllm", "server"] = "transformers"
    mode: Literal["prompting", "native"] = "prompting"
    tool_role: str = "tool"
    max_new_tokens: int = 256
    temperature: float = 0.001  # the leaderboard's, since August 2024
    batch_size: int = 32
    dtype: str = "bfloat16"
    vllm: Mapping[str, Any] = field(default_factory=dict)
    server: Server = field(default_factory=Server)
