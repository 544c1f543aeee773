"""Fine-tuning of audio language models to answer with a label: adapters in the language model, in the audio tower if wanted."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from attune.checkpoints import Checkpoint
from attune.errors import TrainingError
from attune.finetuning.forgetting import NOTHING, OutOfDomain
from attune.finetuning.live import Watched
from attune.finetuning.training_report import TrainingReport
from attune.operations.tuning import Craft, Tuning, tune
from attune.params import Params, TrainParams
from attune.tasks.speech_detection.parts.opening import open_to_train
from attune.tasks.speech_detection.train.card import write_detection_card
from attune.tasks.speech_detection.train.family import BOTH, LANGUAGE_MODEL, label_family
from attune.workcache import digest_of

_ADAPTED = {"decoder": LANGUAGE_MODEL, "both": BOTH}


@dataclass(frozen=True)
class Learnt:
    """See `protocol.Learnt`. A text is one word here, so what training calls WER is the share of wrong labels."""

    tuning: Tuning

    @property
    def report(self) -> TrainingReport:
        return self.tuning.report

    def metrics(self) -> dict[str, Any]:
        return self.tuning.metrics()

    def sentence(self) -> str:
        if not self.tuning.errors:
            return "every clip is called what it is, and surely, so there is nothing to train; the base is released as it is."
        done = self.report
        before, after = (f"{rate:.2%}" if rate is not None else "unknown" for rate in (done.wer_before, done.wer_after))
        told = f"{self.tuning.method} on {done.trained_utterances} clips in {done.steps} steps"
        return f"{told}; wrong labels on the validation side {before} -> {after}."


def learn(prepared: Path, selected: Path, params: Params, folder: Path, work: Path, live: Watched | None) -> Learnt:
    """Fine-tunes `params.model` to say the labels of `selected`. Raises as `operations.tuning.tune` does."""
    craft = Craft(_open, partial(label_family, params.model.detection), _nothing, write_detection_card)
    settled = params.model_copy(update={"train": _settled(params.train)})
    return Learnt(tune(prepared, selected, settled, folder, work, live, craft))


def _settled(params: TrainParams) -> TrainParams:
    """With the layers that `part` means in models of this kind; raises TrainingError for parts that cannot learn alone."""
    if params.part == "encoder" or (params.method == "full" and params.part != "both"):
        raise TrainingError(
            f"train.part is {params.part} and train.method {params.method}; task speech_detection has part decoder (adapters in "
            "the language model) and both (in the audio tower, too), and method full learns both"
        )
    targets = params.lora.targets or _ADAPTED[params.part]
    return params.model_copy(update={"part": "both", "lora": params.lora.model_copy(update={"targets": targets})})


def _open(params: Params) -> Checkpoint:
    """Its digest tells the question, too: unfinished training goes on only where the same is asked."""
    checkpoint = open_to_train(params.model, whole=params.train.method == "full")
    return replace(checkpoint, digest=digest_of(checkpoint.digest, params.model.detection.model_dump_json()))


def _nothing(params: Params, known: Collection[str]) -> OutOfDomain:  # noqa: ARG001
    """Transcribed recordings tell nothing of labels."""
    return NOTHING
