"""CTC models that CTranslate2 does not take are exported to ONNX, and say there what they said before."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch

from attune.checkpoints import load_checkpoint
from attune.errors import EnvironmentFault, ModelError, ParityError
from attune.export import onnx_export
from attune.export.conversion import convert_to_onnx
from attune.operations.hearing import open_on_engine
from attune.params import GREEDY, ModelParams, load_params
from attune.recognizers.registry import exported_engine, open_recognizer

pytest.importorskip("onnx", reason="needs the extra onnx")
_ROOT = Path(__file__).resolve().parents[3]
_CLIPS = [tiny_models.speech(seconds, seed) for seed, seconds in enumerate((0.6, 1.3, 3.1, 1.3, 6.7))]


def _params() -> ModelParams:
    changed = {"device": "cpu", "engine": "transformers", "precision": "float32", "batch_s": 15.0, "safeguards": GREEDY}
    return load_params(_ROOT / "params.yaml").model.model_copy(update=changed)


def _made(kind: str, folder: Path) -> Path:
    if kind == "shipped":
        return _ROOT / "models/tiny/ctc"
    if kind == "bert":
        return tiny_models.make_wav2vec2_bert(folder)
    model, _, norm = kind.partition("-")
    return tiny_models.make_wav2vec2(folder, norm, model)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `base` beside it, a Wav2Vec2-BERT, is exported to."""
    root = tmp_path_factory.mktemp("exported")
    convert_to_onnx(load_checkpoint(str(_made("bert", root / "base")), None), "base", root / "onnx")
    return root / "onnx"


@pytest.mark.parametrize("kind", ["wav2vec2-group", "hubert-group", "hubert-layer", "wavlm-layer", "shipped"])
def test_what_is_heard_is_the_same_at_every_length(tmp_path: Path, kind: str) -> None:
    base = _made(kind, tmp_path / "base")
    convert_to_onnx(load_checkpoint(str(base), None), str(base), tmp_path / "onnx")
    _hear_the_same(base, tmp_path / "onnx", kind)


def test_what_mel_frames_say_is_the_same_at_every_length(exported: Path) -> None:
    _hear_the_same(exported.parent / "base", exported, "bert")


def _hear_the_same(base: Path, onnx: Path, kind: str) -> None:
    assert exported_engine(str(onnx)) == "onnxruntime"
    tuned, exported = (open_recognizer(str(folder), _params()) for folder in (base, onnx))
    before, after = (recognizer.transcribe(_CLIPS, nbest=3) for recognizer in (tuned, exported))
    assert [heard.text for heard in after] == [heard.text for heard in before]
    assert len({heard.text for heard in before}) > 1 or kind == "shipped"
    assert [heard.confidence for heard in after] == pytest.approx([heard.confidence for heard in before], rel=1e-3)
    assert [[w.start_s for w in heard.words] for heard in after] == [[w.start_s for w in heard.words] for heard in before]
    assert tuned.digest != exported.digest


def test_the_folder_can_be_read_by_everybody_repeats_its_bytes_and_names_no_place_of_this_machine(
    exported: Path, tmp_path: Path
) -> None:
    convert_to_onnx(load_checkpoint(str(exported.parent / "base"), None), "base", tmp_path / "again")
    files = sorted(path.name for path in exported.iterdir())
    assert {"model.onnx", "model.onnx.data", "attune.json", "config.json", "vocab.json", "preprocessor_config.json"} <= set(files)
    places = [str(place) for place in (exported.parent, tmp_path, _ROOT, sys.prefix, "site-packages")]
    for name in files:
        content = (exported / name).read_bytes()
        assert content == (tmp_path / "again" / name).read_bytes(), name
        assert not [place for place in places if place.encode() in content], name
        assert (exported / name).stat().st_mode & 0o777 == 0o644


def test_a_missing_package_is_told_with_the_command_that_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_checkpoint(str(tiny_models.make_wav2vec2_bert(tmp_path / "base")), None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        EnvironmentFault, match=r"the package onnx is missing: pip install .*\[onnx\].*convert_ct2\.onnx to false"
    ):
        convert_to_onnx(base, "base", tmp_path / "onnx")


def test_a_graph_that_says_something_else_is_no_export(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(checkpoint: Any, file: Path) -> None:
        shutil.copytree(exported, file.parent, dirs_exist_ok=True)
        with torch.no_grad():
            checkpoint.model.lm_head.weight.mul_(1.1)

    monkeypatch.setattr(onnx_export, "_export", spoilt)
    base = load_checkpoint(str(exported.parent / "base"), None)
    with pytest.raises(ParityError, match=r"the ONNX export of .* does not say what the model says"):
        convert_to_onnx(base, "base", tmp_path / "onnx")


@pytest.mark.parametrize("file", ["model.onnx", "model.onnx.data", "attune.json", "vocab.json", "processor_config.json"])
@pytest.mark.parametrize("kept", [0, 7])
def test_a_damaged_file_is_one_line(exported: Path, tmp_path: Path, file: str, kept: int) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "onnx"))
    (folder / file).write_bytes((folder / file).read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"^[^\n]*$"):
        open_recognizer(str(folder), _params()).transcribe(_CLIPS[:1])


@pytest.mark.parametrize("file", ["model.onnx.data", "attune.json", "vocab.json"])
def test_a_missing_file_is_one_line(exported: Path, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "onnx"))
    (folder / file).unlink()
    with pytest.raises(ModelError, match=r"^[^\n]*$"):
        open_recognizer(str(folder), _params())


def test_it_is_heard_by_its_folder_as_any_model(exported: Path) -> None:
    assert open_on_engine(str(exported), _params()).transcribe(_CLIPS[:1])[0].text
