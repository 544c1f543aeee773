"""What it costs to ship a model and to take it back; each part prints figures, nothing is asserted.

    python benchmarks/ship.py export                                       export and parity of the tiny model (aim: 30 s)
    python benchmarks/ship.py export --model ctc --quantizations float32   of the tiny CTC model, with ONNX
    python benchmarks/ship.py pull        a 100 MB model from an emulated bucket, beside gcsfs alone; and when nothing changed
    python benchmarks/ship.py objects     into how many objects 10,000 clips go, as recorded and as prepared
    python benchmarks/ship.py rollback    from the command to the old bytes, when the old version was there before

Run it on an idle machine. `pull` wants gcp-storage-emulator, which the extra `dev` has. Nothing leaves the machine.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

import click
import yaml
from projects import commit, evaluate_into, git

from attune.checkpoints import TRAINING_RECORD, TrainingRecord, load_checkpoint, write_training_record
from attune.checksums import write_checksums
from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.lineage import record_lineage

if TYPE_CHECKING:
    from registries import Place

_PARTS, _PART = 4, 25_000_000
_WAV_BYTES, _SHRUNK = 7 * 16_000 * 2, 10
_BARE = """
import gcsfs, sys
fs = gcsfs.GCSFileSystem(token="anon", endpoint_url=sys.argv[1])
files = fs.find("bkt/store/files/md5")
fs.get(files, [f"{sys.argv[2]}/{n}" for n in range(len(files))])
"""


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


@main.command("pull")
@click.option("--pairs", default=9, show_default=True, help="Of gcsfs and pull, one after the other.")
def measure_pull(pairs: int) -> None:
    """Seconds of the whole command and of gcsfs alone for 100 and 500 MB, and what the difference says of the rate; then a second
    pull. The emulator gives what it has at the speed of memory, so that start-up and digests weigh more than over a network."""
    from cloud import emulating
    from registries import make_place

    took = dict[float, tuple[float, float]]()
    for parts in (_PARTS, 5 * _PARTS):
        with tempfile.TemporaryDirectory() as scratch, emulating(Path(scratch) / "cloud") as cloud:
            folder = Path(scratch)
            place = make_place(folder / "anna")
            place.run("attune", "storage", "use", "gs://bkt/store", *cloud.options)
            _ship(place, parts)
            megabytes = sum(path.stat().st_size for path in cloud.objects()) / 1e6
            measured = [_pair(cloud.endpoint, folder) for _ in range(1 + pairs)]
            bare, pulled = zip(*measured[1:], strict=True)  # the first one compiles modules
            took[megabytes] = _wall_s(bare), _wall_s(pulled)
            rates = sorted(alone.wall_s / whole.wall_s for alone, whole in zip(bare, pulled, strict=True))
            print(f"{megabytes:.0f} MB, medians of {pairs} pairs: gcsfs {_told(bare)}, pull {_told(pulled)};", end=" ")
            print(f"{median(rates):.2f} x its rate ({rates[0]:.2f} to {rates[-1]:.2f})")
            pull = _pull(folder / "model", folder / "shared.git")
            print(f"nothing changed: {_told([_timed(pull) for _ in range(1 + pairs)][1:])}")
    (small, (bare_s, pull_s)), (large, (more_bare_s, more_pull_s)) = took.items()
    bare_rate, rate = (large - small) / (more_bare_s - bare_s), (large - small) / (more_pull_s - pull_s)
    print(f"each further MB: gcsfs {bare_rate:.0f} MB/s, pull {rate:.0f} MB/s; start-up of pull {pull_s - small / rate:.1f} s")


def _pair(endpoint: str, folder: Path) -> "tuple[_Done, _Done]":
    """What gcsfs takes, with the start of Python, then what the command takes, whatever else the machine does meanwhile."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        (scratch / "bare").mkdir()
        bare = _timed([sys.executable, "-c", _BARE, endpoint, str(scratch / "bare")])
        return bare, _timed(_pull(scratch / "model", folder / "shared.git"))


def _ship(place: "Place", parts: int) -> None:
    """Another model of so many parts, in production."""
    model = place.folder / "models" / "ct2"
    for number in range(parts):
        (model / f"part-{number}.bin").write_bytes(os.urandom(_PART - 1) + b"x")  # the emulator drops a line break at the end
    write_checksums(model)
    place.dvc("add", "--quiet", "models/ct2")
    commit(place.folder, "heavy")
    git(place.folder, "push", "--quiet", "origin", "main")
    place.run("attune", "model", "register")
    place.run("attune", "model", "promote", "--yes")


def _told(runs: Sequence["_Done"]) -> str:
    return f"{_wall_s(runs):.2f} s ({median(run.cpu_s for run in runs):.2f} s of processors)"


def _wall_s(runs: Sequence["_Done"]) -> float:
    return median(run.wall_s for run in runs)


@main.command("objects")
def count_objects() -> None:
    """10,000 clips of 7 s as DVC pushes them: the recordings in packs (clips and packs a tenth of their size), and the prepared
    corpus (the sound in it is short, as only lengths decide)."""
    import numpy as np
    from evaluations import utterance
    from registries import dvc

    from attune.operations.bundling import pack

    class Sounds:
        def __getitem__(self, utterance_id: str, /) -> bytes:
            draw = np.random.default_rng(int(utterance_id[1:]))
            return encode_flac(draw.uniform(-0.1, 0.1, 1600).astype(np.float32))

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        clips = [utterance(f"u{n:05}", "yes", speaker=f"speaker {n % 60}", duration_s=7.0) for n in range(10_000)]
        (folder / "prepared").mkdir(parents=True)
        write_corpus(folder / "prepared", clips, Sounds(), [])
        dvc(folder, "init", "--quiet", "--no-scm")
        dvc(folder, "remote", "add", "--quiet", "--default", "storage", str(Path(scratch) / "storage"))
        for number in range(10_000):
            clip = folder / "raw" / f"speaker {number % 60}" / f"{number}.wav"
            clip.parent.mkdir(parents=True, exist_ok=True)
            clip.write_bytes(number.to_bytes(4, "big") * (_WAV_BYTES // _SHRUNK // 4))
        packs = pack(folder / "raw", 256 / _SHRUNK).packs
        dvc(folder, "add", "--quiet", "prepared", "raw")
        start_s = time.perf_counter()
        dvc(folder, "push")
        pushed = [path for path in (Path(scratch) / "storage").rglob("*") if path.is_file()]
        shards = len(list((folder / "prepared").glob("*.parquet")))
        print(f"10,000 clips, {7 * 10_000 / 3600:.0f} hours: {len(packs)} packs, {shards} shards, {len(pushed)} objects", end=" ")
        print(f"pushed in {time.perf_counter() - start_s:.1f} s")


@main.command("rollback")
def measure_rollback() -> None:
    """Rolling back, and a deployment that gets the old bytes from beside the new ones."""
    from registries import make_place

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        place = make_place(folder / "anna")
        for _ in range(2):
            _ship(place, _PARTS)
            _timed(_pull(folder / "model", folder / "shared.git"))
        before = _timed([sys.executable, "-m", "attune.cli", "model", "rollback"], place.folder)
        after = _timed(_pull(folder / "model", folder / "shared.git"))
        assert "from the former folder" in after.said
        print(f"100 MB: rollback {before.wall_s:.2f} s, pull {after.wall_s:.2f} s, together {before.wall_s + after.wall_s:.2f} s")


@dataclass(frozen=True)
class _Done:
    wall_s: float
    cpu_s: float
    """Of the command and of those that it ran."""
    said: str


def _timed(command: list[str], folder: Path | None = None) -> _Done:
    from cloud import environment
    from registries import GIT

    around = {**environment(), **GIT, "PYTHONPATH": str(ROOT / "src")}
    around.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once, as gcsfs is
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True, check=False)
    wall_s, after = time.perf_counter() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return _Done(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout)


def _pull(folder: Path, repository: Path) -> list[str]:
    return [sys.executable, "-m", "attune.cli", "model", "pull", "-o", str(folder), "--repo", str(repository)]


if __name__ == "__main__":
    main()
