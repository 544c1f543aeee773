"""From the utterances that can be learnt to the windows of a pass: their languages, their times and, if wanted, packed."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from attune.finetuning.families import Example, Family, SoundSource, WhisperFamily
from attune.finetuning.packing import packed
from attune.finetuning.timestamps import timestamps_share, with_speech_spans
from attune.params import TrainParams

_LOG = logging.getLogger(__name__)
_LISTENED_TO = 8


def windows(examples: Sequence[Example], family: Family, model: Any, sounds: SoundSource, params: TrainParams) -> list[Example]:
    """What one pass hears, for Whisper-class models; the examples themselves for others."""
    if not isinstance(family, WhisperFamily):
        return list(examples)
    known = _with_languages(examples, family, model, sounds)
    wanted = params.whisper.timestamps_share
    if timestamps_share(family, wanted):
        known = with_speech_spans(known, sounds)
    elif wanted:
        _LOG.warning("This model has no timestamp tokens, so train.whisper.timestamps_share counts for nothing.")
    return packed(known, family, 1 - params.augmentation.speed, params.seed) if params.whisper.packing else known


def _with_languages(examples: Sequence[Example], family: WhisperFamily, model: Any, sounds: SoundSource) -> list[Example]:
    """Where a model of many languages is told none, the one that it hears most often in some of the clips."""
    unknown = [example for example in examples if example.language is None]
    if not family.writing.detects or not unknown:
        return list(examples)
    some = sorted(unknown, key=lambda e: e.id)[:_LISTENED_TO]
    with torch.no_grad():
        features = torch.from_numpy(np.stack([family.features(sounds[e.id]) for e in some]))
        heard = model.detect_language(features.to(model.device)).tolist()
    codes = Counter(family.writing.language_of(token) for token in heard)
    code, count = min(codes.items(), key=lambda item: (-item[1], str(item[0])))
    _LOG.warning(
        "model.language is null, and the lists tell no language of %d utterance(s). The model hears %r in %d of %d of them, so "
        "all are taken for that; set model.language, or give a column `language`, if it is wrong.",
        len(unknown),
        code,
        count,
        len(some),
    )
    return [replace(e, language=code) if e.language is None else e for e in examples]
