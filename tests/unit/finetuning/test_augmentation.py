import numpy as np
import pytest

from attune.finetuning.augmentation import at_speed, draw_speed, through_another_microphone
from attune.params import AugmentationParams


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_faster_is_shorter_and_higher(speed: float) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000).astype(np.float32)
    played = at_speed(tone, speed)
    assert played.size == pytest.approx(tone.size / speed, abs=2)
    strongest_hz = np.argmax(np.abs(np.fft.rfft(played))) * 16_000 / played.size
    assert strongest_hz == pytest.approx(440 * speed, abs=2)


def settings(**changes: object) -> AugmentationParams:
    return AugmentationParams.model_validate({"speed": 0.0, "equalizer_db": 0.0, "noise_snr_db": None, **changes})


def test_the_same_microphone_changes_nothing() -> None:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    assert np.allclose(through_another_microphone(samples, settings(), np.random.default_rng(1)), samples, atol=1e-5)


def test_noise_comes_two_times_of_three_at_the_ratio_asked_for() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    asked = settings(noise_snr_db=[20.0, 20.0])
    noises = [through_another_microphone(tone, asked, np.random.default_rng(n)) - tone for n in range(300)]
    ratios = [10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) for noise in noises if np.abs(noise).max() > 1e-4]
    assert len(ratios) == pytest.approx(200, abs=30)
    assert ratios == pytest.approx([20.0] * len(ratios), abs=0.5)


def test_the_equalizer_stays_within_its_bounds() -> None:
    click = np.zeros(16_000, dtype=np.float32)
    click[0] = 1.0
    gains_db = 20 * np.log10(
        np.abs(np.fft.rfft(through_another_microphone(click, settings(equalizer_db=6), np.random.default_rng(1))))
    )
    assert np.abs(gains_db).max() <= 6.01
    assert np.ptp(gains_db) > 3


def test_speeds_stay_within_their_bounds() -> None:
    speeds = [draw_speed(settings(speed=0.2), np.random.default_rng(n)) for n in range(200)]
    assert 0.8 <= min(speeds) < 0.85
    assert 1.15 < max(speeds) <= 1.2


def test_a_lowest_ratio_above_the_highest_is_a_fault() -> None:
    with pytest.raises(ValueError, match="lowest, highest"):
        settings(noise_snr_db=[30.0, 10.0])
