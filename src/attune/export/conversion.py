"""Makes a folder to deploy: the tuned model in CTranslate2's form where that is right, else in float32 as safetensors or ONNX.

CTranslate2 converts every Whisper-class model, and one kind of Wav2Vec2; others it refuses or, worse, converts to
something that says other words. Whether the result says the same is measured afterwards (`parity`).
"""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from attune.checkpoint_parts import Family, ctc_frame_s
from attune.checkpoints import Checkpoint, quietly
from attune.errors import EnvironmentFault, ModelError
from attune.export.onnx_export import write_onnx
from attune.files import write_json
from attune.params import Quantization

Engine = Literal["ctranslate2", "transformers", "onnxruntime"]

CARD = "attune.json"
"""Says in the folder what it is; `attune.recognizers` reads it."""
_WHISPER_FILES = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "generation_config.json")
_CTC_FILES = ("vocab.json", "tokenizer_config.json", "preprocessor_config.json")
_RIGHT_CTC: dict[str, Any] = {
    "model_type": "wav2vec2",
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "add_adapter": False,
    "adapter_attn_dim": None,
}
"""The one configuration of CTC model that CTranslate2 4.8 converts to the same outputs; measured, not documented."""


@dataclass(frozen=True)
class Export:
    """What was exported, as `attune.json` tells it."""

    engine: Engine
    family: Family
    base: str
    quantization: Quantization
    reason: str | None
    """Why the engine is not CTranslate2."""
    vocab_size: int
    frame_s: float | None
    """Seconds between a CTC model's frames."""


def convert(checkpoint: Checkpoint, base: str, quantization: Quantization, folder: Path) -> Export:
    """Fills `folder` and says what is in it. `base` is the name of the checkpoint that the model descends from.

    The model is written in float32 where CTranslate2 cannot take it, so that it says exactly what the tuned one says.
    Raises ModelError where conversion fails, EnvironmentFault where its package is missing.
    """
    reason = refusal(checkpoint.family, checkpoint.config)
    export = _export(checkpoint, base, "transformers" if reason else "ctranslate2", "float32" if reason else quantization, reason)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly():
        if reason:
            _save(checkpoint, folder)
        else:
            _to_ct2(checkpoint, quantization, folder)
    return _carded(export, folder)


def convert_to_onnx(checkpoint: Checkpoint, base: str, folder: Path) -> Export:
    """Fills `folder` with a CTC model as ONNX in float32, what reads and writes its tokens beside it.

    Raises as `onnx_export.write_onnx` does.
    """
    export = _export(checkpoint, base, "onnxruntime", "float32", refusal(checkpoint.family, checkpoint.config))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.config.save_pretrained(folder)
    _save_processor(checkpoint, folder)
    write_onnx(checkpoint, folder)
    return _carded(export, folder)


def refusal(family: Family, config: Any) -> str | None:
    """Why CTranslate2 would not say the same as a model with this config; None where it would."""
    if family == "whisper":
        return None
    if family != "ctc":
        return f"CTranslate2's form of {config.model_type} models has not been compared with the original"
    given = config.to_dict()
    wrong = [f"{key} is {given.get(key)!r}, not {right!r}" for key, right in _RIGHT_CTC.items() if given.get(key, right) != right]
    return f"CTranslate2 does not convert this CTC model rightly: {'; '.join(wrong)}" if wrong else None


def _export(checkpoint: Checkpoint, base: str, engine: Engine, quantization: Quantization, reason: str | None) -> Export:
    framed = checkpoint.family == "ctc" and engine != "transformers"  # transformers tells it
    return Export(
        engine=engine,
        family=checkpoint.family,
        base=Path(base).name if Path(base).is_absolute() else base,
        quantization=quantization,
        reason=reason,
        vocab_size=int(checkpoint.config.vocab_size),
        frame_s=ctc_frame_s(checkpoint.config, checkpoint.processor.feature_extractor) if framed else None,
    )


def _carded(export: Export, folder: Path) -> Export:
    write_json(folder / CARD, asdict(export))
    for path in folder.iterdir():
        path.chmod(0o644)  # weights are written for the owner only; a served model is read by others
    return export


def _to_ct2(checkpoint: Checkpoint, quantization: Quantization, folder: Path) -> None:
    try:
        from ctranslate2.converters import TransformersConverter
    except ImportError as error:
        raise EnvironmentFault("the package ctranslate2 is missing; install Attune's requirements: make setup") from error

    files = list(_WHISPER_FILES if checkpoint.family == "whisper" else _CTC_FILES)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".merged-") as merged:
        _save(checkpoint, Path(merged))
        if checkpoint.family == "whisper":
            _limit_length(Path(merged) / "generation_config.json", checkpoint.config.max_target_positions)
        try:
            TransformersConverter(merged, copy_files=files).convert(str(folder), quantization=quantization, force=True)
        except (RuntimeError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise ModelError(f"CTranslate2 cannot convert {checkpoint.name}: {' '.join(str(error).split())[:300]}") from error


def _save(checkpoint: Checkpoint, folder: Path) -> None:
    checkpoint.model.save_pretrained(folder)
    _save_processor(checkpoint, folder)


def _save_processor(checkpoint: Checkpoint, folder: Path) -> None:
    """Tokenizer, and the feature extractor's own preprocessor_config.json, which the processor alone does not write."""
    checkpoint.processor.save_pretrained(folder)
    checkpoint.processor.feature_extractor.save_pretrained(folder)


def _limit_length(path: Path, positions: int) -> None:
    """Writes down how long the decoder's context is: CTranslate2 does not tell, and reads past its end."""
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**content, "max_length": min(positions, content.get("max_length") or positions)})
