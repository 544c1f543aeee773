"""What every Whisper engine shares: the prompt a decoder starts from, and how its tokens become words and transcripts.

It knows tokens and texts; running a model is the engines' work (`whisper`, `ct2`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import ModelError
from attune.recognizers.protocol import Transcript
from attune.recognizers.windows import cut
from attune.records import Alternative, Word

_WORD_START = "Ġ"
"""How byte-level BPE writes a space."""


@dataclass(frozen=True)
class Heard:
    """One decoding of one piece: its text tokens, and how likely all its tokens are, the end included."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    """One for each text token; empty where the engine does not tell."""
    total: float
    """Log-probability of the whole sequence."""
    length: int
    """Tokens that `total` is over."""


Hear = Callable[[NDArray[np.float32]], list[list[Heard]]]
"""Features of shape (pieces, mels, frames) → the decodings of each piece, the greedy one first."""


def transcribe_in_windows(
    clips: Sequence[Samples], extractor: Any, batch_size: int, reader: "TokenReader", hear: Hear, nbest: int
) -> list[Transcript]:
    """Cuts clips to the extractor's window, hears the pieces in batches, and joins them to one transcript a clip."""
    pieces = [cut(clip, int(extractor.n_samples)) for clip in clips]
    flat = [piece for some in pieces for piece in some]
    heard: list[list[Heard]] = []
    for first in range(0, len(flat), batch_size):
        batch = flat[first : first + batch_size]
        features = extractor(batch, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        heard += hear(np.ascontiguousarray(features, dtype=np.float32))
    found = iter(heard)
    return [_joined([next(found) for _ in some], reader, nbest) for some in pieces]


class Prompts:
    """The tokens that a decoder starts from: English-only models take no language and no task."""

    def __init__(self, tokenizer: Any, generation: dict[str, Any], language: str | None, name: str) -> None:
        self._start = int(generation.get("decoder_start_token_id") or tokenizer.convert_tokens_to_ids("<|startoftranscript|>"))
        self._plain = int(generation.get("no_timestamps_token_id") or tokenizer.convert_tokens_to_ids("<|notimestamps|>"))
        self.end = int(tokenizer.eos_token_id)
        self._multilingual = bool(generation.get("is_multilingual"))
        self._task = tokenizer.convert_tokens_to_ids("<|transcribe|>")
        self._language = _language_token(generation, self._multilingual, language, name)

    @property
    def detects(self) -> bool:
        """Whether the language has to be heard from the sound."""
        return self._multilingual and self._language is None

    def like(self, detected: Sequence[int], count: int) -> list[list[int]]:
        """One prompt for each of `count` pieces; `detected` are their language tokens where `detects`."""
        if not self._multilingual:
            return [[self._start, self._plain]] * count
        languages = detected if self.detects else [self._language or 0] * count
        return [[self._start, language, self._task, self._plain] for language in languages]


class TokenReader:
    """Turns tokens into texts and words."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        marks = {i for token, i in tokenizer.get_added_vocab().items() if token.startswith("<|") and token.endswith("|>")}
        self._special = marks | set(tokenizer.all_special_ids)

    def heard(self, ids: Sequence[int], log_probs: Sequence[float], total: float, length: int) -> Heard:
        """A decoding out of generated tokens, special ones among them, and their log-probabilities as far as known."""
        spoken = [place for place, token in enumerate(ids) if token not in self._special]
        known = tuple(log_probs[place] for place in spoken) if log_probs else ()
        return Heard(tuple(ids[place] for place in spoken), known, total, length)

    def text(self, heard: Heard) -> str:
        """Stripped text with single spaces."""
        return " ".join(str(self._tokenizer.decode(list(heard.tokens))).split())

    def words(self, heard: Heard) -> tuple[Word, ...]:
        """The words of the text, each with the geometric mean of its tokens' probabilities."""
        tokens = self._tokenizer.convert_ids_to_tokens(list(heard.tokens))
        groups: list[tuple[list[str], list[float]]] = []
        for token, log_prob in zip(tokens, heard.log_probs, strict=False):
            if not groups or (token.startswith(_WORD_START) and self._spoken(groups[-1][0])):
                groups.append(([], []))
            groups[-1][0].append(token)
            groups[-1][1].append(log_prob)
        return tuple(Word(self._spoken(g), float(np.exp(np.mean(p)))) for g, p in groups if self._spoken(g))

    def _spoken(self, tokens: list[str]) -> str:
        return str(self._tokenizer.convert_tokens_to_string(tokens)).strip()


def new_tokens(positions: int, generation: dict[str, Any]) -> int:
    """How many tokens are decoded at most for one window: half the context, as in OpenAI's and CTranslate2's decoders."""
    return min(positions, int(generation.get("max_length") or positions)) // 2


def _joined(pieces: list[list[Heard]], reader: TokenReader, nbest: int) -> Transcript:
    greedy = [decodings[0] for decodings in pieces]
    text = " ".join(filter(None, map(reader.text, greedy)))
    mean = sum(h.total for h in greedy) / max(1, sum(h.length for h in greedy))
    words = tuple(word for h in greedy for word in reader.words(h))
    alternatives = {"": 0.0}
    for decodings in pieces:
        alternatives = _likeliest(_continued(alternatives, decodings, reader), nbest)
    alternatives.setdefault(text, sum(h.total for h in greedy))
    ordered = _likeliest(alternatives, len(alternatives))
    kept = list(ordered)[:nbest] if text in list(ordered)[:nbest] else [*list(ordered)[: nbest - 1], text]
    return Transcript(text, float(np.exp(mean)), words, tuple(Alternative(t, ordered[t]) for t in kept))


def _continued(texts: dict[str, float], decodings: list[Heard], reader: TokenReader) -> dict[str, float]:
    """Every text so far with every decoding of the next piece; of equal texts the likeliest."""
    grown: dict[str, float] = {}
    for text, score in texts.items():
        for heard in decodings:
            longer = f"{text} {reader.text(heard)}".strip()
            grown[longer] = max(score + heard.total, grown.get(longer, -np.inf))
    return grown


def _likeliest(texts: dict[str, float], count: int) -> dict[str, float]:
    return dict(sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:count])


def _language_token(generation: dict[str, Any], multilingual: bool, language: str | None, name: str) -> int | None:
    if not language:
        return None
    if not multilingual:
        if language == "en":
            return None
        raise ModelError(f"{name} hears English only, and model.language is {language!r}; set it to null or choose another model")
    known: dict[str, int] = generation.get("lang_to_id") or {}
    if f"<|{language}|>" not in known:
        codes = ", ".join(sorted(token.strip("<|>") for token in known))
        raise ModelError(f"{name} does not know model.language {language!r}; it knows: {codes}")
    return int(known[f"<|{language}|>"])
