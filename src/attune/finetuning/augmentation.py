"""Makes every pass over the recordings a little different, so that few voices are not learnt by heart."""

import numpy as np
import soxr
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]


def at_speed(samples: Samples, speed: float) -> Samples:
    """`speed` times as fast by resampling: tempo, pitch and formants move together (Ko et al., 2015, "Audio Augmentation
    for Speech Recognition"), as they do with the size of a speaker. 16 kHz in and out.
    """
    return np.asarray(soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ), dtype=np.float32)
