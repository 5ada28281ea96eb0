"""What was answered for each customer, and whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger import tables as t
from ledger.database import Database
from ledger.reprows import Answer, Concern, StoredCard, card_of, concerned, iso, version_name


class RepCards:
    """Cards and their concerns."""

    def __init__(self, db: Database) -> None:
        self.db = db
        mine = (t.rep_card.c.source == sa.bindparam("b_source")) & (t.rep_card.c.customer == sa.bindparam("b_customer"))
        self._one_card = db.prepare(sa.select(t.rep_card).where(mine))
        insert = db.insert(t.rep_card)
        new, kept = insert.excluded, t.rep_card.c
        said = {
            column.name: new[column.name]
            for column in t.rep_card.c
            if column.name not in {"source", "customer", "changed_at"}
        }
        changed_at = sa.case((kept.digest == new.digest, kept.changed_at), else_=new.changed_at)
        self._put_card = db.prepare(
            insert.on_conflict_do_update(
                index_elements=["source", "customer"], set_={**said, "changed_at": changed_at}
            ).returning(kept.customer)
        )
        held = sa.select(t.cursor.c.value).where(t.cursor.c.name == sa.bindparam("b_name"))
        self._held = db.prepare(held if db.is_sqlite else held.with_for_update(read=True))
        concern = t.rep_concern.c
        self._concerns = db.prepare(
            sa.select(concern.what, concern.code, concern.agency).where(
                concern.source == sa.bindparam("b_source"), concern.customer == sa.bindparam("b_customer")
            )
        )

    # -- cards -----------------------------------------------------------------------------------------------------

    def card(self, source: str, customer: str) -> StoredCard | None:
        """What the portal answers: one indexed read."""
        rows = self.db.rows(self._one_card, {"b_source": source, "b_customer": customer})
        return card_of(rows[0]) if rows else None

    def cards(self, source: str, *, after: str = "", limit: int = 500, rep: str | None = None) -> list[StoredCard]:
        """All cards by customer, a page at a time (`after`: the last customer of the page before). `rep`: those whose
        primary rep has this code; "": those of nobody.
        """
        card = t.rep_card
        query = sa.select(card).where(card.c.source == source, card.c.customer > after).order_by(card.c.customer)
        if rep is not None:
            query = query.where(card.c.rep == rep)
        return [card_of(row) for row in self.db.rows(query.limit(limit))]

    def save_card(
        self,
        source: str,
        customer: str,
        answer: Answer,
        *,
        concerns: Iterable[Concern] = (),
        version: int | None = None,
    ) -> bool:
        """Keep the answer and whom it concerns, in one transaction. False, and nothing is kept: the directory is not the one
        of this `version` any more; resolve again.
        """
        values = {
            **{
                name: getattr(answer, name)
                for name in ("card", "resolution", "digest", "name", "region", "rep", "agency")
            },
            "seen_on": answer.seen_on.isoformat(),
            "until": iso(answer.until),
            "version": version or 0,
        }
        wanted: set[tuple[str, str, str]] = {(one.what, one.code, one.agency) for one in concerns}

        def work(connection: Connection) -> bool:
            if version is not None and self._version_held(connection, source) != version:
                return False
            now = self.db.micros()
            key = {"source": source, "customer": customer, "changed_at": now, "updated_at": now}
            self._put_card.on(connection, {**key, **values})
            self._concern(connection, source, customer, wanted)
            return True

        return self.db.transact(work)

    def _version_held(self, connection: Connection, source: str) -> int:
        """The version, which no other transaction raises before this one is over."""
        return int(self._held.on(connection, {"b_name": version_name(source)}).scalar() or 0)

    def _concern(self, connection: Connection, source: str, customer: str, wanted: set[tuple[str, str, str]]) -> None:
        table = t.rep_concern
        mine = (table.c.source == source) & (table.c.customer == customer)
        found = self._concerns.on(connection, {"b_source": source, "b_customer": customer})
        known = {(row.what, row.code, row.agency) for row in found.rows}
        for what, code, agency in sorted(known - wanted):
            one = mine & (table.c.what == what) & (table.c.code == code) & (table.c.agency == agency)
            connection.execute(sa.delete(table).where(one))
        rows = [
            {"source": source, "customer": customer, "what": what, "code": code, "agency": agency}
            for what, code, agency in sorted(wanted - known)
        ]
        if rows:
            keys = ["source", "what", "code", "agency", "customer"]
            connection.execute(self.db.insert(table).on_conflict_do_nothing(index_elements=keys), rows)

    def forget_card(self, source: str, customer: str, flows: Iterable[str] = ()) -> bool:
        """The customer is nobody's any more (deleted, or no customer): there is no card, and it has no account for these flows.
        Whether there was a card.
        """

        def work(connection: Connection) -> bool:
            concern, card, seat = t.rep_concern, t.rep_card, t.rep_seat
            mine = (concern.c.source == source) & (concern.c.customer == customer)
            connection.execute(sa.delete(concern).where(mine))
            # Whose account it was: whoever takes the account over must not share it with somebody who is gone.
            sat = seat.c.flow.in_(list(flows)) & (seat.c.customer == customer)
            connection.execute(sa.delete(seat).where(sat))
            mine = (card.c.source == source) & (card.c.customer == customer)
            return connection.execute(sa.delete(card).where(mine).returning(card.c.customer)).first() is not None

        return self.db.transact(work)

    def concerned_by(self, source: str, code: str) -> list[str]:
        """Customers for whom the rep of this code may play a part, on any day. By the code alone: whose it is may change."""
        return [row.customer for row in self.db.rows(concerned(source, "rep", t.rep_concern.c.code, [code]))]

    def concerned_codes(self, source: str) -> dict[tuple[str, str], tuple[int, str]]:
        """(agency, code) of every rep who may play a part for somebody -> for how many customers, and one of them."""
        table = t.rep_concern
        query = (
            sa.select(
                table.c.agency,
                table.c.code,
                sa.func.count().label("number"),
                sa.func.min(table.c.customer).label("one"),
            )
            .where(table.c.source == source, table.c.what == "rep")
            .group_by(table.c.agency, table.c.code)
        )
        return {(row.agency, row.code): (int(row.number), row.one) for row in self.db.rows(query)}
