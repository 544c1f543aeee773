"""Whisper-class models through transformers: one encoder pass a batch, greedy text, samples, n-best by beam search."""

import copy
from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache, GenerationMixin
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList, WhisperTimeStampLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from attune.checkpoints import Checkpoint
from attune.devices import workers_and_threads
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

    _sampling = Lock()

    def __init__(self, checkpoint: Checkpoint, device: str, dtype: Any, prompts: Prompts, reader: TokenReader) -> None:
        self.workers, _ = workers_and_threads(device)
        self._model = checkpoint.model.to(device=device, dtype=dtype)
        self._device, self._dtype = device, dtype
        self._start, self._end, self._reader = prompts.start, prompts.end, reader
        self._frame_s = frame_s_of(checkpoint.processor.feature_extractor)
        self._no_speech = no_speech_token(checkpoint.processor.tokenizer)
        self._generation = checkpoint.model.generation_config
        told = self._generation.to_dict()
        self._new_tokens = new_tokens(checkpoint.config.max_target_positions, told)
        never: list[int] = told.get("suppress_tokens") or []
        self._allowed = self._all_but(never)
        self._allowed_first = self._all_but([*never, *(told.get("begin_suppress_tokens") or [])])
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
        begun, silences = self._begun(encoded)
        spoken = _Spoken()
        ids = self._generate(encoded, prompts, timed=timed, notes=spoken, past_key_values=begun)
        log_probs = spoken.log_probs(ids).tolist()
        return [self._heard(*row) for row in zip(ids[:, len(prompts[0]) :].tolist(), log_probs, silences, strict=True)]

    def sampler(self, seed: int) -> Sampler:
        """See `WhisperEngine.sampler`. Chance is the process's own, so only one draws at a time."""

        @torch.inference_mode()
        def draw(encoded: Any, prompt: list[int], *, temperature: float, timed: bool) -> Heard:
            with self._sampling, torch.random.fork_rng(["cuda"] if encoded.is_cuda else []):
                torch.manual_seed(seed)
                how = {"do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": _SAMPLES}
                rows = self._scored(encoded, [prompt], _SAMPLES, timed=timed, **how)
            return max(rows, key=lambda heard: heard.mean_log_prob)

        return draw

    @torch.inference_mode()
    def search(self, encoded: Any, prompts: list[list[int]], *, beams: int) -> list[list[Heard]]:
        """See `WhisperEngine.search`."""
        rows = self._scored(encoded, prompts, beams, num_beams=beams, num_return_sequences=beams)
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
        for place, tokens in enumerate(texts):
            ids = torch.tensor([[*prompts[place], *tokens, self._end]], device=self._device)
            states = BaseModelOutput(encoded[place : place + 1])
            output = self._attentive(encoder_outputs=states, decoder_input_ids=ids, use_cache=False, output_attentions=True)
            sounding = slice(0, max(1, frames[place] // 2))
            heads = [output.cross_attentions[layer][0, head, :, sounding] for layer, head in self._alignment_heads]
            weights = torch.stack(heads).float()
            weights /= weights.sum(-1, keepdim=True)  # as if nothing but sound had been there to attend to
            way = align(weights.cpu().numpy(), len(prompts[place]) - 1) if tokens else []
            found.append(starts_of(way, len(tokens), self._frame_s))
        return found

    @cached_property
    def _attentive(self) -> Any:
        """The same weights with plain attention: the fused one does not give its own away, and other batches may be under way."""
        config = copy.deepcopy(self._model.config)
        config._attn_implementation = "eager"
        with torch.device("meta"):
            plain = type(self._model)(config)
        plain.load_state_dict(self._model.state_dict(), assign=True)
        return plain.eval()

    def _begun(self, states: Any) -> tuple[EncoderDecoderCache, list[float | None]]:
        """What the decoder knows after the start token, and how probable the token for nobody speaking is right behind it."""
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        begin = torch.full((len(states), 1), self._start, device=self._device)
        output = self._model(encoder_outputs=BaseModelOutput(states), decoder_input_ids=begin, past_key_values=cache)
        if self._no_speech is None:
            return cache, [None] * len(states)
        silences: list[float | None] = output.logits[:, 0].float().softmax(-1)[:, self._no_speech].tolist()
        return cache, silences

    def _generate(
        self, states: Any, prompts: list[list[int]], *, timed: bool = False, notes: "_Spoken | None" = None, **how: Any
    ) -> Any:
        """Token ids of each sequence, the prompt among them."""
        prompt = torch.tensor(prompts, device=self._device)
        start = prompt.shape[1]
        rules = [
            _Allowing(self._allowed_first, self._allowed, start),
            *([notes] if notes else []),
            *([WhisperTimeStampLogitsProcessor(self._generation, begin_index=start)] if timed else []),
        ]
        return GenerationMixin.generate(
            self._model,
            encoder_outputs=BaseModelOutput(states),  # a fresh one: generate() repeats what is in it for its beams
            attention_mask=torch.ones(states.shape[:2], device=self._device),
            decoder_input_ids=prompt,
            decoder_attention_mask=torch.ones_like(
                prompt
            ),  # by its length generate() sees that a cache holds a part of the prompt
            logits_processor=LogitsProcessorList(rules),
            max_length=start + self._new_tokens,
            use_cache=True,
            suppress_tokens=None,
            begin_suppress_tokens=None,
            **{"do_sample": False, "num_beams": 1, **how},
        )

    def _scored(self, states: Any, prompts: list[list[int]], copies: int, *, timed: bool = False, **how: Any) -> list[Heard]:
        """Decodings with each token's log-probability among those allowed, by one pass over all; `copies` for each window."""
        start, scores = len(prompts[0]), []
        sequences = self._generate(states, prompts, timed=timed, **how)
        states = states.repeat_interleave(copies, dim=0)
        for first in range(0, len(sequences), _SCORED_AT_ONCE):
            part = slice(first, first + _SCORED_AT_ONCE)
            encoded = BaseModelOutput(states[part])
            output = self._model(encoder_outputs=encoded, decoder_input_ids=sequences[part, :-1], use_cache=False)
            logits = output.logits[:, start - 1 :].float() + self._allowed
            logits[:, 0] += self._allowed_first
            scores.append(logits.gather(-1, sequences[part, start:, None])[..., 0] - logits.logsumexp(-1))
        return [self._heard(*row) for row in zip(sequences[:, start:].tolist(), torch.cat(scores).tolist(), strict=True)]

    def _all_but(self, tokens: Sequence[int]) -> Any:
        """What is added to the logits so that none of `tokens` is written. transformers finds out at each token anew which these
        are, which takes as long as a small decoder does."""
        allowed = torch.zeros(self._model.config.vocab_size, device=self._device)
        allowed[list(tokens)] = -torch.inf
        return allowed

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


class _Allowing(LogitsProcessor):
    """Lets only some tokens be written: others right after the prompt than later."""

    def __init__(self, first: Any, later: Any, start: int) -> None:
        self._first, self._later, self._start = first, later, start

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        return scores + (self._first if input_ids.shape[1] == self._start else self._later)


class _Spoken(LogitsProcessor):
    """Notes how probable each token was that was chosen, which is known once the next one is asked for."""

    def __init__(self) -> None:
        self._noted: list[Any] = []
        self._scores: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._scores is not None:
            self._note(input_ids)
        self._scores = scores
        return scores

    def log_probs(self, ids: Any) -> Any:
        """Shape (sequences, tokens), of what came after the prompt; call it once, with all that was generated."""
        self._note(ids)
        return torch.stack(self._noted, dim=1)

    def _note(self, ids: Any) -> None:
        self._noted.append(self._scores.gather(-1, ids[:, -1:])[:, 0] - self._scores.logsumexp(-1))
