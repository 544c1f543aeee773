"""Opens the corrector that params name, and gives it ears: the recognisers and the correctors do not know one another."""

from collections.abc import Sequence
from pathlib import Path

from attune.checkpoint_files import files_digest, resolve_base
from attune.correctors.gold import needs_corrector
from attune.correctors.memory import RememberedCorrector
from attune.correctors.protocol import Corrector, Item
from attune.correctors.references import References
from attune.correctors.second_opinion import SecondOpinion, Witness, baseline_alternatives, own_texts
from attune.dataset import Sounds
from attune.devices import choose_device
from attune.errors import DataError, GoldError
from attune.operations.hearing import open_on_engine
from attune.params import Params
from attune.recognizers.ctc import CtcRecognizer
from attune.recognizers.registry import default_batch_s, open_recognizer
from attune.recognizers.transcription import transcribe_corpus
from attune.records import Alternative, Utterance
from attune.workcache import WorkCache, digest_of

_AT_ONCE = 128


def open_corrector(params: Params, utterances: Sequence[Utterance], prepared: Path, cache: WorkCache) -> Corrector:
    """The corrector of `params.llm_gold`, its answers kept in `cache`; no model is opened where people transcribed everything.

    Raises ModelError for a model that cannot be opened, GoldError for a corrector that cannot work, DataError for a
    glossary that cannot be read.
    """
    if params.llm_gold.corrector == "references" or not needs_corrector(utterances):
        return References()
    texts = own_texts(utterances, read_glossary(params.llm_gold.glossary))
    return RememberedCorrector(_second_opinion(params, texts, Sounds(prepared), cache), cache, _AT_ONCE)


def read_glossary(path: Path) -> list[str]:
    """The lines of a glossary but for comments. Raises DataError."""
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"llm_gold.glossary {path} cannot be read as UTF-8 text ({error}); correct the path in params.yaml, or make "
            "an empty file"
        ) from error


def _second_opinion(params: Params, texts: list[list[str]], sounds: Sounds, cache: WorkCache) -> SecondOpinion:
    settings = params.llm_gold.second_opinion
    ears = open_recognizer(settings.ctc_model, params.model)
    if not isinstance(ears, CtcRecognizer):
        raise GoldError(
            f"llm_gold.second_opinion.ctc_model {settings.ctc_model} is a {ears.family} model; name a CTC checkpoint "
            "(Wav2Vec2, Wav2Vec2-BERT, HuBERT or WavLM)"
        )
    witness, witness_digest = _witness(params, sounds, cache)
    return SecondOpinion(ears.emissions, sounds.__getitem__, witness, texts, settings, digest_of(ears.digest, witness_digest))


def _witness(params: Params, sounds: Sounds, cache: WorkCache) -> tuple[Witness, str]:
    """The baseline itself, or, where the base model is the very checkpoint that reads, another recogniser; and its digest."""
    settings = params.llm_gold.second_opinion
    reader = resolve_base(settings.ctc_model, None)
    if not _same_checkpoint(resolve_base(params.model.name, params.model.revision), reader):
        return baseline_alternatives, "baseline"
    if _same_checkpoint(resolve_base(settings.witness_model, None), reader):
        raise GoldError(
            f"model.name and llm_gold.second_opinion.witness_model are both its ctc_model, {settings.ctc_model}; a model that "
            "agrees with itself proves nothing: name another recogniser as witness_model"
        )
    other, nbest = open_on_engine(settings.witness_model, params.model), params.stt_baseline.nbest

    def alternatives(items: Sequence[Item]) -> list[tuple[Alternative, ...]]:
        utterances = [item.utterance for item in items]
        batch_s = params.model.batch_s or default_batch_s(choose_device(params.model.device), other.family)
        heard, _ = transcribe_corpus(other, utterances, sounds, cache, batch_s, nbest)
        return [hypothesis.alternatives for hypothesis in heard]

    return alternatives, digest_of(other.digest, nbest)


def _same_checkpoint(one: Path, other: Path) -> bool:
    return one.samefile(other) or files_digest(one) == files_digest(other)
