"""The audit: who did what to what, when. Rows are only ever added, and each carries the hash of the one before, so that a row
that was changed or taken out is noticed (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros
from ledger import tables as t
from ledger.database import Database

MACHINE: Final = "machine"
"""The actor of what Orderwire does by itself."""
_HEAD: Final = 1
_PAGE: Final = 1000
_MOST: Final = 100_000
"""Characters of a row's facts."""


@dataclass(frozen=True, slots=True)
class Note:
    """One row. `actor`: a person's name, `machine`, or who typed on the command line."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    ip: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `last` and `hash`, kept elsewhere, prove later that nothing before was rewritten."""

    intact: bool
    count: int
    last: int
    hash: str
    problem: str = ""


class Audit:
    """Note, look, verify."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def note(self, actor: str, action: str, subject: str, facts: Mapping[str, Any] | None = None, ip: str = "") -> int:
        """Write a row in a transaction of its own; its number. Facts go through JSON; no passwords, no customers' data."""
        return self.db.transact(lambda connection: self.append(connection, actor, action, subject, facts, ip))

    def lock(self, connection: Connection) -> tuple[int, str]:
        """Number and hash of the last row; nobody else appends before this transaction ends."""
        query = self.db.lock_rows(sa.select(t.audit_head.c.last, t.audit_head.c.hash).where(t.audit_head.c.id == _HEAD))
        row = connection.execute(query).first()
        if row is None:
            newest = connection.execute(sa.select(t.audit.c.id, t.audit.c.hash).order_by(t.audit.c.id.desc()).limit(1))
            last, hash_ = newest.first() or (0, "")
            first = self.db.insert(t.audit_head).values(id=_HEAD, last=last, hash=hash_)
            connection.execute(first.on_conflict_do_nothing(index_elements=["id"]))
            row = connection.execute(query).one()
        return int(row.last), str(row.hash)

    def append(
        self,
        connection: Connection,
        actor: str,
        action: str,
        subject: str,
        facts: Mapping[str, Any] | None = None,
        ip: str = "",
    ) -> int:
        """The same within the caller's transaction: what is noted happened, or neither did. Do it last, it locks."""
        last, previous = self.lock(connection)
        values = {
            "id": last + 1,
            "at": self.db.micros(),
            "actor": _clean(actor, 120),
            "action": _clean(action, 60),
            "subject": _clean(subject, 200),
            "facts": _facts(facts or {}),
            "ip": _clean(ip, 64),
            "previous": previous,
        }
        hash_ = _hash(values)
        connection.execute(sa.insert(t.audit).values(**values, hash=hash_))
        connection.execute(sa.update(t.audit_head).where(t.audit_head.c.id == _HEAD).values(last=last + 1, hash=hash_))
        return last + 1

    def list(
        self, *, actor: str = "", action: str = "", subject: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[Note]:
        """Rows, the newest first, below the number `before`."""
        query = sa.select(t.audit).order_by(t.audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(t.audit.c.id < before)
        if actor:
            query = query.where(t.audit.c.actor == actor)
        if action:
            query = query.where(t.audit.c.action == action)
        if subject:
            query = query.where(t.audit.c.subject == subject)
        return [_note(row) for row in self.db.rows(query)]

    def verify(self, known: tuple[int, str] | None = None) -> Verdict:
        """Compute every hash anew. `known`: number and hash of a row as an earlier verdict gave them."""
        last, previous, count = 0, "", 0
        while rows := self.db.rows(sa.select(t.audit).where(t.audit.c.id > last).order_by(t.audit.c.id).limit(_PAGE)):
            for row in rows:
                problem = _problem(row, last, previous, known)
                if problem:
                    return Verdict(False, count, last, previous, problem)
                last, previous, count = row.id, row.hash, count + 1
        heads = self.db.rows(sa.select(t.audit_head.c.last, t.audit_head.c.hash))
        if (heads and heads[0].last > last) or (not heads and last):
            return Verdict(False, count, last, previous, f"rows after number {last} were taken out")
        if known is not None and known[0] > last:
            return Verdict(False, count, last, previous, f"row {known[0]}, known from before, is gone")
        return Verdict(True, count, last, previous)


def _problem(row: Any, last: int, previous: str, known: tuple[int, str] | None) -> str:
    if row.id != last + 1:
        return f"rows between {last} and {row.id} were taken out"
    if row.previous != previous or row.hash != _hash(row._mapping):  # noqa: SLF001 - SQLAlchemy's public name for it
        return f"row {row.id} was changed"
    if known is not None and known[0] == row.id and known[1] != row.hash:
        return f"row {row.id}, or one before, was rewritten"
    return ""


def _hash(values: Mapping[str, Any]) -> str:
    names = ("id", "at", "actor", "action", "subject", "facts", "ip", "previous")
    text = json.dumps([values[name] for name in names], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _clean(text: str, most: int) -> str:
    """What both engines can keep, exactly as it will be read back."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:most]


def _facts(facts: Mapping[str, Any]) -> str:
    text = json.dumps(dict(facts), ensure_ascii=False, sort_keys=True, default=str)
    if len(text) > _MOST:
        text = json.dumps({"too long to keep": len(text)})
    return _clean(text, _MOST)


def _note(row: Any) -> Note:
    facts = json.loads(row.facts) if row.facts else {}
    return Note(row.id, from_micros(row.at), row.actor, row.action, row.subject, facts, row.ip, row.hash)
