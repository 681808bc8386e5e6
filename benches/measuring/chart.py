"""Plots as SVG, written by hand: readable on a light and on a dark page."""

import dataclasses
import html
import math

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 14px } .quiet { fill: #59636e; font-size: 11px }
.end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #d1d9e0; fill: none } .one { stroke: #59636e; stroke-dasharray: 4 3 } .bar { stroke: #bf8700; stroke-width: 3 }
.mark { fill: #0969da; stroke: none } .whisker { stroke: #0969da; stroke-width: 2; fill: none }
.line2 { stroke: #bf3989 } .mark2 { fill: #bf3989 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #9198a1 } .bar { stroke: #d29922 }
  .mark { fill: #4493f8 } .whisker { stroke: #4493f8 } .line2 { stroke: #db61a2 } .mark2 { fill: #db61a2 }
}
</style>"""


@dataclasses.dataclass(frozen=True)
class Dot:
    label: str
    value: float
    least: float
    most: float
    # Where the bar stands, if there is one.
    bar: float | None = None


@dataclasses.dataclass(frozen=True)
class Curve:
    title: str
    # Pairs of x and y.
    points: list
    x: str
    y: str
    is_log: bool = False


# What a number below an axis needs.
LABEL_ROOM = 22


def document(width, height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    return "\n".join([head, STYLE, *parts, "</svg>"]) + "\n"


def word(x, y, text, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{html.escape(str(text))}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dots(title, groups, foot):
    """`groups` are pairs of a name and its dots; the axis is a multiple, from 0."""
    left, width, row = 190, 760, 20
    top = max([1.5, *(max(dot.most, dot.bar or 0) for _, all_ in groups for dot in all_)]) * 1.05
    place = lambda value: left + (width - left - 20) * min(value, top) / top
    height = 86 + sum(10 + row * len(all_) for _, all_ in groups) + 26
    parts = [word(12, 22, title, "title"), word(12, 38, "right of 1: it needs more CPU than Linkgate; the upright stroke is the bar", "quiet"),
             word(12, 54, foot, "quiet")]
    step = nice(top / 6)
    for n in range(int(top / step) + 1):
        x = place(n * step)
        parts += [line(x, 68, x, height - 26, "grid"), word(x, height - 12, f"{n * step:g}", "quiet middle")]
    parts.append(line(place(1), 68, place(1), height - 26, "one"))
    y = 78
    for name, all_ in groups:
        parts.append(word(12, y + 8, name))
        for dot in all_:
            middle = y + 4
            parts += [word(left - 10, middle + 4, dot.label, "end quiet"),
                      line(place(dot.least), middle, place(dot.most), middle, "whisker"),
                      f'<circle cx="{place(dot.value):.1f}" cy="{middle}" r="4.5" class="mark"/>']
            if dot.bar:
                parts.append(line(place(dot.bar), middle - 8, place(dot.bar), middle + 8, "bar"))
            y += row
        y += 10
    return document(width, height, parts)


def curves(title, all_, foot):
    """Small plots, two in a row, each from 0."""
    width, each_width, each_height = 760, 380, 210
    height = 66 + each_height * math.ceil(len(all_) / 2)
    parts = [word(12, 22, title, "title"), word(12, 38, foot, "quiet")]
    for n, curve in enumerate(all_):
        x, y = (n % 2) * each_width, 56 + (n // 2) * each_height
        parts.append(f'<g transform="translate({x} {y})">{small(curve, each_width, each_height)}</g>')
    return document(width, height, parts)


def small(curve, width, height):
    left, right, top, bottom = 56, width - 24, 30, height - 42
    xs, ys = [x for x, _ in curve.points], [y for _, y in curve.points]
    high = max(ys) * 1.15 or 1
    scale = (lambda x: math.log10(max(x, 1))) if curve.is_log else float
    low, span = scale(min(xs)), (scale(max(xs)) - scale(min(xs))) or 1
    at = lambda x, y: (left + (right - left) * (scale(x) - low) / span, bottom - (bottom - top) * y / high)
    parts = [word(8, 16, f"{curve.title}: {curve.y}"), word((left + right) / 2, height - 10, curve.x, "quiet middle")]
    step = nice(high / 4)
    for n in range(int(high / step) + 1):
        y = at(min(xs), n * step)[1]
        parts += [line(left, y, right, y, "grid"), word(left - 6, y + 4, f"{n * step:g}", "quiet end")]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in curve.points))
    parts.append(f'<polyline points="{path}" class="whisker"/>')
    labelled = -math.inf
    for point in curve.points:
        x, y = at(*point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="mark"/>')
        if x - labelled >= LABEL_ROOM:
            labelled = x
            parts.append(word(x, bottom + 16, short(point[0]), "quiet middle"))
    return "".join(parts)


def short(number):
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def nice(step):
    """The next of 1, 2, 5, 10, …"""
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
