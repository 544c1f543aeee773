"""Speech detection on a tiny model: what the graph takes, what it brings, and what scoring saves against generating.

    python benchmarks/detect.py

Makes the tiny model and the clips in a clone of the committed project, runs `dvc repro` there, and prints minutes, balanced
accuracy at SNR of 10 dB and more and at 0 to 10 dB (base, tuned, Silero, energy), and what `detect_scoring.py` does of the model
and the clips. Nothing is asserted.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from clones import call

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from attune.tasks.speech_detection.parts.measures import table


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        made_s = _timed(lambda: call(clone, "attune", "demo", "detector"))
        call(clone, "attune", "demo", "sounds", "data/sounds")
        call(clone, "attune", "data", "cross", "data/sounds/speech", "data/sounds/noise")
        call(clone, "attune", "preset", "tiny-detection")
        graph_s = _timed(lambda: call(clone, "dvc", "repro"))
        again_s = _timed(lambda: call(clone, "dvc", "repro"))
        print(f"model made in {made_s:.0f} s; graph {graph_s / 60:.2f} minutes; a run with nothing to do {again_s:.1f} s")
        for name in ("stt_baseline", "train", "evaluate", "convert_ct2"):
            print(f"  {name}: {json.dumps(json.loads((clone / 'metrics' / f'{name}.json').read_text()))[:700]}")
        _tell_accuracy(clone)
        speed = Path(__file__).with_name("detect_scoring.py")
        subprocess.run([sys.executable, str(speed), str(clone / "models" / "ct2"), str(clone / "data" / "raw")], check=True)


def _tell_accuracy(clone: Path) -> None:
    rows = [json.loads(line) for line in (clone / "metrics" / "evaluation" / "clips.jsonl").read_text().splitlines()]
    threshold = json.loads((clone / "metrics" / "evaluate.json").read_text())["energy"]["threshold"]
    detectors: dict[str, Callable[[dict[str, Any]], bool]] = {
        "base": lambda row: row["base"] >= 0.5,
        "tuned": lambda row: row["tuned"] >= 0.5,
        "silero": lambda row: row["silero"] >= 0.5,
        "energy": lambda row: row["energy_db"] >= threshold,
    }
    for low, high in ((10.0, 99.0), (0.0, 10.0)):
        some = [row for row in rows if row["snr_db"] is not None and low <= row["snr_db"] < high]
        truth = np.array([row["label"] == "SPEECH" for row in some], dtype=bool)
        told = [
            f"{name} {table(truth, np.array([calls(row) for row in some])).balanced_accuracy:.2%}"
            for name, calls in detectors.items()
        ]
        print(f"SNR {low:g} dB to below {high:g} dB, {len(some)} clips, balanced accuracy: {', '.join(told)}")


def _timed(work: Callable[[], None]) -> float:
    begin_s = time.perf_counter()
    work()
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    main()
