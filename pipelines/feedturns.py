"""Whose turn it is among the files of a feed: files are read in the order of their numbers, and none is left out."""

from __future__ import annotations

from connectors.roles import Dropped, Feed
from ledger import Ledger
from ledger.feeds import PASSED, Met, Named


def named(file: Dropped, number: int) -> Named:
    """As the ledger knows it."""
    return Named(
        name=file.name,
        source=file.source,
        sequence=number,
        series=file.series,
        kind=file.kind or "",
        mode=file.mode,
        size=file.size,
        modified=file.modified,
    )


class Turns:
    """Which number comes next, in each row of numbers."""

    def __init__(self, ledger: Ledger, feed: Feed) -> None:
        self._ledger = ledger
        self._feed = feed
        self._lasts: dict[tuple[str, str], int | None] = {}

    def row_of(self, file: Dropped) -> tuple[str, str]:
        """Source and, where each kind has numbers of its own, series."""
        apart = self._feed.numbering == "series" or not file.source
        return file.source, file.series if apart else ""

    @staticmethod
    def number_of(file: Dropped, met: Met | None) -> int:
        """Its number; one without gets the next, or keeps that under which it was begun."""
        if file.sequence is not None:
            return file.sequence
        if met is None:
            return 1
        return met.sequence + 1 if met.state in PASSED else met.sequence

    def of(self, file: Dropped) -> str:
        """Whether it is its turn: "" if it is; before (we began later), late, or the sentence that says what is missing."""
        if file.sequence is None:
            return ""
        row, number = self.row_of(file), file.sequence
        if row not in self._lasts:
            self._lasts[row] = self._ledger.feeds.last(self._feed.name, *row)
        last = self._lasts[row]
        if last is None:
            # Files come in the order of their numbers: this is the lowest that is there.
            first = number if self._feed.first is None else self._feed.first
            if number < first:
                return "before"
            last = first - 1
        if number <= last:
            known = self._feed.first is not None and number < self._feed.first
            return "before" if known else "late" if number < last else ""
        if number == last + 1:
            return ""
        missing = f"{last + 1:07d}" if number == last + 2 else f"{last + 1:07d} to {number - 1:07d}"
        which = f" of {row[1]}" if row[1] else ""
        return (
            f"Number {missing}{which} is missing: {file.name} waits for it, and all behind it. What to do: have it dropped; if "
            f"it never comes, `orderwire feed skip {self._feed.name} {last + 1}`."
        )

    def passed(self, file: Dropped) -> None:
        """It is done with."""
        if file.sequence is not None:
            self._lasts[self.row_of(file)] = file.sequence
