"""What the demo costs and brings: the graph from nothing to an exported model, in a clone of the committed project.

    python benchmarks/demo.py                      the demo corpus
    python benchmarks/demo.py --recordings DIR     DIR (audio and manifest.jsonl) instead, with the preset
                                                   short-clips, each speaker held out in turn

Prints minutes, the peak memory of the largest process, WERs with the interval of the improvement, what the exported model
loses, and how long a run with nothing to do takes. Run it on an idle machine; nothing here is asserted.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from clones import call

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--held-out", action="append", help="only this speaker (may be given again)")
    arguments = parser.parse_args()
    recordings = arguments.recordings
    if recordings is None:
        with tempfile.TemporaryDirectory() as folder:
            report("demo", _run(Path(folder), lambda clone: call(clone, "attune", "demo", "corpus")))
        return
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    for speaker in arguments.held_out or sorted({row["speaker"] for row in rows}):
        with tempfile.TemporaryDirectory() as folder:
            report(f"{speaker} held out", _run(Path(folder), lambda clone, held=speaker: _lay_out(clone, recordings, held)))


def report(name: str, figures: dict[str, Any]) -> None:
    """Prints one run's figures, a line each."""
    print(f"\n{name}")
    for key, value in figures.items():
        print(f"  {key:32} {value}")
    sys.stdout.flush()


def _run(folder: Path, prepare: Any) -> dict[str, Any]:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    start_s = time.monotonic()
    prepare(clone)
    call(clone, "dvc", "repro")
    minutes = (time.monotonic() - start_s) / 60
    again_s = time.monotonic()
    call(clone, "dvc", "repro")
    no_op_s = time.monotonic() - again_s
    return {
        "minutes": f"{minutes:.1f}",
        "peak memory of one process": f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20:.2f} GiB",
        "nothing to do": f"{no_op_s:.1f} s",
        **_minutes_by_stage(clone),
        **_scores(clone),
    }


def _minutes_by_stage(clone: Path) -> dict[str, str]:
    found = {}
    for file in sorted((clone / "metrics" / "timing").glob("*.json")):
        content = json.loads(file.read_text())
        spent_s = content["wall_s"] if "wall_s" in content else content["minutes"] * 60
        found[f"  {file.stem}"] = f"{spent_s:.0f} s"
    return found


def _scores(clone: Path) -> dict[str, str]:
    scores = json.loads((clone / "metrics" / "evaluation" / "scores.json").read_text())
    gold = json.loads((clone / "metrics" / "llm_gold.json").read_text())
    convert = json.loads((clone / "metrics" / "convert_ct2.json").read_text())
    found = {}
    for condition in ("clean", "noisy", "overall"):
        if condition in scores:
            part = scores[condition]
            found[f"WER {condition}"] = (
                f"{part['base_wer']:.2%} -> {part['tuned_wer']:.2%}, {part['relative_improvement'] or 0:.1%} lower; improvement "
                f"{part['improvement_points']:.2f} points ({part['improvement_low']:.2f} to {part['improvement_high']:.2f}), "
                f"{part['utterances']} utterances of {part['speakers']} speakers"
            )
    found["gold, blind check"] = json.dumps(gold.get("blind_check"))
    found["exported model"] = json.dumps(convert)
    return found


def _lay_out(clone: Path, recordings: Path, held_out: str) -> None:
    shutil.copytree(recordings, clone / "data" / "raw")
    call(clone, "attune", "preset", "short-clips")
    params = clone / "params.yaml"
    text = params.read_text()
    assert "test_speakers: []" in text
    params.write_text(text.replace("test_speakers: []", f"test_speakers: [{held_out}]"))


if __name__ == "__main__":
    main()
