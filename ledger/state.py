"""The state of connections, cursors and lanes: what all processes must see alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core.clock import from_micros
from core.errors import LeaseLost, RetryLater
from ledger import tables as t
from ledger.database import SECOND, Database


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """How a connection stands now."""

    connection: str
    blocked_for: float
    """Seconds; 0: not blocked."""
    blocked_class: str
    blocked_reason: str
    paused_for: float
    faults: int
    out_for: float
    """Seconds since the first fault of the present outage; 0: none."""
    last_success_at: datetime | None


class States:
    """One row a connection; the connection-wide faults that make everybody wait."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def _upsert(self, connection: str, values: dict[str, Any]) -> None:
        insert = self.db.insert(t.connection_state).values(connection=connection, updated_at=self.db.now, **values)
        self.db.execute(
            insert.on_conflict_do_update(index_elements=["connection"], set_={"updated_at": self.db.now, **values})
        )

    def block(self, connection: str, seconds: float, *, error_class: str, reason: str) -> None:
        """A fault that is the connection's: nobody claims jobs for it before the time is over. While it is blocked already
        (eight threads meet one outage) the longer time holds and no further fault is counted.
        """
        until = self.db.now + int(seconds * SECOND)
        insert = self.db.insert(t.connection_state).values(
            connection=connection,
            blocked_until=until,
            blocked_class=error_class[:40],
            blocked_reason=reason,
            blocked_since=self.db.now,
            last_fault_at=self.db.now,
            faults=1,
            updated_at=self.db.now,
        )
        state = t.connection_state.c
        still = state.blocked_until.is_not(None) & (state.blocked_until > self.db.now)
        self.db.execute(
            insert.on_conflict_do_update(
                index_elements=["connection"],
                set_={
                    "blocked_until": sa.case((still & (state.blocked_until > until), state.blocked_until), else_=until),
                    "blocked_class": error_class[:40],
                    "blocked_reason": reason,
                    "blocked_since": sa.case((state.faults > 0, state.blocked_since), else_=self.db.now),
                    "last_fault_at": self.db.now,
                    "faults": sa.case((still, state.faults), else_=state.faults + 1),
                    "updated_at": self.db.now,
                },
            )
        )

    def succeeded(self, connection: str) -> None:
        """It answers again: nobody waits any more."""
        self._upsert(
            connection,
            {
                "blocked_until": None,
                "blocked_class": "",
                "blocked_reason": "",
                "blocked_since": None,
                "faults": 0,
                "last_success_at": self.db.now,
            },
        )

    def heard(self, connection: str) -> None:
        """It answered sensibly just now. Ends no block: whoever was refused meanwhile knows better."""
        self._upsert(connection, {"last_success_at": self.db.now})

    def pause(self, connection: str, seconds: float | None) -> None:
        """A person's pause; None ends it."""
        self._upsert(connection, {"paused_until": None if seconds is None else self.db.now + int(seconds * SECOND)})

    def try_now(self, connection: str) -> None:
        """Do not wait for the end of a block; the outage itself is over only when a call succeeds."""
        self.db.execute(
            sa.update(t.connection_state)
            .where(t.connection_state.c.connection == connection)
            .values(blocked_until=None)
        )

    def get(self, connection: str) -> ConnectionState | None:
        """One connection's state; None when nothing ever happened with it."""
        found = [state for state in self.all() if state.connection == connection]
        return found[0] if found else None

    def paused_among(self, connections: Collection[str]) -> ConnectionState | None:
        """The one of these that a person's pause leaves alone the longest; None: none is paused."""
        if not connections:
            return None
        paused = (one for one in self.all() if one.connection in connections and one.paused_for > 0)
        return max(paused, key=lambda one: one.paused_for, default=None)

    def all(self) -> list[ConnectionState]:
        """Every connection that anything happened with."""
        table = t.connection_state
        query = sa.select(
            table, (table.c.blocked_until - self.db.now).label("b"), (table.c.paused_until - self.db.now).label("p")
        )
        return [
            ConnectionState(
                connection=row.connection,
                blocked_for=max((row.b or 0) / SECOND, 0.0),
                blocked_class=row.blocked_class,
                blocked_reason=row.blocked_reason,
                paused_for=max((row.p or 0) / SECOND, 0.0),
                faults=row.faults,
                out_for=(self.db.micros() - row.blocked_since) / SECOND if row.faults and row.blocked_since else 0.0,
                last_success_at=from_micros(row.last_success_at) if row.last_success_at else None,
            )
            for row in self.db.rows(query)
        ]


class Cursors:
    """Where a listing was read up to; opaque text per name (`flow/orders`)."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def get(self, name: str) -> str | None:
        """The last committed cursor."""
        rows = self.db.rows(sa.select(t.cursor.c.value).where(t.cursor.c.name == name))
        return rows[0][0] if rows else None

    def set(self, name: str, value: str) -> None:
        """Move on; call it only after what was read up to here is committed."""
        insert = self.db.insert(t.cursor).values(name=name, value=value, updated_at=self.db.now)
        self.db.execute(
            insert.on_conflict_do_update(index_elements=["name"], set_={"value": value, "updated_at": self.db.now})
        )


class Lanes:
    """Leased rows for writes that a system cannot take in parallel, across threads and processes.

    Within a process a plain lock queues the threads; the process keeps the row's lease while its threads follow one
    another (so that an order does not cost two more transactions), at most for a second where others may wait.
    """

    FAIR = 1.0

    def __init__(
        self, db: Database, holder: str, *, lease: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.db = db
        self.holder = holder
        self.lease = lease
        self._sleep = sleep
        self._guard = threading.Lock()
        self._local: dict[str, _Local] = {}
        self._take = db.prepare(self._build_take())
        self._give_back = db.prepare(
            sa.update(t.lane)
            .where(t.lane.c.name == sa.bindparam("b_name"), t.lane.c.holder == sa.bindparam("b_holder"))
            .values(holder="", lease_until=0)
        )

    def _build_take(self) -> sa.ClauseElement:
        insert = self.db.insert(t.lane).values(
            name=sa.bindparam("b_name"),
            holder=sa.bindparam("b_holder"),
            lease_until=self.db.now + sa.bindparam("b_lease", type_=sa.BigInteger),
        )
        return insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": insert.excluded.holder, "lease_until": insert.excluded.lease_until},
            where=(t.lane.c.holder == insert.excluded.holder)
            | (t.lane.c.lease_until < self.db.now)
            | (t.lane.c.holder == ""),
        ).returning(t.lane.c.name)

    @contextmanager
    def hold(self, name: str, *, within: float, need: float) -> Iterator[None]:
        """Alone in this lane. Waits at most `within` seconds (then RetryLater); on entry at least `need` seconds of the
        lease are left.
        """
        local = self._of(name)
        deadline = time.monotonic() + within
        self._queue(name, local, within)
        try:
            self._secure(name, local, deadline, need)
            yield
        finally:
            self._leave(name, local)

    def renew(self, name: str) -> float:
        """Whoever holds the lane, and has more to do than fits into one turn, goes on for a whole lease; until when (monotonic).
        Raises RetryLater where the lease was over and another process has the lane.
        """
        asked = time.monotonic()
        parameters = {"b_name": name, "b_holder": self.holder, "b_lease": int(self.lease * SECOND)}
        if not self.db.execute(self._take, parameters):
            raise _busy(name)
        local = self._of(name)
        local.held_until = asked + self.lease
        return local.held_until

    def _queue(self, name: str, local: _Local, within: float) -> None:
        """Our turn among the threads of this process."""
        with self._guard:
            local.waiting += 1
        got = False
        try:
            got = local.lock.acquire(timeout=within)
        finally:
            with self._guard:
                local.waiting -= 1
        if got:
            return
        if local.lock.acquire(blocking=False):
            # Whoever left just now may have kept the row for us, who have given up.
            self._leave(name, local)
        raise _busy(name)

    def _of(self, name: str) -> _Local:
        with self._guard:
            return self._local.setdefault(name, _Local())

    def _secure(self, name: str, local: _Local, deadline: float, need: float) -> None:
        if need >= self.lease:
            raise LeaseLost("A lane's lease is shorter than one call. What to do: raise [ledger] lease.", detail=name)
        if local.held_until - time.monotonic() > max(need, self.lease / 2):
            return
        while True:
            asked = time.monotonic()
            parameters = {"b_name": name, "b_holder": self.holder, "b_lease": int(self.lease * SECOND)}
            if self.db.execute(self._take, parameters):
                if not local.held_since:
                    local.held_since = asked
                local.held_until = asked + self.lease
                return
            if asked > deadline:
                raise _busy(name)
            self._sleep(0.02)

    def _leave(self, name: str, local: _Local) -> None:
        """Hand over to the next thread of this process, or give the row back. The local lock is free afterwards, whatever
        happens.
        """
        with self._guard:
            if local.waiting and local.held_since and time.monotonic() - local.held_since <= self.FAIR:
                local.lock.release()
                return
        local.held_until = local.held_since = 0.0
        try:
            self._release(name)
            if local.waiting:
                self._sleep(0.03)  # long enough for another process's next try: neither starves
        except SQLAlchemyError:
            pass  # The database is away. The write that was done stays done, and the row's lease ends by itself.
        finally:
            local.lock.release()

    def _release(self, name: str) -> None:
        self.db.execute(self._give_back, {"b_name": name, "b_holder": self.holder})


class _Local:
    """What this process knows of one lane."""

    __slots__ = ("held_since", "held_until", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0
        self.held_until = 0.0
        self.held_since = 0.0


def _busy(name: str) -> RetryLater:
    return RetryLater(
        "Another order is being written there right now. What to do: nothing, it is tried again by itself.",
        seconds=1,
        cause="busy",
        burns_attempt=False,
        detail=f"lane {name}",
    )
