"""How a model is heard fastest on this device without another word: engine, compute type and batch, found by trying them.

They are tried once, for some seconds, on clips of the corpus itself; the answer stays in the work cache, by device and kind
of model, so that base and tuned model are heard the same way.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, Literal

from attune.checkpoints import Outline
from attune.dataset import Samples
from attune.devices import processor
from attune.errors import AttuneError, EnvironmentFault
from attune.recognizers.batching import padded_s
from attune.recognizers.protocol import Recognizer
from attune.recognizers.transcription import SoundSource, hear_batches
from attune.records import Utterance
from attune.workcache import WorkCache, digest_of

_METHOD = "ways 5"
_TRIED_CLIPS = 64
_REFERENCE_S, _FEWEST_CLIPS = 10.0, 8
"""How long the reference may take, unless it hears even fewer by then; what it has heard is what the others are compared on."""
_WORTH = 1.2
"""Another way is taken where it is so many times as fast as one before it in the list, lest chance decide."""
_WORTH_MEMORY = 1.1
"""The same for hearing more at once by the way that was taken."""
_TOGETHER = (16, 8, 4, 1)
"""Clips at once that are tried, where nobody says how many."""


@dataclass(frozen=True)
class Way:
    """A way to hear: through which library, computing in what, and how many seconds of sound together."""

    engine: Literal["transformers", "ctranslate2", "onnxruntime"]
    compute_type: str
    batch_s: float

    def __str__(self) -> str:
        return f"{self.engine} {self.compute_type}, {self.batch_s:g} s at once"


@dataclass(frozen=True)
class Choice:
    """A way, and why this one."""

    way: Way
    why: str


Open = Callable[[Way], Recognizer]


def choose(
    ways: Sequence[Way], open_as: Open, outline: Outline, device: str, clips: "Clips", cache: WorkCache, *, batches: bool
) -> Choice:
    """The remembered choice for this device and kind of model, else the fastest of `ways` that says what the first one says.

    What computes less precisely than the first one is remembered for these very weights only, and is not taken where too few
    clips have words to tell; then nothing is remembered. With `batches` other batch sizes are tried as well. Where the first
    one cannot run here, it is the second, and not remembered.
    """
    versions = [version(name) for name in ("torch", "transformers", "ctranslate2")]
    kind = {k: v for k, v in outline.config.to_dict().items() if not k.startswith("_")}
    asked = batches or ways[0].batch_s
    key = digest_of(_METHOD, device_name(device), versions, json.dumps(kind, sort_keys=True, default=str), asked)
    keys = [key, digest_of(key, outline.digest)]
    known = next((choice for k in keys if (choice := _revived(cache.get_or_none(k)))), None)
    if known is not None:
        return known
    try:
        choice, telling = _tried(ways, open_as, clips, _TOGETHER if batches else ())
    except (EnvironmentFault, MemoryError, RuntimeError) as error:  # a large model may fit in half precision only
        return Choice(ways[1], f"{ways[0]} cannot be compared with: {' '.join(str(error).split())[:100]}")
    if telling >= _FEWEST_CLIPS:
        cache.put({keys[choice.way.compute_type != ways[0].compute_type]: asdict(choice)})
    return choice


@dataclass(frozen=True)
class Clips:
    """What the ways are tried on, and what is asked of them."""

    utterances: Sequence[Utterance]
    sounds: SoundSource
    nbest: int
    word_times: bool

    def some(self) -> "Clips":
        """At most 64 of them, of all lengths."""
        ordered = sorted(self.utterances, key=lambda u: (u.duration_s, u.id))
        step = max(1, len(ordered) // _TRIED_CLIPS)
        return replace(self, utterances=ordered[step // 2 :: step][:_TRIED_CLIPS])


def device_name(device: str) -> str:
    """What computes, as precisely as its speed depends on it."""
    if device == "cuda":
        import torch

        return str(torch.cuda.get_device_name())
    model, flags = processor()
    return f"{model}, {os.cpu_count()} cores" + (", AMX" if "amx_tile" in flags else "")


def _tried(ways: Sequence[Way], open_as: Open, clips: Clips, together: Sequence[int]) -> tuple[Choice, int]:
    """The choice, and how many clips with words it was made on."""
    clips, reference = clips.some(), ways[0]
    recognizer = open_as(reference)
    texts, reference_s = _timed(recognizer, clips, reference.batch_s, _REFERENCE_S)
    clips = replace(clips, utterances=[u for u in clips.utterances if u.id in texts])
    cost_s = sum(padded_s(u.duration_s, recognizer.window_s) for u in clips.utterances)
    clip_s = recognizer.window_s or max(u.duration_s for u in clips.utterances)
    telling = sum(bool(text) for text in texts.values())
    found, said = {reference: reference_s}, {reference: f"{cost_s / reference_s:.0f} x real time"}
    del recognizer

    def attempt(way: Way) -> None:
        try:
            heard, wall_s = _timed(open_as(way), clips, way.batch_s, None, give_up_s=_WORTH * min(found.values()))
        except _TooSlow:
            said[way] = f"less than {cost_s / min(found.values()):.0f} x real time"
            return
        except (RuntimeError, MemoryError, ValueError, AttuneError) as error:
            said[way] = f"cannot: {' '.join(str(error).split())[:100]}"
            return
        others = sum(heard[each] != text for each, text in texts.items())
        said[way] = f"{cost_s / wall_s:.0f} x real time" + (f", but {others} of {len(texts)} texts differ" if others else "")
        if not others:
            found[way] = wall_s

    for way in ways:
        if way not in said and (telling >= _FEWEST_CLIPS or way.compute_type == reference.compute_type):
            attempt(way)
    best = _first_worth([way for way in ways[1:] if way in found] or [reference], found)
    enough = [count for count in together if 2 * count <= len(texts)]  # else they say nothing about many
    others = [replace(best, batch_s=round(count * clip_s, 2)) for count in enough]
    for way in others:
        if way not in said:
            attempt(way)
    sizes = sorted((way for way in (best, *others) if way in found), key=lambda way: way.batch_s)
    best = _first_worth(sizes, found, _WORTH_MEMORY)
    why = "; ".join(f"{way}: {what}" for way, what in said.items())
    return Choice(best, f"{len(texts)} clips tried, {telling} with words: {why}"), telling


def _first_worth(ways: Sequence[Way], took_s: dict[Way, float], margin: float = _WORTH) -> Way:
    best = ways[0]
    for way in ways[1:]:
        if took_s[best] > margin * took_s[way]:
            best = way
    return best


class _TooSlow(Exception):
    """A way took longer than another one."""


def _timed(
    recognizer: Recognizer, clips: Clips, batch_s: float, at_most_s: float | None, give_up_s: float = math.inf
) -> tuple[dict[str, str], float]:
    """Texts by utterance, and how long they took; the first clip is heard once before, as the first is slow.

    Raises _TooSlow where not all are heard within `give_up_s`.
    """
    shortest = min(clips.utterances, key=lambda u: u.duration_s)
    sound: list[Samples] = [clips.sounds[shortest.id]]
    recognizer.transcribe(sound, clips.nbest, word_times=clips.word_times)
    texts, begin_s = dict[str, str](), time.perf_counter()
    batches = hear_batches(recognizer, clips.utterances, clips.sounds, batch_s, clips.nbest, word_times=clips.word_times)
    for batch in _until(batches, begin_s, at_most_s):
        texts |= {utterance.id: heard.text for utterance, heard in batch}
        if time.perf_counter() - begin_s > give_up_s and len(texts) < len(clips.utterances):
            raise _TooSlow
    return texts, time.perf_counter() - begin_s


def _until(batches: Iterator[Any], begin_s: float, at_most_s: float | None) -> Iterator[Any]:
    heard = 0
    for batch in batches:
        yield batch
        heard += len(batch)
        if at_most_s is not None and heard >= _FEWEST_CLIPS and time.perf_counter() - begin_s > at_most_s:
            break


def _revived(value: Any) -> Choice | None:
    try:
        return Choice(Way(**value["way"]), str(value["why"]))
    except (TypeError, KeyError):
        return None
