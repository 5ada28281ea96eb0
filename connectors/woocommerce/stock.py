"""The shop's stock: its products by modification time, and the variations of those that have some.

WooCommerce sets a product's time when its stock changes (seen on the wire). A variation has a time of its own, which no listing
of products goes by: what changed there alone is found by the next reading of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.roles import BadLevel, StockPage
from connectors.woocommerce.client import Client
from connectors.woocommerce.walk import BY_MODIFIED, SECOND, Walk, wire_time
from core.clock import parse_utc
from core.errors import Held
from mapping.canonical import StockLevel
from mapping.woocommerce.stock import group_of, keeps_stock, stock_from_woocommerce

FIELDS: Final = "id,name,type,sku,manage_stock,stock_quantity,low_stock_amount,categories,date_modified_gmt"
START: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any product of WooCommerce."""
MAX_PAGES: Final = 100


def since(
    client: Client, name: str, cursor: str | None, *, overlap: float, per_page: int, now: Callable[[], datetime]
) -> Iterator[StockPage]:
    """Levels of products modified since the cursor (a time); None: of all."""
    after = _place(cursor) - max(timedelta(seconds=overlap), SECOND) if cursor else START
    walk = Walk(client, BY_MODIFIED, "any", after, None, per_page, now, "products", {"_fields": FIELDS})
    seen = after if cursor is None else _place(cursor)
    for step in walk.steps():
        if step.seen_to is not None:
            seen = max(seen, step.seen_to)
        yield _page(client, name, step.rows, step.asked_at, wire_time(seen))


def _page(client: Client, name: str, rows: Any, asked_at: datetime, cursor: str) -> StockPage:
    levels: list[StockLevel] = []
    bad: list[BadLevel] = []
    for row, group in _kept(client, rows):
        try:
            levels.append(stock_from_woocommerce(name, row, asked_at, group))
        except Held as error:
            sku = row.get("sku")
            # By its own name, where it has one: its level is not gone.
            named = f"/{sku.strip()}" if isinstance(sku, str) and sku.strip() else f"product {row.get('id')}"
            bad.append(BadLevel(named, error.message))
    return StockPage(levels, cursor, (), bad)


def _kept(client: Client, rows: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Products and variations that keep stock, each with its product's group."""
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        if keeps_stock(row):
            yield row, ""
        if row.get("type") == "variable" and isinstance(row.get("id"), int):
            for variation in _variations(client, row["id"]):
                if keeps_stock(variation):
                    yield _named(variation, row), group_of(row)


def _named(variation: Mapping[str, Any], product: Mapping[str, Any]) -> dict[str, Any]:
    """Shops before 8.x tell no name of a variation: then it is called as its product."""
    name = variation.get("name")
    return {**variation, "name": name if isinstance(name, str) and name else product.get("name")}


def _variations(client: Client, product: int) -> Iterator[Mapping[str, Any]]:
    for page in range(1, MAX_PAGES + 1):
        params: dict[str, str | int] = {
            "per_page": 100,
            "page": page,
            "orderby": "id",
            "order": "asc",
            "_fields": FIELDS,
        }
        answer = client.get_rows("variations.list", f"products/{product}/variations", params)
        yield from (row for row in answer.body if isinstance(row, Mapping))
        if page >= answer.pages if answer.pages is not None else len(answer.body) < 100:
            return


def _place(cursor: str) -> datetime:
    """An unreadable place: everything is read, which costs reading and nothing else."""
    try:
        return parse_utc(cursor)
    except ValueError:
        return START
