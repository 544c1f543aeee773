"""Who is learnt from, who is validated with, who is tested on: pure decisions about names and ids.

A hash of the speaker's name decides, so nobody changes sides as the corpus grows. Where few speakers leave a side
empty, the one whose hash lies nearest to that side is promoted, and a warning says so. Reading and writing
recordings is left to `intake`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from attune.errors import DataError, LeakageError
from attune.params import SplitParams
from attune.records import Split, Utterance

_PRIORITY: tuple[Split, ...] = ("train", "test", "validation")
_FEW_TEST_SPEAKERS = 5
_SHARED_S = 0.1
P = TypeVar("P")


@dataclass(frozen=True)
class Deal:
    """The side of every utterance, and sentences about what this deal cannot promise."""

    split_of: dict[str, Split]
    warnings: tuple[str, ...]


def deal(speaker_of: Mapping[str, str], params: SplitParams) -> Deal:
    """Sides for utterances, given each one's speaker by utterance id. Nobody on the test side is heard on another.

    Raises DataError as `check_speakers` does.
    """
    speakers = sorted(set(speaker_of.values()))
    check_speakers(speakers, params)
    by_utterance = params.validation_unit == "utterance" and not params.validation_speakers
    side_of, warnings = _deal_speakers(speakers, params, by_utterance)
    split_of = {utterance_id: side_of[speaker] for utterance_id, speaker in speaker_of.items()}
    if by_utterance and params.shares.validation > 0:
        split_of.update(dict.fromkeys(_validation_utterances(split_of, params), "validation"))
    return Deal(split_of, (*warnings, *_limits_of_the_test(side_of)))


def check_speakers(names: Iterable[str], params: SplitParams) -> None:
    """Raises DataError where no deal is possible: one speaker, names in params that nobody bears, nobody left to train on."""
    speakers = sorted(set(names))
    if len(speakers) < 2:
        raise DataError(
            f"held-out speakers need at least two speakers; the recordings name {len(speakers)}: {', '.join(speakers)}; "
            "give each person a folder (clean/anna/x.wav, noisy/ben/y.wav), "
            "or list audio, text and speaker in metadata.csv or manifest.jsonl"
        )
    for key, names in (("test_speakers", params.test_speakers), ("validation_speakers", params.validation_speakers)):
        unknown = sorted(set(names) - set(speakers))
        if unknown:
            known = ", ".join(speakers)
            raise DataError(f"split_clean_noisy.{key} names {unknown}, but the speakers are: {known}")
    if not set(speakers) - set(params.test_speakers) - set(params.validation_speakers):
        everybody = "test_speakers (or recordings below a folder test) and validation_speakers name every speaker"
        raise DataError(f"{everybody}; leave at least one to train on, or give that folder another name")


def check_leakage(utterances: Iterable[Utterance], validation_unit: Literal["speaker", "utterance"]) -> None:
    """Raises LeakageError naming every speaker or sound of the test side that is also on another.

    With `validation_unit` "speaker" the same holds for validation speakers; a sound never may be on two sides.
    """
    utterances = list(utterances)
    alone: set[str] = {"test"} if validation_unit == "utterance" else {"test", "validation"}
    speakers = _on_two_sides(utterances, lambda u: u.speaker, alone)
    sounds = _on_two_sides(utterances, lambda u: u.audio_digest, {"train", "validation", "test"})
    shared = _shared_seconds(utterances, alone)
    if speakers or sounds or shared:
        found = [f"speaker {name!r} is in {sides}" for name, sides in speakers]
        found += [f"sound {digest[:16]} is in {sides}" for digest, sides in sounds]
        found += shared
        raise LeakageError(f"sides of the split overlap: {'; '.join(found)}; make it anew: dvc repro -f split_clean_noisy")


def balanced(utterances: Iterable[Utterance], column: str, salt: str) -> set[str]:
    """Ids of utterances such that on each side all values that the tag `column` has there are as many; not those without one.

    A hash chooses. Raises DataError where nobody has such a tag.
    """
    ordered = sorted(utterances, key=lambda u: position(salt, u.id))
    groups: dict[Split, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for utterance in ordered:
        if column in utterance.tags:
            groups[utterance.split][utterance.tags[column]].append(utterance.id)
    if not groups:
        known = ", ".join(sorted({name for u in ordered for name in u.tags})) or "none"
        raise DataError(f"split_clean_noisy.balance: no list has a column {column!r}; columns are: {known}")
    most = {split: min(len(some) for some in side.values()) for split, side in groups.items()}
    return {i for split, side in groups.items() for some in side.values() for i in some[: most[split]]}


def position(salt: str, name: str) -> float:
    """A stable place in [0, 1) for a name: SHA-256 of salt and name, its first 64 bits as a fraction."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{name}".encode()).digest()[:8], "big") / 2**64


def sides_of(names: Iterable[str], params: SplitParams) -> dict[str, Split]:
    """The side of each of these speakers, where `validation_unit` is the speaker; no side is left out where one can be spared."""
    return _deal_speakers(sorted(set(names)), params, by_utterance=False)[0]


def overlapping(pieces: Iterable[P], span: Callable[[P], tuple[float, float]]) -> Iterator[tuple[P, P]]:
    """All pairs of pieces of one recording that share more than a tenth of a second; `span` is start and length in seconds."""
    ordered = sorted(pieces, key=span)
    for place, one in enumerate(ordered):
        latest_s = sum(span(one)) - _SHARED_S
        for other in ordered[place + 1 :]:
            if span(other)[0] >= latest_s:
                break
            yield one, other


def _deal_speakers(speakers: list[str], params: SplitParams, by_utterance: bool) -> tuple[dict[str, Split], list[str]]:
    side_of = {name: _hashed_side(name, params, by_utterance) for name in speakers}
    side_of.update(dict.fromkeys(params.test_speakers, "test"))
    side_of.update(dict.fromkeys(params.validation_speakers, "validation"))
    wanted = [side for side in _PRIORITY if _must_have_someone(side, params, by_utterance)]
    return side_of, [_promote(side, side_of, params) for side in wanted if side not in side_of.values()]


def _hashed_side(name: str, params: SplitParams, by_utterance: bool) -> Split:
    place = position(params.salt, name)
    if place < params.shares.test:
        return "train" if params.test_speakers else "test"
    if place < params.shares.test + params.shares.validation:
        return "train" if params.validation_speakers or by_utterance else "validation"
    return "train"


def _must_have_someone(side: Split, params: SplitParams, by_utterance: bool) -> bool:
    if side == "validation":
        return params.shares.validation > 0 and not by_utterance
    return side == "train" or params.shares.test > 0


def _promote(side: Split, side_of: dict[str, Split], params: SplitParams) -> str:
    """Moves the nearest speaker that can be spared onto the empty `side`; the warning that says so."""
    spare = _spare_speakers(side, side_of, {*params.test_speakers, *params.validation_speakers})
    if not spare:
        return (
            f"the {side} side is empty: there are too few speakers to spare one; "
            "set split_clean_noisy.validation_unit: utterance to validate with recordings of training speakers"
        )
    chosen = min(spare, key=lambda name: (_distance(side, position(params.salt, name), params), name))
    side_of[chosen] = side
    pin = f"{side}_speakers: [{chosen}]" if side != "train" else "test_speakers"
    return (
        f"the hash left the {side} side empty, so speaker {chosen} was put there; "
        f"pin with {pin} before adding people, or {chosen} may change sides"
    )


def _spare_speakers(side: Split, side_of: Mapping[str, Split], pinned: set[str]) -> list[str]:
    """Who may leave for the empty `side`: nobody pinned, and no side's last speaker unless that side matters less."""
    members = Counter(side_of.values())
    giving = {other for other in members if members[other] > 1 or _PRIORITY.index(other) > _PRIORITY.index(side)}
    return [name for name, other in side_of.items() if other in giving and name not in pinned]


def _distance(side: Split, place: float, params: SplitParams) -> float:
    """How far a place lies from the interval of hashes that belongs to `side`."""
    test, validation = params.shares.test, params.shares.test + params.shares.validation
    low, high = {"test": (0.0, test), "validation": (test, validation), "train": (validation, 1.0)}[side]
    return max(low - place, place - high, 0.0)


def _validation_utterances(split_of: Mapping[str, Split], params: SplitParams) -> list[str]:
    """Ids of training speakers' utterances to validate with, by hash; the nearest one where the hash finds none."""
    pool = sorted((position(params.salt, i), i) for i, side in split_of.items() if side == "train")
    share = params.shares.validation / (params.shares.train + params.shares.validation)
    chosen = [i for place, i in pool if place < share]
    return chosen or [i for _, i in pool[:1] if len(pool) > 1]


def _limits_of_the_test(side_of: Mapping[str, Split]) -> list[str]:
    tested = sorted(name for name, side in side_of.items() if side == "test")
    if not tested:
        return ["nobody is on the test side, so nothing can be said about speakers that were not trained on"]
    if len(tested) >= _FEW_TEST_SPEAKERS:
        return []
    limit = f"the test side has {len(tested)} speaker(s): {', '.join(tested)}; its numbers hold for them and cannot tell"
    return [f"{limit} how the model does on people unlike them; {_FEW_TEST_SPEAKERS} or more are a start"]


def _shared_seconds(utterances: list[Utterance], alone: set[str]) -> list[str]:
    """Sentences about pieces of one recording that share seconds though they are on two sides."""
    pieces: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.start_s is not None:
            pieces[utterance.source].append(utterance)
    return [
        f"{one.source} from {one.start_s:g} s ({one.split}) and from {other.start_s:g} s ({other.split}) share seconds"
        for some in pieces.values()
        for one, other in overlapping(some, lambda u: (u.start_s or 0.0, u.duration_s))
        if one.split != other.split and {one.split, other.split} & alone
    ]


def _on_two_sides(utterances: list[Utterance], key: Callable[[Utterance], str], alone: set[str]) -> list[tuple[str, str]]:
    """Keys found on several sides of which one is to be `alone`, with those sides."""
    sides: dict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        sides[key(utterance)].add(utterance.split)
    return [(name, " and ".join(sorted(where))) for name, where in sorted(sides.items()) if len(where) > 1 and where & alone]
