"""What fine-tuning did, for metrics, curves, the model card and people."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attune.finetuning.live import wers_by_step

_NOT_METRICS = ("losses", "validation_wers", "forgetting_wers", "timing", "checkpoints", "refused")


@dataclass(frozen=True)
class TrainingReport:
    """What fine-tuning did; the defaults are those of no training at all. WERs are fractions on the validation split."""

    trained_utterances: int = 0
    trained_windows: int = 0
    """What a pass goes through: fewer than utterances where they are packed."""
    validation_utterances: int = 0
    steps: int = 0
    batch_size: int = 0
    """Utterances at once, after what memory allowed; `accumulation` times that make a step."""
    accumulation: int = 0
    processes: int = 1
    """How many computed a share of each batch."""
    trainable_share: float = 0.0
    kept_learnt: float = 1.0
    """How much of what was learnt is in the result, see `train.keep_learnt`."""
    wer_before: float | None = None
    """None where there is no validation split."""
    wer_after: float | None = None
    forgetting_utterances: int = 0
    """Of the out-of-domain set, see `train.forgetting`."""
    forgetting_wer_before: float | None = None
    forgetting_wer_after: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Selected utterances that this family cannot learn, by reason."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """The same, one by one: the reason by the utterance's id."""
    outside_vocabulary: Mapping[str, Any] = field(default_factory=dict)
    """Letters that a CTC model could not write, and what became of them; nothing where there are none."""
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    """Files of the noise and room folders, and those of them that cannot be used, by name."""
    timestamps_share: float = 0.0
    """Share of the windows that is written with timestamps; 0 for models that have none."""
    losses: tuple[tuple[int, float], ...] = ()
    """Step, and the mean training loss since the step before it."""
    validation_wers: tuple[tuple[int, float], ...] = ()
    """Step, and the WER at it, from before the first step on."""
    forgetting_wers: tuple[tuple[int, float], ...] = ()
    """The same on the out-of-domain set."""
    timing: Mapping[str, float | None] = field(default_factory=dict)
    """Minutes, speed, memory and energy, and the megabytes that were foreseen: they differ from run to run."""

    checkpoints: Path | None = None
    """Where they stand until the result is in its place; None where there are none."""

    def metrics(self) -> dict[str, Any]:
        """Everything but the curves and the times, for `metrics/train.json`."""
        content = {k: v for k, v in dataclasses.asdict(self).items() if k not in _NOT_METRICS}
        return {"validation_" + k if k.startswith("wer") else k: v for k, v in content.items()}

    def wers_by_step(self) -> list[dict[str, float | None]]:
        """Rows of both curves; None where one was not measured."""
        return wers_by_step(self.validation_wers, self.forgetting_wers)

    def verdict(self) -> str:
        """How validation WER changed, in words."""
        if self.wer_before is None or self.wer_after is None:
            return "there is no validation split, so the last checkpoint was kept"
        worse = ", so it hears these WORSE than the base did" if self.wer_after > self.wer_before else ""
        return f"validation WER {self.wer_before:.2%} -> {self.wer_after:.2%}{worse}{self._forgotten()}"

    def _forgotten(self) -> str:
        if self.forgetting_wer_before is None or self.forgetting_wer_after is None:
            return ""
        return f"; out of domain {self.forgetting_wer_before:.2%} -> {self.forgetting_wer_after:.2%}"
