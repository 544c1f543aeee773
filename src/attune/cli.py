"""The `attune` command: what people run beside `dvc repro`. Thin, like the stages; paths come from params.yaml."""

import errno
from pathlib import Path
from typing import Literal

import click

from attune.cli_detection import cross, detect, detector, sounds
from attune.cli_experiments import compare, sweep
from attune.cli_gold import gold, llm
from attune.cli_models import model
from attune.cli_storage import storage
from attune.commandline import PARAMS, AttuneGroup, load_params, one_line, settle
from attune.errors import DataError
from attune.files import write_text

_MODELS = {"whisper": Path("models/tiny/whisper"), "ctc": Path("models/tiny/ctc")}


@click.group(name="attune", cls=AttuneGroup)
def main() -> None:
    """Fine-tunes speech-to-text models on your own recordings, and proves on held-out speakers what that brought."""
    settle()


main.add_command(gold)
main.add_command(llm)
main.add_command(compare)
main.add_command(sweep)
main.add_command(model)
main.add_command(storage)
main.add_command(detect)


@main.command()
@PARAMS
def summary(params_file: Path) -> None:
    """Says what the last `dvc repro` brought, how sure that is, and what to do next."""
    from attune.tasks.registry import answering

    params = load_params(params_file)
    click.echo(answering(params.task, "summary").summarize(params.paths), nl=False)


@main.command()
@click.option("--against", metavar="REV", help="A branch, tag, commit or experiment with metrics of its own, to compare with.")
@click.option(
    "--images-at", metavar="URL", help="Where the metrics folder will be, e.g. https://github.com/me/stt/raw/COMMIT/metrics."
)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="A file; else it is printed.")
@PARAMS
def report(against: str | None, images_at: str | None, to: Path | None, params_file: Path) -> None:
    """Writes the report for a pull request, as Markdown, from the metrics of the last `dvc repro`."""
    from attune.tasks.registry import answering

    params = load_params(params_file)
    text = answering(params.task, "report").report(params_file, params, against, images_at)
    if to is None:
        click.echo(text, nl=False)
    else:
        write_text(to, text)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", help="Folder or hub name; the model that convert_ct2 made if not given.")
@click.option("--format", "form", type=click.Choice(["text", "json", "srt", "vtt"]), default="text", show_default=True)
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="A folder for one result a file; else they are printed."
)
@click.option("--language", help="The language spoken, as the model names it; that of params.yaml if not given.")
@click.option("--task", type=click.Choice(["transcribe", "translate"]), help="That of params.yaml if not given.")
@PARAMS
def transcribe(
    files: tuple[Path, ...],
    model: str | None,
    form: "Literal['text', 'json', 'srt', 'vtt']",
    to: Path | None,
    language: str | None,
    task: str | None,
    params_file: Path,
) -> None:
    """Writes what is said in sound FILES and in those of folders. Printed text is a line each: the name, a tab, the text."""
    from attune.audio import UnusableAudio, promised_length_s
    from attune.operations.hearing import open_on_engine
    from attune.operations.transcribing import hear_files, printable, require_places, sound_files, written
    from attune.progress import meter, write

    params = load_params(params_file)
    if model is None and not params.paths.ct2.is_dir():
        raise DataError(f"{params.paths.ct2} has no model yet; make it with: dvc repro, or name another one with --model")
    asked = params.model.model_copy(update={k: v for k, v in (("language", language), ("task", task)) if v is not None})
    found, faults = sound_files(files), list[str]()
    if to is not None:
        require_places(found)
    elif form in ("srt", "vtt") and len(found) > 1:
        raise DataError(f"{len(found)} files are {len(found)} files of subtitles; say with --to into which folder")
    recognizer = open_on_engine(model or str(params.paths.ct2), asked)
    with meter("transcribing", sum(map(promised_length_s, found))) as heard_s:
        for (file, place), result in zip(found.items(), hear_files(recognizer, list(found), asked, heard_s), strict=True):
            if isinstance(result, UnusableAudio):
                faults.append(printable(file))
                write(f"{one_line(str(result))}\n", err=True)
            elif to is None:
                write(f"{one_line(result.file)}\t{result.text}\n" if form == "text" else written(result, form))
            elif fault := _not_written(to / place, form, written(result, form)):
                faults.append(printable(file))
                write(fault, err=True)
    if faults:
        raise DataError(f"{len(faults)} of {len(found)} files have no result, {faults[0]} first; the others have")


def _not_written(place: Path, form: str, content: str) -> str | None:
    """Why a name is too long for the disk; None where all went well."""
    try:
        write_text(place.with_name(f"{place.name}.{'txt' if form == 'text' else form}"), content)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return f"{one_line(str(place))}: {error.strerror}; rename the recording\n"
    return None


@main.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Only shows what would be changed.")
@click.option("--presets", type=click.Path(path_type=Path, file_okay=False), default=Path("presets"), show_default=True)
@PARAMS
def preset(name: str | None, dry_run: bool, presets: Path, params_file: Path) -> None:
    """Sets params.yaml as the preset NAME has it, and keeps its comments; without a NAME lists the presets."""
    from attune.operations.presets import about, apply, changes, names

    if name is None:
        for each in names(presets):
            click.echo(f"{each}\n    {about(presets, each)}")
        return
    made = changes(presets, name, params_file) if dry_run else apply(presets, name, params_file)
    for change in made:
        click.echo(f"{change.key}: {change.before} -> {change.after}")
    done = "would be changed" if dry_run else "changed; see them in git diff, and run: dvc repro"
    click.echo(f"preset {name}: {len(made)} values of {params_file} {done}")


@main.group()
def data() -> None:
    """Your recordings: bring more of them in, and see what would become of them."""


data.add_command(cross)


@data.command("add")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--link", is_flag=True, help="Hard links in place of copies where the disk allows them.")
@PARAMS
def add_data(folder: Path, link: bool, params_file: Path) -> None:
    """Brings all files of FOLDER into the raw folder, as added/FOLDER. Nothing is ever overwritten."""
    from attune.operations.gathering import add

    raw = load_params(params_file).paths.raw
    added = add(folder, raw, link=link)
    for name, why in added.refused:
        click.echo(one_line(f"{name}: refused; {why}"), err=True)
    click.echo(one_line(added.sentence(raw)))
    if added.refused:
        raise DataError(f"{len(added.refused)} file(s) of {folder} were refused, {added.refused[0][0]} first; the others are in")


@data.command("pack")
@click.option("--mb", type=click.FloatRange(min=1), default=256, show_default=True, help="Size of a pack, about.")
@PARAMS
def pack_data(mb: float, params_file: Path) -> None:
    """Puts the files of the raw folder into few tar files (pack-0001.tar, ...), which are read as the files were."""
    from attune.operations.bundling import pack

    raw = load_params(params_file).paths.raw
    click.echo(one_line(pack(raw, mb).sentence(raw)))


@data.command("check")
@PARAMS
def check_data(params_file: Path) -> None:
    """Tells what the graph would take of the raw folder and what not, and writes nothing. Exit code 2: the graph would stop."""
    from attune.operations.gathering import check
    from attune.soundcache import SoundCache
    from attune.tasks.registry import answering
    from attune.workcache import WorkCache

    params = load_params(params_file)
    plan = answering(params.task, "split_clean_noisy").plan
    lines, fault = check(params.paths.raw, params.split_clean_noisy, WorkCache(), SoundCache(), plan)
    for line in lines:
        click.echo(one_line(line))
    if fault is not None:
        raise fault


@main.group(invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> None:
    """What was computed once and is not again, of all projects on this machine: how much of it there is. It may always go."""
    if context.invoked_subcommand is None:
        from attune.operations.caching import parts
        from attune.workcache import default_cache_folder

        click.echo(f"work cache in {default_cache_folder()}")
        for part in parts():
            click.echo(f"  {part.name:18}{part.things:9d}{part.bytes / 1e6:12.1f} MB")


@cache.command("prune")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Results from before, and what was not used since.",
)
def prune_cache(days: float) -> None:
    """Frees disk space."""
    from attune.operations.caching import prune

    click.echo(f"{prune(days) / 1e6:.1f} MB set free")


@cache.command("verify")
def verify_cache() -> None:
    """Reads everything that is kept, and removes what is damaged."""
    from attune.operations.caching import verify

    damaged = verify()
    for name in damaged:
        click.echo(one_line(f"{name}: damaged; removed"))
    click.echo(f"{len(damaged)} damaged; they are made anew when they are wanted" if damaged else "nothing is damaged")


@main.group()
def demo() -> None:
    """The embedded default: a corpus to try Attune on, and the two tiny models that ship with it."""


demo.add_command(sounds)
demo.add_command(detector)


@demo.command()
@click.option("--if-empty", is_flag=True, help="Do nothing when the folder already holds something.")
@click.option("--speakers", type=click.IntRange(2, 18), default=18, show_default=True)
@click.option("--clean", "clean_each", type=click.IntRange(min=1), default=30, show_default=True, help="Per speaker.")
@click.option("--noisy", "noisy_each", type=click.IntRange(min=1), default=120, show_default=True, help="Per speaker.")
@click.option("--seed", type=int, default=7, show_default=True)
@PARAMS
def corpus(if_empty: bool, speakers: int, clean_each: int, noisy_each: int, seed: int, params_file: Path) -> None:
    """Fills the raw folder of params.yaml with synthetic recordings of a small clinic."""
    from attune.demo.corpus import write_demo_corpus

    folder = load_params(params_file).paths.raw
    if folder.exists() and any(p.name != ".gitignore" for p in folder.iterdir()):
        if if_empty:
            click.echo(f"demo corpus: {folder} already holds recordings; nothing was written.")
            return
        raise DataError(f"{folder} is not empty, and recordings are never overwritten; move them away or pass --if-empty")
    count = write_demo_corpus(folder, speakers, clean_each, noisy_each, seed)
    click.echo(f"demo corpus: {count} recordings of {speakers} synthetic speakers in {folder}.")


@demo.command()
@click.argument("kind", type=click.Choice(sorted(_MODELS)))
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to; default: the shipped model's place.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def pretrain(kind: str, folder: Path | None, threads: int) -> None:
    """Trains one of the shipped tiny models anew, from fixed seeds (about 45 minutes on one core), and measures it."""
    from attune.operations.pretrain import pretrain

    target = folder or _MODELS[kind]
    work = Path(".attune") / "pretraining" / kind
    card = pretrain("whisper" if kind == "whisper" else "ctc", target, work, threads)
    click.echo(f"demo pretrain: {card}")


if __name__ == "__main__":
    main()
