"""Every task answers every stage; the type checker holds modules to the protocol, as far as it is told their names."""

from types import ModuleType

import pytest

from attune.tasks.protocol import (
    Believes,
    Chooses,
    Compares,
    Hears,
    Judges,
    Learns,
    Prepares,
    Registers,
    Releases,
    Reports,
    Summarizes,
)
from attune.tasks.registry import answering
from attune.tasks.speech_detection.compare import answer as detection_comparison
from attune.tasks.speech_detection.convert_ct2 import answer as detection_release
from attune.tasks.speech_detection.evaluate import answer as detection_judgement
from attune.tasks.speech_detection.llm_gold import answer as detection_gold
from attune.tasks.speech_detection.registration import answer as detection_registration
from attune.tasks.speech_detection.report import answer as detection_report
from attune.tasks.speech_detection.select_errors import answer as detection_choice
from attune.tasks.speech_detection.split_clean_noisy import answer as detection_corpus
from attune.tasks.speech_detection.stt_baseline import answer as detection_baseline
from attune.tasks.speech_detection.summary import answer as detection_summary
from attune.tasks.speech_detection.train import answer as detection_training
from attune.tasks.transcription.compare import answer as comparison
from attune.tasks.transcription.convert_ct2 import answer as release
from attune.tasks.transcription.evaluate import answer as judgement
from attune.tasks.transcription.llm_gold import answer as gold
from attune.tasks.transcription.registration import answer as registration
from attune.tasks.transcription.report import answer as report
from attune.tasks.transcription.select_errors import answer as choice
from attune.tasks.transcription.split_clean_noisy import answer as corpus
from attune.tasks.transcription.stt_baseline import answer as baseline
from attune.tasks.transcription.summary import answer as summary
from attune.tasks.transcription.train import answer as training

PREPARES: list[Prepares] = [corpus, detection_corpus]
HEARS: list[Hears] = [baseline, detection_baseline]
BELIEVES: list[Believes] = [gold, detection_gold]
CHOOSES: list[Chooses] = [choice, detection_choice]
LEARNS: list[Learns] = [training, detection_training]
JUDGES: list[Judges] = [judgement, detection_judgement]
RELEASES: list[Releases] = [release, detection_release]
SUMMARIZES: list[Summarizes] = [summary, detection_summary]
REGISTERS: list[Registers] = [registration, detection_registration]
COMPARES: list[Compares] = [comparison, detection_comparison]
REPORTS: list[Reports] = [report, detection_report]


@pytest.mark.parametrize(
    ("stage", "modules"),
    [
        ("split_clean_noisy", PREPARES),
        ("stt_baseline", HEARS),
        ("llm_gold", BELIEVES),
        ("select_errors", CHOOSES),
        ("train", LEARNS),
        ("evaluate", JUDGES),
        ("convert_ct2", RELEASES),
        ("summary", SUMMARIZES),
        ("registration", REGISTERS),
        ("compare", COMPARES),
        ("report", REPORTS),
    ],
)
def test_each_task_answers_each_stage(stage: str, modules: list[ModuleType]) -> None:
    assert [answering("transcription", stage), answering("speech_detection", stage)] == modules  # type: ignore[call-overload]
