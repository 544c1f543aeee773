"""What waits for a person goes out with its sound, and comes back as corrections."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from attune.cli import main
from attune.corrections import read_corrections
from attune.correctors.gold import ReviewItem
from attune.dataset import encode_flac, write_corpus
from attune.errors import DataError
from attune.files import write_jsonl
from attune.operations.reviewing import export_review, import_review
from attune.records import Utterance


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a corpus of three utterances, all of which wait for review."""
    names = [f"{n:016x}" for n in range(3)]
    utterances = [Utterance(n, n * 4, f"{n}.wav", f"speaker {n[-1]}", "clean", "train", 0.1, 30.0, None) for n in names]
    (tmp_path / "prepared").mkdir()
    write_corpus(tmp_path / "prepared", utterances, {n: encode_flac(np.full(1600, 0.1, np.float32)) for n in names}, [])
    waiting = [
        ReviewItem(n, f"{n}.wav", "sound_distance: 'a' < 'b'", 0.9, "no feeder", "no fever" if n[-1] != "2" else None)
        for n in names
    ]
    write_jsonl(tmp_path / "gold" / "review.jsonl", waiting)
    return tmp_path


def exported(made: Path, most: int | None = None) -> Path:
    export_review(made / "gold", made / "prepared", made / "review", most, None)
    return made / "review"


def test_tasks_have_their_sound_their_texts_and_a_prediction(made: Path) -> None:
    tasks = json.loads((exported(made) / "tasks.json").read_text())
    assert [task["data"]["utterance"][-1] for task in tasks] == ["0", "1", "2"]
    data = tasks[0]["data"]
    assert data["audio"] == f"/data/local-files/?d=review/audio/{data['utterance']}.flac"
    assert data["why"] == "sound_distance: 'a' &lt; 'b'"
    assert [task["predictions"][0]["result"][0]["value"]["text"] for task in tasks] == [["no fever"], ["no fever"], ["no feeder"]]
    samples, rate_hz = soundfile.read(made / "review" / "audio" / f"{data['utterance']}.flac")
    assert (samples.size, rate_hz) == (1600, 16_000)
    assert 'toName="audio"' in (made / "review" / "label_config.xml").read_text()


def test_the_first_are_the_most_informative_and_addresses_can_be_ones_own(made: Path) -> None:
    assert export_review(made / "gold", made / "prepared", made / "review", 1, "https://sounds.example") == 1
    (task,) = json.loads((made / "review" / "tasks.json").read_text())
    assert task["data"]["audio"] == f"https://sounds.example/{'0' * 16}.flac"


def test_a_folder_that_exists_is_never_written_to(made: Path) -> None:
    (made / "review").mkdir()
    with pytest.raises(DataError, match="exists already"):
        exported(made)


def test_the_filled_in_table_comes_back(made: Path) -> None:
    table = exported(made) / "review.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    rows[0]["text"], rows[2]["status"] = "no fever at all", "discarded"
    rows[1] |= {"text": "no fever", "status": "confirmed"}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    done = import_review(table, made / "corrections", made / "prepared")
    assert (done.corrections, done.unknown, done.file) == (3, 0, made / "corrections" / "imported.jsonl")
    found = [(each.verdict, each.text) for each in read_corrections(made / "corrections").values()]
    assert found == [("edited", "no fever at all"), ("confirmed", "no fever"), ("discarded", None)]


def test_label_studios_export_comes_back_and_adds_to_what_was_there(made: Path) -> None:
    tasks = json.loads((exported(made) / "tasks.json").read_text())
    for n, task in enumerate(tasks):
        task["annotations"] = [{"result": task["predictions"][0]["result"]}] if n < 2 else []
    export = made / "round.json"
    export.write_text(json.dumps(tasks[:1]))
    assert import_review(export, made / "corrections", made / "prepared").corrections == 1
    tasks[2]["annotations"] = tasks[1]["annotations"]
    tasks[1]["data"]["utterance"] = "f" * 16
    export.write_text(json.dumps(tasks[1:]))
    assert import_review(export, made / "corrections", made / "prepared").unknown == 1
    assert sorted(read_corrections(made / "corrections")) == ["0" * 16, f"{2:016x}", "f" * 16]


def test_a_file_without_a_decision_and_one_with_faults_bring_nothing(made: Path) -> None:
    table = exported(made) / "review.csv"
    with pytest.raises(DataError, match="holds no decision"):
        import_review(table, made / "corrections", made / "prepared")
    (made / "other.jsonl").write_text('{"id": "17", "text": "b"}')
    with pytest.raises(DataError, match="about no utterance of this corpus"):
        import_review(made / "other.jsonl", made / "corrections", made / "prepared")
    (made / "x.jsonl").write_text('{"id": "a", "text": "b"}\n{"text": "whose"}')
    with pytest.raises(DataError, match="has no id"):
        import_review(made / "x.jsonl", made / "corrections", made / "prepared")
    assert not (made / "corrections").exists()


def test_the_commands_say_what_to_do_next(made: Path) -> None:
    params = Path("params.yaml").read_text()
    for name in ("prepared", "gold", "corrections"):
        params = params.replace(f" data/{name} ", f" {made / name} ")
    (made / "params.yaml").write_text(params)
    run = lambda *words: CliRunner().invoke(main, ["gold", *map(str, words), "--params", str(made / "params.yaml")])  # noqa: E731
    said = run("export-review", made / "review", "--most", 2)
    assert said.exit_code == 0, said.stderr
    assert "2 utterances in" in said.stdout
    assert "attune gold import-review" in said.stdout
    (made / "back.jsonl").write_text(json.dumps({"id": "0" * 16, "text": "no fever"}))
    said = run("import-review", made / "back.jsonl")
    assert "1 decisions in" in said.stdout
    (made / "gold" / "review.jsonl").write_text("")
    assert "nothing waits" in run("export-review", made / "again").stdout
    (made / "gold" / "review.jsonl").unlink()
    assert run("export-review", made / "again").exit_code == 2
