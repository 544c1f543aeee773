import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from attune.checkpoint_parts import Family
from attune.dataset import Samples
from attune.errors import EnvironmentFault
from attune.recognizers.protocol import Transcript
from attune.recognizers.transcription import TranscriptionReport, transcribe_corpus
from attune.records import Alternative, Hypothesis, Utterance, Word
from attune.workcache import WorkCache


class FakeRecognizer:
    """Hears how long a clip is; memory runs out above `at_most` clips, and everything ends after `batches`."""

    name, digest = "fake", "d"
    window_s: float | None = 1000.0
    workers = 1
    family: Family = "whisper"

    def __init__(self, at_most: int = 100, batches: int = 100, message: str = "CUDA out of memory.") -> None:
        self.at_most, self.batches, self.message = at_most, batches, message
        self.heard: list[list[int]] = []

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        if len(clips) > self.at_most:
            raise RuntimeError(self.message)
        if len(self.heard) == self.batches:
            raise KeyboardInterrupt
        self.heard.append([len(clip) for clip in clips])
        return [self._transcript(len(clip)) for clip in clips]

    def _transcript(self, count: int) -> Transcript:
        return Transcript(f"clip {count}", 0.5, (Word("clip", 0.5, 0.0, 1.0),), (Alternative(f"clip {count}", -1.0),))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[WorkCache]:
    opened = WorkCache(tmp_path / "cache")
    yield opened
    opened.close()


def _corpus(counts: Sequence[int]) -> tuple[list[Utterance], dict[str, Samples]]:
    utterances = [
        Utterance(f"u{n}", f"digest{n}", f"{n}.wav", "ann", "clean", "train", count / 10, None, None)
        for n, count in enumerate(counts)
    ]
    return utterances, {f"u{n}": np.zeros(count, np.float32) for n, count in enumerate(counts)}


def _transcribe(
    recognizer: FakeRecognizer, counts: Sequence[int], cache: WorkCache, clips: int = 2, nbest: int = 1
) -> tuple[list[Hypothesis], TranscriptionReport]:
    return transcribe_corpus(recognizer, *_corpus(counts), cache, clips * 1000.0, nbest)


def test_results_come_in_input_order_and_batches_in_order_of_length(cache: WorkCache) -> None:
    recognizer = FakeRecognizer()
    hypotheses, _ = _transcribe(recognizer, [30, 10, 20, 40], cache)
    assert [h.text for h in hypotheses] == ["clip 30", "clip 10", "clip 20", "clip 40"]
    assert [h.id for h in hypotheses] == ["u0", "u1", "u2", "u3"]
    assert recognizer.heard == [[40, 30], [20, 10]]


def test_a_second_run_hears_nothing_and_says_the_same(cache: WorkCache) -> None:
    first, before = _transcribe(FakeRecognizer(), [30, 10], cache)
    recognizer = FakeRecognizer()
    second, after = _transcribe(recognizer, [30, 10], cache)
    assert (before.cached, before.computed, after.cached, after.computed) == (0, 2, 2, 0)
    assert first == second
    assert recognizer.heard == []
    assert after.real_time_factor is None


def test_other_settings_are_heard_anew(cache: WorkCache) -> None:
    _transcribe(FakeRecognizer(), [30, 10], cache)
    other = FakeRecognizer()
    other.digest = "another"
    assert _transcribe(other, [30, 10], cache)[1].computed == 2
    assert _transcribe(FakeRecognizer(), [30, 10], cache, nbest=5)[1].computed == 2


def test_an_interrupted_run_loses_only_the_batch_in_flight(cache: WorkCache) -> None:
    with pytest.raises(KeyboardInterrupt):
        _transcribe(FakeRecognizer(batches=2), [1, 2, 3, 4, 5, 6], cache)
    recognizer = FakeRecognizer()
    hypotheses, report = _transcribe(recognizer, [1, 2, 3, 4, 5, 6], cache)
    assert (report.cached, report.computed) == (4, 2)
    assert recognizer.heard == [[2, 1]]
    assert len(hypotheses) == 6


def test_batches_are_halved_when_memory_runs_out(cache: WorkCache, caplog: pytest.LogCaptureFixture) -> None:
    recognizer = FakeRecognizer(at_most=2)
    with caplog.at_level(logging.WARNING):
        hypotheses, _ = _transcribe(recognizer, [1, 2, 3, 4, 5], cache, clips=5)
    assert len(hypotheses) == 5
    assert [len(batch) for batch in recognizer.heard] == [2, 2, 1]
    assert "5 clips at once; going on with 2" in caplog.text


def test_a_single_clip_that_does_not_fit_is_one_line_for_the_user(cache: WorkCache) -> None:
    with pytest.raises(EnvironmentFault, match=r"one clip of 0\.1 s \(0\.wav\)"):
        _transcribe(FakeRecognizer(at_most=0), [1], cache)


def test_other_faults_are_not_taken_for_a_lack_of_memory(cache: WorkCache) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        _transcribe(FakeRecognizer(at_most=1, message="shapes differ"), [1, 2], cache)


def test_a_cache_entry_of_another_shape_is_computed_anew(cache: WorkCache) -> None:
    _transcribe(FakeRecognizer(), [1], cache)
    cache.put({key: {"text": 3} for key in cache._cache})
    assert _transcribe(FakeRecognizer(), [1], cache)[1].computed == 1


def test_the_report_says_how_much_sound_took_how_long(cache: WorkCache) -> None:
    ticks = iter([100.0, 102.0])
    _, report = transcribe_corpus(FakeRecognizer(), *_corpus([10, 30]), cache, 2000.0, 1, clock=lambda: next(ticks))
    assert (report.audio_s, report.wall_s, report.real_time_factor) == (4.0, 2.0, 0.5)


def test_an_empty_corpus_is_no_fault(cache: WorkCache) -> None:
    assert _transcribe(FakeRecognizer(), [], cache)[0] == []


def test_after_a_kill_the_rest_is_heard_in_the_batches_of_then(cache: WorkCache) -> None:
    """Batches that were heard out of turn leave gaps, and scores depend a little on what is heard together."""
    counts = [8, 7, 6, 5, 4, 3, 2, 1]
    undisturbed = FakeRecognizer()
    _transcribe(undisturbed, counts, cache)
    kept = list(cache._cache)
    for key in kept:
        value = cache.get_or_none(key)
        if isinstance(value, dict) and value["text"] in ("clip 8", "clip 7", "clip 4", "clip 3", "clip 2"):
            cache._cache.delete(key)  # as if one batch, another one, and half of the last had not been kept
    resumed = FakeRecognizer()
    _transcribe(resumed, counts, cache)
    assert undisturbed.heard == [[8, 7], [6, 5], [4, 3], [2, 1]]
    assert resumed.heard == [[8, 7], [4, 3], [2]]
