"""What the tests of reports share: an evaluation with everything in it, made by hand."""

from functools import lru_cache

import numpy as np
from evaluations import evaluated, utterance

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import DataError
from attune.records import Condition, Gold, Utterance
from attune.report.evaluation import Evaluation
from attune.report.pictures import Training

HOSTILE = '<script>alert("x")</script> & <img src=http://example.org/x.png>'
_SENTENCE = "the patient has a mild fever and takes two tablets of aspirin every day"
_CURVE = ((10.0, 0.4), (20.0, 0.3), (30.0, 0.22))
TRAINING = Training(tuple((step, 3 * loss) for step, loss in _CURVE), _CURVE)


class Tones:
    """A quiet tone for every utterance whose id is not in `without`."""

    def __init__(self, seconds: float = 1.0, without: tuple[str, ...] = ()) -> None:
        self._seconds, self._without = seconds, without

    def __getitem__(self, utterance_id: str, /) -> Samples:
        if utterance_id in self._without:
            raise DataError(f"no sound for {utterance_id}")
        time = np.arange(int(self._seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        return (0.1 * np.sin(2 * np.pi * (200 + 10 * len(utterance_id)) * time)).astype(np.float32)


@lru_cache
def evaluation() -> Evaluation:
    """Forty-two utterances of seven speakers; tuned is better in noise and worse where it is clean, and one text is hostile."""
    utterances = [_utterance(n) for n in range(42)]
    utterances.append(utterance("written-by-nobody", None))
    base = {u.id: _misheard(u, n, 2 if u.condition == "noisy" else 20) for n, u in enumerate(utterances)}
    tuned = {u.id: _misheard(u, n, 5 if u.condition == "noisy" else 3) for n, u in enumerate(utterances)}
    tuned["u00"] = HOSTILE
    gold = Gold("written-by-nobody", "the patient has a fever", "llm", "")
    return evaluated(
        utterances,
        base,
        tuned,
        (("silence", "", ""), ("silence", "thank you", "bye")),
        {"terms": ("aspirin", "mild fever", "insulin"), "golds": {gold.id: gold}},
        slices={"columns": ("microphone",)},
    )


def _utterance(n: int) -> Utterance:
    condition: Condition = "clean" if n % 3 == 0 else "noisy"
    said = " ".join(_SENTENCE.split()[n % 5 : n % 5 + 4 + n % 6])
    facts = {"duration_s": 1.0 + n % 9, "snr_db": 30.0 if condition == "clean" else float(n % 20), "source": f"ward/{n:02}.wav"}
    tags = {"microphone": "headset" if n % 2 else HOSTILE}
    return utterance(f"u{n:02}", said, condition, f"speaker {n % 7}", **facts, tags=tags)


def _misheard(spoken: Utterance, n: int, every: int) -> str:
    words = (spoken.reference or "a cough").split()
    return " ".join(_wrong(word, n + place) if (n + place) % every == 0 else word for place, word in enumerate(words))


def _wrong(word: str, n: int) -> str:
    return {0: "", 1: f"{word} uh well", 2: f"{word[:-1]}x"}[n % 3]
