"""The paper's Figure 2 of our own data: loss by number of candidates, by calls used, by dissimilarity; SVG and table.

The paper does not define the dissimilarity of a query and an API description; here it is one minus the cosine of their
sentence embeddings, the mean over the APIs that the dialog calls.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from toolace import Dialog

# our choice: classes of dissimilarity of equal size, so that each mean rests on as many dialogs.
_CLASSES = 5
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 340, 240, 52, 40

Points = list[dict[str, Any]]


def relations(dialogs: Sequence[Dialog], losses: Sequence[float]) -> dict[str, Points]:
    """Relation -> points `{"x", "loss", "n"}` in order of x, over the dialogs that call something."""
    calling = [(d, loss) for d, loss in zip(dialogs, losses, strict=True) if calls_used(d)]
    return {
        "candidates": _means([(len(d.tools), loss) for d, loss in calling]),
        "calls": _means([(calls_used(d), loss) for d, loss in calling]),
        "dissimilarity": _classes(dissimilarities([d for d, _ in calling]), [loss for _, loss in calling]),
    }


def calls_used(dialog: Dialog) -> int:
    """Number of calls in a dialog."""
    return sum(len(message.calls) for message in dialog.messages)


def dissimilarities(dialogs: Sequence[Dialog]) -> list[float]:
    """One minus the cosine of what the user says and the descriptions of the APIs that are called, 0 to 2."""
    from data_gen.embedding import embed

    queries = [" ".join(m.content for m in dialog.messages if m.role == "user") for dialog in dialogs]
    texts: list[str] = list(queries)
    places: list[list[int]] = []
    for dialog in dialogs:
        called = {call.name for message in dialog.messages for call in message.calls}
        described = [f"{tool.name}: {tool.description}" for tool in dialog.tools if tool.name in called]
        places.append(list(range(len(texts), len(texts) + len(described))))
        texts += described
    if not texts:
        return []
    vectors = embed(texts)
    return [
        1 - statistics.fmean(float(vectors[i] @ vectors[j]) for j in at) if at else 1.0 for i, at in enumerate(places)
    ]


def _means(pairs: Sequence[tuple[float, float]]) -> Points:
    by_x: dict[float, list[float]] = defaultdict(list)
    for x, loss in pairs:
        by_x[x].append(loss)
    return [{"x": x, "loss": round(statistics.fmean(by_x[x]), 4), "n": len(by_x[x])} for x in sorted(by_x)]


def _classes(xs: Sequence[float], losses: Sequence[float]) -> Points:
    ordered = sorted(zip(xs, losses, strict=True))
    size = max(-(-len(ordered) // _CLASSES), 1)
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    means = [[statistics.fmean(column) for column in zip(*part, strict=True)] for part in parts]
    return [{"x": round(x, 4), "loss": round(y, 4), "n": len(part)} for part, (x, y) in zip(parts, means, strict=True)]


def table(found: Mapping[str, Points]) -> str:
    """The relations as Markdown."""
    lines = ["| relation | x | mean loss | dialogs |", "| --- | ---: | ---: | ---: |"]
    for name, points in found.items():
        lines += [f"| {name} | {point['x']:g} | {point['loss']:.3f} | {point['n']} |" for point in points]
    return "\n".join(lines) + "\n"


_TITLES = {
    "candidates": "candidate APIs",
    "calls": "calls used",
    "dissimilarity": "dissimilarity of query and description",
}


def svg(found: Mapping[str, Points]) -> str:
    """The relations side by side, as one SVG: mean loss over x, a dot a point."""
    panels = [_panel(name, points, i * _WIDTH) for i, (name, points) in enumerate(found.items())]
    width = _WIDTH * len(panels)
    style = "text{font:11px sans-serif;fill:#333}path{fill:none;stroke:#2a6fb0;stroke-width:2}circle{fill:#2a6fb0}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" '
        f'role="img"><title>Loss by candidates, calls and dissimilarity</title><style>{style}</style>'
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(name: str, points: Points, left: int) -> str:
    if not points:
        return ""
    xs, ys = [float(p["x"]) for p in points], [float(p["loss"]) for p in points]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    wide, high = _WIDTH - _LEFT - 20, _HEIGHT - _BOTTOM - 24

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x0) / (x1 - x0) if x1 > x0 else 0.5
        up = (y - y0) / (y1 - y0) if y1 > y0 else 0.5
        return round(left + _LEFT + across * wide, 1), round(_HEIGHT - _BOTTOM - up * high, 1)

    dots = [place(x, y) for x, y in zip(xs, ys, strict=True)]
    line = "M" + " L".join(f"{x} {y}" for x, y in dots)
    base = _HEIGHT - _BOTTOM
    frame = f"M{left + _LEFT - 6} {base - high - 6} V{base + 6} H{left + _LEFT + wide + 6}"
    axes = f'<path style="stroke:#999;stroke-width:1" d="{frame}"/>'
    marks = "".join(f'<circle cx="{x}" cy="{y}" r="3.5"/>' for x, y in dots)
    numbers = (
        f'<text x="{left + _LEFT - 10}" y="{base}" text-anchor="end">{y0:.2f}</text>'
        f'<text x="{left + _LEFT - 10}" y="{base - high + 4}" text-anchor="end">{y1:.2f}</text>'
        f'<text x="{dots[0][0]}" y="{base + 20}" text-anchor="middle">{x0:g}</text>'
        f'<text x="{dots[-1][0]}" y="{base + 20}" text-anchor="middle">{x1:g}</text>'
        f'<text x="{left + _LEFT + wide / 2}" y="{base + 34}" text-anchor="middle">{_TITLES.get(name, name)}</text>'
        f'<text x="{left + _LEFT - 6}" y="14">mean loss</text>'
    )
    return axes + f'<path d="{line}"/>' + marks + numbers
