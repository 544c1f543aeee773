"""Audio language models as recognisers that say one of two labels: a corpus is heard with cache, batches and bars like any."""

from collections.abc import Sequence
from pathlib import Path

from attune.checkpoints import Checkpoint
from attune.dataset import Samples
from attune.devices import reuse_freed_memory
from attune.params import ModelParams, Params
from attune.recognizers.protocol import Transcript
from attune.recognizers.transcription import SoundSource, TranscriptionReport, transcribe_corpus
from attune.records import Alternative, Hypothesis, Utterance
from attune.tasks.speech_detection.parts.labels import LABELS
from attune.tasks.speech_detection.parts.opening import FAMILY, Setup, open_model, prompting_of, setup_of
from attune.tasks.speech_detection.parts.scoring import label_of, log_probs, probabilities, start_of
from attune.workcache import WorkCache, digest_of

_METHOD = "speech detection 2"
_WINDOWS_AT_ONCE = {"cpu": 8, "cuda": 16}
_LEAST_S = 5.0
"""A clip costs a batch at least as much as so many seconds of sound: its prompt is as long."""
_DIGITS = 4
"""What else is in a batch moves the sixth; outputs must not differ after a kill."""


class Detector:
    """See `recognizers.protocol.Recognizer`. A text is a label, both are its alternatives, confidence is between the two."""

    family, workers = FAMILY, 1

    def __init__(self, checkpoint: Checkpoint, params: ModelParams, setup: Setup) -> None:
        self.name, self._model, self._prompting = checkpoint.name, checkpoint.model, prompting_of(checkpoint, params)
        self._start = start_of(self._model, self._prompting)
        self.window_s: float | None = min(self._prompting.window_s, _LEAST_S)
        self.digest = digest_of(_METHOD, checkpoint.digest, params.detection.question, self._prompting.window_s, str(setup))
        self.batch_s = params.batch_s or _WINDOWS_AT_ONCE[setup.device] * self._prompting.window_s

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:  # noqa: ARG002
        """The likelier label of each clip."""
        found = log_probs(self._model, self._prompting, clips, self._start)
        transcripts = []
        for speech, said in zip(probabilities(found).tolist(), found.round(_DIGITS).tolist(), strict=True):
            ranked = sorted(map(Alternative, LABELS, said), key=lambda a: -a.score)
            sure = round(max(speech, 1 - speech), _DIGITS)
            transcripts.append(Transcript(label_of(speech), sure, (), tuple(ranked), round(1 - speech, _DIGITS)))
        return transcripts


def open_detector(name: str | Path, params: ModelParams) -> Detector:
    """The model called `name`, on the device of `params`. Raises ModelError or EnvironmentFault."""
    setup = setup_of(params)
    if setup.device == "cpu":
        reuse_freed_memory()
    return Detector(open_model(str(name), params, setup), params, setup)


def hear_labels(
    name: str | Path, utterances: Sequence[Utterance], sounds: SoundSource, params: Params, cache: WorkCache
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """What the model `name` calls each clip, in their order; what the cache holds is not heard again."""
    detector = open_detector(name, params.model)
    return transcribe_corpus(detector, utterances, sounds, cache, detector.batch_s, len(LABELS))
