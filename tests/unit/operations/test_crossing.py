"""Clips of every SNR with every length, in which nothing but the content tells the classes apart."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from attune.errors import DataError
from attune.operations.crossing import Crossing, cross, deal, mixed
from attune.tables import csv_rows

_WANTED = Crossing((0.0, 10.0), (0.25, 0.5), 0.5, 1, 3)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in [*(f"speech/s{n}/{k}.wav" for n in range(3) for k in range(2)), *(f"noise/n{n}.wav" for n in range(6))]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(24_000), 16_000)
    return tmp_path


def test_content_stands_in_the_middle_at_the_wanted_ratio() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(64_000).astype(np.float32)
    tone = np.sin(np.arange(64_000) * 0.5).astype(np.float32)
    clip = mixed(tone, noise, 20.0, 1.0, 1.0, rng)
    assert clip.size == 32_000
    around, inside = np.concatenate([clip[:7_500], clip[-7_500:]]), clip[8_500:23_500]
    ratio_db = 10 * np.log10(np.mean(inside**2) / np.mean(around**2))
    assert ratio_db == pytest.approx(20.0, abs=0.6)  # 20 dB and the noise below it


def test_every_cell_has_as_many_clips_of_each_label_and_the_list_tells_them(sounds: Path) -> None:
    assert cross(sounds / "speech", sounds / "noise", sounds / "raw", _WANTED) == 3 * 2 * 2 * 2
    rows = [row for _, row in csv_rows((sounds / "raw" / "metadata.csv").read_text())]
    cells = [(r["label"], r["snr_db"], r["duration"]) for r in rows if isinstance(r, dict)]
    assert len(cells) == 24
    assert all(cells.count(cell) == 3 for cell in cells)
    info = soundfile.info(sounds / "raw" / str(rows[0]["path"]))
    assert info.frames / info.samplerate == pytest.approx(0.75)


def test_no_voice_and_no_noise_is_in_two_groups(sounds: Path) -> None:
    cross(sounds / "speech", sounds / "noise", sounds / "raw", _WANTED)
    rows = [row for _, row in csv_rows((sounds / "raw" / "metadata.csv").read_text()) if isinstance(row, dict)]
    owners: dict[str, set[str]] = {}
    for row in rows:
        for column in ("voice", "noise", "other"):
            if row[column]:
                owners.setdefault(f"{'voice' if column == 'voice' else 'noise'} {row[column]}", set()).add(str(row["speaker"]))
    assert len(owners) == 3 + 6
    assert all(len(groups) == 1 for groups in owners.values())


def test_the_same_sounds_give_the_same_bytes(sounds: Path) -> None:
    for name in ("one", "two"):
        cross(sounds / "speech", sounds / "noise", sounds / name, _WANTED)
    files = sorted(path.relative_to(sounds / "one") for path in (sounds / "one").rglob("*") if path.is_file())
    assert len(files) == 25
    assert all((sounds / "one" / f).read_bytes() == (sounds / "two" / f).read_bytes() for f in files)


def test_too_few_speakers_or_noises_are_told_with_their_numbers() -> None:
    with pytest.raises(DataError, match="there are 1 speakers and 9 noises"):
        deal(["ann"], [f"n{n}" for n in range(9)], None)
    with pytest.raises(DataError, match="5 groups need"):
        deal(["ann", "ben", "cleo"], [f"n{n}" for n in range(9)], 5)


def test_nothing_is_overwritten(sounds: Path) -> None:
    with pytest.raises(DataError, match="is not empty"):
        cross(sounds / "speech", sounds / "noise", sounds / "speech", _WANTED)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Crossing((float("nan"),), (1.0,), 1.0, 1, 3), r"--snr nan cannot be; give a number from -200 to 200"),
        (Crossing((500.0,), (1.0,), 1.0, 1, 3), r"--snr 500 cannot be"),
        (Crossing((0.0,), (float("nan"),), 1.0, 1, 3), r"--duration nan cannot be"),
        (Crossing((0.0,), (1.0,), float("inf"), 1, 3), r"--padding inf cannot be"),
    ],
)
def test_numbers_that_are_none_are_named_before_anything_is_made(sounds: Path, wanted: Crossing, told: str) -> None:
    with pytest.raises(DataError, match=told):
        cross(sounds / "speech", sounds / "noise", sounds / "raw", wanted)
    assert not (sounds / "raw").exists()


@pytest.mark.parametrize("name", ["speech/s1", "noise"])
def test_who_is_silent_is_named(sounds: Path, name: str) -> None:
    for file in sorted((sounds / name).iterdir()):
        soundfile.write(file, np.zeros(24_000), 16_000)
    with pytest.raises(DataError, match=r"\.wav is silent.*; remove it"):
        cross(sounds / "speech", sounds / "noise", sounds / "raw", _WANTED)
