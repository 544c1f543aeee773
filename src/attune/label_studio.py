"""Exports of Label Studio (JSON and JSON-MIN): tasks as rows that `manifests` understands.

A task is an object with `data` (the recording) and `annotations` (what people said of it). A text area is the transcript, of the
whole or of the region that it belongs to; choices that say `clean` or `noisy` are the condition, labels of a region the speaker
unless the task names one.
Cancelled annotations do not count; of several the one changed last does. After https://labelstud.io/guide/export.html
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

_SOUND_KEYS = ("audio", "audio_url", "url", "sound", "wav")
_TEXTS = ("text", "transcript", "transcription", "sentence")
_UPLOAD_PREFIX = 9
"""Label Studio puts eight hex digits and a dash before the name of an uploaded file."""


def is_task(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether `value` is one task of an export."""
    return isinstance(value, Mapping) and isinstance(value.get("data"), Mapping) and "annotations" in value


def is_flat_task(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether `value` is one task of a JSON-MIN export."""
    return isinstance(value, Mapping) and "annotation_id" in value and any(isinstance(value.get(k), str) for k in _SOUND_KEYS)


def flat_rows(task: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """The rows of a JSON-MIN task: its fields are columns already, but for the address, texts in lists, and regions."""
    row, spans = _flat_row(task), _flat_regions(task)
    texts: list[object] = next((task[key] for key in _TEXTS if isinstance(task.get(key), list)), [])
    if not spans or len(texts) != len(spans):
        yield row
        return
    above = {key: value for key, value in row.items() if key not in _TEXTS and not isinstance(value, Mapping)}
    for span, text in zip(spans, texts, strict=True):
        labels = span.get("labels")
        speaker = {"speaker": str(labels[0])} if isinstance(labels, list) and labels else {}
        yield {**speaker, **above, "start": span["start"], "end": span["end"], "text": str(text)}


def _flat_regions(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The regions in a field such as `label`: objects with a start and an end."""
    for value in task.values():
        if isinstance(value, list) and value and all(isinstance(v, Mapping) and "start" in v and "end" in v for v in value):
            return value
    return []


def _flat_row(task: Mapping[str, Any]) -> dict[str, object]:
    audio = next(task[key] for key in _SOUND_KEYS if isinstance(task.get(key), str))
    given = {key: value for key, value in task.items() if key not in _SOUND_KEYS}
    texts = {key: value["text"] if isinstance(value, Mapping) and "text" in value else value for key, value in given.items()}
    plain = {k: v for k, v in texts.items() if not (isinstance(v, list) and any(isinstance(each, Mapping) for each in v))}
    joined = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in plain.items()}
    told = next((str(v).lower() for k, v in joined.items() if k not in _TEXTS and str(v).lower() in ("clean", "noisy")), None)
    return {**joined, **({"condition": told} if told else {}), "audio": local_name(audio)}


def rows(task: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """A row for the recording, or one for each region that has a text; none where nobody annotated it."""
    data = task["data"]
    audio = next((data[key] for key in _SOUND_KEYS if isinstance(data.get(key), str)), None)
    given = task["annotations"] if isinstance(task["annotations"], list) else []
    done = [a for a in given if isinstance(a, Mapping) and not a.get("was_cancelled") and isinstance(a.get("result"), list)]
    if audio is None or not done:
        return
    result = max(done, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))["result"]
    regions: dict[object, dict[str, object]] = {}
    whole: dict[str, object] = {}
    for item in result:
        if isinstance(item, Mapping) and isinstance(item.get("value"), Mapping):
            value = item["value"]
            place = regions.setdefault(item.get("id"), {}) if "start" in value and "end" in value else whole
            place.update(_said(value))
    extra = {key: data[key] for key in ("speaker", "session") if isinstance(data.get(key), str)}
    above = {**extra, **whole, "audio": local_name(audio)}
    pieces = [region for region in regions.values() if "text" in region]
    for piece in pieces:
        yield {**above, **piece, **extra}
    if not pieces:
        yield above


def verdict(task: Mapping[str, Any]) -> dict[str, str]:
    """What people decided of a whole recording: `text` where they wrote one, `status` where a choice names it; neither where
    nobody annotated it. Of a JSON-MIN task its fields count."""
    if is_task(task):
        given = task["annotations"] if isinstance(task["annotations"], list) else []
        done = [a for a in given if isinstance(a, Mapping) and not a.get("was_cancelled") and isinstance(a.get("result"), list)]
        if not done:
            return {}
        result = max(done, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))["result"]
        values = [item["value"] for item in result if isinstance(item, Mapping) and isinstance(item.get("value"), Mapping)]
    else:
        values = [{"text": next((task[key] for key in _TEXTS if task.get(key)), None), "choices": task.get("status") or []}]
    found: dict[str, str] = {}
    for value in values:
        choices = value.get("choices") or []
        for choice in choices if isinstance(choices, list) else [choices]:
            found["status"] = str(choice).lower()
        if (text := value.get("text")) is not None:
            found["text"] = " ".join(map(str, text)) if isinstance(text, list) else str(text)
    return found


def local_name(address: str) -> str:
    """The file that an address in an export means: of a local-files link its path, of an upload its name without the prefix."""
    parts = urlsplit(address)
    if "local-files" in parts.path:
        return parse_qs(parts.query).get("d", [address])[0]
    path = unquote(parts.path)
    if "/data/upload/" in address or parts.path.startswith("upload/"):
        name = posixpath.basename(path)
        prefixed = len(name) > _UPLOAD_PREFIX and name[_UPLOAD_PREFIX - 1] == "-"
        return name[_UPLOAD_PREFIX:] if prefixed else name
    return posixpath.basename(path) if parts.scheme else address


def _said(value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    if "start" in value and "end" in value:
        yield from (("start", value["start"]), ("end", value["end"]))
    text = value.get("text")
    if text is not None:
        yield "text", " ".join(map(str, text)) if isinstance(text, list) else str(text)
    for choice in value.get("choices") or []:
        if str(choice).lower() in ("clean", "noisy"):
            yield "condition", str(choice).lower()
    labels = value.get("labels")
    if isinstance(labels, list) and labels:
        yield "speaker", str(labels[0])
