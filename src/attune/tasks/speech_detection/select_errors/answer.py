"""An error is a clip called otherwise than it is, or one whose labels the model finds nearly alike likely.

Both classes are learnt from alike: what one has fewer of is made up with its surest-but-least clips, replayed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attune.dataset import read_utterances
from attune.params import Params, SelectionParams
from attune.records import Gold, Hypothesis, Selection, SelectionRole, Utterance
from attune.scoring import confusions, score
from attune.selection import Dropped, SelectionReport, refuse_leakage
from attune.tasks.speech_detection.parts.labels import LABELS, SPEECH, speech_probability


@dataclass(frozen=True)
class _Clip:
    utterance: Utterance
    gold: Gold
    label: str
    called: str
    margin: float
    """P(its label) minus P(the other), -1 to 1."""

    @property
    def wrong(self) -> bool:
        return self.called != self.label

    def chosen_as(self, role: SelectionRole) -> Selection:
        rate = float(self.wrong)
        return Selection(self.utterance.id, self.utterance.split, role, self.label, self.gold.source, rate)


def choose(prepared: Path, golds: Sequence[Gold], heard: Sequence[Hypothesis], params: Params) -> SelectionReport:
    """Errors, hardest first, then replayed clips, then validation. Raises LeakageError."""
    utterances, wanted = read_utterances(prepared), params.select_errors
    gold_of, said = {g.id: g for g in golds}, {h.id: h for h in heard}
    known = [u for u in utterances if u.split != "test"]
    unlabelled = [Dropped(u.id, u.split, "no_label") for u in known if u.id not in gold_of or gold_of[u.id].text is None]
    clips = [_clip(u, gold_of[u.id], said[u.id]) for u in known if u.id in gold_of and gold_of[u.id].text is not None]
    train = sorted((c for c in clips if c.utterance.split == "train"), key=lambda c: (c.margin, c.utterance.id))
    errors, replayed = balanced(train, wanted)
    chosen = {c.utterance.id for c in (*errors, *replayed)}
    report = SelectionReport(
        selections=(
            *(c.chosen_as("error") for c in errors),
            *(c.chosen_as("replay") for c in replayed),
            *(c.chosen_as("validation") for c in clips if c.utterance.split == "validation"),
        ),
        dropped=(*unlabelled, *(Dropped(c.utterance.id, "train", "not_replayed") for c in train if c.utterance.id not in chosen)),
        confusions=tuple(confusions(score(c.utterance.id, c.label, c.called) for c in errors)),
    )
    refuse_leakage(report.selections, utterances)
    return report


def balanced(train: Sequence[_Clip], params: SelectionParams) -> tuple[list[_Clip], list[_Clip]]:
    """Errors and replayed clips, of both classes as many together as far as there are; `train` has the hardest first."""
    by_label = {label: [c for c in train if c.label == label] for label in LABELS}
    at_most = len(train) if params.max_errors is None else -(-params.max_errors // len(LABELS))
    hard = {label: [c for c in some if _is_hard(c, params)][:at_most] for label, some in by_label.items()}
    errors = sorted((c for some in hard.values() for c in some), key=lambda c: (c.margin, c.utterance.id))
    if not errors:
        return [], []
    more = max(map(len, hard.values())) + round(params.replay_share * len(errors) / len(LABELS))
    easy = {label: [c for c in some if not _is_hard(c, params)] for label, some in by_label.items()}
    replayed = [c for label in LABELS for c in easy[label][: max(0, more - len(hard[label]))]]
    return errors, replayed


def _is_hard(clip: _Clip, params: SelectionParams) -> bool:
    return clip.wrong or abs(clip.margin) < params.detection.min_margin


def _clip(utterance: Utterance, gold: Gold, heard: Hypothesis) -> _Clip:
    label = str(gold.text)
    margin = 2 * speech_probability(heard) - 1
    return _Clip(utterance, gold, label, heard.text, margin if label == SPEECH else -margin)
