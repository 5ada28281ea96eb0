"""What stands on order confirmations and invoices: the order as it was, from which the very same file is made again, until it
is forgotten.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros, to_micros
from ledger import messagetables as m
from ledger.database import SECOND, Database

_TOGETHER: Final = 200


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
    emptied: bool = False
    """What stood on it was forgotten: it is not made again."""


class Papers:
    """One row a paper."""

    def __init__(self, db: Database) -> None:
        self.db = db
        table, key = m.paper, m.paper.c.key == sa.bindparam("b_key")
        self._digest = db.prepare(sa.select(table.c.digest, table.c.emptied_at).where(key))
        self._one = db.prepare(sa.select(table).where(key))
        insert = db.insert(table)
        self._once = db.prepare(insert.on_conflict_do_nothing(index_elements=["key"]))
        said = {name: insert.excluded[name] for name in ("number", "language", "issued_at", "body", "digest")}
        here = table.c.emptied_at.is_(None)
        self._anew = db.prepare(insert.on_conflict_do_update(index_elements=["key"], set_=said, where=here))

    def keep(self, new: KeptPaper, *, once: bool) -> bool:
        """Keep it. `once`: what was kept first stays (an invoice does not change). What was forgotten stays so, though somebody
        touches the old order again. False: nothing was written.
        """
        facts = "\x1f".join((new.number, new.language, str(to_micros(new.issued_at)), new.body))
        digest = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self.db.rows(self._digest, {"b_key": new.key})
        if known and (once or known[0].emptied_at is not None or bytes(known[0].digest) == digest):
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

    def forget(self, older: timedelta) -> int:
        """Empty what was issued longer ago, unless the letter that carries it may still leave. At how many. The rows stay, with
        number, day and digest: nothing is written down anew, nothing is sent again.
        """
        paper, message, now = m.paper, m.message.c, self.db.micros()
        old = paper.c.emptied_at.is_(None) & (paper.c.issued_at < now - int(older.total_seconds()) * SECOND)
        its = (message.key == paper.c.key) & (message.state != "sent") & message.emptied_at.is_(None)
        leaving = sa.select(sa.literal(1)).where(its).correlate(paper).exists()
        some = sa.select(paper.c.key).where(old, ~leaving).limit(_TOGETHER)
        empty = sa.update(paper).where(paper.c.key.in_(some)).values(body=b"", emptied_at=self.db.now)
        count = 0
        while emptied := self.db.execute(empty.returning(paper.c.key)):
            count += len(emptied)
        return count


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
        emptied=row.emptied_at is not None,
    )
