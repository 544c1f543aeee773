"""What to do next, in words with the numbers behind them: is fine-tuning worth it, deploy, collect more, and what kind."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attune.params import AdviceParams
from attune.report.pairs import Pair
from attune.report.results import Advice, SliceScores, Uncertainty, Verdict
from attune.report.wording import lasting, recordings
from attune.scoring import misheard_words
from attune.text import words as words_of

_NAMED_WORDS = 8
_WORTH_NAMING = 2
_FEWEST_ERRORS = 5
_WHICH_WORDS = "Sentences with these words would help most (misheard in so many of the utterances that say them)"


def advise(
    overall: SliceScores,
    slices: Sequence[SliceScores],
    sure: Uncertainty,
    judged: Verdict,
    pairs: Sequence[Pair],
    corrected_hours: float,
    params: AdviceParams,
) -> tuple[Advice, ...]:
    """In the order in which a person decides; `corrected_hours` is what there was to train on, with text."""
    found = [*_worth(overall, corrected_hours, params), *_deploy(overall, judged, params)]
    found += [*_where(overall, slices), *_words(pairs)]
    found += [Advice("test", warning) for warning in sure.warnings]
    return tuple(found)


def _worth(overall: SliceScores, corrected_hours: float, params: AdviceParams) -> Iterator[Advice]:
    if overall.base.wer is None:
        return
    wer = f"The base model's WER is {overall.base.wer:.1%}"
    if overall.base.wer < params.skip_below_wer:
        yield Advice("worth", f"{wer}, below {params.skip_below_wer:.0%}: fine-tuning is hardly worth its cost here.")
    elif overall.base.wer > params.worth_above_wer:
        yield Advice("worth", f"{wer}, above {params.worth_above_wer:.0%}: fine-tuning is worth it.")
    else:
        yield Advice(
            "worth", f"{wer}, between {params.skip_below_wer:.0%} and {params.worth_above_wer:.0%}: fine-tuning may be worth it."
        )
    if corrected_hours < params.enough_hours and overall.base.wer >= params.skip_below_wer:
        yield Advice(
            "collect",
            f"There were {lasting(corrected_hours)} with text to train on; {params.enough_hours:g} hours are a good measure.",
        )


def _deploy(overall: SliceScores, judged: Verdict, params: AdviceParams) -> Iterator[Advice]:
    gone = overall.relative_improvement
    if gone is None:
        yield Advice("deploy", "The base model made no error in this test, so there is nothing to gain: keep it.")
        return
    share = f"{gone:.0%} of the base model's WER is gone"
    if not judged.passed:
        yield Advice("deploy", f"Do not deploy: {judged.failure_reason}.")
    elif gone > params.deploy_from_reduction:
        yield Advice("deploy", f"Deploy: {share}, more than {params.deploy_from_reduction:.0%}.")
    elif gone >= params.collect_below_reduction:
        yield Advice("deploy", f"You can deploy, and more recordings should still help: {share}.")
    if gone < 0:
        yield Advice("collect", f"Collect more and train again: WER is {-gone:.0%} higher than the base model's.")
    elif gone < params.collect_below_reduction:
        yield Advice("collect", f"Collect more before you rely on it: {share}, less than {params.collect_below_reduction:.0%}.")


def _where(overall: SliceScores, slices: Sequence[SliceScores]) -> Iterator[Advice]:
    """The slice with the most errors beyond what its words would have at the rate of the whole."""
    if overall.tuned.wer is None:
        return
    extra = {part: _errors(part) - overall.tuned.wer * part.words for part in slices if part.utterances < overall.utterances}
    if extra:
        part = max(extra, key=lambda p: (extra[p], p.dimension, p.value))
        if extra[part] >= _FEWEST_ERRORS and part.tuned.wer is not None:
            yield Advice(
                "slice",
                f"More {recordings(part.dimension, part.value)} would help most: {_errors(part)} of {_errors(overall)} "
                f"errors are left there, WER {part.tuned.wer:.1%} beside {overall.tuned.wer:.1%} in all.",
            )


def _words(pairs: Sequence[Pair]) -> Iterator[Advice]:
    missed, said = Counter[str](), Counter[str]()
    for pair in pairs:
        said.update(set(words_of(pair.tuned.reference)))
        if pair.tuned.words.errors:
            missed.update(misheard_words(pair.tuned))
    ordered = sorted(missed.items(), key=lambda item: (-item[1], item[0]))
    usual = sum(missed.values()) / max(1, said.total())
    worst = [(word, count) for word, count in ordered if count >= _WORTH_NAMING and count / said[word] > usual]
    if worst:
        named = ", ".join(f"{word} ({count} of {said[word]})" for word, count in worst[:_NAMED_WORDS])
        yield Advice("words", f"{_WHICH_WORDS}: {named}.")


def _errors(part: SliceScores) -> int:
    return part.tuned.substitutions + part.tuned.deletions + part.tuned.insertions
