"""What gold, selection and measures make of labels."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection_parts import clip, detection_params

from attune.dataset import UTTERANCES
from attune.errors import DataError
from attune.files import write_jsonl, write_text
from attune.records import Alternative, Gold, Hypothesis, Utterance
from attune.tasks.speech_detection.evaluate.pictures import drawings
from attune.tasks.speech_detection.evaluate.results import Look, found, quick_clips
from attune.tasks.speech_detection.llm_gold.answer import believe
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.detectors import best_threshold, energy, silero
from attune.tasks.speech_detection.parts.labels import speech_probability
from attune.tasks.speech_detection.parts.measures import Table, area_under_roc, equal_error_rate, interval, mcnemar, table
from attune.tasks.speech_detection.select_errors.answer import choose


def _heard(name: str, speech: float) -> Hypothesis:
    sure = max(speech, 1 - speech)
    return Hypothesis(name, "SPEECH" if speech >= 0.5 else "NONSPEECH", sure, no_speech=1 - speech)


def _corpus(tmp_path: Path, utterances: list[Utterance]) -> Path:
    write_jsonl(tmp_path / "prepared" / UTTERANCES, utterances)
    (tmp_path / "corrections").mkdir(exist_ok=True)
    return tmp_path / "prepared"


def _params(tmp_path: Path, **sections: Any) -> Any:
    gold = {"corrections": tmp_path / "corrections", **sections.pop("llm_gold", {})}
    return detection_params("base", llm_gold=gold, **sections)


def test_labels_are_gold_and_what_model_and_vad_contradict_comes_first_for_review(tmp_path: Path) -> None:
    utterances = [
        clip("a", "SPEECH", speech_share=0.9),
        clip("b", "NONSPEECH", speech_share=0.8),
        clip("c", "SPEECH", speech_share=0.0),
        clip("d", "NONSPEECH", speech_share=0.0),
        clip("e", "SPEECH", speech_share=0.7),
    ]
    heard = [_heard("a", 0.99), _heard("b", 0.97), _heard("c", 0.95), _heard("d", 0.98), _heard("e", 0.3)]
    found = believe(_corpus(tmp_path, utterances), heard, _params(tmp_path))
    assert [(g.text, g.source) for g in found.golds] == [(u.reference, "human") for u in utterances]
    reasons = [(item.id, item.why.partition(":")[0]) for item in found.review]
    assert reasons == [
        ("b", "model_and_vad_contradict"),
        ("d", "model_contradicts"),
        ("c", "vad_contradicts"),
    ]  # of e the model is not sure


def test_a_persons_correction_overrides_the_label_and_ends_the_doubt(tmp_path: Path) -> None:
    prepared = _corpus(tmp_path, [clip("a", "SPEECH", speech_share=0.0), clip("b", "SPEECH"), clip("c", "SPEECH")])
    rows = '{"id": "a", "text": "nonspeech", "status": "edited"}\n{"id": "b", "status": "discarded"}\n'
    write_text(tmp_path / "corrections" / "may.jsonl", rows)
    found = believe(prepared, [_heard(name, 0.02) for name in "abc"], _params(tmp_path))
    assert [(g.text, g.why) for g in found.golds] == [("NONSPEECH", "edited"), (None, "discarded"), ("SPEECH", "label")]
    assert [item.id for item in found.review] == ["c"]
    assert found.figures["labels_changed"] == 1


def test_a_correction_that_is_no_label_is_named(tmp_path: Path) -> None:
    prepared = _corpus(tmp_path, [clip("a", "SPEECH")])
    write_text(tmp_path / "corrections" / "may.jsonl", '{"id": "a", "text": "hello", "status": "edited"}\n')
    with pytest.raises(DataError, match=r"may.jsonl:1 says 'hello'; write SPEECH or NONSPEECH"):
        believe(prepared, [_heard("a", 0.9)], _params(tmp_path))


def test_misclassified_and_undecided_clips_are_errors_and_both_classes_are_learnt_alike(tmp_path: Path) -> None:
    wrong = [clip(f"w{n}", "SPEECH") for n in range(4)]
    close = [clip("close", "NONSPEECH")]
    sure = [clip(f"s{n}", label) for n, label in enumerate(["NONSPEECH", "SPEECH"] * 5)]
    held_out = [clip("v", "SPEECH", "validation", "ben"), clip("t", "SPEECH", "test", "cleo")]
    utterances = [*wrong, *close, *sure, *held_out]
    said = {
        **{u.id: 0.2 for u in wrong},
        "close": 0.4,
        **{u.id: 0.98 if u.reference == "SPEECH" else 0.02 for u in sure},
        "v": 0.1,
        "t": 0.1,
    }
    golds = [Gold(u.id, u.reference, "human", "label") for u in utterances]
    report = choose(
        _corpus(tmp_path, utterances),
        golds,
        [_heard(u.id, said[u.id]) for u in utterances],
        _params(tmp_path, select_errors={"replay_share": 0.0, "detection": {"min_margin": 0.5}}),
    )
    errors = [s for s in report.selections if s.role == "error"]
    assert {s.id for s in errors} == {"w0", "w1", "w2", "w3", "close"}
    assert next(s for s in errors if s.id == "close").error_rate == 0.0
    learnt = [s.text for s in report.selections if s.split == "train"]
    assert learnt.count("SPEECH") == learnt.count("NONSPEECH") == 4
    assert [s.id for s in report.selections if s.role == "validation"] == ["v"]
    assert "t" not in {s.id for s in report.selections}


def test_nothing_is_replayed_where_there_is_no_error(tmp_path: Path) -> None:
    utterances = [clip("a", "SPEECH"), clip("b", "NONSPEECH")]
    golds = [Gold(u.id, u.reference, "human", "label") for u in utterances]
    report = choose(_corpus(tmp_path, utterances), golds, [_heard("a", 0.99), _heard("b", 0.01)], _params(tmp_path))
    assert report.nothing_to_train
    assert not report.selections


def test_balanced_accuracy_is_a_half_for_who_always_says_the_same() -> None:
    truth = np.array([True] * 9 + [False])
    counts = table(truth, np.ones(10, dtype=bool))
    assert counts.accuracy == 0.9
    assert counts.balanced_accuracy == 0.5
    assert (counts + Table()).clips == 10
    assert Table(hits=1).balanced_accuracy is None


def test_equal_error_rate_of_scores_that_part_is_zero_and_of_chance_a_half() -> None:
    truth = np.array([False, False, True, True])
    assert equal_error_rate(truth, np.array([0.1, 0.2, 0.8, 0.9])) == 0.0
    assert equal_error_rate(truth, np.array([0.5, 0.5, 0.5, 0.5])) == pytest.approx(0.5)
    assert equal_error_rate(truth, np.array([0.1, 0.8, 0.2, 0.9])) == pytest.approx(0.5)


def test_clips_that_the_model_is_sure_of_are_still_told_apart() -> None:
    """Of an untuned model every probability may be 1.0000, and yet speech likelier than the rest."""
    surer, sure = ([Alternative("SPEECH", -40.0), Alternative("NONSPEECH", -40.0 - nats)] for nats in (25.0, 15.0))
    heard = [
        Hypothesis(name, "SPEECH", 1.0, alternatives=tuple(some), no_speech=0.0) for name, some in (("a", surer), ("b", sure))
    ]
    said = np.array([speech_probability(each) for each in heard])
    assert said[0] > said[1] > 0.999
    assert area_under_roc(np.array([True, False]), said) == 1.0
    undecided = Hypothesis("c", "NONSPEECH", 0.5, alternatives=(Alternative("NONSPEECH", -1.0), Alternative("SPEECH", -1.0)))
    assert speech_probability(undecided) < 0.5


def test_mcnemar_counts_only_clips_on_which_the_models_differ() -> None:
    base, tuned = [True] * 50 + [False] * 12, [True] * 50 + [True] * 10 + [False] * 2
    assert mcnemar(base, tuned) == (0, 10, pytest.approx(2 * 0.5**10))
    assert mcnemar([True], [True]) == (0, 0, 1.0)


def test_intervals_of_wilson_stay_inside_and_are_none_for_nothing() -> None:
    low, high = interval(Table(hits=10), 0.95) or (0.0, 0.0)
    assert 0.6 < low < 0.8
    assert high == pytest.approx(1.0)
    assert interval(Table(), 0.95) is None


def test_the_energy_detector_hears_what_stands_out_and_its_threshold_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    quiet = (0.01 * rng.standard_normal(32_000)).astype(np.float32)
    loud = quiet.copy()
    loud[8_000:24_000] *= 10
    assert energy(loud) > energy(quiet) + 15
    assert best_threshold([1.0, 2.0, 8.0, 9.0, 3.0], [False, False, True, True, False]) == 8.0
    assert silero(quiet) < 0.5


def test_the_quick_look_takes_as_many_of_each_class() -> None:
    utterances = [clip(f"{n:02d}", "SPEECH" if n < 15 else "NONSPEECH", "test") for n in range(20)]
    truth = np.array([u.reference == "SPEECH" for u in utterances])
    chosen = quick_clips(utterances, truth, 10)
    assert len(chosen) == 10
    assert sum(u.reference == "SPEECH" for u in chosen) == 5


def test_a_psychometric_curve_has_snrs_below_zero_in_its_frame() -> None:
    utterances = [clip(f"{n:02d}", "SPEECH" if n % 2 else "NONSPEECH", "test", snr_db=float(n % 4 * 10 - 10)) for n in range(40)]
    truth = np.array([u.reference == "SPEECH" for u in utterances])
    heard = [Beside(name, np.where(truth, 0.9, 0.2), 0.5) for name in ("base", "tuned")]
    results = found(("b", "t"), True, utterances, truth, heard, Look(40, 40, None, False), detection_params("base").evaluate)
    drawn = {each.name: each.svg for each in drawings(results, truth, heard)}
    assert drawn.keys() == {"roc", "det", "psychometric-1s"}
    places = [float(x) for x in re.findall(r'<circle class="base" cx="([-\d.]+)"', drawn["psychometric-1s"])]
    assert len(places) == 4
    assert min(places) >= 58
    assert places == sorted(places)
    assert ">-10<" in drawn["psychometric-1s"]


def test_a_tuned_model_is_accepted_only_where_the_difference_cannot_be_chance_and_all_was_heard() -> None:
    utterances = [clip(f"{n:02d}", "SPEECH" if n % 2 else "NONSPEECH", "test", snr_db=float(n % 3)) for n in range(40)]
    truth = np.array([u.reference == "SPEECH" for u in utterances])
    base, tuned = np.full(40, 0.9), np.where(truth, 0.9, 0.1)
    params = detection_params("base").evaluate

    def judged(tuned_says: Any, stopped: bool = False) -> Any:
        heard = [Beside("base", base, 0.5), Beside("tuned", tuned_says, 0.5)]
        return found(("base", "tuned"), True, utterances, truth, heard, Look(40, 40, 0.5 if stopped else None, stopped), params)

    good = judged(tuned)
    assert good.accepted
    assert good.score_of("tuned").balanced_accuracy == 1.0
    assert good.score_of("base").balanced_accuracy == 0.5
    assert (good.only_base_right, good.only_tuned_right) == (0, 20)
    assert {p.snr_db for p in good.points} == {0.0, 1.0, 2.0}
    assert not judged(base).accepted
    assert "review.jsonl" in judged(tuned, stopped=True).verdict
    assert not judged(tuned, stopped=True).accepted
