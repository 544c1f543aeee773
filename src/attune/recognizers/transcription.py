"""Transcribes a corpus: what the work cache holds is not heard again, the rest goes in batches of like length.

Sound is decoded ahead while the model is at work, and each batch is in the cache before its texts are counted as done.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.devices import free_memory, is_memory, share_cores
from attune.errors import EnvironmentFault
from attune.progress import track
from attune.recognizers.batching import in_batches, padded_s
from attune.recognizers.protocol import Recognizer, Transcript
from attune.records import Alternative, Hypothesis, Utterance, Word
from attune.text import compression_ratio
from attune.workcache import WorkCache, digest_of

_LOG = logging.getLogger(__name__)
_AHEAD = 2
"""Batches whose sound is decoded while others are heard."""


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
    way: str = ""
    """Engine, what it computed in, and seconds of sound at once."""
    why: str = ""
    """What else was tried, and how fast it was; empty where nothing was."""
    peak_memory_mb: float | None = None
    """Of this process, and on a GPU of the GPU."""

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work per second of sound; None where all came from the cache."""
        return self.wall_s / self.audio_s if self.audio_s else None


def transcribe_corpus(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    cache: WorkCache,
    batch_s: float,
    nbest: int = 1,
    word_times: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Hypothesis], TranscriptionReport]:
    """A hypothesis for each utterance, in the order given; batches are of at most `batch_s` seconds, padding counted.

    With `nbest` 1 and without word times, what was heard with more of them before is good enough, and only texts and
    confidences are given. Raises EnvironmentFault when memory does not even suffice for a single clip.
    """
    begin_s = clock()
    plain = nbest == 1 and not word_times
    keys = {u.id: _keys(u, recognizer, nbest, word_times) for u in utterances}
    known = {u.id: transcript for u in utterances if (transcript := _revived(cache.get_or_none(keys[u.id][0])))}
    missing = [u for u in utterances if u.id not in known]
    first = _missing_at_first(utterances, missing, cache, digest_of(recognizer.digest, nbest, word_times, batch_s))
    batches = hear_batches(recognizer, missing, sounds, batch_s, nbest, word_times=word_times, among=first)
    for utterance, transcript in track(_kept(batches, keys, cache), f"transcribing with {recognizer.name}", len(missing)):
        known[utterance.id] = transcript
    report = TranscriptionReport(
        len(utterances) - len(missing), len(missing), sum(u.duration_s for u in missing), clock() - begin_s
    )
    return [_hypothesis(u.id, known[u.id], plain=plain) for u in utterances], report


_Batch = list[tuple[Utterance, Transcript]]
_Keys = tuple[str, ...]
"""Where in the cache a transcript stands, and where its text alone does."""


def _keys(utterance: Utterance, recognizer: Recognizer, nbest: int, word_times: bool) -> _Keys:
    text = digest_of(utterance.audio_digest, recognizer.digest)
    whole = digest_of(utterance.audio_digest, recognizer.digest, nbest, word_times)
    return (text,) if nbest == 1 and not word_times else (whole, text)


def _missing_at_first(
    utterances: Sequence[Utterance], missing: Sequence[Utterance], cache: WorkCache, settings: str
) -> list[Utterance]:
    """What was missing when this very work was begun, so that after a kill the rest is heard in the batches of then.

    Scores differ in their fifth digit with what is heard beside a clip.
    """
    key = digest_of("begun", settings, *(u.audio_digest for u in utterances))
    begun = cache.get_or_none(key)
    wanted = {u.id for u in missing}
    if isinstance(begun, list) and wanted <= set(begun):
        wanted = set(begun)
    elif missing:
        cache.put({key: sorted(wanted)})
    return [u for u in utterances if u.id in wanted]


def hear_batches(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    batch_s: float,
    nbest: int,
    *,
    word_times: bool,
    among: Sequence[Utterance] | None = None,
) -> Iterator[_Batch]:
    """Batches with what was heard in them, as they are done; the longest clips come first, so that memory runs out at once.

    Batches are those that `among` would be heard in. Where memory runs out, batches of half as many clips go on. Raises
    EnvironmentFault where one clip is too much.
    """
    transcribe = partial(recognizer.transcribe, nbest=nbest, word_times=word_times)
    window_s, workers = recognizer.window_s, recognizer.workers
    planned, wanted = list(utterances if among is None else among), {u.id for u in utterances}
    places = in_batches([u.duration_s for u in planned], batch_s, window_s)
    batches = ([planned[place] for place in batch if planned[place].id in wanted] for batch in places)
    waiting = deque(batch for batch in batches if batch)
    running: dict[Future[list[Transcript]], list[Utterance]] = {}
    with ThreadPoolExecutor(1) as decoder, ThreadPoolExecutor(workers, initializer=share_cores, initargs=(workers,)) as engines:
        try:
            while waiting or running:
                while waiting and len(running) < workers + _AHEAD:
                    batch = waiting.popleft()
                    decoded = decoder.submit(lambda some: [sounds[u.id] for u in some], batch)
                    running[engines.submit(lambda clips: transcribe(clips.result()), decoded)] = batch
                ended = wait(running, return_when=FIRST_COMPLETED).done
                for done in sorted(ended, key=lambda future: future.exception() is not None):  # what is heard is not lost
                    batch = running.pop(done)
                    try:
                        yield list(zip(batch, done.result(), strict=True))
                    except (RuntimeError, MemoryError) as error:
                        _stop_unless_memory(error, batch)
                        waiting.appendleft(batch)
                        waiting = _smaller(waiting, batch, window_s)
        finally:
            for future in running:
                future.cancel()


def hear_clips(recognizer: Recognizer, clips: Sequence[Samples], *, word_times: bool) -> list[Transcript]:
    """Transcripts in the order of the clips; where memory runs out, of half as many at a time. Raises EnvironmentFault."""
    try:
        return recognizer.transcribe(clips, word_times=word_times) if clips else []
    except (RuntimeError, MemoryError) as error:
        if not is_memory(error):
            raise
        if len(clips) == 1:
            raise EnvironmentFault(
                f"memory does not suffice to hear {clips[0].size / SAMPLE_RATE_HZ:.1f} s of sound at once; use a smaller "
                "model, or another model.device or model.precision"
            ) from error
    half = len(clips) // 2
    _LOG.warning("Memory ran out with %d clips at once; going on with %d.", len(clips), half)
    free_memory()
    return [
        transcript for some in (clips[:half], clips[half:]) for transcript in hear_clips(recognizer, some, word_times=word_times)
    ]


def _smaller(waiting: deque[list[Utterance]], failed: list[Utterance], window_s: float | None) -> deque[list[Utterance]]:
    """All that waits in batches of at most half the clips that were too many."""
    longest_s = padded_s(max(u.duration_s for u in failed), window_s)
    budget_s, rest = longest_s * (len(failed) // 2), [u for batch in waiting for u in batch]
    _LOG.warning("Memory ran out with %d clips at once; going on with %d.", len(failed), len(failed) // 2)
    free_memory()
    return deque([rest[place] for place in batch] for batch in in_batches([u.duration_s for u in rest], budget_s, window_s))


def _kept(batches: Iterator[_Batch], keys: Mapping[str, _Keys], cache: WorkCache) -> Iterator[tuple[Utterance, Transcript]]:
    for batch in batches:
        whole = {keys[u.id][0]: transcript for u, transcript in batch}
        texts = {keys[u.id][-1]: replace(transcript, words=(), alternatives=()) for u, transcript in batch}
        cache.put({key: asdict(transcript) for key, transcript in {**texts, **whole}.items()})
        yield from batch


def _stop_unless_memory(error: BaseException, batch: Sequence[Utterance]) -> None:
    if not is_memory(error):
        raise error
    if len(batch) == 1:
        raise EnvironmentFault(
            f"memory does not suffice to hear one clip of {batch[0].duration_s:.1f} s ({batch[0].source}); use a smaller model, "
            "another model.device or model.precision, or a lower split_clean_noisy.max_duration_s"
        ) from error


def _hypothesis(utterance_id: str, heard: Transcript, *, plain: bool) -> Hypothesis:
    ratio = compression_ratio(heard.text)
    return Hypothesis(
        utterance_id,
        heard.text,
        heard.confidence,
        () if plain else heard.words,
        () if plain else heard.alternatives,
        heard.no_speech,
        None if ratio is None else round(ratio, 3),
        language=heard.language,
        temperature=heard.temperature,
    )


def _revived(value: Any) -> Transcript | None:
    """A cached transcript; None for anything that does not look like one."""
    try:
        words = tuple(Word(**word) for word in value["words"])
        alternatives = tuple(Alternative(**alternative) for alternative in value["alternatives"])
        return Transcript(**{**value, "words": words, "alternatives": alternatives})
    except (TypeError, KeyError, ValueError):
        return None
