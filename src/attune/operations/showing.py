"""What the evaluate stage shows of what it found: the page, the pull-request report, its pictures, and data of DVC's plots."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attune.errors import DataError
from attune.files import whole_folder, write_csv, write_text
from attune.params import Params
from attune.records import Split, Utterance
from attune.report.charts import standalone
from attune.report.examples import Recordings, clips, example_lists
from attune.report.page import Exhibits, page
from attune.report.pictures import Picture, Training, confusion_rows, interval_rows, pictures, reliability_rows
from attune.report.pull_request import pull_request_report
from attune.report.results import Results, UtteranceResult
from attune.report.wording import counted, lasting

_INTERVALS = ("slice", "model", "wer", "wer_low", "wer_high")
_LEARNT: Mapping[Split, str] = {"train": "to learn from, at most", "validation": "to choose the checkpoint by"}
FIGURES = "figures"
"""Where in the folder of metrics the pictures of the pull-request report stand."""
IMAGES = f"{FIGURES}/{{}}"


def write_plots(folder: Path, results: Results, rows: Sequence[UtteranceResult]) -> None:
    """CSV files for `dvc plots`."""
    with whole_folder(folder) as made:
        for dimension in ("condition", "snr_db", "duration_s"):
            name = dimension.partition("_")[0]
            write_csv(made / f"wer_by_{name}.csv", _INTERVALS, interval_rows(results, dimension))
        write_csv(made / "confusions.csv", ("confusion", "model", "count"), confusion_rows(results))
        write_csv(made / "reliability.csv", ("said", "right", "model"), reliability_rows(rows))


def write_reports(
    folder: Path,
    results: Results,
    rows: Sequence[UtteranceResult],
    corpus: Sequence[Utterance],
    sounds: Recordings,
    training: Training,
    params: Params,
) -> None:
    """`report.html`, `report.md` and `figures/` in `folder`: the same bytes for the same results.

    `rows` are of the test; `corpus` is all of it, with what was learnt from.
    """
    drawn, lists = pictures(results, rows, training), example_lists(rows)
    sound = clips([row.id for each in lists for row in each.rows], sounds)
    shown = Exhibits(drawn, lists, sound, list(_sides(corpus)), list(_settings(params)))
    write_text(folder / "report.html", page(results, shown))
    write_text(folder / "report.md", pull_request_report(results, drawn, images=IMAGES))
    _write_figures(folder / FIGURES, drawn)


def read_training(losses: Path, wers: Path) -> Training:
    """The curves that the train stage wrote. Raises DataError where they are not there."""
    return Training(tuple(_points(losses, "loss")), tuple(_points(wers, "validation_wer")))


def _write_figures(folder: Path, drawn: Sequence[Picture]) -> None:
    with whole_folder(folder) as made:
        for picture in drawn:
            write_text(made / f"{picture.name}.svg", standalone(picture.svg))


def _points(path: Path, column: str) -> Iterator[tuple[float, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row[column]:
                    yield float(row["step"]), float(row[column])
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; make it with: dvc repro train") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is not what train writes ({error}); make it anew with: dvc repro --force train") from error


def _sides(corpus: Sequence[Utterance]) -> Iterator[tuple[str, object]]:
    for side, what in _LEARNT.items():
        there = [utterance for utterance in corpus if utterance.split == side]
        speakers, hours = len({utterance.speaker for utterance in there}), sum(utterance.duration_s for utterance in there) / 3600
        written = sum(utterance.reference is not None for utterance in there)
        amount = f"{counted(len(there), 'utterance')} of {counted(speakers, 'speaker')}, {lasting(hours)}"
        yield what, f"{amount}; {written} with a person's text"


def _settings(params: Params) -> Iterator[tuple[str, object]]:
    """What made the tuned model and this page; earlier stages' params stand in params.yaml."""
    used = {"model": params.model, "select_errors": params.select_errors, "train": params.train, "evaluate": params.evaluate}
    for name, section in used.items():
        yield from _flat(name, section.model_dump(mode="json"))


def _flat(name: str, content: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.{key}", value)
        else:
            yield f"{name}.{key}", value
