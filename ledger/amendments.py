"""What we wrote into a CRM last, order by order, and what people decided where both sides changed it since.

What is kept belongs to the connector (connectors.roles.amending) and goes where its link goes: it is written in the same
transaction, and vanishes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from core.keys import Key
from ledger import amendmenttables as a
from ledger import tables as t
from ledger.database import Database
from ledger.jobs import Claim, JobView
from ledger.links import Link
from ledger.shown import ShownRows, packed, unpacked

CHANGED: Final = "changed there"
"""The class of a held order that both sides changed."""
Choice = Literal["theirs", "store"]
"""theirs: what stands in the CRM stays; store: it is written over."""


@dataclass(frozen=True, slots=True)
class Side:
    """One field, for people. None: it is not there; of `wrote` also: it is not known."""

    field: str
    wrote: str | None
    theirs: str | None
    stores: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A part of an order that both sides changed. `theirs` and `stores` are digests of the two sides."""

    part: str
    theirs: str
    stores: str
    rows: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The same as it is kept, with its answer."""

    id: int
    asked: Asked
    target: str
    key: str
    """The store's record: `shop/order/1001`."""
    choice: str
    """"" while nobody has decided."""
    decided_by: str
    decided_at: datetime | None
    seen_at: datetime


class Amendments:
    """What was written, and what was decided."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._shown = ShownRows(db)

    # -- what we wrote -------------------------------------------------------------------------------------------------

    def shown(self, link: Link) -> dict[str, Any] | None:
        """What was kept with a link; None: it was linked before anything was kept, or nothing is known any more."""
        return self._shown.get(link.id, link.payload_hash)

    def sending(self, claim: Claim, link: Link, shown: Mapping[str, Any]) -> None:
        """Before an update is sent; `link` as it was before it was marked for that. Nothing is kept for a job that was given to
        another worker meanwhile.
        """

        def work(connection: Connection) -> None:
            mine = (t.link.c.id == link.id) & (t.link.c.job_id == claim.id) & (t.link.c.token == claim.token)
            if connection.execute(self.db.lock_rows(sa.select(t.link.c.id).where(mine))).first() is not None:
                self._shown.keep_on(connection, [link.id], shown, link.payload_hash)

        self.db.transact(work)

    # -- what both sides changed -----------------------------------------------------------------------------------

    def ask(self, link: Link, asked: Sequence[Asked]) -> list[Disagreement]:
        """These are what both sides changed now, whatever else was asked before. The same with the answers that were given to
        exactly these values, in the order in which they were given.
        """
        insert = self.db.insert(a.disagreement)
        put = insert.on_conflict_do_nothing(index_elements=["link_id", "part", "theirs", "stores"])

        def work(connection: Connection) -> list[Disagreement]:
            now = self.db.micros()
            open_ones = (a.disagreement.c.link_id == link.id) & (a.disagreement.c.choice == "")
            sides = {(one.part, one.theirs, one.stores) for one in asked}
            for row in connection.execute(sa.select(a.disagreement).where(open_ones)).all():
                if (row.part, row.theirs, row.stores) not in sides:
                    connection.execute(sa.delete(a.disagreement).where(a.disagreement.c.id == row.id))
            for one in asked:
                values = {"part": one.part, "theirs": one.theirs, "stores": one.stores, "seen_at": now}
                connection.execute(put.values(link_id=link.id, body=packed(_rows(one)), **values))
            found = {(one.asked.part, one.asked.theirs, one.asked.stores): one for one in self._of(connection, link)}
            return [found[one.part, one.theirs, one.stores] for one in asked]

        return self.db.transact(work)

    def answered(self, link: Link, asked: Sequence[Asked]) -> dict[str, str]:
        """The answers that were given to exactly these values, by part. Only looks."""
        with self.db.read() as connection:
            found = {(one.asked.part, one.asked.theirs, one.asked.stores): one for one in self._of(connection, link)}
        answers = {one.part: found.get((one.part, one.theirs, one.stores)) for one in asked}
        return {part: one.choice for part, one in answers.items() if one is not None and one.choice}

    def _of(self, connection: Connection, link: Link) -> list[Disagreement]:
        query = self._query.where(a.disagreement.c.link_id == link.id)
        return [_disagreement(row) for row in connection.execute(query).all()]

    @property
    def _query(self) -> sa.Select[Any]:
        return (
            sa.select(a.disagreement, t.link.c.target, t.link.c.key)
            .join(t.link, t.link.c.id == a.disagreement.c.link_id)
            .order_by(a.disagreement.c.id)
        )

    def agreed(self, link: Link) -> None:
        """Nothing is open any more."""
        open_ones = (a.disagreement.c.link_id == link.id) & (a.disagreement.c.choice == "")
        if self.db.rows(sa.select(a.disagreement.c.id).where(open_ones).limit(1)):
            self.db.execute(sa.delete(a.disagreement).where(open_ones))

    def of_order(self, target: str, key: str) -> list[Disagreement]:
        """All of an order, those that were decided too, the oldest first."""
        mine = (t.link.c.target == target) & (t.link.c.kind == "order") & (t.link.c.key == key)
        return [_disagreement(row) for row in self.db.rows(self._query.where(mine))]

    def left_theirs(self, target: str, keys: Sequence[str], part: str = "lines") -> set[str]:
        """Those of these orders of whose part people said last that what the CRM has stays."""
        said: dict[str, str] = {}
        for start in range(0, len(keys), 300):
            mine = (
                (t.link.c.target == target)
                & (t.link.c.kind == "order")
                & t.link.c.key.in_(list(keys[start : start + 300]))
            )
            decided = (a.disagreement.c.part == part) & (a.disagreement.c.choice != "")
            query = self._query.where(mine, decided).order_by(None).order_by(a.disagreement.c.decided_at)
            said |= {row.key: row.choice for row in self.db.rows(query)}
        return {key for key, choice in said.items() if choice == "theirs"}

    def decide(self, job: JobView, ids: Sequence[int], choice: Choice, *, by: str) -> list[Disagreement]:
        """Answer open ones of a job's order, all of them or (where one is gone or was answered meanwhile) none: then the list
        is empty. With the last of them the job is due again, in the same transaction.
        """
        wanted = sorted(set(ids))
        mine = (t.link.c.target == job.target) & (t.link.c.kind == "order") & (t.link.c.key == job.key)
        of_order = a.disagreement.c.link_id.in_(sa.select(t.link.c.id).where(mine))
        is_open = of_order & (a.disagreement.c.choice == "")
        answer = {"choice": choice, "decided_by": by, "decided_at": self.db.micros()}

        def work(connection: Connection) -> list[Disagreement]:
            rows = connection.execute(self.db.lock_rows(sa.select(a.disagreement.c.id).where(is_open))).all()
            left = {row.id for row in rows} - set(wanted)
            if not wanted or len(rows) - len(left) != len(wanted):
                return []
            these = a.disagreement.c.id.in_(wanted)
            connection.execute(sa.update(a.disagreement).where(these).values(**answer))
            if not left:
                connection.execute(self._due_again(job))
            return [_disagreement(row) for row in connection.execute(self._query.where(these)).all()]

        return self.db.transact(work)

    def _due_again(self, job: JobView) -> sa.Update:
        """Every flow's job that this held: they have one link."""
        key = Key.parse(job.key)
        fresh = {
            "state": "waiting",
            "due_at": self.db.now,
            "failures": 0,
            "crashes": 0,
            "reason": "",
            "error_class": "",
        }
        return (
            sa.update(t.job)
            .where(
                t.job.c.target == job.target,
                t.job.c.connection == key.connection,
                t.job.c.kind == key.kind,
                t.job.c.record_id == key.id,
                t.job.c.state == "held",
                t.job.c.error_class == CHANGED,
            )
            .values(waiting_for=None, updated_at=self.db.now, **fresh)
        )


def _rows(asked: Asked) -> dict[str, Any]:
    return {"rows": [[row.field, row.wrote, row.theirs, row.stores] for row in asked.rows]}


def _disagreement(row: Row[Any]) -> Disagreement:
    rows = tuple(Side(*values) for values in unpacked(row.body)["rows"])
    return Disagreement(
        id=row.id,
        asked=Asked(row.part, row.theirs, row.stores, rows),
        target=row.target,
        key=row.key,
        choice=row.choice,
        decided_by=row.decided_by,
        decided_at=from_micros(row.decided_at) if row.decided_at is not None else None,
        seen_at=from_micros(row.seen_at),
    )
