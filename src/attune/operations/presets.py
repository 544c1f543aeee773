"""Settings for the systems that people start from: overlays of params.yaml that change its values and keep its comments."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attune.errors import ParamsError
from attune.files import write_text
from attune.params import check_params, read_yaml

_COMMENT = re.compile(r"( *)#")


@dataclass(frozen=True)
class Change:
    """One key of params.yaml that a preset sets otherwise."""

    key: str
    """As `train.lora.rank`."""
    before: str
    after: str


@dataclass(frozen=True)
class _Place:
    """Where a value stands in the text of params.yaml, as character indices, and what it is."""

    start: int
    end: int
    value: Any


def names(presets: Path) -> list[str]:
    """The presets there are."""
    return sorted(path.stem for path in presets.glob("*.yaml"))


def about(presets: Path, name: str) -> str:
    """What the preset says of itself: its first comments but for the command."""
    lines = _path(presets, name).read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join(line.removeprefix("# ") for line in lines[1:] if line.startswith("#"))


def changes(presets: Path, name: str, params_file: Path) -> list[Change]:
    """What the preset changes in `params_file`, in its order; nothing is written.

    Raises ParamsError for a preset that there is not, or that names keys which params.yaml does not have, and where the result
    would not be valid.
    """
    return _edited(presets, name, params_file)[1]


def apply(presets: Path, name: str, params_file: Path) -> list[Change]:
    """Writes the changes into `params_file`, and says which. Raises as `changes`; then nothing is changed."""
    text, made = _edited(presets, name, params_file)
    if made:
        write_text(params_file, text)
    return made


def _edited(presets: Path, name: str, params_file: Path) -> tuple[str, list[Change]]:
    """The text of `params_file` with what the preset wants, and what that changes."""
    content, path = read_yaml(params_file), _path(presets, name)
    overlay = read_yaml(path)
    if not isinstance(overlay, Mapping):
        raise ParamsError(f"{path} sets nothing; write keys of {params_file} with their values into it, as they stand there")
    text = params_file.read_bytes().decode("utf-8")  # line ends as they are
    places = dict(_places(yaml.compose(text, yaml.SafeLoader), content))
    wanted = dict(_leaves(overlay, places))
    if unknown := sorted(key for key in wanted if key not in places):
        raise ParamsError(f"{path} sets {', '.join(unknown)}, which {params_file} does not have; correct its spelling")
    different = {key: place for key, place in places.items() if key in wanted and place.value != wanted[key]}
    made = [Change(key, " ".join(text[p.start : p.end].split()), _written(wanted[key])) for key, p in different.items()]
    for change in reversed(made):
        text = _replaced(text, different[change.key], change.after)
    check_params(yaml.safe_load(text), f"{params_file} with preset {name}")
    return text, made


def _replaced(text: str, place: _Place, value: str) -> str:
    """With `value` there; a comment behind it stays in its column, if there is room."""
    head, tail = text[: place.start], text[place.end :]
    if comment := _COMMENT.match(tail):
        room = len(comment[1]) + place.end - place.start - len(value)
        tail = " " * max(1, room) + tail[len(comment[1]) :]
    return head + (" " if head.endswith(":") else "") + value + tail


def _path(presets: Path, name: str) -> Path:
    path = presets / f"{name}.yaml"
    if not path.is_file():
        raise ParamsError(f"there is no preset {name!r}; there are: {', '.join(names(presets)) or 'none'}")
    return path


def _leaves(content: Mapping[str, Any], places: Mapping[str, _Place], above: str = "") -> Iterator[tuple[str, Any]]:
    """What a preset sets; a mapping that stands on one line of params.yaml is one value."""
    for name, value in content.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and key not in places:
            yield from _leaves(value, places, f"{key}.")
        else:
            yield key, value


def _places(node: Any, content: Any, above: str = "") -> Iterator[tuple[str, _Place]]:
    """Each value of params.yaml by its key, in their order."""
    if not isinstance(content, Mapping):
        return
    for name, value in node.value:
        key, known = f"{above}{name.value}", content.get(name.value)
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _places(value, known, f"{key}.")
        else:
            yield key, _Place(value.start_mark.index, _end(value), known)


def _end(node: Any) -> int:
    """Of a list with an item a line that of its last item: YAML lets it end at what follows, comments and all."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _written(value: Any) -> str:
    """As one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("\n...\n").strip()
