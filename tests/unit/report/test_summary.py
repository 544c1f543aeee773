"""What a person reads after a run: the right figures, the right degree of certainty, and what to do next."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evaluations import evaluated, four
from projects import evaluate_into, project

from attune.cli import main
from attune.errors import DataError
from attune.files import write_json
from attune.records import Utterance
from attune.report import tables
from attune.report.results import Results
from attune.report.run_facts import RunFacts, SliceFacts, facts_of
from attune.report.summary import summary

_SLICE: dict[str, Any] = {
    "utterances": 200,
    "speakers": 4,
    "base_wer": 0.3620,
    "base_cer": 0.2011,
    "base_error_samples": 150,
    "tuned_wer": 0.21,
    "tuned_cer": 0.1,
    "tuned_error_samples": 90,
    "improvement_points": 15.2,
    "improvement_low": 12.1,
    "improvement_high": 18.3,
}
_CLEAN = _SLICE | {"base_wer": 0.01, "improvement_points": -0.3, "improvement_low": -1.0, "improvement_high": 0.4}
_EVALUATE: dict[str, Any] = {
    "overall": _SLICE,
    "clean": _CLEAN,
    "noisy": _SLICE,
    "confidence": 0.95,
    "normalizer": "attune-basic-1",
}
_TRAIN: dict[str, Any] = {
    "method": "lora",
    "trained": True,
    "error_utterances": 300,
    "replayed_utterances": 90,
    "validation_wer_before": 0.4,
    "validation_wer_after": 0.22,
    "trainable_share": 0.034,
}
_CONVERT: dict[str, Any] = {
    "engine": "ctranslate2",
    "quantization": "int8",
    "size_mb": 2.3,
    "parity_wer_increase_points": 0.1,
    "identical_share": 0.985,
}


def _facts(
    evaluate: dict[str, Any] = _EVALUATE,
    train: dict[str, Any] = _TRAIN,
    convert: dict[str, Any] = _CONVERT,
    folder: str = "models/ct2",
    results: Results | None = None,
) -> RunFacts:
    return facts_of(evaluate, train, convert, model_folder=Path(folder), raw_folder=Path("data/raw"), results=results)


def _told(**given: Any) -> str:
    """The summary as one line, so that wrapping does not matter."""
    return " ".join(summary(_facts(**given)).split())


def test_scores_stand_in_the_promised_form() -> None:
    text = summary(_facts())
    assert "Base   WER: 0.3620 (36.20%)  CER: 0.2011 (20.11%)  Error Samples: 150/200 (75.00%)" in text
    assert "Tuned  WER: 0.2100 (21.00%)  CER: 0.1000 (10.00%)  Error Samples: 90/200 (45.00%)" in text
    assert "Improvement: 15.20 percentage points of WER (95% interval 12.10 to 18.30), 10.11 of CER" in text


def test_clean_and_noisy_stand_apart() -> None:
    text = summary(_facts())
    clean, noisy = text.index("Clean recordings: 200 utterances of 4 speakers"), text.index("Noisy recordings: 200 utterances")
    assert "-0.30 percentage points" in text[clean:noisy]
    assert "15.20 percentage points" in text[noisy:]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (12.1, 18.3, "Better, beyond chance"),
        (-3.0, -1.0, "Worse, beyond chance"),
        (-1.0, 0.4, "Not certain"),
        (0.0, 2.0, "Not certain"),
        (0.0, 0.0, "No difference"),
    ],
)
def test_verdict_follows_the_interval(low: float, high: float, verdict: str) -> None:
    part = _SLICE | {"improvement_low": low, "improvement_high": high}
    assert verdict in _told(evaluate={"overall": part, "confidence": 0.95})


def test_one_condition_alone_is_told_without_the_other() -> None:
    text = _told(evaluate={key: value for key, value in _EVALUATE.items() if key != "clean"})
    assert "Noisy recordings" in text
    assert "Clean recordings" not in text


def test_few_speakers_are_called_few_and_many_are_not() -> None:
    assert "4 speakers and 200 utterances were tested" in _told()
    assert "So few speakers cannot tell" in _told()
    many = _told(evaluate={"overall": _SLICE | {"speakers": 25}, "confidence": 0.95})
    assert "25 speakers and 200 utterances" in many
    assert "So few speakers" not in many


def test_one_speaker_and_one_utterance_are_singular() -> None:
    text = _told(evaluate={"overall": _SLICE | {"speakers": 1, "utterances": 1}, "confidence": 0.95})
    assert "1 utterance of 1 speaker" in text
    assert "1 speakers" not in text


def test_training_model_and_parity_are_told() -> None:
    text = _told()
    assert "Training: lora (3.40% of the weights) on 300 misheard utterances and 90 well-heard, against forgetting" in text
    assert "validation WER 0.4000 (40.00%) before, 0.2200 (22.00%) after" in text
    assert "Model to deploy: models/ct2 (ctranslate2, int8, 2.3 MB)" in text
    assert "Parity held: its WER is +0.10 percentage points from the tuned model's; 98.5% of its texts are identical." in text


def test_nothing_to_train_says_so_and_shows_the_base_model_only() -> None:
    text = _told(train={"trained": False, "method": "lora", "error_utterances": 0, "replayed_utterances": 0})
    assert "nothing to train" in text
    assert "the base model is released as it is" in text
    assert "from the base model's" in text
    assert "Base WER: 0.3620" in text
    assert "Tuned" not in text
    assert "Improvement:" not in text


def test_next_steps_are_commands() -> None:
    text = summary(_facts())
    assert "data/raw" in text
    assert "dvc exp run -S train.lora.rank=64" in text
    assert "dvc metrics diff" in text


def test_lines_fit_100_columns_and_are_plain_text() -> None:
    text = summary(_facts(folder="models/a-folder-somewhere/ct2"))
    untrained = summary(_facts(train={"trained": False}))
    for line in (text + untrained).splitlines():
        assert len(line) <= 100, line
        assert line.isascii()
        assert line == line.rstrip()
    assert text.endswith("\n")


def test_what_was_not_measured_is_left_out() -> None:
    text = _told(train={"trained": True}, convert={})
    assert "Training: fine-tuning." in text
    assert "Model to deploy: models/ct2." in text
    assert "not measured" in text
    assert "None" not in text
    assert "Parity held" not in text


def test_rates_that_do_not_exist_are_not_shown_as_numbers() -> None:
    silent = dict.fromkeys(_SLICE) | {"utterances": 2, "speakers": 1, "base_error_samples": 1, "tuned_error_samples": 0}
    text = _told(evaluate=_EVALUATE | {"noisy": silent})
    assert "Base WER: none CER: none Error Samples: 1/2" in text
    assert "nan" not in text


@pytest.mark.parametrize(("evaluate", "train", "lacking"), [({}, _TRAIN, "overall"), (_EVALUATE, {}, "trained")])
def test_missing_scores_name_the_key_and_the_command(evaluate: dict[str, Any], train: dict[str, Any], lacking: str) -> None:
    with pytest.raises(DataError, match=rf"lack '{lacking}'.*dvc repro"):
        _facts(evaluate=evaluate, train=train)


@pytest.mark.parametrize("overall", [3, None, [], "all", _SLICE | {"base_wer": "low"}])
def test_scores_of_another_form_name_the_command(overall: object) -> None:
    with pytest.raises(DataError, match=r"of another version of Attune \(.*\); make them anew with: dvc repro --force evaluate"):
        _facts(evaluate=_EVALUATE | {"overall": overall})


def test_the_speed_of_both_models_is_told_where_it_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_into(project(tmp_path), 3)
    for name, content in (("train", {"trained": True}), ("timing/evaluate", {"base": {"real_time_factor": 0.0156}, "tuned": 3})):
        write_json(tmp_path / f"metrics/{name}.json", content)
    monkeypatch.chdir(tmp_path)
    assert "Real-time factor of the last evaluation here: base 0.016 (seconds" in CliRunner().invoke(main, ["summary"]).output


@pytest.mark.parametrize("content", ["{", "[]", "3", ""])
@pytest.mark.parametrize("file", ["evaluation/scores.json", "train.json", "convert_ct2.json", "evaluation_results.json"])
def test_damaged_metrics_are_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str) -> None:
    evaluate_into(project(tmp_path), 3)
    for name in ("train.json", "convert_ct2.json"):
        (tmp_path / "metrics" / name).write_text('{"trained": true}')
    monkeypatch.chdir(tmp_path)
    sound = CliRunner().invoke(main, ["summary"])
    assert sound.exit_code == 0
    assert "Real-time factor" not in sound.output
    (tmp_path / "metrics" / file).write_text(content)
    done = CliRunner().invoke(main, ["summary"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert file in done.stderr
    assert "dvc repro --force" in done.stderr


def test_the_evaluation_s_own_metrics_are_understood() -> None:
    utterances = [
        Utterance(name, name * 32, f"{name}.wav", name, "noisy", "test", 2.0, 10.0, reference)
        for name, reference in (("aa", "one two"), ("bb", "three four"))
    ]
    base, tuned = {"aa": "won too", "bb": "three for"}, {"aa": "one two", "bb": "three four"}
    made = evaluated(utterances, base, tuned, bootstrap_samples=100, confidence=0.9, seed=1)
    found: dict[str, Any] = tables.scores(made.results)
    facts = _facts(evaluate=found)
    assert facts.slices["noisy"] == facts.slices["overall"]
    assert isinstance(facts.slices["noisy"], SliceFacts)
    assert "Improvement: 75.00 percentage points of WER (90% interval" in summary(facts)


def test_a_verdict_comes_with_its_reason_its_warnings_and_advice() -> None:
    utterances, base, tuned = four()
    told = _told(results=evaluated(utterances, tuned, base).results)
    assert "Verdict: NOT PASSED Failure reason: WER rose by 50.00 points; " in told
    assert "4 utterances are heard worse" not in told
    assert "3 utterances are heard worse than by the base model; see report.html" in told
    assert "Warning: Only 2 speakers were tested" in told
    assert (
        told.index("Warning: ")
        < told.index("How far to trust this")
        < told.index("Advice The base model's WER")
        < told.index("What to do")
    )
    assert "Verdict: PASSED" in _told(
        results=evaluated(utterances, base, tuned, validation={"require_significance": False}).results
    )


def test_names_of_recordings_send_nothing_to_the_terminal() -> None:
    utterances, base, tuned = four()
    named = [replace(u, speaker="\x1b[2Jben" if u.speaker == "ben" else "anna") for u in utterances]
    text = summary(_facts(results=evaluated(named, tuned, base).results))
    assert "ben" in text
    assert "\x1b" not in text
    assert all(len(line) <= 100 for line in text.splitlines())
