"""An evaluation of transcription as it is compared with others: WER, and what stands beside it."""

from collections.abc import Iterator

from attune.files import parse_jsonl
from attune.report.experiments import Outcome
from attune.report.results import Results, UtteranceResult, parse_results
from attune.report.tables import UTTERANCE_ROWS

ROWS = UTTERANCE_ROWS
NOTE = ""
_RECALL = "Glossary recall"


def outcome(text: str, where: str) -> Outcome:
    """Of the text of evaluation_results.json; raises DataError where it is none, or of another version of Attune."""
    results = parse_results(text, where)
    whole = results.overall
    return Outcome(
        wer=whole.tuned.wer,
        wer_low=whole.tuned.wer_low,
        wer_high=whole.tuned.wer_high,
        cer=whole.tuned.cer,
        passed=results.verdict.passed,
        utterances=whole.utterances,
        words=whole.words,
        suites={suite.name: suite.wer for suite in results.suites},
        figures=dict(_figures(results)),
        rising=frozenset({_RECALL}),
    )


def rows(text: str, where: str) -> list[UtteranceResult]:
    """Of the text of evaluation/utterances.jsonl."""
    return list(parse_jsonl(text, where, UtteranceResult))


def _figures(results: Results) -> Iterator[tuple[str, float | None]]:
    yield "WER", results.overall.tuned.wer
    yield from ((f"WER, {p.value}", p.tuned.wer) for p in results.slices if p.dimension == "condition")
    yield "WER out of domain", results.forgetting.tuned.wer if results.forgetting else None
    yield "CER", results.overall.tuned.cer
    yield "WER of the base model", results.overall.base.wer
    yield _RECALL, results.glossary.tuned_recall
    yield "Clips without speech that got words", results.hallucination_share
    yield from ((f"Suite {suite.name}, WER", suite.wer) for suite in results.suites)
