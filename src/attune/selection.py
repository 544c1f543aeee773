"""Which utterances are trained on and validated with: the misheard ones, some well-heard ones, never a test one.

Pure decisions over records; reading, writing and the hypotheses themselves are the stage's business.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from attune.errors import LeakageError
from attune.params import SelectionParams
from attune.records import Gold, Hypothesis, Score, Selection, SelectionRole, Split, Utterance
from attune.scoring import Confusion, confusions, misheard_words, score
from attune.text import normalize

_NAMED_IN_ERRORS = 5
_HOUR_S = 3600
_PLOTTED = 25


@dataclass(frozen=True)
class Dropped:
    """A train or validation utterance that was not chosen."""

    id: str
    split: Split
    reason: str
    """A short fixed word to count by: no_gold, quarantined, empty_text, no_hypothesis, below_min_error_rate,
    above_max_error_rate, over_max_errors, over_few_shot_hours, not_replayed or no_human_text."""


@dataclass(frozen=True)
class SelectionReport:
    """What was chosen, what was not and why, and which words are mistaken for which in the errors to train."""

    selections: tuple[Selection, ...]
    """Errors, hardest first; then replayed ones; then validation."""
    dropped: tuple[Dropped, ...]
    confusions: tuple[Confusion, ...]

    @property
    def nothing_to_train(self) -> bool:
        """Whether no error was chosen: then nothing is replayed either, and the base model is the result."""
        return not self.count("error")

    def count(self, role: SelectionRole) -> int:
        """How many utterances were chosen for `role`."""
        return sum(chosen.role == role for chosen in self.selections)


def select(
    utterances: Sequence[Utterance], golds: Sequence[Gold], hypotheses: Sequence[Hypothesis], params: SelectionParams
) -> SelectionReport:
    """Chooses from the train and validation splits; an error is an utterance whose hypothesis is not the same words as gold.

    Raises LeakageError if an utterance or a speaker of the test split would be chosen.
    """
    gold_of = {gold.id: gold for gold in golds}
    heard = {hypothesis.id: hypothesis.text for hypothesis in hypotheses}
    weighed = [_weigh(u, gold_of.get(u.id), heard.get(u.id)) for u in utterances if u.split != "test"]
    usable = [each for each in weighed if isinstance(each, _Candidate)]
    unusable = [each for each in weighed if isinstance(each, Dropped)]
    trained, replayed, left_out = _choose([c for c in usable if c.utterance.split == "train"], params)
    validation, not_heard = _validating([c for c in usable if c.utterance.split == "validation"], params)
    report = SelectionReport(
        selections=(
            *(candidate.chosen_as("error") for candidate in trained),
            *(candidate.chosen_as("replay") for candidate in replayed),
            *(candidate.chosen_as("validation") for candidate in validation),
        ),
        dropped=(*unusable, *left_out, *not_heard),
        confusions=tuple(confusions(candidate.score for candidate in trained)),
    )
    refuse_leakage(report.selections, utterances)
    return report


def metrics(report: SelectionReport) -> dict[str, int | Mapping[str, int]]:
    """The counts for `metrics/select_errors.json`, nested one level at most."""
    sources = Counter(chosen.source for chosen in report.selections if chosen.role == "error")
    return {
        "errors": report.count("error"),
        "replayed": report.count("replay"),
        "validation": report.count("validation"),
        "dropped": dict(sorted(Counter(drop.reason for drop in report.dropped).items())),
        "error_gold_sources": dict(sorted(sources.items())),
        "confused_word_pairs": len(report.confusions),
    }


def plot_rows(report: SelectionReport) -> list[dict[str, str | int]]:
    """Rows of a plot: the commonest confusions, and how often they happened."""
    return [{"confusion": f"{c.reference} → {c.hypothesis}", "count": c.count} for c in report.confusions[:_PLOTTED]]


@dataclass(frozen=True)
class _Candidate:
    utterance: Utterance
    gold: Gold
    text: str
    score: Score

    @property
    def error_rate(self) -> float:
        return self.score.words.rate

    def dropped(self, reason: str) -> Dropped:
        return Dropped(self.utterance.id, self.utterance.split, reason)

    def chosen_as(self, role: SelectionRole) -> Selection:
        return Selection(self.utterance.id, self.utterance.split, role, self.text, self.gold.source, self.error_rate)


def _weigh(utterance: Utterance, gold: Gold | None, heard: str | None) -> _Candidate | Dropped:
    """The utterance scored against its gold, or the reason why it cannot be chosen for anything."""

    def drop(reason: str) -> Dropped:
        return Dropped(utterance.id, utterance.split, reason)

    if gold is None:
        return drop("no_gold")
    if utterance.split == "validation" and gold.source != "human":
        return drop("no_human_text")
    if gold.source == "quarantined" or gold.text is None:
        return drop("quarantined")
    if not normalize(gold.text):
        return drop("empty_text")
    if heard is None:
        return drop("no_hypothesis")
    return _Candidate(utterance, gold, gold.text, score(utterance.id, gold.text, heard))


def _choose(candidates: list[_Candidate], params: SelectionParams) -> tuple[list[_Candidate], list[_Candidate], list[Dropped]]:
    """Errors to train, correct ones to replay, and the rest with its reasons."""
    hardest = sorted((c for c in candidates if c.score.words.errors), key=lambda c: (-c.error_rate, c.utterance.id))
    believed = [c for c in hardest if params.min_error_rate < c.error_rate <= params.max_error_rate]
    ordered = _in_turns(believed, params) if params.order == "balanced" else believed
    capped = ordered[: params.max_errors]
    trained = _within(capped, params.few_shot_hours)
    correct = sorted((c for c in candidates if not c.score.words.errors), key=lambda c: _draw(c.utterance.id, params.seed))
    wanted = round(params.replay_share * len(trained))
    rest = {
        "below_min_error_rate": [c for c in hardest if c.error_rate <= params.min_error_rate],
        "above_max_error_rate": [c for c in hardest if c.error_rate > params.max_error_rate],
        "over_max_errors": ordered[len(capped) :],
        "over_few_shot_hours": capped[len(trained) :],
        "not_replayed": correct[wanted:],
    }
    left_out = [c.dropped(reason) for reason, group in rest.items() for c in group]
    return trained, correct[:wanted], left_out


def _validating(candidates: list[_Candidate], params: SelectionParams) -> tuple[list[_Candidate], list[Dropped]]:
    """Those to validate with, and the rest with its reasons: all whose text may be believed, or as training's were chosen."""
    if params.validation == "likewise":
        errors, correct, left_out = _choose(candidates, params)
        return [*errors, *correct], left_out
    doubted = [c.dropped("above_max_error_rate") for c in candidates if c.error_rate > params.max_error_rate]
    return [c for c in candidates if c.error_rate <= params.max_error_rate], doubted


def _in_turns(hardest: list[_Candidate], params: SelectionParams) -> list[_Candidate]:
    """One of each group, its hardest first, then the next of each; groups that have run out are passed over."""
    group_of = _groups(hardest, params)
    turn = Counter[str]()
    turns = []
    for candidate in hardest:
        group = group_of[candidate.utterance.id]
        turns.append((turn[group], group, candidate))
        turn[group] += 1
    return [candidate for _, _, candidate in sorted(turns, key=lambda each: each[:2])]


def _groups(candidates: list[_Candidate], params: SelectionParams) -> dict[str, str]:
    """The group of each candidate, by utterance id."""
    if params.balance_by == "condition":
        return {c.utterance.id: c.utterance.condition for c in candidates}
    if params.balance_by == "speaker":
        return {c.utterance.id: c.utterance.speaker for c in candidates}
    misheard = {c.utterance.id: misheard_words(c.score) for c in candidates}
    counts = Counter(word for some in misheard.values() for word in some)
    return {name: min(some, key=lambda word: (counts[word], word), default="") for name, some in misheard.items()}


def _within(candidates: list[_Candidate], hours: float | None) -> list[_Candidate]:
    """The first of them that together last no longer than that."""
    if hours is None:
        return candidates
    ends_s = accumulate(c.utterance.duration_s for c in candidates)
    return [c for c, end_s in zip(candidates, ends_s, strict=True) if end_s <= hours * _HOUR_S]


def _draw(utterance_id: str, seed: int) -> bytes:
    """A place in the queue that depends on this utterance alone, so that a grown corpus keeps its order."""
    return hashlib.sha256(f"{seed}:{utterance_id}".encode()).digest()


def refuse_leakage(selections: Sequence[Selection], utterances: Sequence[Utterance]) -> None:
    tested = [u for u in utterances if u.split == "test"]
    test_ids, test_speakers = {u.id for u in tested}, {u.speaker for u in tested}
    speaker_of = {u.id: u.speaker for u in utterances}
    leaked = [s.id for s in selections if s.split == "test" or s.id in test_ids or speaker_of[s.id] in test_speakers]
    if leaked:
        named = ", ".join(f"{each} (speaker {speaker_of[each]!r})" for each in leaked[:_NAMED_IN_ERRORS])
        raise LeakageError(
            f"{len(leaked)} of {len(selections)} selected utterances, or their speakers, are also in the test split: {named}; "
            "nothing was selected. Make the split anew with `dvc repro --force split_clean_noisy`, without editing its output"
        )
