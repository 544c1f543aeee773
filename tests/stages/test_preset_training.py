"""The training stage of every preset, on a tiny model of the preset's own family."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from click.testing import CliRunner

from attune.checkpoints import load_checkpoint, read_training_record
from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.files import write_jsonl
from attune.lineage import record_lineage
from attune.operations.presets import apply, names
from attune.records import Selection, Utterance

ROOT = Path(__file__).resolve().parents[2]
PRESETS = names(ROOT / "presets")
BASES = {
    "facebook/wav2vec2-base-960h": "wav2vec2",
    "openai/whisper-small": "whisper",
    "Qwen/Qwen2-Audio-7B-Instruct": "qwen2_audio",
    "models/tiny/whisper": "whisper",
    "models/tiny-detector": "qwen2_audio",
}
ON_TOP_OF = {"qwen2-audio-detection-noisy": "qwen2-audio-detection"}
SIDES = {"u0": "train", "u1": "train", "u2": "validation"}
QUICK = {"epochs": "1", "precision": "float32"}


def corpus(text: str) -> None:
    utterances = [
        Utterance(name, f"digest of {name}", f"{name}.wav", f"speaker of {name}", "clean", side, 1.0, 20.0, text)  # type: ignore[arg-type]
        for name, side in SIDES.items()
    ]
    Path("prepared").mkdir()
    flac = {u.id: encode_flac(tiny_models.speech(1.0, seed)) for seed, u in enumerate(utterances)}
    write_corpus(Path("prepared"), utterances, flac, [])
    for side in ("train", "validation"):
        role = {"train": "error", "validation": "validation"}[side]
        rows = [Selection(u.id, u.split, role, text, "human", 1.0) for u in utterances if u.split == side]  # type: ignore[arg-type]
        write_jsonl(Path(f"selected/{side}.jsonl"), rows)
    record_lineage(Path("selected"), None, [Path("prepared") / UTTERANCES])


def train(finetuned: str) -> str:
    from stages.train import main

    folders = ["--prepared", "prepared", "--selected", "selected", "--finetuned", finetuned, "--work", "work", "--live", "live"]
    files = ["--loss-plot", "loss.csv", "--wer-plot", "wer.csv", "--metrics", "train.json", "--timing", "t.json"]
    result = CliRunner().invoke(main, [*folders, *files])
    assert result.exit_code == 0, result.output
    return result.output


def changed(**values: str) -> None:
    """These keys of params.yaml, which are each there once, set so."""
    text = Path("params.yaml").read_text()
    for key, value in values.items():
        text, count = re.subn(rf"^( +{key}: )\S+", rf"\g<1>{value}", text, flags=re.M)
        assert count >= 1, key
    Path("params.yaml").write_text(text)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_training_runs_on_a_tiny_model_of_its_family(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(PRESETS) >= 6
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    corpus("SPEECH" if "detection" in preset else "a fever")
    tiny_models.make_whisper(Path("whisper"), multilingual=True)
    tiny_models.make_wav2vec2(Path("wav2vec2"), "group")
    tiny_models.make_qwen2_audio(Path("qwen2_audio"))
    changed(**QUICK, device="cpu")
    if preset == "second-stage":  # on top of an earlier result
        first_params = yaml.safe_load(Path("params.yaml").read_text())
        _use_base("whisper", rank="8")
        train("models/first-stage")
        assert first_params["model"]["name"] != "whisper"
    for each in filter(None, (ON_TOP_OF.get(preset), preset)):
        apply(ROOT / "presets", each, Path("params.yaml"))
    wanted: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text())
    name = wanted["model"]["name"]
    if name in BASES:
        _use_base(BASES[name])
    else:
        assert Path(name).is_dir()
    changed(**QUICK)
    assert re.search(rf"{wanted['train']['method']} on 2 (utterances|clips)", train("finetuned"))
    assert json.loads(Path("train.json").read_text())["trained"] is True
    assert read_training_record(Path("finetuned")).method == wanted["train"]["method"]
    assert read_training_record(Path("finetuned")).family == ("ctc" if "wav2vec2" in name else BASES.get(name, "whisper"))
    if preset == "second-stage":
        told = json.loads(Path("finetuned/lora_adapters/adapter_config.json").read_text())
        assert told["base_model_name_or_path"] == "models/first-stage/lora_adapters"
    if wanted["task"] == "transcription":
        assert load_checkpoint("finetuned", None).family == read_training_record(Path("finetuned")).family


def _use_base(folder: str, **changes: str) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(re.sub(r"^(model:\n +name: )\S+", rf"\g<1>{folder}", text, flags=re.M))
    changed(**changes)
