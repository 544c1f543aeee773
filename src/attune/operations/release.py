"""Exports the tuned model and proves on held-out sound that the export says the same, before it takes its place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attune.checkpoints import load_checkpoint, read_training_record
from attune.dataset import Sounds
from attune.errors import ParityError
from attune.export.conversion import Export, convert
from attune.export.parity import Parity, compare, parity_set, require_parity
from attune.operations.hearing import hear
from attune.params import GREEDY, Params, Quantization
from attune.recognizers.transcription import TranscriptionReport
from attune.records import Utterance
from attune.workcache import WorkCache


@dataclass(frozen=True)
class Release:
    """What was exported, how it compares, and what it took to hear the clips with it."""

    export: Export
    parity: Parity
    size_mb: float
    exported_report: TranscriptionReport

    def metrics(self) -> dict[str, Any]:
        """For `metrics/convert_ct2.json`; no times."""
        reason = {"reason": self.export.reason} if self.export.reason else {}
        return {
            "engine": self.export.engine,
            "quantization": self.export.quantization,
            "size_mb": self.size_mb,
            "parity_wer_increase_points": self.parity.wer_increase_points,
            "identical_share": self.parity.identical_share,
            "parity_tuned_wer": self.parity.tuned_wer,
            "parity_exported_wer": self.parity.exported_wer,
            "measured_against": self.parity.measured_against,
            "utterances": self.parity.utterances,
            **reason,
        }

    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{self.export.engine} model of {self.size_mb:.1f} MB ({self.export.quantization}); WER "
            f"{self.parity.tuned_wer:.2%} -> {self.parity.exported_wer:.2%}, {self.parity.identical_share:.0%} of "
            f"{self.parity.utterances} texts identical" + (f". {self.export.reason}." if self.export.reason else ".")
        )


def release(
    finetuned: Path, utterances: Sequence[Utterance], sounds: Sounds, params: Params, cache: WorkCache, draft: Path
) -> Release:
    """Writes the model to deploy into the folder `draft`; in the fallback quantization where the wanted one says other words.

    Raises ParityError where what is left to release does so, too. The tuned model hears the clips through transformers, not
    converted, on the device and in the precision of `params.model`, and both without safeguards, which leave room for chance.
    """
    wanted = params.convert_ct2
    params = params.model_copy(update={"model": params.model.model_copy(update={"safeguards": GREEDY})})
    checkpoint, base = load_checkpoint(str(finetuned), None, params.model.language), read_training_record(finetuned).base
    compared = parity_set(utterances, wanted.parity_utterances)
    tuned, _ = hear(finetuned, compared, sounds, params, cache, engine="transformers")

    def export_as(quantization: Quantization) -> Release:
        export = convert(checkpoint, base, quantization, draft)
        exported, report = hear(draft, compared, sounds, params, cache)
        size_mb = sum(path.stat().st_size for path in draft.iterdir()) / 1e6
        return Release(export, compare(compared, tuned, exported), size_mb, report)

    released = export_as(wanted.quantization)
    try:
        require_parity(released.parity, wanted.max_wer_increase_points, released.export.quantization)
    except ParityError as broken:
        if wanted.fallback is None or wanted.fallback == wanted.quantization or released.export.reason:
            raise
        for file in draft.iterdir():
            file.unlink()
        released = export_as(wanted.fallback)
        require_parity(released.parity, wanted.max_wer_increase_points, released.export.quantization)
        released = replace(released, export=replace(released.export, reason=f"{wanted.fallback} instead: {broken}"))
    return released
