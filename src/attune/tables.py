"""Rows of CSV and TSV texts, such that a fault costs its own line and nothing else."""

import csv
import re
from collections.abc import Iterator

_MOST_FIELD_BYTES = 1 << 20
_SOUND_FILE = re.compile(r"\.(?:wav|flac|mp3|ogg|opus|m4a|webm)$", re.IGNORECASE)


def csv_rows(text: str) -> Iterator[tuple[int, object]]:
    """Dicts, or what is wrong with a line. A row's number is that of its last line, as texts may hold line breaks.

    A row with a fault costs that one line: a quotation mark that is never closed does not swallow what follows.
    """
    lines = text.split("\n")
    position, header = _preamble(lines), list[str]()
    delimiter = max(",;\t|", key=lines[position].count)
    csv.field_size_limit(_MOST_FIELD_BYTES)
    while position < len(lines):
        begin = position
        try:
            fields, used = _csv_row(lines, begin, delimiter, len(header))
        except csv.Error as error:
            position = begin + 1
            yield position, str(error)
            continue
        position = begin + used
        if not header and any(map(_SOUND_FILE.search, fields)):
            yield position, "names a sound file where the names of the columns should stand"
            header = fields
        elif not header:
            header = fields
        elif fields and len(fields) != len(header):
            position = begin + 1
            yield position, "has another number of columns than the header"
        elif fields:
            yield position, dict(zip(header, fields, strict=True))


def _preamble(lines: list[str]) -> int:
    """How many lines stand before the header: comments, and Excel's `sep=;`."""
    before = (number for number, line in enumerate(lines) if not (line.startswith("#") or line.lower().startswith("sep=")))
    return min(next(before, 0), len(lines) - 1)


def _csv_row(lines: list[str], begin: int, delimiter: str, wanted: int) -> tuple[list[str], int]:
    """The fields of the row that begins there, and how many lines it takes. Raises csv.Error.

    Tables with tabs, such as Common Voice's, have a row a line and quotation marks as they come, save around a whole field;
    only where that does not give the `wanted` number of fields, quotation marks are taken for what they are elsewhere.
    """
    fields = lines[begin].split(delimiter) if lines[begin] else []
    follows = lines[begin + 1].count(delimiter) + 1 if begin + 1 < len(lines) and lines[begin + 1] else wanted
    goes_on = bool(fields) and fields[-1].startswith('"') and fields[-1].count('"') % 2 == 1 and follows != wanted
    if delimiter == "\t" and len(fields) in (0, wanted or len(fields)) and not goes_on:
        quoted = [len(f) > 1 and f[0] == f[-1] == '"' for f in fields]
        return [f[1:-1].replace('""', '"') if q else f for f, q in zip(fields, quoted, strict=True)], 1
    rest = (f"{lines[number]}\n" for number in range(begin, len(lines)))
    reader = csv.reader(rest, delimiter=delimiter, strict=True, skipinitialspace=True)
    return next(reader), reader.line_num
