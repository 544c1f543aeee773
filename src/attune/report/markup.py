"""Pieces of a page as HTML text: everything that comes from outside is escaped here, once."""

from collections.abc import Iterable, Sequence
from html import escape

from attune.report.results import Difference
from attune.report.wording import shortened

NONE = "–"
SAME = "as many errors"
"""Of a difference that is none, in any recording."""
_CELL, _SENTENCES, _ITEMS = 200, 1000, 30
"""What a page shows of a text in a table, of other texts, and of a list: a page stays small whatever it is given."""


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML, the first of each row its heading; it scrolls by itself where the screen is narrow. Kind `text` wraps."""
    cells = f' class="{kind}"' if kind else ""
    head = "".join(f'<th scope="col"{cells}>{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td{cells}>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    inner = f"<table><caption><span>{escape(caption)}</span></caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0">{inner}</div>'


def cell(text: str) -> str:
    """Escaped."""
    return escape(shortened(text, _CELL))


def section(title: str, name: str, *parts: str) -> str:
    """A part of the page under a heading of its own; nothing where there is nothing in it."""
    inner = "".join(parts)
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{inner}</section>' if inner else ""


def paragraph(text: str, kind: str = "") -> str:
    """Escaped."""
    told = escape(shortened(text, _SENTENCES))
    return f'<p class="{kind}">{told}</p>' if kind else f"<p>{told}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Escaped; nothing where there is none."""
    items = "".join(f"<li>{escape(shortened(text, _SENTENCES))}</li>" for text in [*texts][:_ITEMS])
    return f"<ul>{items}</ul>" if items else ""


def rate(value: float | None) -> str:
    """As a percentage.

    >>> rate(0.362), rate(None)
    ('36.20%', '–')
    """
    return NONE if value is None else f"{value:.2%}"


def spread(value: float | None, low: float | None, high: float | None) -> str:
    """A rate above its interval."""
    return rate(value) + ("" if low is None or high is None else f"<small>{low:.1%} to {high:.1%}</small>")


def change(found: Difference) -> str:
    """In percentage points with an arrow and a word, as positive is better and a falling rate."""
    if found.points is None:
        return NONE
    if found.none:
        return f"{moved(0)}<small>{SAME}</small>"
    bounds = "" if found.low is None or found.high is None else f"<small>{signed(-found.high)} to {signed(-found.low)}</small>"
    if not found.certain:
        return f"{moved(-found.points)}{bounds}<small>may be chance</small>"
    kind, word = ("better", "better") if found.points > 0 else ("worse", "worse")
    return f'<span class="{kind}">{moved(-found.points)} {word}</span>{bounds}'


def signed(points: float) -> str:
    """With a sign, and a minus that is one.

    >>> signed(2.5), signed(-0.004), signed(-1)
    ('+2.50', '0.00', '−1.00')
    """
    return "0.00" if abs(points) < 0.005 else f"{points:+.2f}".replace("-", "−")


def moved(points: float) -> str:
    """How a rate went that changed by so many points.

    >>> moved(2.5).split(), moved(-0.004).split(), moved(-1).split()
    (['↑', '+2.50'], ['=', '0.00'], ['↓', '−1.00'])
    """
    return f"{'=' if abs(points) < 0.005 else '↑' if points > 0 else '↓'}\N{NO-BREAK SPACE}{signed(points)}"
