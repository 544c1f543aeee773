"""What the base heard well, and how much of it is forgotten while something else is learnt.

A frozen set of recordings of another kind than those to learn is heard at each evaluation. Checkpoints that hear it worse by
more than params allow are not chosen, whatever they gained elsewhere.
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attune.errors import TrainingError
from attune.finetuning.families import Example

FORGETTING_WER = "eval_forgetting_wer"
"""What the Trainer's history calls it."""


class _Sounds(Protocol):
    def __getitem__(self, utterance_id: str, /) -> NDArray[np.float32]: ...


class _OwnSounds(_Sounds, Container[str], Protocol):
    """Sound by id that can tell which ids it has."""


@dataclass(frozen=True)
class OutOfDomain:
    """Recordings of another kind than those to learn, with what is said in them."""

    examples: tuple[Example, ...] = ()
    sounds: Mapping[str, NDArray[np.float32]] | _OwnSounds = field(default_factory=dict)

    def beside(self, sounds: Any) -> Any:
        """Those of the corpus and these under one roof; no id is in both."""
        return _Joined(self.sounds, sounds) if self.examples else sounds


NOTHING = OutOfDomain()


class Forgetting:
    """Holds checkpoints to what the base heard: `before` is its WER, to be measured before the first step."""

    def __init__(self, examples: Sequence[Example], max_increase_points: float | None) -> None:
        self.examples, self._max_points = list(examples), max_increase_points
        self.before: float | None = None

    def wer(self, wer_of: Callable[[Sequence[Example]], float]) -> float | None:
        """By `wer_of`; None without a set."""
        return wer_of(self.examples) if self.examples else None

    def measured(self, wer_of: Callable[[Sequence[Example]], float]) -> dict[str, float]:
        """The same as an entry of the Trainer's metrics; none without a set."""
        wer = self.wer(wer_of)
        return {} if wer is None else {FORGETTING_WER: wer}

    def curve(self, logged: Sequence[tuple[int, float]], last_step: int, after: float | None) -> tuple[tuple[int, float], ...]:
        """Step and WER from before the first step on; without evaluations in between, before and after."""
        if self.before is None or after is None:
            return ()
        return (0, self.before), *(logged or [(last_step, after)])

    def judged(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics that the best checkpoint is chosen by: an infinite WER where too much was forgotten."""
        return {**metrics, "eval_wer": metrics["eval_wer"] if self.allows(metrics.get(FORGETTING_WER)) else math.inf}

    def allows(self, wer: float | None) -> bool:
        """Whether so much may be forgotten."""
        if wer is None or self.before is None or self._max_points is None:
            return True
        return 100 * (wer - self.before) <= self._max_points + 1e-9

    def require_allowed(self, after: float | None, curve: Sequence[tuple[int, float]]) -> None:
        """Raises TrainingError where the result forgot more than it may; `curve` is the WER by step."""
        if self.allows(after) or after is None or self.before is None:
            return
        least = min([wer for _, wer in curve[1:]] + [after])
        raise TrainingError(
            f"every checkpoint forgot more than train.forgetting.max_increase_points ({self._max_points:g}) allows: WER on the "
            f"{len(self.examples)} out-of-domain utterances {self.before:.2%} -> {least:.2%} at the least; set "
            "select_errors.replay_share higher, train.learning_rate lower, train.keep_learnt to auto, or allow more"
        )


class _Joined:
    def __init__(self, own: Any, others: _Sounds) -> None:
        self._own, self._others = own, others

    def __getitem__(self, utterance_id: str) -> NDArray[np.float32]:
        sounds: _Sounds = self._own if utterance_id in self._own else self._others
        return sounds[utterance_id]
