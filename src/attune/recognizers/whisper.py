"""Whisper-class models through transformers: one encoder pass a batch, greedy text, samples, n-best by beam search."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationMixin
from transformers.generation.logits_process import LogitsProcessorList, WhisperTimeStampLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from attune.checkpoints import Checkpoint
from attune.params import ModelParams
from attune.recognizers.whisper_decoding import Features, Sampler, WhisperRecognizer
from attune.recognizers.whisper_reading import Heard, Prompts, TokenReader, frame_s_of, new_tokens, no_speech_token
from attune.recognizers.word_times import align, starts_of
from attune.workcache import digest_of

MODEL_TYPES = frozenset({"whisper"})
BATCH_S = {"cpu": 60.0, "cuda": 960.0}
_SCORED_AT_ONCE = 16
_SAMPLES = 5


def open_checkpoint(checkpoint: Checkpoint, device: str, dtype: Any, params: ModelParams, batch_s: float) -> WhisperRecognizer:
    """A Whisper-class checkpoint on one device. Raises ModelError for a language or a task that it does not know."""
    tokenizer, extractor = checkpoint.processor.tokenizer, checkpoint.processor.feature_extractor
    generation = checkpoint.model.generation_config.to_dict()
    prompts = Prompts(tokenizer, generation, params.language, params.task, checkpoint.name)
    reader = TokenReader(tokenizer, prompts.plain)
    engine = TransformersEngine(checkpoint, device, dtype, prompts, reader)
    digest = digest_of("transformers", checkpoint.digest, dtype)
    return WhisperRecognizer(checkpoint.name, digest, engine, extractor, prompts, reader, params, batch_s)


class TransformersEngine:
    """See `WhisperEngine`; what it encodes to are states of shape (windows, frames, width)."""

    workers = 1

    def __init__(self, checkpoint: Checkpoint, device: str, dtype: Any, prompts: Prompts, reader: TokenReader) -> None:
        self._model = checkpoint.model.to(device=device, dtype=dtype)
        self._device, self._dtype = device, dtype
        self._start, self._end, self._reader = prompts.start, prompts.end, reader
        self._frame_s = frame_s_of(checkpoint.processor.feature_extractor)
        self._no_speech = no_speech_token(checkpoint.processor.tokenizer)
        self._generation = checkpoint.model.generation_config
        told = self._generation.to_dict()
        self._new_tokens = new_tokens(checkpoint.config.max_target_positions, told)
        self._never: list[int] = told.get("suppress_tokens") or []
        self._never_first: list[int] = told.get("begin_suppress_tokens") or []
        self._alignment_heads: list[list[int]] = told.get("alignment_heads") or _last_half(checkpoint.config)

    @torch.inference_mode()
    def encode(self, features: Features) -> Any:
        """See `WhisperEngine.encode`."""
        sound = torch.from_numpy(features).to(self._device, self._dtype)
        return self._model.get_encoder()(sound).last_hidden_state

    @torch.inference_mode()
    def languages(self, encoded: Any) -> list[int]:
        """See `WhisperEngine.languages`."""
        ids: list[int] = self._model.detect_language(encoder_outputs=BaseModelOutput(encoded)).tolist()
        return ids

    @torch.inference_mode()
    def decode(self, encoded: Any, prompts: list[list[int]], *, timed: bool = False) -> list[Heard]:
        """See `WhisperEngine.decode`."""
        silences = self._silences(encoded)
        return [
            self._heard(ids, log_probs, silence)
            for (ids, log_probs), silence in zip(self._generate(encoded, prompts, timed=timed), silences, strict=True)
        ]

    def sampler(self, seed: int) -> Sampler:
        """See `WhisperEngine.sampler`."""

        @torch.inference_mode()
        def draw(encoded: Any, prompt: list[int], *, temperature: float, timed: bool) -> Heard:
            with torch.random.fork_rng(["cuda"] if encoded.is_cuda else []):
                torch.manual_seed(seed)
                how = {"do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": _SAMPLES}
                rows = [self._heard(*row) for row in self._generate(encoded, [prompt], timed=timed, copies=_SAMPLES, **how)]
            return max(rows, key=lambda heard: heard.mean_log_prob)

        return draw

    @torch.inference_mode()
    def search(self, encoded: Any, prompts: list[list[int]], *, beams: int) -> list[list[Heard]]:
        """See `WhisperEngine.search`."""
        wanted: dict[str, Any] = {"num_beams": beams, "num_return_sequences": beams}
        rows = [self._heard(*row) for row in self._generate(encoded, prompts, copies=beams, **wanted)]
        return [rows[first : first + beams] for first in range(0, len(rows), beams)]

    @torch.inference_mode()
    def starts(
        self,
        encoded: Any,
        features: Features,  # noqa: ARG002
        prompts: list[list[int]],
        frames: list[int],
        texts: list[tuple[int, ...]],
    ) -> list[tuple[float, ...]]:
        """See `WhisperEngine.starts`: a pass over prompt, text and end with its attention weights kept."""
        found = []
        with _weights_kept(self._model):
            for place, tokens in enumerate(texts):
                ids = torch.tensor([[*prompts[place], *tokens, self._end]], device=self._device)
                states = BaseModelOutput(encoded[place : place + 1])
                output = self._model(encoder_outputs=states, decoder_input_ids=ids, use_cache=False, output_attentions=True)
                sounding = slice(0, max(1, frames[place] // 2))
                heads = [output.cross_attentions[layer][0, head, :, sounding] for layer, head in self._alignment_heads]
                weights = torch.stack(heads).float()
                weights /= weights.sum(-1, keepdim=True)  # as if nothing but sound had been there to attend to
                way = align(weights.cpu().numpy(), len(prompts[place]) - 1) if tokens else []
                found.append(starts_of(way, len(tokens), self._frame_s))
        return found

    def _generate(
        self, states: Any, prompts: list[list[int]], *, timed: bool = False, copies: int = 1, **how: Any
    ) -> Iterator[tuple[list[int], list[float]]]:
        """New tokens of each sequence and their log-probabilities, `copies` for each window."""
        prompt = torch.tensor(prompts, device=self._device)
        start = prompt.shape[1]
        rules = [WhisperTimeStampLogitsProcessor(self._generation, begin_index=start)] if timed else []
        sequences = GenerationMixin.generate(
            self._model,
            encoder_outputs=BaseModelOutput(states),  # a fresh one: generate() repeats what is in it for its beams
            attention_mask=torch.ones(states.shape[:2], device=self._device),
            decoder_input_ids=prompt,
            logits_processor=LogitsProcessorList(rules),
            max_length=start + self._new_tokens,
            use_cache=True,
            **{"do_sample": False, "num_beams": 1, **how},
        )
        log_probs = self._score(states.repeat_interleave(copies, dim=0), sequences, start)
        yield from zip(sequences[:, start:].tolist(), log_probs.tolist(), strict=True)

    def _score(self, states: Any, sequences: Any, start: int) -> Any:
        """Log-probability of each token from `start` on among those allowed, shape (sequences, tokens), by one pass over all."""
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
        if self._no_speech is None:
            return [None] * len(states)
        begin = torch.full((len(states), 1), self._start, device=self._device)
        logits = self._model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=begin, use_cache=False).logits
        found: list[float | None] = logits[:, 0].float().softmax(-1)[:, self._no_speech].tolist()
        return found

    def _heard(self, ids: list[int], log_probs: list[float], silence: float | None = None) -> Heard:
        length = ids.index(self._end) + 1 if self._end in ids else len(ids)
        return self._reader.heard(ids[:length], log_probs[:length], no_speech=silence)


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
