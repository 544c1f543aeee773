"""Opens what the gold stage needs: correctors, gate and judge. Recognisers and correctors meet here and nowhere else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from attune.checkpoint_files import files_digest, resolve_base
from attune.checkpoints import load_checkpoint
from attune.corrections import Correction
from attune.correctors.agreement import Agreement
from attune.correctors.chat import Chat, Ledger
from attune.correctors.gold import Gate, needs_corrector
from attune.correctors.judging import AcousticCheck, Judge
from attune.correctors.language_model import LanguageModelCorrector
from attune.correctors.memory import RememberedCorrector
from attune.correctors.prompting import Prompt
from attune.correctors.protocol import Corrector, Item
from attune.correctors.references import References
from attune.correctors.second_opinion import SecondOpinion, Witness, baseline_alternatives, own_texts
from attune.dataset import Sounds
from attune.devices import choose_device
from attune.errors import DataError, GoldError
from attune.operations.hearing import open_on_engine
from attune.params import CorrectorName, GoldParams, Params
from attune.progress import track
from attune.recognizers.acoustics import open_acoustics
from attune.recognizers.ctc import CtcRecognizer
from attune.recognizers.protocol import Recognizer
from attune.recognizers.registry import default_batch_s, is_exported, open_recognizer
from attune.recognizers.transcription import transcribe_corpus
from attune.records import Alternative, Hypothesis, Utterance
from attune.text import words
from attune.transcripts import policy_of
from attune.workcache import WorkCache, digest_of

_ITSELF_AGAIN = 1000
"""The draw that a corrector which must agree with itself is asked for the second time."""
_LISTENED_AT_ONCE = 8


class Workshop:
    """Makes correctors for one corpus, and remembers what language models were asked."""

    def __init__(self, params: Params, utterances: Sequence[Utterance], prepared: Path, cache: WorkCache) -> None:
        self._params, self._utterances, self._cache = params, utterances, cache
        self._sounds = Sounds(prepared)
        self.glossary = read_glossary(params.llm_gold.glossary)
        self.language_models: list[LanguageModelCorrector] = []
        self.remembered: list[RememberedCorrector] = []

    def corrector(self, corrections: Mapping[str, Correction]) -> Corrector:
        """The corrector of `params.llm_gold`; no model is opened where people transcribed everything.

        Raises ModelError for a model that cannot be opened, GoldError for a corrector that cannot work, DataError for a
        file that cannot be read.
        """
        gold = self._params.llm_gold
        if gold.corrector == "references" or not needs_corrector(self._utterances, corrections):
            return References()
        first = self._remembering(self._open(gold.corrector, 0))
        if gold.agree_with is None:
            return first
        again = gold.agree_with == "itself"
        name = gold.corrector if gold.agree_with == "itself" else gold.agree_with
        return Agreement(first, self._remembering(self._open(name, _ITSELF_AGAIN if again else 0)))

    def gate(self) -> Gate | None:
        """Settles what the baseline is sure of and another recogniser hears alike; None where params leave it off."""
        settings = self._params.llm_gold.gate
        if settings.witness_model is None:
            return None
        if _same_checkpoint(resolve_base(settings.witness_model, None), self._base()):
            raise GoldError(
                f"llm_gold.gate.witness_model {settings.witness_model} is the base model itself, which always agrees; "
                "name another"
            )
        witness = open_on_engine(settings.witness_model, self._params.model)

        def settled(items: Sequence[Item]) -> set[str]:
            sure = [item for item in items if _probability(item.hypothesis) >= settings.min_probability]
            heard = self._transcribed(witness, sure, 1)
            return {i.utterance.id for i, h in zip(sure, heard, strict=True) if words(i.hypothesis.text) == words(h.text)}

        return settled

    def judge(self) -> Judge:
        """The judge, with the base model's own ears where params ask for the acoustic check; they are opened when needed."""
        gold, policy = self._params.llm_gold, policy_of(self._params.split_clean_noisy.transcripts)
        listen = None if gold.guards.max_acoustic_loss is None else self._listener()
        language = policy.language or self._params.model.language
        return Judge(gold.guards, policy, self.glossary, language if language and len(language) == 2 else None, listen)

    def _listener(self) -> AcousticCheck:
        model = self._params.model
        if is_exported(model.name):
            raise GoldError(
                f"model.name {model.name} is a converted model, which cannot tell how likely a text is; set "
                "llm_gold.guards.max_acoustic_loss to null, or name the model that it was made from"
            )

        def likely(asked: Sequence[tuple[Item, tuple[str, ...]]]) -> list[list[float | None]]:
            acoustics = open_acoustics(load_checkpoint(model.name, model.revision, model.language), model)
            keys = [digest_of(acoustics.digest, item.utterance.audio_digest, *texts) for item, texts in asked]
            known = {key: self._cache.get_or_none(key) for key in keys}
            missing = [place for place, key in enumerate(keys) if not isinstance(known[key], list)]
            portions = [missing[at : at + _LISTENED_AT_ONCE] for at in range(0, len(missing), _LISTENED_AT_ONCE)]
            for portion in track(portions, "listening again") if portions else ():
                clips = [self._sounds[asked[place][0].utterance.id] for place in portion]
                found = acoustics.log_probs(clips, [asked[place][1] for place in portion])
                new = {keys[place]: scores for place, scores in zip(portion, found, strict=True)}
                self._cache.put(new)
                known |= new
            return [known[key] for key in keys]

        return likely

    def _remembering(self, corrector: Corrector) -> Corrector:
        self.remembered.append(RememberedCorrector(corrector, self._cache))
        return self.remembered[-1]

    def _open(self, name: CorrectorName, chance: int) -> Corrector:
        if name == "second_opinion":
            return self._second_opinion()
        prompt = read_prompt(self._params.llm_gold, self._params.model.language, self.glossary)
        chat = open_chat(name, self._params.llm_gold, choose_device(self._params.model.device))
        self.language_models.append(LanguageModelCorrector(name, chat, prompt, chance))
        return self.language_models[-1]

    def _second_opinion(self) -> SecondOpinion:
        settings = self._params.llm_gold.second_opinion
        texts = own_texts(self._utterances, self.glossary)
        ears = open_recognizer(settings.ctc_model, self._params.model)
        if not isinstance(ears, CtcRecognizer):
            raise GoldError(
                f"llm_gold.second_opinion.ctc_model {settings.ctc_model} is a {ears.family} model; name a CTC checkpoint "
                "(Wav2Vec2, Wav2Vec2-BERT, HuBERT or WavLM)"
            )
        witness, witness_digest = self._witness()
        digest = digest_of(ears.digest, witness_digest)
        sound = self._sounds.__getitem__
        return SecondOpinion(ears.emissions, sound, witness, texts, settings, digest, settings.ctc_model)

    def _witness(self) -> tuple[Witness, str]:
        """The baseline itself, or, where the base model is the very checkpoint that reads, another recogniser; and its digest."""
        settings = self._params.llm_gold.second_opinion
        reader = resolve_base(settings.ctc_model, None)
        if not _same_checkpoint(self._base(), reader):
            return baseline_alternatives, "baseline"
        if _same_checkpoint(resolve_base(settings.witness_model, None), reader):
            raise GoldError(
                f"model.name and llm_gold.second_opinion.witness_model are both its ctc_model, {settings.ctc_model}; a model "
                "that agrees with itself proves nothing: name another recogniser as witness_model"
            )
        other, nbest = open_on_engine(settings.witness_model, self._params.model), self._params.stt_baseline.nbest

        def alternatives(items: Sequence[Item]) -> list[tuple[Alternative, ...]]:
            return [hypothesis.alternatives for hypothesis in self._transcribed(other, items, nbest)]

        return alternatives, digest_of(other.digest, nbest)

    def _transcribed(self, recognizer: Recognizer, items: Sequence[Item], nbest: int) -> list[Hypothesis]:
        model = self._params.model
        batch_s = model.batch_s or default_batch_s(choose_device(model.device), recognizer.family)
        utterances = [item.utterance for item in items]
        heard, _ = transcribe_corpus(recognizer, utterances, self._sounds, self._cache, batch_s, nbest)
        return heard

    def _base(self) -> Path:
        return resolve_base(self._params.model.name, self._params.model.revision)


def open_chat(name: CorrectorName, gold: GoldParams, device: str) -> Chat:
    """The language model behind the corrector called `name`. Raises AttuneError, in one line, where it cannot be used."""
    if name == "transformers":
        from attune.correctors.transformers_chat import TransformersChat

        return TransformersChat(gold.transformers, device)
    if name == "ollama":
        from attune.correctors.ollama_chat import OllamaChat

        return OllamaChat(gold.ollama)
    if name == "openai":
        from attune.correctors.openai_chat import OpenAIChat

        return OpenAIChat(gold.openai)
    raise GoldError(f"llm_gold.corrector is {name}, which asks no language model; set it to transformers, ollama or openai")


def read_prompt(gold: GoldParams, language: str | None, glossary: Sequence[str]) -> Prompt:
    """The prompt that params name. Raises DataError where its file cannot be read, or is empty."""
    try:
        instructions = gold.prompt.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"llm_gold.prompt {gold.prompt} cannot be read as UTF-8 text ({error}); correct the path") from error
    if not instructions:
        raise DataError(f"llm_gold.prompt {gold.prompt} is empty; take the one that ships with Attune and edit it")
    return Prompt(instructions, language, gold.domain, tuple(glossary), gold.doubtful_below)


def read_glossary(path: Path) -> list[str]:
    """The lines of a glossary but for comments and empty ones. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"llm_gold.glossary {path} cannot be read as UTF-8 text ({error}); correct the path in params.yaml, or make "
            "an empty file"
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def costs(workshop: Workshop) -> dict[str, float | int | None]:
    """What was asked of language models this time, and what it took: calls, tokens, seconds. All of it is zero or None for
    correctors that ask none.
    """
    ledgers: list[Ledger] = [model.ledger for model in workshop.language_models]
    seconds = sorted(second for ledger in ledgers for second in ledger.seconds)
    return {
        "calls": sum(ledger.calls for ledger in ledgers),
        "answers_from_cache": sum(corrector.remembered for corrector in workshop.remembered if corrector.source == "llm"),
        "tokens_in": sum(ledger.tokens_in for ledger in ledgers),
        "tokens_out": sum(ledger.tokens_out for ledger in ledgers),
        "latency_p50_s": percentile(seconds, 0.50),
        "latency_p95_s": percentile(seconds, 0.95),
    }


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value of a sorted sequence below which `share` of it lies, by nearest rank; None where it is empty."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None


def _probability(heard: Hypothesis) -> float:
    """That the text is right, where that was learnt; else how sure the model is."""
    return heard.confidence if heard.probability is None else heard.probability


def _same_checkpoint(one: Path, other: Path) -> bool:
    return one.samefile(other) or files_digest(one) == files_digest(other)
