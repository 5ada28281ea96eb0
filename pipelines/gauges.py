"""Metrics that are read from the ledger: the same in every process, and right after a restart. docs/operating.md lists them."""

from __future__ import annotations

import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.version import VERSION
from ledger.budget import remaining
from ledger.gauges import Gauges
from ledger.problems import Problems
from ledger.state import ConnectionState
from pipelines import schedules
from pipelines.context import Context

KEPT: Final = 5.0
"""Seconds that an answer is given again: however many ask, the ledger is asked this often."""
MOST_WORDS: Final = 40
"""Classes, and kinds of alerts, that are told by name; what is beyond is added up under `other`."""
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
"""States of a circuit: calls go through; the next one is a try; nobody calls before the block is over."""


class LedgerMetrics:
    """The gauges of one process, read at most every few seconds."""

    def __init__(self, context: Context, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.context = context
        self._gauges = Gauges(context.ledger.db)
        self._problems = Problems(context.ledger.db)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept = b""
        self._until = float("-inf")
        self._agenda: frozenset[str] | None = None

    def text(self) -> bytes:
        """The exposition format. While the ledger is away it says only that."""
        with self._lock:  # one asks, the others take what it was told
            if self._monotonic() >= self._until:
                self._kept = _text([_build(), *self._read()])
                self._until = self._monotonic() + KEPT
            return self._kept

    def _read(self) -> list[Metric]:
        try:
            found = [*self._jobs(), *self._connections(), self._budgets(), self._schedules()]
        except (DBAPIError, PoolTimeoutError):
            return [_ledger(up=False)]
        return [_ledger(up=True), *found]

    def _jobs(self) -> Iterator[Metric]:
        yield _family("jobs", "Jobs that are not done, by state; at most 100000 of each.", "state", self._gauges.jobs())
        queues = self._gauges.queues()
        depth = {queue.name: queue.depth for queue in queues}
        yield _family("queue_depth", "Jobs due now or within a day; at most 100000.", "queue", depth)
        oldest = {queue.name: queue.oldest for queue in queues}
        yield _family("queue_oldest_age_seconds", "Since when the longest waiting job is due.", "queue", oldest)
        problems = Counter(problem.error_class for problem in self._problems.open())
        yield _family("open_problems", "Causes that keep orders waiting, by class.", "class", _at_most(problems))
        alerts = _at_most(self._gauges.alerts())
        yield _family("alerts_open", "Open alerts by the first word of their cause.", "kind", alerts)

    def _connections(self) -> Iterator[Metric]:
        configured = {*self.context.stores, *self.context.crms}
        states = [state for state in self.context.ledger.states.all() if state.connection in configured]
        # Neither up nor down before anything was asked of it: nobody is told that what was never tried works.
        up = {one.connection: int(not one.faults) for one in states if one.faults or one.last_success_at}
        yield _family("connector_up", "Whether a connection works (1) or is out (0).", "connection", up)
        success = {one.connection: one.last_success_at.timestamp() for one in states if one.last_success_at}
        yield _family(
            "connector_last_success_timestamp_seconds",
            "When a connection last answered sensibly; noted at most once a minute.",
            "connection",
            success,
        )
        circuits = {one.connection: _circuit(one) for one in states}
        what = "0: closed, calls go through. 1: half open, the next call is a try. 2: open, nobody calls."
        yield _family("connector_circuit_state", what, "connection", circuits)
        paused = {one.connection: int(one.paused_for > 0) for one in states}
        yield _family("connector_paused", "Whether people have paused a connection (1).", "connection", paused)

    def _budgets(self) -> Metric:
        ledger, connections = self.context.ledger, self.context.connections
        left = {name: remaining(ledger.budgets, one) for name, one in connections.items()}
        return _family(
            "connector_rate_limit_remaining",
            "Calls that may be made at once now, where a rate is set.",
            "connection",
            {name: calls for name, calls in left.items() if calls is not None},
        )

    def _schedules(self) -> Metric:
        """Of what this configuration asks for: the row of a flow that was taken out is late for ever."""
        if self._agenda is None:
            self._agenda = frozenset(scheduled.name for scheduled in schedules.of(self.context))
        now: datetime = self.context.ledger.clock.now()
        # What is paused is due when its pause ends.
        late = {
            one.name: max((now - max(one.next_at, one.paused_until or one.next_at)).total_seconds(), 0.0)
            for one in self.context.ledger.figures.schedules()
            if one.name in self._agenda
        }
        return _family(
            "schedule_lateness_seconds", "Since when something that runs at intervals is due.", "schedule", late
        )


class _Once(Collector):
    """Families that were read already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(families: Sequence[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Once(families))
    return generate_latest(registry)


def _family(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"orderwire_{name}", what, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _build() -> Metric:
    family = GaugeMetricFamily("orderwire_build_info", "Which version runs.", labels=["version", "python"])
    family.add_metric([VERSION, platform.python_version()], 1)
    return family


def _ledger(*, up: bool) -> Metric:
    return GaugeMetricFamily("orderwire_ledger_up", "Whether the ledger's database answers (1).", value=int(up))


def _circuit(state: ConnectionState) -> int:
    if state.blocked_for > 0:
        return OPEN
    return HALF_OPEN if state.faults else CLOSED


def _at_most(values: Mapping[str, int]) -> dict[str, int]:
    """The largest by name, the others together."""
    ordered = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    kept = dict(ordered[:MOST_WORDS])
    rest = sum(number for _, number in ordered[MOST_WORDS:])
    return {**kept, "other": kept.get("other", 0) + rest} if rest else kept
