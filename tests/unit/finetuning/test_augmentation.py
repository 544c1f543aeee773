import numpy as np
import pytest

from attune.finetuning.augmentation import at_speed, draw_speed, masked, through_another_microphone
from attune.params import AugmentationParams


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_faster_is_shorter_and_higher(speed: float) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000).astype(np.float32)
    played = at_speed(tone, speed)
    assert played.size == pytest.approx(tone.size / speed, abs=2)
    strongest_hz = np.argmax(np.abs(np.fft.rfft(played))) * 16_000 / played.size
    assert strongest_hz == pytest.approx(440 * speed, abs=2)


def settings(**changes: object) -> AugmentationParams:
    off = {
        "speed": 0.0,
        "gain_db": 0.0,
        "equalizer_db": 0.0,
        "noise_snr_db": None,
        "noise_folder": None,
        "room": 0.0,
        "room_folder": None,
        "spec_augment": 0.0,
    }
    return AugmentationParams.model_validate({**off, **changes})


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


@pytest.mark.parametrize("shape", [(80, 300), (120, 240), (16_000,)])
def test_masks_cover_at_most_their_share_of_each_axis_and_leave_the_rest(shape: tuple[int, ...]) -> None:
    features = np.random.default_rng(0).normal(1.0, 1.0, shape).astype(np.float32)
    shares = []
    for seed in range(20):
        changed = masked(features, 0.3, np.random.default_rng(seed)) != features
        for axis in range(features.ndim):
            others = tuple(other for other in range(features.ndim) if other != axis)
            shares.append(changed.all(axis=others).mean() if others else changed.mean())
    assert max(shares) <= 0.3
    assert np.mean(shares) > 0.08
    assert np.array_equal(masked(features, 0.3, np.random.default_rng(1)), masked(features, 0.3, np.random.default_rng(1)))


def test_gain_makes_all_of_it_louder_or_softer() -> None:
    samples = np.linspace(-0.1, 0.1, 100, dtype=np.float32)
    changed = through_another_microphone(samples, settings(gain_db=6.0), np.random.default_rng(0))
    factor = changed[0] / samples[0]
    assert factor != 1
    assert 10 ** (-6 / 20) <= factor <= 10 ** (6 / 20)
    assert np.allclose(changed, samples * factor)
