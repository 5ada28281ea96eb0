"""What is counted, under the names of docs/operating.md. Never labelled by order, customer, user or address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest

from connectors.http import Call
from ledger.budget import remaining
from pipelines.context import Context

_LEFT: Final = "orderwire_connector_rate_limit_remaining"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def budget_lines(context: Context) -> list[str]:
    """What is left of the budgets of calls, in the exposition format; read from the ledger, so the same in every process."""
    left = {name: remaining(context.ledger.budgets, one) for name, one in context.connections.items()}
    lines = [f'{_LEFT}{{connection="{name}"}} {calls:.3f}' for name, calls in left.items() if calls is not None]
    return [f"# HELP {_LEFT} Calls that may be made at once now.", f"# TYPE {_LEFT} gauge", *lines] if lines else []


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
            "orderwire_jobs_finished", "Attempts by flow and outcome.", ["flow", "outcome"], registry=self.registry
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
        self._tables = {"jobs": self.jobs, "warnings": self.warnings}

    def counted(self, name: str, labels: Mapping[str, str]) -> None:
        """One more of what `Context.counted` names."""
        self._tables[name].labels(**labels).inc()

    def observe(self, call: Call) -> None:
        """One outward call is over."""
        status_class = f"{call.status // 100}xx" if call.status else "none"
        self.requests.labels(call.connection, call.method, status_class).inc()
        self.request_seconds.labels(call.connection).observe(call.milliseconds / 1000)

    def text(self) -> bytes:
        """The exposition format, the process's own figures included."""
        own = generate_latest(self.registry)
        return own + generate_latest(REGISTRY) if self.registry is not REGISTRY else own
