"""The model to deploy, by CTranslate2 where it converts the model rightly."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attune.dataset import Sounds, read_utterances
from attune.operations.measuring import measure_all
from attune.operations.release import release as release_model
from attune.operations.released import Release, write_plot
from attune.operations.sealing import seal
from attune.params import Params
from attune.records import Utterance
from attune.tasks.protocol import Tuned
from attune.workcache import WorkCache


@dataclass(frozen=True)
class ReleasedRecogniser:
    """What was released, and how it is written; see `protocol.Released`."""

    released: Release
    utterances: Sequence[Utterance]
    sounds: Sounds
    params: Params

    def figures(self) -> dict[str, Any]:
        return self.released.metrics()

    def costs(self, folder: Path) -> dict[str, dict[str, Any]]:
        costs = measure_all(folder, self.released, self.utterances, self.sounds, self.params)
        return {name: asdict(cost) for name, cost in costs.items()}

    def write_plot(self, file: Path) -> None:
        write_plot(file, self.released)

    def sentence(self) -> str:
        return self.released.sentence()


def release(tuned: Tuned, folder: Path, params: Params) -> ReleasedRecogniser:
    """See `operations.release.release`; the folder is sealed then."""
    utterances, sounds = read_utterances(tuned.prepared), Sounds(tuned.prepared)
    released = release_model(tuned.finetuned, utterances, sounds, params, WorkCache(), folder)
    seal(tuned.finetuned, tuned.evaluated, folder, released, params)
    return ReleasedRecogniser(released, utterances, sounds, params)
