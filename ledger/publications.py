"""What each portal should show, what it was told, and the numbered files in which it was told.

A file's number is taken in the transaction that writes down that it is being made, and goes to no other file, whatever
happens: intended (its content may be made again) -> staged (it is complete, its rows count as told) -> given.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from core.errors import LeaseLost
from core.keys import Key
from ledger import statements
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import RANK, Route
from ledger.reprows import chunks

FileState = Literal["intended", "staged", "given"]
_BEGAN: Final = 1_577_836_800
"""2020-01-01 in seconds: versions are seconds since then, or one more than the last where that is later."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One customer at one portal. `card`: digest of the card it was made from. `told`: "" where it is not known what the portal
    has. `version` grows with every state, also over a ledger that was set back to an older backup.
    """

    portal: str
    source: str
    customer: str
    wanted: str
    told: str
    card: str
    version: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a portal should show of a customer."""

    customer: str
    digest: str
    card: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class FileRow:
    """One numbered file. `mark` is its own, whatever other ledger gave the same number."""

    portal: str
    sequence: int
    source: str
    kind: str
    mode: str
    mark: str
    state: str
    rows: int
    begun_at: datetime
    given_at: datetime | None


class Publications:
    """One row a portal and customer; one row a file."""

    def __init__(self, db: Database) -> None:
        self.db = db
        table = t.publication
        one = (
            (table.c.portal == sa.bindparam("b_portal"))
            & (table.c.source == sa.bindparam("b_source"))
            & (table.c.customer == sa.bindparam("b_customer"))
        )
        self._one = db.prepare(sa.select(table).where(one))
        # What was wanted meanwhile as a later version may be on its way already: then nobody knows what the portal has.
        same = table.c.version == sa.bindparam("b_version")
        told = sa.case((same, sa.bindparam("b_told", type_=sa.String)), else_="")
        self._told = db.prepare(sa.update(table).where(one).values(told=told, told_at=db.now))
        insert = db.insert(table)
        changed = {name: insert.excluded[name] for name in ("wanted", "card", "gone", "wanted_at")}
        self._upsert = db.prepare(
            insert.on_conflict_do_update(
                index_elements=["portal", "source", "customer"],
                set_={**changed, "version": _later(insert.excluded.version)},
                where=table.c.wanted != insert.excluded.wanted,
            ).returning(table.c.version)
        )
        self._want_job = db.prepare(statements.want_job(db))

    # -- what should be shown --------------------------------------------------------------------------------------

    def get(self, portal: str, source: str, customer: str) -> Publication | None:
        """One indexed read."""
        rows = self.db.rows(self._one, {"b_portal": portal, "b_source": source, "b_customer": customer})
        return _publication(rows[0]) if rows else None

    def want(self, portal: str, source: str, wanted: Wanted, route: Route, job: Key) -> bool:
        """The portal should show this, and `job` brings it there: in one transaction. False: it was wanted so already."""
        known = self.get(portal, source, wanted.customer)
        if known is None and wanted.gone:
            return False  # it was never told of this customer
        if known is not None and known.wanted == wanted.digest:
            if known.card != wanted.card:
                self.db.transact(lambda connection: self._other_card(connection, known, wanted, route, job))
            return False
        return self.db.transact(lambda connection: self._want(connection, portal, source, wanted, route, job))

    def _want(self, connection: Connection, portal: str, source: str, wanted: Wanted, route: Route, job: Key) -> bool:
        now = self.db.micros()
        row = {"portal": portal, "source": source, "customer": wanted.customer, "wanted_at": now}
        row["version"] = self._moment()
        said = {"wanted": wanted.digest, "card": wanted.card, "gone": wanted.gone}
        changed = self._upsert.on(connection, {**row, **said}).first()
        if changed is None:
            return False
        self._job(connection, route, job, wanted.customer if job.id == wanted.customer else "", now)
        return True

    def _other_card(self, connection: Connection, known: Publication, wanted: Wanted, route: Route, job: Key) -> None:
        """The same for this portal, made from another card. Where one job makes files of everything, somebody on that card may
        be another one by now.
        """
        connection.execute(sa.update(t.publication).where(_mine(known)).values(card=wanted.card))
        if job.id != wanted.customer:
            self._job(connection, route, job, "", self.db.micros())

    def want_job(self, route: Route, job: Key) -> None:
        """Have it run, whatever is wanted."""
        self.db.transact(lambda connection: self._job(connection, route, job, "", self.db.micros()))

    def _job(self, connection: Connection, route: Route, job: Key, number: str, now: int) -> None:
        self._want_job.on(
            connection,
            {
                "flow": route.flow,
                "connection": job.connection,
                "kind": job.kind,
                "record_id": job.id,
                "target": route.target,
                "queue": route.queue,
                "rank": RANK[route.queue],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": number[:120],
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        )

    def telling(self, known: Publication, digest: str, *, gone: bool) -> Publication | None:
        """The portal is about to be told this state, and until `told` nobody knows what it has. A state that is newer than the
        wanted one is a version of its own. None: another one is wanted meanwhile.
        """
        version = known.version if digest == known.wanted else max(known.version + 1, self._moment())
        query = sa.update(t.publication).where(_mine(known), t.publication.c.version == known.version)
        values = {"told": "", "wanted": digest, "gone": gone, "version": version}
        rows = self.db.execute(query.values(**values).returning(t.publication))
        return _publication(rows[0]) if rows else None

    def told(self, publication: Publication, digest: str) -> None:
        """The portal has this state."""
        key = {"b_portal": publication.portal, "b_source": publication.source, "b_customer": publication.customer}
        self.db.execute(self._told, {**key, "b_told": digest, "b_version": publication.version})

    def tell_again(
        self, portal: str, source: str, customers: Sequence[str], route: Route, job: Callable[[str], Key]
    ) -> None:
        """Whatever the portal was told of these customers, it is to be told anew, as a later version; with their jobs, in one
        transaction.
        """
        table, version = t.publication, _later(sa.literal(self._moment()))
        mine = (table.c.portal == portal) & (table.c.source == source)

        def work(connection: Connection) -> None:
            for some in chunks(customers):
                query = sa.update(table).where(mine, table.c.customer.in_(some))
                connection.execute(query.values(told="", version=version))
            for customer in customers:
                self._job(connection, route, job(customer), customer, self.db.micros())

        self.db.transact(work)

    def _moment(self) -> int:
        return int(self.db.micros() // SECOND) - _BEGAN

    def untold(
        self, portal: str, source: str, *, gone: bool, after: str = "", limit: int = 500
    ) -> Sequence[Publication]:
        """Customers whose state the portal does not have, by customer number."""
        table = t.publication.c
        query = sa.select(t.publication).where(
            table.portal == portal,
            table.source == source,
            sa.text("wanted <> told"),
            table.gone == sa.literal(gone),
            table.customer > after,
        )
        return [_publication(row) for row in self.db.rows(query.order_by(table.customer).limit(limit))]

    def known(self, portal: str, source: str, customers: Sequence[str]) -> dict[str, Publication]:
        """By customer number."""
        found: dict[str, Publication] = {}
        table = t.publication.c
        for some in chunks(customers):
            query = sa.select(t.publication).where(
                table.portal == portal, table.source == source, table.customer.in_(some)
            )
            found |= {row.customer: _publication(row) for row in self.db.rows(query)}
        return found

    def counts(self, portal: str) -> tuple[int, int]:
        """(customers the portal should show, those of them whose present state it does not have)."""
        table = t.publication.c
        late = sa.func.sum(sa.case((table.wanted != table.told, 1), else_=0))
        row = self.db.rows(sa.select(sa.func.count().label("number"), late.label("late")).where(table.portal == portal))
        return int(row[0].number), int(row[0].late or 0)

    def orphans(self, portal: str, source: str, *, after: str = "", limit: int = 500) -> Sequence[Publication]:
        """Customers whom the portal should show and who have no card any more, by customer number."""
        table, card = t.publication.c, t.rep_card.c
        kept = sa.select(sa.literal(1)).where(card.source == table.source, card.customer == table.customer)
        query = sa.select(t.publication).where(
            table.portal == portal,
            table.source == source,
            table.gone == sa.false(),
            table.customer > after,
            ~kept.exists(),
        )
        return [_publication(row) for row in self.db.rows(query.order_by(table.customer).limit(limit))]

    # -- files -----------------------------------------------------------------------------------------------------

    def last_file(self, portal: str) -> FileRow | None:
        """The one with the highest number."""
        query = sa.select(t.portal_file).where(t.portal_file.c.portal == portal)
        rows = self.db.rows(query.order_by(t.portal_file.c.sequence.desc()).limit(1))
        return _file(rows[0]) if rows else None

    def files(self, portal: str, limit: int = 20) -> list[FileRow]:
        """The latest files, newest first."""
        query = sa.select(t.portal_file).where(t.portal_file.c.portal == portal)
        return [_file(row) for row in self.db.rows(query.order_by(t.portal_file.c.sequence.desc()).limit(limit))]

    def unfinished(self, portal: str) -> FileRow | None:
        """The file that is being made: there is one at most, the last."""
        last = self.last_file(portal)
        return last if last is not None and last.state != "given" else None

    def begin_file(self, portal: str, source: str, kind: str, mode: str, *, first: int) -> FileRow:
        """Take the next number, at least `first`. Whoever makes files for a portal is alone with it (a lane)."""

        def work(connection: Connection) -> FileRow:
            table = t.portal_file
            highest = connection.execute(sa.select(sa.func.max(table.c.sequence)).where(table.c.portal == portal))
            values = {
                "portal": portal,
                "sequence": max((highest.scalar() or 0) + 1, first),
                "source": source,
                "kind": kind,
                "mode": mode,
                "mark": uuid.uuid4().hex,
                "state": "intended",
                "begun_at": self.db.micros(),
            }
            return _file(connection.execute(sa.insert(table).values(**values).returning(table)).one())

        return self.db.transact(work)

    def renumber(self, file: FileRow, first: int) -> FileRow:
        """An intended file whose number turned out to be used elsewhere gets a later one."""

        def work(connection: Connection) -> FileRow:
            self._unstage(connection, file)
            query = sa.update(t.portal_file).where(_this(file), t.portal_file.c.state == "intended")
            return _file(connection.execute(query.values(sequence=first).returning(t.portal_file)).one())

        return self.db.transact(work)

    def restart(self, file: FileRow) -> None:
        """Its rows are gathered anew: what an earlier try had gathered is forgotten."""
        self.db.transact(lambda connection: self._unstage(connection, file))

    @staticmethod
    def _unstage(connection: Connection, file: FileRow) -> None:
        for table in (t.publication, t.portal_contact):
            mine = (table.c.portal == file.portal) & (table.c.file == file.sequence)
            connection.execute(sa.update(table).where(mine).values(file=0, staged=""))

    def gather(self, file: FileRow, rows: Iterable[Wanted]) -> None:
        """These customers, in these states, are in the file. What was not wanted so yet is from now on."""
        table = t.publication
        insert = self.db.insert(table)
        upsert = insert.on_conflict_do_update(
            index_elements=["portal", "source", "customer"],
            set_={name: insert.excluded[name] for name in ("staged", "file")},
        )
        now = self.db.micros()
        values = [
            {
                "portal": file.portal,
                "source": file.source,
                "customer": row.customer,
                "wanted": row.digest,
                "card": row.card,
                "version": self._moment(),
                "wanted_at": now,
                "staged": row.digest,
                "file": file.sequence,
            }
            for row in rows
        ]
        if values:
            self.db.transact(lambda connection: connection.execute(upsert, values))

    def gather_contacts(self, file: FileRow, rows: Iterable[tuple[str, str]]) -> None:
        """(contact, digest) of who is in the file."""
        insert = self.db.insert(t.portal_contact)
        upsert = insert.on_conflict_do_update(
            index_elements=["portal", "source", "contact"],
            set_={name: insert.excluded[name] for name in ("staged", "file")},
        )
        keys = {"portal": file.portal, "source": file.source, "file": file.sequence}
        values = [{**keys, "contact": contact, "staged": digest} for contact, digest in rows]
        if values:
            self.db.transact(lambda connection: connection.execute(upsert, values))

    def staged(self, file: FileRow, rows: int) -> None:
        """The file is complete where the portal does not look: from now on it is only given, never made again. Raises LeaseLost
        where somebody else has finished it meanwhile.
        """
        table = t.portal_file
        query = sa.update(table).where(_this(file), table.c.state == "intended").values(state="staged", rows=rows)

        def work(connection: Connection) -> bool:
            mine = connection.execute(query.returning(table.c.sequence)).first() is not None
            if mine and file.mode == "full":
                self._drop_others(connection, file)
            return mine

        if not self.db.transact(work):
            raise LeaseLost(
                "The job was given to another worker meanwhile. What to do: nothing, the other one carries on.",
                detail=f"file {file.sequence} of {file.portal}",
            )

    @staticmethod
    def _drop_others(connection: Connection, file: FileRow) -> None:
        """What a full file does not hold, the portal has no more. Who is gone is forgotten; who could not be told comes back
        with a later file.
        """
        customers = file.kind == "customers"
        table = t.publication if customers else t.portal_contact
        others = (table.c.portal == file.portal) & (table.c.source == file.source) & (table.c.file != file.sequence)
        if customers:
            connection.execute(sa.update(table).where(others, table.c.gone == sa.false()).values(told=""))
            others &= table.c.gone == sa.true()
        connection.execute(sa.delete(table).where(others))

    def given(self, file: FileRow) -> None:
        """The portal has it; its rows are told. In portions, so that intake goes on meanwhile: safe to repeat."""
        for table in (t.publication, t.portal_contact):
            while self._tell_some(file, table):
                pass
        self.db.execute(sa.update(t.portal_file).where(_this(file)).values(state="given", given_at=self.db.now))

    def _tell_some(self, file: FileRow, table: sa.Table) -> bool:
        mine = (table.c.portal == file.portal) & (table.c.file == file.sequence)
        name = table.c.customer if table is t.publication else table.c.contact
        some = sa.select(name).where(mine, table.c.source == file.source).limit(2000)
        values: dict[str, Any] = {"told": table.c.staged, "staged": "", "file": 0}
        if table is t.publication:
            values["told_at"] = self.db.now
        done = self.db.execute(
            sa.update(table).where(mine, table.c.source == file.source, name.in_(some)).values(**values).returning(name)
        )
        return bool(done)

    def contacts(self, portal: str, source: str) -> dict[str, str]:
        """Contact -> the digest that the portal was told."""
        table = t.portal_contact.c
        query = sa.select(table.contact, table.told).where(table.portal == portal, table.source == source)
        return {row.contact: row.told for row in self.db.rows(query)}

    def seconds_since(self, file: FileRow) -> float:
        """Since it was begun."""
        begun = self.db.rows(sa.select((self.db.now - t.portal_file.c.begun_at).label("age")).where(_this(file)))
        return float(begun[0].age) / SECOND


def _mine(publication: Publication) -> sa.ColumnElement[bool]:
    table = t.publication.c
    return (
        (table.portal == publication.portal)
        & (table.source == publication.source)
        & (table.customer == publication.customer)
    )


def _later(moment: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    version = t.publication.c.version
    return sa.case((version >= moment, version + 1), else_=moment)


def _this(file: FileRow) -> sa.ColumnElement[bool]:
    return (t.portal_file.c.portal == file.portal) & (t.portal_file.c.sequence == file.sequence)


def _publication(row: Row[Any]) -> Publication:
    return Publication(
        row.portal, row.source, row.customer, row.wanted, row.told, row.card, row.version, bool(row.gone)
    )


def _file(row: Row[Any]) -> FileRow:
    return FileRow(
        row.portal,
        row.sequence,
        row.source,
        row.kind,
        row.mode,
        row.mark,
        row.state,
        row.rows,
        from_micros(row.begun_at),
        from_micros(row.given_at) if row.given_at is not None else None,
    )
