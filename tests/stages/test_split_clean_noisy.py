"""The script of the first node, run as the graph runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, prepared: str = "out put") -> subprocess.CompletedProcess[str]:
    options = ["--raw", folder / "raw data", "--prepared", folder / prepared, "--metrics", folder / "m" / "x.json"]
    options += ["--durations-plot", folder / "m" / "durations.csv", "--snr-plot", folder / "m" / "snr.csv"]
    command = [sys.executable, "-m", "stages.split_clean_noisy", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, speaker in enumerate(("anna", "ben\nb", "cleo")):
        (tmp_path / "raw data" / "clean" / speaker).mkdir(parents=True)
        samples = 0.3 * np.sin(np.arange(16_000) * (0.1 + 0.01 * number))
        soundfile.write(tmp_path / "raw data" / "clean" / speaker / "x y.wav", samples, 16_000)
    return tmp_path


def test_a_folder_becomes_a_corpus_and_one_sentence(folder: Path) -> None:
    result = run(folder)
    assert result.returncode == 0, result.stderr
    assert (
        result.stdout
        == "split_clean_noisy: 3 utterances (0.00 h) of 3 speakers: train 1, validation 1, test 1; nothing rejected.\n"
    )
    assert "warning: the test side has 1 speaker(s)" in result.stderr
    assert json.loads((folder / "m" / "x.json").read_text())["utterances"] == 3
    assert (folder / "out put" / "utterances.jsonl").exists()
    assert (folder / "m" / "durations.csv").read_text().splitlines() == [
        "duration_s,train,validation,test,clean,noisy",
        "1,1.0,1.0,1.0,1.0,0.0",
    ]


def test_a_missing_folder_is_one_line_and_code_2(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("split_clean_noisy: ")
    assert "Traceback" not in result.stderr


def test_a_place_that_cannot_be_written_is_named_with_code_2(folder: Path) -> None:
    result = run(folder, prepared="/proc/nowhere/prepared")
    assert result.returncode == 2
    assert "/proc/nowhere" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
