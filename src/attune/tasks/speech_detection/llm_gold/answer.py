"""Gold is the label that came with a clip, or a person's correction of it; nobody else is asked.

Low accuracy usually means wrong labels, so those that the model or the VAD contradicts are put up for review.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attune.corrections import Correction, read_corrections
from attune.correctors.gold import ReviewItem
from attune.dataset import read_utterances
from attune.errors import DataError
from attune.params import Params
from attune.records import Gold, Hypothesis, Utterance
from attune.tasks.protocol import Believed
from attune.tasks.speech_detection.parts.labels import LABELS, NONSPEECH, SPEECH

_NAMED = 5
_BOTH, _MODEL, _VAD = "model_and_vad_contradict", "model_contradicts", "vad_contradicts"
_URGENCY = (_BOTH, _MODEL, _VAD)


def believe(prepared: Path, heard: Sequence[Hypothesis], params: Params) -> Believed:
    """A Gold for each clip. Raises DataError where a correction is no label, or the baseline is of other clips."""
    utterances, by_id = read_utterances(prepared), {h.id: h for h in heard}
    if missing := [u.id for u in utterances if u.id not in by_id]:
        raise DataError(f"the baseline has no label for {len(missing)} clips, {missing[0]} first; run: dvc repro stt_baseline")
    corrections = _checked(read_corrections(params.llm_gold.corrections))
    golds = [_gold(u, corrections.get(u.id)) for u in utterances]
    pairs = list(zip(utterances, golds, strict=True))
    review = list(_contradicted(pairs, by_id, params.llm_gold.detection.sure_from))
    review.sort(key=lambda item: (_URGENCY.index(item.why.partition(":")[0]), -item.confidence, item.id))
    void = len(corrections.keys() - by_id.keys())
    changed = sum(g.why == "edited" and g.text != u.reference for u, g in pairs)
    figures = {
        "clips": len(golds),
        "labels": dict(sorted(Counter(g.text for g in golds if g.text).items())),
        "corrected_by_people": sum(g.why != "label" for g in golds),
        "labels_changed": changed,
        "discarded": sum(g.text is None for g in golds),
        "void_corrections": void,
        "review": dict(sorted(Counter(item.why.partition(":")[0] for item in review).items())),
    }
    wanted = [g for u, g in pairs if u.split == "train"]
    told = f"{sum(g.text is not None for g in wanted)} of {len(wanted)} clips for training have a label"
    return Believed(golds, review, figures, told, f" {void} corrections are of sound that is no more." if void else "")


def _checked(corrections: Mapping[str, Correction]) -> dict[str, Correction]:
    wrong = [c for c in corrections.values() if c.text is not None and c.text.upper() not in LABELS]
    if wrong:
        named = ", ".join(f"{c.row} says {c.text!r}" for c in wrong[:_NAMED])
        raise DataError(f"{len(wrong)} correction(s) are no labels: {named}; write SPEECH or NONSPEECH, or the status discarded")
    return dict(corrections)


def _gold(utterance: Utterance, correction: Correction | None) -> Gold:
    if correction is None:
        return Gold(utterance.id, utterance.reference, "human", "label")
    if correction.text is None:
        return Gold(utterance.id, None, "quarantined", "discarded")
    return Gold(utterance.id, correction.text.upper(), "human", correction.verdict)


def _contradicted(
    pairs: Sequence[tuple[Utterance, Gold]], heard: Mapping[str, Hypothesis], sure_from: float
) -> Iterator[ReviewItem]:
    """Labels that nobody corrected yet, and who contradicts them."""
    for utterance, gold in pairs:
        model = heard[utterance.id]
        probability = model.confidence if model.probability is None else model.probability
        by_model = model.text != gold.text and probability >= sure_from
        voice = utterance.speech_share
        by_vad = voice is not None and gold.text != (SPEECH if voice > 0 else NONSPEECH)
        if gold.why == "label" and (by_model or by_vad):
            who = _BOTH if by_model and by_vad else _MODEL if by_model else _VAD
            told = f"{who}: labelled {gold.text}, the model says {model.text} ({probability:.0%}), "
            said = "nobody was asked" if voice is None else f"the VAD finds speech in {voice:.0%} of the time"
            yield ReviewItem(utterance.id, utterance.source, told + said, model.confidence, model.text, gold.text)
