"""Gold is a text: a person's, else what a corrector proposes and the guards let pass."""

from collections.abc import Sequence
from pathlib import Path

from attune.corrections import read_corrections
from attune.correctors.gold import make_gold, metrics
from attune.dataset import read_utterances
from attune.operations.correction import Workshop, costs
from attune.params import Params
from attune.records import Hypothesis
from attune.tasks.protocol import Believed
from attune.workcache import WorkCache, default_cache_folder


def believe(prepared: Path, heard: Sequence[Hypothesis], params: Params) -> Believed:
    """See `correctors.gold.make_gold`."""
    utterances = read_utterances(prepared)
    corrections = read_corrections(params.llm_gold.corrections)
    workshop = Workshop(params, utterances, prepared, WorkCache(default_cache_folder()))
    corrector, judge = workshop.corrector(corrections), workshop.judge()
    report = make_gold(
        utterances,
        heard,
        corrector,
        judge,
        params.llm_gold.guards,
        corrections,
        workshop.gate(),
        test_agreement=params.llm_gold.test_agreement,
    )
    vain = f" {report.unanswered} had no usable answer; dvc repro -f -s llm_gold asks them again." if report.unanswered else ""
    void = f" {len(report.void_corrections)} corrections are of sound that is no more." if report.void_corrections else ""
    told = f"{report.believed} of {report.wanted} utterances for training have gold ({corrector.name})"
    return Believed(report.golds, report.review, metrics(report) | {"asking": costs(workshop)}, told, f"{vain}{void}")
