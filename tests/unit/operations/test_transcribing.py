"""`attune transcribe`: files and folders in, text with times out, and a broken file costs only itself."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_models
from click.testing import CliRunner
from shipped import write_params

from attune.audio import UnusableAudio, read_audio
from attune.cli import main
from attune.demo.voices import Synthesizer, Voice
from attune.errors import DataError, EnvironmentFault
from attune.operations.transcribing import Cue, Heard, _pieces, cues, hear_files, sound_files, written
from attune.params import GREEDY, load_params
from attune.recognizers.protocol import Transcript
from attune.recognizers.registry import open_recognizer
from attune.recognizers.whisper_decoding import WhisperRecognizer
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
    assert "1 of 3 files have no result" in err
    assert sorted(str(path) for path in Path("subtitles").rglob("*.srt")) == ["subtitles/a.wav.srt", "subtitles/deep/b.flac.srt"]
    assert Path("subtitles/deep/b.flac.srt").read_text().startswith("1\n00:00:0")


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


def test_two_results_of_one_name_are_refused_before_anything_is_heard(folder: Path) -> None:
    (folder / "deep" / "a.wav").write_bytes((folder / "a.wav").read_bytes())
    code, _, err = run("--to", "texts", str(folder / "a.wav"), str(folder / "deep" / "a.wav"))
    assert code == 2
    assert "would both be written as a.wav" in err
    assert run(str(folder / "a.wav"), str(folder / "deep" / "a.wav"))[0] == 0  # printed, they do not meet
    assert run("--to", "texts", str(folder))[0] == 0
    assert len(list(Path("texts").rglob("a.wav.txt"))) == 2


def test_subtitles_of_several_files_are_not_run_together(folder: Path) -> None:
    code, out, err = run("--format", "vtt", str(folder))
    assert (code, out) == (2, "")
    assert "say with --to into which folder" in err


def test_odd_names_and_no_sound_cost_nothing_else(folder: Path) -> None:
    sound = (folder / "a.wav").read_bytes()
    (folder / os.fsdecode(b"caf\xe9.wav")).write_bytes(sound)
    (folder / f"{'n' * 248}.wav").write_bytes(sound)
    soundfile.write(folder / "none.wav", np.zeros(0, np.float32), 16_000)
    code, out, _ = run("--format", "json", str(folder))
    heard = {Path(line["file"]).name: line["text"] for line in map(json.loads, out.splitlines())}
    assert code == 0
    assert heard["caf\\xe9.wav"] == heard["a.wav"] == "one two three"
    assert heard["none.wav"] == ""
    code, _, err = run("--to", "texts", str(folder))
    assert code == 2
    assert "rename the recording" in err
    assert len(list(Path("texts").rglob("*.txt"))) == 4


def test_a_ctc_model_does_not_translate(folder: Path) -> None:
    code, _, err = run("--task", "translate", str(folder))
    assert code == 2
    assert "model.task is 'translate'" in err


class Ears:
    """Hears how long a clip is; no more than `most` clips fit in memory."""

    name, family, digest, window_s, workers = "ears", "ctc", "0", None, 2

    def __init__(self, most: int = 100) -> None:
        self.calls: list[int] = []
        self._most = most

    def transcribe(self, clips: Sequence[np.ndarray], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        assert (nbest, word_times) == (1, True)
        if len(clips) > self._most:
            raise RuntimeError("CUDA out of memory.")
        self.calls.append(len(clips))
        return [Transcript(f"{clip.size / 16_000:.1f}", 0.5) for clip in clips]


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """Ten files of 0.5 to 1.4 s, the fourth one broken."""
    files = [tmp_path / f"{n}.wav" for n in range(10)]
    for n, file in enumerate(files):
        soundfile.write(file, 0.1 * np.random.default_rng(n).standard_normal(8_000 + 1_600 * n), 16_000)
    files[3].write_text("no sound")
    return files


@pytest.mark.parametrize("most", [100, 2])
def test_files_are_heard_together_and_told_in_their_order(many: list[Path], most: int) -> None:
    asked = load_params(ROOT / "params.yaml").model.model_copy(update={"batch_s": 4.0, "device": "cpu"})
    ears, told_s = Ears(most), list[float]()
    results = list(hear_files(ears, many, asked, told_s.append))
    assert isinstance(results[3], UnusableAudio)
    heard = [result for result in results if isinstance(result, Heard)]
    assert [each.file for each in heard] == [str(file) for file in many if file != many[3]]
    assert [each.text for each in heard] == [f"{0.5 + 0.1 * n:.1f}" for n in range(10) if n != 3]
    assert sum(told_s) == pytest.approx(sum(0.5 + 0.1 * n for n in range(10) if n != 3))
    assert max(ears.calls) > 2 if most == 100 else max(ears.calls) <= 2


def test_a_long_recording_is_in_the_language_of_its_beginning(tmp_path: Path) -> None:
    base = str(tiny_models.make_whisper(tmp_path / "base", multilingual=True))
    spoken = [np.pad(Synthesizer().speak(text, Voice("en-us+m3", 150, 50)), 16_000) for text in ("two nine", "seven five", "one")]
    files = [tmp_path / "long.wav", tmp_path / "short.wav"]
    soundfile.write(files[0], np.concatenate(spoken * 6), 16_000)
    soundfile.write(files[1], spoken[2], 16_000)
    asked = load_params(ROOT / "params.yaml").model.model_copy(update={"device": "cpu", "safeguards": GREEDY})
    recognizer = open_recognizer(base, asked)
    assert isinstance(recognizer, WhisperRecognizer)
    long, short = hear_files(recognizer, files, asked)
    assert isinstance(long, Heard)
    assert isinstance(short, Heard)
    (first, *_) = _pieces(files[0], 25.0)
    fixed = recognizer.for_language_of(first.samples)
    assert long.language == fixed.transcribe([first.samples])[0].language
    assert long.text.startswith(fixed.transcribe([first.samples])[0].text)
    assert short.language == recognizer.transcribe([read_audio(files[1])])[0].language


def test_one_clip_that_does_not_fit_into_memory_is_said(many: list[Path]) -> None:
    asked = load_params(ROOT / "params.yaml").model.model_copy(update={"device": "cpu"})
    with pytest.raises(EnvironmentFault, match=r"memory does not suffice to hear \d\.\d s"):
        list(hear_files(Ears(0), many, asked))


def test_a_folder_without_sound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no sound files"):
        sound_files([tmp_path])
