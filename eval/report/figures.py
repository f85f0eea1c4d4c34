"""Small inline SVG figures. Colours and fonts come from the page's style sheet, by class, so they follow its dark mode.

Only numbers and escaped text go into them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from eval.report.comparison import Score
from eval.report.wording import points

WIDTH, ROW, PAD = 200, 30, 6  # of an interval plot, in pixels


def interval_axis() -> str:
    """The scale above the interval plots: 0, 50 and 100 %."""
    ticks = "".join(
        f'<text x="{_x(value):.1f}" y="13" text-anchor="{anchor}">{value}</text>'
        for value, anchor in ((0, "start"), (50, "middle"), (100, "end"))
    )
    return f'<svg class="plot" viewBox="0 0 {WIDTH} 18" width="{WIDTH}" height="18" aria-hidden="true">{ticks}</svg>'


def interval_plot(scores: Sequence[tuple[str, Score]]) -> str:
    """Dots with their 95 % intervals on a scale from 0 to 100; the last model is the accented one."""
    rules = "".join(f'<line class="rule" x1="{_x(v)}" x2="{_x(v)}" y1="0" y2="{ROW}"/>' for v in (0, 25, 50, 75, 100))
    marks, heights = "", {1: [15.0], 2: [9.5, 20.5]}.get(len(scores), [15.0])
    for (_, score), y, last in zip(scores, heights, _lasts(len(scores)), strict=False):
        kind = "tuned" if last else "base"
        marks += f'<line class="bar {kind}" x1="{_x(score.low):.1f}" x2="{_x(score.high):.1f}" y1="{y}" y2="{y}"/>'
        marks += f'<circle class="dot {kind}" cx="{_x(score.accuracy):.1f}" cy="{y}" r="4"/>'
    marks += f'<text class="ends" x="{_x(0)}" y="{ROW + 10}" text-anchor="middle">0</text>'
    marks += f'<text class="ends" x="{_x(100)}" y="{ROW + 10}" text-anchor="middle">100</text>'
    words = "; ".join(f"{name} {points(s.accuracy)} ({points(s.low)} to {points(s.high)})" for name, s in scores)
    label = escape(words, quote=True)
    size = f'viewBox="0 0 {WIDTH} {ROW}" width="{WIDTH}" height="{ROW}"'
    return f'<svg class="plot" {size} role="img" aria-label="{label}">{rules}{marks}</svg>'


def _x(value: float) -> float:
    return PAD + (WIDTH - 2 * PAD) * value / 100


def _lasts(count: int) -> list[bool]:
    return [False] * (count - 1) + [True]


def line_chart(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_label: str, y_label: str, width: int = 640
) -> str:
    """Curves over one x axis: (CSS class, points) each, with labelled axes, light rules and the last value written."""
    height, left, right, top, bottom = 300, 66, 56, 14, 46
    xs = [x for _, points_ in lines for x, _ in points_]
    ys = [y for _, points_ in lines for _, y in points_]
    y_ticks, x_ticks = ticks(min(0.0, *ys), max(ys)), ticks(0.0, max(xs), whole=True)
    x_low, x_high = (0.0 if 0 <= min(xs) < 0.2 * max(xs) else min(xs)), max(max(xs), min(xs) + 1)
    y_low, y_high = y_ticks[0], y_ticks[-1]
    decimals = max(0, -math.floor(math.log10(y_ticks[1] - y_ticks[0]) + 1e-9))

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (width - left - right) * (x - x_low) / (x_high - x_low)
        return across, top + (height - top - bottom) * (1 - (y - y_low) / (y_high - y_low))

    parts = []
    for value in y_ticks:
        y = place(x_low, value)[1]
        parts.append(f'<line class="rule" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 9}" y="{y + 4:.1f}" text-anchor="end">{value:.{decimals}f}</text>')
    for value in (tick for tick in x_ticks if x_low <= tick <= x_high):
        x = place(value, y_low)[0]
        parts.append(f'<text x="{x:.1f}" y="{height - bottom + 19}" text-anchor="middle">{value:,.0f}</text>')
    for name, curve in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        parts.append(f'<polyline class="curve {escape(name)}" points="{path}"/>')
    name, curve = lines[-1]
    x, y = place(*curve[-1])
    parts.append(f'<circle class="dot {escape(name)}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
    parts.append(f'<text class="value" x="{x + 9:.1f}" y="{y + 4:.1f}">{curve[-1][1]:.2f}</text>')
    middle = left + (width - left - right) / 2
    parts.append(f'<text class="label" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'transform="translate(15 {top + (height - top - bottom) / 2}) rotate(-90)"'
    parts.append(f'<text class="label" {turned} text-anchor="middle">{escape(y_label)}</text>')
    label = escape(f"{y_label} by {x_label.lower()}", quote=True)
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) that enclose a range."""
    span = high - low or 1.0
    raw = span / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def smooth(curve: Sequence[tuple[float, float]], share: float = 0.1) -> list[tuple[float, float]]:
    """Mean over a window of about a tenth of the points, centred so that it does not lag, narrower towards the ends."""
    half = int(share * len(curve) / 2)
    result = []
    for index, (x, _) in enumerate(curve):
        reach = min(half, index, len(curve) - 1 - index)
        window = [y for _, y in curve[index - reach : index + reach + 1]]
        result.append((x, sum(window) / len(window)))
    return result
