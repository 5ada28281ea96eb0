"""Builds connectors from settings: the one place that knows which connectors there are."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from connectors.http import Budget, Observer
from connectors.roles import Crm, Erp, Messenger, Notifier, Portal, Store
from core import config
from core.clock import Clock
from core.errors import ConfigurationProblem
from core.settings import ConnectionSettings, FlowSettings, LedgerSettings, Settings, WorkerSettings
from ledger import Ledger
from pipelines.context import Context
from pipelines.run import budget_time, call_time

CONNECTORS: Final = {
    "apprise": "connectors.chat",
    "feed": "connectors.feed",
    "kommerce": "connectors.kommerce",
    "odoo": "connectors.odoo",
    "orderform": "connectors.orderform",
    "push": "connectors.push",
    "smtp": "connectors.smtp",
    "tryton": "connectors.tryton",
    "vtiger": "connectors.vtiger",
    "webhook": "connectors.webhook",
    "woocommerce": "connectors.woocommerce",
}
"""The word in `connector = "..."` -> the package, which exports SETTINGS, ROLE and build()."""


class _Package(Protocol):
    ROLE: Literal["store", "erp", "crm", "portal", "notifier"]
    SETTINGS: type[ConnectionSettings]
    build: Callable[..., Any]


def _package(connector: str) -> _Package:
    return cast("_Package", importlib.import_module(CONNECTORS[connector]))


@cache
def kinds() -> Mapping[str, config.Kind]:
    """Every connector as `core.config` needs it."""
    packages = {name: _package(name) for name in CONNECTORS}
    return {name: config.Kind(name, package.ROLE, package.SETTINGS) for name, package in packages.items()}


def load(file: str | Path, *, with_secrets: bool = True) -> Settings:
    """The configuration; raises `core.config.ConfigProblems` with everything that is wrong. `with_secrets`: a secret that
    cannot be read is wrong too.
    """
    return config.load(file, kinds(), with_secrets=with_secrets)


@dataclass(frozen=True, slots=True)
class Wiring:
    """The connections of one process, ready to use; each knows its name. Close it at the end."""

    stores: Mapping[str, Store]
    crms: Mapping[str, Crm]
    flows: Mapping[str, FlowSettings]
    connections: Mapping[str, ConnectionSettings]
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    erps: Mapping[str, Erp] = field(default_factory=dict)
    portals: Mapping[str, Portal] = field(default_factory=dict)

    def close(self) -> None:
        """Close every transport."""
        connections: list[Store | Erp | Crm | Portal | Notifier] = [
            *self.stores.values(),
            *self.erps.values(),
            *self.crms.values(),
            *self.portals.values(),
            *self.notifiers.values(),
        ]
        for connection in connections:
            connection.close()


def connect(
    settings: ConnectionSettings,
    *,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Any:
    """One connection: a `Store`, an `Erp`, a `Crm`, a `Portal` or a `Notifier`. Calls nobody yet."""
    package = _package(settings.connector)
    return package.build(settings, transport=transport, observe=observe, budget=budget, clock=clock)


def build(
    settings: Settings,
    *,
    observe: Observer | None = None,
    budget: Mapping[str, Budget] | None = None,
    clock: Clock | None = None,
    transports: Mapping[str, httpx.BaseTransport] | None = None,
) -> Wiring:
    """All connections. `budget` and `transports` are by the name of the connection. Calls nobody yet."""
    made: dict[str, dict[str, Any]] = {"store": {}, "erp": {}, "crm": {}, "portal": {}, "notifier": {}}
    for one in settings.connections:
        connection = connect(
            one,
            observe=observe,
            budget=(budget or {}).get(one.name),
            clock=clock,
            transport=(transports or {}).get(one.name),
        )
        made[_package(one.connector).ROLE][one.name] = connection
    flows = {flow.name: flow for flow in settings.flows}
    connections = {one.name: one for one in settings.connections}
    return Wiring(made["store"], made["crm"], flows, connections, made["notifier"], made["erp"], made["portal"])


def budgets(settings: Settings, ledger: Ledger) -> dict[str, Budget]:
    """The budgets of the connections that have a rate, by name: for `build`."""
    return {
        one.name: ledger.budgets.of(one.name, rate=one.rate, burst=one.at_once)
        for one in settings.connections
        if one.rate is not None
    }


def ledger_url(settings: LedgerSettings) -> URL:
    """The database's address with its password. Raises ConfigurationProblem when the password cannot be read."""
    try:
        url = make_url(settings.url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationProblem(
            "The ledger's url is not the address of a database. What to do: write sqlite:///orderwire.db or "
            "postgresql+psycopg://user@host/name into [ledger].",
            detail=type(error).__name__,
        ) from None
    return url.set(password=settings.password.get()) if settings.password else url


def worker_settings(settings: WorkerSettings) -> WorkerSettings:
    """The same with the broker's password in its address. For the process alone: never shown, never written down."""
    if not settings.broker or settings.broker_password is None:
        return settings
    parts = urlsplit(settings.broker)
    user, _, host = parts.netloc.rpartition("@")
    login = f"{user}:{quote(settings.broker_password.get(), safe='')}"
    return settings.model_copy(update={"broker": urlunsplit(parts._replace(netloc=f"{login}@{host}"))})


def context(
    settings: Settings,
    ledger: Ledger,
    wired: Wiring,
    *,
    counted: Callable[[str, Mapping[str, str]], None] | None = None,
    observed: Callable[[str, Mapping[str, str], float], None] | None = None,
    clock: Clock | None = None,
) -> Context:
    """What runs jobs, from the connections and the ledger. Raises ConfigurationProblem where a call outlasts a lease."""
    _require_room_in_lease(settings)
    made = Context(
        ledger,
        wired.stores,
        wired.crms,
        wired.flows,
        wired.connections,
        clock=clock or ledger.clock,
        max_failures=settings.worker.max_failures,
        notifiers={name: wired.notifiers[name] for name in settings.alerts.to},
        alerts=settings.alerts,
        seller=settings.seller,
        keep=settings.keep,
        messengers={name: one for name, one in wired.notifiers.items() if isinstance(one, Messenger)},
        erps=wired.erps,
        publishers=wired.portals,
        reps={flow.name: flow for flow in settings.reps},
        portals={portal.name: portal for portal in settings.portals},
        stocks={stock.name: stock for stock in settings.stocks},
        buyers={buyer.name: buyer for buyer in settings.buyers},
    )
    if counted is not None:
        made.counted = counted
    if observed is not None:
        made.observed = observed
    return made


def _require_room_in_lease(settings: Settings) -> None:
    """Two thirds of a lease are always left when it is renewed in time: one call must fit into them. Before a call in a lane
    there may be a wait for its budget: both must fit into the lane's.
    """
    for connection in settings.connections:
        need = max(call_time(connection) * 1.5, call_time(connection) + budget_time(connection) + 0.5)
        if need > settings.ledger.lease:
            raise ConfigurationProblem(
                f"One call to {connection.name} may take {call_time(connection):.0f} s, which does not fit into a lease of "
                f"{settings.ledger.lease:.0f} s. What to do: raise [ledger] lease to {math.ceil(need)} at least, or lower "
                f"connect_timeout and read_timeout of {connection.name}."
            )
