"""Rows of users' lists: what is understood, and what each broken one is called."""

import json
from pathlib import Path

import pytest

from attune.manifests import Entry, read_manifest
from attune.records import Rejection


def read(tmp_path: Path, name: str, content: str | bytes) -> tuple[list[Entry], list[Rejection]]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_manifest(path, name, tmp_path)
    assert found is not None
    return found


def only_reason(tmp_path: Path, name: str, content: str | bytes) -> str:
    """The reason for the one row that is broken, after asserting that the good row beside it survived."""
    entries, rejected = read(tmp_path, name, content)
    assert [entry.text for entry in entries] == ["good"]
    (rejection,) = rejected
    assert rejection.source.startswith(f"{name}:")
    json.dumps(rejection.detail, ensure_ascii=False).encode()
    return rejection.reason


GOOD = '{"audio": "a.wav", "text": "good"}\n'


@pytest.mark.parametrize("key", ["audio", "audio_path", "audio_filepath", "file_name"])
@pytest.mark.parametrize("text_key", ["text", "transcript"])
def test_jsonl_and_csv_understand_the_same_names(tmp_path: Path, key: str, text_key: str) -> None:
    jsonl, _ = read(tmp_path, "sub/manifest.jsonl", json.dumps({key: "x/a.wav", text_key: "hé, you", "speaker": "anna"}))
    table, _ = read(tmp_path, "sub/metadata.csv", f'{key},{text_key},speaker\r\nx/a.wav,"hé, you",anna\r\n')
    assert jsonl == [Entry("sub/x/a.wav", "hé, you", "anna", "sub/manifest.jsonl:1")]
    assert table == [Entry("sub/x/a.wav", "hé, you", "anna", "sub/metadata.csv:2")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_may_use_other_delimiters_a_byte_order_mark_and_line_breaks_in_texts(tmp_path: Path, delimiter: str) -> None:
    rows = f'\ufeffaudio{delimiter}text\na.wav{delimiter}"one\ntwo"\nb.wav{delimiter}three\n'
    entries, rejected = read(tmp_path, "transcripts.csv", rows)
    assert [(e.source, e.text) for e in entries] == [("a.wav", "one\ntwo"), ("b.wav", "three")]
    assert rejected == []


def test_text_and_speaker_may_be_missing(tmp_path: Path) -> None:
    entries, rejected = read(tmp_path, "manifest.jsonl", '{"audio": "a.wav", "speaker": 7}\n\n{"audio": "b.wav", "text": null}\n')
    assert [(e.text, e.speaker) for e in entries] == [(None, "7"), (None, None)]
    assert rejected == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{not json", "malformed_line"),
        ("[1]", "malformed_line"),
        ("[" * 100_000, "malformed_line"),
        ('{"audio": 5, "text": "x"}', "malformed_line"),
        ('{"audio": "", "text": "x"}', "malformed_line"),
        ('{"audio": "b.wav", "text": ["x"]}', "malformed_line"),
        ('{"text": "x"}', "missing_column"),
        ('{"audio": "b.wav"}', "missing_column"),
        ('{"audio": "../b.wav", "text": "x"}', "path_outside"),
        ('{"audio": "x/../../b.wav", "text": "x"}', "path_outside"),
        ('{"audio": "../../etc/passwd", "text": "x"}', "path_outside"),
        ('{"audio": "b.wav", "text": "\\ud800"}', "transcript_not_utf8"),
    ],
)
def test_a_broken_line_is_named_and_loses_nothing_else(tmp_path: Path, line: str, reason: str) -> None:
    assert only_reason(tmp_path, "manifest.jsonl", GOOD + line + "\n") == reason
    assert only_reason(tmp_path, "sub/manifest.jsonl", line.replace("../", "../../") + "\n" + GOOD) == reason


def test_a_line_that_is_not_utf8_is_named_and_loses_nothing_else(tmp_path: Path) -> None:
    assert (
        only_reason(tmp_path, "manifest.jsonl", GOOD.encode() + b'{"audio": "b.wav", "text": "caf\xe9"}') == "transcript_not_utf8"
    )
    assert only_reason(tmp_path, "metadata.csv", b"audio,text\nb.wav,caf\xe9\na.wav,good\n") == "transcript_not_utf8"


@pytest.mark.parametrize("line", ["b.wav,one, two", "b.wav", '"b.wav"x,y'])
def test_a_csv_row_that_does_not_fit_is_named_and_loses_nothing_else(tmp_path: Path, line: str) -> None:
    assert only_reason(tmp_path, "metadata.csv", f"audio,text\n{line}\na.wav,good\n") == "malformed_line"


def test_a_csv_without_an_audio_column_names_the_columns_it_may_have(tmp_path: Path) -> None:
    entries, rejected = read(tmp_path, "metadata.csv", "recording,text\na.wav,x\n")
    assert entries == []
    assert [(r.reason, "audio_path" in r.detail) for r in rejected] == [("missing_column", True)]


@pytest.mark.parametrize("name", ["manifest.jsonl", "metadata.csv"])
def test_an_empty_manifest_has_no_rows(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, "") == ([], [])


def test_an_absolute_path_below_the_raw_folder_is_understood(tmp_path: Path) -> None:
    entries, _ = read(tmp_path, "sub/manifest.jsonl", json.dumps({"audio": str(tmp_path / "x" / "a.wav"), "text": "t"}))
    assert [entry.source for entry in entries] == ["x/a.wav"]


def test_a_row_may_be_a_piece_and_keeps_what_else_it_says(tmp_path: Path) -> None:
    nemo = '{"audio_filepath": "day.wav", "offset": 1.5, "duration": 2.0, "text": "yes", "microphone": "lapel"}'
    entries, rejected = read(tmp_path, "train.json", f"{nemo}\n{nemo.replace('1.5', '4')}\n")
    assert rejected == []
    assert [(e.start_s, e.end_s, dict(e.tags)) for e in entries] == [
        (1.5, 3.5, {"microphone": "lapel"}),
        (4.0, 6.0, {"microphone": "lapel"}),
    ]


def test_a_duration_alone_is_that_of_the_whole(tmp_path: Path) -> None:
    ((entry,), _) = read(tmp_path, "metadata.csv", "audio_path,transcript,duration,speaker,notes\na.wav,yes,2.0,anna,hoarse\n")
    assert (entry.start_s, entry.end_s, entry.speaker, dict(entry.tags)) == (None, None, "anna", {"notes": "hoarse"})


def test_common_voice_and_measured_tables_are_understood(tmp_path: Path) -> None:
    ((voice,), _) = read(tmp_path, "validated.tsv", "client_id\tpath\tsentence\taccents\nab12\tcv_1.mp3\tHola.\t\n")
    assert (voice.source, voice.speaker, voice.text, dict(voice.tags)) == ("cv_1.mp3", "ab12", "Hola.", {})
    table = "path,label,snr_db,duration\na.wav,noisy,4.5,1.0\nb.wav,SPEECH,12,1.0\n"
    ((noisy, speech), _) = read(tmp_path, "sub/metadata.csv", table)
    assert (noisy.condition, noisy.snr_db, dict(noisy.tags)) == ("noisy", 4.5, {"label": "noisy"})
    assert (speech.condition, speech.snr_db, dict(speech.tags)) == (None, 12.0, {"label": "SPEECH"})


def test_a_recording_with_segments_gives_a_row_for_each(tmp_path: Path) -> None:
    content = {
        "audio": "visit.wav",
        "speaker": "anna",
        "text": "one two",
        "segments": [{"start": 0, "end": 1.0, "text": "one", "confidence": 0.9}, {"start": 1, "end": 2, "text": "two"}, "x"],
    }
    entries, rejected = read(tmp_path, "metadata.json", json.dumps(content))
    assert [(e.text, e.speaker, e.start_s, e.end_s) for e in entries] == [("one", "anna", 0.0, 1.0), ("two", "anna", 1.0, 2.0)]
    assert dict(entries[0].tags) == {"confidence": "0.9"}
    assert [r.reason for r in rejected] == ["malformed_line"]


@pytest.mark.parametrize(
    "piece", ['"start": 2, "end": 1', '"start": -1', '"offset": "x", "duration": 1', '"start": NaN, "end": 2', '"end": 1e999']
)
def test_a_piece_that_is_none_is_named_and_loses_nothing_else(tmp_path: Path, piece: str) -> None:
    assert only_reason(tmp_path, "manifest.jsonl", f'{GOOD}{{"audio": "b.wav", "text": "x", {piece}}}\n') == "malformed_line"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.json", '{"path": "x", "theme": "dark"}'),
        ("words.csv", "word,count\nyes,3\n"),
        ("notes.json", "not json"),
        ("deep.json", "[" * 100_000),
        ("empty.tsv", ""),
    ],
)
def test_files_that_list_no_recordings_are_somebody_elses(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_manifest(tmp_path / name, name, tmp_path) is None


@pytest.mark.parametrize("content", [b"\x00" * 1000, b"audio,text\n" + b"x" * 2_000_000, b'"' * 5000, b"\xff\xfea\x00u\x00"])
@pytest.mark.parametrize("name", ["metadata.csv", "manifest.jsonl", "other.json"])
def test_no_bytes_make_it_crash(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    read_manifest(tmp_path / name, name, tmp_path)


def test_columns_are_known_in_any_case_and_with_spaces_around(tmp_path: Path) -> None:
    for header in ("Audio_Path,Transcript,Speaker", "audio_path, transcript, speaker"):
        entries, rejected = read(tmp_path, "metadata.csv", f"{header}\nx.wav,hello,anna\n")
        assert ([(e.source, e.text, e.speaker) for e in entries], rejected) == ([("x.wav", "hello", "anna")], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_tables_as_excel_writes_them_are_read(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    entries, _ = read(tmp_path, "metadata.csv", f"{mark}audio;text\r\nx.wav;é\r\n".encode(encoding))
    assert [(e.source, e.text) for e in entries] == [("x.wav", "é")]


def test_a_quotation_mark_that_is_never_closed_costs_its_own_line(tmp_path: Path) -> None:
    entries, rejected = read(tmp_path, "metadata.csv", 'audio,text\na.wav,"open\nb.wav,two\nc.wav,three\n')
    assert [e.text for e in entries] == ["two", "three"]
    assert [r.source for r in rejected] == ["metadata.csv:2"]
    entries, rejected = read(tmp_path, "validated.tsv", 'path\tsentence\na.wav\t"El Quijote\nb.wav\t"Sí," dijo\nc.wav\ttres\n')
    assert ([e.text for e in entries], rejected) == (['"El Quijote', '"Sí," dijo', "tres"], [])


@pytest.mark.parametrize("name", ["invalidated.tsv", "other.tsv", "reported.tsv"])
def test_what_common_voices_listeners_did_not_confirm_is_not_believed(tmp_path: Path, name: str) -> None:
    entries, rejected = read(tmp_path, name, "client_id\tpath\tsentence\na\tx.mp3\twrong\n")
    assert (entries, [r.reason for r in rejected]) == ([], ["unconfirmed_list"])


@pytest.mark.parametrize("snr", ["3000000000", "1e12", "nan"])
def test_a_noise_that_cannot_be_is_a_fault_of_its_row(tmp_path: Path, snr: str) -> None:
    entries, rejected = read(tmp_path, "m.csv", f"path,snr_db\na.wav,{snr}\nb.wav,12\n")
    assert ([e.source for e in entries], [r.reason for r in rejected]) == (["b.wav"], ["malformed_line"])


def test_an_absolute_path_of_another_machine_means_the_file_of_that_name(tmp_path: Path) -> None:
    ((entry,), _) = read(tmp_path, "m.csv", "audio_filepath,text\n/data/old/x.wav,hello\n")
    assert entry.source == "x.wav"


@pytest.mark.parametrize("before", ["sep=;\n", "# made by hand\n# in May\n"])
def test_what_stands_before_the_header_of_a_table_is_passed_over(tmp_path: Path, before: str) -> None:
    entries, rejected = read(tmp_path, "metadata.csv", before + 'audio;text\na.wav; "hello; there"\n')
    assert [(e.source, e.text) for e in entries] == [("a.wav", "hello; there")]
    assert rejected == []


def test_each_row_of_a_table_without_a_header_is_named(tmp_path: Path) -> None:
    entries, rejected = read(tmp_path, "metadata.csv", "a.wav,hello\nb.wav,there\n")
    assert entries == []
    assert [r.source for r in rejected] == ["metadata.csv:1", "metadata.csv:2"]
    assert "names of the columns" in rejected[0].detail


def test_rows_may_be_wrapped_and_name_their_file_as_hugging_face_does(tmp_path: Path) -> None:
    row = {"audio": {"path": "a.wav", "bytes": None}, "text": "hello"}
    for content in ({"data": [row]}, [row]):
        entries, rejected = read(tmp_path, "x.json", json.dumps(content))
        assert [(e.source, e.text) for e in entries] == [("a.wav", "hello")]
        assert rejected == []
