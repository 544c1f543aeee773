"""What training is told of an utterance."""

from attune.operations.tuning import _example
from attune.records import Selection, Utterance


def test_examples_carry_speaker_length_and_the_language_of_their_list() -> None:
    utterance = Utterance("u", "d", "u.wav", "anna", "clean", "train", 2.5, 20.0, "hola", tags={"locale": "es-MX"})
    example = _example(Selection("u", "train", "error", "hola", "human", 1.0), utterance)
    assert (example.id, example.text, example.duration_s) == ("u", "hola", 2.5)
    assert (example.speaker, example.language) == ("anna", "es")
