"""Settings for the systems that people start from: overlays of params.yaml that change its values and keep its comments."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attune.errors import ParamsError
from attune.files import write_text
from attune.params import load_params

_LEAF = re.compile(r"^(?P<indent> *)(?P<key>[\w]+):(?P<value> *[^#\n]*?)(?P<comment>(?: +#.*)?)$")


@dataclass(frozen=True)
class Change:
    """One key of params.yaml that a preset sets otherwise."""

    key: str
    """As `train.lora.rank`."""
    before: str
    after: str


def names(presets: Path) -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in presets.glob("*.yaml"))


def about(presets: Path, name: str) -> str:
    """What the preset says of itself: its first comments but for the command."""
    lines = _text(presets, name).splitlines()
    return " ".join(line.removeprefix("# ") for line in lines[1:] if line.startswith("#"))


def changes(presets: Path, name: str, params_file: Path) -> list[Change]:
    """What the preset changes in `params_file`, in its order. Raises ParamsError for a preset that there is not, or that names
    keys which params.yaml does not have."""
    wanted = dict(_leaves(yaml.safe_load(_text(presets, name))))
    places = _places(params_file.read_text(encoding="utf-8"))
    unknown = sorted(key for key in wanted if key not in places)
    if unknown:
        raise ParamsError(
            f"{presets / name}.yaml sets {', '.join(unknown)}, which {params_file} does not have; correct its spelling"
        )
    told = [Change(key, before, _written(wanted[key])) for key, (_, before) in places.items() if key in wanted]
    return [change for change in told if yaml.safe_load(change.before) != yaml.safe_load(change.after)]


def apply(presets: Path, name: str, params_file: Path) -> list[Change]:
    """Writes the changes into `params_file`, and says which. Raises ParamsError where the result would not be valid; then
    nothing is changed."""
    made = changes(presets, name, params_file)
    before = params_file.read_text(encoding="utf-8")
    lines, places = before.splitlines(keepends=True), _places(before)
    for change in made:
        number, old = places[change.key]
        ending = "\n" if lines[number].endswith("\n") else ""
        match = _LEAF.match(lines[number].rstrip("\n"))
        assert match is not None
        head = f"{match['indent']}{match['key']}: "
        room = len(f"{head}{old}{match['comment']}") - len(match["comment"].lstrip())
        comment = match["comment"].lstrip()
        text = f"{head}{change.after}"
        lines[number] = (f"{text} ".ljust(room) + comment if comment else text) + ending
    draft = params_file.with_name(f".{params_file.name}.preset")
    try:
        write_text(draft, "".join(lines))
        load_params(draft)
    except ParamsError as error:
        raise ParamsError(str(error).replace(str(draft), f"{params_file} with preset {name}")) from error
    finally:
        draft.unlink(missing_ok=True)
    write_text(params_file, "".join(lines))
    return made


def _text(presets: Path, name: str) -> str:
    path = presets / f"{name}.yaml"
    if not path.is_file():
        raise ParamsError(f"there is no preset {name!r}; there are: {', '.join(names(presets)) or 'none'}")
    return path.read_text(encoding="utf-8")


def _leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and f"{above}{key}" not in _WHOLE:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


_WHOLE = frozenset({"split_clean_noisy.shares"})
"""Keys whose values stand in braces on one line."""


def _places(text: str) -> dict[str, tuple[int, str]]:
    """Line number and value as written of each leaf of params.yaml, by its key."""
    found, above = dict[str, tuple[int, str]](), list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines()):
        match = _LEAF.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        above = [each for each in above if each[0] < indent]
        key = ".".join([*(name for _, name in above), match["key"]])
        if match["value"].strip():
            found[key] = (number, match["value"].strip())
        else:
            above.append((indent, match["key"]))
    return found


def _written(value: Any) -> str:
    """As one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("\n...\n").strip()
