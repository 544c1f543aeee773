"""Presets change values of params.yaml, keep its comments, and each one trains a tiny model of its family."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from attune.cli import main
from attune.errors import ParamsError
from attune.operations.presets import about, apply, changes, names
from attune.params import load_params

ROOT = Path(__file__).resolve().parents[3]
PRESETS = ROOT / "presets"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


def test_there_are_presets_for_the_systems_people_start_from() -> None:
    wanted = {"wav2vec2-mistral", "wav2vec2-ollama", "whisper-full", "whisper-few-shot", "whisper-dialect", "second-stage"}
    assert wanted <= set(names(PRESETS))


@pytest.mark.parametrize("name", names(PRESETS))
def test_each_preset_makes_valid_params_and_keeps_every_comment(name: str, params: Path) -> None:
    before = params.read_text()
    made = apply(PRESETS, name, params)
    assert made
    after = params.read_text()
    load_params(params)
    comments = [[line[line.index("#") :] for line in text.splitlines() if "#" in line] for text in (before, after)]
    assert comments[0] == comments[1]
    changed = [n for n, pair in enumerate(zip(before.splitlines(), after.splitlines(), strict=True)) if pair[0] != pair[1]]
    assert len(changed) == len(made)
    assert changes(PRESETS, name, params) == []
    assert f"attune preset {name}" in (PRESETS / f"{name}.yaml").read_text()
    assert len(about(PRESETS, name)) > 40


def test_a_dry_run_changes_nothing_and_shows_everything(params: Path) -> None:
    before = params.read_text()
    run = lambda *words: CliRunner().invoke(main, ["preset", *words, "--presets", str(PRESETS), "--params", str(params)])  # noqa: E731
    said = run("wav2vec2-mistral", "--dry-run").stdout
    assert "train.lora.rank: 32 -> 8" in said
    assert params.read_text() == before
    assert "train.lora.rank: 32 -> 8" in run("wav2vec2-mistral").stdout
    assert re.search(r"^    rank: 8  +# size of the adapters", params.read_text(), re.MULTILINE)
    assert "whisper-full" in run().stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "odd.yaml sets nothing; write keys of"),
        (b"- rank\n", "odd.yaml sets nothing; write keys of"),
        (b"train: {rank: 3\n", r"odd.yaml is not readable YAML: .*line 2"),
        (b"\xff\xfe", "odd.yaml is not readable YAML"),
        (b"train: 3\n", "sets train, which"),
    ],
)
def test_a_preset_that_is_none_is_one_line(content: bytes, said: str, params: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_bytes(content)
    before = params.read_bytes()
    for do in (changes, apply):
        with pytest.raises(ParamsError, match=said):
            do(tmp_path, "odd", params)
    assert params.read_bytes() == before
    assert about(tmp_path, "odd") == ""


def test_params_that_are_no_yaml_are_told_as_that(params: Path) -> None:
    params.write_text("train: [")
    with pytest.raises(ParamsError, match=r"params.yaml is not readable YAML"):
        changes(PRESETS, "whisper-full", params)


def test_values_may_stand_in_params_in_any_way_that_yaml_has(params: Path, tmp_path: Path) -> None:
    listed = "  test_speakers:\r\n    - anna  # one\r\n    - ben\r\n  # two\r\n"
    text = re.sub(r"  test_speakers: \[\] .*\n", lambda _: listed, params.read_text().replace("\n", "\r\n").replace("\r\r", "\r"))
    text = re.sub(r"  language: null( +# spoken)", r"  language:\1", text)
    params.write_bytes(text.encode())
    load_params(params)
    for name, salt in (("one", "'a # b'"), ("two", '"c: d"')):
        overlay = f"model:\n  language: 'no'\nsplit_clean_noisy:\n  salt: {salt}\n  test_speakers: ['x, y', z]\n"
        (tmp_path / f"{name}.yaml").write_text(overlay)
        assert apply(tmp_path, name, params)
        found = load_params(params)
        assert (found.split_clean_noisy.salt, found.split_clean_noisy.test_speakers) == (salt[1:-1], ("x, y", "z"))
        assert found.model.language == "no"
        assert changes(tmp_path, name, params) == []
    after = params.read_bytes().decode()
    assert after.count("\n") == after.count("\r\n") > 100
    assert "  # two" in after
    assert re.search(r"language: 'no' +# spoken", after)


def test_a_preset_to_transcribe_leaves_no_other_task_behind(params: Path) -> None:
    apply(PRESETS, "tiny-detection", params)
    for name in names(PRESETS):
        if name.startswith(("whisper", "wav2vec2")):
            apply(PRESETS, name, params)
            assert load_params(params).task == "transcription"
            apply(PRESETS, "tiny-detection", params)


def test_presets_that_are_not_there_or_do_not_fit_change_nothing(params: Path, tmp_path: Path) -> None:
    before = params.read_text()
    with pytest.raises(ParamsError, match=r"there is no preset 'nothing'; there are: .*second-stage"):
        apply(PRESETS, "nothing", params)
    (tmp_path / "odd.yaml").write_text("train:\n  rank: 3\n")
    (tmp_path / "bad.yaml").write_text("train:\n  epochs: 0\n")
    with pytest.raises(ParamsError, match=r"sets train\.rank, which"):
        apply(tmp_path, "odd", params)
    for do in (changes, apply):
        with pytest.raises(ParamsError, match=r"params\.yaml with preset bad has 1 fault.*train\.epochs"):
            do(tmp_path, "bad", params)
    assert params.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.yaml", "odd.yaml", "params.yaml"]
