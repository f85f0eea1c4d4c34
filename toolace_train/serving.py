"""The exact commands that serve an export with the prompt it was trained on, and the settings they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LEAST_CONTEXT = 4096  # our choice: room for an answer and for longer tool lists than those of training


@dataclass(frozen=True)
class Serving:
    """How an export is served.

    Attributes:
        folder: of the export, as the commands name it.
        rendering: `toolace` (tools in the system prompt, calls as text) or `native` (the model's own tool template).
        family: the base's `model_type`.
        context: tokens that a server should make room for.
        gguf: names of the GGUF files in the folder.
    """

    folder: Path
    rendering: Literal["toolace", "native"]
    family: str
    context: int
    gguf: tuple[str, ...] = ()

    @property
    def parser(self) -> str | None:
        """vLLM's parser for the calls the model writes; None where none is known to fit."""
        if self.rendering == "toolace":
            return "pythonic"
        return {"llama": "llama3_json", "qwen2": "hermes", "qwen3": "hermes"}.get(self.family)

    def vllm(self) -> str:
        """The command for vLLM."""
        words = [f"vllm serve {self.folder}", f"--chat-template {self.folder / 'chat_template.jinja'}"]
        words += [f"--max-model-len {self.context}", "--generation-config vllm"]
        words += [f"--enable-auto-tool-choice --tool-call-parser {self.parser}"] if self.parser else []
        return _lines(words)

    def llama_cpp(self) -> str | None:
        """The command for llama.cpp's server; None without a GGUF."""
        if not self.gguf:
            return None
        words = [f"llama-server -m {self.folder / self.gguf[0]}", "--jinja"]
        words += [f"--chat-template-file {self.folder / 'chat_template.jinja'}", f"-c {self.context}", "--port 8080"]
        return _lines(words)

    def transformers(self) -> str:
        """The command for transformers' own server."""
        return _lines([f"transformers serve {self.folder}", "--port 8000"])

    def check(self, server: str) -> str:
        """The command that proves the served prompt."""
        port = {"vllm": 8000, "llama.cpp": 8080, "transformers": 8000}[server]
        return f"toolace serve-check {self.folder} --base_url http://127.0.0.1:{port}"


def context_length(trained: int, longest: int) -> int:
    """Tokens to make room for: twice the longest trained row, within what the model knows."""
    return min(longest, max(LEAST_CONTEXT, 2 * trained))


def serving_text(serving: Serving) -> str:
    """The section on serving of a model card."""
    text = serving.rendering == "toolace"
    how = (
        "Put the tools into the system message, as in the example above; the answer is text, such as "
        "`[f(a=1), g()]`, that `toolace.calls.parse_calls` reads."
        if text
        else "Send the tools as `tools`: the model's own template renders them."
    )
    lines = ["## Serving", "", how + " Ask with `temperature` 0.", ""]
    lines += ["vLLM:", "```sh", serving.vllm(), serving.check("vllm"), "```"]
    if text:
        lines += [
            "With `tools` in the request too, vLLM's `pythonic` parser turns the text into `tool_calls`; the template "
            "ignores `tools`, so the prompt stays as trained. The parser takes plain Python names only: for other "
            "names (`orders.list`, `Get Weather`) leave `tools` out and parse the text.",
            "",
        ]
    elif serving.parser is None:
        lines += ["No parser of vLLM is known to fit this model; its calls come as text.", ""]
    command = serving.llama_cpp()
    if command:
        lines += ["llama.cpp:", "```sh", command, serving.check("llama.cpp"), "```"]
        if text:
            lines += [
                "Leave `tools` out: the template ignores them, and what llama.cpp's own parsers make of text calls "
                "depends on its version. Parse the text instead.",
                "",
            ]
    lines += ["transformers:", "```sh", serving.transformers(), serving.check("transformers"), "```"]
    return "\n".join(lines)


def _lines(words: list[str]) -> str:
    return " \\\n    ".join(words)
