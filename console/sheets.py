"""Tables that go out to a spreadsheet and come back from one: safe to open, and tolerant of what saving made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.cells import plain
from core.errors import ConfigurationProblem

LARGEST: Final = 50 * 1024 * 1024
"""Bytes; a larger file is none of ours."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line by the names of its columns (lower case). `number`: as an editor counts, the header being 1."""

    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell; "" where there is none."""
        return self.cells.get(column, "")


def read(path: Path) -> list[Line]:
    """Whatever a spreadsheet saved: comma, semicolon or tab; with or without a mark at the beginning; UTF-8, UTF-16 or the
    Windows code page; any line ends. Empty lines are left out. Raises ConfigurationProblem.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigurationProblem(f"{path} has more than 50 MB. What to do: name the file that you meant.")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationProblem(f"{path} cannot be read ({error.strerror}). What to do: look at the name.") from None
    return list(_lines(_decoded(raw), path))


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _lines(text: str, path: Path) -> Iterator[Line]:
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
            yield Line(number, {name: plain(cell) for name, cell in zip(header, row, strict=False) if name})
    except csv.Error as error:
        raise ConfigurationProblem(
            f"{path} is not a table ({error}). What to do: save it as CSV from the spreadsheet."
        ) from None
    if header is None:
        raise ConfigurationProblem(f"{path} is empty. What to do: name the file that you meant.")
