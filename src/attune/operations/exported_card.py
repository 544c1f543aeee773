"""The card of an exported model: what it is, how it scored, how it is run, then how it was trained (`model_card`)."""

import re
from pathlib import Path
from typing import Any

from attune.checkpoint_files import LICENCES, read_json
from attune.checkpoints import tuned_place
from attune.files import write_text
from attune.operations.card_parts import CARD, card_head, table
from attune.operations.release_facts import RELEASE, SETTINGS, Facts
from attune.operations.released import Variant

_SLICES = ("overall", "clean", "noisy")
_ABOUT_ADAPTERS = re.compile(r"^## Use\n.*?(?=^Made with )", re.MULTILINE | re.DOTALL)
_STOCK_S = 30
_LIBRARIES = {"ctranslate2": "ctranslate2", "transformers": "transformers", "onnxruntime": "onnx"}


def write_exported_card(tuned: Path, exported: Path, facts: Facts) -> None:
    """Puts it beside the exported weights."""
    head, title, training = _tuned(tuned, facts)
    engine = facts.released.deployed.export.engine
    front = re.sub(r"^library_name: .*$", f"library_name: {_LIBRARIES[engine]}", head, flags=re.MULTILINE)
    parts = [
        title,
        f"Exported: {facts.released.sentence()}",
        "## Exports",
        _exports(facts),
        "## Scores on held-out speakers",
        _scores(facts.scores),
        "## Data version",
        table(("list", "SHA-256"), sorted(facts.data.items())),
        f"utterances.jsonl names every sound. {RELEASE} has all this for machines, {SETTINGS} the settings.",
        "## Licence",
        _licence(facts, exported),
        "## How to run it",
        _usage(facts.released.deployed, exported),
        "## How it was trained",
        training,
    ]
    write_text(exported / CARD, f"---\n{front}---\n\n" + "\n\n".join(part for part in parts if part) + "\n")


def _tuned(tuned: Path, facts: Facts) -> tuple[str, str, str]:
    """Front matter, title and body of the tuned model's card; a base that is released as it is has none."""
    method = facts.training.method
    card = tuned / tuned_place(method) / CARD if method != "none" else None
    if card is None or not card.is_file():
        said = f"{facts.base.name}, released as it is: nothing was learnt."
        return card_head(facts.base, facts.released.deployed.export.family), f"# {Path(facts.base.name).name}", said
    _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
    title, _, rest = body.lstrip().partition("\n")
    return head, title, _ABOUT_ADAPTERS.sub("", rest.strip()).replace("\n## ", "\n### ")


def _exports(facts: Facts) -> str:
    rows = [
        (
            facts.released.folder_of(each), each.export.engine, each.export.quantization, f"{each.size_bytes / 1e6:.1f}",
            f"{each.parity.exported_wer:.2%}", f"{each.parity.wer_increase_points:+.2f}",
            f"{each.parity.identical_texts} of {each.parity.utterances}",
        )
        for each in facts.released.variants
    ]  # fmt: skip
    parity = facts.released.deployed.parity
    against = "the references" if parity.measured_against == "references" else "the tuned model's own texts"
    heads = ("folder", "engine", "stored and computed in", "MB", "WER", "points more than tuned", "same texts")
    return table(heads, rows) + f"\n\nWER of {parity.utterances} utterances on which the forms were compared, against {against}."


def _scores(scores: dict[str, Any]) -> str:
    rows = [
        (
            name, str(part["utterances"]), str(part["speakers"]), _rate(part, "base"), _rate(part, "tuned"),
            _between(part["improvement_points"], part["improvement_low"], part["improvement_high"], "{:.2f}"),
        )
        for name in _SLICES
        if (part := scores.get(name))
    ]  # fmt: skip
    heads = ("recordings", "utterances", "speakers", "WER of the base", "WER of this model", "points better")
    note = f"In brackets {scores['confidence']:.0%} intervals over {scores['unit']}. The model before its export was tested."
    return table(heads, rows) + "\n\n" + note


def _rate(part: dict[str, Any], model: str) -> str:
    return _between(part[f"{model}_wer"], part[f"{model}_wer_low"], part[f"{model}_wer_high"], "{:.2%}")


def _between(value: float | None, low: float | None, high: float | None, form: str) -> str:
    if value is None:
        return "-"
    return form.format(value) + (f" ({form.format(low)} to {form.format(high)})" if low is not None and high is not None else "")


def _licence(facts: Facts, exported: Path) -> str:
    files = sorted({path.name for pattern in LICENCES for path in exported.glob(pattern)})
    said = facts.base.licence or f"unknown: see {facts.base.name}"
    return f"That of the base: {said}." + (f" Its text: {', '.join(files)}." if files else "")


def _usage(deployed: Variant, exported: Path) -> str:
    lines = {
        ("ctranslate2", "whisper"): [
            "from faster_whisper import WhisperModel", "", 'model = WhisperModel("FOLDER")',
            'segments, _ = model.transcribe("some.wav", word_timestamps=True)',
        ],
        ("onnxruntime", "ctc"): ["import onnxruntime", "", 'session = onnxruntime.InferenceSession("FOLDER/model.onnx")'],
    }.get((deployed.export.engine, deployed.export.family))  # fmt: skip
    if deployed.export.family == "whisper" and read_json(exported / "preprocessor_config.json").get("chunk_length") != _STOCK_S:
        lines = None  # stock libraries know windows of 30 s alone
    stock = "```python\n" + "\n".join(lines) + "\n```\n\n" if lines else ""
    ours = "attune transcribe --model FOLDER some.wav\nattune model verify FOLDER   # or: sha256sum -c SHA256SUMS"
    return f"{stock}```sh\n{ours}\n```"
