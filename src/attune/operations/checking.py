"""Is the language model there, and is it any good? Four steps, then how quick it is: what `attune llm check` prints."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from attune.checkpoint_files import resolve_base
from attune.correctors.chat import Chat, Message, NoAnswer, Reply
from attune.correctors.prompting import Malformed, Prompt, read_answer
from attune.correctors.protocol import Item
from attune.errors import AttuneError
from attune.operations.correction import open_chat, percentile, read_prompt
from attune.params import CorrectorName, GoldParams
from attune.records import Alternative, Hypothesis, Utterance, Word
from attune.text import words

_ASKED_FOR_TIME = 10
_TARGET_S = 1.0
"""What the first of the systems that Attune succeeds aimed at, for one transcript."""


@dataclass(frozen=True)
class Step:
    """One thing that was tried."""

    name: str
    passed: bool
    said: str
    """What was seen; where it failed, with what to do next."""


@dataclass(frozen=True)
class Speed:
    """How quick single requests were."""

    requests: int
    p50_s: float
    p95_s: float
    tokens_per_s: float
    """Tokens answered, per second of waiting."""


@dataclass(frozen=True)
class _Sample:
    heard: str
    alternative: str
    term: str
    wanted: str
    """A word that a good answer has."""
    doubted: str


_GARBLED = _Sample("the pashent has a feeder and a coff", "the patient has a fever and a cough", "", "fever", "feeder")
_IMPROVED = _Sample("she takes met forming twice a day", "", "metformin", "metformin", "forming")


def check(name: CorrectorName, gold: GoldParams, device: str) -> Iterator[Step | Speed]:
    """The four steps, each as it is done, and the speed; it ends with the first one that makes the next ones vain.

    Steps: the server or the files are reached; the model is there; it corrects a garbled sample; it improves one with a term.
    """
    try:
        yield Step("reach", True, _reached(name, gold))
    except AttuneError as error:
        yield Step("reach", False, str(error))
        return
    try:
        begin_s = time.monotonic()
        chat = open_chat(name, gold, device)
        here = _listed(name, gold)
        said = f"{chat.model} opened in {time.monotonic() - begin_s:.1f} s" if here else f"{chat.model} is not listed, but asked"
        yield Step("model", True, said)
        prompt = read_prompt(gold, "en", ())
    except AttuneError as error:
        yield Step("model", False, str(error))
        return
    for step, sample in (("correct", _GARBLED), ("improve", _IMPROVED)):
        outcome = _tried(step, chat, prompt, sample)
        yield outcome
        if not outcome.passed and outcome.said.startswith(_VAIN):
            return
    try:
        yield _speed(chat, prompt)
    except (NoAnswer, AttuneError) as error:
        yield Step("speed", False, f"{_VAIN}: {error}")


def models(name: CorrectorName, gold: GoldParams) -> list[str]:
    """What the server behind a corrector has, or the one model that runs in this process. Raises AttuneError."""
    if name == "ollama":
        from attune.correctors.ollama_chat import OllamaChat

        return OllamaChat(gold.ollama, need_model=False).models()
    if name == "openai":
        from attune.correctors.openai_chat import OpenAIChat

        return OpenAIChat(gold.openai).models()
    return [gold.transformers.model]


_VAIN = "no answer"


def _reached(name: CorrectorName, gold: GoldParams) -> str:
    if name == "transformers":
        return (
            f"the files of {gold.transformers.model} are in {resolve_base(gold.transformers.model, gold.transformers.revision)}"
        )
    found = models(name, gold)
    where = gold.openai.base_url if name == "openai" else "OLLAMA_HOST"
    return f"the server at {where} answers and lists {len(found)} model(s)"


def _listed(name: CorrectorName, gold: GoldParams) -> bool:
    """Whether the server says that it has the model; some serve one that they do not list."""
    return name != "openai" or gold.openai.model in models(name, gold)


def _tried(step: str, chat: Chat, prompt: Prompt, sample: _Sample) -> Step:
    item = _item(sample)
    try:
        reply = _asked(chat, prompt, item)
        text = read_answer(reply.text, item)
    except NoAnswer as error:
        return Step(step, False, f"{_VAIN}: {error}; give it more time (timeout_s) or look at the server's log")
    except AttuneError as error:
        return Step(step, False, f"{_VAIN}: {error}")
    except Malformed as error:
        said = " ".join(reply.text.split())[:80]
        return Step(step, False, f"its answer cannot be read: {error} ({said!r}); choose a model that follows instructions")
    if sample.wanted not in words(text or ""):
        said = f"{sample.heard!r} became {text or 'nothing sure'!r}, without {sample.wanted!r}"
        return Step(step, False, f"{said}; a larger model may do better")
    return Step(step, True, f"{sample.heard!r} became {text!r}")


def _speed(chat: Chat, prompt: Prompt) -> Speed:
    replies = [_asked(chat, prompt, _item(sample)) for _ in range(_ASKED_FOR_TIME // 2) for sample in (_GARBLED, _IMPROVED)]
    seconds = sorted(reply.seconds for reply in replies)
    tokens = sum(reply.tokens_out for reply in replies)
    p50_s, p95_s = percentile(seconds, 0.5) or 0.0, percentile(seconds, 0.95) or 0.0
    return Speed(len(replies), p50_s, p95_s, tokens / max(sum(seconds), 1e-9))


def told(outcome: Step | Speed, number: int) -> str:
    """A line for people."""
    if isinstance(outcome, Speed):
        slow = "" if outcome.p50_s <= _TARGET_S else f"; above {_TARGET_S:g} s: take a smaller model, a GPU, or more at a time"
        return (
            f"  latency: p50 {outcome.p50_s:.2f} s, p95 {outcome.p95_s:.2f} s of {outcome.requests} requests one by one; "
            f"{outcome.tokens_per_s:.0f} tokens/s{slow}"
        )
    return f"{'✓' if outcome.passed else '✗'} {number}. {outcome.name:8} {outcome.said}"


def _asked(chat: Chat, prompt: Prompt, item: Item) -> Reply:
    return chat.answer([Message(prompt.instructions, prompt.question(item))])[0]


def _item(sample: _Sample) -> Item:
    said = tuple(Word(word, 0.3 if word == sample.doubted else 0.95) for word in sample.heard.split())
    nbest = (Alternative(sample.heard, 0.0), *([Alternative(sample.alternative, -1.0)] if sample.alternative else []))
    utterance = Utterance("sample", "", "sample.wav", "nobody", "clean", "train", 3.0, None, None)
    return Item(utterance, Hypothesis("sample", sample.heard, 0.6, said, nbest))
