"""The shop's stock: as recorded, and what the recordings do not show, by its documented rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from connectors import woocommerce
from connectors.roles import Stocked
from connectors.woocommerce import WooCommerce, WooCommerceSettings
from core.secrets import SecretRef
from tests.contract.woocommerce_shop import ShopClock

FIXTURES = Path(__file__).parents[1] / "fixtures" / "woocommerce"


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))["response"]["body"]


def product(number: int, at: str, **over: Any) -> dict[str, Any]:
    usual = {
        "id": number, "name": f"Product {number}", "type": "simple", "sku": f"SKU-{number}", "manage_stock": True,
        "stock_quantity": number, "low_stock_amount": None, "categories": [{"id": 1, "name": "Lamps"}],
        "date_modified_gmt": at,
    }  # fmt: skip
    return {**usual, **over}


class Products:
    """`modified_after` is exclusive; rows by modification time; at most `per_page`."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.variations: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[str] = []

    def connector(self, **settings: Any) -> WooCommerce:
        values = {
            "name": "shop", "url": "https://shop.example", "consumer_key": SecretRef("env:PATH"),
            "consumer_secret": SecretRef("env:PATH"), "per_page": 3, **settings,
        }  # fmt: skip
        transport = httpx.MockTransport(self.answer)
        return woocommerce.build(WooCommerceSettings(**values), transport=transport, clock=ShopClock())

    def answer(self, request: httpx.Request) -> httpx.Response:
        parts = urlsplit(str(request.url))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/wp-json/wc/v3/")
        self.asked.append(path)
        if path != "products":
            return httpx.Response(200, json=self.variations[int(path.split("/")[1])])
        rows = sorted(self.rows, key=lambda row: (row["date_modified_gmt"], row["id"]))
        rows = [row for row in rows if row["date_modified_gmt"] > query["modified_after"]]
        rows = [row for row in rows if row["date_modified_gmt"] < query.get("modified_before", "9")]
        page, size = int(query["page"]), int(query["per_page"])
        headers = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(-(-len(rows) // size))}
        return httpx.Response(200, headers=headers, json=rows[(page - 1) * size : page * size])


def test_as_recorded() -> None:
    shop = Products(*recorded("19-products-modified"))
    connector: Stocked = shop.connector()
    levels = [level for page in connector.stock_since(None) for level in page.levels]
    assert [(one.sku, one.name, one.group, one.warehouse, one.on_hand, one.minimum) for one in levels] == [
        ("SKU-2", "Gadget", "Uncategorized", "", Decimal(24), None),
        ("SKU-1", "Widget", "Uncategorized", "", Decimal(98), None),
    ]
    assert levels[0].stamp == datetime(2026, 11, 22, 1, 36, 10, tzinfo=UTC)
    shop.rows[1] = recorded("20-product-stock-update")
    (page,) = connector.stock_since("2026-11-22T01:36:11")
    assert [(one.sku, one.on_hand) for one in page.levels if one.sku == "SKU-1"] == [("SKU-1", Decimal(55))]


def test_pages_go_on_where_the_last_ended() -> None:
    """Ten products, several in one second, three a page: each is told, and nothing more once all is read."""
    shop = Products(*(product(number, f"2026-11-22T12:00:{number // 4:02}") for number in range(1, 11)))
    pages = list(shop.connector().stock_since(None))
    told = [level.sku for page in pages for level in page.levels]
    assert sorted(told) == sorted({f"SKU-{number}" for number in range(1, 11)})
    asked = len(shop.asked)
    later = list(shop.connector(overlap=10).stock_since("2026-11-22T13:00:00"))
    assert [level for page in later for level in page.levels] == []
    assert later[-1].cursor == "2026-11-22T13:00:00"
    assert len(shop.asked) == asked + 1, "an unchanged shop costs one call"


def test_what_keeps_its_own_stock() -> None:
    at = "2026-11-22T12:00:00"
    shop = Products(
        product(1, at, type="variable", manage_stock=False, name="Shirt"),
        product(2, at, manage_stock=False),
        product(3, at, low_stock_amount=4, stock_quantity="2.5"),
    )
    shop.variations[1] = [
        {"id": 11, "sku": "SHIRT-S", "name": "Shirt - S", "manage_stock": True, "stock_quantity": 7, "low_stock_amount": 2},
        {"id": 12, "sku": "SHIRT-M", "manage_stock": True, "stock_quantity": -1},
        {"id": 13, "sku": "SHIRT-L", "manage_stock": "parent", "stock_quantity": 9},
    ]  # fmt: skip
    levels = [level for page in shop.connector().stock_since(None) for level in page.levels]
    assert [(one.sku, one.name, one.group, one.on_hand, one.minimum) for one in levels] == [
        ("SHIRT-S", "Shirt - S", "Lamps", Decimal(7), Decimal(2)),
        ("SHIRT-M", "Shirt", "Lamps", Decimal(-1), None),
        ("SKU-3", "Product 3", "Lamps", Decimal("2.5"), Decimal(4)),
    ]


def test_what_cannot_be_read_is_said() -> None:
    at = "2026-11-22T12:00:00"
    shop = Products(product(1, at, sku=""), product(2, at, stock_quantity="many"), product(3, at))
    (page,) = shop.connector(per_page=50).stock_since(None)
    assert [level.sku for level in page.levels] == ["SKU-3"]
    assert [(one.id, "What to do: " in one.reason) for one in page.bad] == [
        ("product 1", True), ("/SKU-2", True),
    ]  # fmt: skip
