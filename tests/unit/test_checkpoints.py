import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import WhisperProcessor

from attune.checkpoint_files import files_digest, resolve_base
from attune.checkpoints import (
    TrainingRecord,
    load_checkpoint,
    quietly,
    read_training_record,
    tuned_checkpoint,
    write_training_record,
)
from attune.errors import ModelError


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_whisper(tmp_path_factory.mktemp("models") / "whisper")


@pytest.fixture(scope="module")
def adapters(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA adapters that do change the model."""
    folder = tmp_path_factory.mktemp("adapters") / "lora_adapters"
    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=r".*\.(q_proj|v_proj)", init_lora_weights=False)
    with quietly():
        get_peft_model(load_checkpoint(str(whisper), None).model, lora).save_pretrained(folder)
    return folder


def _copy(whisper: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whisper, tmp_path / "copy"))


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_a_process_that_has_imported_nothing_else_opens_the_kin_of_wav2vec2(kind: str, tmp_path: Path) -> None:
    """transformers' table of processors lacks some of them until another of its modules was imported."""
    folder = tiny_models.make_wav2vec2(tmp_path / kind, "layer", kind)
    code = (
        "import sys; from attune.checkpoints import load_checkpoint, outline; "
        "print(outline(sys.argv[1], None).family, load_checkpoint(sys.argv[1], None).config.model_type)"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ctc", kind]


def test_half_precision_weights_are_opened_in_float32(whisper: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(whisper), None)
    checkpoint.model.half().save_pretrained(_copy(whisper, tmp_path))
    opened = load_checkpoint(str(tmp_path / "copy"), None)
    assert opened.family == "whisper"
    assert {p.dtype for p in opened.model.parameters()} == {torch.float32}
    assert not opened.model.training


def test_a_name_that_is_nowhere_is_one_line_with_both_reasons() -> None:
    with pytest.raises(
        ModelError, match="'nobody/nothing' is not a folder here, and the Hugging Face hub gave nothing"
    ) as caught:
        resolve_base("nobody/nothing", None)
    assert "\n" not in str(caught.value)


def test_a_path_that_does_not_exist_is_one_line_too() -> None:
    with pytest.raises(ModelError, match="'models/tiny/wisper' is not a folder here"):
        load_checkpoint("models/tiny/wisper", None)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "copy the model again"),
        ("tokenizer.json", "has no tokenizer"),
    ],
)
def test_a_missing_file_is_named(whisper: Path, tmp_path: Path, file: str, message: str) -> None:
    folder = _copy(whisper, tmp_path)
    (folder / file).unlink()
    with pytest.raises(ModelError, match=message) as caught:
        load_checkpoint(str(folder), None)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused_with_the_command_that_converts_them(
    whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's here").mkdir()
    folder = _copy(whisper, tmp_path / "it's here")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="refused") as caught:
        load_checkpoint(str(folder), None)
    arguments = shlex.split(str(caught.value).split("harmed: python ")[1])
    monkeypatch.setattr(sys, "argv", [arguments[0], arguments[2]])
    exec(arguments[1], {})
    before, after = (load_checkpoint(str(name), None).model.state_dict() for name in (whisper, folder))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_model_that_does_not_write_speech_is_refused(whisper: Path, tmp_path: Path) -> None:
    folder = _copy(whisper, tmp_path)
    _edit(folder / "config.json", model_type="gpt2", auto_map={"AutoModel": "evil.Evil"})
    with pytest.raises(ModelError, match="a 'gpt2' model, which is no speech-to-text model"):
        load_checkpoint(str(folder), None)


@pytest.mark.parametrize("kept", [0, 5, 5000])
def test_truncated_weights_are_one_line(whisper: Path, tmp_path: Path, kept: int) -> None:
    weights = _copy(whisper, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ModelError, match="damaged") as caught:
        load_checkpoint(str(tmp_path / "copy"), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "processor_config.json"])
def test_a_file_that_is_no_json_is_one_line(whisper: Path, tmp_path: Path, file: str) -> None:
    folder = _copy(whisper, tmp_path)
    (folder / file).write_text('{"half":')
    with pytest.raises(ModelError) as caught:
        load_checkpoint(str(folder), None)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused(whisper: Path, tmp_path: Path) -> None:
    folder = _copy(whisper, tmp_path)
    _edit(folder / "config.json", encoder_ffn_dim=48)
    with pytest.raises(ModelError, match="damaged or does not fit"):
        load_checkpoint(str(folder), None)


def test_a_model_that_lacks_its_output_layer_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.make_wav2vec2(tmp_path / "ctc", "group")
    checkpoint = load_checkpoint(str(folder), None)
    checkpoint.model.wav2vec2.save_pretrained(folder)
    _edit(folder / "config.json", architectures=["Wav2Vec2Model"])
    with pytest.raises(ModelError, match=r"first lm_head\."):
        load_checkpoint(str(folder), None)


def test_adapters_are_merged_into_their_base(whisper: Path, adapters: Path) -> None:
    base, merged = load_checkpoint(str(whisper), None), load_checkpoint(str(adapters), None)
    features = torch.randn(1, 80, 200)
    start = torch.tensor([[281, 5]])
    with torch.no_grad():
        plain, changed = (c.model(features, decoder_input_ids=start).logits for c in (base, merged))
    assert (plain - changed).abs().max() > 0.01
    assert not any("lora" in name for name, _ in merged.model.named_parameters())
    assert merged.digest != base.digest


def test_adapters_whose_base_is_gone_are_one_line(adapters: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(adapters, tmp_path / "adapters"))
    _edit(folder / "adapter_config.json", base_model_name_or_path="gone/base")
    with pytest.raises(ModelError, match="'gone/base' is not a folder here"):
        load_checkpoint(str(folder), None)


def test_a_tuned_folder_opens_as_what_was_learnt(whisper: Path, adapters: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "finetuned"
    shutil.copytree(adapters, tuned / "lora_adapters")
    write_training_record(tuned, TrainingRecord(str(whisper), None, "lora", "whisper"))
    assert tuned_checkpoint(tuned) == str(tuned / "lora_adapters")
    assert load_checkpoint(str(tuned), None).digest == load_checkpoint(str(adapters), None).digest


def test_what_is_learnt_on_an_earlier_result_opens_on_that_result(whisper: Path, adapters: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(adapters, first / "lora_adapters")
    write_training_record(first, TrainingRecord(str(whisper), None, "lora", "whisper"))
    torch.manual_seed(2)
    lora = LoraConfig(r=4, target_modules=r".*\.(q_proj|v_proj)", init_lora_weights=False)
    with quietly():
        learnt = get_peft_model(load_checkpoint(str(first), None).model, lora).eval()
        learnt.save_pretrained(second / "lora_adapters", save_embedding_layers=False)
    write_training_record(second, TrainingRecord(str(first), None, "lora", "whisper"))
    features, start = torch.randn(1, 80, 200), torch.tensor([[281, 5]])
    with torch.no_grad():
        said, opened = (m(features, decoder_input_ids=start).logits for m in (learnt, load_checkpoint(str(second), None).model))
    assert torch.allclose(said, opened, atol=1e-4)
    told = json.loads((second / "lora_adapters" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(first / "lora_adapters")


def test_the_record_changes_with_the_weights(adapters: Path, tmp_path: Path) -> None:
    shutil.copytree(adapters, tmp_path / "lora_adapters")
    record = TrainingRecord("base", "abc", "lora", "whisper")
    write_training_record(tmp_path, record)
    before = read_training_record(tmp_path)
    assert (before.base, before.revision, before.method, before.family) == ("base", "abc", "lora", "whisper")
    (tmp_path / "lora_adapters" / "adapter_model.safetensors").write_bytes(b"other")
    write_training_record(tmp_path, record)
    assert read_training_record(tmp_path).weights_digest != before.weights_digest


def test_with_nothing_learnt_the_base_is_the_result(whisper: Path, tmp_path: Path) -> None:
    write_training_record(tmp_path, TrainingRecord(str(whisper), None, "none", "whisper"))
    assert tuned_checkpoint(tmp_path) == str(whisper)
    assert load_checkpoint(str(tmp_path), None).digest == files_digest(whisper)


def test_a_folder_that_train_did_not_finish_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no training\.json"):
        tuned_checkpoint(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(whisper: Path, tmp_path: Path) -> None:
    folder = _copy(whisper, tmp_path)
    processor = WhisperProcessor.from_pretrained(folder)
    processor.tokenizer.add_tokens([f"word{n}" for n in range(40)])
    processor.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"a tokenizer of \d+ entries and a model of \d+"):
        load_checkpoint(str(folder), None)


def test_adapters_of_another_base_are_refused_and_not_half_applied(adapters: Path, tmp_path: Path) -> None:
    copied = _copy(adapters, tmp_path)
    weights = load_file(copied / "adapter_model.safetensors")
    deeper = {key.replace("layers.0", "layers.7"): value.clone() for key, value in weights.items()}
    save_file({**weights, **deeper}, copied / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="adapters of another model than"):
        load_checkpoint(str(copied), None)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("generation_config.json", {"no_timestamps_token_id": 7}, "not of one model"),
        ("generation_config.json", {"decoder_start_token_id": 7}, "not of one model"),
        ("config.json", {"d_model": "many"}, "cannot be loaded"),
        ("config.json", {"model_type": ["whisper"]}, "no speech-to-text model"),
        ("preprocessor_config.json", {"feature_size": 128}, "128"),
    ],
)
def test_what_does_not_belong_together_is_one_line(
    whisper: Path, tmp_path: Path, file: str, changes: dict[str, object], message: str
) -> None:
    folder = _copy(whisper, tmp_path)
    (folder / "processor_config.json").unlink()  # it would hold another copy
    _edit(folder / file, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        load_checkpoint(str(folder), None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["generation_config.json", "preprocessor_config.json", "tokenizer.json"])
def test_a_file_that_is_cut_is_not_passed_over(whisper: Path, tmp_path: Path, file: str) -> None:
    folder = _copy(whisper, tmp_path)
    (folder / file).write_text((folder / file).read_text()[:40])
    with pytest.raises(ModelError, match=file):
        load_checkpoint(str(folder), None)


def test_adapters_of_themselves_and_unknown_methods_are_one_line(adapters: Path, tmp_path: Path) -> None:
    folder = _copy(adapters, tmp_path)
    _edit(folder / "adapter_config.json", base_model_name_or_path=str(folder))
    with pytest.raises(ModelError):
        load_checkpoint(str(folder), None)
    (tmp_path / "training.json").write_text('{"base": "x", "revision": null, "method": "magic", "family": "ctc"}')
    with pytest.raises(ModelError, match="'magic'"):
        load_checkpoint(str(tmp_path), None)
