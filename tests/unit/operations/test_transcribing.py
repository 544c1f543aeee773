"""`attune transcribe`: files and folders in, text with times out, and a broken file costs only itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from shipped import write_params

from attune.cli import main
from attune.demo.voices import Synthesizer, Voice
from attune.errors import DataError
from attune.operations.transcribing import Cue, Heard, cues, sound_files, written
from attune.records import Word

ROOT = Path(__file__).parents[3]
WORDS = (Word("good", 0.9, 0.1, 0.4), Word("morning", 0.8, 0.4, 1.0), Word("yes", 0.7, 3.0, 3.25))
HEARD = Heard("x.wav", "good morning yes", 0.8, WORDS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml")
    synthesizer = Synthesizer()
    (tmp_path / "sounds" / "deep").mkdir(parents=True)
    for name, text in (("a.wav", "one two three"), ("deep/b.flac", "seven five")):
        spoken = synthesizer.speak(text, Voice("en-us+m3", 150, 50))
        soundfile.write(tmp_path / "sounds" / name, spoken, 16_000)
    return tmp_path / "sounds"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["transcribe", "--model", str(ROOT / "models/tiny/ctc"), *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_is_heard_file_by_file(folder: Path) -> None:
    code, out, _ = run(str(folder))
    assert (code, out) == (0, f"{folder}/a.wav\tone two three\n{folder}/deep/b.flac\tseven five\n")


def test_json_tells_words_and_times(folder: Path) -> None:
    code, out, _ = run("--format", "json", str(folder / "deep" / "b.flac"))
    (heard,) = map(json.loads, out.splitlines())
    assert (code, heard["text"], [w["text"] for w in heard["words"]]) == (0, "seven five", ["seven", "five"])
    assert 0 <= heard["words"][0]["start_s"] < heard["words"][1]["start_s"] < 2


def test_results_go_to_a_folder_and_a_broken_file_costs_only_itself(folder: Path) -> None:
    (folder / "c.wav").write_text("no sound")
    code, out, err = run("--format", "srt", "--to", "subtitles", str(folder))
    assert (code, out) == (2, "")
    assert "c.wav" in err
    assert "1 of 3 files could not be heard" in err
    assert sorted(path.name for path in Path("subtitles").iterdir()) == ["a.wav.srt", "b.flac.srt"]
    assert Path("subtitles/b.flac.srt").read_text().startswith("1\n00:00:0")


def test_long_recordings_are_heard_in_pieces_with_times_of_the_whole(folder: Path) -> None:
    synthesizer = Synthesizer()
    spoken = np.pad(synthesizer.speak("two nine", Voice("en-us+m3", 150, 50)), (0, 3 * 16_000))
    soundfile.write(folder / "long.wav", np.tile(spoken, 9), 16_000)
    code, out, _ = run("--format", "json", str(folder / "long.wav"))
    heard = json.loads(out)
    starts = [word["start_s"] for word in heard["words"]]
    assert code == 0
    assert heard["text"].split().count("nine") >= 7
    assert starts == sorted(starts)
    assert starts[-1] > 8 * spoken.size / 16_000 - 1


def test_words_are_put_together_to_lines_and_parted_at_pauses() -> None:
    assert cues(WORDS) == [Cue(0.1, 1.0, "good morning"), Cue(3.0, 3.25, "yes")]
    many = [Word("word", 1.0, n * 0.4, n * 0.4 + 0.3) for n in range(60)]
    lines = cues(many)
    assert all(line.end_s - line.start_s <= 6 and len(line.text) <= 84 for line in lines)
    assert sum(line.text.count("word") for line in lines) == 60
    assert cues([Word("untimed", 1.0)]) == []


def test_subtitles_are_as_players_want_them() -> None:
    assert written(HEARD, "srt") == "1\n00:00:00,100 --> 00:00:01,000\ngood morning\n\n2\n00:00:03,000 --> 00:00:03,250\nyes\n\n"
    assert written(HEARD, "vtt").startswith("WEBVTT\n\n00:00:00.100 --> 00:00:01.000\ngood morning\n")
    assert written(HEARD, "text") == "good morning yes\n"


def test_a_folder_without_sound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no sound files"):
        sound_files([tmp_path])
