"""How sure the difference on the whole test is: by speakers and by utterances, a second test, and what it could find at all."""

import math
from collections.abc import Sequence

from attune.matched_pairs import matched_pairs
from attune.params import EvaluateParams
from attune.report.pairs import Pair, counts, words
from attune.report.results import MatchedPairs, Resampled, Uncertainty, Unit
from attune.report.slices import ENOUGH_SPEAKERS, deciding_unit, difference, known
from attune.significance import PairedCounts, minimum_detectable, paired_rates
from attune.text import normalize

_POINTS = 100
_MANY_SPEAKERS = 10


def uncertainty(pairs: Sequence[Pair], params: EvaluateParams) -> Uncertainty:
    """By both units, MAPSSWE, and the smallest difference that the deciding unit would find."""
    by_utterance = counts(pairs, words)
    by_speaker = by_utterance.by_block([pair.utterance.speaker for pair in pairs])
    unit = deciding_unit(pairs, params)
    smallest = known(minimum_detectable(by_speaker if unit == "speakers" else by_utterance, params.confidence) * _POINTS)
    needed = None
    if smallest is not None:
        needed = math.ceil(len(pairs) * max(1.0, (smallest / params.smallest_difference_points) ** 2))
    speakers = len(by_speaker.lengths)
    return Uncertainty(
        unit=unit,
        confidence=params.confidence,
        bootstrap_samples=params.bootstrap_samples,
        speakers=_resampled("speakers", by_speaker, params),
        utterances=_resampled("utterances", by_utterance, params),
        mapsswe=_matched(pairs),
        minimum_detectable_points=smallest,
        utterances_needed=needed,
        warnings=tuple(_warnings(unit, len(pairs), speakers, smallest, needed, params)),
    )


def _resampled(unit: Unit, tokens: PairedCounts, params: EvaluateParams) -> Resampled:
    (found,) = paired_rates([tokens], params.bootstrap_samples, params.confidence, params.seed)
    return Resampled(
        unit=unit,
        units=len(tokens.lengths),
        base_wer_low=known(found.base.low),
        base_wer_high=known(found.base.high),
        tuned_wer_low=known(found.tuned.low),
        tuned_wer_high=known(found.tuned.high),
        wer_improvement=difference(found.difference),
        p_value=known(found.difference.p_value),
    )


def _matched(pairs: Sequence[Pair]) -> MatchedPairs:
    texts = ((normalize(t) for t in (p.base.reference, p.base.hypothesis, p.tuned.hypothesis)) for p in pairs)
    found = matched_pairs((reference, base, tuned) for reference, base, tuned in texts)
    return MatchedPairs(found.segments, known(found.mean), known(found.z), known(found.p_value))


def _as_many(unit: Unit, needed: int, utterances: int, speakers: int) -> str:
    """So many more of the same kind: where speakers are what was resampled, more sentences of these do not help much."""
    if unit == "utterances":
        return f"{needed} utterances of such speech (it has {utterances})"
    return f"{math.ceil(speakers * needed / utterances)} speakers with as many utterances each (it has {speakers})"


def _warnings(
    unit: Unit, utterances: int, speakers: int, smallest: float | None, needed: int | None, params: EvaluateParams
) -> list[str]:
    told = []
    if utterances == 1:
        told.append("One utterance tells nothing of others: there are no intervals.")
    elif speakers == 1:
        told.append("One speaker was tested: the intervals tell what other sentences of this speaker would give, no more.")
    elif unit == "utterances" and speakers < ENOUGH_SPEAKERS:
        told.append(
            f"Only {speakers} speakers were tested: the intervals tell what other sentences of these would give, not what other "
            f"speakers would. From {ENOUGH_SPEAKERS} on they can."
        )
    elif unit == "speakers" and speakers < _MANY_SPEAKERS:
        told.append(f"Only {speakers} speakers were tested: so few tell little of others, and the intervals are wide for it.")
    wanted = params.smallest_difference_points
    if smallest is not None and needed is not None and smallest > wanted:
        told.append(
            f"This test is small: it finds a difference of {smallest:.1f} percentage points of WER four times in five, and "
            f"smaller ones less often. To find {wanted:g} points, about "
            f"{_as_many(unit, needed, utterances, speakers)} are needed."
        )
    return told
