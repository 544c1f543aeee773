"""Two processes learn what one learns, say what went wrong in one line, go on where they were stopped, and leave nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import together
import torch
from test_training import TINY, Tones, params
from together import TEXTS, learn, weights
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from attune.checkpoints import load_checkpoint
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning.families import Example
from attune.finetuning.launching import launch
from attune.finetuning.resuming import forget
from attune.finetuning.sharing import halved, processes_for, shared
from attune.finetuning.training import finetune
from attune.finetuning.training_report import TrainingReport

_PATIENCE_S = 240


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, TrainingReport]]:
    """What two processes learnt, in one go: most of the time goes into starting them."""
    folder = tmp_path_factory.mktemp("pair")
    return folder, launch(2, "cpu", together.learn_in_all_ways, folder)


def _difference(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    assert first
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.parametrize("kind", ["whisper", "ctc"])
def test_two_processes_learn_the_weights_that_one_learns(
    kind: str, pair: tuple[Path, dict[str, TrainingReport]], tmp_path: Path
) -> None:
    folder, reports = pair
    alone = learn(kind, tmp_path / "alone")
    assert (alone.processes, reports[kind].processes) == (1, 2)
    assert alone.steps == reports[kind].steps == 6
    assert dict(reports[kind].losses) == pytest.approx(dict(alone.losses), rel=1e-4)
    assert reports[kind].validation_wers == alone.validation_wers
    assert float(max(w.abs().max() for n, w in weights(tmp_path / "alone").items() if "lora_B" in n)) > 3e-3  # it learnt
    assert _difference(tmp_path / "alone", folder / kind) < 1e-4


def test_two_processes_that_were_killed_go_on_to_the_same_bits(pair: tuple[Path, dict[str, TrainingReport]]) -> None:
    folder, reports = pair
    assert _difference(folder / "resumed", folder / "whisper") == 0.0
    assert reports["resumed"].losses == reports["whisper"].losses
    for report in reports.values():
        forget(report.checkpoints)
    assert not list(folder.glob("*/work/*"))


@pytest.mark.parametrize(("kind", "reduction"), [("whisper", None), ("ctc", "mean"), ("ctc", "sum")])
def test_an_effective_batch_is_the_same_however_it_is_cut(kind: str, reduction: str | None, tmp_path: Path) -> None:
    curves, examples = [], [Example(str(n), text, 1.0) for n, text in enumerate(TEXTS)]
    for size in (4, 2, 1):
        settings = params(epochs=2, batch_size=size, accumulation=4 // size)
        checkpoint = load_checkpoint(str(TINY[kind]), None)
        if reduction:
            checkpoint.model.config.ctc_loss_reduction = reduction
        folder = tmp_path / str(size)
        report = finetune(checkpoint, examples, [], Tones(), settings, None, folder / "out", folder / "work")
        curves.append(dict(report.losses))
    assert len(curves[0]) >= 3
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert curves[2] == pytest.approx(curves[0], rel=1e-4)
    assert max(_difference(tmp_path / "4", tmp_path / size) for size in "21") < 5e-4


def test_what_one_process_cannot_do_is_raised_where_they_were_started() -> None:
    with pytest.raises(TrainingError, match=r"^this one may not go on$"):
        launch(2, "cpu", together.fail_alone)


def test_memory_that_runs_out_in_one_process_is_told_as_that() -> None:
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        launch(2, "cpu", together.run_out_of_memory)


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ChildFailedError, match="ZeroDivisionError: a fault of ours"):
        launch(2, "cpu", together.err)


def test_when_the_one_that_started_them_is_killed_the_processes_end(tmp_path: Path) -> None:
    program = _started("wait", tmp_path)
    _await(lambda: len(list(tmp_path.iterdir())) == 2)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert all(_lives(worker) for worker in workers)
    program.kill()
    program.communicate(timeout=_PATIENCE_S)  # the processes write to the same pipe
    _await(lambda: not any(_lives(worker) for worker in workers))


def test_at_ctrl_c_two_processes_save_the_same_step_and_end(tmp_path: Path) -> None:
    program = _started("learn_slowly", tmp_path)
    _await((tmp_path / "under-way").exists)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=_PATIENCE_S)
    assert b"interrupted: the step is ended and a checkpoint saved" in said
    assert said.rstrip().endswith(b"KeyboardInterrupt")  # which a stage makes exit code 130 of
    (saved,) = (tmp_path / "work").glob("*/checkpoint-*")
    assert (saved / "whole").is_file()
    assert {path.name for path in saved.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}


@pytest.mark.parametrize(
    ("size", "accumulation", "count", "halvings", "expected"),
    [
        (16, 1, 2, 0, (16, 1)),  # 8 each
        (16, 4, 2, 0, (32, 2)),  # 16 each, which one process managed too
        (8, 3, 6, 0, (24, 1)),
        (16, 1, 2, 1, (8, 2)),
        (16, 2, 4, 2, (8, 4)),
    ],
)
def test_processes_share_the_same_effective_batch(
    size: int, accumulation: int, count: int, halvings: int, expected: tuple[int, int]
) -> None:
    done = shared(params(batch_size=size, accumulation=accumulation), count, halvings)
    assert (done.batch_size, done.accumulation) == expected
    assert done.batch_size * done.accumulation == size * accumulation
    assert done.batch_size % count == 0
    assert done.batch_size // count <= size
    assert halved(params(batch_size=2, accumulation=3), 1).accumulation == 6


def test_processes_that_cannot_share_a_batch_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match=r"batch_size 4 x train.accumulation 1 = 4 .* by 3 processes"):
        processes_for(params(processes=3), "cpu")
    assert processes_for(params(processes=2), "cpu") == 2
    assert processes_for(params(processes="auto"), "cpu") == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert processes_for(params(processes="auto"), "cuda") == 2  # three do not divide four
    with pytest.raises(EnvironmentFault, match=r"processes is 4, and this machine has 3 GPU"):
        processes_for(params(processes=4), "cuda")


def _started(what: str, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, together.__file__, what, str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _await(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not done():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.1)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
