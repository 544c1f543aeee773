"""Params, models and clips for the tests of speech detection."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shipped import SHIPPED

from attune.params import Params, load_params
from attune.records import Split, Utterance

Samples = NDArray[np.float32]


def detection_params(name: str | Path, **sections: dict[str, Any]) -> Params:
    """The shipped params for a tiny detector on a CPU; `sections` change some, a section within them key by key."""
    content = load_params(SHIPPED).model_dump()
    content["task"] = "speech_detection"
    content["model"] |= {"name": str(name), "device": "cpu", "precision": "float32"}
    for section, changes in sections.items():
        for key, value in changes.items():
            content[section][key] = content[section][key] | value if isinstance(value, dict) else value
    return Params.model_validate(content)


def sound(seconds: float, seed: int, pitch_hz: float = 0.0) -> Samples:
    """Hiss, with a tone in it where a pitch is given."""
    count = round(seconds * 16_000)
    hiss = 0.05 * np.random.default_rng(seed).standard_normal(count)
    return (hiss + (0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(count) / 16_000) if pitch_hz else 0)).astype(np.float32)


def clip(name: str, label: str, side: Split = "train", speaker: str = "ann", **more: Any) -> Utterance:
    """An utterance as the split of speech detection makes it."""
    facts: dict[str, Any] = {"duration_s": 1.0, "snr_db": 20.0, "tags": {"label": label}} | more
    return Utterance(
        id=name,
        audio_digest=f"d{name}",
        source=f"{name}.wav",
        speaker=speaker,
        condition="clean",
        split=side,
        reference=label,
        **facts,
    )
