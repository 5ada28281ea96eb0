"""What stands on order confirmations and invoices: the order as it was, from which the very same file is made again."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros, to_micros
from ledger import messagetables as m
from ledger.database import Database


@dataclass(frozen=True, slots=True)
class KeptPaper:
    """One paper. `key`: also of the message that carries it. `body`: the order as text, opaque here."""

    key: str
    flow: str
    order_key: str
    kind: str
    """order, invoice."""
    number: str
    language: str
    issued_at: datetime
    body: str


class Papers:
    """One row a paper."""

    def __init__(self, db: Database) -> None:
        self.db = db
        table, key = m.paper, m.paper.c.key == sa.bindparam("b_key")
        self._digest = db.prepare(sa.select(table.c.digest).where(key))
        self._one = db.prepare(sa.select(table).where(key))
        insert = db.insert(table)
        self._once = db.prepare(insert.on_conflict_do_nothing(index_elements=["key"]))
        said = {name: insert.excluded[name] for name in ("number", "language", "issued_at", "body", "digest")}
        self._anew = db.prepare(insert.on_conflict_do_update(index_elements=["key"], set_=said))

    def keep(self, new: KeptPaper, *, once: bool) -> bool:
        """Keep it. `once`: what was kept first stays (an invoice does not change). False: nothing was written."""
        facts = "\x1f".join((new.number, new.language, str(to_micros(new.issued_at)), new.body))
        digest = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self.db.rows(self._digest, {"b_key": new.key})
        if known and (once or bytes(known[0].digest) == digest):
            return False
        values = {
            "key": new.key,
            "flow": new.flow,
            "order_key": new.order_key,
            "kind": new.kind,
            "number": new.number[:120],
            "language": new.language,
            "issued_at": to_micros(new.issued_at),
            "body": zlib.compress(new.body.encode("utf-8", "surrogatepass")),
            "digest": digest,
        }
        self.db.execute(self._once if once else self._anew, values)
        return True

    def get(self, key: str) -> KeptPaper | None:
        """One paper."""
        rows = self.db.rows(self._one, {"b_key": key})
        return _paper(rows[0], bytes(rows[0].body)) if rows else None

    def of_order(self, order_key: str) -> list[KeptPaper]:
        """The papers of one order, whichever flows made them: confirmations first. Without their bodies."""
        table = m.paper.c
        light = [column for column in table if column.name not in {"body", "digest"}]
        query = sa.select(*light).where(table.order_key == order_key)
        return [_paper(row) for row in self.db.rows(query.order_by(table.flow, table.kind.desc(), table.issued_at))]


def _paper(row: Row[Any], body: bytes = b"") -> KeptPaper:
    return KeptPaper(
        key=row.key,
        flow=row.flow,
        order_key=row.order_key,
        kind=row.kind,
        number=row.number,
        language=row.language,
        issued_at=from_micros(row.issued_at),
        body=zlib.decompress(body).decode("utf-8", "surrogatepass") if body else "",
    )
