"""Corrects without a language model of the large kind: two recognisers, somebody's own words, and only what both say.

The first method reads a CTC model's sounds with a lexicon and trigrams of the user's own texts. The second is the
n-best list of another recogniser. They share no ears; what they agree on is believed.

Agreement is exact: the reading must be one of the alternatives, at any rank. Measured on demo speech with 66% WER (576
clips): so accepted texts had 1.5% WER where the baseline had 10%; taking instead the alternative that the CTC model
finds at least as likely as its reading accepted 10% more, with 3.1%. Ordering the alternatives by trigrams, without the
sounds, brought more errors than it took (2.5% and fewer accepted). Right or nothing is what training needs.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from attune.ahead import ahead
from attune.correctors.blind_check import blind_sample
from attune.correctors.protocol import Item, Proposal
from attune.ctc_decoding import CtcEmissions
from attune.dataset import Samples
from attune.errors import GoldError
from attune.lexicon_decoding import Lexicon, lexicon_beam_search, spell
from attune.ngram import TrigramModel
from attune.params import SecondOpinionParams
from attune.records import Alternative, GoldSource, Utterance
from attune.text import words
from attune.workcache import digest_of

_AT_ONCE = 128
Emissions = Callable[[Sequence[Samples]], list[CtcEmissions]]
Witness = Callable[[Sequence[Item]], list[tuple[Alternative, ...]]]


def own_texts(utterances: Sequence[Utterance], glossary: Iterable[str]) -> list[list[str]]:
    """The normalised texts that the second opinion may know: references of the train split but for the blind sample, and
    the glossary's lines. Never a text of the test or validation split.

    Raises GoldError where there is none: without words of the user's there is no second opinion.
    """
    blind = {utterance.id for utterance in blind_sample(utterances)}
    read = [u.reference for u in utterances if u.split == "train" and u.reference and u.id not in blind]
    texts = sorted(text for line in (*read, *glossary) if (text := words(line)))
    if not texts:
        raise GoldError(
            "llm_gold.corrector second_opinion needs your own words, and found none: transcribe some recordings of the train "
            "split, or name a file with your terms and phrases as llm_gold.glossary in params.yaml"
        )
    return texts


def baseline_alternatives(items: Sequence[Item]) -> list[tuple[Alternative, ...]]:
    """The witness when the baseline is another recogniser than the CTC model: the baseline's own n-best lists."""
    return [item.hypothesis.alternatives or (Alternative(item.hypothesis.text, 0.0),) for item in items]


class SecondOpinion:
    """A CTC model's reading with the user's words, believed where the witness has it among its alternatives."""

    name = "second_opinion"
    source: GoldSource = "second_opinion"

    def __init__(
        self,
        emissions: Emissions,
        sound: Callable[[str], Samples],
        witness: Witness,
        texts: Sequence[Sequence[str]],
        params: SecondOpinionParams,
        ears: str,
        model: str,
    ) -> None:
        """`sound` gives an utterance's samples by its id; `ears` is the digest of both recognisers, `model` names the reader."""
        self.model: str | None = model
        self._emissions, self._sound, self._witness, self._params = emissions, sound, witness, params
        self._model = TrigramModel(texts)
        self._lexicon: Lexicon | None = None
        self.digest = _digest(ears, texts, params)

    def question(self, item: Item) -> str:
        """The sound, and what the baseline heard in it."""
        return digest_of(item.utterance.audio_digest, item.hypothesis.text, item.hypothesis.alternatives)

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """The reading of each item where the witness agrees; otherwise no belief, and the reading as doubted."""
        portions = (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))
        heard = ((some, self._emissions([self._sound(each.utterance.id) for each in some])) for some in portions)
        for portion, emissions in ahead(heard, 1):
            for item, heard_in_it, alternatives in zip(portion, emissions, self._witness(portion), strict=True):
                yield agree(item, self._read(heard_in_it), alternatives)

    def _read(self, emissions: CtcEmissions) -> str | None:
        if self._lexicon is None:
            self._lexicon = spell(self._model, emissions.labels)
        p = self._params
        best = lexicon_beam_search(emissions, self._lexicon, p.beam_width, p.lm_weight, p.word_bonus)
        return best.text if best else None


def agree(item: Item, reading: str | None, alternatives: Sequence[Alternative]) -> Proposal:
    """Believes `reading` where it is one of the alternatives, in that alternative's own writing (case, punctuation); where
    the baseline says the same words, in the baseline's."""
    if not reading:
        return Proposal(item.utterance.id, None, "unreadable" if reading is None else "nothing_heard")
    said = words(reading)
    witnessed = [alternative.text for alternative in alternatives if words(alternative.text) == said]
    if not witnessed:
        return Proposal(item.utterance.id, None, "methods_disagree", doubted=reading)
    heard = item.hypothesis.text
    return Proposal(item.utterance.id, heard if words(heard) == said else witnessed[0], "methods_agree")


def _digest(ears: str, texts: Sequence[Sequence[str]], params: SecondOpinionParams) -> str:
    settings = (params.beam_width, params.lm_weight, params.word_bonus)
    return hashlib.sha256(repr(("second_opinion-1", ears, [list(t) for t in texts], settings)).encode()).hexdigest()
