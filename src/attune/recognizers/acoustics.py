"""How likely given texts are in given sounds, by the very model that heard them: teacher-forced for Whisper-class models, over
all alignments for CTC models.

A text that somebody made up is far less likely in the sound than what was heard; a mended one is about as likely, or more so.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from transformers.modeling_outputs import BaseModelOutput

from attune.checkpoints import Checkpoint
from attune.ctc_decoding import text_log_prob
from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.devices import choose_device, choose_dtype
from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.ctc import CtcRecognizer
from attune.recognizers.registry import recognizer_of
from attune.recognizers.whisper_reading import Prompts
from attune.workcache import digest_of


class Acoustics(Protocol):
    """A model that tells how likely a text is in a sound."""

    digest: str
    """Changes whenever its answers may."""

    def log_probs(self, clips: Sequence[Samples], texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
        """For each 16 kHz clip the natural log-probability of each of its texts; None where the model cannot tell: the clip
        or the text is too long for it, or has letters that it does not know."""
        ...


def open_acoustics(checkpoint: Checkpoint, params: ModelParams) -> Acoustics:
    """The acoustics of a checkpoint, run by transformers. Raises ModelError for a family that cannot tell."""
    if checkpoint.family == "ctc":
        recognizer = recognizer_of(checkpoint, params)
        assert isinstance(recognizer, CtcRecognizer)
        return CtcAcoustics(recognizer)
    if checkpoint.family == "whisper":
        return WhisperAcoustics(checkpoint, params)
    raise ModelError(
        f"{checkpoint.name} is of the family {checkpoint.family!r}, which cannot tell how likely a text is; set "
        "llm_gold.guards.max_acoustic_loss to null"
    )


class CtcAcoustics:
    """See `Acoustics`; texts are judged by their letters."""

    def __init__(self, recognizer: CtcRecognizer) -> None:
        self.digest = digest_of("acoustics 1", recognizer.digest)
        self._recognizer = recognizer

    def log_probs(self, clips: Sequence[Samples], texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
        """See `Acoustics.log_probs`."""
        heard = self._recognizer.emissions(clips)
        return [[text_log_prob(emissions, text) for text in some] for emissions, some in zip(heard, texts, strict=True)]


class WhisperAcoustics:
    """See `Acoustics`; a clip must fit into the model's window. In a language to be detected, that of the clip counts."""

    def __init__(self, checkpoint: Checkpoint, params: ModelParams) -> None:
        device = choose_device(params.device)
        self._device, self._dtype = device, choose_dtype(params.precision, device)
        self._model = checkpoint.model.to(device=device, dtype=self._dtype)
        self._extractor, self._tokenizer = checkpoint.processor.feature_extractor, checkpoint.processor.tokenizer
        told = checkpoint.model.generation_config.to_dict()
        self._prompts = Prompts(self._tokenizer, told, params.language, "transcribe", checkpoint.name)
        self._longest = int(checkpoint.config.max_target_positions)
        self.digest = digest_of("acoustics 1", checkpoint.digest, self._dtype, params.language)

    @torch.inference_mode()
    def log_probs(self, clips: Sequence[Samples], texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
        """See `Acoustics.log_probs`."""
        features = self._extractor(
            [clip[: int(self._extractor.n_samples)] for clip in clips], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
        ).input_features
        states = self._model.get_encoder()(features.to(self._device, self._dtype)).last_hidden_state
        spoken: list[int | None] = [None] * len(clips)
        if self._prompts.detects:
            spoken = self._model.detect_language(encoder_outputs=BaseModelOutput(states)).tolist()
        prompts = self._prompts.like(spoken)
        room = self._longest - len(prompts[0])
        tokens = [[self._tokens(text) for text in some] for some in texts]
        fits = [clip.size <= int(self._extractor.n_samples) for clip in clips]
        places = [(n, ids) for n, some in enumerate(tokens) for ids in some if fits[n] and len(ids) <= room]
        found = iter(self._forced(states[[n for n, _ in places]], [prompts[n] for n, _ in places], [ids for _, ids in places]))
        return [[next(found) if fits[n] and len(ids) <= room else None for ids in some] for n, some in enumerate(tokens)]

    def _tokens(self, text: str) -> list[int]:
        """Of the text as the model would write it, after a space, and the end."""
        return [*self._tokenizer(f" {text.strip()}" if text else "", add_special_tokens=False).input_ids, self._prompts.end]

    def _forced(self, states: Any, prompts: list[list[int]], tokens: list[list[int]]) -> list[float]:
        if not tokens:
            return []
        longest, start = max(map(len, tokens)), len(prompts[0])
        rows = [[*prompt, *ids, *[self._prompts.end] * (longest - len(ids))] for prompt, ids in zip(prompts, tokens, strict=True)]
        forced = torch.tensor(rows, device=self._device)
        output = self._model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=forced[:, :-1], use_cache=False)
        scores = output.logits[:, start - 1 :].float().log_softmax(-1).gather(-1, forced[:, start:, None])[..., 0]
        return [float(row[: len(ids)].sum()) for row, ids in zip(scores, tokens, strict=True)]
