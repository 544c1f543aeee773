"""The verdict: what fails it, what is only told, and what each says."""

from dataclasses import replace
from typing import Any

import pytest
from evaluations import DECODING, evaluated, utterance

from attune.records import Utterance
from attune.report.conclusions import judgement
from attune.report.results import Results
from attune.report.tables import headline


def _test_set(errors: dict[str, tuple[int, int]], each: int = 30) -> tuple[list[Utterance], dict[str, str], dict[str, str]]:
    """For each condition `each` sentences of ten words, in which base and tuned make so many errors; some one more, by turns."""
    words = [f"word{n}" for n in range(10)]
    utterances, base, tuned = list[Utterance](), dict[str, str](), dict[str, str]()
    for condition, (before, after) in errors.items():
        for number in range(each):
            name = f"{condition}{number}"
            utterances.append(utterance(name, " ".join(words), condition, speaker=f"s{number % 6}"))  # type: ignore[arg-type]
            for texts, count in ((base, before), (tuned, after)):
                wrong = count + (number % 3 == 0) if count else 0
                texts[name] = " ".join(["x"] * wrong + words[wrong:])
    return utterances, base, tuned


def _judged(errors: dict[str, tuple[int, int]], **changes: Any) -> Results:
    return evaluated(*_test_set(errors), **changes).results


def test_a_sure_improvement_passes_and_says_by_how_much() -> None:
    found = _judged({"noisy": (4, 2)}).verdict
    assert found.passed
    assert found.failure_reason is None
    assert found.sentence.startswith(
        "Passed: on 30 utterances of 6 held-out speakers WER went from 43.33% to 23.33%; it fell by 20.00"
    )
    assert found.failed_samples == ()


def test_an_improvement_below_the_least_wanted_fails() -> None:
    found = _judged({"noisy": (4, 2)}, validation={"min_wer_improvement": 0.25}).verdict
    assert found.failure_reason == "WER fell by 20.00 points, and it is to fall by at least 25.00"


def test_an_improvement_that_may_be_chance_fails_only_where_significance_is_asked_for() -> None:
    utterances, base, _ = _test_set({"noisy": (2, 2)})
    tuned = dict(base) | {"noisy1": " ".join(f"word{n}" for n in range(10))}
    strict, lax = (evaluated(utterances, base, tuned, validation={"require_significance": r}).results for r in (True, False))
    assert strict.verdict.failure_reason is not None
    assert "does not lie above zero" in strict.verdict.failure_reason
    assert lax.verdict.passed


def test_a_slice_that_surely_got_worse_fails() -> None:
    found = _judged({"noisy": (5, 2), "clean": (1, 2)}).verdict
    assert not found.passed
    assert found.failures == ("clean recordings are forgotten: WER rose by 10.00 points on 30 utterances (limit 1)",)
    assert [sample.id for sample in found.failed_samples[:2]] == ["clean0", "clean1"]
    assert len(found.failed_samples) == 30
    unlimited = _judged(
        {"noisy": (5, 2), "clean": (1, 2)}, validation={"max_forgetting_points": None, "max_slice_increase_points": None}
    )
    assert unlimited.verdict.passed


@pytest.mark.parametrize(("tuned_errors", "passed"), [(1, True), (2, False)])
def test_recordings_of_another_kind_stand_for_what_must_not_be_forgotten(tuned_errors: int, passed: bool) -> None:
    utterances, base, tuned = _test_set({"noisy": (5, 2), "clean": (1, 2)})
    others, before, after = _test_set({"clean": (1, tuned_errors)})
    renamed = [replace(u, id=f"other {u.id}") for u in others]
    texts = ({**one, **{f"other {name}": text for name, text in two.items()}} for one, two in ((base, before), (tuned, after)))
    found = evaluated(
        utterances, *texts, beside={"out_of_domain": renamed}, validation={"max_slice_increase_points": None}
    ).results
    assert found.overall.utterances == 60
    assert found.forgetting is not None
    assert found.forgetting.utterances == 30
    assert found.verdict.passed == passed
    told = "recordings of another kind are forgotten: WER rose by 10.00 points on 30 utterances (limit 1)"
    assert found.verdict.failure_reason == (None if passed else told)
    assert "On 30 recordings of another kind, which must not be forgotten: WER 13.33% before" in judgement(found)
    assert headline(found)["forgetting_base_wer"] == pytest.approx(0.1333, abs=1e-3)


def test_a_slice_is_told_in_plain_words() -> None:
    utterances, base, tuned = _test_set({"noisy": (2, 3)})
    quiet, base_quiet, tuned_quiet = _test_set({"clean": (4, 1)})
    louder = [replace(u, snr_db=3.0) for u in utterances]
    found = evaluated([*louder, *quiet], base | base_quiet, tuned | tuned_quiet).results.verdict
    assert any(text.startswith("recordings with much noise (speech 0 to 5 dB above it) got worse") for text in found.failures)
    assert "snr_db" not in f"{found.sentence} {found.failures} {found.warnings}"


def test_a_slice_that_got_worse_perhaps_by_chance_is_told_and_does_not_fail() -> None:
    utterances, base, tuned = _test_set({"noisy": (5, 2), "clean": (0, 0)})
    tuned["clean3"] = "x x x x x"
    found = evaluated(utterances, base, tuned).results.verdict
    assert found.passed
    assert any("This may be chance" in w and "clean recordings are forgotten" in w for w in found.warnings)


def test_a_worse_model_is_said_to_be_worse() -> None:
    found = _judged({"noisy": (3, 4)}).verdict
    assert found.failures[0] == "WER rose by 10.00 points"
    assert "it rose by 10.00 percentage points (fall: 95% interval -10.00 to -10.00)" in found.sentence


def test_where_nothing_was_learnt_there_is_nothing_to_pass() -> None:
    beside = {"decoding": DECODING.__class__(**{**vars(DECODING), "trained": False, "method": "none"})}
    utterances, base, _ = _test_set({"noisy": (4, 4)})
    found = evaluated(utterances, base, base, beside=beside).results.verdict
    assert found.failure_reason == "nothing was learnt, so there is no tuned model"


@pytest.mark.parametrize(
    ("errors", "about", "says"),
    [
        ({"noisy": (4, 1)}, "worth", "above 15%: fine-tuning is worth it"),
        ({"noisy": (4, 1)}, "deploy", "Deploy: 69% of the base model's WER is gone, more than 30%"),
        ({"noisy": (4, 3)}, "deploy", "You can deploy, and more recordings should still help: 23%"),
        ({"noisy": (6, 5)}, "collect", "Collect more before you rely on it: 16%"),
        ({"noisy": (3, 4)}, "deploy", "Do not deploy: "),
        ({"noisy": (0, 0)}, "deploy", "nothing to gain: keep it"),
        ({"noisy": (0, 0)}, "worth", "below 10%: fine-tuning is hardly worth"),
        ({"noisy": (6, 5), "clean": (1, 1)}, "slice", "More noisy recordings would help most"),
        ({"noisy": (4, 1)}, "words", "word0 (30 of 30)"),
        ({"noisy": (3, 4)}, "collect", "Collect more and train again: WER is 30% higher"),
        ({"noisy": (4, 1)}, "collect", "There were 0 minutes with text to train on; 20 hours are a good measure"),
        ({"noisy": (4, 1)}, "test", "Only 6 speakers were tested"),
    ],
)
def test_advice_follows_the_bounds_of_params(errors: dict[str, tuple[int, int]], about: str, says: str) -> None:
    told = [advice.text for advice in _judged(errors).advice if advice.about == about]
    assert any(says in text for text in told), told


def test_a_small_test_says_what_it_can_find_and_how_much_is_needed() -> None:
    utterances, base, tuned = _test_set({"noisy": (2, 2)})
    for number in range(0, 30, 4):
        tuned[f"noisy{number}"] = base[f"noisy{number}"].replace("word9", "x")
    found = evaluated(utterances, base, tuned, smallest_difference_points=0.5).results.uncertainty
    assert found.minimum_detectable_points is not None
    assert found.utterances_needed is not None
    assert found.minimum_detectable_points > 0.5
    assert found.utterances_needed == pytest.approx(30 * (found.minimum_detectable_points / 0.5) ** 2, abs=1)
    assert any("This test is small" in warning for warning in found.warnings)
