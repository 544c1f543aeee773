"""What split_clean_noisy costs: clips of 5 to 15 s at 16 kHz, against plain loops over the same files.

    python benchmarks/prepare.py [--clips 1000] [--many 10000]

Prints how many seconds of sound are prepared in a second, with voice activity and without, beside a one-thread loop of
`librosa.load` and `soundfile.write` and one of Silero VAD; the peak memory for few and for many clips; what a tenth more
clips costs; and what a second run costs. Run it on an idle machine; nothing here is asserted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice

RATE_HZ = 16_000
_PREPARE = """
import json, resource, sys, time
from pathlib import Path
from attune.intake import prepare_corpus
from attune.params import load_params
from attune.soundcache import SoundCache
from attune.workcache import WorkCache
folder, share = Path(sys.argv[1]), float(sys.argv[2])
params = load_params(Path("params.yaml")).split_clean_noisy.model_copy(update={"voice_activity": share > 0})
start_s = time.monotonic()
report = prepare_corpus(folder / "raw", folder / "prepared", params, WorkCache(folder / "cache"), SoundCache(folder / "sounds"))
wall_s, used = time.monotonic() - start_s, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024,
                  "clips": len(report.utterances), "sound_s": sum(u.duration_s for u in report.utterances)}))
"""
_LOOP = """
import librosa, resource, soundfile, sys, time
from pathlib import Path
files = sorted(Path(sys.argv[1], "raw").rglob("*.*"))[:300]
librosa.load(files[0], sr=16000)
start_s, sound_s = time.monotonic(), 0.0
for number, file in enumerate(files):
    samples, _ = librosa.load(file, sr=16000)
    soundfile.write(Path(sys.argv[1], "loop.flac"), samples, 16000)
    sound_s += samples.size / 16000
print(sound_s / (time.monotonic() - start_s))
"""
_VAD = """
import soundfile, sys, time
from pathlib import Path
from faster_whisper.vad import get_speech_timestamps
files = sorted(Path(sys.argv[1], "raw").rglob("*.*"))[:100]
sounds = [soundfile.read(file, dtype="float32")[0] for file in files]
get_speech_timestamps(sounds[0])
start_s = time.monotonic()
for samples in sounds:
    get_speech_timestamps(samples)
print(sum(s.size for s in sounds) / 16000 / (time.monotonic() - start_s))
"""


_SHARES = {"plain": 0.0, "voice": 0.01}
"""Folder → the least share of speech there; above zero, voice activity is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in _SHARES:
            _record(folder / name, 0, arguments.clips)
        plain, voice = (_prepare(folder / name, share) for name, share in _SHARES.items())
        loop, vad = (float(_run(script, folder / "plain")) for script in (_LOOP, _VAD))
        again = {name: _prepare(folder / name, share) for name, share in _SHARES.items()}
        grown = {name: _grown(folder / name, share, arguments.clips) for name, share in _SHARES.items()}
        _record(folder / "many", 0, arguments.many)
        many = _prepare(folder / "many", 0.0)
    speed, voiced = plain["sound_s"] / plain["wall_s"], voice["sound_s"] / voice["wall_s"]
    print(f"{plain['clips']:.0f} clips, {plain['sound_s'] / 3600:.2f} h, {os.cpu_count()} cores")
    print(f"librosa.load + soundfile.write, one thread  {loop:8.0f} x real time")
    print(f"without voice activity                      {speed:8.0f} x real time, {speed / loop:.2f} of that loop")
    print(f"Silero VAD alone, one thread                {vad:8.0f} x real time")
    print(f"with voice activity                         {voiced:8.0f} x real time, {voiced / vad:.2f} of that")
    print(f"peak memory, {plain['clips']:.0f} and {many['clips']:.0f} clips  {plain['peak_mb']:.0f} and {many['peak_mb']:.0f} MB,"
          f" {many['peak_mb'] / plain['peak_mb']:.2f} x")  # fmt: skip
    for name, full in (("plain", plain), ("voice", voice)):
        what = "without voice activity" if name == "plain" else "with voice activity"
        shares = ", ".join(f"{wall_s / full['wall_s']:.1%}" for wall_s in grown[name])
        print(f"a tenth more clips, {what:24}{shares} of the full run")
        print(f"nothing new, {what:31}{again[name]['wall_s'] / full['wall_s']:.1%} of the full run")


def _grown(folder: Path, share: float, clips: int) -> list[float]:
    """What each of three runs takes, in seconds, when a tenth of `clips` more has come since the one before."""
    found = []
    for number in range(3):
        _record(folder, clips + number * (clips // 10), clips // 10)
        found.append(_prepare(folder, share)["wall_s"])
    return found


def _record(folder: Path, first: int, count: int) -> None:
    """Synthetic sentences with pauses, no two clips alike; WAV and FLAC in turn, 40 speakers."""
    synthesizer, texts = Synthesizer(), sentences("everyday", 1)
    spoken = [synthesizer.speak(next(texts), Voice("en-us+m1", 160, 50), RATE_HZ) for _ in range(200)]
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        length = int(rng.uniform(5, 15) * RATE_HZ)
        parts = [np.pad(spoken[int(rng.integers(200))], (0, int(rng.uniform(0.2, 1) * RATE_HZ))) for _ in range(10)]
        samples = 0.5 * np.concatenate(parts)[:length] + 1e-3 * rng.standard_normal(min(length, sum(p.size for p in parts)))
        path = folder / "raw" / f"speaker {number % 40}" / f"{number}.{('wav', 'flac')[number % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE_HZ)


def _prepare(folder: Path, share: float) -> dict[str, float]:
    found: dict[str, float] = json.loads(_run(_PREPARE, folder, str(share)))
    return found


def _run(script: str, folder: Path, *more: str) -> str:
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script, str(folder), *more], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    print(f"  ({time.monotonic() - begin:.0f} s)", file=sys.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
