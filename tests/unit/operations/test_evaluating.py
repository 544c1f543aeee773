"""What both models are played and judged by: sounds without speech, other normalisers, the utterances that tell something."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluations import utterance

from attune.dataset import SAMPLE_RATE_HZ
from attune.operations.evaluating import wanted
from attune.operations.normalizers import normalizers
from attune.operations.probes import probes
from attune.params import ModelParams, load_params
from attune.records import Gold

_ALL = ("raw", "whisper_basic", "whisper_english")


def _model(folder: Path, **changes: object) -> ModelParams:
    return load_params(Path("params.yaml")).model.model_copy(update={"name": str(folder), **changes})


def test_probes_are_silence_and_noise_and_the_same_each_time() -> None:
    made = list(probes(12))
    assert [kind for kind, _, _ in made] == ["silence"] * 12 + ["noise"] * 12
    levels = {kind: [20 * np.log10(np.sqrt(np.mean(s**2))) for k, _, s in made if k == kind] for kind in ("silence", "noise")}
    assert max(levels["silence"]) < -70
    assert min(levels["noise"]) > -47
    assert len({u.id for _, u, _ in made}) == 24
    assert all(len(s) == pytest.approx(u.duration_s * SAMPLE_RATE_HZ) for _, u, s in made)
    assert all(np.array_equal(one[2], other[2]) for one, other in zip(made, probes(12), strict=True))
    assert list(probes(0)) == []


def test_normalisers_are_whispers_own_with_their_versions(tmp_path: Path) -> None:
    raw, basic, english = normalizers(_ALL, _model(tmp_path))
    assert raw.normalize(" Mr.  Ångström: ") == "Mr. Ångström:"
    assert basic.normalize("Mr. O'Neil [laughs] can't, 20%!") == "mr o neil can t 20"
    assert english.normalize("Mr. Neil can't eat twenty-one colours") == "mister neil can not eat 21 colours"
    assert basic.version.startswith("transformers 5")
    assert english.version.endswith("EnglishTextNormalizer, no spelling map")


def test_the_spelling_map_is_the_checkpoint_s_own_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "normalizer.json").write_text(json.dumps({"colours": "colors"}))
    (english,) = normalizers(["whisper_english"], _model(tmp_path))
    assert english.normalize("colours") == "colors"
    assert english.version.endswith(f"1 spellings of {tmp_path.name}")


@pytest.mark.parametrize(("language", "names"), [("es", list(_ALL[:2])), ("en", list(_ALL)), (None, list(_ALL))])
def test_the_english_one_is_for_english(tmp_path: Path, language: str | None, names: list[str]) -> None:
    assert [each.name for each in normalizers(_ALL, _model(tmp_path, language=language))] == names


def test_only_test_utterances_that_tell_something_are_heard() -> None:
    written, golden, silent, unknown = utterance("w", "yes"), utterance("g", None), utterance("s", None), utterance("u", None)
    silent = replace(silent, speech_share=0.0)
    trained = utterance("t", "yes", split="train")
    golds = {"g": Gold("g", "yes", "llm", ""), "u": Gold("u", None, "quarantined", ""), "t": Gold("t", "yes", "human", "")}
    assert [u.id for u in wanted([written, golden, silent, unknown, trained], golds)] == ["w", "g", "s"]
