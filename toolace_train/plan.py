"""What a recipe would do, before a GPU is rented for it: rows, tokens, steps, parameters, memory, time. No weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from toolace.embedded import NAME, prepare
from toolace.errors import InputError
from toolace.recipe import Recipe
from toolace_train.architectures import architecture
from toolace_train.data import TrainingSet, load_training_set
from toolace_train.model import load_tokenizer, locate, lora_config, template_text
from toolace_train.rendering import Renderer
from toolace_train.schedule import Schedule, schedule
from toolace_train.settings import DataSettings, ModelSettings
from toolace_train.sft import check_training_values

GIB = 2**30
# Peak dense bf16 rates from the vendors' data sheets, and the share of it that LoRA runs commonly reach.
GPUS = {"A100 80GB": 312e12, "H100 SXM": 989e12}
UTILISATION = 0.35  # our choice: a cautious share of the peak; published LoRA runs on 8B models lie around it


@dataclass(frozen=True)
class Parameters:
    """Counts of a model's numbers: all of the base, of its part without the embedding table, and what is trained."""

    base: int
    computed: int
    trained: int
    vocabulary: int
    hidden: int
    layers: int
    intermediate: int


def count_parameters(recipe: Recipe, name: str) -> Parameters:
    """Counts on the meta device, from the architecture alone.

    Raises:
        InputError: the architecture is neither in a local folder nor a known one, nor on the hub.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    known = architecture(str(prepare()) if name == NAME else name)
    if known is None:
        known = architecture(locate(name))
    if known is None or "model_type" not in known:
        raise InputError("names no model_type in its config.json", where=name, fix="Give a transformers model folder.")
    fields = {key: value for key, value in known.items() if key != "model_type"}
    config = AutoConfig.for_model(known["model_type"], **fields)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        base = sum(p.numel() for p in model.parameters())
        table = model.get_input_embeddings().weight.numel()
        lora = lora_config(recipe)
        trained = (
            base
            if lora is None
            else sum(p.numel() for p in get_peft_model(model, lora).parameters() if p.requires_grad)
        )
    computed = base - (0 if config.tie_word_embeddings else table)
    return Parameters(
        base,
        computed,
        trained,
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
        config.intermediate_size,
    )


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by part. Estimates, except for the weights."""

    weights: int
    trained: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """Sum of the parts."""
        return self.weights + self.trained + self.activations + self.logits


def estimate_memory(parameters: Parameters, recipe: Recipe, length: int, trained_share: float) -> Memory:
    """Memory of one device for a micro-batch of `length` tokens.

    Weights: 2 bytes a parameter in half precision, 4 in float32, 0.56 in 4 bit (a scale for each 64 values, doubly
    quantised). Trained numbers: weight, gradient and Adam's two moments in float32, 16 bytes each. Activations: with
    checkpointing one hidden state a layer and one layer's working set, without it the working set of every layer (about
    14 hidden and 4 MLP vectors). Logits: float32 logits, their gradient and softmax at the trained positions.
    """
    settings, train = recipe.settings("model", ModelSettings), recipe.mapping("train")
    quantization = recipe.mapping("quantization")
    width = 4.0 if settings.dtype == "float32" else 2.0
    width = 0.56 if quantization.get("load_in_4bit") else 1.0 if quantization.get("load_in_8bit") else width
    small = 2 if train.get("bf16") or settings.dtype != "float32" else 4
    full = parameters.trained == parameters.base
    working = length * (14 * parameters.hidden + 4 * parameters.intermediate) * small
    if train.get("gradient_checkpointing", False):
        activations = parameters.layers * length * parameters.hidden * small + working
    else:
        activations = parameters.layers * working
    return Memory(
        weights=0 if full else int(parameters.base * width),
        trained=parameters.trained * 16,
        activations=activations,
        logits=int(length * trained_share * parameters.vocabulary * 4 * 3),
    )


def flops(parameters: Parameters, tokens: int, epochs: float) -> float:
    """Floating-point operations: 2 a parameter and token forward, 2 back to the inputs, 2 more for what trains."""
    frozen = parameters.trained != parameters.base
    per_token = (4 if frozen else 6) * parameters.computed + (6 * parameters.trained if frozen else 0)
    return per_token * tokens * epochs


def measured_rate() -> float:
    """Operations a second of one large bf16 matrix product on this machine's device, timed now."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 4096 if device == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    a @ a
    rounds = 10
    started = time.perf_counter()
    for _ in range(rounds):
        result = a @ a
    result.float().sum().item()
    return float(rounds * 2 * size**3 / (time.perf_counter() - started))


def make_plan(recipe: Recipe) -> str:
    """The plan as text. Raises InputError where training would."""
    settings, data = recipe.settings("model", ModelSettings), recipe.settings("data", DataSettings)
    name = settings.model_name_or_path
    check_training_values(recipe)
    parameters = count_parameters(recipe, name)
    tokenizer, note = _tokenizer(name)
    # Another model's turns are no special tokens to the embedded tokenizer; its own turns cost about as much.
    rows = load_training_set(data, Renderer(tokenizer, None if note else template_text(settings)))
    timing = schedule(recipe, len(rows.trees), world_size=1)
    longest = max(len(tree.input_ids) for tree in rows.trees) * timing.per_device
    memory = estimate_memory(parameters, recipe, longest, rows.trained / rows.tokens)
    return "\n".join(_lines(recipe, name, parameters, rows, timing, memory, note))


def _tokenizer(name: str) -> tuple[Any, str]:
    """The model's tokenizer when it is on this machine, else the embedded model's and a note that says so."""
    from huggingface_hub import try_to_load_from_cache

    here = name == NAME or (architecture(name) is not None and name.startswith((".", "/")))
    cached = None if here or name.count("/") != 1 else try_to_load_from_cache(name, "tokenizer.json")
    if here:
        return load_tokenizer(locate(name)), ""
    if isinstance(cached, str):
        return load_tokenizer(name), ""
    note = f"tokens are counted with {NAME}'s tokenizer, since {name}'s is not on this machine: an estimate"
    return load_tokenizer(str(prepare())), note


def _lines(
    recipe: Recipe, name: str, parameters: Parameters, rows: TrainingSet, timing: Schedule, memory: Memory, note: str
) -> list[str]:
    share = 100 * rows.trained / rows.tokens
    work = flops(parameters, rows.computed, timing.epochs)
    here = work / (measured_rate() * UTILISATION)
    gpus = ", ".join(f"{work / (rate * UTILISATION) / 3600:.2f} h on one {gpu}" for gpu, rate in GPUS.items())
    parts = ", ".join(
        f"{label} {value / GIB:.2f}"
        for label, value in (
            ("weights", memory.weights),
            ("trained numbers, gradients, optimiser", memory.trained),
            ("activations", memory.activations),
            ("logits", memory.logits),
        )
    )
    lines = [
        f"plan of {recipe.path} (nothing is trained, no weights are read)",
        f"model                 {name}: {parameters.base:,} parameters",
        f"trainable parameters  {parameters.trained:,} ({100 * parameters.trained / parameters.base:.3f} %)",
        f"rows                  {rows.rows:,} read, {rows.kept:,} used, {len(rows.dropped):,} dropped as too long",
        f"tokens                {rows.tokens:,} in all, {rows.trained:,} trained ({share:.1f} %), {rows.cut:,} cut off",
        f"sequences             {len(rows.trees):,} of {rows.computed:,} tokens computed"
        + (" (shared prompts counted once)" if rows.computed != rows.tokens else ""),
        f"steps                 {timing.steps:,} = {timing.epochs:g} epochs of {len(rows.trees):,} sequences, "
        f"global batch {timing.global_batch} = {timing.per_device} a device x {timing.accumulation} accumulated",
        f"memory, one device    about {memory.total / GIB:.1f} GiB ({parts})",
        f"operations            {work:.3g}; about {_duration(here)} on this machine, {gpus}, "
        f"at {UTILISATION:.0%} of the peak",
    ]
    return [*lines, f"note                  {note}"] if note else lines


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
