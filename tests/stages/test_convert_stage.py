"""`convert_ct2` from files to files: what goes out with the weights, what repeats, what a failure leaves alone."""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from click.testing import CliRunner, Result
from projects import evaluate_into
from shipped import write_params

from attune.checkpoints import TRAINING_RECORD, TrainingRecord, load_checkpoint, write_training_record
from attune.checksums import verify_checksums
from attune.dataset import UTTERANCES, encode_flac, write_corpus
from attune.lineage import record_lineage
from attune.records import Utterance

_OUTS = ("ct2", "exports.csv", "convert.json")
_LICENCE = "Do what you like."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Up to the evaluation and exported: a base with a licence, a corpus, and a tuned folder in which nothing was learnt."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        _work_in(folder, patch)
        _make(folder)
        _convert()
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    _work_in(tmp_path, monkeypatch)
    return tmp_path


def _work_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    patch.chdir(folder)
    patch.setenv("ATTUNE_CACHE", str(folder / "cache"))


def _make(folder: Path) -> None:
    _ask(quantizations=["float32", "int8"])
    base = tiny_models.make_whisper(Path("base"))
    (base / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# Base\n")
    (base / "LICENSE").write_text(_LICENCE)
    utterances = [
        Utterance(f"u{n}", f"d{n}", f"{n}.wav", "ann", "clean", "validation", 1.0 + n, 20.0, "a cough") for n in range(3)
    ]
    Path("prepared").mkdir()
    write_corpus(Path("prepared"), utterances, {u.id: encode_flac(tiny_models.speech(u.duration_s)) for u in utterances}, [])
    digest = load_checkpoint("base", None).digest
    write_training_record(Path("finetuned"), TrainingRecord("base", None, "none", "whisper", base_digest=digest))
    record_lineage(Path("finetuned"), None, [Path("prepared") / UTTERANCES])
    evaluate_into(folder, errors=2)
    record_lineage(Path("metrics/evaluation"), Path("finetuned"), [Path("finetuned") / TRAINING_RECORD])


def _ask(**changes: Any) -> None:
    write_params(Path("params.yaml"), convert_ct2={**changes, "max_wer_increase_points": dict.fromkeys(_KINDS, 100.0)})


_KINDS = ("float32", "float16", "bfloat16", "int8", "int8_float16", "int8_float32")


def _convert(expect: int = 0) -> Result:
    given = {
        "prepared": "prepared", "finetuned": "finetuned", "evaluated": "metrics/evaluation", "ct2": "ct2", "plot": "exports.csv",
        "timing-plot": "timing/exports.csv", "metrics": "convert.json", "timing": "timing/convert.json",
    }  # fmt: skip
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    result = CliRunner().invoke(import_module("stages.convert_ct2").main, options)
    assert result.exit_code == expect, result.output
    return result


def _bytes(root: Path) -> dict[str, bytes]:
    files = [file for out in _OUTS for file in ([root / out] if (root / out).is_file() else sorted((root / out).rglob("*")))]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.is_file()}


def test_the_folder_says_what_it_is_and_a_second_run_repeats_its_bytes(project: Path) -> None:
    card = (project / "ct2/README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["license"], head["library_name"], head["language"]) == ("mit", "ctranslate2", "en")
    scores = json.loads((project / "metrics/evaluation/scores.json").read_text())["overall"]
    tuned = f"{scores['tuned_wer']:.2%} ({scores['tuned_wer_low']:.2%} to {scores['tuned_wer_high']:.2%})"
    assert f"| overall | {scores['utterances']} | {scores['speakers']} |" in card
    assert tuned in card
    assert "| . | ctranslate2 | float32 |" in card
    assert "| int8 | ctranslate2 | int8 |" in card
    assert "That of the base: mit. Its text: LICENSE." in card
    assert "faster_whisper" not in card  # a window of 2 s is none that stock libraries know
    assert (project / "ct2/LICENSE").read_text() == _LICENCE
    told = json.loads((project / "ct2/release.json").read_text())
    assert told["scores"]["overall"]["tuned_wer_low"] == scores["tuned_wer_low"]
    assert told["data"] == json.loads((project / "metrics/evaluation/lineage.json").read_text())
    assert told["data"]["utterances.jsonl"] in card
    assert {name: export["folder"] for name, export in told["exports"].items()} == {"float32": ".", "int8": "int8"}
    kept = yaml.safe_load((project / "ct2/params.yaml").read_text())
    assert kept["train"]["lora"]["rank"] > 0
    assert "paths" not in kept
    assert verify_checksums(project / "ct2").whole
    assert verify_checksums(project / "ct2").files == sum(path.is_file() for path in (project / "ct2").rglob("*")) - 1
    assert {path.stat().st_mode & 0o777 for path in (project / "ct2").rglob("*") if path.is_file()} == {0o644}
    assert not [name for name, content in _bytes(project).items() if str(project).encode() in content]
    before = _bytes(project)
    _convert()
    assert _bytes(project) == before
    assert len(before) > 20


def test_what_each_export_takes_stands_apart_from_what_repeats(project: Path) -> None:
    assert [row.split(",")[0] for row in (project / "exports.csv").read_text().splitlines()] == ["export", "float32", "int8"]
    timing = json.loads((project / "timing/convert.json").read_text())
    assert list(timing["exports"]) == ["float32", "int8"]
    for cost in timing["exports"].values():
        assert cost["real_time_factor"] > 0
        assert cost["clips"] == 3
        assert cost["peak_memory_mb"] > 1
        assert cost["gpu_memory_mb"] is None
    rows = (project / "timing/exports.csv").read_text().splitlines()
    assert rows[0] == "export,real_time_factor,memory_mb,gpu_memory_mb"
    assert [row.split(",")[0] for row in rows[1:]] == ["float32", "int8"]
    assert "real_time" not in (project / "convert.json").read_text()


@pytest.mark.parametrize("where", ["weights", "card", "list"])
def test_a_full_disk_leaves_the_export_of_before(project: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    before = _bytes(project)
    assert json.loads((project / "ct2/attune.json").read_text())["quantization"] == "float32"
    _ask(quantizations=["int8"])
    with _full_disk(monkeypatch, where):
        told = _convert(expect=2).stderr.splitlines()
    assert told[-1].startswith("convert_ct2: the disk of ")
    assert "is full" in told[-1]
    assert _bytes(project) == before
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")]
    _convert()
    assert json.loads((project / "ct2/attune.json").read_text())["quantization"] == "int8"


@contextmanager
def _full_disk(monkeypatch: pytest.MonkeyPatch, where: str) -> Iterator[None]:
    from ctranslate2.specs.model_spec import ModelSpec

    from attune.operations import release_facts, sealing

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = {"weights": (ModelSpec, "_serialize"), "card": (release_facts, "write_text"), "list": (sealing, "write_checksums")}
    with monkeypatch.context() as patch:
        found, name = place[where]
        patch.setattr(found, name, full, raising=True)
        yield


def test_what_breaks_parity_leaves_the_export_of_before(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask(quantizations=["int8"])
    before = _bytes(project)
    monkeypatch.setattr("attune.operations.release.breach", lambda *_: "it says other words")
    assert "convert_ct2: it says other words" in _convert(expect=2).stderr
    assert _bytes(project) == before


def test_adapters_of_another_base_leave_the_export_of_before(project: Path) -> None:
    before = _bytes(project)
    tokens = project / "base/generation_config.json"
    tokens.write_text(tokens.read_text().replace('"max_length": 24', '"max_length": 23'))
    assert "so it is another base" in _convert(expect=2).stderr
    assert _bytes(project) == before


def test_a_missing_evaluation_is_told(project: Path) -> None:
    shutil.rmtree("ct2")
    (project / "metrics/evaluation/scores.json").unlink()
    assert "scores.json is missing or damaged; run: dvc repro --force evaluate" in _convert(expect=2).stderr
    assert not (project / "ct2").exists()
