"""What a base model says of itself in its own card: licence, language, where it is on the hub. Nothing is fetched."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from attune.checkpoint_files import LICENCES, read_json
from attune.checkpoints import TRAINING_RECORD, read_training_record, tuned_checkpoint

_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class BaseFacts:
    """What is known of a base; None where nobody says it."""

    name: str
    """As the user named it, without folders of this machine above it."""
    hub_name: str | None
    """Its own, or that of the model on the hub which it descends from."""
    commit: str | None
    licence: str | None
    language: str | None


def shown_name(name: str) -> str:
    """The name without folders of this machine above it."""
    return Path(name).name if Path(name).is_absolute() else name


def base_facts(name: str, revision: str | None) -> BaseFacts:
    """Of a folder, a tuned folder (its base's where it does not say), or a hub name whose files are in the cache."""
    if (Path(name) / TRAINING_RECORD).is_file():
        return replace(base_facts(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision), name=shown_name(name))
    folder = _folder(name, revision)
    told = _front_matter(folder / "README.md") if folder else {}
    local = Path(name).is_dir()
    facts = BaseFacts(
        name=shown_name(name),
        hub_name=_text(told.get("base_model")) if local else name,
        commit=folder.name if folder and not local else None,
        licence=_text(told.get("license_name")) or _text(told.get("license")),
        language=_text(told.get("language")),
    )
    return _completed(facts, folder) if folder else facts


def licence_files(name: str, revision: str | None) -> list[Path]:
    """The texts of licences and notices that come with a base model: all that lie beside it."""
    if (Path(name) / TRAINING_RECORD).is_file():
        return licence_files(tuned_checkpoint(Path(name)), read_training_record(Path(name)).revision)
    folder = _folder(name, revision)
    if folder is None:
        return []
    here = sorted({path for pattern in LICENCES for path in folder.glob(pattern) if path.is_file()})
    above = read_json(folder / _ADAPTER).get("base_model_name_or_path") if (folder / _ADAPTER).is_file() else None
    return here or (licence_files(str(above), None) if above and Path(str(above)).resolve() != folder.resolve() else [])


def _completed(facts: BaseFacts, folder: Path) -> BaseFacts:
    """Adapters often leave to their base what they do not say."""
    if not (folder / _ADAPTER).is_file():
        return facts
    above = read_json(folder / _ADAPTER).get("base_model_name_or_path")
    if not above or Path(str(above)).resolve() == folder.resolve():
        return facts
    base = base_facts(str(above), None)
    return replace(
        facts,
        hub_name=facts.hub_name or base.hub_name,
        licence=facts.licence or base.licence,
        language=facts.language or base.language,
    )


def _folder(name: str, revision: str | None) -> Path | None:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def _front_matter(card: Path) -> dict[str, Any]:
    try:
        _, head, _ = card.read_text(encoding="utf-8").split("---\n", 2)
        content = yaml.safe_load(head)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(value: Any) -> str | None:
    """Of a list its only entry: a model of many languages does not say which one is meant."""
    if isinstance(value, list):
        return str(value[0]) if len(value) == 1 else None
    return str(value) if value not in (None, "", "unknown") else None
