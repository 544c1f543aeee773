"""Transcribes a corpus: what the work cache holds is not heard again, the rest goes in batches of like length."""

import logging
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

from attune.dataset import Samples
from attune.errors import EnvironmentFault
from attune.progress import track
from attune.recognizers.protocol import Recognizer, Transcript
from attune.records import Alternative, Hypothesis, Utterance, Word
from attune.workcache import WorkCache, digest_of

_LOG = logging.getLogger(__name__)
_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
"""What torch, CTranslate2 and the C++ library say when memory runs out; they share no exception class."""


class SoundSource(Protocol):
    """Samples by utterance id, as `dataset.Sounds` gives them."""

    def __getitem__(self, utterance_id: str, /) -> Samples: ...


@dataclass(frozen=True)
class TranscriptionReport:
    """What transcribing took. `audio_s` is the sound that was heard now; cached utterances are not in it."""

    cached: int
    computed: int
    audio_s: float
    wall_s: float

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work per second of sound; None where all came from the cache."""
        return self.wall_s / self.audio_s if self.audio_s else None


def transcribe_corpus(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    cache: WorkCache,
    batch_size: int,
    nbest: int,
    word_times: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """A hypothesis for each utterance, in the order given. Each batch is in the cache before the next one starts.

    Raises EnvironmentFault when memory does not even suffice for a single clip.
    """
    begin_s = clock()
    keys = {u.id: digest_of(u.audio_digest, recognizer.digest, nbest, word_times) for u in utterances}
    known = {u.id: transcript for u in utterances if (transcript := _revived(cache.get_or_none(keys[u.id])))}
    missing = sorted((u for u in utterances if u.id not in known), key=lambda u: (u.duration_s, u.id))
    cached = len(utterances) - len(missing)
    batches = _batches(partial(recognizer.transcribe, nbest=nbest, word_times=word_times), missing, sounds, batch_size)
    for utterance, transcript in track(_kept(batches, keys, cache), f"transcribing with {recognizer.name}", len(missing)):
        known[utterance.id] = transcript
    report = TranscriptionReport(cached, len(missing), sum(u.duration_s for u in missing), clock() - begin_s)
    return [_hypothesis(u.id, known[u.id]) for u in utterances], report


_Batch = list[tuple[Utterance, Transcript]]


def _batches(
    transcribe: Callable[[list[Samples]], list[Transcript]],
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    batch_size: int,
) -> Iterator[_Batch]:
    """Longest last, so that the batch size that memory allows is found once; where it runs out, half as many go on."""
    start = 0
    while start < len(utterances):
        batch = utterances[start : start + batch_size]
        try:
            heard = transcribe([sounds[u.id] for u in batch])
        except (RuntimeError, MemoryError) as error:
            _stop_unless_memory(error, batch)
            batch_size = len(batch) // 2
            _LOG.warning("Memory ran out with %d clips at once; going on with %d.", len(batch), batch_size)
            _free_memory()
            continue
        yield list(zip(batch, heard, strict=True))
        start += len(batch)


def _kept(batches: Iterator[_Batch], keys: Mapping[str, str], cache: WorkCache) -> Iterator[tuple[Utterance, Transcript]]:
    for batch in batches:
        cache.put({keys[u.id]: asdict(transcript) for u, transcript in batch})
        yield from batch


def _stop_unless_memory(error: BaseException, batch: Sequence[Utterance]) -> None:
    ran_out = isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _MEMORY_SIGNS)
    if not ran_out:
        raise error
    if len(batch) == 1:
        raise EnvironmentFault(
            f"memory does not suffice to hear one clip of {batch[0].duration_s:.1f} s ({batch[0].source}); use a smaller model, "
            "another model.device or model.precision, or a lower split_clean_noisy.max_duration_s"
        ) from error


def _free_memory() -> None:
    """Gives blocks that torch keeps for later back to the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _hypothesis(utterance_id: str, heard: Transcript) -> Hypothesis:
    spelt = heard.text.encode()
    ratio = round(len(spelt) / len(zlib.compress(spelt)), 3) if spelt else None
    return Hypothesis(utterance_id, heard.text, heard.confidence, heard.words, heard.alternatives, heard.no_speech, ratio)


def _revived(value: Any) -> Transcript | None:
    """A cached transcript; None for anything that does not look like one."""
    try:
        words = tuple(Word(**word) for word in value["words"])
        alternatives = tuple(Alternative(**alternative) for alternative in value["alternatives"])
        silent = value["no_speech"]
        return Transcript(str(value["text"]), float(value["confidence"]), words, alternatives, silent)
    except (TypeError, KeyError, ValueError):
        return None
