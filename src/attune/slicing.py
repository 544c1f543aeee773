"""Which slices an utterance is in: by condition, noise, length, speaker, source, or a column of its manifest."""

from collections.abc import Mapping, Sequence

from attune.records import Utterance

UNKNOWN = "unknown"
Place = tuple[int, str]
"""Where a value stands among the others of its dimension, and its name."""


def places(utterance: Utterance, bands: Mapping[str, Sequence[float]], columns: Sequence[str]) -> dict[str, Place]:
    """By dimension, the slice that `utterance` is in. `bands` has the edges of `snr_db` and `duration_s`.

    A source is the top folder below raw; recordings that lie in none are in `.`.
    """
    folder = utterance.source.partition("/")[0] if "/" in utterance.source else "."
    named = {column: (0, column_of(utterance, column) or UNKNOWN) for column in columns}
    return {
        "condition": (0, utterance.condition),
        "snr_db": band(utterance.snr_db, bands["snr_db"], "dB"),
        "duration_s": band(utterance.duration_s, bands["duration_s"], "s"),
        "speaker": (0, utterance.speaker),
        "source": (0, folder),
        **named,
    }


def column_of(utterance: Utterance, column: str) -> str | None:
    """What the manifest says of it in that column."""
    return utterance.session if column == "session" else utterance.tags.get(column)


def band(value: float | None, edges: Sequence[float], unit: str) -> Place:
    """The stretch between two edges that `value` lies in; unknown values come last.

    >>> band(7.5, (0, 5, 10), "dB"), band(-1, (0, 5, 10), "dB"), band(12, (0, 5, 10), "dB")
    ((2, '5 to 10 dB'), (0, 'below 0 dB'), (3, '10 dB and more'))
    """
    if value is None:
        return len(edges) + 1, UNKNOWN
    place = sum(value >= edge for edge in edges)
    if place == 0:
        return 0, f"below {edges[0]:g} {unit}" if edges else "all"
    if place == len(edges):
        return place, f"{edges[-1]:g} {unit} and more"
    return place, f"{edges[place - 1]:g} to {edges[place]:g} {unit}"
