"""The budget of outward calls, shared by all workers of all processes: a token bucket for each connection.

The bucket is kept as one moment, `connection_state.budget_at` (the generic cell rate algorithm): when it will be full again
if nobody calls. Each call moves it by 1/rate seconds. With `now` from the database's clock, calls/second `rate` and `burst`:

    left   = burst - max(budget_at - now, 0) * rate
    a call = budget_at := max(budget_at, now) + 1/rate, while that is at most now + burst/rate

**Live goes first.** What is not live may call only where `reserve` = max(burst / 2, 1) calls are left after it. A bucket of one
call cannot keep one back: there the time that it has been full counts as well, so that what is not live gets at most half
of the rate. Live calls queue: where nothing is left now, a call takes the next free moment and is told how long that is
away. The others ask again.

**The bound.** A process that calls often takes a few calls ahead, at most what `AHEAD` seconds bring; what is not used in
that time is lost. So in any t seconds at most burst + rate * (t + AHEAD) calls begin, however many processes there are, and
at most burst + rate * t where rate is below 2 / AHEAD: then nothing is ever taken ahead.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from core.settings import ConnectionSettings
from ledger import tables as t
from ledger.database import SECOND, Database

AHEAD: Final = 0.25
"""Seconds that calls taken ahead are good for."""
FURTHEST: Final = 60.0
"""Seconds that a call can be told to wait for its moment, at most."""
_AGAIN: Final = 0.01
"""Whoever has to ask again waits so many seconds at least."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of asking for a call. `ours`: make it in `wait` seconds. Otherwise nothing was taken, and there may be one to
    be had in `wait` seconds.
    """

    ours: bool
    wait: float


@dataclass(frozen=True, slots=True)
class Limit:
    """What a connection bears: `rate` calls a second, `burst` at once (>= 1)."""

    rate: float
    burst: float

    @property
    def cost(self) -> int:
        """Microseconds that a call moves the bucket; rounded up, so that never more than `rate` come."""
        return math.ceil(SECOND / self.rate)

    def share(self, *, live: bool) -> float:
        """Calls that this class may find there: all, or what is over the reserve."""
        return self.burst if live else self.burst - max(self.burst / 2, 1.0)

    def room(self, *, live: bool) -> int:
        """Microseconds that the bucket may be moved beyond the present by this class."""
        return int(self.share(live=live) * self.cost)

    def most(self, *, live: bool) -> int:
        """Calls to take ahead at most."""
        return max(1, int(min(self.rate * AHEAD, self.share(live=live))))


class Budgets:
    """The budgets of all connections. One per process."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._taking = db.prepare(self._build_take())
        self._looking = db.prepare(
            sa.select((t.connection_state.c.budget_at - db.now).label("ahead")).where(
                t.connection_state.c.connection == sa.bindparam("b_name")
            )
        )

    def of(self, connection: str, *, rate: float, burst: float) -> Budget:
        """This process's share in the budget of one connection."""
        return Budget(self, connection, Limit(rate, burst))

    def take(self, connection: str, limit: Limit, calls: int = 1, *, live: bool, within: float = 0.0) -> Turn:
        """Take so many calls at once: live ones also when their moment is yet to come, `within` seconds (at most FURTHEST).
        One statement when they are given; one more, that only reads, when not.
        """
        room = limit.room(live=live)
        waiting = int(min(within, FURTHEST) * SECOND) if live else 0
        parameters = {
            "b_name": connection,
            "b_cost": limit.cost * calls,
            "b_free": room + waiting - limit.cost * calls,
            "b_latest": limit.room(live=True) + int(FURTHEST * SECOND),
        }
        given = self.db.execute(self._taking, parameters)
        if given:
            return Turn(ours=True, wait=max(given[0].ahead - room, 0) / SECOND if live else 0.0)
        wait = (self._ahead(connection) + limit.cost * calls - room) / SECOND
        return Turn(ours=False, wait=min(max(wait, _AGAIN), FURTHEST))

    def left(self, connection: str, limit: Limit) -> float:
        """Calls that may come at once now, 0 .. burst."""
        return max(limit.burst - max(self._ahead(connection), 0) / limit.cost, 0.0)

    def _ahead(self, connection: str) -> int:
        """Microseconds until the bucket is full; negative when it has been for a while."""
        rows = self.db.rows(self._looking, {"b_name": connection})
        found = rows[0].ahead if rows else None
        return 0 if found is None else int(found)

    def _build_take(self) -> sa.ClauseElement:
        big = sa.BigInteger
        now, cost = self.db.now, sa.bindparam("b_cost", type_=big)
        free = now + sa.bindparam("b_free", type_=big)
        latest = now + sa.bindparam("b_latest", type_=big)
        stored = sa.func.coalesce(t.connection_state.c.budget_at, 0)
        # A clock that was set back would keep the bucket empty until it has caught up: there is room for this call alone.
        at = sa.case((stored > latest, free), else_=stored)
        insert = self.db.insert(t.connection_state).values(
            connection=sa.bindparam("b_name"), budget_at=now + cost, updated_at=now
        )
        return insert.on_conflict_do_update(
            index_elements=["connection"],
            set_={"budget_at": sa.case((at > now, at), else_=now) + cost},
            where=at <= free,
        ).returning((t.connection_state.c.budget_at - now).label("ahead"))


class Budget:
    """One connection's, for the threads of one process. Called for each outward call."""

    def __init__(self, budgets: Budgets, connection: str, limit: Limit) -> None:
        self._budgets = budgets
        self._connection = connection
        self.limit = limit
        self._own = {True: _Own(), False: _Own()}

    def __call__(self, *, live: bool, within: float) -> Turn:
        """One call. Never sleeps; raises SQLAlchemyError while the ledger is away."""
        own = self._own[live]
        with (
            own.lock
        ):  # one thread asks for all: who waits behind it finds what it took ahead, or that there is nothing
            now = self._budgets.db.micros()
            if own.usable(now):
                own.left -= 1
                return Turn(ours=True, wait=max(own.begins - now, 0) / SECOND)
            refused = own.still_refused(now, within if live else 0.0)
            if refused:
                return Turn(ours=False, wait=refused)
            calls = own.worth_taking(now, self.limit.most(live=live))
            turn = self._budgets.take(self._connection, self.limit, calls, live=live, within=within)
            own.answered(now, calls, turn)
            return turn


class _Own:
    """What one process knows of one class of calls: those taken ahead, or until when there are none. Moments are the
    database's, in microseconds; one before `asked` means that its clock was set back, and nothing known is good any more.
    """

    __slots__ = ("asked", "begins", "free", "left", "lock", "size")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.size = self.left = 0
        self.asked = self.begins = self.free = 0

    def usable(self, now: int) -> bool:
        return self.left > 0 and self.asked <= now < self.begins + int(AHEAD * SECOND)

    def still_refused(self, now: int, within: float) -> float:
        """Seconds until there may be one to be had; 0: ask."""
        wait = (self.free - now) / SECOND
        return wait if self.asked <= now and wait > within else 0.0

    def worth_taking(self, now: int, most: int) -> int:
        """Twice as many where more were needed in their time; else as many as were used; one after a wait."""
        if self.begins > self.asked or not self.size:
            return 1
        hurried = not self.left and now < self.begins + int(AHEAD * SECOND)
        return min(2 * self.size if hurried else max(self.size - self.left, 1), most)

    def answered(self, now: int, calls: int, turn: Turn) -> None:
        self.asked = now
        self.size, self.left = (calls, calls - 1) if turn.ours else (0, 0)
        moment = now + int(turn.wait * SECOND)
        self.begins, self.free = (moment, 0) if turn.ours else (now, moment)


def remaining(budgets: Budgets, connection: ConnectionSettings) -> float | None:
    """Calls that may come at once now on a connection of these settings; None: it has no rate."""
    if connection.rate is None:
        return None
    return budgets.left(connection.name, Limit(connection.rate, connection.at_once))
