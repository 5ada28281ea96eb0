"""What becomes of jobs whose worker died or froze: taken back, tried again alone, held when they are to blame."""

from __future__ import annotations

import random
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Row

from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.prepared import Prepared
from ledger.processes import process_of

CRASHES_HOLD: Final = 3
"""So many crashes alone hold a job, as long as nothing else crashes meanwhile."""
CRASHES_AMID: Final = 8
"""So many hold it also when other processes died without it: something else may be to blame, or more than one job."""
CRASH_PAUSE: Final = 5.0
"""Seconds, more or less, before a job that ended its worker while alone is tried again."""
CRASH_PAUSE_MOST: Final = 20.0


class Crashes:
    """Takes back jobs whose lease ran out. `insert_attempt`: the statement that writes one row of `attempt`."""

    def __init__(self, db: Database, insert_attempt: Prepared) -> None:
        self.db = db
        self._insert_attempt = insert_attempt

    def reap(self) -> int:
        """Take back jobs whose lease ran out: their worker died or froze. They run again, alone in their process, after a
        pause from the second time on; three crashes while alone hold them (see `CRASHES_AMID`). How many.
        """
        expired = sa.select(t.job).where(t.job.c.state == "running", t.job.c.lease_until < self.db.now).limit(200)
        count = 0
        for row in self.db.rows(expired):
            count += self._reap_one(row)
        return count

    def _reap_one(self, row: Row[Any]) -> int:
        crashes = row.crashes + 1
        # The first crash had company, only those alone count; a newer state is given its own try.
        newer = row.wanted != row.generation
        hold = (
            row.alone and not newer and crashes > CRASHES_HOLD and (crashes > CRASHES_AMID or self._alone_to_blame(row))
        )
        pause = 0.0 if newer else pause_after(crashes)
        reason = (
            f"This job ended its worker {crashes} times. What to do: look at the order's data, then retry, or skip it."
            if hold
            else "The worker ended while this job ran. What to do: nothing, it runs again by itself."
        )
        with self.db.write() as connection:
            taken = connection.execute(
                sa.update(t.job)
                .where(t.job.c.id == row.id, t.job.c.token == row.token, t.job.c.state == "running")
                .where(t.job.c.lease_until < self.db.now, t.job.c.wanted == row.wanted)
                .values(
                    state="held" if hold else "waiting",
                    token=t.job.c.token + 1,
                    crashes=crashes,
                    alone=True,
                    due_at=self.db.now + int(pause * SECOND),
                    lease_until=None,
                    reason=reason,
                    error_class="crash",
                    updated_at=self.db.now,
                )
                .returning(t.job.c.id)
            ).first()
            if taken is None:
                return 0
            self._insert_attempt.on(
                connection,
                {
                    "job_id": row.id,
                    "generation": row.generation,
                    "token": row.token,
                    "worker": row.worker,
                    "started_at": row.started_at or row.updated_at,
                    "ended_at": self.db.micros(),
                    "outcome": "crashed",
                    "error_class": "crash",
                    "message": reason,
                    "detail": "",
                    "calls": "",
                    "correlation": row.correlation,
                },
            )
        return 1

    def _alone_to_blame(self, row: Row[Any]) -> bool:
        """Whether no process died without this job since it began to crash: where workers are killed from outside, again
        and again, whoever runs alone first in each of them would seem to be the cause.
        """
        attempt = t.attempt.c
        crashed = sa.select(attempt.id, attempt.worker).where(attempt.outcome == "crashed")
        own = self.db.rows(crashed.where(attempt.job_id == row.id).order_by(attempt.id.desc()).limit(CRASHES_HOLD))
        if not own:
            return True
        # By number, which grows with time: there is no other index, and there are millions.
        others = self.db.rows(crashed.where(attempt.id > own[-1].id, attempt.job_id != row.id).limit(1000))
        mine = {process_of(one.worker) for one in own} | {process_of(row.worker)}
        return all(process_of(one.worker) in mine for one in others)


def pause_after(crashes: int) -> float:
    """Seconds before a job that was there at so many crashes runs again. Something else may be killing workers, at its own
    rhythm: whoever were tried again in the same rhythm would be taken for the cause. So the pauses grow, and are uneven.
    """
    if crashes < 2:
        return 0.0
    pause = min(CRASH_PAUSE * 4.0 ** (crashes - 2), CRASH_PAUSE_MOST)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads, guards nothing
