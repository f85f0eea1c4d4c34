"""The one door through which all code and data of the official `bfcl_eval` package come.

Two things make the package unfit to be imported as it is, and both are put right here, without changing its code:

* importing it makes folders below `BFCL_PROJECT_ROOT`, by default inside site-packages: the variable is pointed at a
  per-user cache folder first;
* its checker imports the registry of all 175 model handlers (4 s of CPU, a dozen vendors' clients) to read one boolean
  of the model that is scored: an equivalent registry of our own stands in while the checker is imported.

Nothing here uses the network: questions and gold answers are files of the package.
"""

from __future__ import annotations

import ast
import atexit
import copy
import importlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import types
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from eval.bfcl.categories import Category
from eval.bfcl.guard import Refusal, as_decoder_read_in_2024, inspect_java_like, inspect_python
from toolace.errors import InputError

PACKAGE = "bfcl-eval==2026.3.23"
# Models of the official registry, of which the checker reads one thing: whether dots in function names were replaced.
REFERENCE_MODEL = "Team-ACE/ToolACE-2-8B"
NATIVE_MODEL = "gpt-4o-2024-11-20-FC"
_REGISTRY = "bfcl_eval.constants.model_config"


class Undecodable(Exception):
    """A text that holds no calls, as the official decoder sees it, or that the guard keeps from the decoder.

    Attributes:
        error_type: `ast_decoder:decoder_failed` (upstream's) or `guard:refused` (ours).
        is_call: the text is a call all the same (it was refused for what its arguments would execute).
    """

    def __init__(self, evidence: str, error_type: str = "ast_decoder:decoder_failed", is_call: bool = False) -> None:
        super().__init__(evidence)
        self.error_type, self.is_call = error_type, is_call


def data_folder() -> Path:
    """The folder with the package's questions; gold is in its folder `possible_answer`."""
    return Path(_official("bfcl_eval.constants.eval_config").PROMPT_PATH)


def read_jsonl(name: str) -> list[dict[str, Any]]:
    """Rows of a file below the package's data folder, without the package's lock files and additions."""
    with (data_folder() / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def load_entries(category: str, for_prompts: bool, with_prerequisites: bool = False) -> list[dict[str, Any]]:
    """Rows of a category of the leaderboard as the official loader makes them.

    `for_prompts` adds the hint which language functions are in, and makes Java and JavaScript types text; scoring
    needs the rows without. `with_prerequisites` adds the conversations that fill a memory before it is asked about.
    """
    load = _official("bfcl_eval.utils").load_dataset_entry
    rows: list[dict[str, Any]] = load(
        category, include_prereq=with_prerequisites, include_language_specific_hint=for_prompts
    )
    return rows


def load_gold(category: str) -> list[dict[str, Any]]:
    """Rows `{"id", "ground_truth"}` of a category that has gold."""
    rows: list[dict[str, Any]] = _official("bfcl_eval.utils").load_ground_truth_entry(category)
    return rows


def rest_gold() -> list[str]:
    """The gold calls of the 70 REST questions, in their order."""
    name = "unused_datasets/executable_eval_sanity_check/api_status_check_ground_truth_rest.json"
    return [row["ground_truth"] for row in sorted(read_jsonl(name), key=lambda row: int(row["idx"]))]


def system_prompt(messages: list[dict[str, Any]], functions: list[dict[str, Any]], id_: str) -> list[dict[str, Any]]:
    """Messages with today's official system prompt in front, the functions as indented JSON in it."""
    add = _official("bfcl_eval.model_handler.utils").system_prompt_pre_processing_chat_model
    result: list[dict[str, Any]] = add(messages, functions, id_)
    return result


def with_memory(
    turns: list[list[dict[str, Any]]], category: str, scenario: str, content: str
) -> list[list[dict[str, Any]]]:
    """Turns with the official system prompt on the use of a memory, and what is in it, before the first one."""
    add = _official("bfcl_eval.model_handler.utils").add_memory_instruction_system_prompt
    memory = types.SimpleNamespace(_dump_core_memory_to_context=lambda: content)
    result: list[list[dict[str, Any]]] = add(copy.deepcopy(turns), category, scenario, memory)
    return result


def added_functions_prompt(functions: list[dict[str, Any]], native: bool) -> str:
    """What the user says in a turn in which functions that were held back are added."""
    texts = _official("bfcl_eval.constants.default_prompts")
    if native:
        return str(texts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC)
    return str(texts.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING.format(functions=functions))


def with_language_hint(functions: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Function documents as prompts show them: the language named, Java and JavaScript types as text."""
    hint = _official("bfcl_eval.utils")._func_doc_language_specific_pre_processing
    hinted: list[dict[str, Any]] = hint(copy.deepcopy(functions), language)
    return hinted


def as_tools(functions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Function documents as OpenAI `tools`, by the official conversion: dots in names become underscores."""
    utils = _official("bfcl_eval.model_handler.utils")
    mapping = _official("bfcl_eval.constants.type_mappings").GORILLA_TO_OPENAPI
    tools: list[dict[str, Any]] = utils.convert_to_tool(functions, mapping, utils.ModelStyle.OPENAI_COMPLETIONS)
    return tools


def decode_ast(text: str, language: str = "python", of_2024: bool = False) -> list[dict[str, Any]]:
    """Reads a model's text into `[{name: {argument: value}}]` with the official decoder, behind the guard.

    Time is bounded on any input; nothing in the text is executed except arithmetic on numbers.

    Args:
        text: the model's whole answer.
        language: `python`, `java` or `javascript`.
        of_2024: as the decoder did it then (see `protocols`); Python only.

    Raises:
        Undecodable: the decoder fails on the text, or the guard refuses it.
    """
    decoder = _official("bfcl_eval.model_handler.utils")
    if language == "python":
        refusal: Refusal | None = inspect_python(text, known=_decoder_names(), of_2024=of_2024)
    else:
        refusal = inspect_java_like(text)
    if refusal:
        raise Undecodable(refusal.evidence, refusal.error_type, refusal.is_call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about odd escapes in the text it is given
            if of_2024 and language == "python":
                return _decode_as_2024(text)
            decoded: list[dict[str, Any]] = decoder.default_decode_ast_prompting(text, decoder.ReturnFormat(language))
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None
    return decoded


def _decode_as_2024(text: str) -> list[dict[str, Any]]:
    """The decoder of 2024: today's reading of each call, on a text without brackets and quotes at its ends."""
    resolve = _official("bfcl_eval.model_handler.utils").resolve_ast_call
    body: Any = ast.parse(as_decoder_read_in_2024(text), mode="eval").body
    calls = [body] if isinstance(body, ast.Call) else body.elts
    if not all(isinstance(call, ast.Call) for call in calls):
        raise ValueError("not a list of calls")
    return [resolve(call) for call in calls]


def decode_native(result: Any) -> list[dict[str, Any]]:
    """Reads native tool calls, `[{name: arguments as JSON text}]`, as the official handler of chat completions does.

    Raises:
        Undecodable: a text (the model did not call), or arguments that are no JSON.
    """
    try:
        decoded = []
        for call in result:
            name = next(iter(call.keys()))
            decoded.append({name: json.loads(call[name])})
    except (TypeError, AttributeError, ValueError, StopIteration, RecursionError) as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None
    return decoded


def call_texts(decoded: list[dict[str, Any]]) -> list[str]:
    """Decoded calls of prompting mode as the texts that the official code executes, `["f(a=1)"]`.

    Raises:
        Undecodable: a value that the official code cannot write.
    """
    try:
        texts: list[str] = _official("bfcl_eval.model_handler.utils").decoded_output_to_execution_list(decoded)
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None
    return texts


def native_call_texts(result: Any) -> list[str]:
    """Native tool calls as the texts that the official code executes.

    Raises:
        Undecodable: a text (the model did not call), or arguments that are no JSON object.
    """
    try:
        texts: list[str] = _official("bfcl_eval.model_handler.utils").convert_to_function_call(result)
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None
    return texts


def is_call_list(decoded: Any) -> bool:
    """Upstream's test that a decoded value has the form `[{name: {argument: value}}, ...]`; an empty list passes."""
    return bool(_official("bfcl_eval.utils").is_function_calling_format_output(decoded))


def is_empty(decoded: Any) -> bool:
    """Upstream's test that a decoded value calls nothing."""
    return bool(_official("bfcl_eval.utils").is_empty_output(decoded))


def check_ast(
    functions: list[dict[str, Any]], decoded: list[Any], answer: list[Any], kind: Category, native: bool = False
) -> dict[str, Any]:
    """Compares decoded calls with gold by the official checker: `{"valid", "error", "error_type"}`.

    A few odd answers (an integer too large for a float, a list where gold has objects) make the official checker itself
    raise, which would end the whole official run; here they are invalid with error_type `checker:raised`.

    Args:
        functions: documents, with the original types.
        decoded: the model's calls.
        answer: gold.
        kind: the category.
        native: names of functions had their dots replaced, because native tools cannot have any.
    """
    checker = _official("bfcl_eval.eval_checker.ast_eval.ast_checker")
    model = NATIVE_MODEL if native else REFERENCE_MODEL
    try:
        result: dict[str, Any] = checker.ast_checker(
            functions, decoded, answer, checker.Language(kind.language), kind.name, model
        )
    except Exception as error:
        evidence = f"the official checker raises {type(error).__name__}: {error}"
        return {"valid": False, "error": [evidence], "error_type": "checker:raised"}
    return result


def check_agentic(text: str, answers: list[str]) -> dict[str, Any]:
    """Looks for an accepted answer in a text, officially: `{"valid", "error_message", "error_type"}`."""
    checker = _official("bfcl_eval.eval_checker.agentic_eval.agentic_checker")
    result: dict[str, Any] = checker.agentic_checker(text, answers)
    return result


def simulated_apis() -> tuple[types.ModuleType, types.ModuleType]:
    """The official modules that execute multi-turn calls and that compare states: `multi_turn_utils`, `..._checker`."""
    room = "bfcl_eval.eval_checker.multi_turn_eval"
    return _official(f"{room}.multi_turn_utils"), _official(f"{room}.multi_turn_checker")


def memory_apis() -> dict[str, type]:
    """The official memories that need neither a model nor a network, by the name of their category.

    They start empty: the official ones read, and make folders for, a file of what was told before; here the calls of
    those conversations are executed again instead.
    """
    room = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
    base = _official(f"{room}.memory_api_metaclass").MemoryAPI
    base._prepare_snapshot = lambda self, config: None
    return {
        f"memory_{kind}": getattr(_official(f"{room}.memory_{kind}"), f"MemoryAPI_{kind}") for kind in ("kv", "rec_sum")
    }


@cache
def _decoder_names() -> frozenset[str]:
    """Names that the decoder's own `eval` could see: its module's, Python's built-ins and its local variables."""
    import builtins

    decoder = _official("bfcl_eval.model_handler.utils")
    return frozenset(vars(decoder)) | frozenset(vars(builtins)) | {"value", "output"}


@cache
def _official(module: str) -> types.ModuleType:
    """Imports a module of the official package with the two precautions of this file's docstring."""
    if importlib.util.find_spec("bfcl_eval") is None:
        raise InputError("the official BFCL checkers are not installed", fix=f"Run: pip install {PACKAGE}")
    os.environ.setdefault("BFCL_PROJECT_ROOT", str(_project_root()))
    missing = _REGISTRY not in sys.modules
    if missing:
        registry = types.ModuleType(_REGISTRY)
        registry.MODEL_CONFIG_MAPPING = _OneModel()  # type: ignore[attr-defined]
        sys.modules[_REGISTRY] = registry
    try:
        return importlib.import_module(module)
    except ImportError as error:
        what = f"the official BFCL checkers cannot be imported ({error})"
        raise InputError(what, fix=f"Run: pip install {PACKAGE}") from None
    finally:
        if missing:
            # The real registry can still be imported later, by whoever needs it.
            sys.modules.pop(_REGISTRY, None)


class _OneModel(dict[str, Any]):
    """Stands for the official registry: function names keep their dots, except those of `NATIVE_MODEL`."""

    def __missing__(self, name: str) -> Any:
        return types.SimpleNamespace(underscore_to_dot=name == NATIVE_MODEL)


def _project_root() -> Path:
    """A folder for the package's lock files: the user's cache, or the temporary folder when that is not writable."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolace" / "bfcl"
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache
    except (OSError, RuntimeError):  # a read-only home, or none at all
        pass
    folder = Path(tempfile.mkdtemp(prefix="toolace-bfcl-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
