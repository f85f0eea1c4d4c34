"""The token histogram of an audit as one SVG file: how long rows are, and how much of them is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 820, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 64, 62
BINS = 40
PROMPT, TRAINED, LIMIT, INK, GRID = "#9db7d5", "#1f5a96", "#b3261e", "#222222", "#dddddd"


def percentile(sorted_values: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed; 0 for no values."""
    if not sorted_values:
        return 0
    return sorted_values[min(len(sorted_values) - 1, max(0, math.ceil(share * len(sorted_values)) - 1))]


def token_histogram(lengths: Sequence[int], trained: Sequence[int], limit: int, title: str) -> str:
    """An SVG document: rows by their number of tokens, the trained share of each bar dark, the limit as a line.

    Args:
        lengths: tokens of each row.
        trained: trained tokens of each row.
        limit: data.max_length.
        title: what was measured.
    """
    step = _round_up(max([*lengths, 1]) / BINS)
    bars = [[0, 0, 0] for _ in range(max([*lengths, 1]) // step + 1)]  # rows, tokens, trained tokens
    for length, own in zip(lengths, trained, strict=True):
        bar = bars[length // step]
        bar[0], bar[1], bar[2] = bar[0] + 1, bar[1] + length, bar[2] + own
    most = 4 * _round_up(max(bar[0] for bar in bars) / 4)
    end = len(bars) * step
    ordered = sorted(lengths)
    share = 100 * sum(trained) / max(1, sum(lengths))
    facts = ", ".join(
        f"{name} {percentile(ordered, part):,}" for name, part in (("median", 0.5), ("95 %", 0.95), ("99 %", 0.99))
    )
    subtitle = f"{len(lengths):,} rows, {sum(lengths):,} tokens, {share:.1f} % trained; {facts}"
    subtitle += f", longest {percentile(ordered, 1.0):,}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="sans-serif" font-size="13" fill="{INK}">',
        f"<title>{escape(title)}: {escape(subtitle)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="{LEFT}" y="46">{escape(subtitle)}</text>',
        *_axes(most, end),
        *(_bar(number, bar, step, most, end) for number, bar in enumerate(bars) if bar[0]),
        *_limit(limit, end),
        *_key(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(tokens: float, end: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * tokens / end


def _y(rows: float, most: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rows / most


def _bar(number: int, bar: Sequence[int], step: int, most: int, end: int) -> str:
    rows, tokens, trained = bar
    left, width = _x(number * step, end), _x(step, end) - LEFT - 1
    top, dark = _y(rows, most), _y(rows * trained / max(1, tokens), most)
    floor = _y(0, most)
    tip = f"{number * step:,} to {(number + 1) * step - 1:,} tokens: {rows:,} rows, {trained:,} of {tokens:,} trained"
    return (
        f'<g><title>{tip}</title><rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{floor - top:.1f}" '
        f'fill="{PROMPT}"/><rect x="{left:.1f}" y="{dark:.1f}" width="{width:.1f}" height="{floor - dark:.1f}" '
        f'fill="{TRAINED}"/></g>'
    )


def _axes(most: int, end: int) -> list[str]:
    floor = _y(0, most)
    lines = []
    for part in range(5):
        rows = most * part / 4
        if rows == int(rows):
            y = _y(rows, most)
            lines.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{GRID}"/>')
            lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{int(rows):,}</text>')
    tick = _round_up(end / 8)
    for tokens in range(0, end + 1, tick):
        x = _x(tokens, end)
        lines.append(f'<line x1="{x:.1f}" y1="{floor}" x2="{x:.1f}" y2="{floor + 5}" stroke="{INK}"/>')
        lines.append(f'<text x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{tokens:,}</text>')
    lines.append(f'<line x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}" stroke="{INK}"/>')
    lines.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">tokens in a row</text>'
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    lines.append(f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">rows</text>')
    return lines


def _limit(limit: int, end: int) -> list[str]:
    if limit > end:
        return []
    x = _x(limit, end)
    side, anchor = (6, "start") if x < WIDTH - 220 else (-6, "end")
    return [
        f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{LIMIT}" stroke-dasharray="5 4"/>',
        f'<text x="{x + side:.1f}" y="{TOP + 44}" text-anchor="{anchor}" fill="{LIMIT}">max_length {limit:,}</text>',
    ]


def _key() -> list[str]:
    x = WIDTH - RIGHT - 250
    return [
        f'<rect x="{x}" y="{TOP + 6}" width="12" height="12" fill="{TRAINED}"/>',
        f'<text x="{x + 18}" y="{TOP + 17}">trained</text>',
        f'<rect x="{x + 90}" y="{TOP + 6}" width="12" height="12" fill="{PROMPT}"/>',
        f'<text x="{x + 108}" y="{TOP + 17}">prompt and results</text>',
    ]


def _round_up(value: float) -> int:
    """The next number of one digit and zeros that is not smaller and divides well."""
    size = 1
    while True:
        for factor in (1, 2, 3, 4, 5, 6, 8):
            if factor * size >= value:
                return factor * size
        size *= 10
