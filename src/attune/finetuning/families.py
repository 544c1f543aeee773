"""What differs between families when they learn: features, labels, what an adapter attaches to, how a prediction is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ
from attune.errors import TrainingError
from attune.finetuning.prompts import Segment, Writing, unforce
from attune.text import normalize

Samples = NDArray[np.float32]
Batch = dict[str, torch.Tensor]

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Example:
    """One utterance to learn: its id, its text as it is to be written, and its length."""

    id: str
    text: str
    duration_s: float
    speaker: str | None = None
    language: str | None = None
    """Its own, as Whisper's code for it; None where its list gives none."""
    speech_s: tuple[float, float] | None = None
    """Between which seconds somebody speaks; None where nobody looked."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What is said when, in seconds of the clip."""
        return (Segment(*(self.speech_s or (0.0, self.duration_s)), self.text),)


class SoundSource(Protocol):
    """Clips by id: 16 kHz, float32, shape (time,)."""

    def __getitem__(self, utterance_id: str, /) -> Samples: ...


class Family(Protocol):
    """The part of fine-tuning that depends on the kind of model."""

    adapted_layers: str
    """Regular expression over module names that LoRA attaches to."""

    def refusal(self, example: Example, labels: Sequence[int]) -> str | None:
        """A fixed word for why this example cannot be learned, or None."""
        ...

    def labels(self, text: str, language: str | None = None) -> list[int]:
        """Token ids to predict, without padding; `language` is the text's own, if it has one."""
        ...

    def positions(self, duration_s: float) -> int:
        """How many encoder frames attend to one another in a clip of this length."""
        ...

    def features(self, samples: Samples) -> NDArray[np.float32]:
        """Model input of one clip at 16 kHz."""
        ...

    def collate(self, rows: Sequence[tuple[NDArray[np.float32], list[int]]]) -> Batch:
        """Features and labels of several clips as one padded batch; padded labels are -100."""
        ...

    def exact(self) -> "Family":
        """The same with features as validation hears them, should training hear them less precisely."""
        ...

    def recognize(self, model: Any, features: Sequence[NDArray[np.float32]]) -> list[str]:
        """What the model, as it is now, hears in these clips; padding does not change the answer."""
        ...


FamilyMaker = Callable[[str, Any, Any, str | None], Family]
"""Makes the rules from a checkpoint's family, model and processor, and the language that it is to speak."""


def family_of(kind: str, model: Any, processor: Any, language: str | None) -> Family:
    """The rules for a checkpoint of the family `kind`; `language` is for multilingual Whisper. Raises TrainingError."""
    if kind == "whisper":
        return WhisperFamily(model, processor, language)
    if kind == "ctc":
        return CtcFamily(model, processor)
    raise TrainingError(f"models of the family {kind!r} are heard here, but cannot be fine-tuned; choose Whisper or a CTC model")


class WhisperFamily:
    """Encoder and decoder over a fixed window of log-mel frames."""

    adapted_layers = r".*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"

    def __init__(self, model: Any, processor: Any, language: str | None) -> None:
        self._extractor, self._tokenizer = processor.feature_extractor, processor.tokenizer
        self._prompt = {"language": language, "task": "transcribe"} if language and _multilingual(model) else {}
        unforce(model)
        self.writing = Writing(model, processor, language)
        self._longest = int(model.config.max_target_positions)
        self._window = int(model.config.max_source_positions)
        self.longest_decoded = self._longest // 2
        """Tokens that recognisers decode at most for one window, as OpenAI's does."""

    def refusal(self, example: Example, labels: Sequence[int]) -> str | None:
        if not self.writing.knows(example.language):
            return "language_unknown_to_model"
        if example.duration_s > self._extractor.chunk_length:
            return "longer_than_window"
        return "text_too_long" if len(labels) > self._longest else None

    def positions(self, duration_s: float) -> int:  # noqa: ARG002 : the window is padded to its end
        return self._window

    def labels(self, text: str, language: str | None = None) -> list[int]:
        return self.writing.plain(text, language)

    def features(self, samples: Samples) -> NDArray[np.float32]:
        out = self._extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np")
        return np.asarray(out.input_features[0], dtype=np.float32)

    def collate(self, rows: Sequence[tuple[NDArray[np.float32], list[int]]]) -> Batch:
        stacked = torch.from_numpy(np.stack([features for features, _ in rows]))
        return {"input_features": stacked, "labels": _padded_labels([labels for _, labels in rows])}

    def exact(self) -> "WhisperFamily":
        return self

    def recognize(self, model: Any, features: Sequence[NDArray[np.float32]]) -> list[str]:
        stacked = torch.from_numpy(np.stack(list(features))).to(model.device)
        ids = model.generate(input_features=stacked, num_beams=1, **self._prompt)
        decoded: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in decoded]


class CtcFamily:
    """An encoder with a letter (or blank) per frame: Wav2Vec2 on samples, Wav2Vec2-BERT on mel frames."""

    adapted_layers = r".*\.(q_proj|k_proj|v_proj|out_proj|linear_q|linear_k|linear_v|linear_out|intermediate_dense|output_dense)"

    def __init__(self, model: Any, processor: Any) -> None:
        self._extractor, self._tokenizer, self._model = processor.feature_extractor, processor.tokenizer, model
        self._input = self._extractor.model_input_names[0]
        self._masked = getattr(model.config, "feat_extract_norm", "layer") != "group"
        self._unknown = self._tokenizer.unk_token_id
        self._capitals = "A" in self._tokenizer.get_vocab()
        if model.config.model_type == "wavlm":
            # its attention takes the projections' weights past the layers that hold them, so that adapters there never learn
            self.adapted_layers = r".*\.(intermediate_dense|output_dense)"

    def refusal(self, example: Example, labels: Sequence[int]) -> str | None:
        if self._unknown in labels:
            return "character_outside_vocabulary"
        repeats = sum(a == b for a, b in pairwise(labels))
        return "text_longer_than_sound" if len(labels) + repeats > self.positions(example.duration_s) else None

    def labels(self, text: str, language: str | None = None) -> list[int]:  # noqa: ARG002 : letters are letters
        ids: list[int] = self._tokenizer(self.written(text)).input_ids
        return ids

    def written(self, text: str) -> str:
        """The text as these vocabularies write it: letters of one case, without punctuation."""
        words = normalize(text)
        return words.upper() if self._capitals else words

    def writes(self, letter: str) -> bool:
        """Whether the vocabulary has this letter."""
        return bool(self._tokenizer.convert_tokens_to_ids(letter) != self._unknown)

    def features(self, samples: Samples) -> NDArray[np.float32]:
        out = self._extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np")
        features = np.asarray(out[self._input][0], dtype=np.float32)
        return features[out["attention_mask"][0].astype(bool)] if features.ndim == 2 else features

    def collate(self, rows: Sequence[tuple[NDArray[np.float32], list[int]]]) -> Batch:
        values = torch.nn.utils.rnn.pad_sequence([torch.as_tensor(f) for f, _ in rows], batch_first=True)
        batch = {self._input: values, "labels": _padded_labels([labels for _, labels in rows])}
        if self._masked:
            lengths = torch.tensor([len(f) for f, _ in rows])
            batch["attention_mask"] = (torch.arange(values.shape[1])[None, :] < lengths[:, None]).long()
        return batch

    def exact(self) -> "CtcFamily":
        return self

    def recognize(self, model: Any, features: Sequence[NDArray[np.float32]]) -> list[str]:
        texts = []
        for clip in features:  # one by one: padding changes what some of these models hear
            logits = model(**{self._input: torch.as_tensor(clip)[None].to(model.device)}).logits
            texts.append(str(self._tokenizer.decode(logits[0].argmax(-1))).strip())
        return texts

    def positions(self, duration_s: float) -> int:
        samples = int(duration_s * SAMPLE_RATE_HZ)
        if self._input == "input_values":
            return int(self._model._get_feat_extract_output_lengths(samples))
        stride, frames = int(self._extractor.stride), max(samples - 400, 0) // 160 + 1
        # the Seamless extractor's 10 ms frames, an even number of them, stacked; its mask asks for the second one of each stack
        stacked = min((frames + stride - 2) // stride, (frames + frames % 2) // stride)
        return int(self._model._get_feat_extract_output_lengths(stacked))


def _multilingual(model: Any) -> bool:
    return bool(getattr(model.generation_config, "is_multilingual", False))


def _padded_labels(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """At least one column wide: CTC models look for the largest label, where all clips are silent too."""
    wide = [torch.tensor(row or [IGNORED_LABEL], dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(wide, batch_first=True, padding_value=IGNORED_LABEL)
