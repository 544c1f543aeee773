"""Base and tuned model over the same sounds in the same way: engine, precision and decoding are chosen once, for both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attune.dataset import Samples
from attune.operations.choosing import Clips, Way
from attune.operations.hearing import choose_way, hear
from attune.operations.probes import probes
from attune.params import Params
from attune.recognizers.transcription import SoundSource, TranscriptionReport
from attune.records import Hypothesis, Utterance
from attune.workcache import WorkCache

_NO_SPEECH = 0.05
"""Recordings in which less of the time is speech are silent."""


@dataclass(frozen=True)
class Listening:
    """What both models heard."""

    base: Mapping[str, Hypothesis]
    tuned: Mapping[str, Hypothesis]
    """Both by utterance id."""
    played: tuple[tuple[str, str, str], ...]
    """Of sounds without speech: silence or noise, what base wrote, what tuned wrote."""
    way: Way
    base_report: TranscriptionReport
    tuned_report: TranscriptionReport


def listen(finetuned: Path, utterances: Sequence[Utterance], sounds: SoundSource, params: Params, cache: WorkCache) -> Listening:
    """Both models over `utterances` and over as many probes as params ask for. Raises ModelError or EnvironmentFault."""
    base = params.model.name
    choice = choose_way(base, params.model, Clips(utterances, sounds, 1, False), cache)
    made = list(probes(params.evaluate.hallucination_clips))
    silent: Mapping[str, Samples] = {u.id: samples for _, u, samples in made}
    heard, reports, written = [], [], []
    for name in (base, str(finetuned)):
        hypotheses, report = hear(name, utterances, sounds, params, cache, choice=choice)
        invented, _ = hear(name, [u for _, u, _ in made], silent, params, cache, choice=choice)
        heard.append({hypothesis.id: hypothesis for hypothesis in hypotheses})
        reports.append(report)
        written.append([hypothesis.text for hypothesis in invented])
    played = tuple((sound, *texts) for (sound, _, _), *texts in zip(made, *written, strict=True))
    return Listening(*heard, played, choice.way, *reports)  # type: ignore[arg-type]


def wanted(utterances: Sequence[Utterance], with_gold: set[str]) -> list[Utterance]:
    """The test utterances that tell something: those with a reference, with gold, or without speech."""
    return [u for u in utterances if u.split == "test" and (u.reference is not None or u.id in with_gold or is_silent(u))]


def is_silent(utterance: Utterance) -> bool:
    """Whether nobody speaks in it, as far as was measured."""
    return utterance.speech_share is not None and utterance.speech_share < _NO_SPEECH
