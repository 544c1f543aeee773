"""Whether the numbers of an evaluation are right, and how long they take; each part prints figures, nothing is asserted.

    python benchmarks/evaluate.py speed      the bootstrap on 1,000 and on 100,000 utterances: seconds and memory
    python benchmarks/evaluate.py peers      rates beside jiwer's, intervals beside kaldialign's (to be installed) and scipy's
    python benchmarks/evaluate.py coverage   how often 95% intervals hold the truth, in 1,000 made tests
    python benchmarks/evaluate.py null       how often equal systems are called different, in 1,000 made comparisons
    python benchmarks/evaluate.py page       report.html as full as it gets: its size, and how long Chromium takes to open it
    python benchmarks/evaluate.py all

Tests are made as speech goes: speakers are of different difficulty, and so are their utterances. Run it on an idle machine.
"""

import argparse
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
from full_page import full_page, opening_s
from numpy.typing import NDArray
from scipy import stats

from attune.matched_pairs import matched_pairs
from attune.scoring import pool, score
from attune.significance import PairedCounts, bootstrap_interval, paired_rates

Counts = NDArray[np.int64]
_SAMPLES, _CONFIDENCE, _TRIALS = 10_000, 0.95, 1000
_WORDS = ("the", "nurse", "has", "seen", "no", "fever", "today", "two", "tablets", "of", "it's", "metformin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[], None]] = {
        "speed": measure_speed, "peers": compare_with_peers, "coverage": measure_coverage, "null": measure_null,
        "page": measure_page,
    }  # fmt: skip
    parser.add_argument("part", choices=[*parts, "all"])
    part = parser.parse_args().part
    for name, measure in parts.items():
        if part in (name, "all"):
            measure()


def measure_speed() -> None:
    """Seconds for both rates and their difference, for words alone and with characters, and the memory beside the counts."""
    for utterances in (1000, 100_000):
        words = _paired(utterances, speakers=40, rates=(0.25, 0.2), seed=1)[0]
        characters = PairedCounts(np.multiply(words.base, 3), np.multiply(words.tuned, 3), np.multiply(words.lengths, 5))
        for name, tokens in (("words", [words]), ("words and characters", [words, characters])):
            start_s = time.perf_counter()
            paired_rates(tokens, _SAMPLES, _CONFIDENCE, seed=1)
            took_s = time.perf_counter() - start_s
            print(f"{utterances} utterances, {_SAMPLES} resamples, {name}: {took_s:.2f} s, {_peak_mb(tokens):.1f} MB at most")


def compare_with_peers() -> None:
    """1,000 sentences, misheard twice: the same point estimates, and intervals that differ by chance alone."""
    draw = random.Random(3)
    references = [" ".join(draw.choices(_WORDS, k=draw.randint(2, 14))) for _ in range(1000)]
    base, tuned = ([_misheard(text, share, draw) for text in references] for share in (0.2, 0.19))
    scores = [[score(str(n), *pair) for n, pair in enumerate(zip(references, texts, strict=True))] for texts in (base, tuned)]
    for name, found, texts in (("base", scores[0], base), ("tuned", scores[1], tuned)):
        words, characters = pool(found)
        same = words.rate == jiwer.wer(references, texts), characters.rate == jiwer.cer(references, texts)
        print(f"{name}: WER {words.rate:.6f}, CER {characters.rate:.6f}; identical to jiwer's: {same}")
    lengths = np.array([each.words.reference_length for each in scores[0]])
    errors = [np.array([each.words.errors for each in found]) for found in scores]
    ours = paired_rates([PairedCounts(errors[0], errors[1], lengths)], _SAMPLES, _CONFIDENCE, seed=1)[0]
    for name, bounds in (("base", ours.base), ("tuned", ours.tuned)):
        print(f"{name}: ours {bounds.low:.5f} to {bounds.high:.5f}")
    print(f"P(better): ours {ours.difference.probability_better:.4f}, p {ours.difference.p_value:.4f}")
    _scipy(errors, lengths)
    _kaldialign(references, base, tuned)
    again = [bootstrap_interval(errors[0], lengths, _SAMPLES, _CONFIDENCE, seed) for seed in range(20)]
    spread = [float(np.std(bounds)) for bounds in ([i.low for i in again], [i.high for i in again])]
    print(f"Monte-Carlo error of the bounds, over 20 seeds: {spread[0]:.5f}, {spread[1]:.5f}")


def measure_coverage() -> None:
    """In made tests whose truth is known: how often intervals by speaker, and by utterance, hold it."""
    for speakers, each in ((5, 40), (10, 20), (20, 20), (40, 20), (200, 5)):
        held, held_difference = {"speakers": 0, "utterances": 0}, 0
        for trial in range(_TRIALS):
            tokens, of_speaker = _paired(speakers * each, speakers, (0.25, 0.2), seed=trial)
            for unit, some in (("speakers", tokens.by_block(of_speaker)), ("utterances", tokens)):
                found = paired_rates([some], 2000, _CONFIDENCE, seed=trial)[0]
                held[unit] += found.base.low <= 0.25 <= found.base.high
                if unit == "speakers":
                    held_difference += found.difference.low <= 0.05 <= found.difference.high
        told = ", ".join(f"by {unit} {count / _TRIALS:.1%}" for unit, count in held.items())
        print(
            f"{speakers} speakers, {each} utterances each: WER {told}; difference by speakers {held_difference / _TRIALS:.1%} "
            f"of {_TRIALS} intervals hold the truth"
        )
    _independent()


def measure_null() -> None:
    """Two systems that are equally good: how often each test calls them different."""
    for speakers, each in ((5, 40), (12, 20), (40, 10)):
        called = {f"{unit}, {what}": 0 for unit in ("by speakers", "by utterances") for what in ("different", "better")}
        for trial in range(_TRIALS):
            tokens, of_speaker = _paired(speakers * each, speakers, (0.2, 0.2), seed=trial)
            for name, some in (("by speakers", tokens.by_block(of_speaker)), ("by utterances", tokens)):
                found = paired_rates([some], _SAMPLES, _CONFIDENCE, seed=trial)[0].difference
                called[f"{name}, different"] += found.certain
                called[f"{name}, better"] += found.low > 0
        told = "; ".join(f"{name} {count / _TRIALS:.1%}" for name, count in called.items())
        print(f"{speakers} speakers, {each} utterances each, no difference: called so wrongly {told} of {_TRIALS}")
    called_by_segments, draw = 0, random.Random(5)
    for _ in range(_TRIALS):
        references = [" ".join(draw.choices(_WORDS, k=10)) for _ in range(100)]
        texts = [(text, _misheard(text, 0.2, draw), _misheard(text, 0.2, draw)) for text in references]
        called_by_segments += matched_pairs(texts).p_value < 1 - _CONFIDENCE
    print(f"100 utterances, no difference: called different by MAPSSWE {called_by_segments / _TRIALS:.1%} of {_TRIALS}")


def measure_page() -> None:
    """From the request to the load event and to the first paint, in a browser that runs already."""
    with tempfile.TemporaryDirectory() as folder:
        page = full_page(Path(folder))
        loaded_s, painted_s = (sorted(times) for times in zip(*opening_s(page), strict=True))
        size_mb, middle = page.stat().st_size / 1e6, len(loaded_s) // 2
    for what, times in (("loaded", loaded_s), ("painted", painted_s)):
        print(
            f"report.html of {size_mb:.2f} MB {what} in {times[middle]:.2f} s (median of {len(times)}, at most {times[-1]:.2f} s)"
        )


def _independent() -> None:
    """Utterances that have nothing in common, as the method by utterance supposes."""
    held = 0
    for trial in range(_TRIALS):
        draw = np.random.default_rng(trial)
        lengths = draw.integers(3, 15, 300)
        errors = draw.binomial(lengths, draw.beta(2, 6, 300))
        bounds = bootstrap_interval(errors, lengths, 2000, _CONFIDENCE, seed=trial)
        held += bounds.low <= 0.25 <= bounds.high
    print(f"300 utterances that have nothing in common: by utterances {held / _TRIALS:.1%} of {_TRIALS} intervals hold the truth")


def _paired(utterances: int, speakers: int, rates: tuple[float, float], seed: int) -> tuple[PairedCounts, list[int]]:
    """Errors of two systems whose expected rates are `rates`; a speaker is nearly as hard for one as for the other."""
    draw = np.random.default_rng(seed)
    of_speaker = np.repeat(np.arange(speakers), utterances // speakers)
    lengths = draw.integers(3, 25, len(of_speaker))
    hard = (draw.beta(8, 8, speakers) * 2)[of_speaker] * draw.uniform(0.5, 1.5, len(of_speaker))
    errors = []
    for rate in rates:
        own = draw.uniform(0.8, 1.2, speakers)[of_speaker]
        errors.append(draw.binomial(lengths, np.clip(rate * hard * own, 0, 1)))
    return PairedCounts(errors[0], errors[1], lengths), of_speaker.tolist()


def _misheard(text: str, share: float, draw: random.Random) -> str:
    heard = []
    for word in text.split():
        chance = draw.random() / share
        heard += [] if chance < 0.2 else [draw.choice(_WORDS)] if chance < 0.8 else [word, "uh"] if chance < 1 else [word]
    return " ".join(heard)


def _scipy(errors: list[Counts], lengths: Counts) -> None:
    for name, column in zip(("base", "tuned"), errors, strict=True):
        found = stats.bootstrap(
            (column, lengths), lambda e, n, axis=-1: e.sum(axis=axis) / n.sum(axis=axis), paired=True, vectorized=True,
            n_resamples=_SAMPLES, batch=1000, method="percentile", rng=np.random.default_rng(3),
        ).confidence_interval  # fmt: skip
        print(f"{name}: scipy.stats.bootstrap {found.low:.5f} to {found.high:.5f}")


def _kaldialign(references: list[str], base: list[str], tuned: list[str]) -> None:
    try:
        from kaldialign import bootstrap_wer_ci
    except ImportError:
        print("kaldialign is not installed: pip install kaldialign")
        return
    texts = [[text.split() for text in some] for some in (references, base, tuned)]
    found = bootstrap_wer_ci(*texts, replications=_SAMPLES)
    for name, key in (("base", "system1"), ("tuned", "system2")):
        print(f"{name}: kaldialign {found[key]['ci95min']:.5f} to {found[key]['ci95max']:.5f}")
    print(f"P(better): kaldialign {found['p_s2_improv_over_s1']:.4f}")


def _peak_mb(tokens: list[PairedCounts]) -> float:
    """Measured apart, as it slows all down; fewer resamples take as much but for the sums themselves."""
    tracemalloc.start()
    paired_rates(tokens, 500, _CONFIDENCE, seed=1)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
