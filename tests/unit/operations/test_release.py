import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from shipped import write_params

from attune.checkpoints import TrainingRecord, write_training_record
from attune.dataset import Sounds, encode_flac, write_corpus
from attune.errors import ParityError
from attune.operations.release import release
from attune.params import Params, load_params
from attune.records import Utterance
from attune.workcache import WorkCache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[WorkCache]:
    opened = WorkCache(tmp_path / "cache")
    yield opened
    opened.close()


@pytest.fixture
def params(tmp_path: Path) -> Params:
    write_params(tmp_path / "params.yaml", model={"name": str(tmp_path / "base")})
    return load_params(tmp_path / "params.yaml")


def _corpus(folder: Path, reference: str | None) -> tuple[list[Utterance], Sounds]:
    utterances = [
        Utterance(f"u{n}", f"digest{n}", f"{n}.wav", "ann", "clean", "validation", 1.0 + n, 20.0, reference) for n in range(3)
    ]
    flac = {u.id: encode_flac(tiny_models.speech(u.duration_s, seed)) for seed, u in enumerate(utterances)}
    folder.mkdir()
    write_corpus(folder, utterances, flac, [])
    return utterances, Sounds(folder)


@pytest.mark.parametrize("kind", ["whisper", "bert"])
@pytest.mark.parametrize("reference", ["the patient has a fever", None])
def test_the_base_is_released_where_nothing_was_learnt(
    tmp_path: Path, cache: WorkCache, params: Params, kind: str, reference: str | None
) -> None:
    make = {"whisper": tiny_models.make_whisper, "bert": tiny_models.make_wav2vec2_bert}[kind]
    base = make(tmp_path / "base")
    finetuned = tmp_path / "finetuned"
    write_training_record(finetuned, TrainingRecord(str(base), None, "none", "whisper" if kind == "whisper" else "ctc"))
    released = release(finetuned, *_corpus(tmp_path / "prepared", reference), params, cache, tmp_path / "ct2")
    metrics = released.metrics()
    assert metrics["engine"] == ("ctranslate2" if kind == "whisper" else "transformers")
    assert ("reason" in metrics) == (kind == "bert")
    assert metrics["parity_wer_increase_points"] == 0.0
    assert metrics["identical_share"] == 1.0
    assert metrics["size_mb"] > 0
    assert metrics["utterances"] == 3
    assert json.loads((tmp_path / "ct2" / "attune.json").read_text())["base"] == "base"


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Spoils exports of one quantization on purpose: their tokens mean other letters."""
    from attune.export import conversion
    from attune.operations import release as module

    def spoil(quantization: str) -> None:
        def spoilt(*arguments: Any) -> conversion.Export:
            export = conversion.convert(*arguments)
            if export.quantization == quantization:
                tokenizer = tmp_path / "ct2" / "tokenizer.json"
                content = json.loads(tokenizer.read_text())
                vocabulary = content["model"]["vocab"]
                content["model"]["vocab"] = dict(zip(vocabulary, reversed(vocabulary.values()), strict=True))
                tokenizer.write_text(json.dumps(content))
            return export

        monkeypatch.setattr(module, "convert", spoilt)

    base = tiny_models.make_whisper(tmp_path / "base")
    write_training_record(tmp_path / "finetuned", TrainingRecord(str(base), None, "none", "whisper"))
    return spoil


def test_an_export_that_says_something_else_stops(
    tmp_path: Path, cache: WorkCache, params: Params, spoil: Callable[[str], None]
) -> None:
    spoil("float32")
    with pytest.raises(ParityError, match="points more WER than the tuned one"):
        release(tmp_path / "finetuned", *_corpus(tmp_path / "prepared", None), params, cache, tmp_path / "ct2")


def test_the_fallback_is_released_where_the_wanted_quantization_says_something_else(
    tmp_path: Path, cache: WorkCache, params: Params, spoil: Callable[[str], None]
) -> None:
    spoil("int8")
    int8 = params.model_copy(update={"convert_ct2": params.convert_ct2.model_copy(update={"quantization": "int8"})})
    corpus = _corpus(tmp_path / "prepared", None)
    released = release(tmp_path / "finetuned", *corpus, int8, cache, tmp_path / "ct2")
    metrics = released.metrics()
    assert (metrics["quantization"], metrics["parity_wer_increase_points"]) == ("float32", 0.0)
    assert "float32 instead: the exported int8 model makes" in metrics["reason"]
    assert "float32 instead" in released.sentence()
    assert json.loads((tmp_path / "ct2" / "attune.json").read_text())["quantization"] == "float32"
    strict = int8.model_copy(update={"convert_ct2": int8.convert_ct2.model_copy(update={"fallback": None})})
    with pytest.raises(ParityError):
        release(tmp_path / "finetuned", *corpus, strict, cache, tmp_path / "ct2")
