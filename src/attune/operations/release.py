"""Exports the tuned model and proves on held-out sound that each export says the same, before any takes its place."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from attune.checkpoints import Checkpoint, read_training_record
from attune.dataset import Sounds
from attune.devices import choose_device
from attune.errors import EnvironmentFault, ParityError
from attune.export.conversion import Export, convert, convert_to_onnx, refusal
from attune.export.merging import merged
from attune.export.parity import breach, compare, parity_set
from attune.operations.hearing import hear
from attune.operations.released import Refusal, Release, Variant
from attune.params import GREEDY, ConvertParams, Params, Quantization
from attune.recognizers.ct2 import supported_quantizations
from attune.records import Utterance
from attune.workcache import WorkCache

ONNX = "onnx"
_LOG = logging.getLogger(__name__)


def release(
    finetuned: Path, utterances: Sequence[Utterance], sounds: Sounds, params: Params, cache: WorkCache, draft: Path
) -> Release:
    """Writes the model to deploy into the folder `draft`, and its other forms into folders below it.

    Raises ParityError where one says other words than `params.convert_ct2` allow and there is no fallback that does not,
    ModelError for adapters of another base, EnvironmentFault for a quantization that this device does not compute in. The tuned
    model hears the clips through transformers in float32, and all without safeguards, which leave room for chance.
    """
    wanted = params.convert_ct2
    exact = params.model_copy(update={"model": params.model.model_copy(update={"safeguards": GREEDY, "precision": "float32"})})
    checkpoint, base = merged(finetuned, params.model.language), read_training_record(finetuned).base
    compared = parity_set(utterances, wanted.parity_utterances)
    converts = refusal(checkpoint.family, checkpoint.config) is None
    if converts:
        _require_supported(wanted, choose_device(params.model.device))
    tuned, _ = hear(finetuned, compared, sounds, exact, cache, engine="transformers")

    def proven(name: str, export: Export) -> Variant:
        exported, _ = hear(draft / name, compared, sounds, exact, cache, engine="transformers")
        size_bytes = sum(path.stat().st_size for path in (draft / name).iterdir())
        return Variant(name, export, compare(compared, tuned, exported), size_bytes)

    if converts:
        released = _quantized(wanted, lambda kind: proven(kind, convert(checkpoint, base, kind, draft / kind)))
    else:
        released = _unquantized(checkpoint, base, wanted, draft, proven)
    _lay_out(draft, released)
    return released


def _quantized(wanted: ConvertParams, export_as: Callable[[Quantization], Variant]) -> Release:
    """What params ask for; in the place of what breaks its limit the fallback. Raises ParityError where that breaks its own."""
    held, refused = dict[Quantization, Variant](), list[Refusal]()
    for kind in wanted.quantizations:
        if kind in held:
            continue  # it already stands in for another one
        variant = export_as(kind)
        why = breach(variant.parity, wanted.max_wer_increase_points, kind)
        if why is None:
            held[kind] = variant
            continue
        if wanted.fallback is None or wanted.fallback == kind:
            raise ParityError(why)
        _LOG.warning("%s; %s takes its place.", why, wanted.fallback)
        refused.append(Refusal(variant, why, wanted.fallback))
        if wanted.fallback not in held:
            held[wanted.fallback] = instead = export_as(wanted.fallback)
            if again := breach(instead.parity, wanted.max_wer_increase_points, wanted.fallback):
                raise ParityError(f"{why}; and the fallback does not hold either: {again}")
    return Release(tuple(held.values()), tuple(refused))


def _unquantized(
    checkpoint: Checkpoint, base: str, wanted: ConvertParams, draft: Path, proven: Callable[[str, Export], Variant]
) -> Release:
    """The merged weights, and ONNX beside them: CTranslate2 would make something else of this model."""
    exports: dict[str, Callable[[Path], Export]] = {"float32": lambda folder: convert(checkpoint, base, "float32", folder)}
    if wanted.onnx and checkpoint.family == "ctc":
        exports[ONNX] = lambda folder: convert_to_onnx(checkpoint, base, folder)
    variants = [proven(name, export(draft / name)) for name, export in exports.items()]
    for variant in variants:
        if why := breach(variant.parity, wanted.max_wer_increase_points, "float32"):
            raise ParityError(f"{variant.export.engine}: {why}")
    return Release(tuple(variants), ())


def _require_supported(wanted: ConvertParams, device: str) -> None:
    supported = supported_quantizations(device)
    asked = [*wanted.quantizations, *([wanted.fallback] if wanted.fallback else [])]
    wrong = [kind for kind in asked if kind not in supported]
    if wrong:
        shown = "this GPU" if device == "cuda" else "this CPU"
        raise EnvironmentFault(
            f"convert_ct2 has {', '.join(wrong)} among its quantizations, which {shown} does not compute in, so nothing could "
            f"prove here that the model says the same; run the stage where one does, or choose among {', '.join(supported)}"
        )


def _lay_out(draft: Path, released: Release) -> None:
    """The one to deploy comes to the top; what was refused goes."""
    kept = {variant.name for variant in released.variants}
    for name in {each.variant.name for each in released.refused} - kept:
        for file in (draft / name).iterdir():
            file.unlink()
        (draft / name).rmdir()
    top = draft / released.deployed.name
    for file in top.iterdir():
        file.rename(draft / file.name)
    top.rmdir()
