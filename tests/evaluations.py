"""What the tests of evaluation share: utterances, texts, and everything beside them, small."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from shipped import evaluate_params

from attune.records import Condition, Hypothesis, Split, Utterance
from attune.report.evaluation import Evaluation, Material, evaluate
from attune.report.results import Decoding, Results, SliceScores

DECODING = Decoding(
    base="models/tiny/whisper",
    tuned="models/finetuned",
    trained=True,
    method="lora",
    engine="ctranslate2",
    compute_type="float32",
    language=None,
    task="transcribe",
    long_audio="pauses",
    temperatures=(0.0,),
)
Texts = Mapping[str, str]


def utterance(
    name: str,
    reference: str | None,
    condition: Condition = "noisy",
    speaker: str = "anna",
    split: Split = "test",
    **facts: Any,
) -> Utterance:
    """One of two seconds."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    given: dict[str, Any] = {"duration_s": 2.0, "snr_db": 12.0, "source": f"{name}.wav", "reference": reference, **facts}
    return Utterance(id=name, audio_digest=digest, speaker=speaker, condition=condition, split=split, **given)


def heard(texts: Texts) -> dict[str, Hypothesis]:
    """Hypotheses of that text, all equally sure."""
    return {name: Hypothesis(name, text, 0.9) for name, text in texts.items()}


def four() -> tuple[list[Utterance], dict[str, str], dict[str, str]]:
    """Two clean and two noisy utterances of two speakers; tuned is better."""
    utterances = [
        utterance("n1", "One two three four.", "noisy", "anna"),
        utterance("n2", "five six", "noisy", "ben"),
        utterance("c1", "yes please", "clean", "anna"),
        utterance("c2", "no thanks", "clean", "ben"),
    ]
    base = {"n1": "one too tree", "n2": "hive sicks", "c1": "yes please", "c2": "no thanks now"}
    tuned = {"n1": "one two tree four", "n2": "five six", "c1": "yes please", "c2": "no thanks"}
    return utterances, base, tuned


def evaluated(
    utterances: Sequence[Utterance],
    base: Texts,
    tuned: Texts,
    played: Sequence[tuple[str, str, str]] = (),
    beside: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Evaluation:
    """Texts of utterances evaluated; changes of params by name, and of what is beside the texts as `beside`."""
    params = evaluate_params(**{"bootstrap_samples": 400, **changes})
    material: dict[str, Any] = {"golds": {}, "terms": (), "suites": (), "normalizers": (), "decoding": DECODING, **(beside or {})}
    return evaluate(Material(utterances=utterances, **material), heard(base), heard(tuned), played, params)


def part(results: Results, dimension: str, value: str) -> SliceScores:
    """One slice."""
    return next(each for each in results.slices if (each.dimension, each.value) == (dimension, value))
