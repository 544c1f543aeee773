"""A small project in git with evaluations made by hand: six speakers, four sentences each, texts with as many errors as asked."""

import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml
from evaluations import evaluated, utterance
from pages import Tones

from attune.files import parse_yaml, write_csv, write_json
from attune.operations.showing import write_reports
from attune.params import load_params
from attune.records import Utterance
from attune.report.pictures import Training
from attune.report.results import write_results
from attune.report.tables import headline, write_folder

_SHIPPED = Path(__file__).parents[1] / "params.yaml"
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "anna@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def git(folder: Path, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **_ENVIRONMENT}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, subject: str) -> str:
    """Everything there is, as one commit; its hash."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(folder, "rev-parse", "HEAD")


def project(folder: Path, rank: int = 32) -> Path:
    """A git repository with params.yaml, resampled few times."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    set_params(folder, rank)
    return folder


def set_params(folder: Path, rank: int) -> None:
    """The shipped ones with that rank."""
    content = parse_yaml(_SHIPPED.read_text(encoding="utf-8"))
    content["train"]["lora"]["rank"] = rank
    content["evaluate"]["bootstrap_samples"] = 500
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def spoken(count: int = 24) -> list[Utterance]:
    """Of six speakers in turn, every other one noisy, ten words each."""
    draw = random.Random(1)
    return [
        utterance(f"u{n:02}", " ".join(draw.sample(WORDS, 10)), "noisy" if n % 2 else "clean", f"speaker{n % 6}")
        for n in range(count)
    ]


def heard_with(utterances: Sequence[Utterance], errors: int, seed: int = 2) -> dict[str, str]:
    """Texts with about so many words of each utterance wrong, never the same number everywhere."""
    draw = random.Random(seed)
    texts = {}
    for each in utterances:
        words = (each.reference or "").split()
        for place in draw.sample(range(10), min(10, max(0, errors + draw.choice((-1, 0, 0, 1)) * (errors > 0)))):
            words[place] = "wrong"
        texts[each.id] = " ".join(words)
    return texts


def evaluate_into(folder: Path, errors: int, count: int = 24, size_mb: float | None = 10.0) -> None:
    """Metrics of a tuned model with about so many errors in ten words; the base model has five."""
    utterances = spoken(count)
    found = evaluated(utterances, heard_with(utterances, 5), heard_with(utterances, errors, seed=3))
    metrics = folder / "metrics"
    write_folder(metrics / "evaluation", found)
    write_results(metrics / "evaluation_results.json", found.results)
    write_json(metrics / "evaluate.json", headline(found.results))
    write_json(metrics / "convert_ct2.json", {} if size_mb is None else {"size_mb": size_mb})
    write_csv(metrics / "plots/training_loss.csv", ("step", "loss"), [])
    write_csv(metrics / "plots/validation_wer.csv", ("step", "validation_wer"), [])
    write_reports(metrics, found.results, found.utterances, utterances, Tones(0.1), Training(), load_params(_SHIPPED))
