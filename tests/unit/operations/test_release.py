import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from shipped import write_params

from attune.checkpoints import TrainingRecord, write_training_record
from attune.dataset import Sounds, encode_flac, write_corpus
from attune.errors import EnvironmentFault, ParityError
from attune.operations.hearing import open_on_engine
from attune.operations.release import release
from attune.params import ConvertParams, Params, load_params
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


def _asked(params: Params, **changes: Any) -> Params:
    limits = {"float32": 0.1, "int8": 0.5, **changes.pop("limits", {})}
    content = params.convert_ct2.model_dump()
    content |= {**changes, "max_wer_increase_points": content["max_wer_increase_points"] | limits}
    return params.model_copy(update={"convert_ct2": ConvertParams.model_validate(content)})


@pytest.mark.parametrize("reference", ["the patient has a fever", None])
def test_the_base_is_released_where_nothing_was_learnt(
    tmp_path: Path, cache: WorkCache, params: Params, reference: str | None
) -> None:
    base = tiny_models.make_whisper(tmp_path / "base")
    finetuned = tmp_path / "finetuned"
    write_training_record(finetuned, TrainingRecord(str(base), None, "none", "whisper"))
    released = release(finetuned, *_corpus(tmp_path / "prepared", reference), params, cache, tmp_path / "ct2")
    metrics = released.metrics()
    assert metrics["engine"] == "ctranslate2"
    assert "reason" not in metrics
    assert metrics["parity_wer_increase_points"] == 0.0
    assert metrics["identical_share"] == 1.0
    assert metrics["size_mb"] > 0
    assert metrics["utterances"] == 3
    assert json.loads((tmp_path / "ct2" / "attune.json").read_text())["base"] == "base"


@pytest.mark.parametrize("onnx", [True, False])
def test_what_ctranslate2_does_not_take_is_released_as_weights_and_onnx_with_the_reason(
    tmp_path: Path, cache: WorkCache, params: Params, onnx: bool
) -> None:
    base = tiny_models.make_wav2vec2_bert(tmp_path / "base")
    finetuned = tmp_path / "finetuned"
    write_training_record(finetuned, TrainingRecord(str(base), None, "none", "ctc"))
    corpus = _corpus(tmp_path / "prepared", "a fever")
    released = release(finetuned, *corpus, _asked(params, onnx=onnx), cache, tmp_path / "ct2")
    metrics = released.metrics()
    assert (metrics["engine"], metrics["quantization"]) == ("transformers", "float32")
    assert "model_type is 'wav2vec2-bert'" in metrics["reason"]
    assert set(metrics["exports"]) == ({"float32", "onnx"} if onnx else {"float32"})
    assert all(export["identical_share"] == 1.0 for export in metrics["exports"].values())
    assert (tmp_path / "ct2/model.safetensors").is_file()
    assert (tmp_path / "ct2/onnx/model.onnx").is_file() is onnx


def test_several_quantizations_lie_in_one_folder_the_first_at_its_top(tmp_path: Path, cache: WorkCache, params: Params) -> None:
    base = tiny_models.make_whisper(tmp_path / "base")
    write_training_record(tmp_path / "finetuned", TrainingRecord(str(base), None, "none", "whisper"))
    corpus = _corpus(tmp_path / "prepared", None)
    asked = _asked(params, quantizations=["int8", "float32"], limits={"int8": 100.0}, parity_utterances=2)
    metrics = release(tmp_path / "finetuned", *corpus, asked, cache, tmp_path / "ct2").metrics()
    assert list(metrics["exports"]) == ["int8", "float32"]
    assert metrics["quantization"] == "int8"
    assert metrics["utterances"] == 2
    assert metrics["exports"]["float32"]["identical_texts"] == 2
    small, large = (metrics["exports"][name]["size_bytes"] for name in ("int8", "float32"))
    assert small < large
    assert metrics["size_mb"] == small / 1e6
    for folder, kind in (("ct2", "int8"), ("ct2/float32", "float32")):
        assert json.loads((tmp_path / folder / "attune.json").read_text())["quantization"] == kind
        assert {"model.bin", "tokenizer.json", "preprocessor_config.json", "generation_config.json"} <= {
            path.name for path in (tmp_path / folder).iterdir()
        }
        assert open_on_engine(str(tmp_path / folder), params.model).transcribe([tiny_models.speech(1.0)])
    assert {path.name for path in (tmp_path / "ct2").iterdir() if path.is_dir()} == {"float32"}


def test_a_quantization_that_this_device_does_not_compute_in_is_refused_before_any_work(
    tmp_path: Path, cache: WorkCache, params: Params
) -> None:
    base = tiny_models.make_whisper(tmp_path / "base")
    write_training_record(tmp_path / "finetuned", TrainingRecord(str(base), None, "none", "whisper"))
    asked = _asked(params, quantizations=["int8", "int8_float16"])
    told = r"convert_ct2 has int8_float16 among its quantizations, which this CPU does not compute in.*choose among .*float32"
    with pytest.raises(EnvironmentFault, match=told):
        release(tmp_path / "finetuned", *_corpus(tmp_path / "prepared", None), asked, cache, tmp_path / "ct2")
    assert not (tmp_path / "ct2").exists()


@pytest.mark.parametrize("given", [[], ["int8", "int8"], ["int4"]])
def test_quantizations_that_do_not_exist_or_stand_there_twice_are_no_params(params: Params, given: list[str]) -> None:
    with pytest.raises(ValueError, match="quantizations"):
        _asked(params, quantizations=given)


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Spoils exports of one quantization on purpose: their tokens mean other letters."""
    from attune.export import conversion
    from attune.operations import release as module

    def spoil(quantization: str) -> None:
        def spoilt(*arguments: Any) -> conversion.Export:
            export = conversion.convert(*arguments)
            if export.quantization == quantization:
                tokenizer = tmp_path / "ct2" / quantization / "tokenizer.json"
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


def test_the_fallback_takes_the_place_of_a_quantization_that_says_something_else(
    tmp_path: Path, cache: WorkCache, params: Params, spoil: Callable[[str], None]
) -> None:
    spoil("int8")
    corpus = _corpus(tmp_path / "prepared", None)
    asked = _asked(params, quantizations=["int8"])
    released = release(tmp_path / "finetuned", *corpus, asked, cache, tmp_path / "ct2")
    metrics = released.metrics()
    assert (metrics["quantization"], metrics["parity_wer_increase_points"]) == ("float32", 0.0)
    assert (list(metrics["exports"]), list(metrics["refused"])) == (["float32"], ["int8"])
    assert "float32 instead of int8: the exported int8 model makes" in metrics["reason"]
    assert "float32 instead of int8" in released.sentence()
    assert json.loads((tmp_path / "ct2" / "attune.json").read_text())["quantization"] == "float32"
    assert not [path for path in (tmp_path / "ct2").iterdir() if path.is_dir()]


@pytest.mark.parametrize("quantizations", [["int8", "float32"], ["float32", "int8"]])
def test_a_fallback_that_is_wanted_anyway_is_exported_once(
    tmp_path: Path, cache: WorkCache, params: Params, spoil: Callable[[str], None], quantizations: list[str]
) -> None:
    spoil("int8")
    corpus = _corpus(tmp_path / "prepared", None)
    asked = _asked(params, quantizations=quantizations)
    released = release(tmp_path / "finetuned", *corpus, asked, cache, tmp_path / "ct2")
    assert [variant.name for variant in released.variants] == ["float32"]
    assert [each.instead for each in released.refused] == ["float32"]


@pytest.mark.parametrize(("fallback", "spoilt"), [(None, "int8"), ("int8", "int8")])
def test_without_a_fallback_the_stage_fails(
    tmp_path: Path, cache: WorkCache, params: Params, spoil: Callable[[str], None], fallback: str | None, spoilt: str
) -> None:
    spoil(spoilt)
    asked = _asked(params, quantizations=["int8"], fallback=fallback)
    with pytest.raises(
        ParityError, match=r"the exported int8 model makes .* allowed in convert_ct2\.max_wer_increase_points\.int8"
    ):
        release(tmp_path / "finetuned", *_corpus(tmp_path / "prepared", None), asked, cache, tmp_path / "ct2")
