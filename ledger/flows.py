"""Whether a flow may write: rehearse, live or paused, and from which moment on orders are created."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros, to_micros
from ledger import tables as t
from ledger.database import Database

Mode = Literal["rehearse", "live", "paused"]
FRESH: Final = 1.0
"""Seconds that a process may go on with the mode it has read: a pause stops every process within it."""


@dataclass(frozen=True, slots=True)
class FlowState:
    """How a flow stands. `start`: orders placed before it are linked or listed, never created; None: no such limit."""

    flow: str
    mode: Mode
    start: datetime | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
    note: str = ""

    @property
    def live(self) -> bool:
        """It may write."""
        return self.mode == "live"


class Flows:
    """One row a flow. A flow that has none yet is in rehearsal: nothing is written before somebody says so."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, FlowState]] = {}
        self._one = db.prepare(sa.select(t.flow_state).where(t.flow_state.c.flow == sa.bindparam("b_flow")))

    def get(self, flow: str) -> FlowState:
        """As it stands, at most a second old."""
        now = time.monotonic()
        with self._lock:
            known = self._known.get(flow)
        if known is not None and now - known[0] < FRESH:
            return known[1]
        rows = self.db.rows(self._one, {"b_flow": flow})
        state = _state(rows[0]) if rows else FlowState(flow, "rehearse")
        with self._lock:
            self._known[flow] = (now, state)
        return state

    def all(self) -> list[FlowState]:
        """Every flow that somebody has set."""
        return [_state(row) for row in self.db.rows(sa.select(t.flow_state).order_by(t.flow_state.c.flow))]

    def set(
        self, flow: str, mode: Mode, *, start: datetime | None = None, by: str = "", note: str = "", keep: bool = False
    ) -> FlowState:
        """Change the mode. `keep`: the start stays as it is (a pause and its end move nothing)."""
        values: dict[str, Any] = {
            "mode": mode,
            "changed_at": self.db.now,
            "changed_by": by[:80],
            "note": note,
        }
        if not keep:
            values["start_at"] = to_micros(start) if start is not None else None
        insert = self.db.insert(t.flow_state).values(flow=flow, **values)
        self.db.execute(insert.on_conflict_do_update(index_elements=["flow"], set_=values))
        with self._lock:
            self._known.pop(flow, None)
        return self.get(flow)

    def wake_rehearsed(self, flow: str) -> int:
        """Everything that was rehearsed only is due: for real, or anew. How many jobs."""
        woken = self.db.execute(
            sa.update(t.job)
            .where(t.job.c.flow == flow, t.job.c.state == "waiting", t.job.c.error_class == REHEARSED)
            .values(due_at=self.db.now, reason="", error_class="", updated_at=self.db.now)
            .returning(t.job.c.id)
        )
        return len(woken)


REHEARSED: Final = "rehearsal"
"""The class of jobs that wait because their flow is rehearsed."""


def _state(row: Row[Any]) -> FlowState:
    return FlowState(
        flow=row.flow,
        mode=row.mode,
        start=from_micros(row.start_at) if row.start_at is not None else None,
        changed_at=from_micros(row.changed_at),
        changed_by=row.changed_by,
        note=row.note,
    )
