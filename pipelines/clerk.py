"""Who calls out for a piece of work that is no job, and what it may write: an errand (once, for a person), a clerk (a run)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

from connectors.http import Call, guarded
from core.errors import ConfigurationProblem, LeaseLost, NotLive
from core.settings import FlowSettings
from pipelines.context import Context
from pipelines.run import write_lane


class Errand:
    """The guard of writes that a person has asked for: to this one connection, unless it is paused, and as long as the lane
    is ours.
    """

    def __init__(self, context: Context, connection: str) -> None:
        self._context, self._connection = context, connection

    def before_write(self, connection: str, timeout: float) -> None:
        """Asked by the transport."""
        if connection != self._connection:
            raise LeaseLost(
                f"This errand writes to {self._connection} alone. What to do: report this as a bug.", detail=connection
            )
        state = self._context.ledger.states.get(connection)
        if state is not None and state.paused_for:
            raise ConfigurationProblem(
                f"{connection} is paused: nothing is written to it. What to do: `orderwire resume {connection}` first."
            )

    def called(self, call: Call) -> None:
        """Not kept: whoever asked for it sees what came of it."""


class Clerk:
    """A `connectors.http.Guard` behind everything that is live. It refuses every write, unless the flow says `write_back`
    and is live at this moment.
    """

    def __init__(self, context: Context, flow: FlowSettings) -> None:
        self.context = context
        self.flow = flow
        self.queries = 0
        """Calls to the target that only read."""
        self.writes = 0
        self._lane_ends: float | None = None

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Everything called within is this work's. It waits for the budget of calls as long as it takes."""
        with guarded(self, patience=math.inf):
            yield

    @property
    def may_write(self) -> bool:
        """As the flow stands now."""
        return self.flow.write_back and self.context.ledger.flows.get(self.flow.name).live

    def before_write(self, connection: str, timeout: float) -> None:
        """Raises NotLive, or ConfigurationProblem without `write_back`; LeaseLost when the lane's turn is over."""
        if not self.context.ledger.flows.get(self.flow.name).live:
            raise NotLive(self.flow.name, connection)
        if not self.flow.write_back:
            raise ConfigurationProblem(
                f"Nothing was written: the flow {self.flow.name} has no write_back. "
                "What to do: set write_back = true in its [[flow]] if external ids may be written onto orders that were typed."
            )
        if self._lane_ends is None or self._lane_ends - time.monotonic() < timeout:
            raise LeaseLost(
                "The turn to write ran out. What to do: run the same command again, it goes on where it was.",
                detail=f"lane of {connection}",
            )

    def called(self, call: Call) -> None:
        """Count it."""
        if call.connection == self.flow.target:
            self.writes += call.write
            self.queries += not call.write

    @contextlib.contextmanager
    def lane(self) -> Iterator[None]:
        """A turn to write to the target."""
        with write_lane(self.context, self.flow.target) as need:
            # As in pipelines.run: a renewal happens before half the lease is gone.
            self._lane_ends = time.monotonic() + max(need, self.context.ledger.jobs.lease / 2)
            try:
                yield
            finally:
                self._lane_ends = None
