"""Which way to hear is chosen: the fastest that says the same, by a margin, remembered per device and kind of model."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attune.checkpoint_parts import Family
from attune.checkpoints import Outline
from attune.dataset import Samples
from attune.operations import choosing
from attune.operations.choosing import Choice, Clips, Way, choose, device_name
from attune.recognizers.protocol import Transcript
from attune.records import Utterance
from attune.workcache import WorkCache

REFERENCE, SAME, OTHER = Way("transformers", "float32", 8.0), Way("ctranslate2", "float32", 8.0), Way("ctranslate2", "int8", 8.0)
OUTLINE = Outline("base", "whisper", SimpleNamespace(to_dict=lambda: {"layers": 4, "_name_or_path": "here"}), "digest")


class Ears:
    """Takes so long for a clip, and says `text`."""

    name, digest = "ears", "d"
    family: Family = "whisper"
    window_s: float | None = 2.0
    workers = 1

    def __init__(self, clip_s: float, text: str) -> None:
        self.clip_s, self.text = clip_s, text

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        time.sleep(self.clip_s * len(clips))
        return [Transcript(self.text, 1.0) for _ in clips]


def clips(count: int = 8) -> Clips:
    utterances = [
        Utterance(f"u{n}", f"d{n}", f"{n}.wav", "ann", "clean", "train", 1.0 + n / 100, None, None) for n in range(count)
    ]
    return Clips(utterances, {u.id: np.zeros(10, np.float32) for u in utterances}, 1, False)


class Doors:
    """Opens ears by way, and counts."""

    def __init__(self, ears: dict[tuple[str, str], Any]) -> None:
        self.ears, self.opened = ears, list[Way]()

    def __call__(self, way: Way) -> Any:
        self.opened.append(way)
        found = self.ears[way.engine, way.compute_type]
        if isinstance(found, Exception):
            raise found
        return found


def chosen(
    ears: dict[Way, Any], tmp_path: Path, *, count: int = 8, batches: bool = False, weights: str = "digest"
) -> tuple[Choice, Doors]:
    doors, cache = Doors({(way.engine, way.compute_type): each for way, each in ears.items()}), WorkCache(tmp_path / "cache")
    try:
        return choose(list(ears), doors, replace(OUTLINE, digest=weights), "cpu", clips(count), cache, batches=batches), doors
    finally:
        cache.close()


def test_the_fastest_that_says_the_same_is_taken_and_remembered(tmp_path: Path) -> None:
    ears = {REFERENCE: Ears(0.02, "a"), SAME: Ears(0.005, "a"), OTHER: Ears(0.001, "b")}
    choice, _ = chosen(ears, tmp_path)
    assert choice.way == SAME
    assert "ctranslate2 int8, 8 s at once" in choice.why
    assert "8 of 8 texts differ" in choice.why
    again, doors = chosen(ears, tmp_path)
    assert (again, doors.opened) == (choice, [])


def test_a_little_faster_does_not_count_and_what_cannot_run_is_named(tmp_path: Path) -> None:
    ears = {REFERENCE: Ears(0.02, "a"), SAME: Ears(0.019, "a"), OTHER: RuntimeError("no such kernel")}
    ways = {SAME: ears[SAME], REFERENCE: ears[REFERENCE], OTHER: ears[OTHER]}
    choice, _ = chosen(ways, tmp_path)
    assert choice.way == REFERENCE  # it stands first among those to choose from
    assert "cannot: no such kernel" in choice.why


def test_where_float32_does_not_fit_the_usual_way_is_taken(tmp_path: Path) -> None:
    choice, _ = chosen({REFERENCE: RuntimeError("CUDA out of memory."), SAME: Ears(0.001, "a")}, tmp_path)
    assert choice.way == SAME
    assert "out of memory" in choice.why


def test_few_clips_or_clips_without_words_prove_nothing(tmp_path: Path) -> None:
    for count, text in ((7, "a"), (20, "")):
        ears = {REFERENCE: Ears(0.02, text), SAME: Ears(0.01, text), OTHER: Ears(0.001, text)}
        choice, doors = chosen(ears, tmp_path, count=count)
        assert choice.way == SAME
        assert OTHER not in doors.opened
        assert chosen(ears, tmp_path, count=count)[1].opened  # nothing was remembered


def test_less_precise_ways_are_remembered_for_these_weights_only(tmp_path: Path) -> None:
    ears = {REFERENCE: Ears(0.02, "a"), SAME: Ears(0.01, "a"), OTHER: Ears(0.001, "a")}
    assert chosen(ears, tmp_path)[0].way == OTHER
    assert chosen(ears, tmp_path)[1].opened == []
    differing = {**ears, OTHER: Ears(0.001, "b")}
    assert chosen(differing, tmp_path, weights="tuned")[0].way == SAME
    assert chosen(differing, tmp_path, weights="tuned again")[1].opened == []  # as precise as the reference: for all


def test_what_is_slower_is_given_up_before_it_has_heard_all(tmp_path: Path) -> None:
    slow = Ears(0.05, "a")
    choice, _ = chosen({REFERENCE: Ears(0.01, "a"), SAME: Ears(0.001, "a"), OTHER: slow}, tmp_path)
    assert choice.way == SAME
    assert "ctranslate2 int8, 8 s at once: less than" in choice.why


def test_batches_are_tried_with_the_best(tmp_path: Path) -> None:
    class PerCall(Ears):
        def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
            time.sleep(0.01)
            return [Transcript("a", 1.0) for _ in clips]

    choice, doors = chosen({REFERENCE: Ears(0.02, "a"), SAME: PerCall(0.0, "a")}, tmp_path, count=32, batches=True)
    assert choice.way.engine == "ctranslate2"
    assert choice.way.batch_s == 32.0
    assert {way.batch_s for way in doors.opened} == {8.0, 32.0, 16.0, 2.0}


@pytest.mark.parametrize("spoilt", [{"way": 1}, "x", {"way": {"engine": "x"}, "why": ""}])
def test_a_spoilt_memory_is_no_memory(tmp_path: Path, spoilt: Any) -> None:
    ears = {REFERENCE: Ears(0.001, "a"), SAME: Ears(0.001, "a")}
    chosen(ears, tmp_path)
    cache = WorkCache(tmp_path / "cache")
    cache.put(dict.fromkeys(cache._cache, spoilt))
    cache.close()
    assert chosen(ears, tmp_path)[1].opened


def test_the_device_is_named_with_its_cores_and_matrix_units(monkeypatch) -> None:
    assert "cores" in device_name("cpu")
    monkeypatch.setattr(choosing, "processor", lambda: ("Xeon", frozenset({"amx_tile"})))
    assert re.fullmatch(r"Xeon, \d+ cores, AMX", device_name("cpu"))
