"""A comparison as one self-contained HTML page: which to take, the table, WER against cost as a drawing, and what both mean."""

from html import escape

from attune.report.charts import Point, scatter
from attune.report.comparing import Compared, Comparison
from attune.report.comparison_tables import COST_TITLES, cost, finding, judged, notes, number, p_value, percent, settings, span
from attune.report.document import document
from attune.report.markup import bullets, cell, paragraph, rate, section, table


def page(comparison: Comparison) -> str:
    """The whole document; it asks for nothing outside of itself."""
    better = any(row.judgement == "better" for row in comparison.rows)
    main = (
        f'<div class="verdict{"" if better else " no"}" role="group" aria-label="Finding">{paragraph(finding(comparison))}</div>',
        _table(comparison),
        section("WER against cost", "cost", _drawing(comparison)),
        section("How to read this", "reading", bullets(notes(comparison))),
    )
    return document(f"Experiments against {comparison.rows[0].name}", "\n".join(main), skip="To the finding")


def _table(comparison: Comparison) -> str:
    """Experiments are numbered, as they are in the drawing."""
    costs = {key: title for key, title in COST_TITLES.items() if any(_cost(row, key) is not None for row in comparison.rows)}
    heads = ["Experiment", "WER", "Better by, points", "How sure", *(title[:1].upper() + title[1:] for title in costs.values())]
    rows = [[_name(n, row), *_figures(row), *(cost(row, key) for key in costs)] for n, row in enumerate(comparison.rows)]
    return table("Word error rate of the tuned models with its interval, and what they cost.", heads, rows)


def _name(number: int, row: Compared) -> str:
    mark = " *" if row.on_front else ""
    return f"{number}. {cell(row.name)}{mark}<small>{cell(settings(row))}</small>"


def _figures(row: Compared) -> tuple[str, str, str]:
    gained, bounds = row.difference, "" if row.wer_low is None else f"<small>{span(row.wer_low, row.wer_high, 100)}</small>"
    by = "" if gained is None else f"{number(gained.points, '+.2f')}<small>{span(gained.low, gained.high)}</small>"
    kind = row.judgement if row.judgement in ("better", "worse") else "soft"
    p = f"<small>p {cell(p_value(row))}</small>" if p_value(row) else ""
    return f"{rate(row.wer)}{bounds}", by, f'<span class="{kind}">{cell(judged(row))}</span>{p}'


def _drawing(comparison: Comparison) -> str:
    """Dots with the table's numbers; nothing where fewer than two can be compared and have a cost."""
    points = [
        Point(str(number), price, row.wer, row.wer_low, row.wer_high, row.on_front)
        for number, row in enumerate(comparison.rows)
        if (price := _cost(row, comparison.cost)) is not None and row.wer is not None and row.judgement != "not compared"
    ]
    if len(points) < 2:
        return ""
    price_of = COST_TITLES[comparison.cost]
    about = "; ".join(f"{comparison.rows[int(p.label)].name}: {percent(p.rate)} at {p.cost:g}" for p in points)
    drawn = scatter(points, f"WER against {price_of}", about, x_label=price_of, y_label="WER")
    key = "Numbers as in the table. Diamonds are the best for their cost, joined by a line; dotted lines are intervals."
    return f"<figure><figcaption>{escape(key)}</figcaption>{drawn}</figure>"


def _cost(row: Compared, key: str) -> float | None:
    found: float | None = getattr(row.cost, key)
    return found
