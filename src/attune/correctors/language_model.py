"""Corrects with a language model: asks it about each utterance, and believes only answers that can be read."""

from collections.abc import Iterator, Sequence

from attune.correctors.chat import Chat, Ledger, Message, NoAnswer, in_threads
from attune.correctors.prompting import Malformed, Prompt, read_answer
from attune.correctors.protocol import Item, Proposal
from attune.errors import GoldError
from attune.records import GoldSource
from attune.workcache import digest_of

_ASKED_AT_MOST = 4
_HOPELESS = 16
"""After so many requests without an answer, one after the other, nothing more is asked."""


class LanguageModelCorrector:
    """Some language model, held to one form of question and answer."""

    source: GoldSource = "llm"

    def __init__(self, name: str, chat: Chat, prompt: Prompt, chance: int = 0) -> None:
        """`chance` other than 0 takes another draw than the likeliest answer."""
        self.name = name
        self.model: str | None = chat.model
        self.digest = digest_of("llm 1", chat.digest, prompt.digest, chance)
        self.ledger = Ledger()
        self._chat, self._prompt, self._chance = chat, prompt, chance
        self._in_vain = 0

    def question(self, item: Item) -> str:
        """The message about the item, and its sound: changed sound is another question."""
        return digest_of(self._prompt.question(item), item.utterance.audio_digest)

    def propose(self, items: Sequence[Item]) -> Iterator[Proposal]:
        """See `Corrector.propose`. Messages of like length are asked together where the model takes several at once."""
        asked = [(item, Message(self._prompt.instructions, self._prompt.question(item))) for item in items]
        if self._chat.batch > 1:
            asked.sort(key=lambda each: -len(each[1].user))
        portions = [asked[first : first + self._chat.batch] for first in range(0, len(asked), self._chat.batch)]
        for proposals in in_threads(self._answered, portions, self._chat.concurrency):
            yield from proposals

    def _answered(self, asked: Sequence[tuple[Item, Message]]) -> list[Proposal]:
        """What cannot be read is asked again, with some chance; at last it has no answer, and why."""
        found, waiting = list[Proposal](), list(asked)
        for turn in range(1 if self._chat.repeats else _ASKED_AT_MOST):
            try:
                replies = self._chat.answer([message for _, message in waiting], chance=self._chance + turn)
            except NoAnswer as error:
                self._give_up_if_hopeless(error)
                return found + [Proposal(item.utterance.id, None, "no_answer", lasting=False) for item, _ in waiting]
            self.ledger.enter(replies)
            unread = []
            for (item, message), reply in zip(waiting, replies, strict=True):
                try:
                    text = read_answer(reply.text, item)
                except Malformed:
                    unread.append((item, message))
                    continue
                found.append(Proposal(item.utterance.id, text, "unsure" if text is None else "answered"))
            waiting = unread
            if not waiting:
                self._in_vain = 0
                break
        if waiting:
            self._give_up_if_hopeless("what it says cannot be read")
        lasting = self._chat.repeats
        return found + [Proposal(item.utterance.id, None, "malformed_answer", lasting=lasting) for item, _ in waiting]

    def _give_up_if_hopeless(self, why: object) -> None:
        self._in_vain += 1
        if self._in_vain >= _HOPELESS and not self._chat.repeats:
            raise GoldError(
                f"{self.model} gave no answer that can be used to {self._in_vain} requests in a row, the last time: {why}; see "
                "whether it is well: attune llm check, and run again; what was answered is kept"
            )
