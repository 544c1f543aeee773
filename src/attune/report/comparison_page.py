"""A comparison as one self-contained HTML page: the table, WER against cost as a drawing, and what both mean."""

from collections.abc import Sequence
from html import escape

from attune.report.comparing import Compared, Comparison
from attune.report.comparison_tables import COST_TITLES, cells, heads, notes, percent

_WIDTH, _HEIGHT, _MARGIN = 640, 320, 56
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem }
.wide { overflow-x: auto } table { border-collapse: collapse } caption { text-align: left; padding-bottom: .5rem }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #ccc; white-space: nowrap }
td { font-variant-numeric: tabular-nums } .better { color: #0b6623 } .worse { color: #a4161a }
svg { max-width: 100%; height: auto }
"""


def page(comparison: Comparison) -> str:
    """The whole document; it asks for nothing outside of itself."""
    title = f"Experiments against {comparison.rows[0].name}"
    told = "".join(f"<li>{escape(note)}</li>" for note in notes(comparison))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main><h1>{escape(title)}</h1>\n"
        f"{_table(comparison)}\n{_drawing(comparison)}\n<h2>How to read this</h2><ul>{told}</ul></main></body></html>\n"
    )


def _table(comparison: Comparison) -> str:
    head = "".join(f'<th scope="col">{escape(name) or "front"}</th>' for name in heads(comparison))
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="Table of experiments"><table><caption>Word error rate of the '
        f"tuned models, and what they cost</caption><thead><tr>{head}</tr></thead><tbody>\n"
        + "\n".join(_row(row) for row in comparison.rows)
        + "</tbody></table></div>"
    )


def _row(row: Compared) -> str:
    mark, name, *rest = cells(row)
    figures = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
    return f'<tr class="{row.judgement.replace(" ", "-")}"><td>{mark}</td><th scope="row">{escape(name)}</th>{figures}</tr>'


def _drawing(comparison: Comparison) -> str:
    """Dots of WER over cost with the front as a line; nothing where fewer than two have both."""
    points = [(_price(row, comparison), row.wer, row) for row in comparison.rows]
    drawn = [(x, y, row) for x, y, row in points if x is not None and y is not None]
    if len(drawn) < 2:
        return ""
    across, up = (
        _scale([x for x, _, _ in drawn], _MARGIN, _WIDTH - _MARGIN),
        _scale([y for _, y, _ in drawn], _HEIGHT - _MARGIN, 30),
    )
    placed = sorted(((across(x), up(y), row) for x, y, row in drawn), key=lambda place: place[:2])
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y, row in placed if row.on_front)
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{"#1f5fa8" if row.on_front else "#8a8a8a"}"/>'
        f'<text x="{x + 8:.0f}" y="{y - 8:.0f}">{escape(row.name)} {percent(row.wer)}</text>'
        for x, y, row in placed
    )
    cost = COST_TITLES[comparison.cost]
    return (
        f'<h2>WER against cost</h2>\n<svg viewBox="0 0 {_WIDTH + 120} {_HEIGHT}" role="img" aria-label="WER against {cost}; the '
        f'table has the figures" font-size="12" font-family="system-ui, sans-serif">'
        f'<path d="M{_MARGIN} 20V{_HEIGHT - 36}H{_WIDTH}" fill="none" stroke="#666"/>'
        f'<text x="8" y="16">WER</text><text x="{_WIDTH - 60}" y="{_HEIGHT - 12}">{escape(cost)}</text>'
        f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-dasharray="4 3"/>{dots}</svg>'
    )


def _price(row: Compared, comparison: Comparison) -> float | None:
    price: float | None = getattr(row.cost, comparison.cost)
    return price


def _scale(values: Sequence[float], start: float, end: float) -> "_Scale":
    return _Scale(min(values), max(values), start, end)


class _Scale:
    """Where on the drawing a value lies."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._span, self._start, self._reach = low, high - low, start, end - start

    def __call__(self, value: float) -> float:
        return self._start + self._reach * ((value - self._low) / self._span if self._span else 0.5)
