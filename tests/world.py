"""A small world for tests: a ledger, the stand-in CRM, and whatever stores a test wants, wired as the product does it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx

from connectors import vtiger, woocommerce
from connectors.roles import Request
from core.clock import Clock
from core.jsontext import dumps
from core.secrets import SecretRef
from core.settings import FlowSettings
from ledger import Ledger, migrate
from ledger.inbox import Accepted
from pipelines import parties
from pipelines.context import Context
from pipelines.engine import Engine
from pipelines.runner import Runner
from sandbox.crm import CrmApp, Switches, crm_app
from sandbox.serve import running

HOOK_SECRET = "hook-secret"
FORM_SECRET = "whsec_" + base64.b64encode(b"orderwire-tests-only-32-bytes-ok").decode()


class World:
    """Everything of one installation, in this process. `crm_url` may be another process's."""

    def __init__(
        self, database_url: str, crm_url: str, *, lease: float = 60.0, hold: float = 120.0, **flow: Any
    ) -> None:
        self.ledger = Ledger.open(database_url, lease=lease)
        migrate.upgrade(self.ledger.db)
        self.crm_url = crm_url
        self.http = httpx.Client(base_url=crm_url, timeout=30)
        timeouts = {"connect_timeout": min(2.0, lease / 6), "read_timeout": min(10.0, lease / 3)}
        settings: dict[str, Any] = {
            "crm": vtiger.VtigerSettings(
                name="crm",
                url=crm_url,
                username="apiuser",
                access_key=SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
                owners={"admin": "19x1", "sales": "20x2", "rep7": "19x5", "rep9": "19x6"},
                currencies={"EUR": "21x1", "USD": "21x1", "JPY": "21x1", "KWD": "21x1"},
                unknown_product="OW-UNKNOWN",
                fee_product="OW-FEE",
                hold=hold,
                **timeouts,
            ),
            "shop": woo_settings("shop", timeouts),
            "shop2": woo_settings("shop2", timeouts),
        }
        crm = vtiger.build(settings["crm"])
        self.crm = crm
        stores = {name: woocommerce.build(settings[name]) for name in ("shop", "shop2")}
        options = {"target": "crm", "owner": "sales", "region": "DE", "poll": 0, **flow}
        flows = {f"{name}-orders": FlowSettings(name=f"{name}-orders", source=name, **options) for name in stores}
        self.context = Context(
            ledger=self.ledger, stores=stores, crms={"crm": crm}, flows=flows, connections=settings, clock=Clock()
        )
        self.runner = Runner(self.context)

    def close(self) -> None:
        """Give everything back."""
        self.http.close()
        for connector in (*self.context.stores.values(), *self.context.crms.values()):
            connector.close()  # type: ignore[attr-defined]
        self.ledger.close()

    # -- doing -----------------------------------------------------------------------------------------------------

    def fill_index(self) -> None:
        """What the ticker does first."""
        parties.refresh(self.ledger, self.crm, "DE")

    def deliver(self, order: Mapping[str, Any], *, shop: str = "shop", topic: str = "order.updated") -> list[Accepted]:
        """A signed WooCommerce delivery, taken in as the web process does it."""
        return self.deliver_raw(dumps(order).encode(), shop=shop, topic=topic)

    def deliver_raw(self, body: bytes, *, shop: str = "shop", topic: str = "order.updated") -> list[Accepted]:
        """The same with these very bytes."""
        store = self.context.stores[shop]
        changes = store.receive(Request("POST", signed_headers(body, topic), body, Clock().now()))
        return self.ledger.inbox.accept(changes, self.context.routes, fetchable=False)

    def drain(self) -> int:
        """Run what is due, in this thread."""
        self.fill_index()
        count = 0
        while (claim := self.ledger.jobs.claim("test")) is not None:
            self.runner.run(claim)
            count += 1
        return count

    @contextmanager
    def working(self, threads: int = 4) -> Iterator[Engine]:
        """A running engine."""
        engine = Engine(self.context, threads=threads, tick=0.05, end_process=lambda _code: None)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(within=20)

    def settle(self, within: float = 30.0) -> None:
        """Wait until nothing waits or runs."""
        wait_for(
            lambda: (
                not self.ledger.jobs.list(state="waiting", limit=1)
                and not self.ledger.jobs.list(state="running", limit=1)
            ),
            within,
        )

    # -- seeing ----------------------------------------------------------------------------------------------------

    def records(self, module: str) -> list[dict[str, Any]]:
        """Everything of a module in the CRM."""
        answer = self.http.get("/sandbox/state", params={"module": module}).json()
        found: list[dict[str, Any]] = answer["records"].get(module, [])
        return found

    def totals(self) -> dict[str, Decimal]:
        """Sales orders by their subject: the grand total."""
        return {row["subject"]: Decimal(str(row["hdnGrandTotal"])) for row in self.records("SalesOrder")}

    def calls(self) -> dict[str, Any]:
        """How the CRM was called since the last `forget_calls`."""
        answer: dict[str, Any] = self.http.get("/sandbox/calls").json()
        return answer

    def forget_calls(self) -> None:
        """Count anew."""
        self.http.delete("/sandbox/calls")

    def faults(self, **dial: Any) -> None:
        """Turn the CRM's fault dial."""
        self.http.post("/sandbox/faults", json=dial).raise_for_status()


def woo_settings(name: str, timeouts: Mapping[str, float]) -> woocommerce.WooCommerceSettings:
    """A shop that nobody polls (its address leads nowhere)."""
    return woocommerce.WooCommerceSettings(
        name=name,
        url="http://127.0.0.1:9",
        consumer_key=SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
        consumer_secret=SecretRef("env:ORDERWIRE_TEST_ACCESS_KEY"),
        webhook_secrets=(SecretRef("env:ORDERWIRE_TEST_HOOK_SECRET"),),
        **timeouts,
    )


def signed_headers(body: bytes, topic: str, secret: str = HOOK_SECRET) -> dict[str, str]:
    """As WooCommerce signs."""
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
def crm(access_key: str, **switches: Any) -> Iterator[tuple[CrmApp, str]]:
    """A stand-in CRM in a thread, with the two products that carry parked lines and fees."""
    app = crm_app(access_key=access_key, switches=Switches(**switches))
    with running(app) as url:
        httpx.post(f"{url}/sandbox/seed", json={"products": PRODUCTS}).raise_for_status()
        yield app, url


def wait_for(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Until it holds; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)
