"""How WER, and that of each regression suite, went over the commits that changed the evaluation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.errors import DataError
from attune.operations.revisions import Commit, Repository, Revision
from attune.report.comparison_tables import aligned, number, percent, span
from attune.report.experiments import RESULTS, Outcome, Reader, outcome_at

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Moment:
    """A commit, and what was evaluated there; `why` says why that cannot be told."""

    commit: Commit
    outcome: Outcome | None
    why: str | None = None


def history(repository: Repository, metrics: Path, most: int, until: Revision, reader: Reader) -> list[Moment]:
    """Oldest first. Raises DataError where no commit has an evaluation."""
    found = [_moment(repository, commit, metrics, reader) for commit in repository.history(metrics / RESULTS, most, until)]
    if not found:
        raise DataError(
            f"no commit up to {until.name} has {(metrics / RESULTS).as_posix()}; add the metrics to git and commit them"
        )
    return found


def columns(moments: Iterable[Moment]) -> list[str]:
    """Of the rows below: what is fixed, then a column for each suite."""
    return ["commit", "date", "subject", "utterances", "wer", "wer_low", "wer_high", "passed", "why", *_suites(moments)]


def csv_rows(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """One commit each; rates are fractions."""
    return [_csv_row(moment) for moment in moments]


def text(moments: Sequence[Moment], note: str = "") -> str:
    """A table, each series as a line of bars, and `note` below; ends in a newline."""
    suites = _suites(moments)
    head = ["commit", "date", "WER", "interval", "change", "passed", *suites, "subject"]
    rows = [_cells(moment, before, suites) for moment, before in zip(moments, [None, *moments[:-1]], strict=True)]
    series = {"WER": [_wer(moment) for moment in moments], **{name: [_suite(m, name) for m in moments] for name in suites}}
    bars = aligned([["", ""], *([name, bar_line(values)] for name, values in series.items())])[1:]
    told = [f"{moment.commit.revision.name}: {moment.why}" for moment in moments if moment.why]
    meant = "Change: percentage points of WER against the commit above. ~: on another test, so not comparable."
    return "\n".join([*aligned([head, *rows]), "", *bars, "", meant, *([note] if note else []), *told]) + "\n"


def bar_line(values: Sequence[float | None]) -> str:
    """One bar a value, the highest for the highest; a point where there is none.

    >>> bar_line([0.4, None, 0.2, 0.1])
    '█·▃▁'
    """
    known = [value for value in values if value is not None]
    low, spread = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join("·" if v is None else _BARS[round((v - low) / spread * 7) if spread else 0] for v in values)


def _moment(repository: Repository, commit: Commit, metrics: Path, reader: Reader) -> Moment:
    try:
        outcome = outcome_at(repository, commit.revision, metrics, reader)
    except DataError as error:
        return Moment(commit, None, str(error))
    return Moment(commit, outcome, None if outcome else "the evaluation was removed here")


def _cells(moment: Moment, before: Moment | None, suites: Sequence[str]) -> list[str]:
    commit, found = moment.commit, moment.outcome
    return [
        commit.revision.name,
        commit.date,
        percent(_wer(moment)),
        span(found.wer_low, found.wer_high, 100) if found else "",
        _change(moment, before),
        "" if found is None else "yes" if found.passed else "no",
        *(percent(_suite(moment, name)) for name in suites),
        commit.subject[:40],
    ]


def _change(moment: Moment, before: Moment | None) -> str:
    now, then = _wer(moment), _wer(before) if before else None
    if now is None or then is None or before is None:
        return ""
    sizes = [(m.outcome.utterances, m.outcome.words) for m in (moment, before) if m.outcome]
    return number((now - then) * 100, "+.2f") + ("~" if len(set(sizes)) > 1 else "")


def _csv_row(moment: Moment) -> dict[str, Any]:
    found = moment.outcome
    return {
        "commit": moment.commit.revision.commit,
        "date": moment.commit.date,
        "subject": moment.commit.subject,
        "utterances": found.utterances if found else None,
        "wer": _wer(moment),
        "wer_low": found.wer_low if found else None,
        "wer_high": found.wer_high if found else None,
        "passed": int(found.passed) if found else None,
        "why": moment.why,
        **{name: _suite(moment, name) for name in _suites([moment])},
    }


def _wer(moment: Moment) -> float | None:
    return moment.outcome.wer if moment.outcome else None


def _suites(moments: Iterable[Moment]) -> list[str]:
    """As columns: `suite critical`."""
    return sorted({f"suite {name}" for moment in moments if moment.outcome for name in moment.outcome.suites})


def _suite(moment: Moment, column: str) -> float | None:
    return moment.outcome.suites.get(column.removeprefix("suite ")) if moment.outcome else None
