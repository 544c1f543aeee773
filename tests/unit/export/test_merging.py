"""What was learnt is merged into the very base that it was learnt on, whatever else would fit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model

from attune.checkpoints import TrainingRecord, TuningMethod, load_checkpoint, quietly, read_training_record, write_training_record
from attune.errors import ModelError
from attune.export.merging import merged


def _tuned(folder: Path, base: Path, method: TuningMethod = "lora") -> Path:
    """A tuned folder with adapters that change what the model says."""
    checkpoint = load_checkpoint(str(base), None)
    with quietly():
        adapted = get_peft_model(checkpoint.model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        adapted.save_pretrained(folder / "lora_adapters")
    digest = load_checkpoint(str(base), None).digest
    write_training_record(folder, TrainingRecord(str(base), None, method, "whisper", base_digest=digest))
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_models.make_whisper(tmp_path / "base")


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_adapters_are_merged_in_float32_however_they_were_learnt(tmp_path: Path, base: Path, method: TuningMethod) -> None:
    model = merged(_tuned(tmp_path / "tuned", base, method), None).model
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert {type(layer).__name__ for layer in model.modules() if "inear" in type(layer).__name__} == {"Linear"}
    plain = load_checkpoint(str(base), None).model.state_dict()
    assert any(not torch.equal(plain[name], weight) for name, weight in model.state_dict().items())


def test_a_base_of_like_shape_that_is_another_one_is_refused(tmp_path: Path, base: Path) -> None:
    tuned = _tuned(tmp_path / "tuned", base)
    assert merged(tuned, None).model is not None
    other = load_checkpoint(str(base), None).model
    with torch.no_grad():
        other.model.encoder.layer_norm.weight.mul_(1.5)
    other.save_pretrained(base)
    with pytest.raises(
        ModelError, match=r"was trained on .*base with digest \w+, and that model has \w+ now.*another base.*--force train"
    ):
        merged(tuned, None)


def test_a_base_that_was_to_be_released_as_it_is_and_changed_is_refused(tmp_path: Path, base: Path) -> None:
    digest = load_checkpoint(str(base), None).digest
    write_training_record(tmp_path / "tuned", TrainingRecord(str(base), None, "none", "whisper", base_digest=digest))
    assert merged(tmp_path / "tuned", None).digest == digest
    record = replace(read_training_record(tmp_path / "tuned"), base_digest="0" * 64)
    write_training_record(tmp_path / "tuned", record)
    with pytest.raises(ModelError, match="another base"):
        merged(tmp_path / "tuned", None)


def test_adapters_that_training_did_not_write_are_refused(tmp_path: Path, base: Path) -> None:
    tuned, other = _tuned(tmp_path / "tuned", base), _tuned(tmp_path / "other", base)
    shutil.copy(other / "lora_adapters/adapter_model.safetensors", tuned / "lora_adapters")
    with pytest.raises(ModelError, match=r"lora_adapters does not hold what training wrote there"):
        merged(tuned, None)


def test_adapters_of_another_shape_are_refused(tmp_path: Path, base: Path) -> None:
    tuned = _tuned(tmp_path / "tuned", base)
    shutil.rmtree(base)
    tiny_models.make_whisper(base, multilingual=True, window_s=3)
    write_training_record(tuned, replace(read_training_record(tuned), base_digest=None))  # as older runs left it
    with pytest.raises(ModelError, match=r"^[^\n]*$"):
        merged(_wider(tuned), None)


def _wider(tuned: Path) -> Path:
    from safetensors.torch import load_file, save_file

    file = tuned / "lora_adapters/adapter_model.safetensors"
    save_file({name: torch.cat([weight, weight]) for name, weight in load_file(file).items()}, file)
    write_training_record(tuned, read_training_record(tuned))
    return tuned


def test_a_base_in_few_bits_is_refused(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = _tuned(tmp_path / "tuned", base)
    rounded = load_checkpoint(str(base), None)
    rounded.config.quantization_config = {"load_in_4bit": True}
    monkeypatch.setattr("attune.export.merging.load_checkpoint", lambda *_: rounded)
    with pytest.raises(ModelError, match="weights in few bits"):
        merged(tuned, None)
