"""Regression suites: test utterances that matter by themselves, each file of suites/ with the scores they had before.

A file names its utterances (by id, or by path below the raw folder), or a list in which they stand, or what they have in common:

    kind: critical                 # critical, benchmark or edge_cases
    baseline: {wer: 0.15, cer: 0.08, version: v1}   # null: the base model's own scores, now
    utterances: [noisy/anna/3.wav, 0123456789abcdef]
    # or    manifest: doses.txt    # beside it: one a line, or the column id or source of a CSV
    # or    where: {condition: noisy, speaker: [anna, ben], accent: welsh}
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from attune.errors import DataError
from attune.params import EvaluateParams
from attune.records import ErrorCounts, Utterance
from attune.report.pairs import Pair
from attune.report.results import SuiteScores
from attune.report.slices import known, known_tags
from attune.scoring import pool
from attune.slicing import places

_WORST = 10
_Rate = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Baseline(_Strict):
    """What a suite had before, and with which version of the model."""

    wer: _Rate
    cer: _Rate | None = None
    version: str


class Suite(_Strict):
    """One file, with its list read."""

    name: str
    kind: Literal["critical", "benchmark", "edge_cases"]
    about: str = ""
    baseline: Baseline | None
    utterances: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    manifest: str | None = None
    where: Mapping[str, str | tuple[str, ...]] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.utterances is None) == (self.where is None):
            raise ValueError("say which utterances by exactly one of utterances, manifest and where")
        return self


def read_suites(folder: Path) -> list[Suite]:
    """Every YAML file of `folder`, by name. Raises DataError naming the file and what is wrong in it."""
    return [_read(file) for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])]


def score_suites(
    suites: Sequence[Suite], pairs: Sequence[Pair], utterances: Sequence[Utterance], params: EvaluateParams
) -> tuple[SuiteScores, ...]:
    """The tuned model on each suite. What a suite names and the test has not is named, with the reason."""
    return tuple(_score(suite, pairs, utterances, params) for suite in suites)


def _read(file: Path) -> Suite:
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise DataError(f"{file} is not a suite: it must hold kind, baseline, and utterances, manifest or where")
        if "manifest" in content and content.get("utterances") is None:
            content = {**content, "utterances": _listed(file.parent / str(content["manifest"]))}
        return Suite.model_validate({"name": file.stem, **content})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{file} cannot be read as a suite: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'the file'}: {f['msg']}" for f in error.errors())
        raise DataError(f"{file} is not a suite: {faults}; see the README beside it") from error


def _listed(manifest: Path) -> list[str]:
    text = manifest.read_text(encoding="utf-8-sig")
    if manifest.suffix != ".csv":
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = list(csv.DictReader(text.splitlines()))
    column = next((c for c in ("id", "source") if rows and c in rows[0]), None)
    if column is None:
        raise DataError(f"{manifest} has neither a column id nor a column source, so it lists no utterances")
    return [row[column] for row in rows]


def _score(suite: Suite, pairs: Sequence[Pair], utterances: Sequence[Utterance], params: EvaluateParams) -> SuiteScores:
    members, missing = _members(suite, pairs, utterances, params)
    words, characters = pool(pair.tuned for pair in members)
    before = suite.baseline or _of_base(members)
    threshold = params.suites.critical_degradation_threshold
    degradation, degraded = _degradation(words, before.wer if before else None, threshold)
    if suite.baseline is not None:  # whoever gives a CER wants it held, too
        degraded |= _degradation(characters, suite.baseline.cer, threshold)[1]
    worst = sorted((p for p in members if p.tuned.words.errors), key=lambda p: (-p.tuned.words.errors, p.utterance.id))
    return SuiteScores(
        name=suite.name,
        kind=suite.kind,
        version=before.version if before else "base model",
        utterances=len(members),
        missing=missing,
        baseline_wer=before.wer if before else None,
        baseline_cer=before.cer if before else None,
        wer=known(words.rate),
        cer=known(characters.rate),
        degradation=degradation,
        degraded=degraded,
        failed=suite.kind == "critical" and (degraded or not words.reference_length),
        worst=tuple(pair.utterance.id for pair in worst[:_WORST]),
    )


def _degradation(counts: ErrorCounts, before: float | None, threshold: float) -> tuple[float | None, bool]:
    """By what share a rate rose, and whether that is too much; from no errors to some there is no share, and it is."""
    if before is None or not counts.reference_length:
        return None, False
    if not before:
        return (None, True) if counts.errors else (0.0, False)
    share = counts.rate / before - 1
    return share, share > threshold + 1e-9


def _of_base(members: Sequence[Pair]) -> Baseline | None:
    words, characters = pool(pair.base for pair in members)
    if not words.reference_length:
        return None
    return Baseline(wer=words.rate, cer=known(characters.rate), version="base model")


def _members(
    suite: Suite, pairs: Sequence[Pair], utterances: Sequence[Utterance], params: EvaluateParams
) -> tuple[list[Pair], tuple[str, ...]]:
    if suite.utterances is None:
        return _matching(suite, pairs, params), ()
    named, there = set(suite.utterances), set[str]()
    members = [pair for pair in pairs if named & {pair.utterance.source, pair.utterance.id}]
    for pair in members:  # the pieces of a long recording have one source
        there |= {pair.utterance.source, pair.utterance.id}
    sides = {name: u.split for u in utterances for name in (u.source, u.id)}
    return members, tuple(_why(name, sides.get(name)) for name in dict.fromkeys(suite.utterances) if name not in there)


def _why(name: str, side: str | None) -> str:
    if side is None:
        return f"{name}: no such utterance"
    return f"{name}: has no reference" if side == "test" else f"{name}: is on the {side} side"


def _matching(suite: Suite, pairs: Sequence[Pair], params: EvaluateParams) -> list[Pair]:
    asked = {key: (value,) if isinstance(value, str) else value for key, value in (suite.where or {}).items()}
    bands = {"snr_db": params.slices.snr_db, "duration_s": params.slices.duration_s}
    own, tags = ("condition", "snr_db", "duration_s", "speaker", "source"), known_tags(pairs)
    unknown = sorted(set(asked) - {*own, *tags})
    if unknown:
        raise DataError(
            f"suite {suite.name} asks for {unknown[0]!r}, which no test utterance has; they have: {', '.join([*own, *tags])}"
        )
    columns = sorted(set(asked) & set(tags))
    placed = ((pair, places(pair.utterance, bands, columns)) for pair in pairs)
    return [pair for pair, place in placed if all(place[key][1] in values for key, values in asked.items())]
