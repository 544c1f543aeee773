"""Exports of Label Studio, as its documentation shows them, become rows."""

from typing import Any

import pytest

from attune.label_studio import flat_rows, is_flat_task, is_task, local_name, rows


def task(*results: dict[str, Any], audio: str = "/data/upload/3/1a2b3c4d-visit.wav", **annotation: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"audio": audio}, "annotations": [{"result": list(results), **annotation}]}


def text(said: str, region: str | None = None, **value: float) -> dict[str, Any]:
    return {"id": region, "type": "textarea", "from_name": "transcription", "value": {"text": [said], **value}}


def test_a_transcript_and_a_choice_of_the_whole() -> None:
    choice = {"type": "choices", "value": {"choices": ["Noisy"]}}
    assert list(rows(task(text("good morning"), choice))) == [
        {"audio": "visit.wav", "text": "good morning", "condition": "noisy"}
    ]


def test_each_region_with_a_text_is_a_piece_and_its_label_the_speaker() -> None:
    label = {"id": "r1", "type": "labels", "value": {"start": 1.5, "end": 3.0, "labels": ["Anna"]}}
    silence = {"id": "r2", "type": "labels", "value": {"start": 3.0, "end": 4.0, "labels": ["Pause"]}}
    found = list(rows(task(label, silence, text("hello", "r1", start=1.5, end=3.0))))
    assert found == [{"audio": "visit.wav", "start": 1.5, "end": 3.0, "speaker": "Anna", "text": "hello"}]


def test_the_annotation_changed_last_counts_and_cancelled_ones_do_not() -> None:
    content = task(text("old"), updated_at="2026-01-01")
    content["annotations"] += [
        {"result": [text("new")], "updated_at": "2026-02-01"},
        {"result": [text("cancelled")], "updated_at": "2026-03-01", "was_cancelled": True},
    ]
    assert [row["text"] for row in rows(content)] == ["new"]


@pytest.mark.parametrize("said", ["good morning", ["good", "morning"], {"text": ["good morning"]}])
def test_a_flat_export_has_its_columns_already(said: object) -> None:
    flat = {"audio": "/data/upload/3/1a2b3c4d-visit.wav", "id": 7, "transcription": said, "annotator": 1, "annotation_id": 9}
    assert is_flat_task(flat)
    row = next(flat_rows(flat))
    assert (row["audio"], row["transcription"]) == ("visit.wav", "good morning")
    assert not is_flat_task({"audio": "a.wav", "text": "hello"})


def test_a_task_that_nobody_annotated_has_no_row() -> None:
    assert list(rows({"data": {"audio": "a.wav"}, "annotations": []})) == []


@pytest.mark.parametrize("value", [{"data": {"audio": "a.wav"}}, {"data": "x", "annotations": []}, [], "x", None])
def test_other_objects_are_no_tasks(value: object) -> None:
    assert not is_task(value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/3/1a2b3c4d-visit-1.wav", "visit-1.wav"),
        ("/data/local-files/?d=clinic/visit%201.wav", "clinic/visit 1.wav"),
        ("s3://bucket/clinic/visit.wav", "visit.wav"),
        ("https://host/files/visit%201.wav?token=x", "visit 1.wav"),
        ("clinic/visit.wav", "clinic/visit.wav"),
    ],
)
def test_addresses_mean_local_files(address: str, name: str) -> None:
    assert local_name(address) == name


def test_regions_of_a_json_min_export_are_pieces() -> None:
    spans = [{"start": n, "end": n + 1, "labels": [f"Speaker {n}"]} for n in range(2)]
    task = {"audio": "/data/upload/1/1a2b3c4d-v.wav", "annotation_id": 1, "label": spans, "transcription": ["one", "two"]}
    found = [(row["audio"], row["speaker"], row["start"], row["end"], row["text"]) for row in flat_rows(task)]
    assert found == [("v.wav", "Speaker 0", 0, 1, "one"), ("v.wav", "Speaker 1", 1, 2, "two")]
    assert {row["speaker"] for row in flat_rows({**task, "speaker": "anna"})} == {"anna"}


def test_a_speaker_that_the_task_names_counts_more_than_a_regions_label() -> None:
    value = {"start": 0, "end": 1, "text": ["hello"], "labels": ["Speech"]}
    task = {"data": {"audio": "v.wav", "speaker": "anna"}, "annotations": [{"result": [{"id": "r", "value": value}]}]}
    assert [row["speaker"] for row in rows(task)] == ["anna"]
