"""Audio language models learn labels: adapters where params say, and nothing else; what cannot learn is told."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from detection_parts import clip, detection_params, sound
from safetensors import safe_open

from attune.checkpoints import TrainingRecord, read_training_record, write_training_record
from attune.checksums import verify_checksums
from attune.dataset import encode_flac, write_corpus
from attune.errors import DataError, ParityError, TrainingError
from attune.files import write_json, write_jsonl
from attune.lineage import record_lineage
from attune.recognizers.transcription import TranscriptionReport
from attune.records import Hypothesis, Selection
from attune.tasks.protocol import Tuned
from attune.tasks.speech_detection.convert_ct2 import answer as convert
from attune.tasks.speech_detection.convert_ct2.answer import release
from attune.tasks.speech_detection.parts.deployed import open_deployed
from attune.tasks.speech_detection.parts.hearing import hear_labels, open_detector
from attune.tasks.speech_detection.parts.labels import LABELS
from attune.tasks.speech_detection.parts.opening import open_model, setup_of
from attune.tasks.speech_detection.train.answer import learn
from attune.workcache import WorkCache

_QUICK = {"epochs": 2, "batch_size": 4, "precision": "float32", "augmentation": {"speed": 0.0}, "part": "decoder"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight clips with a tone (speech, as it were) or without, and a tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    tiny_models.make_qwen2_audio(Path("base"))
    sides = ["train"] * 8 + ["validation"] * 2
    utterances = [clip(f"u{n}", "SPEECH" if n % 2 else "NONSPEECH", side) for n, side in enumerate(sides)]  # type: ignore[arg-type]
    Path("prepared").mkdir()
    sounds = {u.id: encode_flac(sound(1.0, n, 400.0 if n % 2 else 0.0)) for n, u in enumerate(utterances)}
    write_corpus(Path("prepared"), utterances, sounds, [])
    for side in ("train", "validation"):
        role = "error" if side == "train" else "validation"
        rows = [Selection(u.id, u.split, role, str(u.reference), "human", 1.0) for u in utterances if u.split == side]  # type: ignore[arg-type]
        write_jsonl(Path(f"selected/{side}.jsonl"), rows)
    return tmp_path


def _learn(folder: str = "tuned", **train: Any) -> Any:
    params = detection_params("base", train={**_QUICK, **train})
    return learn(Path("prepared"), Path("selected"), params, Path(folder), Path("work"), None)


def _adapted(folder: Path) -> list[str]:
    with safe_open(folder / "lora_adapters" / "adapter_model.safetensors", "pt") as weights:
        return list(weights.keys())


def test_adapters_sit_in_the_language_model_alone(project: Path) -> None:
    learnt = _learn(lora={"rank": 4})
    assert "wrong labels on the validation side" in learnt.sentence()
    names = _adapted(project / "tuned")
    assert names
    assert all("language_model" in name for name in names)
    assert {name.split(".")[-3] for name in names} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert read_training_record(project / "tuned").family == "qwen2_audio"
    card = (project / "tuned" / "lora_adapters" / "README.md").read_text()
    assert "tuned by lora to tell speech" in card


def test_the_audio_tower_learns_too_where_both_parts_do(project: Path) -> None:
    _learn(part="both", lora={"rank": 4})
    places = {"audio_tower" if "audio_tower" in name else "language_model" for name in _adapted(project / "tuned")}
    assert places == {"audio_tower", "language_model"}


def test_what_was_learnt_is_heard(project: Path) -> None:
    _learn(lora={"rank": 16}, learning_rate={"lora": 1.0e-2}, epochs=20, evaluations_per_epoch=0.1)
    utterances = [clip(f"u{n}", "SPEECH" if n % 2 else "NONSPEECH") for n in range(8)]
    sounds = {u.id: sound(1.0, n, 400.0 if n % 2 else 0.0) for n, u in enumerate(utterances)}
    params = detection_params("base")
    base, _ = hear_labels("base", utterances, sounds, params, WorkCache())
    tuned, _ = hear_labels(project / "tuned", utterances, sounds, params, WorkCache())
    right = [sum(h.text == u.reference for u, h in zip(utterances, heard, strict=True)) for heard in (base, tuned)]
    assert right[1] > right[0]


def test_a_model_in_four_bits_is_heard_with_adapters_that_are_not_merged(project: Path) -> None:
    _learn(method="qlora", lora={"rank": 4}, epochs=1)
    params = detection_params("base", model={"detection": {"quantized": "4bit"}}).model
    opened = open_model(str(project / "tuned"), params, setup_of(params))
    assert any("lora" in name for name, _ in opened.model.named_parameters())
    assert any(type(module).__name__ == "Linear4bit" for module in opened.model.modules())
    (heard,) = open_detector(project / "tuned", params).transcribe([sound(1.0, 1)])
    assert heard.text in LABELS


def test_all_weights_learn_with_method_full(project: Path) -> None:
    assert _learn(method="full", part="both", epochs=1).metrics()["method"] == "full"
    assert json.loads((project / "tuned" / "model" / "config.json").read_text())["model_type"] == "qwen2_audio"


@pytest.mark.parametrize("train", [{"part": "encoder"}, {"method": "full", "part": "decoder"}])
def test_parts_that_cannot_learn_alone_are_told(project: Path, train: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"task speech_detection has part decoder .* and both"):
        _learn(**train)


TUNED = Tuned(Path("prepared"), Path("tuned"), Path("evaluated"))


def test_a_base_that_nothing_was_learnt_for_is_released_as_it_is(project: Path) -> None:
    write_training_record(Path("tuned"), TrainingRecord("base", None, "none", "qwen2_audio"))
    Path("ct2").mkdir()
    with pytest.raises(DataError, match=r"scores\.json is missing or damaged; run: dvc repro --force evaluate"):
        release(TUNED, Path("ct2"), detection_params("base"))
    score = {"clips": 4, "balanced_accuracy": 0.75, "balanced_accuracy_low": 0.3, "accuracy": 0.5, "f1": None}
    score |= {"balanced_accuracy_high": 0.9, "accuracy_low": None, "accuracy_high": None}
    write_json(Path("evaluated/scores.json"), {"confidence": 0.95, "detectors": {"tuned": score}})
    record_lineage(Path("evaluated"), None, [Path("prepared/utterances.jsonl")])
    released = release(TUNED, Path("ct2"), detection_params("base"))
    assert released.figures()["identical_share"] == 1.0
    assert "| tuned | 4 | 75.00% (30.00% to 90.00%) | 50.00% | - |" in Path("ct2/README.md").read_text()
    assert json.loads(Path("ct2/release.json").read_text())["data"].keys() == {"utterances.jsonl"}
    assert "CTranslate2 has no audio tower" in released.sentence()
    assert verify_checksums(Path("ct2")).whole
    assert not (project / "ct2" / "adapters").exists()
    deployed = open_deployed(project / "ct2", "cpu")
    found = deployed.detect([sound(1.0, 1)])[0]
    assert found.label in LABELS
    assert deployed.detect([]) == []
    assert 0 <= found.confidence <= 1


def test_a_merged_model_that_calls_clips_otherwise_is_not_released(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_training_record(Path("tuned"), TrainingRecord("base", None, "none", "qwen2_audio"))
    Path("ct2").mkdir()

    def heard(name: Any, utterances: Any, *_: Any) -> Any:
        said = [str(u.reference) if str(name) == "tuned" else "SPEECH" for u in utterances]
        told = [Hypothesis(u.id, text, 0.9, no_speech=0.1) for u, text in zip(utterances, said, strict=True)]
        return told, TranscriptionReport(0, len(told), 1.0, 1.0)

    monkeypatch.setattr(convert, "hear_labels", heard)
    with pytest.raises(ParityError, match=r"50\.00% of 10 labels wrong, the tuned one 0\.00%"):
        release(TUNED, Path("ct2"), detection_params("base"))


def test_confidence_is_calibrated_on_validation_where_enough_is_right_and_wrong() -> None:
    utterances = [clip(f"u{n}", "SPEECH", "validation") for n in range(40)]
    heard = [Hypothesis(u.id, "SPEECH" if n % 4 else "NONSPEECH", 0.99) for n, u in enumerate(utterances)]
    learnt = convert._calibration(utterances, heard)
    assert learnt.learnt_from == 40
    assert learnt.of(0.99) == pytest.approx(0.75, abs=0.02)
    assert convert._calibration(utterances[:3], heard[:3]).of(0.9) == pytest.approx(0.9)
