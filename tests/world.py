"""A small world for tests: a ledger, the stand-in CRM, and whatever stores a test wants, wired as the product does it."""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import os
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from connectors import vtiger, woocommerce
from connectors.roles import Request, Store
from core.clock import Clock
from core.jsontext import dumps
from core.secrets import SecretRef
from core.settings import FlowSettings
from ledger import Ledger, migrate
from ledger.inbox import Accepted
from ledger.jobs import JobView
from pipelines import parties
from pipelines.context import Context
from pipelines.engine import Engine
from pipelines.metrics import Metrics
from pipelines.runner import Runner
from sandbox.crm import CrmApp, Switches, crm_app
from sandbox.serve import running
from tests.orders import refunds_of
from web.app import create_app
from web.state import WebState

HOOK_SECRET = "hook-secret"
FORM_SECRET = "whsec_" + base64.b64encode(b"orderwire-tests-only-32-bytes-ok").decode()
ACCESS_KEY = "sandbox-access-key"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without the machine's certificates, which take longer to load than most tests to run; nothing here speaks TLS."""
OWNERS = {"admin": "19x1", "sales": "20x2", "rep7": "19x5", "rep9": "19x6"}
CURRENCIES = {"EUR": "21x1", "USD": "21x1", "JPY": "21x1", "KWD": "21x1"}


class SkippingClock(Clock):
    """The real time and what a test has skipped: holds and retries pass without anybody waiting for them."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.offset)

    def skip(self, seconds: float) -> None:
        self.offset += max(seconds, 0.0)


class World:
    """Everything of one installation, in this process. `crm_url` may be another process's.

    crm: settings over those of the CRM connection; shops: name -> settings over those of a shop (one with a `url` can be
    asked, the others only push); rehearsing: the flows have no mode yet, as on the first day (else they are live);
    everything else: settings of the flows.
    """

    def __init__(
        self,
        database_url: str,
        crm_url: str,
        *,
        lease: float = 60.0,
        hold: float = 120.0,
        clock: Clock | None = None,
        upgrade: bool = True,
        crm: Mapping[str, Any] | None = None,
        shops: Mapping[str, Mapping[str, Any]] | None = None,
        rehearsing: bool = False,
        **flow: Any,
    ) -> None:
        os.environ["ORDERWIRE_TEST_ACCESS_KEY"] = ACCESS_KEY
        os.environ["ORDERWIRE_TEST_HOOK_SECRET"] = HOOK_SECRET
        self.clock = clock
        if upgrade:
            prepare(database_url)
        self.ledger = Ledger.open(database_url, lease=lease, clock=clock)
        self.crm_url = crm_url
        self.http = httpx.Client(base_url=crm_url, timeout=30, verify=NO_TLS)
        self.metrics = Metrics()
        timeouts = {"connect_timeout": min(2.0, lease / 8), "read_timeout": min(10.0, lease / 4)}
        wanted = {"shop": {}, "shop2": {}} if shops is None else dict(shops)
        settings: dict[str, Any] = {"crm": crm_settings(crm_url, {"hold": hold, **timeouts, **(crm or {})})}
        settings |= {name: woo_settings(name, {**timeouts, **own}) for name, own in wanted.items()}
        budgets = {
            name: self.ledger.budgets.of(name, rate=one.rate, burst=one.at_once)
            for name, one in settings.items()
            if one.rate is not None
        }
        self.crm = vtiger.build(settings["crm"], budget=budgets.get("crm"))
        self.served = frozenset(name for name, own in wanted.items() if "url" in own)
        self.refunds: dict[str, list[dict[str, Any]]] = {}
        """What shops that only push tell of refunds, by the order's id; kept by `deliver`."""
        self.stores = {
            name: woocommerce.build(
                settings[name],
                clock=clock,
                budget=budgets.get(name),
                transport=None if name in self.served else httpx.MockTransport(self._pushing),
            )
            for name in wanted
        }
        stores: dict[str, Store] = dict(self.stores)
        options = {"target": "crm", "owner": "sales", "region": "DE", "poll": 0, **flow}
        flows = {f"{name}-orders": FlowSettings(name=f"{name}-orders", source=name, **options) for name in stores}
        self.context = Context(
            ledger=self.ledger,
            stores=stores,
            crms={"crm": self.crm},
            flows=flows,
            connections=settings,
            clock=clock or Clock(),
            counted=self.metrics.counted,
            observed=self.metrics.observed,
        )
        for name in flows:
            if not rehearsing:
                self.ledger.flows.set(name, "live")
        self.runner = Runner(self.context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back."""
        self.http.close()
        for store in self.stores.values():
            store.close()
        self.crm.close()
        self.ledger.close()

    # -- doing -----------------------------------------------------------------------------------------------------

    def fill_index(self) -> None:
        """What the ticker does first."""
        parties.refresh(self.ledger, self.crm, "DE")

    def deliver(self, order: Mapping[str, Any], *, shop: str = "shop", topic: str = "order.updated") -> list[Accepted]:
        """A signed WooCommerce delivery, taken in as the web process does it."""
        self.refunds[str(order.get("id"))] = refunds_of(order)
        return self.deliver_raw(dumps(order).encode(), shop=shop, topic=topic)

    def _pushing(self, request: httpx.Request) -> httpx.Response:
        """A shop that only pushes, and tells its refunds."""
        order, _, what = request.url.path.partition("/orders/")[2].partition("/")
        if what != "refunds" or order not in self.refunds:
            raise httpx.ConnectError("nobody is there", request=request)
        return httpx.Response(200, json=self.refunds[order])

    def deliver_raw(self, body: bytes, *, shop: str = "shop", topic: str = "order.updated") -> list[Accepted]:
        """The same with these very bytes."""
        changes = self.stores[shop].receive(
            Request("POST", signed_headers(body, topic), body, self.context.clock.now())
        )
        return self.ledger.inbox.accept(changes, self.context.routes, fetchable=shop in self.served)

    def drain(self, *, fill: bool = True) -> int:
        """Run what is due, in this thread."""
        if fill:
            self.fill_index()
        count = 0
        self.ledger.jobs.reap()
        for alone in (False, True):
            while (claim := self.ledger.jobs.claim("test", alone=alone)) is not None:
                self.runner.run(claim)
                count += 1
        return count

    def carry(self, order: Mapping[str, Any], *, shop: str = "shop") -> JobView:
        """Deliver one order, run what is due, and its job afterwards."""
        self.deliver(order, shop=shop)
        self.drain()
        return self.job(f"{shop}/order/{order['id']}")

    def finish(self, *, landed: Callable[[], bool] = lambda: True, fill: bool = True, rounds: int = 30) -> float:
        """Run everything to its end, skipping the time between (the world needs a SkippingClock). `landed`: whether the
        outside system has done all that it is still at; time is not skipped before. `fill`: the index of customers is kept
        current meanwhile. Seconds that were skipped.
        """
        clock = self.clock
        assert isinstance(clock, SkippingClock)
        before = clock.offset
        for _ in range(rounds):
            self.drain(fill=fill)
            wait_for(landed)
            counts = self.ledger.jobs.counts()
            if not counts["waiting"] and not counts["running"]:
                return clock.offset - before
            if counts["running"]:
                clock.skip(self.ledger.jobs.lease + 1)
                continue
            blocked = max((state.blocked_for for state in self.ledger.states.all()), default=0.0)
            clock.skip(max(self.ledger.jobs.next_due() or 0.0, blocked) + 0.01)
        raise AssertionError(f"not settled after {rounds} rounds: {self.ledger.jobs.list(state='waiting')}")

    @contextmanager
    def working(self, threads: int = 4, **engine: Any) -> Iterator[Engine]:
        """A running engine."""
        made = Engine(self.context, threads=threads, tick=0.05, end_process=lambda _code: None, **engine)
        made.start()
        try:
            yield made
        finally:
            assert made.stop(within=90), "the engine did not end in time"

    def app(self, nudge: Callable[[], object]) -> FastAPI:
        """The web application over this world."""
        return create_app(WebState(context=self.context, metrics=self.metrics, nudge=nudge))

    def settle(self, within: float = 120.0) -> None:
        """Wait until nothing waits or runs."""

        def quiet() -> bool:
            counts = self.ledger.jobs.counts()
            return not counts["waiting"] and not counts["running"]

        wait_for(quiet, within)

    # -- seeing ----------------------------------------------------------------------------------------------------

    def job(self, key: str) -> JobView:
        """The one job of a record."""
        (found,) = self.ledger.jobs.list(search=key)
        return found

    def records(self, module: str) -> list[dict[str, Any]]:
        """Everything of a module in the CRM."""
        answer = self.http.get("/sandbox/state", params={"module": module}).json(parse_float=Decimal)
        found: list[dict[str, Any]] = answer["records"].get(module, [])
        return found

    def order(self, number: object) -> dict[str, Any]:
        """The one sales order of this number in the CRM."""
        (found,) = [row for row in self.records("SalesOrder") if row["subject"] == f"Order {number}"]
        return found

    def counts(self, *modules: str) -> tuple[int, ...]:
        """How many records of these modules there are; by default accounts, contacts, orders, leads, invoices."""
        wanted = modules or ("Accounts", "Contacts", "SalesOrder", "Leads", "Invoice")
        return tuple(len(self.records(module)) for module in wanted)

    def totals(self) -> dict[str, Decimal]:
        """Sales orders by their subject: the grand total."""
        return {row["subject"]: Decimal(row["hdnGrandTotal"]) for row in self.records("SalesOrder")}

    def calls(self) -> dict[str, Any]:
        """How the CRM was called since the last `forget_calls`."""
        answer: dict[str, Any] = self.http.get("/sandbox/calls").json()
        return answer

    def writes(self) -> int:
        """Calls since the last `forget_calls` that change something in the CRM."""
        operations = self.calls()["operations"]
        return sum(operations.get(name, 0) for name in ("create", "update", "revise", "delete", "convertlead"))

    def forget_calls(self) -> None:
        """Count anew."""
        self.http.delete("/sandbox/calls")

    def faults(self, **dial: Any) -> None:
        """Turn the CRM's fault dial."""
        self.http.post("/sandbox/faults", json=dial).raise_for_status()

    def struck(self) -> dict[str, int]:
        """Which faults have happened, and how often."""
        found: dict[str, int] = self.http.get("/sandbox/faults").json()["struck"]
        return found

    def seed(self, **records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
        """Put records into the CRM as its administrator; their ids by kind and name."""
        answer = self.http.post("/sandbox/seed", json=records)
        assert answer.status_code == 200, answer.text
        found: dict[str, dict[str, str]] = answer.json()
        return found


_TEMPLATES: dict[str, str] = {}
"""Where an empty ledger with its schema is kept, by engine or server: migrating anew for each test would take half its time."""


def prepare(url: str) -> None:
    """A ledger that is not there yet gets its schema; one that is there is left alone."""
    wanted = make_url(url)
    if wanted.get_backend_name() == "sqlite":
        file = Path(str(wanted.database))
        if not file.exists():
            if "sqlite" not in _TEMPLATES:
                _TEMPLATES["sqlite"] = str(Path(tempfile.mkdtemp(prefix="orderwire-template-")) / "empty.sqlite")
                atexit.register(shutil.rmtree, Path(_TEMPLATES["sqlite"]).parent, ignore_errors=True)
                _migrate(f"sqlite:///{_TEMPLATES['sqlite']}")
            shutil.copyfile(_TEMPLATES["sqlite"], file)
        return
    server = f"{wanted.host}:{wanted.port}"
    with _postgres(wanted) as mine:
        if mine.execute("SELECT to_regclass('job') IS NOT NULL").fetchone() == (True,):
            return
    with _postgres(wanted.set(database="postgres")) as admin:
        if server not in _TEMPLATES:
            _TEMPLATES[server] = f"empty_{os.getpid()}"
            fresh = sql.Identifier(_TEMPLATES[server])
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(fresh))
            _migrate(wanted.set(database=_TEMPLATES[server]).render_as_string(hide_password=False))
        name = sql.Identifier(str(wanted.database))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        template = sql.Identifier(_TEMPLATES[server])
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))


def _postgres(url: URL) -> psycopg.Connection:
    return psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


def _migrate(url: str) -> None:
    ledger = Ledger.open(url)
    migrate.upgrade(ledger.db)
    ledger.close()


def crm_settings(url: str, own: Mapping[str, Any]) -> vtiger.VtigerSettings:
    """The stand-in CRM."""
    known: dict[str, Any] = {
        "name": "crm",
        "url": url,
        "username": "apiuser",
        "access_key": SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
        "verify_tls": False,
        "owners": OWNERS,
        "currencies": CURRENCIES,
        "unknown_product": "OW-UNKNOWN",
        "fee_product": "OW-FEE",
    }
    return vtiger.VtigerSettings(**{**known, **own})


def woo_settings(name: str, own: Mapping[str, Any]) -> woocommerce.WooCommerceSettings:
    """A shop; nobody can ask it unless its own settings have a `url`."""
    known: dict[str, Any] = {
        "name": name,
        "url": "http://127.0.0.1:9",
        "verify_tls": False,
        "consumer_key": SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
        "consumer_secret": SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
        "webhook_secrets": (SecretRef("env:ORDERWIRE_TEST_HOOK_SECRET"),),
    }
    return woocommerce.WooCommerceSettings(**{**known, **own})


def signed_headers(body: bytes, topic: str, secret: str = HOOK_SECRET) -> dict[str, str]:
    """As WooCommerce signs. The delivery id is the same for all of them: it has been seen to repeat."""
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "x-wc-webhook-signature": signature,
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-resource": topic.partition(".")[0],
        "x-wc-webhook-event": topic.partition(".")[2],
        "x-wc-webhook-delivery-id": "d41d8cd98f00b204e9800998ecf8427e",
    }


PRODUCTS = [
    {"productname": "Unknown article", "productcode": "OW-UNKNOWN", "unit_price": "0"},
    {"productname": "Fee", "productcode": "OW-FEE", "unit_price": "0"},
]


@contextmanager
def crm(access_key: str = ACCESS_KEY, **switches: Any) -> Iterator[tuple[CrmApp, str]]:
    """A stand-in CRM in a thread, with the two products that carry parked lines and fees."""
    app = crm_app(access_key=access_key, switches=Switches(**switches))
    with running(app) as url:
        httpx.post(f"{url}/sandbox/seed", json={"products": PRODUCTS}, verify=NO_TLS).raise_for_status()
        yield app, url


def wait_for(condition: Callable[[], bool], within: float = 120.0) -> None:
    """Until it holds; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)
