"""What a run prints at its end, for a person who has never read a metrics file: what was gained, how sure that is, what next.

The figures come from `metrics/*.json` through `run_facts`; nothing is measured here.
"""

import math
import textwrap

from attune.report.conclusions import advice, judgement
from attune.report.run_facts import TITLES, RunFacts, SliceFacts
from attune.report.wording import counted

_WIDTH = 100
_FEW_SPEAKERS = 10


def summary(facts: RunFacts) -> str:
    """The text to print: plain, at most 100 columns wide, ending in a newline."""
    sections = [
        "SUMMARY: the base model and the tuned one on speakers held out from training\n" + "-" * _WIDTH,
        *(_slice(title, facts.slices[name], facts) for name, title in TITLES.items() if name in facts.slices),
        *([judgement(facts.results)] if facts.results else []),
        _trust(facts),
        "\n".join(part for part in (_training(facts), _release(facts), _speed(facts)) if part),
        *([advice(facts.results)] if facts.results else []),
        _next(facts),
    ]
    return "\n\n".join(sections) + "\n"


def _slice(title: str, part: SliceFacts, facts: RunFacts) -> str:
    lines = [
        f"{title}: {counted(part.utterances, 'utterance')} of {counted(part.speakers, 'speaker')}",
        _scores("Base ", part.base_wer, part.base_cer, part.base_error_samples, part.utterances),
    ]
    if facts.trained and not math.isnan(part.improvement_points):
        lines += [
            _scores("Tuned", part.tuned_wer, part.tuned_cer, part.tuned_error_samples, part.utterances),
            f"  Improvement: {_improvement(part, facts.confidence)}",
            f"  {_verdict(part)}",
        ]
    return "\n".join(lines)


def _scores(model: str, wer: float, cer: float, error_samples: int, utterances: int) -> str:
    erred = f"Error Samples: {error_samples}/{utterances} ({error_samples / max(1, utterances):.2%})"
    return f"  {model}  WER: {_rate(wer)}  CER: {_rate(cer)}  {erred}"


def _improvement(part: SliceFacts, confidence: float) -> str:
    interval = f"{confidence:.0%} interval {part.improvement_low:.2f} to {part.improvement_high:.2f}"
    if math.isnan(part.improvement_low):
        interval = "no interval, as too little was tested"
    cer_points = (part.base_cer - part.tuned_cer) * 100
    of_cer = "" if math.isnan(cer_points) else f", {cer_points:.2f} of CER"
    return f"{part.improvement_points:.2f} percentage points of WER ({interval}){of_cer}"


def _verdict(part: SliceFacts) -> str:
    if part.improvement_low > 0:
        return "Better, beyond chance: the whole interval lies above zero."
    if part.improvement_high < 0:
        return "Worse, beyond chance: the whole interval lies below zero."
    if part.improvement_low == part.improvement_high == 0:
        return "No difference: both make the same number of errors in every recording."
    if math.isnan(part.improvement_low):
        return "Not certain: one recording tells nothing of others."
    return "Not certain: the interval includes zero, so this may be chance. More test recordings would tell."


def _trust(facts: RunFacts) -> str:
    overall = facts.slices["overall"]
    tested = f"{counted(overall.speakers, 'speaker')} and {counted(overall.utterances, 'utterance')} were tested"
    about = {
        "speakers": "The intervals tell what other speakers like these would give.",
        "utterances": "The intervals tell what other sentences of these speakers would give, not what other speakers would.",
    }[facts.unit]
    text = f"How far to trust this: {tested}, none of them heard in fine-tuning. {about}"
    if overall.speakers < _FEW_SPEAKERS:
        text += " So few speakers cannot tell how the model does on people in general: transcribe and hold out more of them."
    return _wrap(text)


def _training(facts: RunFacts) -> str:
    if not facts.trained:
        return _wrap(
            "Training: nothing to train, as no usable error was found in the training recordings; the base model is released "
            "as it is. More recordings, or ones that it finds harder, would give it something to learn."
        )
    share = f" ({facts.trainable_share:.2%} of the weights)" if facts.trainable_share is not None else ""
    text = f"Training: {facts.method or 'fine-tuning'}{share}"
    if facts.error_utterances is not None:
        text += f" on {counted(facts.error_utterances, 'misheard utterance')}"
    if facts.replayed_utterances:
        text += f" and {facts.replayed_utterances} well-heard, against forgetting"
    if facts.validation_wer_before is not None and facts.validation_wer_after is not None:
        text += f"; validation WER {_rate(facts.validation_wer_before)} before, {_rate(facts.validation_wer_after)} after"
    return _wrap(f"{text}.")


def _release(facts: RunFacts) -> str:
    size = f"{facts.size_mb:.1f} MB" if facts.size_mb is not None else None
    made_of = ", ".join(part for part in (facts.engine, facts.quantization, size) if part)
    deployed = f"Model to deploy: {facts.model_folder}{f' ({made_of})' if made_of else ''}."
    return _wrap(f"{deployed} {_parity(facts)}{_exported_so(facts)}")


def _speed(facts: RunFacts) -> str:
    if not facts.real_time_factors:
        return ""
    told = ", ".join(f"{name} {factor:.2g}" for name, factor in facts.real_time_factors.items())
    return _wrap(f"Real-time factor of the last evaluation here: {told} (seconds of work for a second of sound).")


def _parity(facts: RunFacts) -> str:
    increase, evaluated = facts.parity_wer_increase_points, "tuned" if facts.trained else "base"
    if increase is None:
        return f"Whether it says the same as the {evaluated} model was not measured."
    same = f"; {facts.identical_share:.1%} of its texts are identical" if facts.identical_share is not None else ""
    return f"Parity held: its WER is {increase:+.2f} percentage points from the {evaluated} model's{same}."


def _exported_so(facts: RunFacts) -> str:
    return f" Exported so, as: {facts.export_reason}." if facts.export_reason else ""


def _next(facts: RunFacts) -> str:
    return "\n".join(
        (
            "What to do next",
            f"  your own recordings    put them into {facts.raw_folder} in place of what is there, then: dvc repro",
            "  another setting        git commit, dvc exp run -S train.lora.rank=64, then: attune compare --all",
            "  what a change brought  dvc metrics diff",
        )
    )


def _rate(rate: float) -> str:
    return "none" if math.isnan(rate) else f"{rate:.4f} ({rate:.2%})"


def _wrap(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
