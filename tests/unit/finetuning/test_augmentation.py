import numpy as np
import pytest

from attune.finetuning.augmentation import at_speed


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
def test_faster_is_shorter_and_higher(speed: float) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000).astype(np.float32)
    played = at_speed(tone, speed)
    assert played.size == pytest.approx(tone.size / speed, abs=2)
    strongest_hz = np.argmax(np.abs(np.fft.rfft(played))) * 16_000 / played.size
    assert strongest_hz == pytest.approx(440 * speed, abs=2)
