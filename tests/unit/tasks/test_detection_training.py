"""Audio language models learn labels: adapters where params say, and nothing else; what cannot learn is told."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from detection_parts import clip, detection_params, sound
from safetensors import safe_open

from attune.checkpoints import read_training_record
from attune.dataset import encode_flac, write_corpus
from attune.errors import TrainingError
from attune.files import write_jsonl
from attune.records import Selection
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
