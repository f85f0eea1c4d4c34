"""Memory of one device while it trains, by part: an estimate that is checked against measured and published peaks.

The activations follow from what autograd keeps of a Llama layer in transformers (`saved_tensors_hooks` on the CPU shows
the same bytes, tested): float32 copies for the two norms, queries, keys, values and the output of attention, three MLP
vectors, and the input of every matrix that gets a gradient of its own. docs/training_plan.md has the sums and the
published peaks they are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from toolace_train.layouts import SINGLE, Layout
from toolace_train.parameters import ATTENTION_INPUTS, MLP_INPUTS, Parameters

# Bytes for each logit at the peak, in the backward pass of the loss: log-softmax, the gradient that enters it and the
# one that leaves it, float32 each. The trainer keeps no other copy.
OUR_HEAD = 12.0
NF4_DOUBLE = 4.127 / 8  # bytes: 4 bits, an 8-bit scale for each 64 numbers, a float32 for each 256 scales
NF4 = 4.5 / 8  # bytes: 4 bits and a float32 scale for each 64 numbers


@dataclass(frozen=True)
class Numerics:
    """Which numbers are kept in which width, in bytes, and what is computed twice.

    Attributes:
        linear: a number of a layer's matrices; other: one of the tables and norms.
        adapter: a trained number beside the base model (0 in full fine-tuning).
        gradient, moments: for each trained number.
        stream: a number of the hidden state that runs from layer to layer; compute: one inside products.
        head: bytes for each logit at the peak.
        dropout: whether adapters drop inputs out; mask: bytes of dropout's memory for each number.
        checkpointing: layers keep their input only; offloaded: and even that goes to the CPU.
        accumulating: whether gradients of earlier micro-batches are there while the next one is computed.
        dequantised: whether a matrix of a layer is unpacked before each product.
    """

    linear: float = 2.0
    other: float = 2.0
    adapter: float = 4.0
    gradient: float = 4.0
    moments: float = 8.0
    stream: float = 2.0
    compute: float = 2.0
    head: float = OUR_HEAD
    dropout: bool = False
    mask: float = 1.0
    checkpointing: bool = False
    offloaded: bool = False
    accumulating: bool = True
    dequantised: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at its peak, by part; the parts sum to the peak.

    Attributes:
        weights: the base model, and layers gathered from other devices while they are used.
        adapter: LoRA's own numbers; gradients, optimiser: of whatever is trained.
        activations: what the backward pass needs; logits: scores and gradients at the trained positions.
    """

    weights: float
    adapter: float
    gradients: float
    optimiser: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


def layer_bytes(parameters: Parameters, numerics: Numerics) -> float:
    """Bytes that autograd keeps of one layer for each token."""
    p, width = parameters, numerics.compute
    norms = 2 * 4 * p.hidden + (4 * (p.queries + p.keys) if p.head_norms else 0)
    attention = width * (2 * p.queries + 2 * p.keys) + 4 * p.heads
    return norms + attention + 3 * width * p.intermediate + _inputs(p, numerics)


def _inputs(p: Parameters, numerics: Numerics) -> float:
    """Bytes for each token of the inputs kept for the gradients of matrices and adapters."""
    width = numerics.compute
    if p.full:
        # Both norms' outputs twice: for the norm's own weight and for the matrices behind it.
        return width * (2 * p.hidden + p.intermediate) + numerics.stream * 2 * p.hidden
    ranks = width * sum(p.targets.values())
    if numerics.dropout:  # every adapter keeps its own dropped input and the mask
        return ranks + sum((width + numerics.mask) * p.width(name) for name in p.targets)
    down = width * p.intermediate if "down_proj" in p.targets else 0
    kept = [sum(name in p.targets for name in names) for names in (ATTENTION_INPUTS, MLP_INPUTS)]
    # Autocast makes a copy for each matrix when the stream is wider than the products.
    copies = sum(kept) if numerics.stream > width else sum(map(bool, kept))
    return ranks + down + copies * width * p.hidden


def estimate_memory(
    parameters: Parameters,
    numerics: Numerics,
    tokens: int,
    trained: int,
    layout: Layout = SINGLE,
    pairs: int = 0,
) -> Memory:
    """Peak of one device for a micro-batch.

    Two moments compete for the peak: the loss, when the activations of all layers and the logits are there, and the
    backward pass of a layer, when the logits are gone but gradients inside the layer are there. Whichever is larger is
    counted: what a layer needs beyond the logits stands under activations.

    Args:
        tokens: tokens of the micro-batch; trained: how many of them have a label.
        layout: what is shared out over the devices.
        pairs: pairs of a query and a key whose attention weights are written out, as `share_prefix` does; 0 where a
            fused kernel does without.
    """
    p = parameters
    layer = layer_bytes(p, numerics) * tokens + numerics.compute * p.heads * pairs
    copies = _autocast_copies(p, numerics)
    # Measured: three MLP-sized gradients, and with checkpointing a layer's gradients beside all that it kept.
    inside = 3 * numerics.compute * p.intermediate * tokens
    inside += p.biggest * 2 if numerics.dequantised else 0
    if numerics.checkpointing:
        kept = 0.0 if numerics.offloaded else numerics.stream * p.hidden * p.layers * tokens
        inside += layer + 16 * p.hidden * tokens + copies / p.layers
    else:
        kept = layer * p.layers + copies
    gradients, optimiser = _trained(p, numerics, layout)
    logits = numerics.head * p.vocabulary * trained
    late = gradients if not numerics.accumulating else 0  # not there yet at the moment of the loss
    return Memory(
        weights=_weights(p, numerics, layout),
        adapter=0 if p.full else p.trained * numerics.adapter * layout.share(layout.weights),
        gradients=gradients,
        optimiser=optimiser,
        activations=kept + max(0.0, inside - max(0.0, logits - late)),
        logits=max(0.0, logits - late),
    )


def _autocast_copies(p: Parameters, numerics: Numerics) -> float:
    """bf16 copies of float32 weights that autocast makes for products and keeps for the backward pass."""
    if numerics.compute >= 4:
        return 0.0
    frozen = p.linear * numerics.compute if numerics.linear >= 4 else 0.0
    return frozen + (0 if p.full or numerics.adapter < 4 else p.trained * numerics.compute)


def _weights(p: Parameters, numerics: Numerics, layout: Layout) -> float:
    """The base model's share of a device, and what it gathers from the others: two layers, the tables and the head."""
    size = p.linear * numerics.linear + (p.base - p.linear) * numerics.other
    if layout.kind == "fsdp" and p.full:
        size = p.base * 4.0  # accelerate keeps trained weights in float32 under FSDP
    if not layout.weights or layout.devices == 1:
        return size
    layers = 2 * p.linear / p.layers * min(numerics.linear, numerics.compute)
    tables = (p.base - p.linear) * min(numerics.other, numerics.compute)
    return size / layout.devices + layers + tables


def _trained(p: Parameters, numerics: Numerics, layout: Layout) -> tuple[float, float]:
    """Gradients and optimiser state on one device."""
    gradient, moments = numerics.gradient, numerics.moments
    if layout.kind == "fsdp":
        gradient, moments = 4.0, moments if moments < 4 else 8.0
    if layout.kind == "zero":
        # DeepSpeed computes in bf16 and keeps a float32 copy of the trained weights with the moments.
        gradient, moments = 2.0, 4.0 + (moments if moments < 4 else 8.0)
    gradients = p.trained * gradient * layout.share(layout.gradients)
    if p.full and layout.weights and layout.devices > 1:
        # Those of a layer and of the tables are whole for a moment, before they are shared out.
        gradients += (p.linear / p.layers + p.base - p.linear) * 2
    if layout.kind == "ddp":
        gradients *= 2  # DDP's buckets are a second copy
    if layout.kind == "zero":
        gradients += min(p.trained, 5e8) * 2  # DeepSpeed's reduce bucket, 5e8 numbers by default
    return gradients, p.trained * moments * layout.share(layout.optimiser)
