"""May the tuned model take the base model's place? Each limit of `evaluate.validation` has its sentence."""

from collections.abc import Iterator, Sequence

from attune.params import EvaluateParams, ValidationParams
from attune.report.pairs import Pair
from attune.report.results import FailedSample, SliceScores, SuiteScores, Uncertainty, Verdict
from attune.report.wording import counted, listed, recordings

_POINTS = 100


def verdict(
    overall: SliceScores,
    slices: Sequence[SliceScores],
    forgetting: SliceScores | None,
    sure: Uncertainty,
    suites: Sequence[SuiteScores],
    pairs: Sequence[Pair],
    params: EvaluateParams,
    *,
    trained: bool,
) -> Verdict:
    """Passed where nothing speaks against it; what comes near a limit, but may be chance, is a warning."""
    asked = params.validation
    failures = (
        list(_failures(overall, asked, params.confidence)) if trained else ["nothing was learnt, so there is no tuned model"]
    )
    warnings = list(sure.warnings)
    over = [(part, text) for part, limit, what in _limited(slices, forgetting, asked) if (text := _over(part, limit, what))]
    failures += [text for part, text in over if part.wer_improvement.certain]
    warnings += _maybe([text for part, text in over if not part.wer_improvement.certain])
    failures += [_of_suite(suite) for suite in suites if suite.failed]
    warnings += [_of_suite(suite) for suite in suites if (suite.degraded or suite.wer is None) and not suite.failed]
    warnings += [
        f"suite {s.name} lacks {counted(len(s.missing), 'utterance')}: {listed(list(s.missing))}" for s in suites if s.missing
    ]
    return Verdict(
        passed=not failures,
        failure_reason=listed(failures) or None,
        failures=tuple(failures),
        warnings=tuple(warnings),
        sentence=_sentence(overall, failures, params.confidence),
        failed_samples=tuple(_sample(pair) for pair in sorted(_worse(pairs), key=_urgency)),
    )


def _failures(overall: SliceScores, asked: ValidationParams, confidence: float) -> Iterator[str]:
    gained = overall.wer_improvement
    if gained.points is None:
        yield "there is no WER to compare"
        return
    if gained.points < asked.min_wer_improvement * _POINTS - 1e-9:
        least = asked.min_wer_improvement * _POINTS
        yield f"WER {_moved(gained.points)} points{f', and it is to fall by at least {least:.2f}' if least > 0 else ''}"
    if asked.require_significance and gained.none:
        yield "both models make as many errors in every recording, so nothing is gained"
    elif asked.require_significance and gained.low is None:
        yield "there is no interval, as too little was tested"
    elif asked.require_significance and gained.low is not None and gained.low <= 0:
        bounds = f"{gained.low:.2f} to {gained.high:.2f} points"
        yield f"the {confidence:.0%} interval of the improvement, {bounds}, does not lie above zero"


def _limited(
    slices: Sequence[SliceScores], forgetting: SliceScores | None, asked: ValidationParams
) -> Iterator[tuple[SliceScores, float, str]]:
    """Every slice with its limit. Without recordings for it, the clean ones are what the base model could already."""
    kept = None
    if asked.max_forgetting_points is not None:
        kept = forgetting or next((p for p in slices if (p.dimension, p.value) == ("condition", "clean")), None)
        if kept is not None:
            yield kept, asked.max_forgetting_points, f"{recordings(kept.dimension, kept.value)} are forgotten"
    if asked.max_slice_increase_points is not None:
        for part in (p for p in slices if p is not kept):
            yield part, asked.max_slice_increase_points, f"{recordings(part.dimension, part.value)} got worse"


def _over(part: SliceScores, limit: float, what: str) -> str | None:
    gained = part.wer_improvement
    if gained.points is None or -gained.points <= limit:
        return None
    return f"{what}: WER rose by {-gained.points:.2f} points on {counted(part.utterances, 'utterance')} (limit {limit:g})"


def _maybe(texts: list[str]) -> list[str]:
    """One warning of all that got worse by more than allowed, but not beyond chance."""
    return [f"This may be chance, and is no proof: {listed(texts)}."] if texts else []


def _moved(points: float) -> str:
    return "changed by 0.00" if abs(points) < 0.005 else f"fell by {points:.2f}" if points > 0 else f"rose by {-points:.2f}"


def _of_suite(suite: SuiteScores) -> str:
    if suite.wer is None:
        return f"{suite.kind} suite {suite.name} has no utterance left in the test"
    rates = (("WER", suite.baseline_wer, suite.wer), ("CER", suite.baseline_cer, suite.cer))
    rose = [
        f"{name} rose from {before:.2%} ({suite.version}) to {now:.2%}"
        for name, before, now in rates
        if before is not None and now is not None and now > before
    ]
    return f"{suite.kind} suite {suite.name}: {' and '.join(rose)}"


def _sentence(overall: SliceScores, failures: list[str], confidence: float) -> str:
    gained = overall.wer_improvement
    tested = f"{counted(overall.utterances, 'utterance')} of {counted(overall.speakers, 'held-out speaker')}"
    if overall.base.wer is None or overall.tuned.wer is None or gained.points is None:
        return f"Not passed: {listed(failures)}."
    bounds = "no interval" if gained.low is None else f"{confidence:.0%} interval {gained.low:.2f} to {gained.high:.2f}"
    moved = (
        f"on {tested} WER went from {overall.base.wer:.2%} to {overall.tuned.wer:.2%}; it {_moved(gained.points)} percentage "
        f"points (fall: {bounds})"
    )
    return f"Passed: {moved}." if not failures else f"Not passed: {listed(failures)}. In all, {moved}."


def _worse(pairs: Sequence[Pair]) -> list[Pair]:
    return [pair for pair in pairs if pair.outcome == "worse"]


def _urgency(pair: Pair) -> tuple[int, str]:
    return pair.base.words.errors - pair.tuned.words.errors, pair.utterance.id


def _sample(pair: Pair) -> FailedSample:
    return FailedSample(
        id=pair.utterance.id,
        source=pair.utterance.source,
        base_errors=pair.base.words.errors,
        tuned_errors=pair.tuned.words.errors,
        reference=pair.base.reference,
        base=pair.base.hypothesis,
        tuned=pair.tuned.hypothesis,
    )
