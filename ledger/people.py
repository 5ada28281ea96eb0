"""People who use the dashboard, and the one-time links by which they begin. What is secret is kept as a hash only.

Everything here is in the audit, in the same transaction. Changes of people wait for one another (the audit's head is locked
first), so that two administrators cannot take each other's role away at once, nor two links make two first users.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import from_micros
from core.errors import OrderwireError
from core.rights import Right, Role, Scope, rights_of
from ledger import tables as t
from ledger.audit import MACHINE, Audit
from ledger.database import SECOND, Database

T = TypeVar("T")
Purpose = Literal["first", "invite", "reset"]
LINK_LASTS: Final = 24 * 3600
"""Seconds."""
_NAME: Final = re.compile(r"[^\W_][\w .'-]{0,58}[\w.]|[^\W_]")
_EMAIL: Final = re.compile(r"[^\s@,;<>\"]{1,64}@[^\s@,;<>\"]{1,180}")
_RESERVED: Final = frozenset({MACHINE, "orderwire", "command line", "nobody", "somebody"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `scopes`: through an API token, which may do less. Never put name or e-mail into a log."""

    id: int
    name: str
    role: Role
    email: str = ""
    disabled_at: datetime | None = None
    has_password: bool = True
    created_at: datetime | None = None
    token: str = ""
    """The token's name, where one is used."""
    scopes: frozenset[Scope] | None = None

    def may(self, right: Right | str) -> bool:
        """Has this right (its value will do, too)."""
        return right in rights_of(self.role, self.scopes)

    @property
    def actor(self) -> str:
        """How the audit calls them."""
        return f"{self.name} (token {self.token})" if self.token else self.name


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link that is still good. `person`: None for the first user's."""

    purpose: Purpose
    person: Person | None
    expires_at: datetime


class People:
    """Add, look, change; make links and use them."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self.db = db
        self.audit = audit

    # -- looking ---------------------------------------------------------------------------------------------------

    def any(self) -> bool:
        """Somebody can log in, or could (a person with a password exists)."""
        return bool(self.db.rows(_SETTLED))

    def get(self, person_id: int) -> Person | None:
        """One person."""
        rows = self.db.rows(sa.select(t.person).where(t.person.c.id == person_id))
        return as_person(rows[0]) if rows else None

    def named(self, login: str) -> Person | None:
        """By name or e-mail as it was typed."""
        found = self.with_password(login)
        return found[0] if found else None

    def with_password(self, login: str) -> tuple[Person, str] | None:
        """The same, and the kept password ("" while none was chosen)."""
        wanted = folded(login)[:250]
        column = t.person.c.email if "@" in wanted else t.person.c.folded
        rows = self.db.rows(sa.select(t.person).where(column == wanted)) if wanted else []
        return (as_person(rows[0]), rows[0].password) if rows else None

    def kept_password(self, person_id: int) -> str:
        """The hash, "" where there is none."""
        rows = self.db.rows(sa.select(t.person.c.password).where(t.person.c.id == person_id))
        return str(rows[0].password) if rows else ""

    def list(self) -> Sequence[Person]:
        """Everybody, by name."""
        return [as_person(row) for row in self.db.rows(sa.select(t.person).order_by(t.person.c.folded).limit(10_000))]

    # -- changing --------------------------------------------------------------------------------------------------

    def add(self, name: str, role: Role, *, email: str = "", by: str, ip: str = "") -> Person:
        """Somebody new, who cannot log in before a link was used. Raises OrderwireError where name or e-mail cannot be."""

        def work(connection: Connection) -> Person:
            self.audit.lock(connection)
            return self._insert(connection, name, role, email, by, ip)

        return self.db.transact(work)

    def _insert(self, connection: Connection, name: str, role: Role, email: str, by: str, ip: str) -> Person:
        name, email = unicodedata.normalize("NFKC", name).strip(), folded(email)
        _require_good(name, email)
        same = t.person.c.folded == folded(name)
        if email:
            same = sa.or_(same, t.person.c.email == email)
        if connection.execute(sa.select(t.person.c.id).where(same)).first():
            raise OrderwireError("Somebody has this name or e-mail already. What to do: choose another one.")
        now = self.db.micros()
        values = {"name": name, "folded": folded(name), "email": email, "role": role.value}
        added = sa.insert(t.person).values(**values, created_at=now, updated_at=now).returning(*t.person.c)
        person = as_person(connection.execute(added).one())
        self.audit.append(connection, by, "person.added", name, {"role": role.value}, ip)
        return person

    def set_role(self, person_id: int, role: Role, *, by: str, ip: str = "") -> None:
        """Give another role. Raises OrderwireError when no administrator would be left."""

        def work(connection: Connection, person: Person) -> None:
            if person.role is Role.ADMIN and role is not Role.ADMIN:
                _require_another_admin(connection, person.id)
            self._update(connection, person.id, role=role.value)
            self.audit.append(connection, by, "person.role", person.name, {"from": person.role, "to": role}, ip)

        self._change(person_id, work)

    def set_disabled(self, person_id: int, disabled: bool, *, by: str, ip: str = "") -> None:
        """Shut somebody out at once (sessions end, tokens rest), or let them in again."""

        def work(connection: Connection, person: Person) -> None:
            if disabled:
                _require_another_admin(connection, person.id) if person.role is Role.ADMIN else None
                end_sessions(connection, person.id)
                connection.execute(sa.delete(t.one_time_link).where(t.one_time_link.c.person_id == person.id))
            self._update(connection, person.id, disabled_at=self.db.micros() if disabled else None)
            action = "person.disabled" if disabled else "person.enabled"
            self.audit.append(connection, by, action, person.name, {}, ip)

        self._change(person_id, work)

    def set_password(self, person_id: int, kept: str, *, by: str, ip: str = "") -> None:
        """A new hash; every session of the person ends."""

        def work(connection: Connection, person: Person) -> None:
            self._keep_password(connection, person.id, kept)
            self.audit.append(connection, by, "person.password", person.name, {}, ip)

        self._change(person_id, work)

    def rehash(self, person_id: int, before: str, kept: str) -> None:
        """The same password under newer parameters, unless it was changed meanwhile."""
        same = sa.and_(t.person.c.id == person_id, t.person.c.password == before)
        self.db.execute(sa.update(t.person).where(same).values(password=kept))

    def _change(self, person_id: int, work: Callable[[Connection, Person], T]) -> T:
        def locked(connection: Connection) -> T:
            self.audit.lock(connection)
            row = connection.execute(sa.select(t.person).where(t.person.c.id == person_id)).first()
            if row is None:
                raise OrderwireError("There is no such person. What to do: look at the list of people.")
            return work(connection, as_person(row))

        return self.db.transact(locked)

    def _update(self, connection: Connection, person_id: int, **values: Any) -> None:
        update = sa.update(t.person).where(t.person.c.id == person_id)
        connection.execute(update.values(**values, updated_at=self.db.micros()))

    def _keep_password(self, connection: Connection, person_id: int, kept: str) -> None:
        self._update(connection, person_id, password=kept, password_at=self.db.micros())
        end_sessions(connection, person_id)

    # -- one-time links --------------------------------------------------------------------------------------------

    def first_link(self, *, by: str = MACHINE) -> str:
        """The token of a link by which the first user begins, as administrator; "" when there is somebody already. Links made
        earlier stay good: several processes print one each, and the first that is used makes the others useless.
        """

        def work(connection: Connection) -> str:
            self.audit.lock(connection)
            if connection.execute(_SETTLED).first():
                return ""
            self._forget_old_links(connection)
            self.audit.append(connection, by, "link.first", "first user", {})
            return self._link(connection, "first", None, by)

        return self.db.transact(work)

    def link(self, person_id: int, *, by: str, ip: str = "") -> str:
        """The token of a link by which somebody chooses a (new) password. One made before is good no more."""

        def work(connection: Connection, person: Person) -> str:
            if person.disabled_at is not None:
                raise OrderwireError("This person is disabled. What to do: enable them first.")
            purpose: Purpose = "reset" if person.has_password else "invite"
            connection.execute(sa.delete(t.one_time_link).where(t.one_time_link.c.person_id == person.id))
            self.audit.append(connection, by, f"link.{purpose}", person.name, {}, ip)
            return self._link(connection, purpose, person.id, by)

        return self._change(person_id, work)

    def _link(self, connection: Connection, purpose: Purpose, person_id: int | None, by: str) -> str:
        token, now = secrets.token_urlsafe(32), self.db.micros()
        values = {"hash": digest(token), "purpose": purpose, "person_id": person_id, "created_by": by[:120]}
        lasts = {"created_at": now, "expires_at": now + LINK_LASTS * SECOND}
        connection.execute(sa.insert(t.one_time_link).values(**values, **lasts))
        return token

    def _forget_old_links(self, connection: Connection) -> None:
        connection.execute(sa.delete(t.one_time_link).where(t.one_time_link.c.expires_at < self.db.micros()))

    def look(self, token: str) -> Link | None:
        """A link that is still good; looking does not use it (mail programs look at links, too)."""
        with self.db.read() as connection:
            return self._good(connection, token)

    def _good(self, connection: Connection, token: str) -> Link | None:
        found = t.one_time_link.outerjoin(t.person, t.person.c.id == t.one_time_link.c.person_id)
        link = t.one_time_link.c
        columns = (link.purpose, link.expires_at, link.person_id, *t.person.c)
        good = (link.hash == digest(token), link.used_at.is_(None), link.expires_at > self.db.micros())
        row = connection.execute(sa.select(*columns).select_from(found).where(*good)).mappings().first()
        if row is None:
            return None
        if row[link.person_id] is None:
            usable, person = connection.execute(_SETTLED).first() is None, None
        else:
            person = _from(row)
            usable = person.disabled_at is None
        return Link(row[link.purpose], person, from_micros(row[link.expires_at])) if usable else None

    def use(self, token: str, kept: str, *, name: str = "", email: str = "", ip: str = "") -> Person | None:
        """Use a link up: the person has this password now (the first user: is made, an administrator). None: it is good no
        more. Raises OrderwireError where the first user's name or e-mail cannot be; the link stays good then.
        """

        def work(connection: Connection) -> Person | None:
            self.audit.lock(connection)
            link = self._good(connection, token)
            if link is None:
                return None
            person = link.person or self._insert(connection, name, Role.ADMIN, email, MACHINE, ip)
            self._keep_password(connection, person.id, kept)
            used = sa.update(t.one_time_link).where(t.one_time_link.c.hash == digest(token))
            connection.execute(used.values(used_at=self.db.micros()))
            self.audit.append(connection, person.name, "link.used", person.name, {"purpose": link.purpose}, ip)
            return person

        return self.db.transact(work)


_SETTLED: Final = sa.select(t.person.c.id).where(t.person.c.password != "").limit(1)


def end_sessions(connection: Connection, person_id: int) -> None:
    """All of a person's."""
    connection.execute(sa.delete(t.session).where(t.session.c.person_id == person_id))


def digest(token: str) -> str:
    """What is kept of a random token. It cannot be guessed, so it needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def folded(text: str) -> str:
    """As it is compared."""
    return unicodedata.normalize("NFKC", text.replace("\x00", "")).strip().casefold()


def as_person(row: Any) -> Person:
    """A row of `person`."""
    return _from({column: getattr(row, column.name) for column in t.person.c})


def _from(row: Mapping[Any, Any]) -> Person:
    c = t.person.c
    disabled = row[c.disabled_at]
    return Person(
        id=row[c.id],
        name=row[c.name],
        role=Role(row[c.role]),
        email=row[c.email],
        disabled_at=None if disabled is None else from_micros(disabled),
        has_password=bool(row[c.password]),
        created_at=from_micros(row[c.created_at]),
    )


def _require_good(name: str, email: str) -> None:
    if not _NAME.fullmatch(name) or len(folded(name)) > 60 or folded(name) in _RESERVED:
        raise OrderwireError(
            "This cannot be a name. What to do: use up to 60 letters, digits, blanks, dots and dashes, not `machine`."
        )
    if email and not _EMAIL.fullmatch(email):
        raise OrderwireError("This is no e-mail address. What to do: correct it, or leave it out.")


def _require_another_admin(connection: Connection, person_id: int) -> None:
    c = t.person.c
    others = (c.role == Role.ADMIN.value, c.disabled_at.is_(None), c.password != "", c.id != person_id)
    if connection.execute(sa.select(c.id).where(*others).limit(1)).first() is None:
        raise OrderwireError(
            "This is the only administrator who can log in. What to do: make somebody else an administrator first."
        )
