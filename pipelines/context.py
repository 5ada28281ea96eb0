"""What a process that runs jobs has: the ledger, the connections, the flows, and what may be remembered between jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.roles import Crm, Notifier, Store
from core.clock import Clock
from core.errors import Held
from core.keys import Key
from core.settings import AlertSettings, ConnectionSettings, FlowSettings
from ledger import Ledger
from ledger.inbox import Route
from pipelines.products import ProductCache


@dataclass(slots=True)
class Context:
    """Shared by all threads of a process."""

    ledger: Ledger
    stores: Mapping[str, Store]
    crms: Mapping[str, Crm]
    flows: Mapping[str, FlowSettings]
    connections: Mapping[str, ConnectionSettings]
    clock: Clock = field(default_factory=Clock)
    max_failures: int = 8
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    products: ProductCache = field(default_factory=ProductCache)
    filled: set[str] = field(default_factory=set)
    """CRMs whose party index was read in full once."""
    counted: Callable[[str, Mapping[str, str]], None] = lambda _name, _labels: None
    """Told of what metrics count: a name and labels."""
    observed: Callable[[str, Mapping[str, str], float], None] = lambda _name, _labels, _seconds: None
    """Told of what metrics time: a name, labels and seconds."""

    def routes(self, key: Key) -> Sequence[Route]:
        """The flows that want this record: orders, and deliveries that could not be understood."""
        if key.kind not in {"order", "delivery"}:
            return ()
        return tuple(
            Route(flow.name, flow.target, flow.queue) for flow in self.flows.values() if flow.source == key.connection
        )

    def backfill_routes(self, key: Key) -> Sequence[Route]:
        """The same, behind everything that is live."""
        return tuple(replace(route, queue="backfill") for route in self.routes(key))

    def flow(self, name: str) -> FlowSettings:
        """A flow by name; a job of a flow that is no longer configured is held."""
        flow = self.flows.get(name)
        if flow is None:
            raise Held(
                f"The flow {name} is not in the configuration any more. What to do: put it back, or skip this job.",
                error_class="configuration",
            )
        return flow

    def store(self, name: str) -> Store:
        """A configured store."""
        store = self.stores.get(name)
        if store is None:
            raise Held(
                f"The connection {name} is not in the configuration any more. What to do: put it back, or skip this job.",
                error_class="configuration",
            )
        return store
