"""The part of the page where people read and listen: utterances with both texts beside what was said, and their sound."""

from collections.abc import Mapping, Sequence
from html import escape

from attune.report.alignment import aligned_html
from attune.report.examples import Clip, ExampleList
from attune.report.markup import cell, paragraph
from attune.report.results import UtteranceResult
from attune.report.wording import shortened

_WORDS, _CHARACTERS = 200, 1500
"""What is shown of one text; ten minutes of speech belong in a file."""
_TEXT_BYTES = 700_000
"""What all texts may take with their markup."""
_TOO_LONG = paragraph("Its texts are too long to stand here, too; they are in evaluation/utterances.jsonl.", "soft")

_LEGEND = (
    '<ul class="key">'
    '<li><span class="sub"><b>heard</b><s>said</s></span> another word was heard</li>'
    "<li><del>said</del> a word is missing</li><li><ins>heard</ins> a word too many</li></ul>"
)


def examples_html(lists: Sequence[ExampleList], sound: Mapping[str, Clip]) -> str:
    """Every list; where an utterance stands in several, its sound is in the first only, and the others lead there."""
    shown: set[str] = set()
    most_bytes = _TEXT_BYTES // max(1, len(lists))
    parts = [
        paragraph("Texts are compared in lower case and without punctuation, as they are scored."),
        _LEGEND,
        _silent(lists, sound),
    ]
    for each in lists:
        parts.append(f"<h3>{escape(each.title)}</h3>{paragraph(each.about, 'soft')}")
        parts.append(
            f'<ol class="examples">{_items(each.rows, sound, shown, most_bytes)}</ol>'
            if each.rows
            else paragraph("There are none.")
        )
    return "".join(parts)


def _silent(lists: Sequence[ExampleList], sound: Mapping[str, Clip]) -> str:
    wanted = {row.id for each in lists for row in each.rows}
    missing = len(wanted - sound.keys())
    if not missing:
        return ""
    return paragraph(f"{missing} of these {len(wanted)} recordings are not in this page, so that it stays below 5 MB.", "soft")


def _items(rows: Sequence[UtteranceResult], sound: Mapping[str, Clip], shown: set[str], most_bytes: int) -> str:
    """Without the texts of those that would bring them above so many bytes."""
    items = []
    for row in rows:
        texts = _texts(row)
        size = len(texts.encode())
        fits = size <= most_bytes
        most_bytes -= size if fits else 0
        items.append(_item(row, sound.get(row.id), texts if fits else _TOO_LONG, first=row.id not in shown))
        shown.add(row.id)
    return "".join(items)


def _texts(row: UtteranceResult) -> str:
    lines = _line("base", row, row.base, row.base_errors), _line("tuned", row, row.tuned, row.tuned_errors)
    return f"<dl>{_said(row)}{''.join(lines)}</dl>"


def _item(row: UtteranceResult, clip: Clip | None, texts: str, *, first: bool) -> str:
    anchor = f"u-{''.join(c if c.isalnum() else f'_{ord(c):x}' for c in row.id)}"
    noise = "" if row.snr_db is None else f", {row.snr_db:.0f} dB"
    facts = f"{row.speaker}, {row.condition}{noise}, {row.duration_s:.1f}\N{NO-BREAK SPACE}s"
    place = f' id="{anchor}"' if first else ""
    name = f'<h4{place}>{cell(row.source)} <small class="soft">{cell(facts)}</small></h4>'
    heard = _audio(clip, row.source) if first else f'<p><a href="#{anchor}">Listen to it above</a></p>' if clip else ""
    return f"<li>{name}{heard}{texts}</li>"


def _audio(clip: Clip | None, source: str) -> str:
    if clip is None:
        return ""
    # preload: thirty recordings that are opened at once keep the page waiting for seconds; how long each is stands above it
    cut = "" if clip.cut_at_s is None else paragraph(f"The first {clip.cut_at_s:.0f} seconds.", "soft")
    return f'<audio controls preload="none" aria-label="Recording {cell(source)}" src="{clip.uri}"></audio>{cut}'


def _said(row: UtteranceResult) -> str:
    return f"<dt>said</dt><dd>{escape(shortened(row.reference, _CHARACTERS))}</dd>"


def _line(model: str, row: UtteranceResult, text: str, errors: int) -> str:
    right = errors == 0
    mark = '<span class="better" aria-hidden="true">✓</span>' if right else '<span class="worse" aria-hidden="true">✗</span>'
    told = "right" if right else f"{errors} error{'s' if errors != 1 else ''}"
    return f"<dt>{mark} {model}, {told}</dt><dd>{aligned_html(row.reference, text, _WORDS)}</dd>"
