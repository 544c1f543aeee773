"""What every Whisper engine shares: the prompt a decoder starts from, and how its tokens become words and transcripts.

It knows tokens and texts; running a model is the engines' work (`whisper`, `ct2`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
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
    starts: tuple[float, ...] = ()
    """Seconds in the piece at which each text token begins and the last one ends; empty where nobody asked."""
    no_speech: float | None = None
    """How probable it is that nobody speaks in the piece."""


Hear = Callable[[NDArray[np.float32], list[int]], list[list[Heard]]]
"""Features of shape (pieces, mels, frames), and how many of each piece's frames are sound → its decodings, greedy first."""


def transcribe_in_windows(
    clips: Sequence[Samples], extractor: Any, batch_s: float, reader: "TokenReader", hear: Hear, nbest: int
) -> list[Transcript]:
    """Cuts clips to the extractor's window, hears the pieces in batches, and joins them to one transcript a clip."""
    pieces = [cut(clip, int(extractor.n_samples)) for clip in clips]
    flat = [piece for some in pieces for piece in some]
    heard: list[list[Heard]] = []
    together = max(1, int(batch_s // extractor.chunk_length))
    for first in range(0, len(flat), together):
        batch = flat[first : first + together]
        features = extractor(batch, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        frames = [max(1, min(features.shape[-1], piece.size // extractor.hop_length)) for piece in batch]
        heard += hear(np.ascontiguousarray(features, dtype=np.float32), frames)
    found = iter(heard)
    return [_joined([(next(found), piece.size / SAMPLE_RATE_HZ) for piece in some], reader, nbest) for some in pieces]


class Prompts:
    """The tokens that a decoder starts from: English-only models take no language and no task."""

    def __init__(self, tokenizer: Any, generation: dict[str, Any], language: str | None, name: str) -> None:
        self.start = int(generation.get("decoder_start_token_id") or tokenizer.convert_tokens_to_ids("<|startoftranscript|>"))
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
            return [[self.start, self._plain]] * count
        languages = detected if self.detects else [self._language or 0] * count
        return [[self.start, language, self._task, self._plain] for language in languages]


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

    def words(self, heard: Heard, begin_s: float) -> tuple[Word, ...]:
        """The words of the text, each with the geometric mean of its tokens' probabilities, and times if `heard` has them.

        `begin_s` is where the piece begins in the clip.
        """
        tokens = self._tokenizer.convert_ids_to_tokens(list(heard.tokens))
        groups: list[list[int]] = []
        for place, token in enumerate(tokens[: len(heard.log_probs)]):
            if not groups or (token.startswith(_WORD_START) and self._spoken([tokens[p] for p in groups[-1]])):
                groups.append([])
            groups[-1].append(place)
        spelt = [(self._spoken([tokens[p] for p in group]), group) for group in groups]
        return tuple(self._word(text, group, heard, begin_s) for text, group in spelt if text)

    def _word(self, text: str, places: list[int], heard: Heard, begin_s: float) -> Word:
        confidence = float(np.exp(np.mean([heard.log_probs[place] for place in places])))
        if not heard.starts:
            return Word(text, confidence)
        start_s, end_s = heard.starts[places[0]], heard.starts[places[-1] + 1]
        return Word(text, confidence, round(begin_s + start_s, 3), round(begin_s + end_s, 3))

    def _spoken(self, tokens: list[str]) -> str:
        return str(self._tokenizer.convert_tokens_to_string(tokens)).strip()


def frame_s_of(extractor: Any) -> float:
    """Seconds from one of the encoder's frames to the next: its convolutions take two of the extractor's."""
    return float(2 * extractor.hop_length / extractor.sampling_rate)


def no_speech_token(tokenizer: Any) -> int | None:
    """The id of the token by which the model says that nobody speaks; None for tokenizers without it."""
    known = tokenizer.get_vocab()
    return next((int(known[token]) for token in ("<|nospeech|>", "<|nocaptions|>") if token in known), None)


def new_tokens(positions: int, generation: dict[str, Any]) -> int:
    """How many tokens are decoded at most for one window: half the context, as in OpenAI's and CTranslate2's decoders."""
    return min(positions, int(generation.get("max_length") or positions)) // 2


def _joined(pieces: list[tuple[list[Heard], float]], reader: TokenReader, nbest: int) -> Transcript:
    """One transcript of the decodings of consecutive pieces, each with its length in seconds."""
    greedy = [decodings[0] for decodings, _ in pieces]
    begins_s = accumulate((length_s for _, length_s in pieces), initial=0.0)
    text = " ".join(filter(None, map(reader.text, greedy)))
    mean = sum(h.total for h in greedy) / max(1, sum(h.length for h in greedy))
    words = tuple(word for h, begin_s in zip(greedy, begins_s, strict=False) for word in reader.words(h, begin_s))
    silences = [h.no_speech for h in greedy if h.no_speech is not None]
    alternatives = {"": 0.0}
    for decodings, _ in pieces:
        alternatives = _likeliest(_continued(alternatives, decodings, reader), nbest)
    alternatives.setdefault(text, sum(h.total for h in greedy))
    ordered = _likeliest(alternatives, len(alternatives))
    kept = list(ordered)[:nbest] if text in list(ordered)[:nbest] else [*list(ordered)[: nbest - 1], text]
    return Transcript(
        text, float(np.exp(mean)), words, tuple(Alternative(t, ordered[t]) for t in kept), min(silences, default=None)
    )


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
