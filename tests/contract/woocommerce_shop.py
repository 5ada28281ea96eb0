"""A shop for the polling tests: WooCommerce's listing rules as an httpx transport, changing while it is read.

Its rules are those of the recordings and of WordPress: `modified_after` and `before` are exclusive and in whole seconds, rows of
one second come in any order, `any` leaves trash out, at most 100 rows a page.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from connectors import woocommerce
from connectors.woocommerce import WooCommerce, WooCommerceSettings
from core.clock import Clock
from core.secrets import SecretRef

START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class ShopClock(Clock):
    """Time that stands still until told otherwise."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class Shop:
    """Orders by id. `before_answer` runs before each answer, so that the shop can change under the reader's feet."""

    def __init__(self, seed: int = 0) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.clock = ShopClock()
        self.dice = random.Random(seed)
        self.requests: list[dict[str, str]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.drop_totals = False
        self.version = 0

    def put(self, order_id: int, *, status: str = "processing", at: datetime | None = None) -> None:
        """Create or modify an order, now or at a given time."""
        self.version += 1
        stamp = (at or self.clock.moment).strftime("%Y-%m-%dT%H:%M:%S")
        created = self.orders.get(order_id, {}).get("date_created_gmt", stamp)
        self.orders[order_id] = {
            "id": order_id,
            "number": str(order_id),
            "status": status,
            "date_created_gmt": created,
            "date_modified_gmt": stamp,
            "version_of_test": self.version,
        }

    def connector(self, **settings: Any) -> WooCommerce:
        """A connector that reads this shop."""
        values = {
            "name": "shop",
            "url": "https://shop.example",
            "consumer_key": SecretRef("env:PATH"),
            "consumer_secret": SecretRef("env:PATH"),
            "per_page": 5,
            "look_back": 30,
            **settings,
        }
        return woocommerce.build(
            WooCommerceSettings(**values), transport=httpx.MockTransport(self.answer), clock=self.clock
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One listing."""
        self.before_answer()
        parts = urlsplit(str(request.url))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.requests.append(query)
        assert request.method == "GET"
        assert parts.path == "/wp-json/wc/v3/orders", parts.path
        assert query["dates_are_gmt"] == "true"
        rows = self._select(query)
        page, size = int(query["page"]), int(query["per_page"])
        assert size <= 100
        headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(-(-len(rows) // size))}
        body = rows[(page - 1) * size : page * size]
        return httpx.Response(200, headers={} if self.drop_totals else headers, content=json.dumps(body))

    def _select(self, query: dict[str, str]) -> list[dict[str, Any]]:
        rows = list(self.orders.values())
        trash = query["status"] == "trash"
        rows = [row for row in rows if (row["status"] == "trash") == trash]
        for name, field, later in (
            ("modified_after", "date_modified_gmt", True),
            ("modified_before", "date_modified_gmt", False),
            ("after", "date_created_gmt", True),
            ("before", "date_created_gmt", False),
        ):
            if name in query:
                limit = query[name]
                rows = [row for row in rows if (row[field] > limit if later else row[field] < limit)]
        if query["orderby"] == "id":
            return sorted(rows, key=lambda row: int(row["id"]))
        self.dice.shuffle(rows)  # rows of one second come as the database likes
        return sorted(
            rows,
            key=lambda row: str(row["date_modified_gmt" if query["orderby"] == "modified" else "date_created_gmt"]),
        )


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
