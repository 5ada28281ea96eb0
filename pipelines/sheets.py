"""Tables that come back from a spreadsheet: tolerant of what saving made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from core.cells import plain
from core.errors import ConfigurationProblem


@dataclass(frozen=True, slots=True)
class Line:
    """One line by the names of its columns (lower case). `number`: as an editor counts, the header being 1."""

    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell; "" where there is none."""
        return self.cells.get(column, "")


def parse(raw: bytes, name: str, *, most: int | None = None) -> list[Line]:
    """Whatever a spreadsheet saved: comma, semicolon or tab; with or without a mark at the beginning; UTF-8, UTF-16 or the
    Windows code page; any line ends. Empty lines are left out. `name`: for messages. Raises ConfigurationProblem,
    also for more than `most` lines, before the others are read.
    """
    found = list(islice(_lines(_decoded(raw), name), None if most is None else most + 1))
    if most is not None and len(found) > most:
        raise ConfigurationProblem(
            f"{name} has more than {most:,} lines. What to do: split it into sheets of so many, each with the first line; "
            "what a sheet does not name stays as it is."
        )
    return found


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _lines(text: str, name: str) -> Iterator[Line]:
    skipped = 0
    if text[:4].lower() == "sep=":  # Excel's own hint to itself
        text, skipped = text.partition("\n")[2], 1
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    try:
        while True:
            number = reader.line_num + 1 + skipped
            row = next(reader, None)
            if row is None:
                break
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [plain(cell).lower() for cell in row]
                continue
            yield Line(number, {column: plain(cell) for column, cell in zip(header, row, strict=False) if column})
    except csv.Error as error:
        raise ConfigurationProblem(
            f"{name} is not a table ({error}). What to do: save it as CSV from the spreadsheet."
        ) from None
    if header is None:
        raise ConfigurationProblem(f"{name} is empty. What to do: name the file that you meant.")
