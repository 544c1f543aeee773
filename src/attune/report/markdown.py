"""Pieces of a report as GitHub's Markdown: texts from outside are escaped here, once, and bounded, as a comment is."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from attune.report.wording import shortened

_LONGEST = 600
"""Of one text; GitHub takes 65,536 characters in a comment."""


def plain(text: str) -> str:
    """As text, whatever it holds: nothing in it is Markdown, HTML, a mention or a line of its own.

    >>> plain("a|b [x](y)")
    'a&#124;b &#91;x&#93;(y)'
    """
    line = escape(shortened(" ".join(text.split()), _LONGEST), quote=False)
    return re.sub(r"[\\`*_\[\]|~#@]", lambda found: f"&#{ord(found[0])};", line)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown; all columns but the first stand to the right."""
    rule = "|".join((" :--- ", *(" ---: " for _ in heads[1:])))
    return "\n".join([f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def bullets(texts: Iterable[str], heading: str = "") -> str:
    """Escaped; nothing where there is none."""
    items = "\n".join(f"- {plain(text)}" for text in texts)
    return (f"{heading}\n\n{items}" if heading else items) if items else ""


def details(summary: str, content: str) -> str:
    """What is folded away at first; nothing where there is nothing."""
    return f"<details><summary>{plain(summary)}</summary>\n\n{content}\n\n</details>" if content else ""
