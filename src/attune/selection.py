"""Which utterances are trained on and validated with: the misheard ones, some well-heard ones, never a test one.

Pure decisions over records; reading, writing and the hypotheses themselves are the stage's business.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attune.errors import LeakageError
from attune.params import SelectionParams
from attune.records import Gold, Hypothesis, Score, Selection, SelectionRole, Split, Utterance
from attune.scoring import Confusion, confusions, score
from attune.text import normalize

_NAMED_IN_ERRORS = 5


@dataclass(frozen=True)
class Dropped:
    """A train or validation utterance that was not chosen."""

    id: str
    split: Split
    reason: str
    """A short fixed word to count by: no_gold, quarantined, empty_text, no_hypothesis, above_max_error_rate,
    over_max_errors, not_replayed or no_human_text."""


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
    validation = [each for each in usable if each.utterance.split == "validation"]
    trained, replayed, left_out = _choose([c for c in usable if c.utterance.split == "train"], params)
    report = SelectionReport(
        selections=(
            *(candidate.chosen_as("error") for candidate in trained),
            *(candidate.chosen_as("replay") for candidate in replayed),
            *(candidate.chosen_as("validation") for candidate in validation),
        ),
        dropped=(*unusable, *left_out),
        confusions=tuple(confusions(candidate.score for candidate in trained)),
    )
    _refuse_leakage(report.selections, utterances)
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


@dataclass(frozen=True)
class _Candidate:
    utterance: Utterance
    gold: Gold
    text: str
    score: Score

    @property
    def error_rate(self) -> float:
        return self.score.words.rate

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
    believed = [c for c in hardest if c.error_rate <= params.max_error_rate]
    trained = believed[: params.max_errors]
    correct = sorted((c for c in candidates if not c.score.words.errors), key=lambda c: _draw(c.utterance.id, params.seed))
    wanted = round(params.replay_share * len(trained))
    rest = {
        "above_max_error_rate": [c for c in hardest if c.error_rate > params.max_error_rate],
        "over_max_errors": believed[len(trained) :],
        "not_replayed": correct[wanted:],
    }
    left_out = [Dropped(c.utterance.id, c.utterance.split, reason) for reason, group in rest.items() for c in group]
    return trained, correct[:wanted], left_out


def _draw(utterance_id: str, seed: int) -> bytes:
    """A place in the queue that depends on this utterance alone, so that a grown corpus keeps its order."""
    return hashlib.sha256(f"{seed}:{utterance_id}".encode()).digest()


def _refuse_leakage(selections: Sequence[Selection], utterances: Sequence[Utterance]) -> None:
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
