"""The one door through which all code and data of the official `bfcl_eval` package come.

Two things make the package unfit to be imported as it is, and both are put right here, without changing its code:

* importing it makes folders below `BFCL_PROJECT_ROOT`, by default inside site-packages: the variable is pointed at a
  per-user cache folder first;
* its checker imports the registry of all 175 model handlers (4 s of CPU, a dozen vendors' clients) to read one boolean
  of the model that is scored: an equivalent registry of one entry stands in while the checker is imported.

Nothing here uses the network: questions and gold answers are files of the package.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import types
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eval.bfcl.categories import category as find_category
from eval.bfcl.guard import Refusal, inspect_java_like, inspect_python
from toolace.errors import InputError

PACKAGE = "bfcl-eval==2026.3.23"
# A prompt-mode model of the official registry: function names keep their dots. The checker reads nothing else of it.
REFERENCE_MODEL = "Team-ACE/ToolACE-2-8B"
_REGISTRY = "bfcl_eval.constants.model_config"


@dataclass(frozen=True)
class Prompt:
    """One question as a model is asked it.

    Attributes:
        id: the official id.
        messages: role and content, the official system prompt (with the functions as JSON) first.
        functions: function documents as the official generation shows them, with the language hint.
    """

    id: str
    messages: list[dict[str, str]]
    functions: list[dict[str, Any]]


class Undecodable(Exception):
    """A text that holds no calls, as the official decoder sees it, or that the guard keeps from the decoder.

    Attributes:
        error_type: `ast_decoder:decoder_failed` (upstream's) or `guard:refused` (ours).
        is_call: the text is a call all the same (it was refused for what its arguments would execute).
    """

    def __init__(self, evidence: str, error_type: str = "ast_decoder:decoder_failed", is_call: bool = False) -> None:
        super().__init__(evidence)
        self.error_type, self.is_call = error_type, is_call


def load_questions(category: str) -> list[dict[str, Any]]:
    """Questions with the original parameter types, as scoring needs them: `{"id", "question", "function"}` each.

    Raises:
        InputError: unknown category, or the package is not installed.
    """
    find_category(category)
    rows: list[dict[str, Any]] = _official("bfcl_eval.utils").load_dataset_entry(
        category, include_prereq=False, include_language_specific_hint=False
    )
    return rows


def load_prompts(category: str) -> list[Prompt]:
    """Questions as the official generation asks a model in prompting mode, in the official order.

    Raises:
        InputError: unknown category, or the package is not installed.
    """
    find_category(category)
    add_system_prompt = _official("bfcl_eval.model_handler.utils").system_prompt_pre_processing_chat_model
    prompts = []
    for row in _official("bfcl_eval.utils").load_dataset_entry(category):
        messages = add_system_prompt(row["question"][0], row["function"], row["id"])
        prompts.append(Prompt(row["id"], messages, row["function"]))
    return prompts


def gold(category: str) -> dict[str, list[dict[str, Any]]]:
    """Accepted answers by id, `[{"f": {"a": [1, 2]}}]`; empty for categories that have none (irrelevance, relevance).

    An empty string among the accepted values of a parameter says that it may be left out.
    """
    if find_category(category).kind != "ast":
        return {}
    rows = _official("bfcl_eval.utils").load_ground_truth_entry(category)
    return {row["id"]: row["ground_truth"] for row in rows}


def decode_ast(text: str, language: str = "python") -> list[dict[str, Any]]:
    """Reads a model's text into `[{name: {argument: value}}]` with the official decoder, behind the guard.

    Time is bounded on any input; nothing in the text is executed except arithmetic on numbers.

    Raises:
        Undecodable: the decoder fails on the text, or the guard refuses it.
    """
    decoder = _official("bfcl_eval.model_handler.utils")
    if language == "python":
        refusal: Refusal | None = inspect_python(text, known=_decoder_names())
    else:
        refusal = inspect_java_like(text)
    if refusal:
        raise Undecodable(refusal.evidence, refusal.error_type, refusal.is_call)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about odd escapes in the text it is given
            decoded: list[dict[str, Any]] = decoder.default_decode_ast_prompting(text, decoder.ReturnFormat(language))
    except Exception as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None
    return decoded


def is_call_list(decoded: Any) -> bool:
    """Upstream's test that a decoded value has the form `[{name: {argument: value}}, ...]`; an empty list passes."""
    return bool(_official("bfcl_eval.utils").is_function_calling_format_output(decoded))


def is_empty(decoded: Any) -> bool:
    """Upstream's test that a decoded value calls nothing."""
    return bool(_official("bfcl_eval.utils").is_empty_output(decoded))


def check_ast(functions: list[dict[str, Any]], decoded: list[Any], answer: list[Any], category: str) -> dict[str, Any]:
    """Compares decoded calls with gold by the official checker: `{"valid", "error", "error_type"}`.

    A few odd answers (an integer too large for a float, a list where gold has objects) make the official checker itself
    raise, which would end the whole official run; here they are invalid with error_type `checker:raised`.
    """
    checker = _official("bfcl_eval.eval_checker.ast_eval.ast_checker")
    language = checker.Language(find_category(category).language)
    try:
        result: dict[str, Any] = checker.ast_checker(functions, decoded, answer, language, category, REFERENCE_MODEL)
    except Exception as error:
        evidence = f"the official checker raises {type(error).__name__}: {error}"
        return {"valid": False, "error": [evidence], "error_type": "checker:raised"}
    return result


def version() -> str:
    """Version of the installed official package."""
    from importlib.metadata import version as installed

    _official("bfcl_eval.utils")
    return installed("bfcl_eval")


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
    """Stands for the official registry: any name is a model whose function names keep their dots."""

    def __missing__(self, name: str) -> Any:
        return types.SimpleNamespace(underscore_to_dot=False)


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
