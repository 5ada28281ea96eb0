"""What runs at intervals, as people look at it: configured or not any more, late, failed, at work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines import schedules
from pipelines.context import Context
from web.dashboard.tiles import SLACK, failed


@dataclass(frozen=True, slots=True)
class Entry:
    """One schedule. `every`: seconds, 0 for one that the configuration does not ask for any more; `late`: seconds, 0 in time."""

    name: str
    every: float
    next_at: datetime | None = None
    last_started_at: datetime | None = None
    last_ended_at: datetime | None = None
    outcome: str = ""
    running: bool = False
    failed: bool = False
    late: float = 0.0

    @property
    def anchor(self) -> str:
        """Its place on the page of schedules."""
        return anchor(self.name)


def anchor(name: str) -> str:
    """`poll/shop` -> `s-poll-shop`."""
    return "s-" + re.sub(r"[^a-z0-9_-]+", "-", name.lower())


def entries(context: Context, now: datetime) -> Sequence[Entry]:
    """What is configured, in the order of the configuration, then what ran once and is not configured any more."""
    views = {view.name: view for view in context.ledger.figures.schedules()}
    found = []
    for scheduled in schedules.of(context):
        view = views.pop(scheduled.name, None)
        if view is None:
            found.append(Entry(scheduled.name, scheduled.every))
            continue
        behind = (now - view.next_at).total_seconds()
        found.append(
            Entry(
                name=view.name,
                every=scheduled.every,
                next_at=view.next_at,
                last_started_at=view.last_started_at,
                last_ended_at=view.last_ended_at,
                outcome=view.last_outcome,
                running=view.running,
                failed=failed(view),
                late=behind if behind > SLACK and not view.running else 0.0,
            )
        )
    found += [
        Entry(
            view.name,
            0.0,
            last_started_at=view.last_started_at,
            last_ended_at=view.last_ended_at,
            outcome=view.last_outcome,
        )
        for view in views.values()
    ]
    return found
