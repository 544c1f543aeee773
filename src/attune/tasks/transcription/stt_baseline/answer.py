"""A hypothesis is a text, with n-best and confidence; it is scored by word and character errors."""

from dataclasses import asdict
from pathlib import Path

from attune.dataset import Sounds, read_utterances
from attune.operations.baseline import COLUMNS, calibrated, metrics, sentence, slices
from attune.operations.hearing import hear as hear_corpus
from attune.params import Params
from attune.tasks.protocol import Heard
from attune.workcache import WorkCache


def hear(prepared: Path, params: Params) -> Heard:
    """The base model's texts, their confidence calibrated."""
    utterances, wanted = read_utterances(prepared), params.stt_baseline
    heard, report = hear_corpus(
        params.model.name,
        utterances,
        Sounds(prepared),
        params,
        WorkCache(),
        nbest=wanted.nbest,
        word_times=wanted.word_times,
    )
    heard, doubt = calibrated(utterances, heard, wanted.calibration)
    scores = slices(utterances, heard)
    figures = metrics(scores) | doubt.figures
    return Heard(
        hypotheses=heard,
        columns=COLUMNS,
        scores=scores,
        reliability=doubt.rows,
        figures=figures,
        timing={**asdict(report), "real_time_factor": report.real_time_factor},
        sentence=sentence(figures),
        note=f"{report.way} is fastest here. {report.why}" if report.why else "",
    )
