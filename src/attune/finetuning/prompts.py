"""How a Whisper-class model is told what to write: the tokens around a text, in any of its languages, with timestamps or without.

The format is OpenAI's: `<|es|><|transcribe|><|notimestamps|>text<|endoftext|>`, or with the second in which each stretch of
speech begins and ends, `<|es|><|transcribe|><|0.00|>text<|1.28|><|1.60|> more<|2.44|><|endoftext|>`. The model itself
puts `<|startoftranscript|>` before it. Models of English alone take no language and no task.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from attune.text import is_spaceless

TIMESTAMP_STEP_S = 0.02
_LANGUAGE_TAGS = ("language", "lang", "locale")
"""What lists call the column, the first one that is there."""


class Segment(NamedTuple):
    """Words and the seconds of the window in which they are said."""

    start_s: float
    end_s: float
    text: str


class Writing:
    """Label ids for one model. The tokenizer is left as it is, so that it still offers every language when it is saved."""

    def __init__(self, model: Any, processor: Any, language: str | None) -> None:
        """`language` is for texts that have none of their own, and may be None for models of English alone."""
        generation, self._tokenizer = model.generation_config, processor.tokenizer
        self.multilingual = bool(getattr(generation, "is_multilingual", False))
        self.window_s = float(processor.feature_extractor.chunk_length)
        self._languages: dict[str, int] = dict(getattr(generation, "lang_to_id", None) or {})
        self._task = int(self._tokenizer.convert_tokens_to_ids("<|transcribe|>"))
        self._plain = int(generation.no_timestamps_token_id)
        self._end = int(self._tokenizer.eos_token_id)
        self._language = language
        self.has_timestamps = self._knows_times(int(model.config.vocab_size))

    def plain(self, text: str, language: str | None = None) -> list[int]:
        """The ids of `text` without timestamps."""
        return [*self._prompt(language), self._plain, *self._words(text), self._end]

    def timed(self, segments: Sequence[Segment], language: str | None = None) -> list[int]:
        """The ids of segments in their order, each between the timestamps of its beginning and its end."""
        marked = [token for number, segment in enumerate(segments) for token in self._marked(segment, first=number == 0)]
        return [*self._prompt(language), *marked, self._end]

    def knows(self, language: str | None) -> bool:
        """Whether there is a prompt for texts in this language; models of English alone ask for none."""
        return not self.multilingual or language is None or f"<|{language}|>" in self._languages

    @property
    def detects(self) -> bool:
        """Whether a text without a language of its own has none at all, though the model wants one."""
        return self.multilingual and self._language is None

    def language_of(self, token: int) -> str | None:
        """The code of a language token: en, es, ..."""
        return next((name.strip("<|>") for name, number in self._languages.items() if number == token), None)

    def _prompt(self, language: str | None) -> list[int]:
        spoken = f"<|{language or self._language}|>"
        return [self._languages[spoken], self._task] if self.multilingual and spoken in self._languages else []

    def _marked(self, segment: Segment, *, first: bool) -> list[int]:
        start, end = self._timestamp(segment.start_s), self._timestamp(segment.end_s)
        apart = "" if first or not segment.text or is_spaceless(segment.text[0]) else " "
        return [start, *self._words(apart + segment.text), max(end, start)]

    def _timestamp(self, seconds: float) -> int:
        """Timestamps are the ids after `<|notimestamps|>`, also in tokenizers that do not list them."""
        return self._plain + 1 + round(min(max(seconds, 0.0), self.window_s) / TIMESTAMP_STEP_S)

    def _words(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _knows_times(self, vocabulary: int) -> bool:
        first = self._tokenizer.convert_ids_to_tokens(self._plain + 1) if self._plain + 1 < len(self._tokenizer) else None
        return self._timestamp(self.window_s) < vocabulary and first in (None, "<|0.00|>", self._tokenizer.unk_token)


def unforce(model: Any) -> None:
    """Takes away a prompt that an older recipe fixed for ever, so that a tuned model may be asked for any of its languages."""
    for config in (model.generation_config, model.config):
        if getattr(config, "forced_decoder_ids", None) is not None:
            config.forced_decoder_ids = None


def language_of_tags(tags: Mapping[str, str]) -> str | None:
    """The language that a list gives for a recording as Whisper's code for it, or as it stands where there is none.

    >>> language_of_tags({"locale": "es-MX"}), language_of_tags({"language": "German"}), language_of_tags({"room": "3"})
    ('es', 'de', None)
    """
    told = next((tags[name].strip().lower() for name in _LANGUAGE_TAGS if tags.get(name, "").strip()), None)
    if told is None:
        return None
    return TO_LANGUAGE_CODE.get(told, told.replace("_", "-").partition("-")[0])


def joined(texts: Sequence[str]) -> str:
    """Texts one after the other, with a space between them where their script writes any."""
    whole = ""
    for text in texts:
        whole += ("" if not whole or not text or (is_spaceless(whole[-1]) and is_spaceless(text[0])) else " ") + text
    return whole
