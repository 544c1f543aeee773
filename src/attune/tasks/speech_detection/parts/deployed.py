"""The detector that convert_ct2 released, as it is used: a label and how far to trust it. See `attune.detection`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from attune.audio import read_audio
from attune.checkpoint_files import read_json
from attune.dataset import Samples
from attune.errors import ModelError
from attune.files import write_json
from attune.params import GREEDY, DetectionModelParams, Device, ModelParams
from attune.tasks.speech_detection.parts.hearing import Detector, open_detector

SETTINGS = "detection.json"
"""The file in a deployed folder that says how its model is asked, and how far its confidence is to be trusted."""
_EDGE = 1e-6


@dataclass(frozen=True)
class Detection:
    """What a clip is called, and how probable it is that this is right, 0 to 1."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """A line on the log-odds of the likelier label (Platt, 1999), learnt on the validation side; 1 and 0 where nothing was."""

    slope: float = 1.0
    intercept: float = 0.0
    learnt_from: int = 0

    def of(self, confidence: float) -> float:
        """The probability that the label is right."""
        inside = min(max(confidence, _EDGE), 1 - _EDGE)
        return float(1 / (1 + np.exp(-(self.slope * np.log(inside / (1 - inside)) + self.intercept))))


class Deployed:
    """A detector that says labels with calibrated confidence."""

    def __init__(self, detector: Detector, calibration: Calibration) -> None:
        self._detector, self._calibration = detector, calibration

    def detect(self, clips: Sequence[Samples]) -> list[Detection]:
        """Of clips at 16 kHz, mono, float32; of a longer one than the model's window the most spoken piece counts."""
        heard = self._detector.transcribe(clips) if clips else []
        return [Detection(h.text, round(self._calibration.of(h.confidence), 4)) for h in heard]

    def detect_file(self, path: str | Path) -> Detection:
        """Of a sound file of any format and rate. Raises UnusableAudio."""
        return self.detect([read_audio(Path(path))])[0]


def open_deployed(folder: str | Path, device: Device = "auto") -> Deployed:
    """The detector in a folder that convert_ct2 made. Raises ModelError where it is none."""
    told = read_json(Path(folder) / SETTINGS)
    try:
        asked = DetectionModelParams(
            question=told["question"],
            max_audio_length_s=told["max_audio_length_s"],
            quantized="none" if device == "cpu" else "auto",
        )
        calibration = Calibration(**told["calibration"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{Path(folder) / SETTINGS} is damaged ({error}); make it anew: dvc repro --force convert_ct2"
        ) from error
    return Deployed(open_detector(folder, _params(str(folder), asked, device)), calibration)


def write_settings(folder: Path, params: DetectionModelParams, calibration: Calibration) -> None:
    """Beside the deployed weights."""
    asked = {"question": params.question, "max_audio_length_s": params.max_audio_length_s}
    write_json(folder / SETTINGS, {"task": "speech_detection", **asked, "calibration": asdict(calibration)})


def _params(name: str, asked: DetectionModelParams, device: Device) -> ModelParams:
    return ModelParams(
        name=name,
        folder=Path(name),
        revision=None,
        language=None,
        task="transcribe",
        long_audio="pauses",
        safeguards=GREEDY,
        device=device,
        engine="transformers",
        precision="auto",
        batch_s=None,
        detection=asked,
    )
