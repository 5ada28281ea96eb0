"""One file of a feed on its way: read and compared, judged, staged, carried over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from connectors.roles import BadRow, Dropped, DroppedRow, DroppedRows, Feed, Reading
from core.keys import Change
from ledger import Ledger
from ledger.alerts import Condition
from ledger.feeds import LISTED, Bad, Counts, FeedFile, Named, Staged

log = structlog.get_logger(__name__)

CHUNK: Final = 100
"""Rows that are carried over in one transaction: whoever waits for the database waits for no more."""
GONE_FROM: Final = 1 << 40
"""Lines of rows that are gone: behind all lines that a file has."""

Accept = Callable[[Sequence[Change]], object]


class Stopped(Exception):
    """The process ends; what was done so far stays."""


@dataclass(frozen=True, slots=True)
class Means:
    """What taking in a file needs."""

    ledger: Ledger
    feed: Feed
    accept: Accept
    stopping: Callable[[], bool]


class Taking:
    """One file on its way."""

    def __init__(self, means: Means, work: FeedFile, *, file: Dropped | None = None, accepted: bool = False) -> None:
        self.file = file or dropped_of(work.file)
        self.work = work
        self.carried = 0
        self._means = means
        self._feeds = means.ledger.feeds
        self._feed = means.feed
        self._accepted = accepted
        self._full = self.file.mode == "FULL"
        self._total, self._lowest, highest = self._feeds.extent(work.connection, work.file.kind)
        self._marks = bytearray(highest - self._lowest + 1 if self._total and self._full else 0)
        self._count: dict[str, int] = dict.fromkeys(Counts.__slots__, 0)
        self._marked = 0
        self._nameless = 0
        self._sample = ""

    def run(self) -> str:
        """Read it, unless that is over, and carry it over. Why it waits for a person; "" when it is done. Raises `NotWhole`,
        `Unusable`, `Stopped`, `LeaseLost`.
        """
        if not self.work.staged:
            self._read()
            doubt = "" if self._accepted else self._doubt()
            if doubt:
                return self.hold(doubt)
            self._stage_gone()
            self.work = self._feeds.note(self.work, "switching", counts=self._counts, staged=True)
        self._switch()
        return ""

    def hold(self, why: str) -> str:
        """It waits for a person, and nothing of it is taken over."""
        self._feeds.unstage(self.work)
        self.work = self._feeds.note(self.work, "held", why, self._counts)
        return why

    def wait(self, why: str) -> None:
        """It is looked at again in the next round."""
        self._feeds.unstage(self.work)
        self.work = self._feeds.note(self.work, "reading", why)

    @property
    def _counts(self) -> Counts:
        return Counts(**self._count)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        with self._feed.reading(self.file, anyway=self._accepted) as reading:
            for part in reading.parts():
                if self._means.stopping():
                    raise Stopped
                self._compare(part, reading)

    def _compare(self, part: DroppedRows, reading: Reading) -> None:
        bad = list(part.bad)
        keys = [row.key for row in part.rows]
        keys += [one.key for one in bad if one.key]
        known = self._feeds.known(self.work.connection, self.work.file.kind, keys) if keys else {}
        for one in bad:
            self._mark_bad(one, known)
        compare = self._compare_full if self._full else self._compare_net
        staged = compare(part.rows, known, bad)
        self._count["rows"] += len(part.rows) + len(part.bad) + part.left_out
        self._count["same"] += part.left_out
        room = max(0, LISTED - self._count["bad"])
        self._count["bad"] += len(bad)
        if bad and not self._sample:
            self._sample = f"Line {bad[0].line}: {bad[0].reason}"
        rows = [
            Staged(row.line, row.key, None, None)
            if row.gone
            else Staged(row.line, row.key, row.digest, reading.raw(row))
            for row in staged
        ]
        self._feeds.stage(self.work, rows, [Bad(one.line, one.key, one.reason) for one in bad[:room]])

    def _mark_bad(self, one: BadRow, known: dict[str, tuple[int, bytes]]) -> None:
        """A row that cannot be read is no row that is missing: what it names stays. Which one is meant may be unknown."""
        found = known.get(one.key)
        if not one.key:
            self._nameless += 1
        elif found is not None and self._full:
            self._marked += not self._marks[found[0] - self._lowest]
            self._marks[found[0] - self._lowest] = 1

    def _compare_full(
        self, rows: Sequence[DroppedRow], known: dict[str, tuple[int, bytes]], bad: list[BadRow]
    ) -> list[DroppedRow]:
        """What is to be staged. A key that stands there twice: the first row counts."""
        marks, lowest, count = self._marks, self._lowest, self._count
        new = [row.key for row in rows if row.key not in known]
        before = dict(self._feeds.twice(self.work, new))
        staged: list[DroppedRow] = []
        same = 0
        for row in rows:
            found = known.get(row.key)
            if found is None:
                if row.key in before:
                    bad.append(_twice(row, before[row.key]))
                elif row.gone:
                    same += 1
                else:
                    before[row.key] = row.line
                    count["added"] += 1
                    staged.append(row)
                continue
            place = found[0] - lowest
            if marks[place]:
                bad.append(_twice(row, 0))
                continue
            marks[place] = 1
            self._marked += 1
            if row.gone:
                count["removed"] += 1
                staged.append(row)
            elif found[1] == row.digest:
                same += 1
            else:
                count["changed"] += 1
                staged.append(row)
        count["same"] += same
        return staged

    def _compare_net(
        self, rows: Sequence[DroppedRow], known: dict[str, tuple[int, bytes]], bad: list[BadRow]
    ) -> list[DroppedRow]:
        """What is to be staged. A key that stands there twice changed twice: the last row counts."""
        count = self._count
        before = self._feeds.twice(self.work, [row.key for row in rows])
        staged: dict[str, DroppedRow] = {}
        for row in rows:
            found = known.get(row.key)
            again = row.key in staged or row.key in before
            as_known = found is None if row.gone else found is not None and found[1] == row.digest
            if as_known and not again:
                count["same"] += 1
                continue
            if not again:
                count["removed" if row.gone else "added" if found is None else "changed"] += 1
            staged[row.key] = row
        return list(staged.values())

    # -- judging -------------------------------------------------------------------------------------------------------

    def _doubt(self) -> str:
        """Why a person must decide; "" where nobody need."""
        rows, bad = self._count["rows"], self._count["bad"]
        name = self.file.name
        advice = f"What to do: look at the file; then `orderwire feed accept {name}` or `orderwire feed refuse {name}`."
        if bad > self._feed.bad * rows and not (bad <= 1 < rows):
            listed = f"`orderwire feed bad {name}` lists them."
            return f"{bad} of {rows} rows of {name} cannot be read. {self._sample} {listed} {advice}"
        missing = self._missing
        if missing > self._feed.removal * self._total:
            return (
                f"{name} has {missing} of the {self._total} records no more, over {self._feed.removal:.0%}: nothing of it was "
                f"taken over. {advice}"
            )
        return ""

    @property
    def _missing(self) -> int:
        """Records that a FULL would remove."""
        if not self._full or self._nameless:
            return 0
        return self._total - self._marked + self._count["removed"]

    def _stage_gone(self) -> None:
        """What a FULL does not have is gone; not where a row is bad that may be the one."""
        if not self._full or self._nameless or self._marked == self._total:
            return
        line = GONE_FROM
        for page in self._feeds.each(self.work.connection, self.work.file.kind):
            gone = [key for key, id in page if not self._marks[id - self._lowest]]
            self._feeds.stage(self.work, [Staged(line + place, key, None, None) for place, key in enumerate(gone)])
            line += len(gone)
            self._count["removed"] += len(gone)

    # -- carrying over -------------------------------------------------------------------------------------------------

    def _switch(self) -> None:
        for chunk in self._chunks():
            self._means.accept([self._change(row) for row in chunk])
            self._feeds.settle(self.work, chunk)
            self.carried += len(chunk)
            if self._means.stopping():
                raise Stopped
        counts = self.work.counts
        self.work = self._feeds.note(self.work, "done", self._words(counts))
        self._tell_bad(counts)
        log.info("a file was taken in", connection=self.work.connection, file=self.file.name, rows=counts.rows)

    def _chunks(self) -> Iterator[list[Staged]]:
        while chunk := self._feeds.staged(self.work, CHUNK):
            yield chunk

    def _change(self, row: Staged) -> Change:
        content = row.digest.hex() if row.digest is not None else ""
        return self._feed.change(self.file, row.line, row.key, row.raw, content)

    def _words(self, counts: Counts) -> str:
        said = f"{counts.rows} rows: {counts.added} new, {counts.changed} other, {counts.removed} gone, {counts.same} as before"
        said += f", {counts.bad} bad." if counts.bad else "."
        if self._nameless and self._full:
            said += (
                f" Nothing was removed: {self._nameless} bad rows name no record, and may be the ones that are missing."
            )
        return said

    def _tell_bad(self, counts: Counts) -> None:
        cause = f"feed-rows/{self.work.connection}/{self.file.series}"
        if not counts.bad:
            self._means.ledger.alerts.close(cause, "The newest file has no bad rows.")
            return
        title = f"{counts.bad} rows of {self.file.name} were not taken in"
        listed = f"`orderwire feed bad {self.file.name}` lists them; have them corrected in the ERP."
        message = f"{self._sample} What to do: {listed}".strip()
        facts: dict[str, Any] = {"connection": self.work.connection, "file": self.file.name, "rows": counts.bad}
        self._means.ledger.alerts.open(Condition(cause, title, message, facts=facts))


def _twice(row: DroppedRow, line: int) -> BadRow:
    first = f"in line {line}" if line else "before"
    return BadRow(row.line, f"{row.key} stands {first} already; the first row counts.", row.key)


def dropped_of(file: Named) -> Dropped:
    """As the place listed it."""
    return Dropped(
        name=file.name,
        source=file.source,
        sequence=file.sequence,
        series=file.series,
        kind=file.kind or None,  # type: ignore[arg-type]  # it came from there
        mode=file.mode,
        size=file.size,
        modified=file.modified,
    )
