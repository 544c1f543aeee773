"""What stands in the tag of a version is what its own task is judged by."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from projects import commit, git
from registries import Place, make_place

from attune.errors import DataError
from attune.tasks.registry import answering
from attune.tasks.speech_detection.evaluate.results import Look, Results, found, parse_results, write_results
from attune.tasks.speech_detection.parts.beside import Beside
from attune.tasks.speech_detection.parts.measures import Table, balanced_interval, interval

sys.path.insert(0, str(Path(__file__).parent))
from detection_parts import clip, detection_params


def evaluated(wrong: int) -> Results:
    """A detector that calls so many of forty clips wrongly; the base model calls all of them SPEECH."""
    utterances = [clip(f"{n:02d}", "SPEECH" if n % 2 else "NONSPEECH", "test") for n in range(40)]
    truth = np.array([u.reference == "SPEECH" for u in utterances])
    called = np.where(np.arange(40) < wrong, ~truth, truth)
    heard = [
        Beside(name, said, 0.5) for name, said in (("base", np.full(40, 0.9)), ("tuned", called * 0.8), ("silero", truth * 0.7))
    ]
    return found(("tiny", "tuned"), True, utterances, truth, heard, Look(40, 40, None, False), detection_params("tiny").evaluate)


def judge(place: Place, wrong: int) -> None:
    write_results(place.folder / "metrics" / "evaluation_results.json", evaluated(wrong))
    commit(place.folder, f"{wrong} wrong")


@pytest.fixture
def detecting(tmp_path: Path) -> Place:
    place = make_place(tmp_path / "w")
    params = place.folder / "params.yaml"
    params.write_text(yaml.safe_dump({**yaml.safe_load(params.read_text()), "task": "speech_detection"}))
    commit(place.folder, "another task")
    return place


def test_a_detector_is_registered_with_its_balanced_accuracy(detecting: Place) -> None:
    judge(detecting, wrong=4)
    detecting.said("model", "register")
    message = git(detecting.folder, "tag", "--list", "--format=%(contents)", "stt@v1.0.0")
    assert message.startswith("stt v1.0.0: balanced accuracy 90.00% (95% interval 75.78% to 95.10%)")
    for part in (
        "base balanced accuracy: 50.00% (95% interval ",
        ", of tiny",
        "test: 40 clips of held-out speakers and sources",
        "validation: passed",
        "40.00 points above the base model's (McNemar p = ",
        "10.00 points below that of the silero detector",
    ):
        assert part in message
    assert "WER" not in message
    judge(detecting, wrong=2)
    detecting.said("model", "register")
    assert "balanced accuracy 90.00% of v1.0.0 -> 95.00% on the same test" in detecting.said("model", "show", "v1.1.0")


def test_a_detector_that_did_not_pass_is_refused(detecting: Place) -> None:
    judge(detecting, wrong=20)
    assert "did not pass validation: No difference that cannot be chance" in detecting.refused("model", "register")


def test_results_of_the_other_task_are_told(detecting: Place) -> None:
    assert "and this task and version read" in detecting.refused("model", "register")
    with pytest.raises(DataError, match=r"results\.json"):
        answering("transcription", "registration").read('{"version": "speech_detection 2"}', "results.json")


def test_detection_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    results = evaluated(3)
    write_results(tmp_path / "results.json", results)
    assert parse_results((tmp_path / "results.json").read_text(), "here").scores[1].who == "tuned"
    for damaged in ("", "[]", "{}", '{"version": "speech_detection 2"}'):
        with pytest.raises(DataError, match="here"):
            parse_results(damaged, "here")


def test_the_interval_of_balanced_accuracy_is_narrower_than_that_of_either_class() -> None:
    counts = Table(hits=8, misses=2, false_alarms=2, rejections=8)
    one = interval(Table(hits=8, misses=2), 0.95)
    both = balanced_interval(counts, 0.95)
    assert one is not None
    assert both is not None
    assert both == pytest.approx((0.8 - (0.8 - one[0]) / 2**0.5, 0.8 + (one[1] - 0.8) / 2**0.5))
    assert balanced_interval(Table(hits=8, misses=2), 0.95) is None
