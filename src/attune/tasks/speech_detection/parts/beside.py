"""The cheap detectors on the clips of a corpus: their scores, their thresholds, what they call each clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attune.dataset import Sounds
from attune.progress import track
from attune.records import Utterance
from attune.tasks.speech_detection.parts.detectors import SILERO_THRESHOLD, best_threshold, energy, silero
from attune.tasks.speech_detection.parts.labels import LABEL, is_speech
from attune.tasks.speech_detection.parts.measures import Scores, Truth


@dataclass(frozen=True)
class Beside:
    """What a detector says of each clip, in their order, and from where on that is SPEECH."""

    name: str
    said: Scores
    threshold: float

    @property
    def called(self) -> Truth:
        return self.said >= self.threshold


def beside(utterances: Sequence[Utterance], sounds: Sounds) -> list[Beside]:
    """Silero's VAD at its own threshold, and the energy detector at the one that is best on the train side."""
    heard = [(energy(clip), silero(clip)) for clip in track((sounds[u.id] for u in utterances), "detectors", len(utterances))]
    loudness, voice = np.array(heard, dtype=np.float64).round(4).reshape(-1, 2).T
    train = [place for place, u in enumerate(utterances) if u.split == "train"]
    learnt = best_threshold([float(loudness[p]) for p in train], [speaks(utterances[p]) for p in train])
    return [Beside("silero", voice, SILERO_THRESHOLD), Beside("energy", loudness, learnt)]


def speaks(utterance: Utterance) -> bool:
    """Whether somebody speaks in it, by its label."""
    return is_speech(utterance.tags[LABEL])
