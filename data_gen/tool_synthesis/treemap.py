"""A treemap as SVG: what share of the pool each domain has, in one picture (squarified layout, Bruls et al. 2000)."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

Box = tuple[float, float, float, float]
WIDTH, HEIGHT = 1600.0, 1000.0
_TITLE = 18.0
# A text is shown where it has room: characters of 11 px are about 6 px wide.
_CHARACTER, _LINE = 6.0, 13.0


def treemap(tree: dict[str, Any]) -> str:
    """The first two levels of a tree of `tree_of` as an SVG document; boxes tell their numbers as tooltips."""
    total = tree["tools"] or 1
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
        f'aria-label="{tree["tools"]} tools by domain" font-family="system-ui, sans-serif" font-size="11">'
    ]
    children = sorted((c for c in tree["children"] if c["tools"]), key=lambda child: (-child["tools"], child["name"]))
    boxes = squarified([child["tools"] for child in children], (0, 0, WIDTH, HEIGHT))
    for number, (child, box) in enumerate(zip(children, boxes, strict=True)):
        shapes += _primary(child, box, number / max(1, len(children)), total)
    return "\n".join([*shapes, "</svg>\n"])


def _primary(node: dict[str, Any], box: Box, hue: float, total: int) -> Iterator[str]:
    x, y, width, height = box
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{_colour(hue, 0.32)}"/>'
    yield _text(f"{node['name']} {100 * node['tools'] / total:.1f} %", x + 4, y + 13, width, "#fff", bold=True)
    inner = (x + 1, y + _TITLE, width - 2, height - _TITLE - 1)
    children = sorted(
        (c for c in node.get("children", ()) if c["tools"]), key=lambda child: (-child["tools"], child["name"])
    )
    if inner[2] <= 0 or inner[3] <= 0:
        return
    for child, (cx, cy, cw, ch) in zip(children, squarified([c["tools"] for c in children], inner), strict=True):
        label = escape(f"{child['name']}: {child['tools']} tools")
        yield (
            f'<rect x="{cx:.1f}" y="{cy:.1f}" width="{max(cw - 1, 0.5):.1f}" height="{max(ch - 1, 0.5):.1f}" '
            f'fill="{_colour(hue, 0.86)}"><title>{label}</title></rect>'
        )
        if ch >= _LINE + 2:
            yield _text(child["name"], cx + 3, cy + 12, cw, "#222")


def _text(text: str, x: float, y: float, width: float, colour: str, bold: bool = False) -> str:
    room = int((width - 6) / _CHARACTER)
    if room < 4:
        return ""
    shown = text if len(text) <= room else text[: room - 1].rstrip() + "…"
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{weight}>{escape(shown)}</text>'


def _colour(hue: float, lightness: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.45)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """Boxes (x, y, width, height) whose areas are in proportion to the sizes, as close to squares as can be.

    Args:
        sizes: positive, the largest first.
        box: the area they fill.
    """
    found: list[Box] = []
    x, y, width, height = box
    rest = [size * width * height / sum(sizes) for size in sizes]
    while rest:
        side = min(width, height)
        row = [rest[0]]
        for area in rest[1:]:
            if _worst([*row, area], side) > _worst(row, side):
                break
            row.append(area)
        rest = rest[len(row) :]
        thick = sum(row) / side
        offset = 0.0
        for area in row:
            length = area / thick
            found.append((x, y + offset, thick, length) if width >= height else (x + offset, y, length, thick))
            offset += length
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """The largest ratio of sides in a row of boxes along a side."""
    total = sum(row)
    return max(side * side * max(row) / total**2, total**2 / (side * side * min(row)))
