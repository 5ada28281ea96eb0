"""An ERP that tells by files it drops in a place: they are read row by row, whoever reads compares.

An `Erp` that is a `Feed` as well is not asked `changes_since` in rounds: `pipelines/feeds.py` reads its files in their order, and
takes over only rows that look otherwise than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from connectors.roles.erp import ErpKind
from core.keys import Change

DroppedMode = Literal["FULL", "NET"]
"""FULL: everything there is, what is missing is gone. NET: new and changed rows only."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that lies in the place."""

    name: str
    source: str
    """Who wrote it: files of one source are numbered in one row."""
    sequence: int | None
    """None: the file has no number, a new one takes the place of the one before."""
    series: str
    """What kind of file it is, in the writer's words: `KS_CUSTOMERS`."""
    kind: ErpKind | None
    """None: nobody reads this kind here; its number counts all the same."""
    mode: DroppedMode
    size: int
    modified: datetime
    rank: int = 0
    """Files of one number: those of a lower rank first."""
    waits: str = ""
    """Why it is not read yet, in a sentence; "": it is complete, as far as can be seen without reading it."""


class DroppedRow(NamedTuple):
    """One row (a tuple: there are a million of them). `text` is what it looks like: equal digests are equal rows."""

    line: int
    key: str
    """`Key.id` of the record."""
    digest: bytes
    text: str
    gone: bool = False
    """The writer says that this record is no more."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read, and why. `key`: the record's id where it can be told all the same."""

    line: int
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """Part of a file."""

    rows: Sequence[DroppedRow]
    bad: Sequence[BadRow] = ()
    left_out: int = 0
    """Rows that are nothing to us (a contact who is no rep)."""


class Reading(Protocol):
    """A file that is being read."""

    def parts(self) -> Iterator[DroppedRows]:
        """All rows in their order, in bounded parts. Raises `NotWhole` at the end where the file has changed meanwhile, or where
        its last line counts more or fewer rows.
        """
        ...

    def raw(self, row: DroppedRow) -> bytes:
        """The record's state, for a `Change`."""
        ...


class NotWhole(Exception):
    """The file ended in the middle, or was written while it was read: what was read counts for nothing. Its text says which."""


class Unusable(Exception):
    """No row of the file can be read, as it is. Its text says why, and what to do."""


@runtime_checkable
class Feed(Protocol):
    """A place where an ERP drops files. Reading never writes there."""

    name: str
    removal: float
    """The share of all records that a FULL may remove without a person's word."""
    bad: float
    """The share of its rows that a file may have bad without a person's word."""
    first: int | None
    """The number to begin with; None: the lowest that is there."""
    numbering: Literal["source", "series"]
    """source: one row of numbers for all files of a source. series: one for each kind of file."""

    def dropped(self) -> Sequence[Dropped]:
        """What lies there now, in the order in which it is to be read. Raises `RetryLater` where the place cannot be reached."""
        ...

    def reading(self, file: Dropped, *, anyway: bool = False) -> AbstractContextManager[Reading]:
        """Open a file. Raises `NotWhole` where its end is missing (`anyway`: a person says that it is complete), `Unusable`."""
        ...

    def change(self, file: Dropped, line: int, key: str, raw: bytes | None, content: str) -> Change:
        """A row as the change that it tells; `raw` None: the record is gone."""
        ...


__all__ = [
    "BadRow",
    "Dropped",
    "DroppedMode",
    "DroppedRow",
    "DroppedRows",
    "Feed",
    "NotWhole",
    "Reading",
    "Unusable",
]
