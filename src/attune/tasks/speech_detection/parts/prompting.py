"""What an audio language model is given: a prompt around the clip's frames, and a label to learn.

Batches are padded on the left, so that the answer begins at the same place in each row. Features are those of the checkpoint's
own extractor, of the clip and a little of the silence behind it, which is alike from there on to the end of the window.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import ModelError
from attune.tasks.speech_detection.parts.labels import LABELS

IGNORED = -100
BEHIND = 4
"""Frames behind a clip's last one: two still hear its end, and the tower's convolutions look at one that does not."""
STRIDE = 2
"""Frames to a position of the audio tower, and positions to a token."""
_FEWEST_FRAMES = 8
"""Of two tokens; transformers takes a single one for a prompt of the time before processors knew how many a clip has."""
Features = NDArray[np.float32]
Batch = dict[str, torch.Tensor]


class Prompting:
    """Inputs for one checkpoint and one question."""

    def __init__(self, processor: Any, question: str, longest_s: float) -> None:
        """`longest_s` is how much of a clip is heard at once; the model's window bounds it. Raises ModelError."""
        self.processor, self._extractor, self._tokenizer = processor, processor.feature_extractor, processor.tokenizer
        self.window_s = min(longest_s, self._extractor.n_samples / SAMPLE_RATE_HZ)
        asked = [{"role": "user", "content": [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": question}]}]
        text: str = processor.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        if text.count(processor.audio_token) != 1:
            raise ModelError(
                f"the chat template of this checkpoint names {processor.audio_token} {text.count(processor.audio_token)} times "
                "where it should once; save the processor of Qwen/Qwen2-Audio-7B-Instruct beside the model"
            )
        before, after = text.split(processor.audio_token)
        self.start, self._after = self._ids(before), self._ids(after)
        """The tokens before the sound."""
        self._audio, self._pad = int(processor.audio_token_id), int(self._tokenizer.pad_token_id)
        self.labels = tuple((*self._ids(label), int(self._tokenizer.eos_token_id)) for label in LABELS)
        """The tokens of each of LABELS, and of the end of the answer: one label may begin as the other does."""
        if self.labels[0] == self.labels[1] or min(map(len, self.labels)) < 2:
            raise ModelError(f"the tokenizer of this checkpoint does not tell {' from '.join(LABELS)}; take its own tokenizer")

    def features(self, samples: Samples) -> Features:
        """Log-mel frames of the clip, and BEHIND more of silence, shape (mels, frames + BEHIND)."""
        heard = samples[: round(self.window_s * SAMPLE_RATE_HZ)]
        frames = self._frames(heard.size)
        length = min((frames + BEHIND) * self._extractor.hop_length, self._extractor.n_samples)
        out = self._extractor(heard, sampling_rate=SAMPLE_RATE_HZ, padding="max_length", max_length=length)
        return _filled(np.asarray(out["input_features"][0], dtype=np.float32), frames + BEHIND)

    def pieces(self, samples: Samples) -> list[Samples]:
        """The clip in windows; the last one ends where the clip does."""
        window = round(self.window_s * SAMPLE_RATE_HZ)
        starts = [*range(0, max(samples.size - window, 0), window), max(samples.size - window, 0)]
        return [samples[start : start + window] for start in starts]

    def positions(self, duration_s: float) -> int:
        """How many tokens stand for a clip of this length."""
        return _tokens(self._frames(round(min(duration_s, self.window_s) * SAMPLE_RATE_HZ)))

    def batch(
        self,
        rows: Sequence[Features],
        labels: Sequence[Sequence[int]] | None = None,
        *,
        whole: bool = False,
        started: bool = False,
    ) -> Batch:
        """Prompts with the sounds of `rows`, padded on the left; with `labels`, these follow, to be learnt alone.

        The frames go to the end of the longest row; where it shall be `whole`, to that of the window: so transformers wants
        them. Where they are `started`, prompts are without `start`.
        """
        frames = [row.shape[1] - BEHIND for row in rows]
        window = self._extractor.nb_max_frames
        width = window if whole else min(-(-(max(frames) + BEHIND) // STRIDE) * STRIDE, window)
        start = [] if started else self.start
        prompts = [[*start, *[self._audio] * _tokens(count), *self._after] for count in frames]
        answers = [list(label) for label in labels] if labels is not None else [[] for _ in rows]
        ids = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
        batch = {
            "input_ids": _left_padded(ids, self._pad),
            "attention_mask": _left_padded([[1] * len(row) for row in ids], 0),
            "input_features": torch.from_numpy(np.stack([_filled(row, width) for row in rows])),
            "feature_attention_mask": (torch.arange(width) < torch.tensor(frames)[:, None]).long(),
        }
        if labels is not None:
            told = [[IGNORED] * len(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)]
            batch["labels"] = _left_padded(told, IGNORED)
        return batch

    def _frames(self, samples: int) -> int:
        """How many frames so many samples are; what is shorter than two tokens counts as that, with silence behind it."""
        return max(-(-samples // int(self._extractor.hop_length)), _FEWEST_FRAMES)

    def label_ids(self, label: str) -> list[int]:
        """The tokens of one of LABELS, its end with them. Raises ValueError for another text."""
        return list(self.labels[LABELS.index(label)])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids


def _tokens(frames: int) -> int:
    """How many tokens the audio tower makes of so many frames (Qwen2AudioEncoder._get_feat_extract_output_lengths)."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def _filled(features: Features, width: int) -> Features:
    """So many frames, the last one again and again where there are less: silence, at the floor that the loudest frame sets."""
    missing = width - features.shape[1]
    return np.pad(features, ((0, 0), (0, missing)), mode="edge") if missing > 0 else features[:, :width]


def _left_padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[value] * (longest - len(row)) + list(row) for row in rows], dtype=torch.long)
