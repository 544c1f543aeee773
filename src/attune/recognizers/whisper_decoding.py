"""The recogniser of every Whisper-class model, whatever runs it: windows, prompts, safeguards, long recordings, transcripts.

The safeguards are those of OpenAI's decoder (Radford et al., 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision", section 4.5): what repeats itself, or what the model itself finds unlikely, is decoded again with some
chance in it, and where it thinks that nobody speaks, nothing is written.
"""

import copy
import logging
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attune.checkpoint_parts import Family
from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.devices import is_memory
from attune.params import ModelParams, SafeguardParams
from attune.recognizers.protocol import Transcript
from attune.recognizers.whisper_reading import Heard, Prompts, TokenReader, joined
from attune.recognizers.windows import cut
from attune.text import compression_ratio
from attune.workcache import digest_of

Features = NDArray[np.float32]

_LOG = logging.getLogger(__name__)
_LEAST_PROGRESS_S = 0.1
"""Timestamps closer to the begin of their window do not count, and a shorter rest of a recording is not heard."""


class Sampler(Protocol):
    """A source of chance."""

    def __call__(self, encoded: Any, prompt: list[int], /, *, temperature: float, timed: bool) -> Heard:
        """The likeliest of five random decodings of the one window that is encoded."""
        ...


class WhisperEngine(Protocol):
    """Runs a Whisper-class model on a batch of windows."""

    workers: int
    """How many batches it can hear at the same time."""

    def encode(self, features: Features, /) -> Any:
        """The encoder's states for features of shape (windows, mels, frames), in a form of the engine's own."""
        ...

    def languages(self, encoded: Any, /) -> list[int]:
        """For each window the token of the language that is most likely spoken."""
        ...

    def decode(self, encoded: Any, prompts: list[list[int]], /, *, timed: bool = False) -> list[Heard]:
        """The greedy decoding of each window, with the probability of silence; `timed`: the prompts ask for timestamps."""
        ...

    def sampler(self, seed: int, /) -> Sampler:
        """Draws; two of one seed draw the same."""
        ...

    def search(self, encoded: Any, prompts: list[list[int]], /, *, beams: int) -> list[list[Heard]]:
        """The `beams` decodings of each window that a beam search finds."""
        ...

    def starts(
        self, encoded: Any, features: Features, prompts: list[list[int]], frames: list[int], texts: list[tuple[int, ...]], /
    ) -> list[tuple[float, ...]]:
        """Seconds at which each token of the texts begins and, as one more, the last one ends; `frames` are sound."""
        ...


@dataclass(frozen=True)
class _Request:
    nbest: int
    word_times: bool
    timed: bool = False


@dataclass(frozen=True)
class _Window:
    """A stretch of a clip to be heard."""

    clip: int
    samples: Samples


class WhisperRecognizer:
    """A Whisper-class model on some engine."""

    family: Family = "whisper"
    window_s: float | None

    def __init__(
        self,
        name: str,
        digest: str,
        engine: WhisperEngine,
        extractor: Any,
        prompts: Prompts,
        reader: TokenReader,
        params: ModelParams,
        batch_s: float,
    ) -> None:
        self.name = name
        settings = (params.language, params.task, params.long_audio, params.safeguards.model_dump_json())
        self.digest = digest_of("whisper 4", digest, *settings)
        self.workers, self.window_s = engine.workers, float(extractor.chunk_length)
        self.engine, self._extractor, self._prompts, self._reader = engine, extractor, prompts, reader
        self._safeguards, self._by_timestamps = params.safeguards, params.long_audio == "timestamps"
        self._together = max(1, int(batch_s // extractor.chunk_length))

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        """See `Recognizer.transcribe`. N-best scores are log-probabilities of whole token sequences.

        What is heard by its timestamps has one hypothesis only.
        """
        size = int(self._extractor.n_samples)
        found: list[list[list[Heard]]] = [[] for _ in clips]
        languages: dict[int, int] = {}
        seeking = {n: 0 for n, clip in enumerate(clips) if self._by_timestamps and clip.size > size}
        whole = [_Window(n, piece) for n, clip in enumerate(clips) if n not in seeking for piece in cut(clip, size)]
        for window, heard in self._hear_all(whole, _Request(nbest, word_times), languages):
            found[window.clip].append(heard)
        while seeking:
            windows = [_Window(n, clips[n][begin : begin + size]) for n, begin in seeking.items()]
            for window, heard in self._hear_all(windows, _Request(1, word_times, timed=True), languages):
                found[window.clip].append(heard)
                seeking[window.clip] += round(heard[0].length_s * SAMPLE_RATE_HZ)
            seeking = {n: at for n, at in seeking.items() if clips[n].size - at >= _LEAST_PROGRESS_S * SAMPLE_RATE_HZ}
        tongues = {n: self._prompts.language_of(token) for n, token in languages.items()}
        detected = [tongues.get(n, self._prompts.detected) for n in range(len(clips))]
        return [replace(joined(some, self._reader, nbest), language=code) for some, code in zip(found, detected, strict=True)]

    def for_language_of(self, samples: Samples) -> "WhisperRecognizer":
        """This recogniser for what is in the language of `samples`, which it would detect otherwise in each clip anew."""
        if not self._prompts.detects:
            return self
        (token,) = self.engine.languages(self.engine.encode(self._features([samples[: int(self._extractor.n_samples)]])))
        fixed = copy.copy(self)
        fixed._prompts = self._prompts.in_language(token)
        return fixed

    def _hear_all(
        self, windows: Sequence[_Window], asked: _Request, languages: dict[int, int]
    ) -> Iterator[tuple[_Window, list[Heard]]]:
        """Each window with its decodings, the best first; `languages` (by clip) grows as they are heard."""
        waiting = deque(windows)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(self._together, len(waiting)))]
            try:
                found = self._hear_batch(batch, asked, languages)
            except (RuntimeError, MemoryError) as error:
                if len(batch) == 1 or not is_memory(error):
                    raise
                self._together = len(batch) // 2
                _LOG.warning("Memory ran out with %d windows at once; going on with %d.", len(batch), self._together)
                waiting.extendleft(reversed(batch))
            else:
                yield from zip(batch, found, strict=True)

    def _hear_batch(self, batch: Sequence[_Window], asked: _Request, languages: dict[int, int]) -> list[list[Heard]]:
        sounds = [window.samples for window in batch]
        features = self._features(sounds)
        encoded = self.engine.encode(features)
        if self._prompts.detects:
            for window, token in zip(batch, self.engine.languages(encoded), strict=True):
                languages.setdefault(window.clip, token)  # the language of a clip is that of its beginning
        spoken = [languages.get(window.clip) for window in batch]
        return self._hear(features, encoded, sounds, spoken, asked)

    def _hear(
        self, features: Features, encoded: Any, sounds: Sequence[Samples], spoken: Sequence[int | None], asked: _Request
    ) -> list[list[Heard]]:
        prompts = self._prompts.like(spoken, timed=asked.timed)
        best = self._guarded(features, self.engine.decode(encoded, prompts, timed=asked.timed), prompts, asked.timed)
        lengths_s = [sound.size / SAMPLE_RATE_HZ for sound in sounds]
        best = [
            until_mark(heard, length_s) if asked.timed else replace(heard, length_s=length_s)
            for heard, length_s in zip(best, lengths_s, strict=True)
        ]
        if asked.word_times:
            plain = self._prompts.like(spoken)
            frames = [self._frames(features, heard.length_s) for heard in best]
            starts = self.engine.starts(encoded, features, plain, frames, [heard.tokens for heard in best])
            best = [replace(heard, starts=times) for heard, times in zip(best, starts, strict=True)]
        found = [[heard] for heard in best]
        if asked.nbest > 1:
            for some, others in zip(found, self.engine.search(encoded, prompts, beams=asked.nbest), strict=True):
                some += others
        return found

    def _features(self, sounds: Sequence[Samples]) -> Features:
        extracted = self._extractor(list(sounds), sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        return np.ascontiguousarray(extracted, dtype=np.float32)

    def _guarded(self, features: Features, greedy: list[Heard], prompts: list[list[int]], timed: bool) -> list[Heard]:
        """The decodings, doubtful ones replaced by sampled ones, and those of silence by nothing."""
        kept = [
            self._drawn(features[place : place + 1], heard, prompts[place], timed) if self._is_doubtful(heard) else heard
            for place, heard in enumerate(greedy)
        ]
        return [emptied(heard) if is_silent(heard, self._safeguards) else heard for heard in kept]

    def _drawn(self, features: Features, greedy: Heard, prompt: list[int], timed: bool) -> Heard:
        """Of one window by itself, so that its text does not depend on what else is heard. See OpenAI's `decode_with_fallback`.

        The first that is not doubtful; else the likeliest of all, those that repeat themselves last.
        """
        tries, alone = [greedy], np.ascontiguousarray(features)
        encoded, draw = self.engine.encode(alone), self.engine.sampler(zlib.crc32(alone.tobytes()))
        for temperature in self._safeguards.temperatures[1:]:
            heard = draw(encoded, prompt, temperature=temperature, timed=timed)
            tries.append(replace(heard, temperature=temperature, no_speech=greedy.no_speech))
            if not self._is_doubtful(tries[-1]):
                return tries[-1]
        return max(tries, key=lambda heard: (not self._repeats(heard), heard.mean_log_prob))

    def _is_doubtful(self, heard: Heard) -> bool:
        if is_silent(heard, self._safeguards):
            return False
        least = self._safeguards.min_log_prob
        return self._repeats(heard) or (least is not None and heard.mean_log_prob < least)

    def _repeats(self, heard: Heard) -> bool:
        most = self._safeguards.max_compression_ratio
        return most is not None and (compression_ratio(self._reader.text(heard)) or 0.0) > most

    def _frames(self, features: Features, length_s: float) -> int:
        sounding = int(length_s * SAMPLE_RATE_HZ) // int(self._extractor.hop_length)
        return max(1, min(int(features.shape[-1]), sounding))


def is_silent(heard: Heard, safeguards: SafeguardParams) -> bool:
    """Whether the model says that nobody speaks, and is not sure of its words either."""
    most, least = safeguards.max_no_speech, safeguards.min_log_prob
    if most is None or heard.no_speech is None or heard.no_speech <= most:
        return False
    return least is None or heard.mean_log_prob < least


def until_mark(heard: Heard, length_s: float) -> Heard:
    """What was heard up to the end of the last whole segment: the next window begins there. `length_s` is of this one's sound.

    As in OpenAI's `transcribe`: where two timestamps stand side by side, a segment ends and another one begins; if the last
    timestamp stands alone at the very end, nobody speaks after it, and where there are no such pairs all is taken.
    """
    pairs = [first for first, second in pairwise(heard.marks) if first[0] == second[0]]
    kept, end_s = pairs[-1] if pairs else (0, 0.0)
    last_alone = bool(pairs) and heard.marks[-1][0] == len(heard.tokens) != kept
    if last_alone or not _LEAST_PROGRESS_S <= end_s < length_s:
        return replace(heard, length_s=length_s)
    log_probs = heard.log_probs[:kept]
    whole = kept == len(heard.tokens)
    return replace(
        heard,
        tokens=heard.tokens[:kept],
        log_probs=log_probs,
        total=heard.total if whole else sum(log_probs),
        length=heard.length if whole else max(1, kept),
        length_s=end_s,
    )


def emptied(heard: Heard) -> Heard:
    """Nothing, as sure as the model is that nobody speaks."""
    sure = float(np.log(max(heard.no_speech or 0.0, 1e-9)))
    return replace(heard, tokens=(), log_probs=(), starts=(), marks=(), total=sure, length=1)
