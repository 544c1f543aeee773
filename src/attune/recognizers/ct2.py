"""Models converted to CTranslate2: Whisper-class ones, and the CTC ones that convert correctly.

They are fed with transformers' features, so that windows other than 30 s work and texts are those of the tuned model.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.checkpoints import Family, files_digest
from attune.dataset import Samples
from attune.errors import ModelError
from attune.recognizers.ctc import CtcRecognizer, Listener, LogProbs, alphabet_of, ctc_input
from attune.recognizers.protocol import Recognizer, Transcript
from attune.recognizers.whisper_reading import (
    Heard,
    Prompts,
    TokenReader,
    frame_s_of,
    new_tokens,
    no_speech_token,
    transcribe_in_windows,
)
from attune.recognizers.word_times import starts_of
from attune.workcache import digest_of

_NEAREST = {
    "int8": ("int8",),
    "int8_float32": ("int8_float32", "int8"),
    "int8_float16": ("int8_float16", "int8_float32", "int8"),
    "float16": ("float16", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "float32": ("float32",),
}
"""How the weights are stored → what to compute in, best first; a CPU that is asked for float16 refuses."""
_WHISPER_POSITIONS = 448
_MOST_WORKERS = 8


def open_ct2(
    name: str, folder: Path, device: str, language: str | None, batch_s: float, compute_type: str | None = None
) -> Recognizer:
    """The recogniser in a CTranslate2 folder; `compute_type` None is the one nearest to how its weights are stored.

    Raises ModelError where a file is missing or damaged.
    """
    card = _read(folder / "attune.json") if (folder / "attune.json").is_file() else {}
    compute_type = compute_type or choose_compute_type(str(card.get("quantization", "float32")), device)
    try:
        if card.get("family", "whisper") == "ctc":
            return _open_ctc(name, folder, device, compute_type, batch_s, card)
        return Ct2WhisperRecognizer(name, folder, device, compute_type, language, batch_s)
    except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} cannot be opened as a CTranslate2 model: {' '.join(str(error).split())[:300]}") from error


def choose_compute_type(quantization: str, device: str) -> str:
    """The compute type nearest to how the weights are stored that this device supports."""
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device)
    return next((kind for kind in _NEAREST.get(quantization, ()) if kind in supported), "float32")


def _layout(device: str) -> dict[str, int]:
    """Batches heard at the same time, and threads for each: on a CPU a core for each batch is quicker than all for one."""
    cores = os.cpu_count() or 1
    workers = min(cores, _MOST_WORKERS) if device == "cpu" else 1
    return {"inter_threads": workers, "intra_threads": max(1, cores // workers)}


class Ct2WhisperRecognizer:
    """A Whisper-class model in CTranslate2's form, decoding greedily."""

    family: Family = "whisper"
    window_s: float | None

    def __init__(self, name: str, folder: Path, device: str, compute_type: str, language: str | None, batch_s: float) -> None:
        import ctranslate2
        from transformers import WhisperFeatureExtractor, WhisperTokenizer

        self.name = name
        self.digest = digest_of("ct2 whisper greedy 2", files_digest(folder), device, compute_type, language)
        layout = _layout(device)
        self._model = ctranslate2.models.Whisper(str(folder), device=device, compute_type=compute_type, **layout)
        self._extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
        tokenizer = WhisperTokenizer.from_pretrained(_with(folder, "tokenizer.json"), local_files_only=True)
        generation = _read(folder / "generation_config.json")
        self._prompts = Prompts(tokenizer, generation, language, name)
        if self._prompts.detects and not self._model.is_multilingual:
            raise ModelError(f"{folder} cannot tell languages apart (its vocabulary lacks the empty token); set model.language")
        self._languages: dict[str, int] = generation.get("lang_to_id") or {}
        self._new_tokens = new_tokens(_WHISPER_POSITIONS, generation)
        self._reader, self._batch_s = TokenReader(tokenizer), batch_s
        self.window_s, self.workers = float(self._extractor.chunk_length), layout["inter_threads"]
        self._tells_silence = no_speech_token(tokenizer) is not None

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        """See `Recognizer.transcribe`. N-best scores are log-probabilities of whole token sequences."""
        hear = partial(self._hear, nbest=nbest, word_times=word_times)
        return transcribe_in_windows(clips, self._extractor, self._batch_s, self._reader, hear, nbest)

    def _hear(self, features: NDArray[np.float32], frames: list[int], nbest: int, *, word_times: bool) -> list[list[Heard]]:
        import ctranslate2

        encoded = self._model.encode(ctranslate2.StorageView.from_array(features))
        detected = [self._languages[best[0][0]] for best in self._model.detect_language(encoded)] if self._prompts.detects else []
        prompts = self._prompts.like(detected, len(features))
        heard = [[self._greedy(result)] for result in self._decode(encoded, prompts, beams=1)]
        if word_times:
            starts = self._starts(encoded, features, prompts, frames, [best.tokens for (best,) in heard])
            heard = [[replace(best, starts=times)] for (best,), times in zip(heard, starts, strict=True)]
        if nbest > 1:
            for greedy, result in zip(heard, self._decode(encoded, prompts, beams=nbest), strict=True):
                greedy += self._beam(result)
        return heard

    def _decode(self, encoded: Any, prompts: list[list[int]], beams: int) -> Any:
        return self._model.generate(
            encoded,
            prompts,
            beam_size=beams,
            num_hypotheses=beams,
            max_length=2 * self._new_tokens,  # it decodes half of that
            return_scores=beams > 1,
            return_logits_vocab=beams == 1,
            return_no_speech_prob=beams == 1 and self._tells_silence,
        )

    def _starts(
        self,
        encoded: Any,
        features: NDArray[np.float32],
        prompts: list[list[int]],
        frames: list[int],
        texts: list[tuple[int, ...]],
    ) -> list[tuple[float, ...]]:
        """When each token of the texts begins. The engine takes one prompt for all that it aligns together."""
        import ctranslate2

        found: list[tuple[float, ...]] = [()] * len(texts)
        kinds = sorted({tuple(prompt) for prompt in prompts})
        for prompt in kinds:
            some = [place for place, each in enumerate(prompts) if tuple(each) == prompt]
            sound = encoded if len(kinds) == 1 else ctranslate2.StorageView.from_array(np.ascontiguousarray(features[some]))
            tokens = [list(texts[place]) or [self._prompts.end] for place in some]  # it wants some of each
            aligned = self._model.align(sound, list(prompt), tokens, [frames[place] for place in some])
            for place, result in zip(some, aligned, strict=True):
                if texts[place]:
                    found[place] = starts_of(result.alignments, len(texts[place]), frame_s_of(self._extractor))
        return found

    def _greedy(self, result: Any) -> Heard:
        """With the end token, which is among the steps if it was reached, but never among the ids."""
        steps = result.logits[0]
        ids = [*result.sequences_ids[0], self._prompts.end][: len(steps)]
        log_probs = [_log_prob(step, token) for step, token in zip(steps, ids, strict=True)]
        heard = self._reader.heard(ids, log_probs, total=sum(log_probs), length=len(ids))
        return replace(heard, no_speech=result.no_speech_prob) if self._tells_silence else heard

    def _beam(self, result: Any) -> list[Heard]:
        """Scores are sums, the end token's part included, per token of the ids; that of an empty text is lost so."""
        found = zip(result.sequences_ids, result.scores, strict=True)
        return [self._reader.heard(ids, [], total=score * len(ids), length=len(ids) + 1) for ids, score in found if ids]


def _open_ctc(name: str, folder: Path, device: str, compute_type: str, batch_s: float, card: dict[str, Any]) -> CtcRecognizer:
    from transformers import Wav2Vec2Processor

    processor = Wav2Vec2Processor.from_pretrained(_with(folder, "vocab.json"), local_files_only=True)
    return CtcRecognizer(
        name=name,
        digest=digest_of("ct2", files_digest(folder), device, compute_type),
        listen=_listener(folder, device, compute_type, processor.feature_extractor),
        alphabet=alphabet_of(processor.tokenizer, int(card["vocab_size"])),
        frame_s=float(card["frame_s"]),
        batch_s=batch_s,
        equal_lengths=True,  # this engine takes no attention mask
    )


def _listener(folder: Path, device: str, compute_type: str, extractor: Any) -> Listener:
    import ctranslate2

    model = ctranslate2.models.Wav2Vec2(str(folder), device=device, compute_type=compute_type)

    def listen(clips: Sequence[Samples]) -> list[LogProbs]:
        samples = np.stack([ctc_input(extractor, clip) for clip in clips])[:, None, :]
        output = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(samples)), to_cpu=True)
        return list(_log_softmax(np.asarray(output, dtype=np.float32)))

    return listen


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), dtype=np.float32)


def _log_prob(step: Any, token: int) -> float:
    import ctranslate2

    if step.device != "cpu":
        step = step.to_device(ctranslate2.Device.cpu)
    return float(_log_softmax(np.asarray(step, dtype=np.float32))[token])


def _with(folder: Path, file: str) -> Path:
    if not (folder / file).is_file():
        raise ModelError(f"{folder} has no {file}; export the model again: dvc repro --force convert_ct2")
    return folder


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(_with(path.parent, path.name).joinpath(path.name).read_text(encoding="utf-8")))
