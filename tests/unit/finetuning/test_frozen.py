"""What is computed once gives the same training as what is computed in each step; padding changes nothing."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from test_training import LORA, VARIED, params

from attune.checkpoints import Checkpoint, load_checkpoint
from attune.finetuning import frozen, lessons, methods, training
from attune.finetuning.families import Example, family_of
from attune.finetuning.trainer import WerTrainer
from attune.finetuning.training import finetune
from attune.finetuning.training_report import TrainingReport
from attune.params import TrainParams
from attune.statecache import states_in

# transformers' WavLM gives torch a boolean padding mask beside a float one (transformers 5.23)
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

_LENGTHS_S = [0.8, 1.9, 1.2, 1.0, 1.6, 0.7]
EXAMPLES = [Example(str(n), "the fever", length_s) for n, length_s in enumerate(_LENGTHS_S)]
_ENDS = {"lora": "lora_adapters/adapter_model.safetensors", "full": "model/model.safetensors"}


class Speech:
    """Stands in for a corpus."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def __getitem__(self, utterance_id: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        number = int(utterance_id)
        return tiny_models.speech(_LENGTHS_S[number], 100 * self._seed + number)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


def _base(kind: str, folder: Path) -> Checkpoint:
    if not folder.exists():
        if kind == "whisper":
            tiny_models.make_whisper(folder)
        else:
            architecture, _, norm = kind.partition(" ")
            tiny_models.make_wav2vec2(folder, norm, architecture)
    return load_checkpoint(str(folder), None)


def _settings(kind: str, **changes: Any) -> TrainParams:
    rest = {"part": "decoder"} if kind == "whisper" else {}
    content = {"batch_size": 3, "learning_rate": {"lora": 1e-2, "full": 1e-3}, "lora": LORA | {"rank": 4}, **rest}
    return params(**(content | changes))


def _train(kind: str, folder: Path, name: str, settings: TrainParams, sounds: Any = None) -> TrainingReport:
    out, work = folder / name, folder / f"{name}-work"
    return finetune(_base(kind, folder / "base"), EXAMPLES, EXAMPLES[:2], sounds or Speech(), settings, None, out, work)


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    plain = frozen._States._computed

    def computed(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        return plain(self, *arguments)

    monkeypatch.setattr(frozen._States, "_computed", computed)
    return calls


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("whisper", "lora"),
        ("whisper", "full"),
        ("wav2vec2 group", "lora"),
        ("wav2vec2 layer", "full"),
        ("hubert layer", "lora"),
        ("wavlm group", "lora"),
    ],
)
def test_training_from_kept_states_is_training_from_sound(
    kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, settings = _counted(monkeypatch), _settings(kind, method=method)
    kept = _train(kind, tmp_path, "kept", settings)
    assert len(calls) == len(EXAMPLES)
    monkeypatch.setattr(frozen, "varies", lambda _: True)
    plain = _train(kind, tmp_path, "plain", settings)
    assert len(calls) == len(EXAMPLES)
    assert len(kept.losses) == 4
    assert [loss for _, loss in kept.losses] == pytest.approx([loss for _, loss in plain.losses], rel=1e-4)
    assert kept.validation_wers == plain.validation_wers
    weights, others = (load_file(tmp_path / name / _ENDS[method]) for name in ("kept", "plain"))
    assert weights.keys() == others.keys()
    assert all(torch.allclose(weights[name], others[name], atol=1e-3) for name in weights)


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2 group", "wav2vec2 layer"])
def test_gradients_from_kept_states_are_those_from_sound(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients(*, kept: bool) -> tuple[float, list[torch.Tensor]]:
        monkeypatch.setattr(frozen, "varies", lambda _: not kept)
        checkpoint, settings = _base(kind, tmp_path / "base"), _settings(kind)
        torch.manual_seed(0)
        family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, None)
        model = methods.prepared(checkpoint.model, family, settings, "cpu")
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.normal_(0, 0.05)
        family = frozen.with_frozen_front(family, model, checkpoint.digest, settings, "cpu")
        rows = [(family.features(Speech()[e.id]), family.labels(e.text)) for e in EXAMPLES]
        loss = model.eval()(**family.collate(rows)).loss
        loss.backward()
        return float(loss.detach()), [p.grad for p in model.parameters() if p.grad is not None]

    (loss, from_states), (other, from_sound) = gradients(kept=True), gradients(kept=False)
    assert loss == pytest.approx(other, rel=1e-5)
    assert len(from_states) == len(from_sound) > 4
    assert max(float(g.abs().max()) for g in from_sound) > 1e-3
    for kept, plain in zip(from_states, from_sound, strict=True):
        assert (kept - plain).abs().max() < 1e-3 * plain.abs().max()


@pytest.mark.parametrize("kind", ["wav2vec2 group", "wav2vec2 layer", "hubert group", "wavlm group"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_clip_in_a_padded_batch_is_heard_as_alone(kind: str, kept: bool, tmp_path: Path) -> None:
    checkpoint = _base(kind, tmp_path / "base")
    settings = _settings(kind, **({} if kept else {"augmentation": VARIED}))
    family = family_of(checkpoint.family, checkpoint.model, checkpoint.processor, None)
    plain = copy.deepcopy(checkpoint.model)
    heard = frozen.with_frozen_front(family, checkpoint.model, checkpoint.digest, settings, "cpu")
    rows = [(heard.features(Speech()[e.id]), heard.labels(e.text)) for e in EXAMPLES]
    with torch.no_grad():
        together = checkpoint.model(**heard.collate(rows))
        for place, example in enumerate(EXAMPLES):
            alone = plain(input_values=torch.from_numpy(family.features(Speech()[example.id]))[None])
            frames = alone.logits.shape[1]
            assert torch.allclose(together.logits[place, :frames], alone.logits[0], atol=2e-4)
    assert heard.recognize(checkpoint.model, [row for row, _ in rows]) == family.recognize(
        plain, [family.features(Speech()[e.id]) for e in EXAMPLES]
    )


def test_validation_hears_from_exact_states_what_it_hears_from_sound(tmp_path: Path) -> None:
    checkpoint, settings = _base("whisper", tmp_path / "base"), _settings("whisper", precision="bfloat16")
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    model = methods.prepared(checkpoint.model, family, settings, "cpu")
    heard = frozen.with_frozen_front(family, model, checkpoint.digest, settings, "cpu")
    sounds = [Speech()[e.id] for e in EXAMPLES]
    assert heard.features(sounds[0]).dtype == torch.bfloat16
    exact = [heard.exact().features(sound) for sound in sounds]
    assert exact[0].dtype == torch.float32
    texts = heard.exact().recognize(model, exact)
    assert any(texts)
    assert texts == family.recognize(model, [family.features(sound) for sound in sounds])


def test_bfloat16_states_train_as_bfloat16_from_sound_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("whisper", precision="bfloat16")
    kept = _train("whisper", tmp_path, "kept", settings)
    monkeypatch.setattr(frozen, "varies", lambda _: True)
    plain = _train("whisper", tmp_path, "plain", settings)
    assert [loss for _, loss in kept.losses] == pytest.approx([loss for _, loss in plain.losses], rel=2e-2)


def test_a_later_run_computes_nothing_and_another_model_sound_or_precision_does(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, settings = _counted(monkeypatch), _settings("whisper", epochs=1)

    def computed(run: Callable[[], Any]) -> int:
        before = len(calls)
        run()
        return len(calls) - before

    assert computed(lambda: _train("whisper", tmp_path, "first", settings)) == len(EXAMPLES)
    assert computed(lambda: _train("whisper", tmp_path, "again", _settings("whisper", epochs=2))) == 0
    assert computed(lambda: _train("whisper", tmp_path, "sound", settings, Speech(1))) == len(EXAMPLES)
    assert computed(lambda: _train("whisper", tmp_path, "half", _settings("whisper", epochs=1, precision="bfloat16"))) == 6
    other = tiny_models.make_whisper(tmp_path / "other", positions=30)
    (tmp_path / "base").rename(tmp_path / "former")
    other.rename(tmp_path / "base")
    assert computed(lambda: _train("whisper", tmp_path, "model", settings)) == len(EXAMPLES)
    assert len(states_in(cache)) == 4 * len(EXAMPLES)


def test_without_room_on_disk_memory_serves_and_the_result_is_the_same(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = _counted(monkeypatch)
    roomy = _train("whisper", tmp_path, "roomy", _settings("whisper"))
    before = len(calls)
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "another"))
    assert _train("whisper", tmp_path, "tight", _settings("whisper", cache_gb=0)).losses == roomy.losses
    assert len(calls) == 2 * before == 2 * len(EXAMPLES)
    assert "6 of 6 clips are not kept on disk" in caplog.text
    assert not states_in(tmp_path / "another" / "states")
    monkeypatch.setattr(lessons, "_FEATURE_BYTES", 0)
    assert _train("whisper", tmp_path, "none", _settings("whisper", cache_gb=0.0001)).losses == roomy.losses
    assert len(states_in(cache)) == len(EXAMPLES)


@pytest.mark.parametrize("changes", [{"augmentation": VARIED}, {"part": "both"}, {"part": "encoder"}])
def test_what_changes_from_pass_to_pass_is_not_kept(
    changes: dict[str, Any], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _counted(monkeypatch)
    report = _train("whisper", tmp_path, "run", _settings("whisper", epochs=1, **changes))
    assert report.steps == 2
    assert not calls
    assert not states_in(cache)


def test_an_encoder_with_dropout_is_run_in_each_pass(tmp_path: Path, cache: Path) -> None:
    checkpoint, settings = _base("whisper", tmp_path / "base"), _settings("whisper")
    checkpoint.model.config.dropout = 0.1
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    model = methods.prepared(checkpoint.model, family, settings, "cpu")
    assert frozen.with_frozen_front(family, model, checkpoint.digest, settings, "cpu") is family


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2 group"])
def test_a_resumed_run_from_kept_states_ends_with_the_weights_of_an_uninterrupted_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(kind, batch_size=2, epochs=3, evaluations_per_epoch=2)
    _train(kind, tmp_path, "calm", settings)
    heard: list[int] = []
    plain = WerTrainer.training_step

    def killed(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        heard.append(len(inputs["labels"]))
        if len(heard) == 6:
            raise KeyboardInterrupt
        return plain(self, model, inputs, *rest, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(kind, tmp_path, "storm", settings)
    monkeypatch.setattr(training.WerTrainer, "training_step", plain)
    _train(kind, tmp_path, "storm", settings)
    calm, storm = (load_file(tmp_path / name / _ENDS["lora"]) for name in ("calm", "storm"))
    assert calm.keys() == storm.keys()
    assert all(torch.equal(calm[name], storm[name]) for name in calm)


def test_each_pass_hears_every_example_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    plain = WerTrainer._varied

    def noted(self: Any, example: Example, number: int) -> Any:
        heard.append(example.id)
        return plain(self, example, number)

    monkeypatch.setattr(WerTrainer, "_varied", noted)
    _train("wav2vec2 layer", tmp_path, "run", _settings("wav2vec2 layer", batch_size=4, epochs=3))
    ids = sorted(e.id for e in EXAMPLES)
    assert [sorted(heard[start : start + 6]) for start in (0, 6, 12)] == [ids] * 3
    assert heard[:6] != heard[6:12]
