"""Files of the report: curves read back, and data of plots."""

import csv
from pathlib import Path

import pytest
from evaluations import utterance
from pages import TRAINING, Tones, evaluation
from shipped import SHIPPED

from attune.errors import DataError
from attune.files import write_csv
from attune.operations.showing import read_training, write_plots, write_reports
from attune.params import load_params


def test_plots_have_a_row_for_each_slice_and_model(tmp_path: Path) -> None:
    found = evaluation()
    write_plots(tmp_path / "plots", found.results, found.utterances)
    rows = list(csv.DictReader((tmp_path / "plots/wer_by_condition.csv").read_text().splitlines()))
    assert [(row["slice"], row["model"]) for row in rows] == [
        (s, m) for s in ("all", "clean", "noisy") for m in ("base", "tuned")
    ]
    assert all(float(row["wer_low"]) <= float(row["wer"]) <= float(row["wer_high"]) for row in rows)
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {
        "wer_by_condition.csv", "wer_by_snr.csv", "wer_by_duration.csv", "confusions.csv", "reliability.csv",
    }  # fmt: skip


def test_the_page_says_what_was_learnt_from_and_with_which_settings(tmp_path: Path) -> None:
    found = evaluation()
    learnt = [utterance(f"t{n}", "yes" if n else None, speaker=f"s{n % 2}", split="train", duration_s=60.0) for n in range(3)]
    write_reports(tmp_path, found.results, found.utterances, learnt, Tones(0.1), TRAINING, load_params(SHIPPED))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "3 utterances of 2 speakers, 3 minutes; 2 with a person&#x27;s text" in text
    for setting in ("train.lora.rank", "train.epochs", "train.learning_rate.lora", "select_errors.replay_share", "model.name"):
        assert f">{setting}</th>" in text, setting


def test_curves_are_read_as_train_writes_them(tmp_path: Path) -> None:
    losses, wers = tmp_path / "loss.csv", tmp_path / "wer.csv"
    write_csv(losses, ("step", "loss"), [{"step": step, "loss": loss} for step, loss in TRAINING.losses])
    write_csv(wers, ("step", "validation_wer"), [{"step": s, "validation_wer": wer} for s, wer in TRAINING.validation_wers])
    assert read_training(losses, wers) == TRAINING


@pytest.mark.parametrize(("content", "said"), [(None, "does not exist"), ("step\n1\n", "is not what train writes")])
def test_curves_that_are_missing_or_other_name_the_command(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "loss.csv").write_text(content)
    with pytest.raises(DataError, match=rf"{said}.*dvc repro"):
        read_training(tmp_path / "loss.csv", tmp_path / "loss.csv")
