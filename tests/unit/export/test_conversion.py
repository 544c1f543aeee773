import json
from pathlib import Path

import pytest
import tiny_models

from attune.checkpoints import load_checkpoint
from attune.export.conversion import convert, refusal


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny_models.make_whisper(root / "whisper")
    tiny_models.make_wav2vec2(root / "layer", "layer")
    tiny_models.make_wav2vec2(root / "group", "group")
    tiny_models.make_wav2vec2_bert(root / "bert")
    return root


@pytest.mark.parametrize("kind", ["whisper", "layer"])
def test_what_ctranslate2_converts_rightly_is_converted(root: Path, tmp_path: Path, kind: str) -> None:
    export = convert(load_checkpoint(str(root / kind), None), kind, "int8", tmp_path / "out")
    assert (export.engine, export.quantization, export.reason) == ("ctranslate2", "int8", None)
    assert (tmp_path / "out" / "model.bin").stat().st_size > 1000
    assert (tmp_path / "out" / "preprocessor_config.json").is_file()


@pytest.mark.parametrize(
    ("kind", "why"), [("group", "feat_extract_norm is 'group', not 'layer'"), ("bert", "model_type is 'wav2vec2-bert'")]
)
def test_other_ctc_models_stay_safetensors_and_say_why(root: Path, tmp_path: Path, kind: str, why: str) -> None:
    export = convert(load_checkpoint(str(root / kind), None), kind, "int8", tmp_path / "out")
    assert (export.engine, export.quantization) == ("transformers", "float32")
    assert why in (export.reason or "")
    assert load_checkpoint(str(tmp_path / "out"), None).family == "ctc"


def test_layer_norm_without_the_stable_kind_is_refused_as_it_converts_wrongly(root: Path) -> None:
    checkpoint = load_checkpoint(str(root / "layer"), None)
    assert refusal("ctc", checkpoint.config) is None
    checkpoint.config.do_stable_layer_norm = False
    assert "do_stable_layer_norm is False, not True" in (refusal("ctc", checkpoint.config) or "")


@pytest.mark.parametrize("kind", ["whisper", "layer", "bert"])
def test_everybody_may_read_and_no_path_of_this_machine_is_in_it(root: Path, tmp_path: Path, kind: str) -> None:
    checkpoint = load_checkpoint(str(root / kind), None)
    convert(checkpoint, str(root / kind), "int8", tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert len(files) >= 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    assert json.loads((tmp_path / "out" / "attune.json").read_text())["base"] == kind
    assert not [file.name for file in files if str(root).encode() in file.read_bytes()]
    assert not list(tmp_path.glob(".merged-*"))


def test_the_same_model_is_exported_to_the_same_bytes(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(load_checkpoint(str(root / "whisper"), None), "base", "int8", tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "model.bin" in names
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)
