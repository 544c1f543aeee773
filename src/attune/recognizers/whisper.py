"""Whisper-class models through transformers: one encoder pass a batch, greedy text, n-best by beam search."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.checkpoints import Checkpoint, Family
from attune.dataset import Samples
from attune.recognizers.protocol import Transcript
from attune.recognizers.whisper_reading import (
    Heard,
    Prompts,
    TokenReader,
    frame_s_of,
    new_tokens,
    no_speech_token,
    transcribe_in_windows,
)
from attune.recognizers.word_times import align, starts_of
from attune.workcache import digest_of

_SCORED_AT_ONCE = 16


class WhisperRecognizer:
    """A Whisper-class checkpoint on one device."""

    family: Family = "whisper"
    window_s: float | None

    def __init__(self, checkpoint: Checkpoint, device: str, dtype: Any, language: str | None, batch_s: float) -> None:
        """Raises ModelError for a language that the checkpoint does not know."""
        self.name = checkpoint.name
        self.digest = digest_of("whisper greedy 2", checkpoint.digest, dtype, language)
        self._model = checkpoint.model.to(device=device, dtype=dtype)
        self._extractor = checkpoint.processor.feature_extractor
        self._device, self._dtype, self._batch_s = device, dtype, batch_s
        self.window_s, self.workers = float(self._extractor.chunk_length), 1
        generation = checkpoint.model.generation_config.to_dict()
        self._prompts = Prompts(checkpoint.processor.tokenizer, generation, language, checkpoint.name)
        self._limit = new_tokens(checkpoint.config.max_target_positions, generation)
        self._reader = TokenReader(checkpoint.processor.tokenizer)
        self._never: list[int] = generation.get("suppress_tokens") or []
        self._no_speech = no_speech_token(checkpoint.processor.tokenizer)
        self._alignment_heads: list[list[int]] = generation.get("alignment_heads") or _last_half(checkpoint.config)
        self._never_first: list[int] = generation.get("begin_suppress_tokens") or []

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        """See `Recognizer.transcribe`. N-best scores are log-probabilities of whole token sequences."""
        hear = partial(self._hear, nbest=nbest, word_times=word_times)
        return transcribe_in_windows(clips, self._extractor, self._batch_s, self._reader, hear, nbest)

    def _hear(self, features: NDArray[np.float32], frames: list[int], nbest: int, *, word_times: bool) -> list[list[Heard]]:
        """For each piece the greedy decoding, then those of a beam search."""
        import torch

        with torch.inference_mode():
            states = self._model.get_encoder()(torch.from_numpy(features).to(self._device, self._dtype)).last_hidden_state
            prompts = self._prompts.like(self._languages(states), len(features))
            heard = [[best] for (best,) in self._decode(states, prompts, beams=1)]
            heard = [[replace(best, no_speech=silence)] for (best,), silence in zip(heard, self._silences(states), strict=True)]
            if word_times:
                starts = self._starts(states, prompts, frames, [best.tokens for (best,) in heard])
                heard = [[replace(best, starts=times)] for (best,), times in zip(heard, starts, strict=True)]
            if nbest > 1:
                for greedy, beam in zip(heard, self._decode(states, prompts, beams=nbest), strict=True):
                    greedy += beam
            return heard

    def _languages(self, states: Any) -> list[int]:
        if not self._prompts.detects:
            return []
        from transformers.modeling_outputs import BaseModelOutput

        ids: list[int] = self._model.detect_language(encoder_outputs=BaseModelOutput(states)).tolist()
        return ids

    def _decode(self, states: Any, prompts: list[list[int]], beams: int) -> list[list[Heard]]:
        import torch
        from transformers import GenerationMixin
        from transformers.modeling_outputs import BaseModelOutput

        prompt = torch.tensor(prompts, device=self._device)
        start = prompt.shape[1]
        sequences = GenerationMixin.generate(
            self._model,
            encoder_outputs=BaseModelOutput(states),  # a fresh one: generate() repeats what is in it for its beams
            attention_mask=torch.ones(states.shape[:2], device=self._device),
            decoder_input_ids=prompt,
            do_sample=False,
            num_beams=beams,
            num_return_sequences=beams,
            max_length=start + self._limit,
            use_cache=True,
        )
        log_probs = self._score(states.repeat_interleave(beams, dim=0), sequences, start)
        rows = [self._heard(ids, scores) for ids, scores in zip(sequences[:, start:].tolist(), log_probs.tolist(), strict=True)]
        return [rows[first : first + beams] for first in range(0, len(rows), beams)]

    def _score(self, states: Any, sequences: Any, start: int) -> Any:
        """Log-probability of each token from `start` on among those allowed, shape (sequences, tokens), by one pass over all."""
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        scores = []
        for first in range(0, len(sequences), _SCORED_AT_ONCE):
            part = slice(first, first + _SCORED_AT_ONCE)
            encoded = BaseModelOutput(states[part])
            output = self._model(encoder_outputs=encoded, decoder_input_ids=sequences[part, :-1], use_cache=False)
            logits = output.logits[:, start - 1 :].float()
            logits[..., self._never] = -torch.inf
            logits[:, 0, self._never_first] = -torch.inf
            scores.append(logits.gather(-1, sequences[part, start:, None])[..., 0] - logits.logsumexp(-1))
        return torch.cat(scores)

    def _silences(self, states: Any) -> list[float | None]:
        """How probable the token for nobody speaking is right after the start."""
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        if self._no_speech is None:
            return [None] * len(states)
        begin = torch.full((len(states), 1), self._prompts.start, device=self._device)
        logits = self._model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=begin, use_cache=False).logits
        found: list[float | None] = logits[:, 0].float().softmax(-1)[:, self._no_speech].tolist()
        return found

    def _starts(
        self, states: Any, prompts: list[list[int]], frames: list[int], texts: list[tuple[int, ...]]
    ) -> list[tuple[float, ...]]:
        """When each token of the texts begins: a pass over prompt, text and end with its attention weights kept."""
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        found = []
        with _weights_kept(self._model):
            for place, tokens in enumerate(texts):
                ids = torch.tensor([[*prompts[place], *tokens]], device=self._device)
                encoded = BaseModelOutput(states[place : place + 1])
                output = self._model(encoder_outputs=encoded, decoder_input_ids=ids, use_cache=False, output_attentions=True)
                sounding = slice(0, max(1, frames[place] // 2))
                heads = [output.cross_attentions[layer][0, head, :, sounding] for layer, head in self._alignment_heads]
                way = align(torch.stack(heads).float().cpu().numpy(), len(prompts[place]) - 1) if tokens else []
                found.append(starts_of(way, len(tokens), frame_s_of(self._extractor)))
        return found

    def _heard(self, ids: list[int], log_probs: list[float]) -> Heard:
        end = self._prompts.end
        length = ids.index(end) + 1 if end in ids else len(ids)
        return self._reader.heard(ids[:length], log_probs[:length], total=sum(log_probs[:length]), length=length)


def _last_half(config: Any) -> list[list[int]]:
    """All heads of the later half of the decoder, for checkpoints that do not say which of theirs follow the sound."""
    return [
        [n, head]
        for n in range(config.decoder_layers // 2, config.decoder_layers)
        for head in range(config.decoder_attention_heads)
    ]


@contextmanager
def _weights_kept(model: Any) -> Iterator[None]:
    """Fused attention does not give its weights away; the plain one does."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
