import shutil
from pathlib import Path

import pytest
import tiny_models

from attune.errors import EnvironmentFault, ModelError
from attune.operations.caching import verify
from attune.operations.hearing import open_on_engine
from attune.params import GREEDY, Engine, ModelParams, load_params
from attune.recognizers.ct2 import Ct2Engine
from attune.recognizers.ctc import CtcRecognizer
from attune.recognizers.whisper import TransformersEngine
from attune.recognizers.whisper_decoding import WhisperRecognizer

_CLIPS = [tiny_models.speech(seconds, seed) for seed, seconds in enumerate((0.7, 1.9, 3.1))]


def _asked(engine: Engine, **changes: object) -> ModelParams:
    model = load_params(Path("params.yaml")).model
    return model.model_copy(
        update={"engine": engine, "safeguards": GREEDY, "device": "cpu", "precision": "float32", "revision": None, **changes}
    )


def test_both_engines_say_the_same(tmp_path: Path) -> None:
    base = str(tiny_models.make_whisper(tmp_path / "base"))
    plain, converted = (open_on_engine(base, _asked(engine)) for engine in ("transformers", "ctranslate2"))
    assert isinstance(plain, WhisperRecognizer)
    assert isinstance(converted, WhisperRecognizer)
    assert isinstance(plain.engine, TransformersEngine)
    assert isinstance(converted.engine, Ct2Engine)
    assert plain.name == converted.name == base
    texts = [heard.text for heard in plain.transcribe(_CLIPS, nbest=2)]
    assert any(texts)
    assert texts == [heard.text for heard in converted.transcribe(_CLIPS, nbest=2)]


@pytest.mark.parametrize("damage", ["weights", "card", "sum", "file"])
def test_a_damaged_conversion_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    base = str(tiny_models.make_whisper(tmp_path / "base"))
    texts = [heard.text for heard in open_on_engine(base, _asked("ctranslate2")).transcribe(_CLIPS)]
    (folder,) = (path for path in (tmp_path / "cache" / "converted").iterdir() if path.is_dir())
    if damage == "weights":
        content = (folder / "model.bin").read_bytes()
        (folder / "model.bin").write_bytes(content[:-4000] + bytes(4000))
    elif damage == "card":
        (folder / "attune.json").unlink()
    elif damage == "sum":
        folder.with_name(folder.name + ".sha256").write_bytes(b"\xff")
    else:
        shutil.rmtree(folder)
        folder.write_text("no folder")
    assert [heard.text for heard in open_on_engine(base, _asked("ctranslate2")).transcribe(_CLIPS)] == texts
    assert verify(tmp_path / "cache") == []


def test_a_wrong_setting_does_not_cost_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    base = str(tiny_models.make_whisper(tmp_path / "base", multilingual=True))
    open_on_engine(base, _asked("ctranslate2"))
    (before,) = (tmp_path / "cache" / "converted").glob("*/model.bin")
    made_ns = before.stat().st_mtime_ns
    with pytest.raises(ModelError, match=r"does not know model\.language"):
        open_on_engine(base, _asked("ctranslate2", language="xx"))
    with pytest.raises(EnvironmentFault, match="precision float16 needs a GPU"):
        open_on_engine(base, _asked("ctranslate2", precision="float16"))
    assert before.stat().st_mtime_ns == made_ns


def test_the_same_model_is_the_same_to_the_cache_however_often_it_is_converted(tmp_path: Path) -> None:
    base = str(tiny_models.make_whisper(tmp_path / "base"))
    assert open_on_engine(base, _asked("auto")).digest == open_on_engine(base, _asked("auto")).digest


@pytest.mark.parametrize(("precision", "kind"), [("float32", Ct2Engine), ("bfloat16", TransformersEngine)])
def test_auto_converts_on_a_cpu_unless_another_precision_is_asked_for(tmp_path: Path, precision: str, kind: type) -> None:
    base = str(tiny_models.make_whisper(tmp_path / "base"))
    recognizer = open_on_engine(base, _asked("auto", precision=precision))
    assert isinstance(recognizer, WhisperRecognizer)
    assert isinstance(recognizer.engine, kind)


def test_what_ctranslate2_would_spoil_stays_with_transformers_or_is_refused(tmp_path: Path) -> None:
    base = str(tiny_models.make_wav2vec2_bert(tmp_path / "base"))
    assert isinstance(open_on_engine(base, _asked("auto")), CtcRecognizer)
    with pytest.raises(ModelError, match=r"engine is ctranslate2, but: .* set model\.engine to auto"):
        open_on_engine(base, _asked("ctranslate2"))
