"""Base and tuned on the same held-out utterances: right counts, honest intervals, nothing but test data."""

import hashlib
import json
import math
import random
from pathlib import Path

import jiwer
import pytest

from attune.errors import DataError
from attune.files import read_jsonl, write_json, write_jsonl
from attune.params import EvaluateParams
from attune.records import Condition, ErrorCounts, Split, Utterance
from attune.report.evaluation import Evaluation, SliceResult, UtteranceResult, evaluate
from attune.report.tables import metrics, plot_rows, speaker_rows

_PARAMS = EvaluateParams(bootstrap_samples=500, confidence=0.95, seed=42)


def _utterance(
    name: str, reference: str | None, condition: Condition = "noisy", speaker: str = "anna", split: Split = "test"
) -> Utterance:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Utterance(name, digest, f"{name}.wav", speaker, condition, split, 2.0, 12.0, reference)


def _four() -> tuple[list[Utterance], dict[str, str], dict[str, str]]:
    utterances = [
        _utterance("n1", "One two three four.", "noisy", "anna"),
        _utterance("n2", "five six", "noisy", "ben"),
        _utterance("c1", "yes please", "clean", "anna"),
        _utterance("c2", "no thanks", "clean", "ben"),
    ]
    base = {"n1": "one too tree", "n2": "hive sicks", "c1": "yes please", "c2": "no thanks now"}
    tuned = {"n1": "one two tree four", "n2": "five six", "c1": "yes please", "c2": "no thanks"}
    return utterances, base, tuned


def _part(evaluation: Evaluation, condition: str) -> SliceResult:
    return next(part for part in evaluation.slices if part.condition == condition)


def test_counts_are_pooled_overall_and_per_condition() -> None:
    evaluation = evaluate(*_four(), _PARAMS)
    assert [part.condition for part in evaluation.slices] == ["overall", "clean", "noisy"]
    assert _part(evaluation, "noisy").base.words == ErrorCounts(substitutions=4, deletions=1, reference_length=6)
    assert _part(evaluation, "clean").base.words == ErrorCounts(insertions=1, reference_length=4)
    assert _part(evaluation, "overall").base.words == ErrorCounts(4, 1, 1, 10)
    assert _part(evaluation, "overall").tuned.words == ErrorCounts(substitutions=1, reference_length=10)


def test_improvement_is_base_minus_tuned_with_its_interval() -> None:
    overall = _part(evaluate(*_four(), _PARAMS), "overall")
    assert overall.wer_improvement.point == pytest.approx(0.5)
    assert overall.wer_improvement.low <= 0.5 <= overall.wer_improvement.high
    assert overall.relative_improvement == pytest.approx(5 / 6)


def test_error_samples_are_utterances_with_a_wrong_word() -> None:
    overall = _part(evaluate(*_four(), _PARAMS), "overall")
    assert (overall.base.error_samples, overall.tuned.error_samples, overall.utterances) == (3, 1, 4)


def test_rates_are_those_of_jiwer() -> None:
    draw = random.Random(5)
    vocabulary = ("the", "nurse", "has", "it's", "pain", "seven")
    utterances = [_utterance(str(i), " ".join(draw.choices(vocabulary, k=draw.randint(1, 9)))) for i in range(200)]
    base, tuned = ({u.id: " ".join(draw.choices(vocabulary, k=draw.randint(0, 9))) for u in utterances} for _ in range(2))
    overall = _part(evaluate(utterances, base, tuned, _PARAMS), "overall")
    references = [u.reference or "" for u in utterances]
    assert overall.base.words.rate == jiwer.wer(references, list(base.values()))
    assert overall.tuned.words.rate == jiwer.wer(references, list(tuned.values()))
    assert overall.tuned.characters.rate == jiwer.cer(references, list(tuned.values()))


def test_only_test_utterances_with_a_reference_are_scored() -> None:
    utterances, base, tuned = _four()
    others = [
        _utterance("train", "x", split="train"),
        _utterance("validation", "x", split="validation"),
        _utterance("silent", None),
    ]
    evaluation = evaluate([*others, *utterances], base, tuned, _PARAMS)
    assert [row.id for row in evaluation.utterances] == ["n1", "n2", "c1", "c2"]


def test_one_condition_alone_is_fine() -> None:
    utterances, base, tuned = _four()
    evaluation = evaluate([u for u in utterances if u.condition == "noisy"], base, tuned, _PARAMS)
    assert [part.condition for part in evaluation.slices] == ["overall", "noisy"]
    assert "clean" not in metrics(evaluation)


@pytest.mark.parametrize("reference", [None, "", "..."])
def test_no_reference_with_words_is_an_error_that_says_what_to_do(reference: str | None) -> None:
    with pytest.raises(DataError, match=r"none of the 1 test utterances .*test_speakers in params.yaml.*dvc repro"):
        evaluate([_utterance("u", reference)], {"u": "a"}, {"u": "a"}, _PARAMS)


def test_no_test_utterance_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 0 test utterances"):
        evaluate([_utterance("u", "yes", split="train")], {"u": "yes"}, {"u": "yes"}, _PARAMS)


@pytest.mark.parametrize("model", ["base", "tuned"])
def test_a_missing_text_names_the_model_and_the_utterance(model: str) -> None:
    utterances, base, tuned = _four()
    del {"base": base, "tuned": tuned}[model]["c2"]
    with pytest.raises(DataError, match=rf"the {model} model has no text for test utterance c2 \(c2.wav\)"):
        evaluate(utterances, base, tuned, _PARAMS)


def test_words_heard_in_silence_count_against_the_model() -> None:
    utterances, base, tuned = _four()
    with_silence = evaluate([*utterances, _utterance("s", "")], base | {"s": "thank you"}, tuned | {"s": ""}, _PARAMS)
    assert _part(with_silence, "overall").base.words.insertions == 3
    assert _part(with_silence, "overall").tuned.words.insertions == 0


def test_equal_models_show_no_improvement_and_even_odds() -> None:
    utterances, base, _ = _four()
    overall = _part(evaluate(utterances, base, base, _PARAMS), "overall")
    assert (overall.wer_improvement.point, overall.wer_improvement.low, overall.wer_improvement.high) == (0, 0, 0)
    assert overall.wer_improvement.probability_better == 0.5


def test_a_faultless_base_has_no_relative_improvement() -> None:
    evaluation = evaluate([_utterance("u", "yes")], {"u": "yes"}, {"u": "yes"}, _PARAMS)
    assert math.isnan(_part(evaluation, "overall").relative_improvement)


def test_metrics_are_flat_and_fit_json(tmp_path: Path) -> None:
    found = metrics(evaluate(*_four(), _PARAMS))
    assert set(found) == {"overall", "clean", "noisy", "confidence", "normalizer"}
    noisy = found["noisy"]
    assert isinstance(noisy, dict)
    assert all(isinstance(value, int | float) for value in noisy.values())
    assert noisy["base_wer"] == pytest.approx(5 / 6)
    assert noisy["tuned_wer"] == pytest.approx(1 / 6)
    assert noisy["improvement_points"] == pytest.approx(100 * 4 / 6)
    assert noisy["improvement_low"] <= noisy["improvement_points"] <= noisy["improvement_high"]
    assert (noisy["base_substitutions"], noisy["base_deletions"], noisy["base_insertions"]) == (4, 1, 0)
    write_json(tmp_path / "evaluate.json", found)
    assert json.loads((tmp_path / "evaluate.json").read_text())["overall"]["utterances"] == 4


def test_plot_rows_have_base_and_tuned_of_every_condition() -> None:
    rows = plot_rows(evaluate(*_four(), _PARAMS))
    expected = [f"{condition}: {model}" for condition in ("overall", "clean", "noisy") for model in ("base", "tuned")]
    assert [row["result"] for row in rows] == expected
    assert all(row["wer_low"] <= row["wer"] <= row["wer_high"] for row in rows)


def test_every_speaker_has_a_row_for_both_models() -> None:
    assert speaker_rows(evaluate(*_four(), _PARAMS)) == [
        {"speaker": "anna", "utterances": 2, "base_wer": 3 / 6, "tuned_wer": 1 / 6},
        {"speaker": "ben", "utterances": 2, "base_wer": 3 / 4, "tuned_wer": 0.0},
    ]


def test_utterance_rows_keep_the_texts_and_survive_a_file(tmp_path: Path) -> None:
    rows = evaluate(*_four(), _PARAMS).utterances
    assert rows[0] == UtteranceResult("n1", "anna", "noisy", "One two three four.", "one too tree", "one two tree four", 3, 1, 4)
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert tuple(read_jsonl(tmp_path / "rows.jsonl", UtteranceResult)) == rows


def test_same_inputs_give_the_same_numbers() -> None:
    assert metrics(evaluate(*_four(), _PARAMS)) == metrics(evaluate(*_four(), _PARAMS))
