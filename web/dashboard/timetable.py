"""What runs at intervals, as people look at it: configured or not any more, late, failed, paused, at work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from ledger.figures import ScheduleView
from ledger.schedules import Round
from pipelines import schedules
from pipelines.context import Context
from pipelines.desk import FOR_EVER, may_rest
from web.dashboard.spark import Strip, strip
from web.dashboard.tiles import SLACK, failed

LAST = 20
"""Rounds that a strip shows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One schedule. `every`: seconds, 0 for one that the configuration does not ask for any more; `late`: seconds, 0 in time;
    `missed`: rounds that should have begun since it is due, beside the one that will; `paused`: it does not begin now, until
    `paused_until` (None: until somebody resumes it).
    """

    name: str
    every: float
    next_at: datetime | None = None
    last_started_at: datetime | None = None
    last_ended_at: datetime | None = None
    outcome: str = ""
    running: bool = False
    failed: bool = False
    late: float = 0.0
    missed: int = 0
    paused: bool = False
    paused_until: datetime | None = None
    paused_by: str = ""
    paused_why: str = ""
    rounds: Sequence[Round] = ()

    @property
    def anchor(self) -> str:
        """Its place on the page of schedules."""
        return anchor(self.name)

    @property
    def address(self) -> str:
        """Its own page."""
        return f"/schedules/{quote(self.name)}"

    @property
    def may_rest(self) -> bool:
        """It may be paused."""
        return may_rest(self.name)

    @property
    def strip(self) -> Strip:
        """Its last rounds as a picture."""
        return strip(self.rounds[-LAST:])

    @property
    def took(self) -> float | None:
        """Seconds that its last round took; None: nobody knows."""
        began, ended = self.last_started_at, self.last_ended_at
        return (ended - began).total_seconds() if began and ended and ended >= began else None


def anchor(name: str) -> str:
    """`poll/shop` -> `s-poll-shop`."""
    return "s-" + re.sub(r"[^a-z0-9_-]+", "-", name.lower())


def entries(context: Context, now: datetime, rounds: Mapping[str, Sequence[Round]] | None = None) -> Sequence[Entry]:
    """What is configured, in the order of the configuration, then what ran once and is not configured any more."""
    views = {view.name: view for view in context.ledger.figures.schedules()}
    known = rounds or {}
    found = []
    for scheduled in schedules.of(context):
        view = views.pop(scheduled.name, None)
        if view is None:
            found.append(Entry(scheduled.name, scheduled.every))
        else:
            found.append(_entry(view, scheduled.every, now, known.get(view.name, ())))
    return [*found, *(_entry(view, 0.0, now, known.get(view.name, ())) for view in views.values())]


def _entry(view: ScheduleView, every: float, now: datetime, rounds: Sequence[Round]) -> Entry:
    paused = view.paused_until is not None and view.paused_until > now
    ends = view.paused_until if paused else None
    due = max(view.next_at, view.paused_until) if view.paused_until is not None else view.next_at
    behind = (now - due).total_seconds()
    late = behind if every and behind > SLACK and not view.running and not paused else 0.0
    return Entry(
        name=view.name,
        every=every,
        next_at=due if every else None,
        last_started_at=view.last_started_at,
        last_ended_at=view.last_ended_at,
        outcome=view.last_outcome,
        running=view.running and bool(every),
        failed=failed(view) and bool(every),
        late=late,
        missed=int(late // every) if every else 0,
        paused=paused,
        paused_until=None if ends is None or (ends - now).total_seconds() > FOR_EVER / 2 else ends,
        paused_by=view.paused_by,
        paused_why=view.paused_why,
        rounds=rounds,
    )
