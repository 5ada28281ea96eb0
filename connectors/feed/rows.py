"""Rows of a file, as fast as a million of them need it: key and digest of each, everything else only where it is wanted."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from operator import methodcaller
from typing import Final

from connectors.feed.lines import TOO_LONG
from connectors.roles import BadRow, DroppedRow, DroppedRows
from mapping.sheet.fields import MAX_ID

PART: Final = 5_000
PEEK: Final = 200
"""So many rows say how wide a file is."""
MOST_LINES: Final = 50
"""Lines that one quoted record of a CSV file may have."""
NO_TEXT: Final = "It contains bytes that are no text in the encoding that the file is written in."
Cells = Sequence[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is taken out of each row."""

    key: Callable[[Cells], str]
    """The record's id; "" where the row has none."""
    needed: int
    """So many columns a row has at least."""
    split: Callable[[str], list[str]]
    width: int = 0
    """So many columns a row has; 0: as most of the first rows."""
    ours: Callable[[Cells], bool] | None = None
    """Whether the row is something to us; None: all are."""
    gone: Callable[[Cells], bool] | None = None
    """Whether the row says that its record is no more; None: none does."""
    mixed_in: bytes = b""
    """Part of every digest: rows of a file with other headings are other rows."""


@dataclass(slots=True)
class Rows:
    """The rows of one file. `count`: rows met, the bad ones too."""

    plan: Plan
    lines: Iterator[tuple[int, str]]
    count: int = 0
    _width: int = field(default=0, init=False)

    def parts(self) -> Iterator[DroppedRows]:
        """All rows in their order, a part at a time."""
        lines = self._peeked()
        while part := list(islice(lines, PART)):
            self.count += len(part)
            yield self._part(part)

    def _peeked(self) -> Iterator[tuple[int, str]]:
        self._width = self.plan.width
        if self._width:
            return self.lines
        first = list(islice(self.lines, PEEK))
        widths = Counter(len(self.plan.split(text)) for _, text in first)
        self._width = widths.most_common(1)[0][0] if widths else 0
        return chain(first, self.lines)

    def _part(self, part: Sequence[tuple[int, str]]) -> DroppedRows:
        plan, width = self.plan, self._width
        split, key_of, ours, gone, salt = plan.split, plan.key, plan.ours, plan.gone, plan.mixed_in
        narrow = width < plan.needed
        rows: list[DroppedRow] = []
        bad: list[BadRow] = []
        left_out = 0
        for number, text in part:
            cells = split(text)
            key = key_of(cells)
            if not key or len(key) > MAX_ID or not key.isprintable():
                bad.append(BadRow(number, self._wrong(cells, key)))
                continue
            try:
                digest = blake2b(text.encode(), digest_size=16, salt=salt).digest()
            except UnicodeEncodeError:
                bad.append(BadRow(number, NO_TEXT, key))
                continue
            if len(cells) != width or narrow:
                bad.append(BadRow(number, self._wrong(cells, key), key))
            elif ours is not None and not ours(cells):
                left_out += 1
            else:
                rows.append(DroppedRow(number, key, digest, text, gone is not None and gone(cells)))
        return DroppedRows(rows, bad, left_out)

    def _wrong(self, cells: Cells, key: str) -> str:
        if cells[0] == TOO_LONG:
            return "It is longer than any row is."
        if self._width < self.plan.needed:
            return f"The file has {self._width} columns, {self.plan.needed} are needed."
        if len(cells) > self._width:
            return f"It has {len(cells)} columns instead of {self._width}: a value seems to contain what parts columns."
        if len(cells) < self._width:
            return f"It has {len(cells)} columns instead of {self._width}: it seems to be cut off, or broken by a line ending."
        return "It names no record: its key is empty." if not key else "Its key is too long, or is no text for a key."


split_tabs: Final[Callable[[str], list[str]]] = methodcaller("split", "\t")
"""The cells of a row without quotes."""


def split_csv(delimiter: str) -> Callable[[str], list[str]]:
    """The cells of a CSV record; one that cannot be parted is a single cell."""

    def split(text: str) -> list[str]:
        if '"' not in text:
            return text.split(delimiter)
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True), [])
        except csv.Error:
            return [text]

    return split


def records(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The records of a CSV file: a quoted value may go over several lines. One that is never closed costs its own line alone."""
    waiting: list[tuple[int, str]] = []
    while True:
        first = waiting.pop(0) if waiting else next(lines, None)
        if first is None:
            return
        number, text = first
        taken: list[tuple[int, str]] = []
        while text.count('"') % 2 and len(taken) < MOST_LINES:
            more = waiting.pop(0) if waiting else next(lines, None)
            if more is None:
                break
            taken.append(more)
            text = f"{text}\n{more[1]}"
        if text.count('"') % 2:
            text, waiting = first[1], [*taken, *waiting]
        yield number, text
