"""Several settings tried one after another: the commands of DVC's queue for every combination, and running them."""

import itertools
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attune.errors import EnvironmentFault, ParamsError
from attune.operations.queueing import run_to_its_end, take_back
from attune.operations.revisions import Repository
from attune.params import check_params, load_params
from attune.report.wording import counted

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 3

_RANK, _ALPHA, _MODEL = "train.lora.rank", "train.lora.alpha", "model.name"
Setting = tuple[str, str]


@dataclass(frozen=True)
class Sweep:
    """The experiments to queue, by name, and how many run at once."""

    experiments: Mapping[str, tuple[Setting, ...]]
    jobs: int

    def commands(self) -> list[tuple[str, ...]]:
        """What queues them, then what runs them and waits."""
        queued = [
            (
                "dvc",
                "exp",
                "run",
                "--queue",
                "--name",
                name,
                *(part for key, value in settings for part in ("-S", f"{key}={value}")),
            )
            for name, settings in self.experiments.items()
        ]
        return [*queued, ("dvc", "exp", "run", "--run-all", "--jobs", str(self.jobs))]

    def script(self) -> str:
        """The commands, for a shell."""
        return "".join(f"{shlex.join(command)}\n" for command in self.commands())


def plan(params_file: Path, values: Mapping[str, Sequence[str]], name: str, jobs: int) -> Sweep:
    """Every combination of `values`, lists by key of params. A rank takes alpha along, so that alpha/rank stays what it is.

    Raises ParamsError where there is nothing to vary, or a combination does not fit the schema.
    """
    if not any(len(each) > 0 for each in values.values()):
        raise ParamsError("nothing to vary: give --rank, --model or --set KEY=VALUE,VALUE, each as often as you like")
    load_params(params_file)  # whether it is valid as it stands
    content = yaml.safe_load(params_file.read_text(encoding="utf-8"))
    varied = {key: list(dict.fromkeys(each)) for key, each in values.items() if each}
    ratio = content["train"]["lora"]["alpha"] / content["train"]["lora"]["rank"]
    experiments = dict[str, tuple[Setting, ...]]()
    for chosen in itertools.product(*varied.values()):
        settings = _with_alpha(list(zip(varied, chosen, strict=True)), ratio)
        check_params(_overlaid(content, settings), f"{params_file} with {' '.join(f'{k}={v}' for k, v in settings)}")
        label = _named(name, [s for s in settings if s[0] in varied])
        experiments[f"{label}-{len(experiments) + 1}" if label in experiments else label] = tuple(settings)
    return Sweep(experiments, jobs)


def run(sweep: Sweep, folder: Path) -> None:
    """Queues all and waits until they are done; what the queue loses is queued again.

    Raises EnvironmentFault where DVC refuses a command, and where experiments fail; the others are done then.
    """
    *queued, run_all = sweep.commands()
    commands = dict(zip(sweep.experiments, queued, strict=True))
    missing = list(commands)
    for attempt in range(_ATTEMPTS):
        if attempt:
            _LOG.warning("DVC's queue lost %s; queued again", ", ".join(missing))
        for name in missing:
            _do(commands[name], folder)
        ended = run_to_its_end(run_all, folder)
        missing = _missing(commands, folder)
        if ended or not missing:
            break
        take_back(missing, folder)
    if missing:
        raise EnvironmentFault(
            f"{counted(len(missing), 'experiment')} failed: {', '.join(missing)}. See what each said: dvc queue logs NAME; where "
            f"that is nothing, {folder / '.dvc/tmp/exps/celery'}/*.out. The others are done; drop those and queue them again: "
            "dvc queue remove --failed; attune sweep"
        )


def _do(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, check=False)  # noqa: S603, made above, no shell
    if done.returncode:
        raise EnvironmentFault(
            f"{shlex.join(command)} ended with code {done.returncode}; what it said stands above. Queued experiments: "
            "dvc queue status; to drop them: dvc queue remove --all"
        )


def _missing(names: Iterable[str], folder: Path) -> list[str]:
    repository = Repository(folder)
    made = {each.name for each in repository.experiments(repository.resolve("HEAD").commit or "")}
    return [name for name in names if name not in made]


def _with_alpha(settings: list[Setting], ratio: float) -> list[Setting]:
    given = dict(settings)
    if _RANK not in given or _ALPHA in given or not given[_RANK].isdigit():
        return settings
    alpha = max(1, round(int(given[_RANK]) * ratio))
    return [*settings, (_ALPHA, str(alpha))]


def _overlaid(content: Any, settings: Sequence[Setting]) -> Any:
    """The params with those values; a key that there is not is an unknown one to the schema."""
    changed = yaml.safe_load(yaml.safe_dump(content))
    for key, value in settings:
        *sections, last = key.split(".")
        place = changed
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ParamsError(f"{key} is no key of params.yaml; see its sections there")
        place[last] = yaml.safe_load(value)
    return changed


def _named(prefix: str, settings: Sequence[Setting]) -> str:
    """A name that git takes as a ref, and short, as tables have little room: sweep-rank-8-ctc."""
    words = [
        value.rpartition("/")[2] if key == _MODEL else f"{key.rpartition('.')[2]}-{value.rpartition('/')[2]}"
        for key, value in settings
    ]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", "-".join([prefix, *words])).strip("_-")
