"""Noises and rooms come as often and as loud as params say, the same ones in the same pass, and nobody else's chance is used."""

import logging
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from test_augmentation import settings
from test_training import EXAMPLES, VARIED, Tones, params, tiny

from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import rooms, training
from attune.finetuning.resuming import forget
from attune.finetuning.rooms import in_room, simulated
from attune.finetuning.surroundings import Surroundings, mixed
from attune.finetuning.training import finetune

TONE = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """A long noise, a short one in stereo at another rate, a silent one, a torn one, and what is no sound at all."""
    folder = tmp_path / "noises"
    (folder / "street").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "street" / "long.flac", 0.1 * rng.standard_normal(48_000), 16_000)
    soundfile.write(folder / "short.wav", 0.1 * rng.standard_normal((4_000, 2)), 8_000)
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    (folder / "torn.wav").write_bytes((folder / "short.wav").read_bytes()[:2_000])
    (folder / "empty.wav").touch()
    (folder / "README.txt").write_text("no sound")
    return folder


@pytest.fixture
def impulses(tmp_path: Path) -> Path:
    folder = tmp_path / "impulses"
    folder.mkdir()
    response = np.zeros(4_000)
    response[100], response[1_700] = 0.5, 0.25
    soundfile.write(folder / "hall.wav", response, 16_000, subtype="FLOAT")
    return folder


def test_noises_come_two_times_of_three_at_the_ratio_asked_for(noises: Path) -> None:
    surroundings = Surroundings(settings(noise_folder=noises, noise_snr_db=[3.0, 9.0]))
    heard = [surroundings.around(TONE, np.random.default_rng(n)) - TONE for n in range(200)]
    ratios = [10 * np.log10(np.mean(TONE**2) / np.mean(noise**2)) for noise in heard if noise.any()]
    assert len(ratios) == pytest.approx(133, abs=20)
    assert min(ratios) == pytest.approx(3.0, abs=0.3)
    assert max(ratios) == pytest.approx(9.0, abs=0.3)
    assert len({round(float(noise[0]), 9) for noise in heard if noise.any()}) > 100


def test_damaged_noises_are_counted_and_named(noises: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        figures = Surroundings(settings(noise_folder=noises, noise_snr_db=[3.0, 9.0])).figures()
    assert figures == {
        "noise": {"files": 2, "refused": {"empty.wav": "empty_file", "silent.wav": "silent", "torn.wav": "truncated"}}
    }
    assert "3 file(s) below" in caplog.text
    assert "torn.wav (truncated)" in caplog.text


def test_a_folder_without_sound_is_an_error_that_names_the_param(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(TrainingError, match=r"train.augmentation.noise_folder is .*none, which holds no sound"):
        Surroundings(settings(noise_folder=tmp_path / "none", noise_snr_db=[3.0, 9.0]))
    with pytest.raises(TrainingError, match=r"train.augmentation.room_folder is .*nowhere, which is no folder"):
        Surroundings(settings(room_folder=tmp_path / "nowhere", room=0.5))


def test_folders_that_would_not_be_used_are_faults(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="noise_folder needs noise_snr_db"):
        settings(noise_folder=tmp_path)
    with pytest.raises(ValueError, match="room_folder needs room above 0"):
        settings(room_folder=tmp_path)


def test_a_silent_stretch_of_noise_changes_nothing() -> None:
    assert np.array_equal(mixed(TONE, np.zeros_like(TONE), 0.0), TONE)


def test_a_recorded_room_adds_its_echo_and_neither_delay_nor_loudness(impulses: Path) -> None:
    surroundings = Surroundings(settings(room_folder=impulses, room=1.0))
    click = np.zeros(8_000, np.float32)
    click[1_000] = 0.5
    heard = surroundings.around(click, np.random.default_rng(0))
    assert np.flatnonzero(np.abs(heard) > 1e-3).tolist() == [1_000, 2_600]
    assert heard[2_600] / heard[1_000] == pytest.approx(0.5, abs=1e-3)
    assert np.mean(heard**2) == pytest.approx(np.mean(click**2), rel=1e-3)


def test_a_share_of_the_clips_is_in_a_room(impulses: Path) -> None:
    surroundings = Surroundings(settings(room_folder=impulses, room=0.3))
    changed = [not np.array_equal(surroundings.around(TONE, np.random.default_rng(n)), TONE) for n in range(200)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.08)


def test_simulated_rooms_echo_and_repeat_bit_for_bit_without_global_chance() -> None:
    pytest.importorskip("pyroomacoustics")
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]  # noqa: NPY002
    first, again, other = (simulated(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]  # noqa: NPY002
    assert before == after
    heard = in_room(TONE, first)
    assert heard.size == TONE.size
    assert np.mean(heard**2) == pytest.approx(np.mean(TONE**2), rel=1e-3)


def test_reverberation_is_as_long_as_drawn() -> None:
    library = pytest.importorskip("pyroomacoustics")
    times_s = [library.experimental.measure_rt60(simulated(np.random.default_rng(n)), 16_000, decay_db=20) for n in range(20)]
    assert 0.05 < min(times_s) < 0.3
    assert 0.4 < max(times_s) < 1.2


def test_a_missing_simulator_names_the_extra_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(rooms, "import_module", missing)
    with pytest.raises(EnvironmentFault, match=r"pip install -c constraints.txt -e '\.\[augment\]'"):
        Surroundings(settings(room=0.5))
    assert Surroundings(settings()).figures() == {}


def test_other_noises_are_another_training(noises: Path, tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        return Surroundings(settings(noise_folder=folder, noise_snr_db=[3.0, 9.0])).digest

    copied = Path(shutil.copytree(noises, tmp_path / "copied"))
    assert digest(copied) == digest(noises)
    soundfile.write(copied / "short.wav", 0.1 * np.random.default_rng(5).standard_normal(4_000), 8_000)
    changed = digest(copied)
    assert changed != digest(noises)
    (copied / "short.wav").rename(copied / "other.wav")
    assert digest(copied) not in (changed, digest(noises))


def test_training_resumed_among_noises_in_rooms_and_packed_with_timestamps_ends_with_the_same_weights(
    noises: Path, impulses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied = VARIED | {"speed": 0.1, "noise_folder": noises, "room": 0.5, "room_folder": impulses}
    whisper = {"timestamps_share": 0.5, "packing": True}
    asked = params(epochs=3, batch_size=1, evaluations_per_epoch=1, augmentation=varied, whisper=whisper)
    some = [type(e)(e.id, e.text, 1.0, f"speaker {n % 2}") for n, e in enumerate(EXAMPLES)]

    def tune(name: str) -> dict[str, torch.Tensor]:
        report = finetune(tiny("whisper"), some, EXAMPLES[:1], Tones(), asked, None, tmp_path / name, tmp_path / "work")
        forget(report.checkpoints)
        return load_file(tmp_path / name / "lora_adapters" / "adapter_model.safetensors")

    calm = tune("calm")
    plain, steps = training.WerTrainer.training_step, 0

    def killed(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        tune("storm")
    monkeypatch.undo()
    assert list((tmp_path / "work").glob("*/checkpoint-*"))
    storm = tune("storm")
    assert all(torch.equal(calm[name], storm[name]) for name in calm)
