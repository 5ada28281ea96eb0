"""Who is logged in, and which programs may ask: sessions and API tokens, of which only hashes are kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros
from core.errors import OrderwireError
from core.rights import Scope
from ledger import tables as t
from ledger.audit import Audit
from ledger.database import SECOND, Database
from ledger.people import Person, as_person, digest

IDLE: Final = 12 * 3600
"""Seconds without anything asked, after which a session is over."""
ABSOLUTE: Final = 7 * 86_400
"""Seconds after which it is over in any case."""
TOUCH: Final = 60
"""Seconds between two notes that a session, or a token, was used: reading a page shall not cost a write."""
PREFIX: Final = "owt_"
"""API tokens begin so, that people and scanners for leaked secrets know them."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as people see it, without the token."""

    id: int
    name: str
    person: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class Sessions:
    """Open, find, close; API tokens besides."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit

    def open(self, person: Person, *, ip: str = "", action: str = "login") -> str:
        """The secret of a new session. Sessions that are over are forgotten by the way."""
        token = secrets.token_urlsafe(32)

        def work(connection: Connection) -> None:
            now = self.db.micros()
            over = sa.or_(t.session.c.seen_at < now - IDLE * SECOND, t.session.c.created_at < now - ABSOLUTE * SECOND)
            connection.execute(sa.delete(t.session).where(over))
            values = {"hash": digest(token), "person_id": person.id, "created_at": now, "seen_at": now}
            connection.execute(sa.insert(t.session).values(**values))
            self.audit.append(connection, person.name, action, person.name, {}, ip)

        self.db.transact(work)
        return token

    def find(self, token: str, *, touch: bool = True) -> Person | None:
        """Whose session it is; None when it is over, unknown, or the person is disabled. `touch`: this counts as activity."""
        now = self.db.micros()
        query = (
            sa.select(t.person, t.session.c.seen_at)
            .join(t.session, t.session.c.person_id == t.person.c.id)
            .where(
                t.session.c.hash == digest(token),
                t.session.c.seen_at > now - IDLE * SECOND,
                t.session.c.created_at > now - ABSOLUTE * SECOND,
                t.person.c.disabled_at.is_(None),
            )
        )
        rows = self.db.rows(query)
        if not rows:
            return None
        if touch and rows[0].seen_at < now - TOUCH * SECOND:
            self.db.execute(sa.update(t.session).where(t.session.c.hash == digest(token)).values(seen_at=now))
        return as_person(rows[0])

    def close(self, token: str, *, by: str, ip: str = "") -> None:
        """Log out."""

        def work(connection: Connection) -> None:
            closed = sa.delete(t.session).where(t.session.c.hash == digest(token)).returning(t.session.c.hash)
            if connection.execute(closed).first():
                self.audit.append(connection, by, "logout", by, {}, ip)

        self.db.transact(work)

    # -- API tokens ------------------------------------------------------------------------------------------------

    def make_token(
        self, person: Person, name: str, scopes: Iterable[Scope], *, days: int | None = 90, ip: str = ""
    ) -> str:
        """A token that acts for this person within `scopes`; shown once. `days` None: until it is revoked."""
        wanted = sorted(set(scopes))
        name = name.strip()
        if not wanted or not 0 < len(name) <= 60 or not name.isprintable():
            raise OrderwireError("A token needs a name of up to 60 characters and a scope. What to do: give both.")
        token, now = PREFIX + secrets.token_urlsafe(32), self.db.micros()
        expires = None if days is None else now + days * 86_400 * SECOND

        def work(connection: Connection) -> None:
            values = {"hash": digest(token), "name": name, "person_id": person.id, "scopes": ",".join(wanted)}
            connection.execute(sa.insert(t.api_token).values(**values, created_at=now, expires_at=expires))
            facts = {"scopes": wanted, "days": days}
            self.audit.append(connection, person.name, "token.made", name, facts, ip)

        self.db.transact(work)
        return token

    def find_token(self, token: str) -> Person | None:
        """Whom a token acts for, with its scopes; None when it is over, revoked, unknown, or its person is disabled."""
        now = self.db.micros()
        token_ = t.api_token.c
        query = (
            sa.select(t.person, token_.scopes, token_.name.label("token_name"), token_.used_at)
            .join(t.api_token, token_.person_id == t.person.c.id)
            .where(
                token_.hash == digest(token),
                token_.revoked_at.is_(None),
                sa.or_(token_.expires_at.is_(None), token_.expires_at > now),
                t.person.c.disabled_at.is_(None),
            )
        )
        rows = self.db.rows(query)
        if not rows:
            return None
        if rows[0].used_at is None or rows[0].used_at < now - TOUCH * SECOND:
            self.db.execute(sa.update(t.api_token).where(token_.hash == digest(token)).values(used_at=now))
        scopes = frozenset(Scope(scope) for scope in rows[0].scopes.split(","))
        return replace(as_person(rows[0]), token=rows[0].token_name, scopes=scopes)

    def tokens(self) -> Sequence[Token]:
        """All of them, the newest first."""
        query = sa.select(t.api_token, t.person.c.name.label("person")).join(t.person)
        return [_token(row) for row in self.db.rows(query.order_by(t.api_token.c.id.desc()).limit(10_000))]

    def revoke(self, token_id: int, *, by: str, ip: str = "") -> bool:
        """End a token at once. False: there is none, or it has ended."""

        def work(connection: Connection) -> bool:
            good = (t.api_token.c.id == token_id, t.api_token.c.revoked_at.is_(None))
            ended = sa.update(t.api_token).where(*good).values(revoked_at=self.db.micros())
            row = connection.execute(ended.returning(t.api_token.c.name)).first()
            if row is not None:
                self.audit.append(connection, by, "token.revoked", row.name, {}, ip)
            return row is not None

        return self.db.transact(work)


def _token(row: Any) -> Token:
    def at(micros: int | None) -> datetime | None:
        return None if micros is None else from_micros(micros)

    scopes = tuple(Scope(scope) for scope in row.scopes.split(","))
    created = from_micros(row.created_at)
    return Token(row.id, row.name, row.person, scopes, created, at(row.expires_at), at(row.used_at), at(row.revoked_at))
