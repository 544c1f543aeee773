"""Models converted to CTranslate2: Whisper-class ones, and the CTC ones that convert correctly.

They are fed with transformers' features, so that windows other than 30 s work and texts are those of the tuned model.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.checkpoint_files import files_digest, read_json
from attune.checkpoint_parts import Family, completed_generation
from attune.dataset import Samples
from attune.devices import workers_and_threads
from attune.errors import ModelError
from attune.params import ModelParams, Quantization
from attune.recognizers.ctc import CtcRecognizer, Listener, LogProbs, alphabet_of, ctc_input
from attune.recognizers.protocol import Recognizer
from attune.recognizers.whisper_decoding import Features, Sampler, WhisperRecognizer
from attune.recognizers.whisper_reading import Heard, Prompts, TokenReader, frame_s_of, new_tokens, no_speech_token
from attune.recognizers.word_times import starts_of
from attune.workcache import digest_of

_NEAREST: dict[Quantization, tuple[Quantization, ...]] = {
    "int8": ("int8",),
    "int8_float32": ("int8_float32", "int8"),
    "int8_float16": ("int8_float16", "int8_float32", "int8"),
    "float16": ("float16", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "float32": ("float32",),
}
"""How the weights are stored → what to compute in, best first; a CPU that is asked for float16 refuses."""
_WHISPER_POSITIONS = 448
_FIRST_MARK_AT_MOST = 50
"""OpenAI's: the first segment begins within a second of the window."""
_SAMPLES = 5


def open_ct2(
    name: str, folder: Path, device: str, params: ModelParams, batch_s: float, compute_type: str | None = None
) -> Recognizer:
    """The recogniser in a CTranslate2 folder; `compute_type` None is the one nearest to how its weights are stored.

    Raises ModelError where a file is missing or damaged.
    """
    card = _card(folder)
    compute_type = compute_type or choose_compute_type(str(card.get("quantization", "float32")), device)
    try:
        if exported_family(folder) == "ctc":
            return _open_ctc(name, folder, device, compute_type, batch_s, card)
        return _open_whisper(name, folder, device, compute_type, params, batch_s)
    except (RuntimeError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} cannot be opened as a CTranslate2 model: {' '.join(str(error).split())[:300]}") from error


def exported_family(folder: Path) -> Family:
    """Whisper where nothing says what it is, as stock models' folders do not."""
    return "ctc" if _card(folder).get("family") == "ctc" else "whisper"


def _card(folder: Path) -> dict[str, Any]:
    return read_json(folder / "attune.json") if (folder / "attune.json").is_file() else {}


def supported_quantizations(device: str) -> list[Quantization]:
    """What `device` computes in as it is stored, without rounding it up or down."""
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device)
    return [kind for kind in _NEAREST if kind in supported]


def choose_compute_type(quantization: str, device: str) -> str:
    """The compute type nearest to how the weights are stored that this device supports."""
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device)
    nearest = next((kinds for stored, kinds in _NEAREST.items() if stored == quantization), ())
    return next((kind for kind in nearest if kind in supported), "float32")


def _open_whisper(name: str, folder: Path, device: str, compute_type: str, params: ModelParams, batch_s: float) -> Recognizer:
    from transformers import WhisperFeatureExtractor, WhisperTokenizer

    given = (folder / "preprocessor_config.json").is_file()
    extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True) if given else None
    tokenizer = WhisperTokenizer.from_pretrained(_with(_with(folder, "config.json"), "tokenizer.json"), local_files_only=True)
    ours, file = bool(_card(folder)), "generation_config.json"  # ours say there how long their context is
    told = read_json(_with(folder, file) / file) if ours or (folder / file).is_file() else {}
    generation = completed_generation(folder, told, tokenizer)
    prompts = Prompts(tokenizer, generation, params.language, params.task, name)
    reader = TokenReader(tokenizer, prompts.plain)
    tells_silence = no_speech_token(tokenizer) is not None
    engine = Ct2Engine(
        folder,
        device,
        compute_type,
        generation,
        prompts,
        reader,
        frame_s_of(extractor or WhisperFeatureExtractor()),
        tells_silence,
    )
    extractor = extractor or WhisperFeatureExtractor(feature_size=engine.mels)  # that of all published models
    digest = digest_of("ct2", files_digest(folder), device, compute_type)
    return WhisperRecognizer(name, digest, engine, extractor, prompts, reader, params, batch_s)


class Ct2Engine:
    """See `WhisperEngine`; what it encodes to are CTranslate2's own arrays."""

    _sampling = Lock()

    def __init__(
        self,
        folder: Path,
        device: str,
        compute_type: str,
        generation: dict[str, Any],
        prompts: Prompts,
        reader: TokenReader,
        frame_s: float,
        tells_silence: bool,
    ) -> None:
        import ctranslate2

        self.workers, self._threads = workers_and_threads(device)
        self._again = partial(ctranslate2.models.Whisper, str(folder), device=device, compute_type=compute_type)
        self._model = self._again(inter_threads=self.workers, intra_threads=self._threads)
        self.mels = int(self._model.n_mels)
        if prompts.detects and not self._model.is_multilingual:
            raise ModelError(f"{folder} cannot tell languages apart (its vocabulary lacks the empty token); set model.language")
        self._languages: dict[str, int] = generation.get("lang_to_id") or {}
        self._first_mark_at_most = int(generation.get("max_initial_timestamp_index") or _FIRST_MARK_AT_MOST)
        self._new_tokens = new_tokens(_WHISPER_POSITIONS, generation)
        self._end, self._reader, self._frame_s, self._tells_silence = prompts.end, reader, frame_s, tells_silence

    def encode(self, features: Features) -> Any:
        """See `WhisperEngine.encode`."""
        import ctranslate2

        return self._model.encode(ctranslate2.StorageView.from_array(features))

    def languages(self, encoded: Any) -> list[int]:
        """See `WhisperEngine.languages`."""
        return [self._languages[best[0][0]] for best in self._model.detect_language(encoded)]

    def decode(self, encoded: Any, prompts: list[list[int]], *, timed: bool = False) -> list[Heard]:  # noqa: ARG002
        """See `WhisperEngine.decode`. A prompt that asks for timestamps is enough for them to follow its rules."""
        results = self._generate(self._model, encoded, prompts, return_no_speech_prob=self._tells_silence)
        return [self._heard(result, 0, result.no_speech_prob if self._tells_silence else None) for result in results]

    def sampler(self, seed: int) -> Sampler:
        """See `WhisperEngine.sampler`.

        The engine draws from generators of its threads, which take the seed when they are first used: only a model with new
        threads says the same twice. It is read from the disk once more for it.
        """
        import ctranslate2

        fresh = self._again(inter_threads=1, intra_threads=self._threads)

        def draw(encoded: Any, prompt: list[int], *, temperature: float, timed: bool) -> Heard:  # noqa: ARG001
            how = {"num_hypotheses": _SAMPLES, "sampling_topk": 0, "sampling_temperature": temperature}
            with self._sampling:
                ctranslate2.set_random_seed(seed)
                (result,) = self._generate(fresh, encoded, [prompt], **how)
            tries = [self._heard(result, number) for number in range(len(result.sequences_ids))]
            return max(tries, key=lambda heard: heard.mean_log_prob)

        return draw

    def search(self, encoded: Any, prompts: list[list[int]], *, beams: int) -> list[list[Heard]]:
        """See `WhisperEngine.search`. Its scores are means over the tokens without the end; that of an empty text is lost so."""
        how = {"beam_size": beams, "num_hypotheses": beams, "return_scores": True, "return_logits_vocab": False}
        return [
            [
                self._reader.heard([*ids, self._end], [], total=score * len(ids))
                for ids, score in zip(result.sequences_ids, result.scores, strict=True)
                if ids
            ]
            for result in self._generate(self._model, encoded, prompts, **how)
        ]

    def starts(
        self, encoded: Any, features: Features, prompts: list[list[int]], frames: list[int], texts: list[tuple[int, ...]]
    ) -> list[tuple[float, ...]]:
        """See `WhisperEngine.starts`. The engine takes one prompt for all that it aligns together, and ends it itself."""
        import ctranslate2

        found: list[tuple[float, ...]] = [()] * len(texts)
        kinds = sorted({tuple(prompt) for prompt in prompts})
        for prompt in kinds:
            some = [place for place, each in enumerate(prompts) if tuple(each) == prompt]
            sound = encoded if len(kinds) == 1 else ctranslate2.StorageView.from_array(np.ascontiguousarray(features[some]))
            tokens = [list(texts[place]) or [self._end] for place in some]  # it wants some of each
            aligned = self._model.align(sound, list(prompt[:-1]), tokens, [frames[place] for place in some])
            for place, result in zip(some, aligned, strict=True):
                if texts[place]:
                    found[place] = starts_of(result.alignments, len(texts[place]), self._frame_s)
        return found

    def _generate(self, model: Any, encoded: Any, prompts: list[list[int]], **how: Any) -> Any:
        settings = {"beam_size": 1, "return_logits_vocab": True, "max_initial_timestamp_index": self._first_mark_at_most, **how}
        return model.generate(encoded, prompts, max_length=2 * self._new_tokens, **settings)  # it decodes half of that

    def _heard(self, result: Any, number: int, silence: float | None = None) -> Heard:
        """With the end token, which is among the steps if it was reached, but never among the ids."""
        steps = result.logits[number]
        ids = [*result.sequences_ids[number], self._end][: len(steps)]
        log_probs = [_log_prob(step, token) for step, token in zip(steps, ids, strict=True)]
        return self._reader.heard(ids, log_probs, no_speech=silence)


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
