"""What convert_ct2 released, as metrics, rows of plots and sentences for people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.export.conversion import Export
from attune.export.parity import Parity
from attune.files import write_csv

_COLUMNS = ("export", "size_mb", "wer", "wer_increase_points", "identical_share")


@dataclass(frozen=True)
class Variant:
    """One form of the tuned model."""

    name: str
    """Its quantization, or onnx; that of its folder, unless it is the one to deploy."""
    export: Export
    parity: Parity
    size_bytes: int
    """Of all that an engine reads."""

    def metrics(self) -> dict[str, Any]:
        """No times."""
        return {
            "engine": self.export.engine,
            "quantization": self.export.quantization,
            "size_bytes": self.size_bytes,
            "size_mb": self.size_bytes / 1e6,
            "wer": self.parity.exported_wer,
            "wer_increase_points": self.parity.wer_increase_points,
            "identical_texts": self.parity.identical_texts,
            "identical_share": self.parity.identical_share,
        }


@dataclass(frozen=True)
class Refusal:
    """A variant that broke its limit and is not released."""

    variant: Variant
    why: str
    instead: str
    """The name of the one that takes its place."""


@dataclass(frozen=True)
class Release:
    """What lies in the folder to deploy, and what was refused; the first variant is the one at its top."""

    variants: tuple[Variant, ...]
    refused: tuple[Refusal, ...]

    @property
    def deployed(self) -> Variant:
        """The one that is loaded by the folder's own path."""
        return self.variants[0]

    @property
    def reason(self) -> str | None:
        """Why the folder does not hold what params ask for; None where it does."""
        if self.refused:
            return "; ".join(f"{each.instead} instead of {each.variant.name}: {each.why}" for each in self.refused)
        return self.deployed.export.reason

    def folder_of(self, variant: Variant) -> str:
        """Below the folder to deploy; `.` for the top."""
        return "." if variant is self.deployed else variant.name

    def metrics(self) -> dict[str, Any]:
        """For `metrics/convert_ct2.json`; no times."""
        top, parity = self.deployed, self.deployed.parity
        return {
            "engine": top.export.engine,
            "quantization": top.export.quantization,
            "size_mb": top.size_bytes / 1e6,
            "parity_wer_increase_points": parity.wer_increase_points,
            "identical_share": parity.identical_share,
            "parity_tuned_wer": parity.tuned_wer,
            "parity_exported_wer": parity.exported_wer,
            "measured_against": parity.measured_against,
            "utterances": parity.utterances,
            **({"reason": self.reason} if self.reason else {}),
            "exports": {variant.name: variant.metrics() for variant in self.variants},
            **({"refused": {each.variant.name: each.variant.metrics() for each in self.refused}} if self.refused else {}),
        }

    def sentence(self) -> str:
        """One line for people."""
        top, parity = self.deployed, self.deployed.parity
        others = ", ".join(f"{v.name} ({v.size_bytes / 1e6:.1f} MB)" for v in self.variants[1:])
        return (
            f"{top.export.engine} model of {top.size_bytes / 1e6:.1f} MB ({top.export.quantization}); WER "
            f"{parity.tuned_wer:.2%} -> {parity.exported_wer:.2%}, {parity.identical_share:.0%} of "
            f"{parity.utterances} texts identical{f'; below it: {others}' if others else ''}."
            f"{f' {self.reason}.' if self.reason else ''}"
        )


def write_plot(path: Path, released: Release) -> None:
    """Size and WER of each export as rows."""
    write_csv(path, _COLUMNS, [{"export": v.name, **v.metrics()} for v in released.variants])
