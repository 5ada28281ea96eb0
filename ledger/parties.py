"""The local index of a CRM's accounts and contacts: folded identities, filled once in full and kept current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger import tables as t
from ledger.database import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """One folded identity of one account or contact."""

    match_kind: str
    value: str
    party_kind: str
    remote_id: str
    account_id: str


CHUNK: Final = 300


class Parties:
    """Look up and keep the index."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._insert = db.insert(t.party_index).on_conflict_do_nothing(
            index_elements=["connection", "match_kind", "value", "remote_id"]
        )
        self._lookup = db.prepare(
            sa.select(t.party_index).where(
                t.party_index.c.connection == sa.bindparam("b_connection"),
                # Each by itself too: of pairs alone SQLite makes a walk through the whole index of the connection.
                t.party_index.c.match_kind.in_(sa.bindparam("b_kinds", expanding=True)),
                t.party_index.c.value.in_(sa.bindparam("b_values", expanding=True)),
                sa.tuple_(t.party_index.c.match_kind, t.party_index.c.value).in_(
                    sa.bindparam("b_pairs", expanding=True)
                ),
            )
        )

    def replace(self, connection: str, remote_ids: Sequence[str], entries: Sequence[Entry]) -> None:
        """Set everything the index knows of these records (a page of changes), in one transaction."""
        # In one order for everybody, so that two who keep the same people do not wait for each other.
        rows = sorted({(entry.match_kind, entry.value[:250], entry.remote_id): entry for entry in entries}.items())

        def work(db: Connection) -> None:
            for start in range(0, len(remote_ids), CHUNK):
                db.execute(
                    sa.delete(t.party_index).where(
                        t.party_index.c.connection == connection,
                        t.party_index.c.remote_id.in_(remote_ids[start : start + CHUNK]),
                    )
                )
            if rows:
                db.execute(
                    self._insert,
                    [
                        {
                            "connection": connection,
                            "match_kind": match_kind,
                            "value": value,
                            "party_kind": entry.party_kind,
                            "remote_id": remote_id,
                            "account_id": entry.account_id,
                        }
                        for (match_kind, value, remote_id), entry in rows
                    ],
                )

        self.db.transact(work)

    def find(self, connection: str, pairs: Sequence[tuple[str, str]]) -> list[Entry]:
        """Entries that carry any of these (match kind, value) pairs."""
        if not pairs:
            return []
        cut = [(kind, value[:250]) for kind, value in pairs]
        kinds, values = map(list, zip(*cut, strict=True))
        rows = self.db.rows(
            self._lookup, {"b_connection": connection, "b_kinds": kinds, "b_values": values, "b_pairs": cut}
        )
        return [Entry(row.match_kind, row.value, row.party_kind, row.remote_id, row.account_id) for row in rows]

    def of(self, connection: str, remote_ids: Sequence[str]) -> list[Entry]:
        """All entries of these records, and of the contacts of these accounts."""
        if not remote_ids:
            return []
        rows = self.db.rows(
            sa.select(t.party_index).where(
                t.party_index.c.connection == connection,
                t.party_index.c.remote_id.in_(list(remote_ids)) | t.party_index.c.account_id.in_(list(remote_ids)),
            )
        )
        return [Entry(row.match_kind, row.value, row.party_kind, row.remote_id, row.account_id) for row in rows]

    def all(self, connection: str) -> list[Entry]:
        """The whole index of one CRM: for comparing everybody with everybody, not for a job."""
        rows = self.db.rows(
            sa.select(t.party_index)
            .where(t.party_index.c.connection == connection)
            .order_by(t.party_index.c.account_id, t.party_index.c.remote_id, t.party_index.c.id)
        )
        return [Entry(row.match_kind, row.value, row.party_kind, row.remote_id, row.account_id) for row in rows]

    def forget(self, connection: str, remote_id: str) -> None:
        """The record is gone over there."""
        self.db.execute(
            sa.delete(t.party_index).where(
                t.party_index.c.connection == connection, t.party_index.c.remote_id == remote_id
            )
        )

    def size(self, connection: str) -> int:
        """How many records the index knows."""
        rows = self.db.rows(
            sa.select(sa.func.count(sa.distinct(t.party_index.c.remote_id))).where(
                t.party_index.c.connection == connection
            )
        )
        return int(rows[0][0])
