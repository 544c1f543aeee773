"""Base and tuned model over the same sounds in the same way: engine, precision and decoding are chosen once, for both."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attune.checkpoints import read_training_record
from attune.dataset import Samples
from attune.errors import RegressionError
from attune.glossaries import read_glossary
from attune.operations.choosing import Choice, Clips, Way
from attune.operations.hearing import choose_way, hear
from attune.operations.normalizers import normalizers
from attune.operations.out_of_domain import OtherRecordings, read_out_of_domain
from attune.operations.probes import probes
from attune.params import Params, SuiteParams
from attune.recognizers.transcription import SoundSource, TranscriptionReport
from attune.records import Gold, Hypothesis, Utterance
from attune.report.evaluation import Evaluation, Material, evaluate
from attune.report.results import Decoding, Results
from attune.report.suites import read_suites
from attune.text import normalize
from attune.workcache import WorkCache

_TIMED_CLIPS = 16
_NO_SPEECH = 0.05
"""Recordings in which less of the time is speech are silent."""


@dataclass(frozen=True)
class Listening:
    """What both models heard."""

    base: Mapping[str, Hypothesis]
    tuned: Mapping[str, Hypothesis]
    """Both by utterance id."""
    played: tuple[tuple[str, str, str], ...]
    """Of sounds without speech: silence or noise, what base wrote, what tuned wrote."""
    way: Way
    reports: Mapping[str, TranscriptionReport]
    """Of base and tuned: on the same few clips, none of them from the cache."""


def assess(
    finetuned: Path,
    utterances: Sequence[Utterance],
    golds: Mapping[str, Gold],
    sounds: SoundSource,
    suites: Path,
    glossary: Path,
    out_of_domain: Path,
    params: Params,
) -> tuple[Evaluation, Listening]:
    """Hears the test with both models and judges it, against what stands in the folder `suites` and the file `glossary`.

    The folder `out_of_domain` holds what must not be forgotten.
    """
    asked = read_suites(suites), normalizers(params.evaluate.normalizers, params.model)  # what may be wrong in them is told first
    terms = read_glossary(glossary)
    most = params.evaluate.validation.forgetting_utterances
    others = read_out_of_domain(out_of_domain, most, {u.id for u in utterances}) if most else OtherRecordings()
    heard = listen(finetuned, wanted(utterances, golds), sounds, others, params, WorkCache())
    decoding = Decoding(**decoding_facts(finetuned, heard, params))
    material = Material(utterances, golds, terms, *asked, decoding, others.utterances)
    played = (*heard.played, *silent_recordings(utterances, heard))
    return evaluate(material, heard.base, heard.tuned, played, params.evaluate), heard


def require_suites(results: Results, params: SuiteParams, results_file: Path) -> None:
    """Raises RegressionError where a critical suite failed, if `params` want that; all that was found is in `results_file`."""
    failed = [suite.name for suite in results.suites if suite.failed]
    if failed and params.fail_on_critical:
        raise RegressionError(f"critical suites failed: {', '.join(failed)}; see {results_file}; {results.verdict.sentence}")


def costs(heard: Listening) -> dict[str, Any]:
    """What hearing took, by model; for `metrics/timing/evaluate.json`."""
    return {name: {**asdict(r), "real_time_factor": r.real_time_factor} for name, r in heard.reports.items()}


def listen(
    finetuned: Path,
    utterances: Sequence[Utterance],
    sounds: SoundSource,
    others: OtherRecordings,
    params: Params,
    cache: WorkCache,
) -> Listening:
    """Both models over `utterances`, `others` and as many probes as params ask for. Raises ModelError or EnvironmentFault."""
    base = params.model.name
    choice = choose_way(base, params.model, Clips(utterances, sounds, 1, False), cache)
    made = list(probes(params.evaluate.hallucination_clips))
    silent: Mapping[str, Samples] = {u.id: samples for _, u, samples in made}
    heard, reports, written = [], [], []
    for name in (base, str(finetuned)):
        hypotheses, _ = hear(name, utterances, sounds, params, cache, choice=choice)
        beside = hear(name, others.utterances, others.sounds, params, cache, choice=choice)[0] if others.utterances else []
        invented, _ = hear(name, [u for _, u, _ in made], silent, params, cache, choice=choice)
        heard.append({hypothesis.id: hypothesis for hypothesis in [*hypotheses, *beside]})
        reports.append(_timed(name, utterances, sounds, params, choice))
        written.append([hypothesis.text for hypothesis in invented])
    played = tuple((sound, one, other) for (sound, _, _), one, other in zip(made, *written, strict=True))
    return Listening(heard[0], heard[1], played, choice.way, dict(zip(("base", "tuned"), reports, strict=True)))


def wanted(utterances: Sequence[Utterance], golds: Mapping[str, Gold]) -> list[Utterance]:
    """The test utterances that tell something: those with a reference, with gold, or without speech."""
    with_gold = {name for name, gold in golds.items() if gold.text is not None}
    return [u for u in utterances if u.split == "test" and (u.reference is not None or u.id in with_gold or _is_silent(u))]


def silent_recordings(utterances: Sequence[Utterance], heard: Listening) -> list[tuple[str, str, str]]:
    """What both models wrote of test recordings in which nobody speaks, as `Listening.played` has it."""
    silent = [u.id for u in utterances if u.split == "test" and u.id in heard.base and _is_silent(u)]
    return [("recordings", heard.base[name].text, heard.tuned[name].text) for name in silent]


def decoding_facts(finetuned: Path, heard: Listening, params: Params) -> dict[str, Any]:
    """How both models were heard, for `report.results.Decoding`."""
    record, model = read_training_record(finetuned), params.model
    return {
        "base": model.name,
        "tuned": finetuned.as_posix(),
        "trained": record.method != "none",
        "method": record.method,
        "engine": heard.way.engine,
        "compute_type": heard.way.compute_type,
        "language": model.language,
        "task": model.task,
        "long_audio": model.long_audio,
        "temperatures": model.safeguards.temperatures,
    }


def _timed(
    name: str, utterances: Sequence[Utterance], sounds: SoundSource, params: Params, choice: Choice
) -> TranscriptionReport:
    """What hearing some clips anew takes: the speed, whatever the cache holds."""
    some = utterances[:_TIMED_CLIPS]
    with tempfile.TemporaryDirectory() as folder:
        # the first time also warms up what the other model then finds warm
        times = [hear(name, some, sounds, params, WorkCache(Path(folder) / part), choice=choice)[1] for part in ("cold", "warm")]
        return times[-1]


def _is_silent(utterance: Utterance) -> bool:
    """Whether nobody speaks in it, and nobody wrote what is said, as far as was measured."""
    unspoken = utterance.speech_share is not None and utterance.speech_share < _NO_SPEECH
    return unspoken and not normalize(utterance.reference or "")
