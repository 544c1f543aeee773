"""What waits for a person, out to where people listen (Label Studio, a table) and back as corrections.

Each utterance is a task with its sound beside it, so that nothing of the project need be there where people listen.
"""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import soundfile

from attune.corrections import IMPORTED, Correction, read_file
from attune.correctors.gold import ReviewItem
from attune.dataset import SAMPLE_RATE_HZ, Sounds, read_utterances
from attune.errors import DataError
from attune.files import read_jsonl, whole_folder, write_csv, write_text
from attune.progress import track

TASKS, TABLE, FORM, AUDIO = "tasks.json", "review.csv", "label_config.xml", "audio"
_COLUMNS = ("utterance", "audio", "heard", "proposal", "why", "confidence", "speaker", "text", "status")
_FORM = """<View>
  <Header value="$why"/>
  <Audio name="audio" value="$audio"/>
  <Text name="heard" value="$heard"/>
  <TextArea name="text" toName="audio" rows="2" editable="true" maxSubmissions="1"/>
  <Choices name="status" toName="audio" choice="single" required="true">
    <Choice value="edited"/>
    <Choice value="confirmed"/>
    <Choice value="discarded"/>
  </Choices>
</View>
"""


@dataclass(frozen=True)
class Imported:
    """What an import brought."""

    corrections: int
    unknown: int
    """Those of them for utterances that the corpus does not have."""
    file: Path


def export_review(gold: Path, prepared: Path, target: Path, most: int | None, audio_url: str | None) -> int:
    """Fills `target` with the sounds of at most `most` utterances that wait for review, the most informative first, with tasks
    for Label Studio, its form, and the same as a table to fill in; how many they are.

    `audio_url` is what addresses of sounds begin with; by default Label Studio's local files, with the folder that `target` is
    in as their root. Raises DataError where `target` exists, or nothing was made yet.
    """
    if target.exists():
        raise DataError(f"{target} exists already; name a folder that does not, so that nobody's work is overwritten")
    waiting = read_jsonl(gold / "review.jsonl", ReviewItem)[:most]
    if not waiting:
        return 0
    speakers = {u.id: u.speaker for u in read_utterances(prepared)}
    sounds, prefix = Sounds(prepared), _prefix(audio_url) or f"/data/local-files/?d={quote(target.name)}/{AUDIO}/"
    with whole_folder(target) as folder:
        (folder / AUDIO).mkdir()
        for item in track(waiting, "exporting", len(waiting)):
            soundfile.write(folder / AUDIO / f"{item.id}.flac", sounds[item.id], SAMPLE_RATE_HZ)
        rows = [_row(item, speakers.get(item.id, ""), prefix) for item in waiting]
        write_text(folder / TASKS, json.dumps([_task(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
        write_csv(folder / TABLE, _COLUMNS, ({**row, "audio": f"{AUDIO}/{row['utterance']}.flac"} for row in rows))
        write_text(folder / FORM, _FORM)
    return len(waiting)


def import_review(file: Path, corrections: Path, prepared: Path) -> Imported:
    """Brings what people decided in `file` into the folder of corrections, where it wins over what was decided before.

    Raises DataError for rows that cannot be understood; then nothing is brought in.
    """
    outcomes = read_file(file)
    faults = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if faults:
        raise DataError(f"{len(faults)} row(s) cannot be understood: {'; '.join(faults[:5])}; correct them and import again")
    found = {outcome.id: outcome for outcome in outcomes if isinstance(outcome, Correction)}
    if not found:
        raise DataError(f"{file} holds no decision: no row has a text or a status, or it is no review table or export")
    known = {utterance.id for utterance in read_utterances(prepared)}
    if not found.keys() & known:
        raise DataError(f"{file} is about no utterance of this corpus, first {min(found)}; was it exported from another one?")
    target = corrections / IMPORTED
    before = read_file(target) if target.is_file() else []
    kept = {each.id: each for each in before if isinstance(each, Correction)} | found
    write_text(target, "".join(f"{json.dumps(_line(each), ensure_ascii=False)}\n" for each in kept.values()))
    return Imported(len(found), len(found.keys() - known), target)


def _prefix(address: str | None) -> str | None:
    """With what parts it from a file's name."""
    return address if address is None or address.endswith(("/", "=")) else f"{address}/"


def _row(item: ReviewItem, speaker: str, prefix: str) -> dict[str, object]:
    return {
        "utterance": item.id,
        "audio": f"{prefix}{item.id}.flac",
        "heard": item.heard,
        "proposal": item.proposal or "",
        "why": html.escape(item.why, quote=False),
        "confidence": round(item.confidence, 3),
        "speaker": speaker,
    }


def _task(row: dict[str, object]) -> dict[str, object]:
    """A task with the likeliest text filled in. See https://labelstud.io/guide/predictions."""
    text = {"from_name": "text", "to_name": "audio", "type": "textarea", "value": {"text": [row["proposal"] or row["heard"]]}}
    return {"data": row, "predictions": [{"model_version": "attune", "result": [text]}]}


def _line(correction: Correction) -> dict[str, str]:
    return {"id": correction.id, "status": correction.verdict, **({"text": correction.text} if correction.text else {})}
