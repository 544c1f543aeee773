"""What shipping a model takes; each part prints figures, nothing is asserted.

    python benchmarks/ship.py export                                       export and parity of the tiny model (aim: 30 s)
    python benchmarks/ship.py export --model ctc --quantizations float32   of the tiny CTC model, with ONNX

Each part makes what it needs in a temporary folder. Run it on an idle machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

import click
import yaml
from projects import evaluate_into

from attune.checkpoints import TRAINING_RECORD, TrainingRecord, load_checkpoint, write_training_record
from attune.dataset import UTTERANCES
from attune.lineage import record_lineage


@click.group(help=__doc__)
def main() -> None:
    """One command for each part."""


@main.command()
@click.option("--model", type=click.Choice(["whisper", "ctc"]), default="whisper", show_default=True)
@click.option("--quantizations", default="int8,float32", show_default=True, help="As in params.yaml, with commas between.")
@click.option("--utterances", default=500, show_default=True, help="That parity is proven on.")
def export(model: str, quantizations: str, utterances: int) -> None:
    """Seconds for convert_ct2 on a shipped tiny model, which stands for the tuned one, and what it released."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, model, quantizations.split(","), utterances)
        for run in ("nothing kept of earlier runs", "what was heard is kept"):
            begin_s = time.perf_counter()
            _stage(folder, "convert_ct2", **_CONVERT)
            took_s, timing = time.perf_counter() - begin_s, json.loads((folder / "timing.json").read_text())
            print(f"{run}: {took_s:.1f} s in all, export and parity {timing['wall_s']:.1f} s of them; the rest is the start, and")
            print("  a process for each export that measures what hearing with it takes")
        _tell(json.loads((folder / "metrics.json").read_text()), timing)


_CONVERT = {
    "prepared": "prepared", "finetuned": "finetuned", "evaluated": "metrics/evaluation", "ct2": "ct2", "plot": "exports.csv",
    "timing-plot": "timing.csv", "metrics": "metrics.json", "timing": "timing.json",
}  # fmt: skip


def _prepare(folder: Path, model: str, quantizations: list[str], utterances: int) -> None:
    """All that the stage reads: the demo corpus, prepared; a tuned folder in which nothing was learnt; made-up scores."""
    base = str(ROOT / "models" / "tiny" / model)
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["model"]["name"] = base
    content["convert_ct2"] |= {"quantizations": quantizations, "parity_utterances": utterances}
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    _call(folder, "attune.cli", "demo", "corpus")
    plots = {"durations-plot": "durations.csv", "snr-plot": "snr.csv"}
    _stage(folder, "split_clean_noisy", raw="data/raw", prepared="prepared", metrics="split.json", **plots)
    digest = load_checkpoint(base, None).digest
    write_training_record(folder / "finetuned", TrainingRecord(base, None, "none", model, base_digest=digest))
    evaluate_into(folder, errors=2)
    record_lineage(
        folder / "metrics/evaluation", None, [folder / "prepared" / UTTERANCES, folder / "finetuned" / TRAINING_RECORD]
    )


def _stage(folder: Path, name: str, **options: str) -> None:
    _call(folder, f"stages.{name}", *(part for option, value in options.items() for part in (f"--{option}", value)))


def _call(folder: Path, module: str, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "ATTUNE_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", module, *words], cwd=folder, env=environment, check=True)


def _tell(metrics: dict[str, dict[str, dict[str, float]]], timing: dict[str, dict[str, dict[str, float]]]) -> None:
    for kind, made in metrics["exports"].items():
        cost = timing["exports"][kind]
        print(
            f"  {kind}: {made['size_mb']:.1f} MB, WER {made['wer']:.2%} ({made['wer_increase_points']:+.2f} points), "
            f"{made['identical_texts']} of {metrics['utterances']} texts identical; real-time factor "
            f"{cost['real_time_factor']:.4f}, {cost['memory_mb'] or 0:.0f} MB beside libraries, "
            f"first text after {cost['open_s']:.1f} s"
        )
    if "refused" in metrics:
        print(f"  {metrics['reason']}")


if __name__ == "__main__":
    main()
