"""Other people's notions of the same text: none at all, and the two that Whisper's papers and leaderboards use."""

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from attune.checkpoint_files import resolve_base
from attune.params import ModelParams
from attune.scoring import Normalizer

_SPELLINGS = "normalizer.json"
"""In Whisper checkpoints: British spellings and their American ones."""
_ENGLISH = ("en", "eng", "english")


def normalizers(names: Sequence[str], model: ModelParams) -> list[Normalizer]:
    """Those that `evaluate.normalizers` names, in that order; Whisper's English one is left out where another language is named.

    It takes its spelling map from the base checkpoint; one that has none is normalised without, and its version says so.
    """
    english = model.language is None or model.language.lower() in _ENGLISH
    return [_MADE[name](model) for name in names if english or name != "whisper_english"]


def _raw(_: ModelParams) -> Normalizer:
    return Normalizer("raw", "as written", lambda text: " ".join(text.split()))


def _basic(_: ModelParams) -> Normalizer:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    return Normalizer(
        "whisper_basic", f"transformers {version('transformers')} BasicTextNormalizer", _spaced(BasicTextNormalizer())
    )


def _english(model: ModelParams) -> Normalizer:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    file = resolve_base(model.name, model.revision, model.language) / _SPELLINGS
    spellings: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    of_spellings = f"{len(spellings)} spellings of {Path(model.name).name}" if spellings else "no spelling map"
    made = f"transformers {version('transformers')} EnglishTextNormalizer, {of_spellings}"
    return Normalizer("whisper_english", made, _spaced(EnglishTextNormalizer(spellings)))


def _spaced(normalize: Callable[[str], str]) -> Callable[[str], str]:
    """They leave a space at the end where a sign was."""
    return lambda text: " ".join(normalize(text).split())


_MADE: dict[str, Callable[[ModelParams], Normalizer]] = {"raw": _raw, "whisper_basic": _basic, "whisper_english": _english}
