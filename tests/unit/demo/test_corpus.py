"""The demo corpus is laid out like a user's folder and repeats byte for byte."""

import hashlib
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from attune.demo import acoustics
from attune.demo.grammar import is_held_out, sentences, vocabulary

_MAKE = """
import sys
from pathlib import Path
from attune.demo.corpus import write_demo_corpus
write_demo_corpus(Path(sys.argv[1]), 4, 3, 3, 7)
"""


def test_two_fresh_processes_write_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", _MAKE, str(tmp_path / name)], check=True, capture_output=True)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        digests.append([(p.relative_to(tmp_path / name), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])
    assert len(digests[0]) > 24
    assert digests[0] == digests[1]


def test_corpus_has_clean_and_noisy_speakers_and_transcripts_for_a_part(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _MAKE, str(tmp_path / "raw")], check=True, capture_output=True)
    sounds = sorted((tmp_path / "raw").rglob("*.wav"))
    assert len(sounds) == 24
    assert len({p.parent.name for p in sounds}) == 4
    assert {p.parent.parent.name for p in sounds} == {"clean", "noisy"}
    with_text = [p for p in sounds if p.with_suffix(".txt").exists()]
    assert len({p.with_suffix(".txt").read_text() for p in with_text}) == len(with_text) == 20
    assert all(soundfile.info(p).samplerate == 16_000 and 0.5 <= soundfile.info(p).duration <= 5 for p in sounds)


def test_held_out_sentences_are_never_drawn_for_training() -> None:
    trained = set(islice(sentences("everyday", 1), 3000))
    held_out = set(islice(sentences("everyday", 1, held_out=True), 300))
    assert len(held_out) > 100
    assert not trained & held_out
    assert all(map(is_held_out, held_out))


def test_every_word_of_a_sentence_is_in_the_vocabulary() -> None:
    for grammar in ("everyday", "clinic"):
        words = {word for text in islice(sentences(grammar, 3), 2000) for word in text.split()}
        assert len(words) > 100
        assert words <= vocabulary(grammar)
    assert vocabulary("clinic") - vocabulary("everyday") > {"metformin", "insulin", "cardiology"}


def test_noise_is_added_at_the_ratio_asked_for() -> None:
    rng = np.random.default_rng(0)
    speech = rng.standard_normal(16_000).astype(np.float32)
    noise = acoustics.coloured_noise(16_000, 1.0, rng)
    added = acoustics.add_noise(speech, noise, 10.0) - speech
    assert abs(10 * np.log10(np.mean(speech**2) / np.mean(added**2)) - 10.0) < 0.01
