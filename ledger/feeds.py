"""Files that an ERP drops, as far as they are taken in: which file, what its rows looked like, what is about to be carried.

A row is known by its key and the digest of its text; a row that looks as before is written nowhere. What is new, other or gone
stands in a stage first; from there it is taken over a chunk at a time (`settle`), so that whoever waits for the database waits
shortly, and what was interrupted goes on. Whoever reads a file holds its token: a second reader's writes are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros, to_micros
from core.errors import LeaseLost
from ledger import tables as t
from ledger.audit import Audit
from ledger.database import Database

FileMode = Literal["FULL", "NET"]
FileState = Literal["reading", "switching", "done", "held", "accepted", "refused", "skipped"]
"""reading, switching: at work, or interrupted there. held: a person must decide; accepted: one did, it is read again.
refused, skipped: passed over, by a person or because nobody reads such files here.
"""
PASSED: Final = ("done", "refused", "skipped")
CLEAR: Final = 5_000
"""Rows that one statement removes at most."""
LISTED: Final = 10_000
"""Bad rows of a file that are listed; beyond that they are only counted."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Named:
    """A file as its place lists it. `series`: files numbered together; `kind`: what it tells, "" where it is not read."""

    name: str
    source: str
    sequence: int
    series: str
    kind: str
    mode: FileMode
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """What a file's rows were: same, changed, added and removed rows; bad ones are not taken in."""

    rows: int = 0
    same: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file that was met, and what became of it."""

    id: int
    connection: str
    file: Named
    state: FileState
    token: int
    counts: Counts
    staged: bool
    """Everything that it changes is in the stage: reading is over."""
    message: str
    decided_by: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Staged:
    """A row about to be taken over. `digest` None: it is gone."""

    line: int
    key: str
    digest: bytes | None
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be taken in, and why."""

    line: int
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a file, in short."""

    sequence: int
    size: int
    modified: datetime
    state: FileState
    decided_by: str

    def is_still(self, file: Named) -> bool:
        """Whether it lies there as it did."""
        return (self.size, self.modified) == (file.size, file.modified)


class Feeds:
    """Files, rows and the stage between them."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit
        among = "key IN (SELECT value FROM json_each(:keys))" if db.is_sqlite else "key = ANY(:keys)"
        where = "connection = :connection AND kind = :kind"
        self._known = sa.text(f"SELECT key, id, digest FROM feed_row WHERE {where} AND {among}")  # noqa: S608 - no input
        self._twice = sa.text(f"SELECT key, line FROM feed_stage WHERE file_id = :file AND {among}")  # noqa: S608
        row = db.insert(t.feed_row)
        self._keep = row.on_conflict_do_update(
            index_elements=["connection", "kind", "key"], set_={"digest": row.excluded.digest}
        )
        stage = db.insert(t.feed_stage)
        self._stage = stage.on_conflict_do_update(
            index_elements=["file_id", "key"],
            set_={name: stage.excluded[name] for name in ("line", "digest", "raw")},
        )

    # -- files ---------------------------------------------------------------------------------------------------------

    def files(self, connection: str = "", *, states: Sequence[str] = (), limit: int = 50) -> list[FeedFile]:
        """Files, the newest first."""
        query = sa.select(t.feed_file).order_by(t.feed_file.c.id.desc()).limit(limit)
        if connection:
            query = query.where(t.feed_file.c.connection == connection)
        if states:
            query = query.where(t.feed_file.c.state.in_(states))
        return [_file(row) for row in self.db.rows(query)]

    def file(self, connection: str, name: str, sequence: int | None = None) -> FeedFile | None:
        """The file of this name; of several that had it one after another, the one with this number, or the newest."""
        query = sa.select(t.feed_file).where(t.feed_file.c.connection == connection, t.feed_file.c.name == name)
        if sequence is not None:
            query = query.where(t.feed_file.c.sequence == sequence)
        rows = self.db.rows(query.order_by(t.feed_file.c.sequence.desc()).limit(1))
        return _file(rows[0]) if rows else None

    def met(self, connection: str) -> dict[str, Met]:
        """Every name that was met, each with what became of the newest file of this name."""
        file = t.feed_file.c
        columns = (file.name, file.sequence, file.size, file.modified, file.state, file.decided_by)
        query = sa.select(*columns).where(file.connection == connection).order_by(file.sequence)
        return {
            name: Met(sequence, size, from_micros(modified), state, by)
            for name, sequence, size, modified, state, by in self.db.rows(query)
        }

    def last(self, connection: str, source: str, series: str = "") -> int | None:
        """The highest number that was passed, of this series alone where one is given. None: none yet."""
        query = sa.select(sa.func.max(t.feed_file.c.sequence)).where(
            t.feed_file.c.connection == connection, t.feed_file.c.source == source, t.feed_file.c.state.in_(PASSED)
        )
        if series:
            query = query.where(t.feed_file.c.series == series)
        found = self.db.rows(query)[0][0]
        return None if found is None else int(found)

    def begin(
        self, connection: str, file: Named, *, state: FileState = "reading", message: str = "", decided_by: str = ""
    ) -> FeedFile:
        """The file's row, with a new token: whoever held the last one is out. What was staged of an interrupted reading stays
        only where the reading was over.
        """
        found = self.file(connection, file.name, file.sequence)
        if found is not None and found.staged and found.state == "switching":
            id = found.id
            return self.db.transact(lambda one: self._taken(one, id))
        if found is not None:
            self._clear(t.feed_stage, found.id)
            self._clear(t.feed_bad, found.id)
        return self.db.transact(lambda one: self._begun(one, connection, file, state, message, decided_by))

    def _begun(
        self, connection: Connection, name: str, file: Named, state: FileState, message: str, decided_by: str
    ) -> FeedFile:
        now = self.db.micros()
        values = {
            "source": file.source,
            "series": file.series,
            "kind": file.kind,
            "mode": file.mode,
            "size": file.size,
            "modified": to_micros(file.modified),
            "state": state,
            "message": message,
            "decided_by": decided_by[:120],
            "staged": False,
            "started_at": now,
            "ended_at": now if state in PASSED else None,
            "updated_at": now,
            **dict.fromkeys(("rows", "same", "changed", "added", "removed", "bad"), 0),
        }
        insert = self.db.insert(t.feed_file).values(
            connection=name, name=file.name, sequence=file.sequence, token=1, **values
        )
        made = insert.on_conflict_do_update(
            index_elements=["connection", "name", "sequence"], set_={**values, "token": t.feed_file.c.token + 1}
        ).returning(t.feed_file)
        return _file(connection.execute(made).one())

    def _taken(self, connection: Connection, id: int) -> FeedFile:
        update = sa.update(t.feed_file).where(t.feed_file.c.id == id)
        values = {"token": t.feed_file.c.token + 1, "updated_at": self.db.micros()}
        return _file(connection.execute(update.values(**values).returning(t.feed_file)).one())

    def note(
        self, work: FeedFile, state: FileState, message: str = "", counts: Counts | None = None, *, staged: bool = False
    ) -> FeedFile:
        """What has become of the file."""
        now = self.db.micros()
        values: dict[str, Any] = {"state": state, "message": message, "staged": staged, "updated_at": now}
        if counts is not None:
            values |= {name: getattr(counts, name) for name in counts.__slots__}
        if state in {*PASSED, "held"}:
            values["ended_at"] = now

        def write(connection: Connection) -> FeedFile:
            self._ours(connection, work)
            update = sa.update(t.feed_file).where(t.feed_file.c.id == work.id).values(**values)
            return _file(connection.execute(update.returning(t.feed_file)).one())

        return self.db.transact(write)

    def decide(self, file: FeedFile, state: Literal["accepted", "refused"], *, by: str) -> bool:
        """What a person says about a held file, noted in the audit. False: it is not held any more."""

        def write(connection: Connection) -> bool:
            held = (t.feed_file.c.id == file.id) & (t.feed_file.c.state == "held") & (t.feed_file.c.token == file.token)
            values = {"state": state, "decided_by": by[:120], "updated_at": self.db.micros()}
            found = connection.execute(sa.update(t.feed_file).where(held).values(**values).returning(t.feed_file.c.id))
            if found.first() is None:
                return False
            facts = {"file": file.file.name, "removed": file.counts.removed, "bad": file.counts.bad}
            self.audit.append(connection, by, f"feed.{state}", f"feed/{file.connection}", facts)
            return True

        return self.db.transact(write)

    def skip(self, connection: str, file: Named, *, by: str, message: str) -> FeedFile:
        """A number that will not come is passed over, by a person; noted in the audit."""

        def write(one: Connection) -> FeedFile:
            found = self._begun(one, connection, file, "skipped", message, by)
            facts = {"source": file.source, "sequence": file.sequence}
            self.audit.append(one, by, "feed.skip", f"feed/{connection}", facts)
            return found

        return self.db.transact(write)

    def _ours(self, connection: Connection, work: FeedFile) -> None:
        query = self.db.lock_rows(sa.select(t.feed_file.c.token).where(t.feed_file.c.id == work.id))
        if connection.execute(query).scalar() != work.token:
            raise LeaseLost(
                f"Somebody else has begun to read {work.file.name}. What to do: nothing, they go on with it.",
                detail=f"feed file {work.id}",
            )

    # -- rows ----------------------------------------------------------------------------------------------------------

    def known(self, connection: str, kind: str, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Number and digest of those of these rows that were there before."""
        given = {"connection": connection, "kind": kind, "keys": self._array(keys)}
        with self.db.read() as one:
            return {key: (id, digest) for key, id, digest in one.execute(self._known, given).all()}

    def _array(self, keys: Sequence[str]) -> object:
        return json.dumps(list(keys)) if self.db.is_sqlite else list(keys)

    def extent(self, connection: str, kind: str) -> tuple[int, int, int]:
        """How many rows there are, and the lowest and highest of their numbers."""
        row = t.feed_row.c
        query = sa.select(sa.func.count(), sa.func.min(row.id), sa.func.max(row.id)).where(
            row.connection == connection, row.kind == kind
        )
        count, lowest, highest = self.db.rows(query)[0]
        return int(count), int(lowest or 0), int(highest or 0)

    def each(self, connection: str, kind: str, size: int = 5_000) -> Iterator[Sequence[tuple[str, int]]]:
        """Key and number of every row, in the order of keys."""
        row = t.feed_row.c
        query = sa.select(row.key, row.id).where(
            row.connection == connection, row.kind == kind, row.key > sa.bindparam("after")
        )
        query, after = query.order_by(row.key).limit(size), ""
        while found := self.db.rows(query, {"after": after}):
            after = found[-1].key
            yield [(key, id) for key, id in found]

    # -- the stage -----------------------------------------------------------------------------------------------------

    def stage(self, work: FeedFile, rows: Sequence[Staged], bad: Sequence[Bad] = ()) -> None:
        """Keep what is to be taken over; of a key that is there already the later row counts. Bad rows are listed."""

        def write(connection: Connection) -> None:
            self._ours(connection, work)
            if rows:
                values = [
                    {"file_id": work.id, "line": row.line, "key": row.key, "digest": row.digest, "raw": row.raw}
                    for row in rows
                ]
                connection.execute(self._stage, values)
            if bad:
                listed = [
                    {"file_id": work.id, "line": one.line, "key": one.key[:200], "reason": one.reason} for one in bad
                ]
                connection.execute(self.db.insert(t.feed_bad).on_conflict_do_nothing(), listed)

        if rows or bad:
            self.db.transact(write)

    def twice(self, work: FeedFile, keys: Sequence[str]) -> dict[str, int]:
        """Those of these keys that this file has staged before, each with its line."""
        if not keys:
            return {}
        with self.db.read() as one:
            given = {"file": work.id, "keys": self._array(keys)}
            return {key: int(line) for key, line in one.execute(self._twice, given)}

    def staged(self, work: FeedFile, limit: int) -> list[Staged]:
        """What is to be taken over next, in the order of lines."""
        stage = t.feed_stage.c
        query = sa.select(stage.line, stage.key, stage.digest, stage.raw).where(stage.file_id == work.id)
        return [
            Staged(line, key, None if digest is None else bytes(digest), None if raw is None else bytes(raw))
            for line, key, digest, raw in self.db.rows(query.order_by(stage.line).limit(limit))
        ]

    def settle(self, work: FeedFile, rows: Sequence[Staged]) -> None:
        """These rows were taken over: from now on they look like this, and are staged no more."""
        scope = {"connection": work.connection, "kind": work.file.kind}
        kept = [{**scope, "key": row.key, "digest": row.digest} for row in rows if row.digest is not None]
        gone = [row.key for row in rows if row.digest is None]
        row, stage = t.feed_row.c, t.feed_stage.c

        def write(connection: Connection) -> None:
            self._ours(connection, work)
            if kept:
                connection.execute(self._keep, kept)
            if gone:
                mine = (row.connection == work.connection) & (row.kind == work.file.kind) & row.key.in_(gone)
                connection.execute(sa.delete(t.feed_row).where(mine))
            lines = stage.line.in_([one.line for one in rows])
            connection.execute(sa.delete(t.feed_stage).where(stage.file_id == work.id, lines))

        if rows:
            self.db.transact(write)

    def unstage(self, work: FeedFile) -> None:
        """Nothing of it is to be taken over."""
        self._clear(t.feed_stage, work.id)

    def bad(self, file: FeedFile, *, limit: int = 100) -> list[Bad]:
        """Rows that were not taken in, by line."""
        query = sa.select(t.feed_bad.c.line, t.feed_bad.c.key, t.feed_bad.c.reason).where(
            t.feed_bad.c.file_id == file.id
        )
        return [Bad(*row) for row in self.db.rows(query.order_by(t.feed_bad.c.line).limit(limit))]

    def _clear(self, table: sa.Table, id: int) -> None:
        """A part at a time: nobody waits for the removal of a million rows."""
        lines = sa.select(table.c.line).where(table.c.file_id == id).order_by(table.c.line).limit(CLEAR)
        some = sa.delete(table).where(table.c.file_id == id, table.c.line.in_(lines.scalar_subquery()))
        remove: Callable[[Connection], int] = lambda connection: connection.execute(some).rowcount  # noqa: E731
        while self.db.transact(remove) >= CLEAR:
            pass


def _file(row: sa.Row[Any]) -> FeedFile:
    values: Any = row._mapping  # noqa: SLF001 - `count` and the like are also methods of rows
    named = Named(
        name=values["name"],
        source=values["source"],
        sequence=values["sequence"],
        series=values["series"],
        kind=values["kind"],
        mode=values["mode"],
        size=values["size"],
        modified=from_micros(values["modified"]),
    )
    return FeedFile(
        id=values["id"],
        connection=values["connection"],
        file=named,
        state=values["state"],
        token=values["token"],
        counts=Counts(*(values[name] for name in Counts.__slots__)),
        staged=bool(values["staged"]),
        message=values["message"],
        decided_by=values["decided_by"],
        started_at=from_micros(values["started_at"]),
        ended_at=from_micros(values["ended_at"]) if values["ended_at"] is not None else None,
    )
