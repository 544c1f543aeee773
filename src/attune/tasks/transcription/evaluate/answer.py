"""A score is a pooled word error rate against what people wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.dataset import Sounds, read_utterances
from attune.files import read_jsonl, write_csv
from attune.operations.evaluating import Listening, assess, costs, require_suites
from attune.operations.showing import read_training, write_plots, write_reports
from attune.params import Params
from attune.records import Gold, Utterance
from attune.report.evaluation import Evaluation
from attune.report.pictures import Training
from attune.report.results import write_results
from attune.report.tables import headline, write_folder
from attune.tasks.protocol import CURVES, Places


@dataclass(frozen=True)
class Judgement:
    """What was found, and how it is written; see `protocol.Judged`."""

    found: Evaluation
    heard: Listening
    corpus: Sequence[Utterance]
    sounds: Sounds
    training: Training
    params: Params

    def write_folder(self, folder: Path) -> None:
        write_folder(folder, self.found)

    def write_plots(self, folder: Path) -> None:
        write_plots(folder, self.found.results, self.found.utterances)
        for name, columns in CURVES.items():
            write_csv(folder / name, columns, [])

    def write_reports(self, folder: Path) -> None:
        results, rows = self.found.results, self.found.utterances
        write_reports(folder, results, rows, self.corpus, self.sounds, self.training, self.params)

    def write_results(self, file: Path) -> None:
        write_results(file, self.found.results)

    def figures(self) -> dict[str, Any]:
        return headline(self.found.results)

    def costs(self) -> dict[str, Any]:
        return costs(self.heard)

    def sentence(self) -> str:
        return self.found.results.verdict.sentence

    def require(self, results_file: Path) -> None:
        require_suites(self.found.results, self.params.evaluate.suites, results_file)


def judge(places: Places, params: Params) -> Judgement:
    """Hears the test with base and tuned model and judges both."""
    golds, sounds = {g.id: g for g in read_jsonl(places.gold / "gold.jsonl", Gold)}, Sounds(places.prepared)
    training = read_training(places.loss_plot, places.wer_plot)
    utterances = read_utterances(places.prepared)
    found, heard = assess(
        places.finetuned, utterances, golds, sounds, places.suites, places.glossary, places.out_of_domain, params
    )
    return Judgement(found, heard, utterances, sounds, training, params)
