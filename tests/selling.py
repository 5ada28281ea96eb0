"""A shop that is told how much it may sell: products and variations by SKU, as WooCommerce's REST interface has them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from connectors import woocommerce
from connectors.woocommerce import WooCommerce, WooCommerceSettings
from core.clock import Clock
from core.secrets import SecretRef

SETTINGS = WooCommerceSettings(
    name="shop",
    url="https://shop.example",
    consumer_key=SecretRef("env:PATH"),
    consumer_secret=SecretRef("env:PATH"),
)


def product(id: int, sku: str, quantity: int | None = 0, **more: Any) -> dict[str, Any]:
    """A row of `products`; as a variation with `parent_id` and its type."""
    usual = {"id": id, "type": "simple", "parent_id": 0, "sku": sku, "manage_stock": quantity is not None}
    return {**usual, "stock_quantity": quantity, **more}


@dataclass
class Counter:
    """The stand-in. `wrote`: (path, id, quantity) of each quantity that was set, in order; `calls`: method and path."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    wrote: list[tuple[str, int, int]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """SKUs whose quantity cannot be set."""
    before: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
    """Answers instead of the shop."""
    after: Callable[[httpx.Request], None] = lambda _request: None
    """Called once a write is done, before it is answered."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def connector(self, clock: Clock | None = None) -> WooCommerce:
        """Connected to it."""
        return woocommerce.build(SETTINGS, transport=httpx.MockTransport(self.answer), clock=clock or Clock())

    def quantity(self, sku: str) -> int | None:
        """What it says there is."""
        [found] = [row["stock_quantity"] for row in self.rows if row["sku"] == sku]
        return int(found) if found is not None else None

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As the shop does."""
        with self._lock:
            parts = urlsplit(str(request.url))
            path = parts.path.removeprefix("/wp-json/wc/v3/")
            self.calls.append(f"{request.method} {path}")
            instead = self.before(request)
            if instead is not None:
                return instead
            if request.method == "GET":
                asked = parse_qs(parts.query)["sku"][0].split(",")
                folded = {sku.casefold() for sku in asked}
                return httpx.Response(200, json=[row for row in self.rows if row["sku"].casefold() in folded])
            answer = self._write(request, path)
        self.after(request)
        return answer

    def _write(self, request: httpx.Request, path: str) -> httpx.Response:
        body = json.loads(request.content)
        if request.method == "PUT":
            where, _, id = path.rpartition("/")
            row = self._set(where, int(id), body["stock_quantity"])
            return httpx.Response(row.get("error", {}).get("data", {}).get("status", 200), json=row.get("error", row))
        where = path.removesuffix("/batch")
        assert len(body["update"]) <= 100
        return httpx.Response(
            200, json={"update": [self._set(where, o["id"], o["stock_quantity"]) for o in body["update"]]}
        )

    def _set(self, where: str, id: int, quantity: int) -> dict[str, Any]:
        for row in self.rows:
            own = f"products/{row['parent_id']}/variations" if row["type"] == "variation" else "products"
            if row["id"] == id and own == where:
                if row["sku"] in self.refuses:
                    error = {"code": "product_invalid_stock", "message": "No.", "data": {"status": 400}}
                    return {"id": id, "error": error}
                row["stock_quantity"] = quantity
                self.wrote.append((where, id, quantity))
                return row
        error = {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}
        return {"id": id, "error": error}
