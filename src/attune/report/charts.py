"""Small charts as SVG text: dots with intervals, lines, paired bars. No library, no script, nothing fetched.

Base and tuned differ by shape as well as by colour. The same chart stands in the page (its colours come from there) and, with
`standalone`, in a file of its own.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Series = Literal["base", "tuned"]
_WIDTH, _ROW, _LEFT, _RIGHT, _HEAD, _FOOT = 440, 22, 138, 20, 14, 40
_LONGEST_LABEL = 18
_HEIGHT, _OVER = 280, 30
_FAR = 20
"""Costs that are so many times others stand on an axis of powers."""
COLOURS = """
svg{--ink:#1b1b1f;--faint:#d7d7de;--base:#a34100;--tuned:#1d4ed8;--paper:#ffffff;background:var(--paper)}
@media (prefers-color-scheme:dark){svg{--ink:#ececf1;--faint:#3b3d47;--base:#ffb266;--tuned:#93b4ff;--paper:#16181d}}
"""
RULES = """
svg text{fill:var(--ink);font:13px system-ui,sans-serif}
svg .grid{stroke:var(--faint);stroke-width:1}
svg .base{stroke:var(--base);fill:var(--paper);stroke-width:2}
svg .tuned{stroke:var(--tuned);fill:var(--tuned);stroke-width:2}
svg .line{fill:none}
svg .line.base{stroke-dasharray:6 4}
svg .bar.base{fill:var(--paper)}
svg .ideal{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 4;fill:none}
"""


@dataclass(frozen=True)
class Dot:
    """A rate with its interval; bounds of None are not drawn."""

    series: Series
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A label and what stands beside it."""

    label: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Line:
    """Points joined in the order given."""

    series: Series
    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Point:
    """A rate at a cost; bounds of None are not drawn."""

    label: str
    cost: float
    rate: float
    low: float | None
    high: float | None
    on_front: bool


def intervals(rows: Sequence[Row], name: str, about: str) -> str:
    """Rates as dots with whiskers, one row a label; `about` says for those who cannot see it what it shows."""
    top = max((edge for row in rows for dot in row.dots for edge in (dot.value, dot.high or 0.0)), default=0.0)
    axis = _Axis(0.0, top or 1.0, _LEFT, _WIDTH - _RIGHT)
    step = 2 * _ROW
    height = _HEAD + _FOOT + step * len(rows)
    parts = [*_upright_grid(axis, height, percent=True)]
    for place, row in enumerate(rows):
        middle = _HEAD + step * place + step / 2
        parts.append(_label(row.label, middle))
        for number, dot in enumerate(row.dots):
            parts += _dot(dot, axis, middle + (number - (len(row.dots) - 1) / 2) * 15)
    return _svg(parts, height, name, about)


def bars(rows: Sequence[Row], name: str, about: str) -> str:
    """Counts as horizontal bars, one or two a label."""
    axis = _Axis(0.0, max((dot.value for row in rows for dot in row.dots), default=0.0) or 1.0, _LEFT, _WIDTH - _RIGHT - 16)
    step = 2 * _ROW - 8
    height = _HEAD + step * len(rows) + 8
    parts = []
    for place, row in enumerate(rows):
        top = _HEAD + step * place
        parts.append(_label(row.label, top + step / 2 - 2))
        for number, dot in enumerate(row.dots):
            y, right = top + number * 14 + 2, axis.at(dot.value)
            parts.append(f'<rect class="bar {dot.series}" x="{_LEFT}" y="{y}" width="{right - _LEFT:.1f}" height="10"/>')
            parts.append(f'<text x="{right + 6:.1f}" y="{y + 10}">{dot.value:g}</text>')
    return _svg(parts, height, name, about)


def lines(
    drawn: Sequence[Line], name: str, about: str, *, x_label: str, y_label: str, percent: bool = True, ideal: bool = False
) -> str:
    """Lines with a mark at each point; `ideal` adds the diagonal from 0 to 1, and both axes are shares then."""
    points = [point for line in drawn for point in line.points]
    leftmost = min((0.0, *(x for x, _ in points)))
    across = _Axis(leftmost, 1.0 if ideal else max((x for x, _ in points), default=1.0) or 1.0, 58, _WIDTH - _RIGHT)
    up = _Axis(0.0, 1.0 if ideal else max((y for _, y in points), default=1.0) or 1.0, _HEIGHT - 46, _OVER)
    parts = [*_upright_grid(across, _HEIGHT - 10, percent=ideal, top=_OVER), *_level_grid(up, percent=percent)]
    if ideal:
        parts.append(f'<path class="ideal" d="M{across.at(0):.1f} {up.at(0):.1f}L{across.at(1):.1f} {up.at(1):.1f}"/>')
    for line in drawn:
        path = "L".join(f"{across.at(x):.1f} {up.at(y):.1f}" for x, y in line.points)
        parts.append(f'<path class="line {line.series}" d="M{path}"/>' if path else "")
        marked = line.points if len(line.points) <= 30 else ()
        parts += [_mark(line.series, across.at(x), up.at(y)) for x, y in marked]
    parts.append(_axis_names(x_label, y_label))
    return _svg(parts, _HEIGHT, name, about)


def scatter(points: Sequence[Point], name: str, about: str, *, x_label: str, y_label: str) -> str:
    """Rates over costs, each with its interval; those on the front are joined, and labels of what lies together too."""
    costs = sorted(point.cost for point in points)
    kind = _PowerAxis if costs[0] > 0 and costs[-1] > _FAR * costs[0] else _Axis
    across = kind(costs[0] / 2 if kind is _PowerAxis else 0.0, costs[-1] * 1.1 or 1.0, 58, _WIDTH - _RIGHT)
    up = _Axis(0.0, max(point.high or point.rate for point in points) or 1.0, _HEIGHT - 46, _OVER)
    parts = [*_upright_grid(across, _HEIGHT - 10, percent=False, top=_OVER), *_level_grid(up, percent=True)]
    places = [(point, across.at(point.cost), up.at(point.rate)) for point in sorted(points, key=lambda p: (p.cost, p.rate))]
    front = "L".join(f"{x:.1f} {y:.1f}" for point, x, y in places if point.on_front)
    parts.append(f'<path class="line tuned" d="M{front}"/>' if front else "")
    labels: list[tuple[float, float, str]] = []
    for point, x, y in places:
        if point.low is not None and point.high is not None:
            parts.append(f'<path class="ideal" d="M{x:.1f} {up.at(point.low):.1f}V{up.at(point.high):.1f}"/>')
        parts.append(_mark("tuned" if point.on_front else "base", x, y))
        near = next((n for n, (one, other, _) in enumerate(labels) if abs(one - x) < 24 and abs(other - y) < 14), None)
        if near is None:
            labels.append((x, y, point.label))
        else:
            labels[near] = (x, y, f"{labels[near][2]}, {point.label}")
    parts += [f'<text x="{x + 9:.1f}" y="{y - 7:.1f}">{escape(text)}</text>' for x, y, text in labels]
    parts.append(_axis_names(x_label, y_label))
    return _svg(parts, _HEIGHT, name, about)


def standalone(svg: str) -> str:
    """The chart as a file of its own, with its colours in it."""
    start, _, rest = svg.partition(">")
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{COLOURS}{RULES}</style>{rest}\n'


@dataclass(frozen=True)
class _Axis:
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers, four to nine of them.

        >>> _Axis(0.0, 0.4, 0, 100).ticks()
        [0.0, 0.1, 0.2, 0.3, 0.4]
        """
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough * 0.999)
        return [round(step * n, 10) for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class _PowerAxis(_Axis):
    """The same for values above zero, in steps by which they grow so many times."""

    def at(self, value: float) -> float:
        """Where it lies."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten, twice and five times these.

        >>> _PowerAxis(4.0, 240.0, 0, 100).ticks()
        [5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
        """
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [tick for power in powers for n in (1, 2, 5) if self.low <= (tick := round(n * 10.0**power, 10)) <= self.high]


def _axis_names(x_label: str, y_label: str) -> str:
    across = f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(x_label)}</text>'
    return f'{across}<text x="6" y="{_OVER - 14}">{escape(y_label)}</text>'


def _upright_grid(axis: _Axis, height: float, *, percent: bool, top: float = _HEAD) -> Iterable[str]:
    bottom = height - _FOOT + 4
    for tick in axis.ticks():
        x = axis.at(tick)
        yield f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_said(tick, percent)}</text>'


def _level_grid(axis: _Axis, *, percent: bool) -> Iterable[str]:
    for tick in axis.ticks():
        y = axis.at(tick)
        yield f'<path class="grid" d="M58 {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="52" y="{y + 4:.1f}" text-anchor="end">{_said(tick, percent)}</text>'


def _said(tick: float, percent: bool) -> str:
    return f"{tick * 100:.4g}%" if percent else f"{tick:.4g}"


def _dot(dot: Dot, axis: _Axis, y: float) -> Iterable[str]:
    if dot.low is not None and dot.high is not None:
        low, high = axis.at(dot.low), axis.at(dot.high)
        yield f'<path class="line {dot.series}" style="stroke-dasharray:none" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"/>'  # noqa: E501
    yield _mark(dot.series, axis.at(dot.value), y)


def _mark(series: Series, x: float, y: float) -> str:
    if series == "base":
        return f'<circle class="base" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return f'<path class="tuned" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"/>'


def _label(text: str, y: float) -> str:
    short = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
    return f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(short)}</text>'


def _svg(parts: Iterable[str], height: float, name: str, about: str) -> str:
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    title, described = f"{slug}-title", f"{slug}-about"
    head = f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-labelledby="{title} {described}">'
    return f'{head}<title id="{title}">{escape(name)}</title><desc id="{described}">{escape(about)}</desc>{"".join(parts)}</svg>'
