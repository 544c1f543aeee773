"""Packed windows are few and full, hold each clip once, and a model that learnt them tells when each was said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_training import EXAMPLES, LORA, Tones, params, tiny

from attune.checkpoints import load_checkpoint
from attune.finetuning.families import Example, WhisperFamily, family_of
from attune.finetuning.packing import PackedSounds, Window, clips_of, packed
from attune.finetuning.training import finetune


@pytest.fixture(scope="module")
def whisper() -> WhisperFamily:
    checkpoint = tiny("whisper")
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    assert isinstance(family, WhisperFamily)
    return family


def clips(count: int, seed: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.4, 3.0, count).round(2)
    return [Example(f"c{n}", "go back", float(s), f"speaker {n % 3}", speech_s=(0.1, float(s))) for n, s in enumerate(lengths)]


def test_every_clip_is_in_exactly_one_window_of_its_speaker(whisper: WhisperFamily) -> None:
    some = [*clips(60), Example("nobody", "stop", 1.0), Example("long", "stop", 4.9, "speaker 1")]
    windows = packed(some, whisper, slowest=1.0, seed=1)
    assert sorted(e.id for e in clips_of(windows)) == sorted(e.id for e in some)
    assert len(windows) < 0.6 * len(some)
    full = [w for w in windows if isinstance(w, Window)]
    assert full
    assert all({part.speaker for _, part in w.parts} == {w.speaker} for w in full)
    assert {e.id for e in windows if not isinstance(e, Window)} >= {"nobody", "long"}
    assert np.mean([w.duration_s for w in full]) > 0.75 * 5


@pytest.mark.parametrize("slowest", [1.0, 0.8])
def test_windows_hold_no_more_than_the_model_does_even_slowed_down(whisper: WhisperFamily, slowest: float) -> None:
    windows = [w for w in packed(clips(90), whisper, slowest, seed=1) if isinstance(w, Window)]
    assert len(windows) > 10
    assert max(w.duration_s for w in windows) <= 5.0 * slowest
    wordy = [Example(f"w{n}", " ".join(["seven two"] * 4), 0.5, "one") for n in range(20)]
    crammed = packed(wordy, whisper, slowest, seed=1)
    lengths = [len(whisper.writing.timed(w.segments)) for w in crammed]
    assert len(crammed) < len(wordy)
    assert max(lengths) <= 96 // 2
    assert all(whisper.refusal(w, whisper.labels(w.text)) is None for w in [*windows, *crammed])


def test_the_same_clips_and_seed_make_the_same_windows_in_whatever_order(whisper: WhisperFamily) -> None:
    some = clips(40)
    assert packed(some, whisper, 1.0, seed=1) == packed(some[::-1], whisper, 1.0, seed=1)
    assert packed(some, whisper, 1.0, seed=1) != packed(some, whisper, 1.0, seed=2)


def test_languages_do_not_meet_in_a_window(whisper: WhisperFamily) -> None:
    some = [Example(str(n), "stop", 0.5, "one", language) for n, language in enumerate(["es", "de"] * 4)]
    for window in packed(some, whisper, 1.0, seed=1):
        assert {clip.language for clip in clips_of([window])} == {window.language}


def test_the_sound_of_a_window_is_that_of_its_clips_with_silence_between(whisper: WhisperFamily) -> None:
    some = [Example(str(n), "stop", 1.0, "one") for n in range(3)]
    (window,) = packed(some, whisper, 1.0, seed=1)
    assert isinstance(window, Window)
    sounds = PackedSounds(Tones(), [window])
    samples, silent = sounds[window.id], np.ones(round(window.duration_s * 16_000), dtype=bool)
    assert samples.size == silent.size
    for begin_s, clip in window.parts:
        first = round(begin_s * 16_000)
        assert np.array_equal(samples[first : first + 16_000], Tones()[clip.id])
        silent[first : first + 16_000] = False
    assert 0.4 < silent.mean() * window.duration_s < 1.6
    assert not samples[silent].any()
    assert np.array_equal(sounds["2"], Tones()["2"])
    assert [s.start_s for s in window.segments] == [begin_s for begin_s, _ in window.parts]


def test_a_model_overfitted_on_packed_windows_returns_when_each_clip_was_said(tmp_path: Path) -> None:
    some = [Example(e.id, e.text, 1.0, f"speaker {n % 2}") for n, e in enumerate(EXAMPLES)]
    settings = params(
        epochs=80,
        evaluations_per_epoch=0.01,
        learning_rate={"lora": 5e-3, "full": 2e-3},
        lora=LORA | {"rank": 16},
        whisper={"timestamps_share": 0.6, "packing": True},
    )
    report = finetune(tiny("whisper"), some, [], Tones(), settings, None, tmp_path / "out", tmp_path / "work")
    assert (report.trained_utterances, report.trained_windows, report.timestamps_share) == (4, 2, 0.6)
    tuned = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)
    family = family_of("whisper", tuned.model, tuned.processor, None)
    assert isinstance(family, WhisperFamily)
    windows = packed(some, family, 1.0, settings.seed)
    sounds = PackedSounds(Tones(), windows)
    features = [family.features(sounds[w.id]) for w in windows]
    timed = tuned.model.generate(input_features=torch.from_numpy(np.stack(features)), return_timestamps=True)
    for window, ids in zip(windows, timed.tolist(), strict=True):
        heard = _segments(ids, tuned)
        assert [text for *_, text in heard] == [part.text for _, part in window.parts]  # type: ignore[attr-defined]
        told = [seconds for start, end, _ in heard for seconds in (start, end)]
        true = [seconds for s in window.segments for seconds in (s.start_s, s.end_s)]
        assert told == pytest.approx(true, abs=0.0101)
    assert family.recognize(tuned.model, features) == [w.text for w in windows]


def _segments(ids: list[int], tuned: Any) -> list[tuple[float, float, str]]:
    said = tuned.processor.tokenizer.decode(ids, skip_special_tokens=True, output_offsets=True)
    return [(*part["timestamp"], part["text"].strip()) for part in said["offsets"]]
