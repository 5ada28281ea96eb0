"""Dropped files as an ERP. Nothing is ever written or removed where they lie."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import BinaryIO, Final, Literal

from connectors.feed import check
from connectors.feed.lines import HEAD, ends_with_line, lines, written_in
from connectors.feed.places import Place, Session
from connectors.feed.plans import Files, Series, unique, words_of
from connectors.feed.rows import Rows, records, split_csv
from connectors.feed.settings import FeedSettings
from connectors.feed.walk import from_text, start, to_text
from connectors.roles import (
    BadLevel,
    Dropped,
    DroppedRow,
    DroppedRows,
    ErpKind,
    Finding,
    NotWhole,
    Page,
    Reading,
    StockPage,
    Unusable,
)
from core.clock import Clock, to_micros
from core.errors import ConfigurationProblem, Held, NotThere, RetryLater
from core.keys import Change, Key
from mapping.canonical import ErpCustomer, ErpInvoice, ErpProduct, Region, SalesRep, StockLevel
from mapping.sheet import (
    Fields,
    customer_from_sheet,
    invoice_from_sheet,
    product_from_sheet,
    region_from_sheet,
    rep_from_sheet,
    stock_from_sheet,
)

_NUMBERED: Final[frozenset[str]] = frozenset({"customer", "product"})
"""Kinds whose id is what people call the record."""


class FileErp:
    """An ERP and a feed. Safe to share between threads."""

    def __init__(self, settings: FeedSettings, place: Place, clock: Clock) -> None:
        self.name = settings.name
        self.removal = settings.removal
        self.bad = settings.bad
        self.first = settings.first
        self.numbering: Literal["source", "series"] = settings.numbering
        self._settings = settings
        self._place = place
        self._clock = clock
        self._files = Files(settings)
        self._words = words_of(settings)
        self.kinds: frozenset[ErpKind] = self._files.kinds
        self._seen: dict[str, tuple[int, datetime, float]] = {}
        """Size, time and when we saw it like this first, by name: whether somebody still writes it."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Each session ends by itself."""

    # -- files ---------------------------------------------------------------------------------------------------------

    def dropped(self) -> Sequence[Dropped]:
        with self._place.session() as session:
            entries = session.list()
        found = [one for entry in entries if (one := self._files.dropped(entry)) is not None]
        sources = sorted({one.source for one in found if one.source})
        if len(sources) > 1:
            raise ConfigurationProblem(
                f"Files of several sources are dropped for {self.name}: {', '.join(sources)[:200]}. What to do: write the one "
                "that is meant into `source` of this connection; make a connection for each other one."
            )
        waiting = self._waiting(found)
        return sorted((replace(one, waits=waiting[one.name]) for one in found), key=_order)

    def _waiting(self, found: Sequence[Dropped]) -> dict[str, str]:
        """Who is still being written, as far as size and time tell: they have not changed for a while."""
        now, clock = self._clock.monotonic(), self._clock.now()
        settle = self._settings.settle
        with self._lock:
            seen = {one.name: self._seen.get(one.name) for one in found}
            self._seen = {
                one.name: before if before and before[:2] == (one.size, one.modified) else (one.size, one.modified, now)
                for one in found
                for before in [seen[one.name]]
            }
            steady = {name: now - since for name, (_, _, since) in self._seen.items()}
        old = timedelta(seconds=settle)
        return {
            one.name: ""
            if clock - one.modified >= old or steady[one.name] >= settle
            else f"It was changed less than {settle:g} seconds ago: it may still be written."
            for one in found
        }

    @contextmanager
    def reading(self, file: Dropped, *, anyway: bool = False) -> Iterator[FileReading]:
        with self._place.session() as session, session.open(file.name) as stream:
            yield FileReading(self._files, self._settings, file, session, stream, anyway=anyway)

    def change(self, file: Dropped, line: int, key: str, raw: bytes | None, content: str) -> Change:
        told = "\x1f".join((file.name, str(file.size), str(to_micros(file.modified)), str(line), key))
        return Change(
            key=Key(self.name, str(file.kind), key),
            stamp=None,
            raw=raw,
            dedupe=f"file/{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}",
            number=key[:120] if file.kind in _NUMBERED else "",
            topic=file.name[:80],
            deleted=raw is None,
            content=content,
        )

    # -- as an ERP that can be asked: from what lies there now -----------------------------------------------------------

    def changes_since(self, kind: ErpKind, cursor: str | None) -> Iterator[Page]:
        self._told(kind)
        files = [one for one in self.dropped() if one.kind == kind and not one.waits]
        place = from_text(cursor, self.name) if cursor is not None else start(files)
        for file in files:
            if place.passed(file):
                continue
            with self.reading(file) as reading:
                rows = (row for part in reading.parts() for row in part.rows if row.line > place.line_of(file))
                while page := list(islice(rows, self._settings.per_page)):
                    place = place.at(file, page[-1].line)
                    yield Page([self._change(file, reading, row) for row in page], to_text(place))
            place = place.after(file)
        yield Page([], to_text(place))

    def _change(self, file: Dropped, reading: Reading, row: DroppedRow) -> Change:
        return self.change(
            file, row.line, row.key, None if row.gone else reading.raw(row), "" if row.gone else row.digest.hex()
        )

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        """From the files that lie there. Where no FULL is among them, what they do not name is not gone."""
        try:
            whole = cursor is not None or any(one.mode == "FULL" for one in self._since_full("stock"))
            for page in self._levels(cursor):
                yield replace(page, whole=whole)
        except (NotWhole, Unusable) as error:
            raise RetryLater(
                f"A file of {self.name} with stock cannot be read to its end: {error} What to do: nothing while it is being "
                "written; else have it dropped again.",
                seconds=60,
                cause="parse",
                detail=type(error).__name__,
            ) from None

    def _levels(self, cursor: str | None) -> Iterator[StockPage]:
        """As `changes_since`, without what an event needs. A row that cannot be read is told: its level is not gone."""
        self._told("stock")
        files = [one for one in self.dropped() if one.kind == "stock" and not one.waits]
        place = from_text(cursor, self.name) if cursor is not None else start(files)
        for file in files:
            if place.passed(file):
                continue
            with self.reading(file) as reading:
                for part in reading.parts():
                    after = place.line_of(file)
                    bad = [BadLevel(one.key or f"line {one.line}", one.reason) for one in part.bad if one.line > after]
                    rows = [row for row in part.rows if row.line > after]
                    for at in range(0, max(len(rows), 1), self._settings.per_page):
                        some = rows[at : at + self._settings.per_page]
                        place = place.at(file, some[-1].line) if some else place
                        yield self._level_page(reading, some, bad if at == 0 else [], to_text(place))
            place = place.after(file)
        yield StockPage([], to_text(place))

    def _level_page(
        self, reading: FileReading, rows: Sequence[DroppedRow], bad: Sequence[BadLevel], cursor: str
    ) -> StockPage:
        levels, wrong = list[StockLevel](), list(bad)
        for row in rows:
            if not row.gone:
                try:
                    levels.append(stock_from_sheet(Key(self.name, "stock", row.key), reading.fields(row), self._words))
                except Held as error:
                    wrong.append(BadLevel(row.key, error.message))
        return StockPage(levels, cursor, [row.key for row in rows if row.gone], wrong)

    def ids(self, kind: ErpKind) -> Iterator[Sequence[str]]:
        self._told(kind)
        there: dict[str, None] = {}
        for file in self._since_full(kind):
            if file.mode == "FULL":
                there.clear()
            with self.reading(file) as reading:
                for part in reading.parts():
                    for row in part.rows:
                        if row.gone:
                            there.pop(row.key, None)
                        else:
                            there[row.key] = None
        found = iter(there)
        while page := list(islice(found, self._settings.per_page)):
            yield page

    def fetch(self, key: Key) -> Change:
        asked_at = self._clock.now()
        for file in reversed(self._since_full(key.kind)):
            change: Change | None = None
            with self.reading(file) as reading:
                for part in reading.parts():
                    for row in part.rows:
                        if row.key == key.id:
                            change = self._change(file, reading, row)
            if change is not None and not change.deleted:
                return replace(change, fetched_at=asked_at)
            if change is not None or file.mode == "FULL":
                break
        raise NotThere(
            f"The files of {self.name} that lie there do not tell {key.kind} {key.id[:80]}. What to do: see whether the ERP "
            "still has it; have a FULL dropped."
        )

    def _since_full(self, kind: str) -> list[Dropped]:
        """The newest FULL and what came after it."""
        files = [one for one in self.dropped() if one.kind == kind and not one.waits] if kind in self.kinds else []
        full = max((place for place, one in enumerate(files) if one.mode == "FULL"), default=0)
        return files[full:]

    def _told(self, kind: str) -> None:
        if kind not in self.kinds:
            raise ConfigurationProblem(
                f"No file of {self.name} tells {kind}. What to do: name its columns in this connection (`columns` or `files`); "
                "contacts are reps where `own` or `agencies` names their business."
            )

    # -- mapping -------------------------------------------------------------------------------------------------------

    def customer(self, key: Key, raw: bytes) -> ErpCustomer:
        return customer_from_sheet(key, self._files.fields("customer", raw), self._words)

    def rep(self, key: Key, raw: bytes) -> SalesRep:
        return rep_from_sheet(key, self._files.fields("rep", raw), self._words)

    def region(self, key: Key, raw: bytes) -> Region:
        return region_from_sheet(key, self._files.fields("region", raw), self._words)

    def product(self, key: Key, raw: bytes) -> ErpProduct:
        return product_from_sheet(key, self._files.fields("product", raw), self._words)

    def stock(self, key: Key, raw: bytes) -> StockLevel:
        return stock_from_sheet(key, self._files.fields("stock", raw), self._words)

    def invoice(self, key: Key, raw: bytes) -> ErpInvoice:
        return invoice_from_sheet(key, self._files.fields("invoice", raw), self._words)

    # -- looking after it ----------------------------------------------------------------------------------------------

    def check(self) -> Sequence[Finding]:
        return check.run(self._settings, self.kinds, self.dropped)


def _order(file: Dropped) -> tuple[int, int, str]:
    return (file.sequence if file.sequence is not None else -1, file.rank, file.name)


class FileReading:
    """One file, open."""

    def __init__(
        self,
        files: Files,
        settings: FeedSettings,
        file: Dropped,
        session: Session,
        stream: BinaryIO,
        *,
        anyway: bool,
    ) -> None:
        self._settings = settings
        self._files = files
        self._file = file
        self._session = session
        self._anyway = anyway
        self._series: Series = files.series_of(file)
        head = stream.read(HEAD)
        self._written = written_in(head, settings.encoding)
        self._end(stream)
        self._told: int | None = None
        self._lines = self._before_trailer(lines(stream, self._written))
        self._heading: list[str] = []
        sheet = self._series.sheet
        if sheet is not None:
            self._lines = records(self._lines)
            if sheet.heading:
                self._heading = unique(split_csv(sheet.delimiter)(next(self._lines, (0, ""))[1]))
        self._plan = files.plan(self._series, self._heading)
        self._rows = Rows(self._plan, self._lines)

    def _end(self, stream: BinaryIO) -> None:
        """A file without a line ending at its end was cut off, or is not written to its end yet."""
        if not self._settings.ending or self._anyway or not self._file.size:
            return
        stream.seek(max(0, self._file.size - 4))
        if not ends_with_line(stream.read(4), self._file.size, self._written):
            raise NotWhole("Its last line has no line ending: it is not written to its end, or was cut off.")

    def _before_trailer(self, found: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """All lines but the one that tells that the file is complete."""
        if not self._settings.trailer:
            yield from found
            return
        before: tuple[int, str] | None = None
        for line in found:
            if before is not None:
                yield before
            before = line
        last = re.fullmatch(self._settings.trailer, before[1]) if before is not None else None
        if last is not None:
            self._told = int(last["rows"]) if "rows" in last.re.groupindex else None
        elif self._anyway and before is not None:
            yield before
        elif not self._anyway:
            raise NotWhole("Its last line is not the one that tells it is complete (`trailer`).")

    def parts(self) -> Iterator[DroppedRows]:
        yield from self._rows.parts()
        now = self._session.entry(self._file.name)
        if now is None or (now.size, now.modified) != (self._file.size, self._file.modified):
            raise NotWhole("It was changed or taken away while it was read.")
        if self._told is not None and self._told != self._rows.count and not self._anyway:
            raise NotWhole(f"Its last line speaks of {self._told} rows, it has {self._rows.count}.")

    def raw(self, row: DroppedRow) -> bytes:
        return self._files.raw(self._series, self._heading, self._plan.split(row.text))

    def fields(self, row: DroppedRow) -> Fields:
        """The row's fields by our names."""
        return self._files.fields_of(self._series, self._heading, self._plan.split(row.text))


__all__ = ["FileErp", "FileReading"]
