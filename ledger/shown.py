"""What a connector keeps with a link, packed: the last that we wrote over there. Opaque here."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import jsontext
from ledger import amendmenttables as a
from ledger import tables as t
from ledger.database import Database


class ShownRows:
    """One row a link, written in other people's transactions."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._get = db.prepare(
            sa.select(a.shown.c.body, a.shown.c.payload_hash).where(a.shown.c.link_id == sa.bindparam("b_link"))
        )
        insert = db.insert(a.shown)
        changed = {name: insert.excluded[name] for name in ("body", "payload_hash", "written_at")}
        self._put = db.prepare(insert.on_conflict_do_update(index_elements=["link_id"], set_=changed))

    def get(self, link_id: int, payload_hash: str) -> dict[str, Any] | None:
        """What was kept; None: nothing is known, or it is not of the state that the link speaks of. `payload_hash`: the link's;
        "" while an update is under way.
        """
        rows = self.db.rows(self._get, {"b_link": link_id})
        if not rows or (payload_hash and rows[0].payload_hash != payload_hash):
            return None
        return unpacked(rows[0].body)

    def keep_on(
        self, connection: Connection, link_ids: Sequence[int], shown: Mapping[str, Any], payload_hash: str
    ) -> None:
        """Keep this from now on."""
        values = {"body": packed(shown), "payload_hash": payload_hash, "written_at": self.db.micros()}
        for id in link_ids:
            self._put.on(connection, {"link_id": id, **values})

    def forget_on(self, connection: Connection, target: str, kind: str, remote_id: str) -> None:
        """The links to this record point to another one from now on: what we wrote there is not known."""
        moved = sa.select(t.link.c.id).where(
            t.link.c.target == target, t.link.c.kind == kind, t.link.c.remote_id == remote_id
        )
        for table in (a.shown, a.disagreement):
            connection.execute(sa.delete(table).where(table.c.link_id.in_(moved)))


def packed(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON, compressed."""
    return zlib.compress(jsontext.dumps(value).encode("utf-8", "surrogatepass"), 6)


def unpacked(body: bytes) -> dict[str, Any]:
    """The value again."""
    found: dict[str, Any] = json.loads(zlib.decompress(bytes(body)).decode("utf-8", "surrogatepass"))
    return found
