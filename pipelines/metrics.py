"""What is counted, under the names of docs/operating.md. Never labelled by order, customer, user or address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest

from connectors.http import Call

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_WAIT: Final = (0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)
_ORDER: Final = (1, 2.5, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 259_200, 604_800)


class Metrics:
    """The process's counters."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self.webhooks = Counter(
            "orderwire_webhooks_received",
            "Deliveries by connection and result.",
            ["source", "result"],
            registry=self.registry,
        )
        self.jobs = Counter(
            "orderwire_jobs_finished",
            "Attempts by flow, queue, kind of record and outcome.",
            ["flow", "queue", "kind", "outcome"],
            registry=self.registry,
        )
        self.entered = Counter(
            "orderwire_orders_entered",
            "Orders that reached their target for the first time, by channel.",
            ["channel"],
            registry=self.registry,
        )
        self.warnings = Counter(
            "orderwire_warnings", "Warnings by kind and flow.", ["kind", "flow"], registry=self.registry
        )
        self.requests = Counter(
            "orderwire_connector_requests",
            "Outward calls by connection, method and status class.",
            ["connection", "method", "status_class"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "orderwire_connector_request_duration_seconds",
            "Duration of outward calls.",
            ["connection"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._tables = {"jobs": self.jobs, "warnings": self.warnings, "entered": self.entered}
        self._timed = {
            "job": self._histogram("job_duration", "Duration of an attempt.", ["queue", "kind"], _JOB),
            "wait": self._histogram(
                "job_queue_wait", "From when a job was due to when it began.", ["queue", "kind"], _WAIT
            ),
            "order": self._histogram(
                "order_end_to_end",
                "From when an order was placed to its first arrival at its target; not those of a backfill.",
                ["source", "target"],
                _ORDER,
            ),
        }

    def counted(self, name: str, labels: Mapping[str, str]) -> None:
        """One more of what `Context.counted` names."""
        self._tables[name].labels(**labels).inc()

    def observed(self, name: str, labels: Mapping[str, str], seconds: float) -> None:
        """Seconds of what `Context.observed` names."""
        self._timed[name].labels(**labels).observe(seconds)

    def _histogram(self, name: str, help_: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        return Histogram(f"orderwire_{name}_seconds", help_, labels, buckets=buckets, registry=self.registry)

    def observe(self, call: Call) -> None:
        """One outward call is over."""
        status_class = f"{call.status // 100}xx" if call.status else "none"
        self.requests.labels(call.connection, call.method, status_class).inc()
        self.request_seconds.labels(call.connection).observe(call.milliseconds / 1000)

    def text(self) -> bytes:
        """The exposition format, the process's own figures included."""
        own = generate_latest(self.registry)
        return own + generate_latest(REGISTRY) if self.registry is not REGISTRY else own
