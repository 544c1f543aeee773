"""Clips to detect speech in, of every SNR with every length: speech, or another sound in its place, in the middle of noise.

A clip is so many seconds of content, and as much noise around it as `padding_s` says, half of it on each side; the noise goes on
under the content. Both classes have the same ratio of content to noise, so that loudness tells nothing.

People and noises are dealt to groups first, and each clip is made of one group's alone: its voice, its noise, its other sounds.
The group stands in the column `speaker`, by which the graph deals the sides, so nothing of the test is heard in training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from attune.audio import UnusableAudio, stream_audio
from attune.errors import DataError
from attune.files import whole_folder, write_csv
from attune.progress import track
from attune.raw_files import AUDIO

SAMPLE_RATE_HZ = 16_000
Samples = NDArray[np.float32]
COLUMNS = ("path", "label", "snr_db", "duration", "content_s", "speaker", "voice", "noise", "other")
_READ_S = 120.0
"""Of one speaker or noise no more is heard than this."""
_FADE_S = 0.01
_FRAME_S = 0.05
_QUIET_DB = 30.0
"""Frames so far below the loudest are no content."""
_LEVELS_DBFS = (-30.0, -18.0)
_MOST_SNR_DB, _MOST_S = 200.0, 3600.0
"""What lists may say of a clip, and what a clip may last."""
_SILENT = 1e-4
"""-80 dB of full scale: nothing could be heard in what is made of it."""
_DRAWS = 6
"""Of so many stretches the loudest is taken, so that content is seldom a pause."""


@dataclass(frozen=True)
class Crossing:
    """What is crossed with what."""

    snrs_db: tuple[float, ...]
    durations_s: tuple[float, ...]
    padding_s: float
    each: int
    """Clips of each label in each group, for each SNR with each duration."""
    seed: int


@dataclass(frozen=True)
class Group:
    """People and noises that are on one side of the split together: noises below, and others in place of speech."""

    name: str
    voices: tuple[str, ...]
    noises: tuple[str, ...]
    others: tuple[str, ...]


class _Drawn(NamedTuple):
    row: Mapping[str, object]
    samples: Samples


def cross(speech: Path, noise: Path, to: Path, wanted: Crossing, groups: int | None = None) -> int:
    """Writes `to/speech/…`, `to/nonspeech/…` and `to/metadata.csv`, and returns how many clips there are.

    Speakers are the folders of `speech`, or its files where it has no folders; each file of `noise` is a source of its own. The
    same folders and settings give the same bytes. Raises DataError where there are too few of either or one is silent, for
    numbers that are none, and where `to` holds something.
    """
    _check(wanted)
    if to.exists() and any(path.name != ".gitignore" for path in to.iterdir()):
        raise DataError(f"{to} is not empty, and nothing is overwritten; name a folder that is new or empty")
    voices, noises = _speakers(speech), {path.relative_to(noise).as_posix(): [path] for path in _sounds(noise)}
    dealt = deal(sorted(voices), sorted(noises), groups)
    count = len(dealt) * len(wanted.snrs_db) * len(wanted.durations_s) * wanted.each * 2
    rows = []
    with whole_folder(to) as draft:
        for drawn in track(_clips(dealt, voices, noises, wanted), "crossing", count):
            path = draft / str(drawn.row["path"])
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, drawn.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
            rows.append(drawn.row)
        write_csv(draft / "metadata.csv", COLUMNS, rows)
    return len(rows)


def _check(wanted: Crossing) -> None:
    bounds = (
        ("--snr", wanted.snrs_db, -_MOST_SNR_DB, _MOST_SNR_DB),
        ("--duration", wanted.durations_s, 0.02, _MOST_S),
        ("--padding", (wanted.padding_s,), 0.0, _MOST_S),
    )
    for name, values, low, high in bounds:
        for value in values:
            if not low <= value <= high:
                raise DataError(f"{name} {value:g} cannot be; give a number from {low:g} to {high:g}")


def deal(voices: Sequence[str], noises: Sequence[str], wanted: int | None) -> list[Group]:
    """As many groups as there are speakers, or pairs of noises if those are fewer; `wanted` asks for less. Raises DataError."""
    most = min(len(voices), len(noises) // 2)
    number = most if wanted is None else wanted
    if most < 2 or number > most:
        raise DataError(
            f"{number if wanted else 2} groups need as many speakers and twice as many noise recordings; there are {len(voices)} "
            f"speakers and {len(noises)} noises: bring more, or ask for fewer groups"
        )
    return [
        Group(
            f"group-{place:02d}",
            tuple(voices[place::number]),
            tuple(noises[place :: 2 * number]),
            tuple(noises[place + number :: 2 * number]),
        )
        for place in range(number)
    ]


def _clips(
    groups: Sequence[Group], voices: Mapping[str, list[Path]], noises: Mapping[str, list[Path]], wanted: Crossing
) -> Iterator[_Drawn]:
    for number, group in enumerate(groups):
        rng = np.random.default_rng((wanted.seed, number))
        heard = {name: _content(voices[name], trim=True) for name in group.voices}
        heard |= {name: _content(noises[name], trim=False) for name in (*group.noises, *group.others)}
        cells = product(wanted.snrs_db, wanted.durations_s, range(wanted.each), ("SPEECH", "NONSPEECH"))
        for place, (snr_db, duration_s, _, label) in enumerate(cells):
            source = str(rng.choice(group.voices if label == "SPEECH" else group.others))
            under = str(rng.choice(group.noises))
            samples = mixed(heard[source], heard[under], snr_db, duration_s, wanted.padding_s, rng)
            row = {
                "path": f"{label.lower()}/{group.name}/{place:05d}.wav",
                "label": label,
                "snr_db": snr_db,
                "duration": duration_s,
                "content_s": duration_s,
                "speaker": group.name,
                "voice": source if label == "SPEECH" else None,
                "noise": under,
                "other": None if label == "SPEECH" else source,
            }
            yield _Drawn(row, samples)


def mixed(
    content: Samples, noise: Samples, snr_db: float, duration_s: float, padding_s: float, rng: np.random.Generator
) -> Samples:
    """`duration_s` of `content` in the middle of `noise`, at a ratio of mean powers of `snr_db` while it lasts; at any level."""
    inside, whole = round(duration_s * SAMPLE_RATE_HZ), round((duration_s + padding_s) * SAMPLE_RATE_HZ)
    start = (whole - inside) // 2
    clip = _stretch(noise, whole, rng, 1)
    part = _faded(_stretch(content, inside, rng, _DRAWS))
    clip[start : start + inside] += part * np.sqrt(_power(clip[start : start + inside]) / _power(part) * 10 ** (snr_db / 10))
    level = 10 ** (rng.uniform(*_LEVELS_DBFS) / 20) / np.sqrt(_power(clip))
    return np.asarray(np.clip(clip * level, -1.0, 1.0), dtype=np.float32)


def _stretch(samples: Samples, count: int, rng: np.random.Generator, draws: int) -> Samples:
    """So many samples from a random place, the loudest of some draws; what is too short is repeated."""
    if samples.size < count:
        samples = np.resize(samples, count)
    starts = rng.integers(samples.size - count + 1, size=draws)
    loudest = int(max(starts.tolist(), key=lambda start: _power(samples[start : start + count])))
    return np.array(samples[loudest : loudest + count], dtype=np.float32)


def _faded(samples: Samples) -> Samples:
    """Without a click at its ends."""
    ramp = np.ones(samples.size, dtype=np.float32)
    count = min(round(_FADE_S * SAMPLE_RATE_HZ), samples.size // 2)
    ramp[:count] = np.linspace(0, 1, count, endpoint=False)
    ramp[samples.size - count :] = np.linspace(1, 0, count, endpoint=False)
    return np.asarray(samples * ramp, dtype=np.float32)


def _content(files: Sequence[Path], *, trim: bool) -> Samples:
    """The sound of some files one after the other, up to a limit; of people without their pauses. Raises DataError."""
    parts, wanted = list[Samples](), round(_READ_S * SAMPLE_RATE_HZ)
    for file in files:
        try:
            for block in stream_audio(file):
                parts.append(block)
                wanted -= block.size
                if wanted <= 0:
                    break
        except UnusableAudio as fault:
            raise DataError(f"{file} {fault.detail}; remove it, or mend it") from fault
        if wanted <= 0:
            break
    whole = np.concatenate(parts)
    if float(np.abs(whole).max(initial=0.0)) < _SILENT:
        raise DataError(f"{files[0]} is silent{f', as are the other {len(files) - 1} beside it' if files[1:] else ''}; remove it")
    return _without_pauses(whole) if trim else whole


def _without_pauses(samples: Samples) -> Samples:
    frame = round(_FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: samples.size // frame * frame].reshape(-1, frame)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return np.ascontiguousarray(frames[powers > powers.max(initial=0.0) * 10 ** (-_QUIET_DB / 10)]).reshape(-1)


def _speakers(folder: Path) -> dict[str, list[Path]]:
    """The recordings of each speaker: of each folder below `folder`, or of each file where there are no folders."""
    found: dict[str, list[Path]] = {}
    for path in _sounds(folder):
        place = path.relative_to(folder)
        found.setdefault(place.parts[0] if len(place.parts) > 1 else place.as_posix(), []).append(path)
    return found


def _sounds(folder: Path) -> list[Path]:
    """Raises DataError where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO)
    if not found:
        raise DataError(f"{folder} has no recordings ({', '.join(sorted(AUDIO))}); name the folder that has them")
    return found


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12
