"""Who has to be looked at again, and whose records in the CRM are."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import RANK, Route
from ledger.reprows import OrderRep, Owned, chunks, concerned

AT_ONCE: Final = 3000
"""Customers that are read at once."""


class RepSync:
    """Wakes, and what we gave away."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # -- looking again ---------------------------------------------------------------------------------------------

    def wake(self, source: str, routes: Sequence[Route], *, most: int = 5000) -> int:
        """Make due every customer that a change of the directory concerns; how many notes were done with. A few at a time, for
        orders write beside it; the notes go last, so a crash between wakes some of them twice and forgets nobody.
        """
        table = t.rep_touched
        notes = self.db.rows(sa.select(table).where(table.c.source == source).order_by(table.c.id).limit(most))
        codes: dict[str, set[str]] = {}
        for note in notes:
            codes.setdefault(note.what, set()).add(note.code)
        newest = max((note.version for note in notes), default=0)
        for customers in self._woken(source, codes):
            self._want_all(source, self._older(source, customers, newest), routes)

        def done_with(connection: Connection) -> None:
            for some in chunks([note.id for note in notes]):
                connection.execute(sa.delete(table).where(table.c.id.in_(some)))

        if notes:
            self.db.transact(done_with)
        return len(notes)

    def _want_all(self, source: str, customers: sa.Select[tuple[str]], routes: Sequence[Route]) -> None:
        """Make all of these due, however many they are: a transaction for each page."""
        column, card, after = customers.selected_columns[0], t.rep_card.c, ""
        while True:
            query = customers.where(column > after).order_by(column).limit(AT_ONCE)
            page = [str(row[0]) for row in self.db.rows(query)]
            if not page:
                return
            for some in chunks(page):
                chosen = sa.select(card.customer).where(card.source == source, card.customer.in_(some))
                self.db.transact(partial(self._want, source=source, customers=chosen, routes=routes))
            after = page[-1]

    @staticmethod
    def _older(source: str, customers: sa.Select[tuple[str]], version: int) -> sa.Select[tuple[str]]:
        """Those of them whose card was resolved with an older directory: the others know it already."""
        card = t.rep_card.c
        return sa.select(card.customer).where(
            card.source == source, card.version < version, card.customer.in_(customers.scalar_subquery())
        )

    def _woken(self, source: str, codes: Mapping[str, set[str]]) -> Iterable[sa.Select[tuple[str]]]:
        """Selects of customers whom these notes concern."""
        card = t.rep_card.c
        if "all" in codes:
            yield sa.select(card.customer).where(card.source == source)
            return
        concern = t.rep_concern.c
        columns = {"rep": ("rep", concern.code), "agency": ("rep", concern.agency), "region": ("region", concern.code)}
        for kind, (what, column) in columns.items():
            for some in chunks(sorted(codes.get(kind, ()))):
                yield concerned(source, what, column, some)
        for some in chunks(sorted(codes.get("customer", ()))):
            yield sa.select(card.customer).where(card.source == source, card.customer.in_(some))

    def wake_due(self, source: str, day: date, routes: Sequence[Route]) -> int:
        """Make due every customer whose answer may be another one from this day on. How many."""
        card, count = t.rep_card, 0
        due = (card.c.source == source) & (card.c.until != "") & (card.c.until <= day.isoformat())

        def work(connection: Connection, some: list[str]) -> int:
            mine = due & card.c.customer.in_(some)
            self._want(connection, source, sa.select(card.c.customer).where(mine), routes)
            return int(connection.execute(sa.update(card).where(mine).values(until="")).rowcount)

        # A few at a time, for orders write beside it.
        while found := [row.customer for row in self.db.rows(sa.select(card.c.customer).where(due).limit(AT_ONCE))]:
            for some in chunks(sorted(found)):
                count += self.db.transact(partial(work, some=some))
        return count

    def _want(
        self, connection: Connection, source: str, customers: sa.Select[tuple[str]], routes: Sequence[Route]
    ) -> None:
        """The jobs of these customers are due: one statement for each flow, however many they are."""
        found = customers.subquery()
        now, job = self.db.now, t.job.c
        going = job.state == "running"
        for route in routes:
            values: dict[str, Any] = {
                "flow": route.flow,
                "connection": source,
                "kind": "customer",
                "record_id": found.c.customer,
                "target": route.target,
                "queue": route.queue,
                "rank": RANK[route.queue],
                "state": "waiting",
                "due_at": now,
                "number": sa.func.substr(found.c.customer, 1, 120),
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            }
            columns = [value if isinstance(value, sa.ColumnElement) else sa.literal(value) for value in values.values()]
            # Ordered, so that two who wake the same customers do not wait for each other; `true`: SQLite's grammar wants it.
            chosen = sa.select(*columns).where(sa.true()).order_by(found.c.customer)
            insert = self.db.insert(t.job).from_select(list(values), chosen)
            fresh: dict[str, Any] = {"state": "waiting", "due_at": now, "failures": 0, "reason": "", "error_class": ""}
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["flow", "connection", "kind", "record_id"],
                    set_={
                        **{name: sa.case((going, job[name]), else_=value) for name, value in fresh.items()},
                        "wanted": job.wanted + 1,
                        "waiting_for": None,
                        "updated_at": now,
                    },
                )
            )

    def known_ids(self, source: str, kind: str) -> Iterator[str]:
        """Records of this kind that the ERP has, as far as we know."""
        record, after = t.record.c, ""
        while True:
            query = sa.select(record.record_id).where(
                record.connection == source, record.kind == kind, ~record.deleted, record.record_id > after
            )
            rows = self.db.rows(query.order_by(record.record_id).limit(5000))
            yield from (row.record_id for row in rows)
            if len(rows) < 5000:
                return
            after = rows[-1].record_id

    # -- the CRM ---------------------------------------------------------------------------------------------------

    def seat(self, flow: str, customer: str, *, identity: str, account: str) -> None:
        """Which account the customer has in the flow's CRM; "": none yet, `identity` (folded) is what to wait for."""
        values = {"identity": identity[:250], "account": account, "updated_at": self.db.micros()}
        insert = self.db.insert(t.rep_seat).values(flow=flow, customer=customer, **values)
        same = (t.rep_seat.c.identity == insert.excluded.identity) & (t.rep_seat.c.account == insert.excluded.account)
        self.db.execute(insert.on_conflict_do_update(index_elements=["flow", "customer"], set_=values, where=~same))

    def seated_at(self, flow: str, account: str) -> str:
        """The customer whose account this is; "" for nobody's, or that of several."""
        seat = t.rep_seat.c
        query = sa.select(seat.customer).where(seat.flow == flow, seat.account == account).limit(2)
        rows = self.db.rows(query)
        return str(rows[0].customer) if len(rows) == 1 else ""

    def wake_seated(self, route: Route, source: str, match_kind: str, link_kind: str) -> int:
        """Make due every customer without an account whose identity the CRM has by now: in the party index under `match_kind`,
        or linked as `link_kind/<identity>`. They wait no more until they were looked at. How many.
        """
        seat, party, link = t.rep_seat, t.party_index, t.link
        there = sa.select(party.c.id).where(
            party.c.connection == route.target, party.c.match_kind == match_kind, party.c.value == seat.c.identity
        )
        linked = sa.select(link.c.id).where(
            link.c.target == route.target,
            link.c.kind == "customer",
            link.c.key == sa.literal(f"{link_kind}/") + seat.c.identity,
            link.c.state == "linked",
        )
        waiting = (seat.c.flow == route.flow) & (seat.c.account == "") & (seat.c.identity != "")
        query = sa.select(seat.c.customer).where(waiting, there.exists() | linked.exists()).limit(5000)
        found = [row.customer for row in self.db.rows(query)]

        def work(connection: Connection) -> None:
            for some in chunks(sorted(found)):
                mine = (seat.c.flow == route.flow) & seat.c.customer.in_(some)
                self._want(connection, source, sa.select(seat.c.customer).where(mine), [route])
                connection.execute(sa.update(seat).where(mine).values(identity=""))

        if found:
            self.db.transact(work)
        return len(found)

    def owned(self, target: str, remote_ids: Sequence[str]) -> dict[str, Owned]:
        """Whom we gave these records to last."""
        table = t.rep_owner
        found: dict[str, Owned] = {}
        now = self.db.micros()
        for some in chunks(remote_ids):
            query = sa.select(table).where(table.c.target == target, table.c.remote_id.in_(some))
            found |= {
                row.remote_id: Owned(row.owner, row.before, max(now - row.updated_at, 0) / SECOND)
                for row in self.db.rows(query)
            }
        return found

    def owning(self, target: str, owners: Mapping[str, Owned]) -> None:
        """We are about to give these records away: written before the CRM is, so that our own write is known as ours."""
        insert = self.db.insert(t.rep_owner)
        upsert = insert.on_conflict_do_update(
            index_elements=["target", "remote_id"],
            set_={name: insert.excluded[name] for name in ("owner", "before", "updated_at")},
        )

        def work(connection: Connection) -> None:
            now = self.db.micros()
            rows = [
                {"target": target, "remote_id": id, "owner": one.owner, "before": one.before, "updated_at": now}
                for id, one in sorted(owners.items())
            ]
            if rows:
                connection.execute(upsert, rows)

        self.db.transact(work)

    def created(self, target: str, owner: str, remote_ids: Sequence[str]) -> None:
        """These records came to be with this owner, by us. What was given away since then stays as it is noted."""
        now = self.db.micros()
        rows = [
            {"target": target, "remote_id": id, "owner": owner, "before": "", "updated_at": now}
            for id in sorted(set(remote_ids))
        ]
        if rows:
            insert = self.db.insert(t.rep_owner).on_conflict_do_nothing(index_elements=["target", "remote_id"])
            self.db.transact(lambda connection: connection.execute(insert, rows))

    def not_owning(self, target: str, owners: Mapping[str, Owned | None]) -> None:
        """What we were about to give away was certainly not: as it was before (None: we never gave it)."""
        table = t.rep_owner
        never = sorted(id for id, one in owners.items() if one is None)
        for some in chunks(never):
            self.db.execute(sa.delete(table).where(table.c.target == target, table.c.remote_id.in_(some)))
        self.owning(target, {id: one for id, one in owners.items() if one is not None})

    # -- orders ----------------------------------------------------------------------------------------------------

    def put_order(self, connection: str, record_id: str, rep: OrderRep) -> None:
        """Whose an imported order is."""
        values = {
            "code": rep.code,
            "name": rep.name,
            "owner": rep.owner,
            "by": rep.by,
            "reason": rep.reason,
            "updated_at": self.db.micros(),
        }
        keys = {"flow": rep.flow, "connection": connection, "record_id": record_id}
        insert = self.db.insert(t.order_rep).values(**keys, **values)
        self.db.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=values))

    def orders_rep(self, connection: str, record_id: str) -> list[OrderRep]:
        """Whose an order is, by flow."""
        table = t.order_rep.c
        query = sa.select(t.order_rep).where(table.connection == connection, table.record_id == record_id)
        return [
            OrderRep(row.flow, row.code, row.name, row.owner, row.by, row.reason)
            for row in self.db.rows(query.order_by(table.flow))
        ]
