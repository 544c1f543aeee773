"""The report for reviewers: what changed, how sure that is, and what got worse first."""

from dataclasses import replace

from evaluations import evaluated, four
from pages import HOSTILE, TRAINING, evaluation
from shipped import evaluate_params

from attune.report.evaluation import Evaluation
from attune.report.pictures import pictures
from attune.report.pull_request import Revision, pull_request_report

_PARAMS = evaluate_params(bootstrap_samples=400)


def _report(found: Evaluation, against: Revision | None = None, images: str = "figures/{}") -> str:
    drawn = pictures(found.results, found.utterances, TRAINING)
    return pull_request_report(found.results, found.utterances, drawn, _PARAMS, images=images, against=against)


def test_the_verdict_and_both_models_come_first() -> None:
    lines = _report(evaluation()).splitlines()
    assert lines[0] == "## ✗ Not passed: tuned model beside base model"
    (wer,) = (line for line in lines if line.startswith("| WER |"))
    assert wer.startswith("| WER | 47.99% | 35.90% | ↓\N{NO-BREAK SPACE}−12.09 (−")
    assert wer.endswith("✓ better |")
    assert any(line.startswith("| CER |") and "may be chance" in line for line in lines)


def test_slices_that_got_worse_stand_worst_first() -> None:
    text = _report(evaluation()).partition("### Slices that got worse")[2]
    assert text.index("duration: 1 to 2 s") < text.index("condition: clean") < text.index("speaker: speaker 0")
    assert "condition: noisy" not in text


def test_another_revision_is_compared_on_the_utterances_that_both_tested() -> None:
    utterances, base, tuned = four()
    now, before = evaluated(utterances, base, tuned), evaluated(utterances[1:], base, base)
    text = _report(now, Revision("main", before.results, before.utterances))
    assert "### Tuned model against main" in text
    assert "| WER | 50.00% | 10.00% | ↓\N{NO-BREAK SPACE}−" in text.partition("### Tuned")[2]
    assert "On the 3 utterances that both tested: " in text
    assert "The tests differ" in text


def test_a_reference_that_was_changed_is_not_compared() -> None:
    found = evaluation()
    rows = [replace(row, reference="something else") for row in found.utterances]
    assert "No utterance was tested in both" in _report(found, Revision("main", found.results, rows))


def test_the_same_model_shows_no_certain_difference() -> None:
    found = evaluation()
    text = _report(found, Revision("main", found.results, found.utterances))
    assert "On the 42 utterances that both tested: **no certain difference**; WER 0.00 points" in text
    assert "The tests differ" not in text


def test_texts_from_outside_are_no_markup() -> None:
    utterances, base, tuned = four()
    hostile = [replace(u, speaker=f"@octocat | {HOSTILE} [x](y)") if u.speaker == "ben" else u for u in utterances]
    text = _report(evaluated(hostile, tuned, base))
    assert "speaker: &#64;octocat &#124; &lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text
    assert "@octocat" not in text


def test_pictures_are_where_they_are_said_to_be() -> None:
    address = "https://github.com/me/stt/blob/abc/metrics/figures/{}?raw=true"
    assert f"![WER by noise]({address.format('wer_by_snr.svg')})" in _report(evaluation(), images=address)
