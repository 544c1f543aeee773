"""Commands of speech detection: clips to learn from, the demo's sounds and model, and the detector at work."""

import json
from pathlib import Path

import click

from attune.commandline import PARAMS, AttuneCommand, load_params, one_line
from attune.errors import DataError

_FOLDER = click.Path(path_type=Path, file_okay=False)
_NEEDS = click.Path(path_type=Path, exists=True, file_okay=False)
_SNRS_DB, _DURATIONS_S = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0), (0.25, 0.5, 1.0)


@click.command(cls=AttuneCommand)
@click.argument("speech", type=_NEEDS)
@click.argument("noise", type=_NEEDS)
@click.option("--to", type=_FOLDER, help="Where to; default: the raw folder of params.yaml.")
@click.option("--snr", "snrs_db", type=float, multiple=True, default=_SNRS_DB, show_default=True, help="dB; give several.")
@click.option(
    "--duration", "durations_s", type=click.FloatRange(min=0.02), multiple=True, default=_DURATIONS_S, show_default=True,
    help="Seconds of content; give several.",
)  # fmt: skip
@click.option(
    "--padding", "padding_s", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Seconds of noise around."
)
@click.option("--each", type=click.IntRange(min=1), default=2, show_default=True, help="Clips a label, group, SNR and length.")
@click.option("--groups", type=click.IntRange(min=2), help="Of speakers and noises; as many as there can be if not given.")
@click.option("--seed", type=int, default=42, show_default=True)
@PARAMS
def cross(
    speech: Path,
    noise: Path,
    to: Path | None,
    snrs_db: tuple[float, ...],
    durations_s: tuple[float, ...],
    padding_s: float,
    each: int,
    groups: int | None,
    seed: int,
    params_file: Path,
) -> None:
    """Makes labelled clips of SPEECH (a folder a speaker) and NOISE: every SNR with every length, padded with noise."""
    from attune.operations.crossing import Crossing, cross

    target = to or load_params(params_file).paths.raw
    count = cross(speech, noise, target, Crossing(tuple(snrs_db), tuple(durations_s), padding_s, each, seed), groups)
    click.echo(one_line(f"data cross: {count} clips in {target}, half of them speech; task speech_detection reads them"))


@click.command(cls=AttuneCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=_FOLDER, help="Folder of a released detector; what convert_ct2 made if not given.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@PARAMS
def detect(files: tuple[Path, ...], model: Path | None, form: str, params_file: Path) -> None:
    """Says whether anybody speaks in sound FILES and in those of folders: name, tab, label, tab, confidence, a line each."""
    from attune.audio import UnusableAudio
    from attune.detection import open_deployed
    from attune.operations.transcribing import printable, sound_files
    from attune.progress import write

    params = load_params(params_file)
    folder = model or params.paths.ct2
    if not (folder / "detection.json").is_file():
        raise DataError(
            f"{folder} has no detector; make one with: attune preset qwen2-audio-detection && dvc repro, or name its folder "
            "with --model"
        )
    found, faults = list(sound_files(files)), list[str]()
    detector = open_deployed(folder, params.model.device)
    for file in found:
        try:
            heard = detector.detect_file(file)
        except UnusableAudio as fault:
            faults.append(printable(file))
            write(f"{one_line(str(fault))}\n", err=True)
            continue
        told = {"file": printable(file), "label": heard.label, "confidence": heard.confidence}
        plain = f"{one_line(printable(file))}\t{heard.label}\t{heard.confidence:.4f}"
        write(f"{json.dumps(told, ensure_ascii=False) if form == 'json' else plain}\n")
    if faults:
        raise DataError(f"{len(faults)} of {len(found)} files have no result, {faults[0]} first; the others have")


@click.command(cls=AttuneCommand)
@click.argument("folder", type=_FOLDER)
@click.option("--speakers", type=click.IntRange(2, 200), default=24, show_default=True)
@click.option("--noises", type=click.IntRange(4, 500), default=50, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
def sounds(folder: Path, speakers: int, noises: int, seed: int) -> None:
    """Fills FOLDER with synthetic voices (speech/) and noises (noise/), to make clips of with: attune data cross."""
    from attune.demo.sounds import write_sounds

    write_sounds(folder, speakers, noises, seed)
    click.echo(f"demo sounds: {speakers} synthetic voices and {noises} noises in {folder}")


@click.command(cls=AttuneCommand)
@click.option("--folder", type=_FOLDER, default=Path("models/tiny-detector"), show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Of its audio tower's schooling.")
@click.option("--seed", type=int, default=7, show_default=True)
def detector(folder: Path, steps: int, seed: int) -> None:
    """Makes a tiny model of the Qwen2-Audio class that hears, and knows no label yet: to try speech detection with."""
    from attune.operations.make_detector import make_detector

    click.echo(f"demo detector: {make_detector(folder, steps, seed)}; in {folder}")
