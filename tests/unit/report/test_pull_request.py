"""The report for reviewers: what changed, how sure that is, and what got worse first."""

from dataclasses import replace

from evaluations import evaluated, four
from pages import HOSTILE, TRAINING, evaluation

from attune.report.evaluation import Evaluation
from attune.report.pictures import pictures
from attune.report.pull_request import MARKER, pull_request_report


def _report(found: Evaluation, images: str = "figures/{}", change: str = "") -> str:
    drawn = pictures(found.results, found.utterances, TRAINING)
    return pull_request_report(found.results, drawn, images=images, change=change)


def test_the_verdict_and_both_models_come_first() -> None:
    lines = _report(evaluation()).splitlines()
    assert lines[:2] == [MARKER, "## ✗ Not passed: tuned model beside base model"]
    (wer,) = (line for line in lines if line.startswith("| WER |"))
    assert wer.startswith("| WER | 47.99% | 35.90% | ↓\N{NO-BREAK SPACE}−12.09 (−")
    assert wer.endswith("✓ better |")
    assert any(line.startswith("| CER |") and "may be chance" in line for line in lines)


def test_slices_that_got_worse_stand_worst_first() -> None:
    text = _report(evaluation()).partition("### Slices that got worse")[2]
    assert text.index("length: 1 to 2 s") < text.index("condition: clean") < text.index("speaker: speaker 0")
    assert "condition: noisy" not in text


def test_what_a_change_brings_stands_before_the_base_model() -> None:
    text = _report(evaluation(), change="### Against main")
    assert text.index("### Against main") < text.index("### Tuned model against its base model") < text.index("| WER |")


def test_texts_from_outside_are_no_markup() -> None:
    utterances, base, tuned = four()
    hostile = [replace(u, speaker=f"@octocat | {HOSTILE} [x](y)") if u.speaker == "ben" else u for u in utterances]
    text = _report(evaluated(hostile, tuned, base))
    assert "speaker: &#64;octocat &#124; &lt;script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text
    assert "@octocat" not in text


def test_pictures_are_where_they_are_said_to_be() -> None:
    address = "https://github.com/me/stt/raw/abc/metrics/figures/{}?sanitize=true"
    assert f"![WER by noise]({address.format('wer_by_snr.svg')})" in _report(evaluation(), images=address)


def test_a_report_of_very_long_names_still_fits_a_comment() -> None:
    utterances, base, tuned = four()
    many = [replace(u, id=f"{u.id}-{n}", speaker=f"{n} {'&' * 5000}") for n in range(100) for u in utterances]
    texts = [{u.id: said[u.id.partition("-")[0]] for u in many} for said in (tuned, base)]
    found = evaluated(many, *texts, validation={"max_slice_increase_points": 0.0})
    text = _report(found)
    assert text.count("…") >= 8
    assert len(text) < 65_536
