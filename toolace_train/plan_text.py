"""A plan on one screen: what was counted, what is estimated (marked ~), and what to change when it does not fit."""

from __future__ import annotations

from dataclasses import asdict

from toolace_train.hardware import GIB, gpus, measured_rate
from toolace_train.plan import MemoryRow, Plan

COLUMNS = ("weights", "adapter", "gradients", "optimiser", "activations", "logits")


def plan_text(plan: Plan) -> str:
    """The plan as aligned lines."""
    p = plan.parameters
    lines = [
        f"plan of {plan.recipe.path} (nothing is trained, no weights are read; ~ marks an estimate)",
        _line("model", f"{plan.name}: {p.base:,} parameters"),
        _line("trainable parameters", f"{p.trained:,} ({100 * p.trained / p.base:.3f} %)"),
        *_data(plan),
        *_time(plan),
        *_memory(plan),
        *[_line("note", note) for note in plan.notes],
    ]
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return f"{label:<21} {text}"


def _data(plan: Plan) -> list[str]:
    rows, timing = plan.rows, plan.timing
    if rows is None or timing is None:
        what = f"{plan.missing} is not on this machine: tokens, steps and time are unknown"
        return [_line("rows", what)]
    shared = " (shared prompts counted once)" if rows.computed != rows.tokens else ""
    others = rows.rows - rows.kept - len(rows.dropped)
    left_out = f", {others:,} left out for other reasons" if others else ""
    share = 100 * rows.trained / rows.tokens
    return [
        _line("rows", f"{rows.rows:,} read, {rows.kept:,} used, {len(rows.dropped):,} dropped as too long{left_out}"),
        _line("tokens", f"{rows.tokens:,} in all, {rows.trained:,} trained ({share:.1f} %), {rows.cut:,} cut off"),
        _line("sequences", f"{len(rows.trees):,} of {rows.computed:,} tokens computed{shared}"),
        _line(
            "steps",
            f"{timing.steps:,} = {plan.passes:g} epochs of {len(rows.trees):,} sequences, global batch "
            f"{timing.global_batch} = {timing.per_device} a device x {_devices(plan)} x "
            f"{timing.accumulation} accumulated",
        ),
    ]


def _devices(plan: Plan) -> str:
    return f"{plan.layout.devices} device{'s' if plan.layout.devices > 1 else ''}"


def _time(plan: Plan) -> list[str]:
    if plan.work is None or plan.passes is None:
        return []
    parts = ", ".join(f"{name} {value * plan.passes:.2g}" for name, value in asdict(plan.work).items() if value)
    devices, card = plan.layout.devices, plan.card
    own = plan.hours(card.rate, devices)
    here = (plan.hours(measured_rate()) or 0) * 3600
    return [
        _line("operations", f"~{plan.work.total * plan.passes:.3g} ({parts})"),
        _line(
            "time",
            f"~{own:.2f} h on {devices} x {card.name} at {plan.assumptions.utilisation:.0%} of its "
            f"{card.peak_tflops:g} TFLOP/s; ~{_duration(here)} on this machine, now",
        ),
    ]


def _memory(plan: Plan) -> list[str]:
    micro = plan.micro
    counted = "the largest micro-batch" if micro.counted else "a micro-batch as long as data.max_length (assumed)"
    heads = "".join(f"{name:>12}" for name in (*COLUMNS, "total"))
    lines = [
        _line("memory, one device", f"~GiB for {counted}: {micro.tokens:,} tokens, {micro.trained:,} trained"),
        f"  {'config':<11}{'devices':>7}{'checkpt':>8}{heads}  {plan.assumptions.gpu}",
        *[_row(row) for row in plan.table],
    ]
    fitting = [key for key, one in gpus().items() if one.holds(plan.own.memory.total)]
    size = f"~{plan.own.memory.total / GIB:.1f} GiB of tensors and 0.5 GiB for CUDA"
    lines.append(_line(f"fits {plan.assumptions.gpu}", f"{'yes' if plan.own.fits else 'no'}: {size} (the line with >)"))
    lines.append(_line("fits on", ", ".join(fitting) or "none of the cards this tool knows"))
    return [*lines, *[_line("would fit with", advice) for advice in plan.advice]]


def _row(row: MemoryRow) -> str:
    values = asdict(row.memory)
    cells = "".join(f"{values[name] / GIB:>12.2f}" for name in COLUMNS)
    mark, on = (">" if row.own else " "), ("on" if row.checkpointing else "off")
    start = f"{mark} {row.layout.name:<11}{row.layout.devices:>7}{on:>8}"
    return f"{start}{cells}{row.memory.total / GIB:>12.2f}  {'fits' if row.fits else 'too large'}"


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"
