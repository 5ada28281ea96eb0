"""How each connection stands: its state now, kept apart from its last success, and what it should have done by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from ledger.budget import remaining
from ledger.figures import ScheduleView
from ledger.schedules import NOT_ASKED
from ledger.state import ConnectionState
from pipelines import schedules
from pipelines.conditions import GRACE
from pipelines.context import Context
from pipelines.desk import FOR_EVER
from web.dashboard.spark import Spark, spark

Standing = Literal["works", "unheard", "backing_off", "out", "login_refused", "paused"]
Role = Literal["store", "crm", "erp", "portal", "notifier", "unused"]
RECENT: Final = 20_000
"""Events of all connections that are looked at for the last delivery of one: no page waits for more."""
SLACK: Final = 30.0
"""Seconds that anything may be behind its time before it is called late: the ticker's second, a run, a slow answer."""
TONES: Final[Mapping[Standing, str]] = {
    "works": "good",
    "unheard": "",
    "backing_off": "warn",
    "out": "bad",
    "login_refused": "bad",
    "paused": "warn",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One connection. `late`: seconds behind its cadence `every`, 0 when in time or when nobody asks it by the clock."""

    name: str
    connector: str
    role: Role
    standing: Standing
    reason: str = ""
    since: datetime | None = None
    """When the present outage began."""
    until: datetime | None = None
    """When a pause or a back-off ends; None: when somebody ends it."""
    last_success: datetime | None = None
    every: float = 0.0
    late: float = 0.0
    waiting: int = 0
    rehearsed: int = 0
    """Orders that wait for their flow to go live."""
    budget: float | None = None
    budget_of: float = 0.0
    polls: Sequence[str] = ()
    """Schedules that ask this connection."""
    spark: Spark | None = None

    @property
    def tone(self) -> str:
        """good, warn, bad or "" (nothing is known)."""
        tone = TONES[self.standing]
        return "warn" if tone == "good" and self.late else tone

    @property
    def fine(self) -> bool:
        """Nobody has to look at it."""
        return self.standing in {"works", "unheard"} and not self.late


def standing_of(state: ConnectionState | None) -> Standing:
    """The word for it (pure)."""
    if state is None:
        return "unheard"
    if state.paused_for > 0:
        return "paused"
    if state.faults:
        if state.blocked_class == "auth":
            return "login_refused"
        return "out" if state.out_for >= GRACE else "backing_off"
    return "works" if state.last_success_at else "unheard"


def late_by(last_success: datetime | None, every: float, now: datetime) -> float:
    """Seconds that a success is overdue; 0 within the slack, or where nothing was due yet (pure)."""
    if not every or last_success is None:
        return 0.0
    behind = (now - last_success).total_seconds() - every
    return behind if behind > max(SLACK, every / 2) else 0.0


def tiles(context: Context, now: datetime) -> list[Tile]:
    """Every configured connection, in the order of the configuration."""
    ledger = context.ledger
    states = {state.connection: state for state in ledger.states.all()}
    views = {view.name: view for view in ledger.figures.schedules()}
    asked: dict[str, list[schedules.Scheduled]] = {}
    for scheduled in schedules.of(context):
        if scheduled.connection:
            asked.setdefault(scheduled.connection, []).append(scheduled)
    waiting = ledger.figures.waiting()
    numbers = ledger.pulse.day(now)
    found = []
    for name in context.connections:
        its = asked.get(name, [])
        state = states.get(name)
        every = min((one.every for one in its), default=0.0)
        last = _last_success(state, [views[one.name] for one in its if one.name in views])
        role = role_of(context, name)
        if last is None and role == "store":  # one that only pushes: what came is its sign of life
            last = ledger.figures.last_delivery(name, within=RECENT)
        paused = state is not None and state.paused_for > 0
        found.append(
            Tile(
                name=name,
                connector=context.connections[name].connector,
                role=role,
                standing=_heard(standing_of(state), last),
                reason=state.blocked_reason if state is not None and state.faults else "",
                since=now - timedelta(seconds=state.out_for) if state is not None and state.out_for else None,
                until=_until(state, now),
                last_success=last,
                every=every,
                late=0.0 if paused else late_by(last, every, now),
                waiting=sum(one.count for one in waiting if one.target == name and not one.rehearsed),
                rehearsed=sum(one.count for one in waiting if one.target == name and one.rehearsed),
                budget=remaining(ledger.budgets, context.connections[name]),
                budget_of=context.connections[name].at_once,
                polls=[one.name for one in its],
                spark=_drawn(role, name, numbers, now),
            )
        )
    return found


def role_of(context: Context, name: str) -> Role:
    """What the connection is for."""
    if name in context.stores:
        return "store"
    if name in context.crms:
        return "crm"
    if name in context.erps:
        return "erp"
    if name in context.publishers:
        return "portal"
    return "notifier" if name in context.notifiers or name in context.messengers else "unused"


def _heard(standing: Standing, last: datetime | None) -> Standing:
    return "works" if standing == "unheard" and last is not None else standing


def _last_success(state: ConnectionState | None, views: Sequence[ScheduleView]) -> datetime | None:
    """The newest of what is known: a call that went well, or a round that asked it and ended well."""
    asked = [view for view in views if not view.last_outcome.startswith(NOT_ASKED)]
    moments = [view.last_ended_at for view in asked if view.last_ended_at and not failed(view)]
    if state is not None and state.last_success_at is not None:
        moments.append(state.last_success_at)
    return max(moments, default=None)


def failed(view: ScheduleView) -> bool:
    """Its last round ended badly."""
    return view.last_outcome.startswith("failed")


def _until(state: ConnectionState | None, now: datetime) -> datetime | None:
    if state is None:
        return None
    if state.paused_for > 0:
        return None if state.paused_for > FOR_EVER / 2 else now + timedelta(seconds=state.paused_for)
    return now + timedelta(seconds=state.blocked_for) if state.blocked_for > 0 else None


def _drawn(role: Role, name: str, numbers: Mapping[tuple[str, str], Sequence[int]], now: datetime) -> Spark | None:
    if role not in {"store", "crm"}:
        return None
    none = [0] * 24
    did = "came" if role == "store" else "carried"
    return spark(numbers.get((name, did), none), numbers.get((name, "failed"), none), now)
