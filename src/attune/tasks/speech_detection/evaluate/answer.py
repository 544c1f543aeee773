"""A score is how many labels are right, of base, tuned and cheap detectors, on speakers and sources that nobody learnt from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attune.checkpoints import read_training_record
from attune.dataset import Sounds, read_utterances
from attune.errors import DataError
from attune.files import read_jsonl, whole_folder, write_csv, write_json, write_jsonl, write_text
from attune.params import Params
from attune.recognizers.transcription import TranscriptionReport
from attune.records import Gold, Hypothesis, Utterance
from attune.report.charts import standalone
from attune.tasks.protocol import CURVES, Places
from attune.tasks.speech_detection.evaluate.clips import CLIPS, Called
from attune.tasks.speech_detection.evaluate.page import FIGURES, IMAGES, html_page, markdown
from attune.tasks.speech_detection.evaluate.pictures import Drawing, drawings
from attune.tasks.speech_detection.evaluate.plots import confusions, curves, error_row, reliability
from attune.tasks.speech_detection.evaluate.results import Look, Results, found, quick_clips, write_results
from attune.tasks.speech_detection.parts.beside import Beside, beside
from attune.tasks.speech_detection.parts.hearing import hear_labels
from attune.tasks.speech_detection.parts.labels import is_speech, speech_probability
from attune.tasks.speech_detection.parts.measures import Truth
from attune.tasks.speech_detection.parts.slices import COLUMNS, content_s
from attune.workcache import WorkCache


@dataclass(frozen=True)
class Judgement:
    """See `protocol.Judged`."""

    results: Results
    clips: Sequence[Called]
    truth: Truth
    heard: Sequence[Beside]
    drawn: Sequence[Drawing]
    reports: dict[str, TranscriptionReport]

    def write_folder(self, folder: Path) -> None:
        write_jsonl(folder / CLIPS, self.clips)
        write_csv(folder / "scores.csv", COLUMNS, self.results.slices)
        told = {score.who: {k: v for k, v in asdict(score).items() if k != "who"} for score in self.results.scores}
        write_json(folder / "scores.json", {"confidence": self.results.confidence, "detectors": told})

    def write_plots(self, folder: Path) -> None:
        with whole_folder(folder) as made:
            for dimension in ("condition", "snr_db", "duration_s"):
                rows = [error_row(row) for row in self.results.slices if row["slice"] == dimension]
                write_csv(
                    made / f"wer_by_{dimension.partition('_')[0]}.csv", ("slice", "model", "wer", "wer_low", "wer_high"), rows
                )
            write_csv(made / "confusions.csv", ("confusion", "model", "count"), confusions(self.truth, self.heard))
            write_csv(made / "reliability.csv", ("said", "right", "model"), reliability(self.truth, self.heard))
            for name, rows in curves(self.results, self.truth, self.heard).items():
                write_csv(made / name, CURVES[name], rows)

    def write_reports(self, folder: Path) -> None:
        write_text(folder / "report.html", html_page(self.results, self.drawn))
        write_text(folder / "report.md", markdown(self.results, self.drawn, IMAGES))
        with whole_folder(folder / FIGURES) as made:
            for drawing in self.drawn:
                write_text(made / f"{drawing.name}.svg", standalone(drawing.svg))

    def write_results(self, file: Path) -> None:
        write_results(file, self.results)

    def figures(self) -> dict[str, Any]:
        told = {s.who: {k: v for k, v in asdict(s).items() if k not in ("who", "clips")} for s in self.results.scores}
        return {
            "clips": self.results.clips,
            "clips_of_the_test": self.results.of,
            "quick_accuracy": self.results.quick_accuracy,
            "stopped_after_quick_look": self.results.stopped_after_quick_look,
            "accepted": self.results.accepted,
            "p_value": self.results.p_value,
            **told,
        }

    def costs(self) -> dict[str, Any]:
        return {who: {**asdict(r), "real_time_factor": r.real_time_factor} for who, r in self.reports.items()}

    def sentence(self) -> str:
        return self.results.verdict

    def require(self, results_file: Path) -> None:
        """Suites are of texts; nothing stops the graph here."""


def judge(places: Places, params: Params) -> Judgement:
    """A quick look with the tuned model first; where that is promising, or not wanted, the whole test with all of them.

    Raises DataError where the test has no labelled clips.
    """
    golds = {g.id: g.text for g in read_jsonl(places.gold / "gold.jsonl", Gold)}
    prepared, sounds = read_utterances(places.prepared), Sounds(places.prepared)
    test = [u for u in prepared if u.split == "test" and golds.get(u.id)]
    if not test:
        raise DataError("the test side has no labelled clips; give split_clean_noisy.shares a test share, or bring more speakers")
    look, test = _look(test, golds, places, params, sounds)
    truth = np.array([is_speech(str(golds[u.id])) for u in test], dtype=bool)
    base, base_report = hear_labels(params.model.name, test, sounds, params, WorkCache())
    tuned, tuned_report = hear_labels(places.finetuned, test, sounds, params, WorkCache())
    others = _on_test(beside([*(u for u in prepared if u.split == "train"), *test], sounds), len(test))
    heard = [_model("base", base), _model("tuned", tuned), *others]
    names = (params.model.name, places.finetuned.as_posix())
    trained = read_training_record(places.finetuned).method != "none"
    results = found(names, trained, test, truth, heard, look, params.evaluate)
    clips = [_called(u, str(golds[u.id]), [float(each.said[n]) for each in heard]) for n, u in enumerate(test)]
    reports = {"base": base_report, "tuned": tuned_report}
    return Judgement(results, clips, truth, heard, drawings(results, truth, heard), reports)


def _look(
    test: list[Utterance], golds: dict[str, str | None], places: Places, params: Params, sounds: Sounds
) -> tuple[Look, list[Utterance]]:
    wanted = params.evaluate.detection
    truth = np.array([is_speech(str(golds[u.id])) for u in test], dtype=bool)
    some = quick_clips(test, truth, wanted.quick_clips)
    if not some:
        return Look(len(test), len(test), None, False), test
    heard, _ = hear_labels(places.finetuned, some, sounds, params, WorkCache())
    accuracy = sum(h.text == golds[u.id] for u, h in zip(some, heard, strict=True)) / len(some)
    if wanted.full_above and accuracy <= wanted.full_above:
        return Look(len(some), len(test), accuracy, True), some
    return Look(len(test), len(test), accuracy, False), test


def _model(name: str, heard: Sequence[Hypothesis]) -> Beside:
    return Beside(name, np.array([speech_probability(h) for h in heard], dtype=np.float64), 0.5)


def _on_test(others: Sequence[Beside], count: int) -> list[Beside]:
    """What was said of the last `count` clips; thresholds stay those of the train side."""
    return [Beside(each.name, each.said[-count:], each.threshold) for each in others]


def _called(utterance: Utterance, label: str, said: Sequence[float]) -> Called:
    about = (utterance.id, utterance.source, utterance.speaker, utterance.condition, label)
    base, tuned, silero, energy_db = (round(each, 6) for each in said)
    return Called(*about, utterance.snr_db, content_s(utterance), base, tuned, silero, energy_db)
