"""How the tokens of Whisper-class models become words and transcripts, and what their decoders start from.

It knows tokens and texts; running a model is the engines' work (`whisper`, `ct2`), what to ask them `whisper_decoding`'s.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from attune.errors import ModelError
from attune.params import Task
from attune.recognizers.protocol import Transcript
from attune.records import Alternative, Word
from attune.text import is_spaceless

_WORD_START = "Ġ"
"""How byte-level BPE writes a space."""
_TIMESTAMP_STEP_S = 0.02


@dataclass(frozen=True)
class Heard:
    """One decoding of one window: its text tokens, and how likely all its tokens are, the end included, timestamps not."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    """One for each text token; empty where the engine does not tell."""
    total: float
    """Log-probability of the whole sequence."""
    length: int
    """Tokens that `total` is over."""
    marks: tuple[tuple[int, float], ...] = ()
    """Its timestamps: after how many text tokens each stands, and which second of the window it names."""
    starts: tuple[float, ...] = ()
    """Seconds in the window at which each text token begins and the last one ends; empty where nobody asked."""
    no_speech: float | None = None
    """How probable it is that nobody speaks in the window."""
    temperature: float = 0.0
    """0 for greedy decoding, above that for sampling."""
    length_s: float = 0.0
    """How much of the window's sound it covers."""

    @property
    def mean_log_prob(self) -> float:
        """Of a token."""
        return self.total / max(1, self.length)


class Prompts:
    """The tokens that a decoder starts from: English-only models take no language and no task."""

    def __init__(self, tokenizer: Any, generation: dict[str, Any], language: str | None, task: Task, name: str) -> None:
        """Raises ModelError for a language or a task that the model does not know."""
        self.start = int(generation.get("decoder_start_token_id") or tokenizer.convert_tokens_to_ids("<|startoftranscript|>"))
        self.plain = int(generation.get("no_timestamps_token_id") or tokenizer.convert_tokens_to_ids("<|notimestamps|>"))
        self.end = int(tokenizer.eos_token_id)
        self._multilingual = bool(generation.get("is_multilingual"))
        if task == "translate" and not self._multilingual:
            raise ModelError(f"{name} hears English only, and model.task is 'translate'; set it to transcribe")
        self._task = tokenizer.convert_tokens_to_ids(f"<|{task}|>")
        self._language = _language_token(generation, self._multilingual, language, name)
        self.detected: str | None = None
        self._codes = {int(token): code.strip("<|>") for code, token in (generation.get("lang_to_id") or {}).items()}

    def in_language(self, token: int) -> "Prompts":
        """Those for a language that was detected elsewhere."""
        fixed = copy.copy(self)
        fixed._language, fixed.detected = token, self.language_of(token)
        return fixed

    @property
    def detects(self) -> bool:
        """Whether the language has to be heard from the sound."""
        return self._multilingual and self._language is None

    def language_of(self, token: int) -> str | None:
        """The code of a language token: en, es, ..."""
        return self._codes.get(token)

    def like(self, spoken: Sequence[int | None], *, timed: bool = False) -> list[list[int]]:
        """A prompt for each of `spoken`, the language tokens of the windows where `detects`; `timed` asks for timestamps."""
        end = [] if timed else [self.plain]
        if not self._multilingual:
            return [[self.start, *end]] * len(spoken)
        return [[self.start, self._language or token or 0, self._task, *end] for token in spoken]


class TokenReader:
    """Turns tokens into texts and words."""

    def __init__(self, tokenizer: Any, no_timestamps: int) -> None:
        """Timestamps are the tokens after `no_timestamps`, as in all Whisper vocabularies; some tokenizers do not list them."""
        self._tokenizer = tokenizer
        added = tokenizer.get_added_vocab()
        marks = {i for token, i in added.items() if token.startswith("<|") and token.endswith("|>")}
        self._special = marks | set(tokenizer.all_special_ids)
        self._first_mark, self._added = no_timestamps + 1, set(added.values()) - self._special

    def heard(
        self, ids: Sequence[int], log_probs: Sequence[float], total: float | None = None, no_speech: float | None = None
    ) -> Heard:
        """A decoding out of generated tokens and their log-probabilities, special tokens and the end among them.

        Where the engine gives no log-probabilities, `total` is their sum.
        """
        counted = [place for place, token in enumerate(ids) if not self._is_mark(token)]
        spoken = [place for place in counted if ids[place] not in self._special]
        marks = [
            (sum(before < place for before in spoken), round((token - self._first_mark) * _TIMESTAMP_STEP_S, 2))
            for place, token in enumerate(ids)
            if self._is_mark(token)
        ]
        known = tuple(log_probs[place] for place in spoken) if log_probs else ()
        whole = sum(log_probs[place] for place in counted) if total is None else total
        return Heard(tuple(ids[place] for place in spoken), known, whole, len(counted), tuple(marks), no_speech=no_speech)

    def _is_mark(self, token: int) -> bool:
        return token >= self._first_mark and token not in self._added

    def text(self, heard: Heard) -> str:
        """Stripped text with single spaces."""
        return " ".join(str(self._tokenizer.decode(list(heard.tokens))).split())

    def words(self, heard: Heard, begin_s: float) -> tuple[Word, ...]:
        """The words of the text, each with the geometric mean of its tokens' probabilities, and times if `heard` has them.

        Where no spaces are written, as in Chinese or Thai, tokens are taken for words, as OpenAI's `split_to_word_tokens` does.
        `begin_s` is where the piece begins in the clip.
        """
        tokens = self._tokenizer.convert_ids_to_tokens(list(heard.tokens))
        groups: list[list[int]] = []
        for place, token in enumerate(tokens[: len(heard.log_probs)]):
            before = self._spoken([tokens[p] for p in groups[-1]]) if groups else ""
            if not groups or (before and (token.startswith(_WORD_START) or is_spaceless(before[-1]))):
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


def joined(windows: Sequence[list[Heard]], reader: TokenReader, nbest: int) -> Transcript:
    """One transcript of the decodings of consecutive windows, the best of each first."""
    best = [decodings[0] for decodings in windows]
    begins_s = accumulate((heard.length_s for heard in best), initial=0.0)
    text = " ".join(filter(None, map(reader.text, best)))
    mean = sum(h.total for h in best) / max(1, sum(h.length for h in best))
    words = tuple(word for h, begin_s in zip(best, begins_s, strict=False) for word in reader.words(h, begin_s))
    alternatives = {"": 0.0}
    for decodings in windows:
        alternatives = _likeliest(_continued(alternatives, decodings, reader), nbest)
    alternatives.setdefault(text, sum(h.total for h in best))
    ordered = _likeliest(alternatives, len(alternatives))
    kept = list(ordered)[:nbest] if text in list(ordered)[:nbest] else [*list(ordered)[: nbest - 1], text]
    return Transcript(
        text,
        float(np.exp(mean)),
        words,
        tuple(Alternative(t, ordered[t]) for t in kept),
        no_speech=min((h.no_speech for h in best if h.no_speech is not None), default=None),
        temperature=max((h.temperature for h in best), default=0.0),
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
