"""What is read from a folder before anything is decoded: files here are names only."""

import json
import os
from pathlib import Path

import pytest

from attune import layouts
from attune.errors import DataError
from attune.layouts import Inventory, Recording, take_inventory


def make(folder: Path, *names: str, **texts: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def only(inventory: Inventory) -> Recording:
    (recording,) = inventory.recordings
    return recording


def reasons(inventory: Inventory) -> dict[str, str]:
    return {r.source: r.reason for r in inventory.rejected}


@pytest.mark.parametrize(
    ("name", "speaker", "rule"),
    [
        ("clean/anna/x.wav", "anna", "folder"),
        ("anna/clean/x.wav", "anna", "folder"),
        ("anna/monday/clean/x.wav", "anna", "folder"),
        ("noisy/anna/monday/x.wav", "anna", "folder"),
        ("audio/anna/x.wav", "anna", "folder"),
        ("study/clean/anna/x.wav", "anna", "folder"),
        ("anna/monday/x.wav", "anna", "folder"),
        ("Clean/李 明/x.wav", "李 明", "folder"),
        ("clean/anna_01.wav", "anna", "file_name"),
        ("anna-1_x.wav", "anna", "file_name"),
        ("0_george_0.wav", "0_george_0.wav", "recording"),
        ("audio/001.wav", "audio/001.wav", "recording"),
    ],
)
def test_the_path_tells_who_speaks(tmp_path: Path, name: str, speaker: str, rule: str) -> None:
    make(tmp_path, name)
    recording = only(take_inventory(tmp_path))
    assert (recording.speaker, recording.speaker_from) == (speaker, rule)


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("clean/a/x.wav", "clean"),
        ("a/NOISY/x.wav", "noisy"),
        ("noisy/clean/x.wav", "noisy"),
        ("cleaner/x.wav", None),
        ("x.wav", None),
    ],
)
def test_a_folder_tells_the_condition(tmp_path: Path, name: str, condition: str | None) -> None:
    make(tmp_path, name)
    assert only(take_inventory(tmp_path)).condition == condition


def test_one_name_in_two_spellings_of_unicode_is_one_speaker(tmp_path: Path) -> None:
    make(tmp_path, "Jose\u0301/x.wav", "audio/y.wav")
    (tmp_path / "manifest.jsonl").write_text('{"audio": "audio/y.wav", "speaker": " JOS\u00c9"}')
    assert {r.speaker for r in take_inventory(tmp_path).recordings} == {"jos\u00e9"}


def test_a_transcript_beside_the_recording_is_its_reference(tmp_path: Path) -> None:
    make(tmp_path, "x.wav", "y.wav", x="\ufeffgood\n morning \n")
    found = take_inventory(tmp_path)
    assert [r.reference for r in found.recordings] == ["good morning", None]
    assert found.rejected == ()


def test_an_empty_transcript_is_none_and_is_counted(tmp_path: Path) -> None:
    make(tmp_path, "x.wav", "y.wav", x=" \n")
    (tmp_path / "metadata.csv").write_text("audio,text\ny.wav,\n")
    found = take_inventory(tmp_path)
    assert [r.reference for r in found.recordings] == [None, None]
    assert found.empty_transcripts == 2


def test_a_transcript_that_is_not_utf8_costs_only_itself(tmp_path: Path) -> None:
    make(tmp_path, "x.wav")
    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    found = take_inventory(tmp_path)
    assert only(found).reference is None
    assert reasons(found) == {"x.txt": "transcript_not_utf8"}


def test_a_transcript_without_a_recording_is_named(tmp_path: Path) -> None:
    make(tmp_path, "x.wav", y="hello")
    assert reasons(take_inventory(tmp_path)) == {"y.txt": "transcript_without_audio"}


def test_the_manifest_is_believed_before_a_text_beside_it(tmp_path: Path) -> None:
    make(tmp_path, "x.wav", "y.wav", x="one", y="same")
    (tmp_path / "manifest.jsonl").write_text('{"audio": "x.wav", "text": "two"}\n{"audio": "y.wav", "text": "same"}\n')
    found = take_inventory(tmp_path)
    assert [r.reference for r in found.recordings] == ["two", "same"]
    assert reasons(found) == {"x.txt": "transcript_overruled"}


def test_rows_without_their_file_and_contradicting_rows_are_named(tmp_path: Path) -> None:
    make(tmp_path, "sub/x.wav")
    rows = ['{"audio": "x.wav", "text": "one"}', '{"audio": "x.wav", "text": "two"}', '{"audio": "x.wav", "text": "one"}']
    (tmp_path / "sub/manifest.jsonl").write_text("\n".join([*rows, '{"audio": "gone.wav", "text": "three"}']))
    found = take_inventory(tmp_path)
    assert only(found).reference == "one"
    assert reasons(found) == {"sub/manifest.jsonl:2": "listed_twice", "sub/manifest.jsonl:4": "missing_audio"}


def test_what_is_no_recording_is_ignored_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "x.wav", "README.md", "LICENSE.txt", ".DS_Store", "._x.wav", "notes.pdf", ".git/y.wav")
    found = take_inventory(tmp_path)
    assert only(found).source == "x.wav"
    assert found.ignored_files == 5
    assert found.rejected == ()


def test_odd_names_survive(tmp_path: Path) -> None:
    names = ['a b/it\'s "x".wav', "new\nline/x.wav", "речь/голос.wav", "UPPER/X.WAV"]
    make(tmp_path, *names)
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/UPPER/\xff.wav"))).touch()
    sources = [r.source for r in take_inventory(tmp_path).recordings]
    assert sources == sorted([*names, "UPPER/\\xff.wav"])
    "".join(sources).encode()


def test_links_are_followed_and_loops_are_named(tmp_path: Path) -> None:
    make(tmp_path, "raw/anna/x.wav", "elsewhere/y.wav")
    (tmp_path / "raw/ben").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "raw/anna/again").symlink_to(tmp_path / "raw")
    (tmp_path / "raw/up").symlink_to(tmp_path)
    (tmp_path / "raw/self.wav").symlink_to(tmp_path / "raw/self.wav")
    found = take_inventory(tmp_path / "raw")
    assert [(r.source, r.speaker) for r in found.recordings] == [("anna/x.wav", "anna"), ("ben/y.wav", "ben")]
    assert reasons(found) == {"anna/again": "link_loop", "up": "link_loop", "self.wav": "unreadable"}


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    make(tmp_path, "x.wav")
    os.mkfifo(tmp_path / "y.wav")
    assert only(take_inventory(tmp_path)).source == "x.wav"


def test_a_folder_that_cannot_be_listed_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "anna/x.wav", "ben/y.wav")
    listed = Path.iterdir

    def refuse(folder: Path):
        if folder.name == "anna":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = take_inventory(tmp_path)
    assert only(found).source == "ben/y.wav"
    assert reasons(found) == {"anna": "unreadable"}


def test_a_missing_and_an_empty_folder_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a folder.*attune demo corpus"):
        take_inventory(tmp_path / "raw")
    with pytest.raises(DataError, match=r"has no recordings .*\.wav.*attune demo corpus"):
        take_inventory(tmp_path)


def test_transcripts_in_a_folder_of_their_own_are_found_by_stem(tmp_path: Path) -> None:
    make(tmp_path, "audio/anna/x.wav", "audio/ben/x.wav")
    for speaker in ("anna", "ben"):
        (tmp_path / "transcripts" / speaker).mkdir(parents=True)
        (tmp_path / "transcripts" / speaker / "x.txt").write_text(f"i am {speaker}")
    inventory = take_inventory(tmp_path)
    assert {r.speaker: r.reference for r in inventory.recordings} == {"anna": "i am anna", "ben": "i am ben"}
    assert inventory.rejected == ()


def test_a_transcript_that_could_be_of_two_recordings_is_of_none(tmp_path: Path) -> None:
    make(tmp_path, "audio/x.wav", "wavs/x.wav", "transcripts/x.txt")
    assert reasons(take_inventory(tmp_path)) == {"transcripts/x.txt": "transcript_without_audio"}


def test_rows_may_be_pieces_of_one_recording(tmp_path: Path) -> None:
    make(tmp_path, "day.wav")
    rows = [f'{{"audio": "day.wav", "speaker": "{s}", "start": {n}, "end": {n + 1}, "text": "t{n}"}}' for n, s in enumerate("ab")]
    (tmp_path / "pieces.jsonl").write_text("\n".join([*rows, rows[0]]))
    found = take_inventory(tmp_path)
    assert [(r.speaker, r.start_s, r.end_s, r.reference) for r in found.recordings] == [("a", 0, 1, "t0"), ("b", 1, 2, "t1")]
    assert (found.rejected, found.ignored_files) == ((), 0)


@pytest.mark.parametrize("named", ["clips/x.mp3", "x.mp3", "x", "elsewhere/x.mp3"])
def test_rows_find_their_recordings(tmp_path: Path, named: str) -> None:
    make(tmp_path, "clips/x.mp3")
    (tmp_path / "validated.tsv").write_text(f"client_id\tpath\tsentence\nab12\t{named}\tHola\n")
    recording = only(take_inventory(tmp_path))
    assert (recording.source, recording.speaker, recording.reference) == ("clips/x.mp3", "ab12", "Hola")


def test_a_name_that_two_files_bear_is_nobodys(tmp_path: Path) -> None:
    make(tmp_path, "a/x.wav", "b/x.wav")
    (tmp_path / "list.csv").write_text("path,text,speaker\nc/x.wav,hello,anna\n")
    found = take_inventory(tmp_path)
    assert reasons(found) == {"list.csv:2": "missing_audio"}
    assert [r.reference for r in found.recordings] == [None, None]


def test_both_exports_of_label_studio_find_their_recordings(tmp_path: Path) -> None:
    make(tmp_path, "audio/a.wav", "audio/b.wav")
    said = {"type": "textarea", "value": {"text": ["hello"]}}
    task = {"data": {"audio": "/data/upload/1/1a2b3c4d-a.wav", "speaker": "anna"}, "annotations": [{"result": [said]}]}
    flat = {"audio": "/data/upload/1/5e6f7a8b-b.wav", "speaker": "ben", "transcription": "goodbye", "annotation_id": 3}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    (tmp_path / "export-min.json").write_text(json.dumps([flat]))
    found = take_inventory(tmp_path)
    assert [(r.source, r.speaker, r.reference) for r in found.recordings] == [
        ("audio/a.wav", "anna", "hello"),
        ("audio/b.wav", "ben", "goodbye"),
    ]
    assert found.rejected == ()


def test_what_data_add_brought_is_named_by_its_own_folders(tmp_path: Path) -> None:
    make(tmp_path, "added/visits-may/anna/1.wav", "added/visits-june/clean/anna/1.wav", "added/visits-june/ben_1.wav")
    assert {r.speaker for r in take_inventory(tmp_path).recordings} == {"anna", "ben"}


def test_names_that_differ_in_case_or_spaces_are_one_speaker(tmp_path: Path) -> None:
    make(tmp_path, "Anna/1.wav", "anna/2.wav", "x/3.wav")
    (tmp_path / "list.csv").write_text("audio,speaker\nx/3.wav, ANNA \n")
    assert {r.speaker for r in take_inventory(tmp_path).recordings} == {"anna"}


def test_a_session_of_a_list_counts_more_than_a_guess_from_the_files_name(tmp_path: Path) -> None:
    make(tmp_path, "visit-0.wav", "visit-1.wav")
    (tmp_path / "list.csv").write_text("audio,text,session\nvisit-0.wav,a,monday\nvisit-1.wav,b,tuesday\n")
    assert [(r.speaker, r.speaker_from) for r in take_inventory(tmp_path).recordings] == [
        ("monday", "session"),
        ("tuesday", "session"),
    ]


def test_pieces_count_more_than_a_row_for_the_whole_and_take_over_what_it_says(tmp_path: Path) -> None:
    make(tmp_path, "day.wav")
    (tmp_path / "a.csv").write_text("audio,speaker,notes\nday.wav,anna,windy\n")
    rows = (json.dumps({"audio_filepath": "day.wav", "offset": n, "duration": 1, "text": f"t{n}"}) for n in (1, 3))
    (tmp_path / "train.json").write_text("\n".join(rows))
    found = take_inventory(tmp_path).recordings
    assert [(r.speaker, r.start_s, r.reference, dict(r.tags)) for r in found] == [
        ("anna", 1.0, "t1", {"notes": "windy"}),
        ("anna", 3.0, "t3", {"notes": "windy"}),
    ]


def test_segments_that_name_no_file_are_of_the_only_one_beside_them(tmp_path: Path) -> None:
    make(tmp_path, "one/audio.wav", "two/audio.wav")
    for folder in ("one", "two"):
        (tmp_path / folder / "metadata.json").write_text(json.dumps({"segments": [{"start": 0, "end": 2, "text": folder}]}))
    assert [(r.source, r.reference) for r in take_inventory(tmp_path).recordings] == [
        ("one/audio.wav", "one"),
        ("two/audio.wav", "two"),
    ]


def test_a_table_that_names_sounds_and_is_not_understood_is_told_of(tmp_path: Path) -> None:
    make(tmp_path, "x.wav")
    (tmp_path / "table.csv").write_text("aufnahme,wortlaut\nx.wav,hallo\n")
    (tmp_path / "prices.csv").write_text("thing,price\ntea,3\n")
    assert reasons(take_inventory(tmp_path)) == {"table.csv": "unknown_list"}


def test_files_with_the_prefix_of_label_studio_are_found_and_it_names_nobody(tmp_path: Path) -> None:
    make(tmp_path, "abcd1234-x.wav")
    (tmp_path / "list.csv").write_text("audio,text\nx.wav,hello\n")
    recording = only(take_inventory(tmp_path))
    assert (recording.reference, recording.speaker_from) == ("hello", "recording")


def test_recordings_that_are_added_do_not_take_names_from_rows_that_meant_others(tmp_path: Path) -> None:
    make(tmp_path, "audio/v0.wav", "added/may/zoe/v0.wav", "added/june/list.csv", "added/june/deep/v0.wav")
    (tmp_path / "min.csv").write_text("audio,text,speaker\n/elsewhere/v0.wav,old,anna\n")
    (tmp_path / "added/june/list.csv").write_text("audio,text,speaker\n/elsewhere/v0.wav,new,june\n")
    found = take_inventory(tmp_path)
    assert {r.source: (r.reference, r.speaker) for r in found.recordings} == {
        "audio/v0.wav": ("old", "anna"),
        "added/may/zoe/v0.wav": (None, "zoe"),
        "added/june/deep/v0.wav": ("new", "june"),
    }
    assert found.rejected == ()


def test_a_name_of_several_files_is_told_to_be_so(tmp_path: Path) -> None:
    make(tmp_path, "a/v0.wav", "b/v0.wav")
    (tmp_path / "list.csv").write_text("audio,text\n/elsewhere/v0.wav,hello\n")
    (fault,) = take_inventory(tmp_path).rejected
    assert fault.detail == "names 'v0.wav', which is the name of 2 files, first a/v0.wav; give its path"


def test_a_folder_that_holds_all_recordings_and_their_list_is_nobodys(tmp_path: Path) -> None:
    make(tmp_path, "corpus/x1.wav", "corpus/x2.wav", "corpus/anna/y.wav")
    (tmp_path / "corpus/metadata.csv").write_text("audio_path,transcript,session\nx1.wav,hello,monday\nx2.wav,hi,tuesday\n")
    assert {r.source: (r.speaker, r.speaker_from) for r in take_inventory(tmp_path).recordings} == {
        "corpus/x1.wav": ("monday", "session"),
        "corpus/x2.wav": ("tuesday", "session"),
        "corpus/anna/y.wav": ("anna", "folder"),
    }


def test_what_is_added_is_not_tested_on_because_of_the_name_it_was_added_by(tmp_path: Path) -> None:
    make(tmp_path, "added/test/anna/x.wav", "added/more/test/ben/x.wav")
    assert {r.speaker: layouts.tested(r) for r in take_inventory(tmp_path).recordings} == {"anna": False, "ben": True}


@pytest.mark.parametrize("name", ["corpus.parquet", "list.xlsx"])
def test_tables_of_other_kinds_are_told_of(tmp_path: Path, name: str) -> None:
    make(tmp_path, "anna/x.wav", name)
    assert reasons(take_inventory(tmp_path)) == {name: "unknown_list"}
