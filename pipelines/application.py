"""One process's whole equipment, from settings: ledger, connections, flows, metrics."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ConfigurationProblem
from core.settings import Settings
from ledger import Ledger
from pipelines import wiring
from pipelines.context import Context
from pipelines.metrics import Metrics
from pipelines.run import call_time
from pipelines.wiring import Wiring


@dataclass(slots=True)
class Application:
    """Close it at the end."""

    settings: Settings
    ledger: Ledger
    wiring: Wiring
    context: Context
    metrics: Metrics

    def close(self) -> None:
        """Close every connection, the ledger last."""
        self.wiring.close()
        self.ledger.close()


def equip(settings: Settings) -> Application:
    """Build everything; calls nobody yet. Raises ConfigurationProblem."""
    _require_room_in_lease(settings)
    threads = settings.worker.threads
    ledger = Ledger.open(
        wiring.ledger_url(settings.ledger), lease=settings.ledger.lease, pool_size=threads + WEB_THREADS
    )
    metrics = Metrics()
    connections = wiring.build(settings, observe=metrics.observe, clock=ledger.clock)
    context = Context(
        ledger=ledger,
        stores=connections.stores,
        crms=connections.crms,
        flows=connections.flows,
        connections=connections.connections,
        clock=ledger.clock,
        max_failures=settings.worker.max_failures,
        counted=metrics.counted,
    )
    return Application(settings, ledger, connections, context, metrics)


WEB_THREADS = 8
"""Connections to the database beside the workers': deliveries, the ticker, leases, schedules."""


def _require_room_in_lease(settings: Settings) -> None:
    """Two thirds of a lease are always left when it is renewed in time: a call must fit into them."""
    for connection in settings.connections:
        need = call_time(connection)
        if need > settings.ledger.lease * 2 / 3:
            raise ConfigurationProblem(
                f"One call to {connection.name} may take {need:.0f} s, which does not fit into a lease of "
                f"{settings.ledger.lease:.0f} s. What to do: raise [ledger] lease to at least {need * 1.5:.0f}, or lower "
                f"connect_timeout and read_timeout of {connection.name}."
            )
