"""Slices of a test in plain words, for tables and for sentences: people know their recordings and not our column names."""

import re

_MUCH_NOISE_DB, _LITTLE_NOISE_DB = 10.0, 20.0
_HEADINGS = {"snr_db": "speech over noise", "duration_s": "length", "source": "folder"}
_OWN = {
    "speaker": "recordings of {}",
    "source": "recordings in folder {}",
    "session": "recordings of session {}",
    "out_of_domain": "recordings of another kind",
}


def named(dimension: str, value: str) -> str:
    """The slice in a table.

    >>> named("snr_db", "0 to 5 dB"), named("speaker", "anna"), named("accent", "welsh")
    ('speech over noise: 0 to 5 dB', 'speaker: anna', 'accent: welsh')
    """
    return f"{_HEADINGS.get(dimension, dimension)}: {value}"


def recordings(dimension: str, value: str) -> str:
    """What is in the slice, as part of a sentence.

    >>> recordings("condition", "noisy"), recordings("speaker", "anna"), recordings("accent", "welsh")
    ('noisy recordings', 'recordings of anna', 'recordings with accent welsh')
    >>> recordings("snr_db", "0 to 5 dB"), recordings("duration_s", "below 1 s")
    ('recordings with much noise (speech 0 to 5 dB above it)', 'recordings of less than 1 s')
    """
    if value == "unknown" and dimension not in ("condition", "speaker", "source"):
        return f"recordings of unknown {_HEADINGS.get(dimension, dimension)}"
    if dimension == "condition":
        return f"{value} recordings"
    if dimension == "snr_db":
        return f"recordings with {_noise(value)} noise (speech {_amount(value)} above it)"
    if dimension == "duration_s":
        return f"recordings of {_amount(value)}"
    return _OWN.get(dimension, f"recordings with {dimension} {{}}").format(value)


def listed(texts: list[str], most: int = 3) -> str:
    """The first few, and how many more there are.

    >>> listed(["a", "b", "c", "d"]), listed(["a"])
    ('a; b; c; and 1 more', 'a')
    """
    return "; ".join([*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])])


def counted(number: int, thing: str) -> str:
    """So many of them.

    >>> counted(1, "speaker"), counted(2, "speaker")
    ('1 speaker', '2 speakers')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def lasting(hours: float) -> str:
    """How long that is, in minutes below an hour.

    >>> lasting(0.07), lasting(12.34)
    ('4 minutes', '12.3 hours')
    """
    return f"{hours:.1f} hours" if hours >= 1 else counted(round(hours * 60), "minute")


def shortened(text: str, most: int) -> str:
    """At most so many characters.

    >>> shortened("abcdef", 4), shortened("abcd", 4)
    ('abc…', 'abcd')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _noise(band: str) -> str:
    """By where the band begins."""
    edge = re.match(r"-?[\d.]+", band)
    begins = float(edge[0]) if edge else float("-inf")
    return "much" if begins < _MUCH_NOISE_DB else "some" if begins < _LITTLE_NOISE_DB else "little"


def _amount(band: str) -> str:
    return re.sub("^below", "less than", band)
