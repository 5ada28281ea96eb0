"""The rep directory: what the ERP tells and what people enter, beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger import tables as t
from ledger.database import Database
from ledger.reprows import (
    AbsenceRow,
    AssignmentRow,
    Entry,
    Facts,
    Told,
    What,
    assignment_of,
    assignment_values,
    chunks,
    day_of,
    entry_of,
    iso,
    touched_by,
    version_name,
)


class RepDirectory:
    """Reps, agencies, regions, absences and entered assignments of each ERP."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._version = db.prepare(sa.select(t.cursor.c.value).where(t.cursor.c.name == sa.bindparam("b_name")))

    # -- the directory: reading ------------------------------------------------------------------------------------

    def version(self, source: str) -> int:
        """Rises with every change of the directory."""
        rows = self.db.rows(self._version, {"b_name": version_name(source)})
        return int(rows[0].value) if rows else 0

    def reps(self, source: str) -> list[Entry]:
        """All reps of whom somebody says anything."""
        said = (t.rep.c.source == source) & ((t.rep.c.erp != "") | (t.rep.c.own != ""))
        query = sa.select(t.rep).where(said).order_by(t.rep.c.agency, t.rep.c.code)
        return [entry_of(row, row.code, row.agency, row.owner) for row in self.db.rows(query)]

    def agencies(self, source: str) -> list[Entry]:
        """All agencies."""
        query = sa.select(t.agency).where(t.agency.c.source == source).order_by(t.agency.c.code)
        return [entry_of(row, row.code) for row in self.db.rows(query)]

    def regions(self, source: str) -> list[Entry]:
        """All regions."""
        query = sa.select(t.region).where(t.region.c.source == source).order_by(t.region.c.id)
        return [entry_of(row, row.id) for row in self.db.rows(query)]

    def absences(self, source: str) -> list[AbsenceRow]:
        """All absences, by rep and first day."""
        table = t.rep_absence
        query = sa.select(table).where(table.c.source == source).order_by(table.c.rep, table.c.first, table.c.id)
        return [
            AbsenceRow(
                row.rep, day_of(row.first) or date.min, day_of(row.last), row.deputy, row.agency, row.id, row.created_by
            )
            for row in self.db.rows(query)
        ]

    def assignments(self, source: str, *, origin: str = "") -> list[AssignmentRow]:
        """What was entered here, oldest first."""
        query = sa.select(t.rep_assignment).where(t.rep_assignment.c.source == source).order_by(t.rep_assignment.c.id)
        if origin:
            query = query.where(t.rep_assignment.c.origin == origin)
        return [assignment_of(row) for row in self.db.rows(query)]

    def newest_assignments(self, source: str, about: str, limit: int) -> tuple[list[AssignmentRow], int]:
        """The newest of what was entered, and how many there are. `about`: the code of a rep or the id of a subject; "": all."""
        table = t.rep_assignment
        mine = table.c.source == source
        if about:
            mine &= (table.c.rep == about) | (table.c.subject_id == about)
        rows = self.db.rows(sa.select(table).where(mine).order_by(table.c.id.desc()).limit(limit))
        count = self.db.rows(sa.select(sa.func.count().label("number")).select_from(table).where(mine))
        return [assignment_of(row) for row in rows], int(count[0].number)

    # -- the directory: writing ------------------------------------------------------------------------------------

    def put_rep(
        self,
        source: str,
        code: str,
        facts: Facts | None,
        *,
        agency: str = "",
        told: Told = "own",
        owner: str | None = None,
        record_id: str = "",
        by: str = "",
    ) -> bool:
        """Set what the ERP or people say of a rep; None: they say nothing (any more). Whether anything changed.
        `record_id` (ERP): what the same record said under another code or agency is forgotten.
        """

        def work(connection: Connection) -> bool:
            changed = False
            if told == "erp" and record_id:
                changed = self._forget_other(connection, source, code, agency, record_id)
            keys = {"source": source, "agency": agency, "code": code}
            more: dict[str, Any] = {"record_id": record_id} if told == "erp" else {}
            if owner is not None:
                more["owner"] = owner
            if self._put(connection, t.rep, keys, facts, told, more, by):
                changed = True
                self._touched(connection, source, [("rep", code)])
            return changed

        return self.db.transact(work)

    def _forget_other(self, connection: Connection, source: str, code: str, agency: str, record_id: str) -> bool:
        rep = t.rep.c
        query = sa.select(rep.code, rep.agency).where(rep.source == source, rep.record_id == record_id, rep.erp != "")
        changed = False
        for row in connection.execute(query).fetchall():
            if (row.code, row.agency) != (code, agency):
                keys = {"source": source, "agency": row.agency, "code": row.code}
                self._put(connection, t.rep, keys, None, "erp", {"record_id": ""}, "")
                self._touched(connection, source, [("rep", row.code)])
                changed = True
        return changed

    def forget_rep(self, source: str, record_id: str) -> bool:
        """The ERP has this rep no more. What people entered stays."""
        return self.db.transact(lambda connection: self._forget_other(connection, source, "", "\x00", record_id))

    def put_agency(self, source: str, code: str, facts: Facts | None, *, told: Told = "own", by: str = "") -> bool:
        """As `put_rep`, of an agency."""

        def work(connection: Connection) -> bool:
            changed = self._put(connection, t.agency, {"source": source, "code": code}, facts, told, {}, by)
            if changed:
                self._touched(connection, source, [("agency", code)])
            return changed

        return self.db.transact(work)

    def put_region(self, source: str, code: str, facts: Facts | None, *, told: Told = "own", by: str = "") -> bool:
        """As `put_rep`, of a region."""

        def work(connection: Connection) -> bool:
            before = connection.execute(
                sa.select(t.region).where(t.region.c.source == source, t.region.c.id == code)
            ).first()
            changed = self._put(connection, t.region, {"source": source, "id": code}, facts, told, {}, by)
            if changed:
                # Its reps count for the regions below, its customers and, from below, for the ones above: old and new parent.
                above = {
                    str((facts or {}).get("parent", "")),
                    entry_of(before, code).facts.get("parent", "") if before else "",
                }
                self._touched(connection, source, [("region", one) for one in sorted({code, *above} - {""})])
            return changed

        return self.db.transact(work)

    def _put(
        self,
        connection: Connection,
        table: sa.Table,
        keys: Mapping[str, str],
        facts: Facts | None,
        told: Told,
        more: Mapping[str, Any],
        by: str,
    ) -> bool:
        where = sa.and_(*(table.c[name] == value for name, value in keys.items()))
        old = connection.execute(self.db.lock_rows(sa.select(table).where(where))).first()
        text = json.dumps(dict(facts), ensure_ascii=False, sort_keys=True) if facts is not None else ""
        values = {told: text, **more}
        if old is None and facts is None:
            return False
        if old is not None and all(getattr(old, name) == value for name, value in values.items()):
            return False
        other = (old.own if told == "erp" else old.erp) if old is not None else ""
        # Whom a rep is in the CRM was entered by people, too: it stays for the day on which the ERP has the rep again.
        owner = more.get("owner", getattr(old, "owner", ""))
        if not text and not other and not owner:
            connection.execute(sa.delete(table).where(where))
            return True
        values |= {"updated_at": self.db.micros(), "updated_by": by[:120]}
        insert = self.db.insert(table).values(**keys, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=values))
        return True

    def add_absences(self, source: str, rows: Sequence[AbsenceRow], *, by: str = "") -> list[int]:
        """Enter absences; their ids."""

        def work(connection: Connection) -> list[int]:
            ids = [
                int(
                    connection.execute(
                        sa.insert(t.rep_absence)
                        .values(
                            source=source,
                            agency=row.agency,
                            rep=row.rep,
                            first=row.first.isoformat(),
                            last=iso(row.last),
                            deputy=row.deputy,
                            created_at=self.db.micros(),
                            created_by=by[:120],
                        )
                        .returning(t.rep_absence.c.id)
                    ).scalar_one()
                )
                for row in rows
            ]
            self._touched(connection, source, [("rep", row.rep) for row in rows])
            return ids

        return self.db.transact(work)

    def remove_absences(self, source: str, ids: Sequence[int]) -> int:
        """Take absences back; how many there were."""
        table = t.rep_absence

        def work(connection: Connection) -> int:
            gone: list[str] = []
            for some in chunks(ids):
                where = (table.c.source == source) & table.c.id.in_(some)
                gone += connection.execute(sa.delete(table).where(where).returning(table.c.rep)).scalars()
            self._touched(connection, source, [("rep", rep) for rep in gone])
            return len(gone)

        return self.db.transact(work)

    def add_assignments(self, source: str, rows: Sequence[AssignmentRow], *, by: str = "") -> list[int]:
        """Enter assignments, in one transaction; their ids in the same order."""

        def work(connection: Connection) -> list[int]:
            ids: list[int] = []
            for some in chunks(rows):
                values = [assignment_values(source, row, self.db.micros(), by) for row in some]
                insert = sa.insert(t.rep_assignment).returning(t.rep_assignment.c.id, sort_by_parameter_order=True)
                ids += connection.execute(insert, values).scalars()
            self._touched(connection, source, [touched_by(row.subject, row.subject_id) for row in rows])
            return ids

        return self.db.transact(work)

    def remove_assignments(self, source: str, ids: Sequence[int] = (), *, origin: str = "") -> int:
        """Take assignments back, by id or all of an origin; how many there were."""
        table = t.rep_assignment

        def work(connection: Connection) -> int:
            which = [table.c.id.in_(some) for some in chunks(ids)] + ([table.c.origin == origin] if origin else [])
            gone: list[tuple[What, str]] = []
            for one in which:
                removed = sa.delete(table).where(table.c.source == source, one)
                rows = connection.execute(removed.returning(table.c.subject, table.c.subject_id)).fetchall()
                gone += [touched_by(row.subject, row.subject_id) for row in rows]
            self._touched(connection, source, gone)
            return len(gone)

        return self.db.transact(work)

    def _touched(self, connection: Connection, source: str, what: Iterable[tuple[What, str]]) -> None:
        """Raise the version and note what changed with it. The version's row, locked to the end, puts changes one behind the
        other.
        """
        notes = sorted(set(what))
        if not notes:
            return
        at = self.db.micros()
        insert = self.db.insert(t.cursor).values(name=version_name(source), value="1", updated_at=at)
        raised = sa.cast(sa.cast(t.cursor.c.value, sa.BigInteger) + 1, sa.Text)
        upsert = insert.on_conflict_do_update(index_elements=["name"], set_={"value": raised, "updated_at": at})
        version = int(connection.execute(upsert.returning(t.cursor.c.value)).scalar_one())
        for some in chunks(notes):
            rows = [{"source": source, "what": kind, "code": code, "version": version, "at": at} for kind, code in some]
            connection.execute(sa.insert(t.rep_touched), rows)
