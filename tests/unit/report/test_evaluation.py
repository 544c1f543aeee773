"""Base and tuned on the same held-out utterances: right counts, honest intervals, nothing but test data."""

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path

import jiwer
import pytest
from evaluations import evaluated, four, part, utterance

from attune.errors import DataError, ParamsError
from attune.files import read_jsonl
from attune.records import Gold
from attune.report.results import FORMAT, UtteranceResult, parse_results, read_results, write_results
from attune.report.tables import headline, scores, slice_rows, write_folder
from attune.scoring import Normalizer


def test_counts_are_pooled_overall_and_per_condition() -> None:
    found = evaluated(*four()).results
    overall, noisy, clean = found.overall, part(found, "condition", "noisy"), part(found, "condition", "clean")
    assert (noisy.base.substitutions, noisy.base.deletions, noisy.base.insertions, noisy.words) == (4, 1, 0, 6)
    assert (clean.base.substitutions, clean.base.deletions, clean.base.insertions, clean.words) == (0, 0, 1, 4)
    assert (overall.base.wer, overall.tuned.wer) == (0.6, 0.1)


def test_improvement_is_base_minus_tuned_in_points_with_its_interval() -> None:
    overall = evaluated(*four()).results.overall
    gained = overall.wer_improvement
    assert gained.points == pytest.approx(50)
    assert gained.low is not None
    assert gained.high is not None
    assert gained.low <= 50 <= gained.high
    assert overall.relative_improvement == pytest.approx(5 / 6)
    assert (overall.base.error_samples, overall.tuned.error_samples, overall.utterances) == (3, 1, 4)


def test_rates_are_those_of_jiwer() -> None:
    draw = random.Random(5)
    vocabulary = ("the", "nurse", "has", "it's", "pain", "seven")
    utterances = [utterance(str(i), " ".join(draw.choices(vocabulary, k=draw.randint(1, 9)))) for i in range(200)]
    base, tuned = ({u.id: " ".join(draw.choices(vocabulary, k=draw.randint(0, 9))) for u in utterances} for _ in range(2))
    overall = evaluated(utterances, base, tuned).results.overall
    references = [u.reference or "" for u in utterances]
    assert overall.base.wer == jiwer.wer(references, list(base.values()))
    assert overall.tuned.wer == jiwer.wer(references, list(tuned.values()))
    assert overall.tuned.cer == jiwer.cer(references, list(tuned.values()))


def test_only_test_utterances_with_a_reference_are_scored() -> None:
    utterances, base, tuned = four()
    others = [utterance("train", "x", split="train"), utterance("validation", "x", split="validation"), utterance("silent", None)]
    found = evaluated([*others, *utterances], base, tuned)
    assert [row.id for row in found.utterances] == ["n1", "n2", "c1", "c2"]


@pytest.mark.parametrize("reference", [None, "", "..."])
def test_no_reference_with_words_is_an_error_that_says_what_to_do(reference: str | None) -> None:
    with pytest.raises(DataError, match=r"none of the 1 test utterances .*test_speakers in params.yaml.*dvc repro"):
        evaluated([utterance("u", reference)], {"u": "a"}, {"u": "a"})


def test_no_test_utterance_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="none of the 0 test utterances"):
        evaluated([utterance("u", "yes", split="train")], {"u": "yes"}, {"u": "yes"})


@pytest.mark.parametrize("model", ["base", "tuned"])
def test_a_missing_text_names_the_model_and_the_utterance(model: str) -> None:
    utterances, base, tuned = four()
    del {"base": base, "tuned": tuned}[model]["c2"]
    with pytest.raises(DataError, match=rf"the {model} model has no text for test utterance c2 \(c2.wav\)"):
        evaluated(utterances, base, tuned)


def test_empty_references_and_hypotheses_count_as_insertions_and_deletions() -> None:
    utterances, base, tuned = four()
    more = [utterance("s", ""), utterance("d", "so quiet")]
    overall = evaluated([*utterances, *more], base | {"s": "thank you", "d": ""}, tuned | {"s": "", "d": ""}).results.overall
    assert (overall.base.insertions, overall.tuned.insertions) == (3, 0)
    assert (overall.base.deletions, overall.tuned.deletions) == (3, 2)


def test_equal_models_show_no_improvement_even_odds_and_nothing_detectable() -> None:
    utterances, base, _ = four()
    found = evaluated(utterances, base, base).results
    gained = found.overall.wer_improvement
    assert (gained.points, gained.low, gained.high, gained.probability_better) == (0, 0, 0, 0.5)
    assert found.uncertainty.minimum_detectable_points is None
    assert found.uncertainty.mapsswe.p_value == 1
    assert not found.verdict.passed


def test_one_utterance_has_scores_and_no_bounds() -> None:
    found = evaluated([utterance("u", "yes sir")], {"u": "yes"}, {"u": "yes sir"}).results
    assert (found.overall.base.wer, found.overall.tuned.wer) == (0.5, 0)
    assert found.overall.wer_improvement.low is None
    assert found.overall.wer_improvement.probability_better is None
    assert found.verdict.failures == ("there is no interval, as too little was tested",)
    assert any("One utterance" in warning for warning in found.uncertainty.warnings)


def test_one_speaker_is_resampled_by_utterances_and_warned_of() -> None:
    utterances, base, tuned = four()
    alone = [dataclasses.replace(u, speaker="anna") for u in utterances]
    found = evaluated(alone, base, tuned, resample="speakers").results
    assert found.overall.unit == "utterances"
    assert found.uncertainty.speakers.wer_improvement.low is None
    assert found.uncertainty.utterances.wer_improvement.low is not None
    assert "One speaker was tested" in found.uncertainty.warnings[0]


def test_speakers_decide_from_five_on() -> None:
    for speakers, unit in ((4, "utterances"), (5, "speakers")):
        utterances = [utterance(f"u{n}", "one two three", speaker=f"s{n % speakers}") for n in range(40)]
        base = {u.id: "one two" if n % 3 else "one two three" for n, u in enumerate(utterances)}
        found = evaluated(utterances, base, {u.id: "one two three" for u in utterances}).results
        assert found.uncertainty.unit == found.overall.unit == unit


def test_a_faultless_base_has_no_relative_improvement() -> None:
    assert evaluated([utterance("u", "yes")], {"u": "yes"}, {"u": "yes"}).results.overall.relative_improvement is None


def test_slices_are_told_by_noise_length_speaker_source_and_columns_of_the_manifest() -> None:
    utterances = [
        utterance("a", "one two", speaker="anna", snr_db=3.0, duration_s=0.8, source="ward/a.wav", tags={"accent": "welsh"}),
        utterance("b", "one two", speaker="ben", snr_db=22.0, duration_s=3.0, source="b.wav", tags={"accent": "scots"}),
        utterance("c", "one two", speaker="ben", snr_db=None, duration_s=3.0, source="ward/x/c.wav"),
    ]
    texts = {"a": "one", "b": "one two", "c": "one two"}
    found = evaluated(utterances, texts, texts, slices={"columns": ("accent",)}).results
    told = [(each.dimension, each.value, each.utterances) for each in found.slices]
    assert told == [
        ("condition", "noisy", 3),
        ("snr_db", "0 to 5 dB", 1),
        ("snr_db", "20 dB and more", 1),
        ("snr_db", "unknown", 1),
        ("duration_s", "below 1 s", 1),
        ("duration_s", "2 to 5 s", 2),
        ("speaker", "anna", 1),
        ("speaker", "ben", 2),
        ("source", ".", 1),
        ("source", "ward", 2),
        ("accent", "scots", 1),
        ("accent", "unknown", 1),
        ("accent", "welsh", 1),
    ]
    for dimension in {name for name, _, _ in told}:
        members = [each for each in found.slices if each.dimension == dimension]
        assert sum(each.words for each in members) == found.overall.words
        assert sum(each.base.deletions for each in members) == found.overall.base.deletions


def test_rows_hold_what_lists_say_in_the_columns_asked_for() -> None:
    tagged = utterance("a", "one", tags={"accent": "welsh", "room": "3"}, session="monday")
    asked = {"columns": ("accent", "session")}
    (row,) = evaluated([tagged], {"a": "one"}, {"a": "one"}, slices=asked).utterances
    assert row.columns == {"accent": "welsh", "session": "monday"}
    (plain,) = evaluated([tagged], {"a": "one"}, {"a": "one"}).utterances
    assert plain.columns == {}


def test_an_unknown_slice_column_names_those_that_exist() -> None:
    tagged = utterance("a", "one", tags={"accent": "welsh"})
    with pytest.raises(ParamsError, match=r"names 'microphone', .* their columns are: accent$"):
        evaluated([tagged], {"a": "one"}, {"a": "one"}, slices={"columns": ("microphone",)})


def test_other_normalisers_are_named_with_their_version_and_do_not_decide() -> None:
    raw = Normalizer("raw", "as written", lambda text: text)
    utterances, base, tuned = four()
    own, other = evaluated(utterances, base, tuned, beside={"normalizers": [raw]}).results.normalizers
    assert (own.name, own.version, own.decides, own.tuned_wer) == ("attune", "attune-basic-1", True, 0.1)
    assert (other.name, other.version, other.decides) == ("raw", "as written", False)
    assert other.tuned_wer == jiwer.wer([u.reference or "" for u in utterances], [tuned[u.id] for u in utterances])
    assert other.tuned_wer == 0.3


def test_recall_of_glossary_terms_counts_whole_terms() -> None:
    utterances = [utterance("a", "his blood sugar is low"), utterance("b", "blood, sugar and Metformin")]
    base, tuned = (
        {"a": "his blood shugger is low", "b": "blood sugar and met"},
        {"a": "his blood sugar is low", "b": "blood sugar met"},
    )
    terms = ("blood sugar", "metformin", "insulin")
    found = evaluated(utterances, base, tuned, beside={"terms": terms}).results.glossary
    assert [(t.term, t.said, t.base, t.tuned) for t in found.terms] == [("metformin", 1, 0, 0), ("blood sugar", 2, 1, 2)]
    assert (found.said, found.base_recall, found.tuned_recall, found.never_said) == (
        3,
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1,
    )


def test_words_written_of_silence_and_noise_are_hallucinations() -> None:
    played = [("silence", "", ""), ("silence", "thank you", "..."), ("noise", "bye", "bye")]
    silence, noise = evaluated(*four(), played).results.hallucinations
    assert (silence.sound, silence.clips, silence.base_share, silence.tuned_share) == ("silence", 2, 0.5, 0)
    assert (noise.sound, noise.base_share, noise.tuned_share, noise.examples) == ("noise", 1, 1, ("bye",))


def test_agreement_with_gold_stands_apart_and_moves_no_score() -> None:
    utterances, base, tuned = four()
    plain = evaluated(utterances, base, tuned).results
    unwritten = [utterance("x", None), utterance("y", None)]
    golds = {"x": Gold("x", "six five four", "llm", "why"), "y": Gold("y", None, "quarantined", "why")}
    more = base | {"x": "sick five four"}, tuned | {"x": "six five four"}
    found = evaluated([*utterances, *unwritten], *more, beside={"golds": golds})
    told = found.results.agreement_with_gold
    assert told is not None
    assert (told.utterances, told.with_gold, told.base_same_text_share, told.tuned_same_text_share) == (2, 1, 0, 1)
    assert (told.base_disagreement, told.tuned_disagreement) == (pytest.approx(1 / 3), 0)
    assert [row.id for row in found.agreement] == ["x"]
    assert found.results.overall == plain.overall
    assert not {"x", "y"} & {row.id for row in found.utterances}
    assert plain.agreement_with_gold is None


def test_confusions_are_counted_for_both_models() -> None:
    found = evaluated(*four()).results.confusions
    assert next((c.reference, c.hypothesis, c.base, c.tuned) for c in found) == ("three", "tree", 1, 1)
    assert ("six", "sicks") in {(c.reference, c.hypothesis) for c in found}


def test_results_survive_a_file(tmp_path: Path) -> None:
    found = evaluated(*four(), [("noise", "bye", "")]).results
    write_results(tmp_path / "results.json", found)
    again = read_results(tmp_path / "results.json")
    assert [each.value for each in again.slices] == [each.value for each in found.slices]
    assert again.overall.tuned.wer == pytest.approx(found.overall.tuned.wer)
    assert again.verdict == found.verdict
    assert again.decoding == found.decoding
    write_results(tmp_path / "again.json", again)
    assert (tmp_path / "again.json").read_text() == (tmp_path / "results.json").read_text()


@pytest.mark.parametrize("content", ['{"overall": {"base_wer": 0.1}}', '{"format": "attune-evaluation-1"}', "[]", "no json"])
def test_results_of_another_version_are_refused_with_the_command(content: str) -> None:
    with pytest.raises(DataError, match=r"main:metrics.json .*dvc repro --force evaluate"):
        parse_results(content, "main:metrics.json")


def test_results_that_lack_something_or_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a whole evaluation \(.*missing"):
        parse_results(json.dumps({"format": FORMAT}), "here")
    with pytest.raises(DataError, match="does not exist; make it with: dvc repro evaluate"):
        read_results(tmp_path / "none.json")


def test_headline_is_flat_and_holds_what_is_compared() -> None:
    found = headline(evaluated(*four(), [("noise", "bye", "")]).results)
    assert all(value is None or isinstance(value, int | float) for value in found.values())
    assert found["base_wer"] == 0.6
    assert found["noisy_tuned_wer"] == pytest.approx(1 / 6)
    assert found["hallucination_share"] == 0
    assert found["passed"] == 0


def test_scores_hold_overall_and_every_condition() -> None:
    results = evaluated(*four()).results
    found = scores(results)
    assert set(found) == {"overall", "clean", "noisy", "unit", "confidence", "normalizer"}
    assert found["noisy"]["base_substitutions"] == 4


def test_one_condition_alone_is_fine() -> None:
    utterances, base, tuned = four()
    found = scores(evaluated([u for u in utterances if u.condition == "noisy"], base, tuned).results)
    assert "clean" not in found
    assert found["noisy"]["utterances"] == 2


def test_the_folder_holds_every_utterance_and_every_slice(tmp_path: Path) -> None:
    found = evaluated(*four())
    write_folder(tmp_path, found)
    rows = read_jsonl(tmp_path / "utterances.jsonl", UtteranceResult)
    assert tuple(rows) == found.utterances
    assert Counter(row.outcome for row in rows) == {"better": 3, "same": 1}
    assert (rows[0].reference, rows[0].base, rows[0].tuned) == ("One two three four.", "one too tree", "one two tree four")
    assert (tmp_path / "agreement.jsonl").read_text() == ""
    assert len((tmp_path / "slices.csv").read_text().splitlines()) == 1 + len(slice_rows(found.results))
    assert json.loads((tmp_path / "scores.json").read_text())["overall"]["utterances"] == 4


def test_same_inputs_give_the_same_numbers() -> None:
    assert evaluated(*four()) == evaluated(*four())
