"""What a process that runs jobs has: the ledger, the connections, the flows, and what may be remembered between jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.roles import SALE, Crm, Erp, Messenger, Notifier, Portal, Stocked, Store
from core.clock import Clock
from core.errors import ConfigurationProblem, Held
from core.keys import Key
from core.settings import (
    AlertSettings,
    BuyerSettings,
    ConnectionSettings,
    FlowSettings,
    KeepSettings,
    PortalSettings,
    RepFlowSettings,
    SellerSettings,
    StockSettings,
)
from ledger import Ledger
from ledger.inbox import Route
from ledger.invoices import KIND as INVOICE
from pipelines.products import ProductCache
from pipelines.repbook import Books

REP_KINDS: Final = ("rep", "region", "customer")
"""What an ERP tells of sales reps, in the order in which it is read: who there is before whom they serve."""


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
    seller: SellerSettings = field(default_factory=SellerSettings)
    """Whose papers they are."""
    keep: KeepSettings = field(default_factory=KeepSettings)
    """How long what names people is kept."""
    messengers: Mapping[str, Messenger] = field(default_factory=dict)
    """Connections that carry letters, by name."""
    erps: Mapping[str, Erp] = field(default_factory=dict)
    reps: Mapping[str, RepFlowSettings] = field(default_factory=dict)
    """Flows of sales reps, by name."""
    portals: Mapping[str, PortalSettings] = field(default_factory=dict)
    """Who shows customers the card of their reps, by the name of its tokens."""
    publishers: Mapping[str, Portal] = field(default_factory=dict)
    """Connections that are told cards, by name."""
    stocks: Mapping[str, StockSettings] = field(default_factory=dict)
    """Sources of stock levels, by name."""
    buyers: Mapping[str, BuyerSettings] = field(default_factory=dict)
    """Who is told of low stock, by name."""
    products: ProductCache = field(default_factory=ProductCache)
    filled: set[str] = field(default_factory=set)
    """CRMs whose party index was read in full once."""
    counted: Callable[[str, Mapping[str, str]], None] = lambda _name, _labels: None
    """Told of what metrics count: a name and labels."""
    observed: Callable[[str, Mapping[str, str], float], None] = lambda _name, _labels, _seconds: None
    """Told of what metrics time: a name, labels and seconds."""
    books: Books = field(init=False)
    """The rep directories, read anew when they have changed."""

    def __post_init__(self) -> None:
        self.books = Books(self.ledger)

    @property
    def every_flow(self) -> Mapping[str, FlowSettings | RepFlowSettings]:
        """Of orders and of sales reps, by name: no name is given twice."""
        return {**self.flows, **self.reps}

    def routes(self, key: Key) -> Sequence[Route]:
        """The flows that want this record: orders, and deliveries that could not be understood."""
        if key.kind in REP_KINDS:
            return self.rep_routes(key.connection, key.kind)
        if key.kind == INVOICE:
            return self.invoice_routes(key.connection)
        if key.kind == SALE:
            return self.sale_routes(key.connection)
        if key.kind not in {"order", "delivery"}:
            return ()
        return tuple(
            Route(flow.name, flow.target, flow.queue) for flow in self.flows.values() if flow.source == key.connection
        )

    def rep_routes(self, source: str, kind: str = "customer") -> Sequence[Route]:
        """The flows of sales reps from this ERP. What fills the directory is one flow's work, whichever it is."""
        routes = [Route(flow.name, flow.target, flow.queue) for flow in self.reps.values() if flow.source == source]
        return tuple(routes if kind == "customer" else routes[:1])

    def invoice_routes(self, source: str) -> Sequence[Route]:
        """The flows to whose orders this ERP's invoices belong. Behind orders: they never slow them."""
        return tuple(
            Route(flow.name, flow.target, "sync") for flow in self.flows.values() if flow.invoices_from == source
        )

    def sale_routes(self, source: str) -> Sequence[Route]:
        """The flows that watch what this ERP promised."""
        return tuple(
            Route(flow.name, flow.target, "sync")
            for flow in self.flows.values()
            if flow.promise is not None and flow.promise.erp == source
        )

    def backfill_routes(self, key: Key) -> Sequence[Route]:
        """The same, behind everything that is live."""
        return tuple(replace(route, queue="backfill") for route in self.routes(key))

    def flow(self, name: str) -> FlowSettings:
        """A flow by name; a job of a flow that is no longer configured is held."""
        flow = self.flows.get(name)
        if flow is None:
            raise _not_configured(f"The flow {name}")
        return flow

    def rep_flow(self, name: str) -> RepFlowSettings:
        """A flow of sales reps by name; a job of one that is no longer configured is held."""
        flow = self.reps.get(name)
        if flow is None:
            raise _not_configured(f"The flow {name}")
        return flow

    def erp(self, name: str) -> Erp:
        """A configured ERP."""
        erp = self.erps.get(name)
        if erp is None:
            raise _not_configured(f"The connection {name}")
        return erp

    def stocked(self, name: str) -> Stocked:
        """The connection that tells stock levels. Raises ConfigurationProblem where it tells none."""
        found: object = self.erps.get(name) or self.crms.get(name) or self.stores.get(name)
        if isinstance(found, Stocked):
            return found
        raise ConfigurationProblem(
            f"{name} tells no stock levels. What to do: name another connection as `source` of the [[stock]]."
        )

    def store(self, name: str) -> Store:
        """A configured store."""
        store = self.stores.get(name)
        if store is None:
            raise _not_configured(f"The connection {name}")
        return store


def _not_configured(what: str) -> Held:
    return Held(
        f"{what} is not in the configuration any more. What to do: put it back, or skip this job.",
        error_class="configuration",
    )
