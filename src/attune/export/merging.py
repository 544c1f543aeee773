"""The tuned model as one, in float32: what was learnt, merged into the very base that it was learnt on."""

from pathlib import Path

from attune.checkpoint_files import files_digest
from attune.checkpoints import TRAINING_RECORD, Checkpoint, load_checkpoint, outline, read_training_record, tuned_place
from attune.errors import ModelError

_AGAIN = "bring back what was there (dvc checkout, git checkout), or train on what is there now: dvc repro --force train"


def merged(tuned: Path, language: str | None) -> Checkpoint:
    """The model in the `tuned` folder, adapters merged. Raises ModelError where their base is another one, or is in few bits."""
    _require_learnt(tuned)
    _require_base(tuned, language)
    checkpoint = load_checkpoint(str(tuned), None, language)
    if getattr(checkpoint.config, "quantization_config", None):
        raise ModelError(
            f"{read_training_record(tuned).base} has its weights in few bits (quantization_config), and what is merged into such "
            "is rounded twice; set model.name to the checkpoint that it was made from"
        )
    return checkpoint


def _require_learnt(tuned: Path) -> None:
    record = read_training_record(tuned)
    if record.weights_digest is None or record.method == "none":
        return
    place = tuned / tuned_place(record.method)
    if files_digest(place) != record.weights_digest:
        raise ModelError(
            f"{place} does not hold what training wrote there ({tuned / TRAINING_RECORD} has another digest); {_AGAIN}"
        )


def _require_base(tuned: Path, language: str | None) -> None:
    """Adapters fit every base of like shape, and say other words with each but their own. A full model needs none."""
    record = read_training_record(tuned)
    if record.base_digest is None or record.method == "full":
        return
    found = outline(record.base, record.revision, language).digest
    if found != record.base_digest:
        raise ModelError(
            f"{tuned} was trained on {record.base} with digest {record.base_digest[:12]}, and that model has {found[:12]} now, "
            f"so it is another base; {_AGAIN}"
        )
