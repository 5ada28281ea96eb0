"""How much of each article the shop may sell: products and variations by SKU, as many as possible in one call.

Recorded: the listing's rows and one product's PUT {stock_quantity}. By WooCommerce's documentation and its threads: `sku` takes
several numbers with commas between them and finds variations too, with their `parent_id`; `products/batch` takes no variations,
which are written at their product's own `variations/batch`; each entry of a batch is answered by its record or by its own error.
Its answers are therefore compared with what was asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.roles import Offer, Shelf
from connectors.woocommerce.client import Client
from core.errors import Held, NotThere
from mapping.woocommerce.stock import keeps_stock

FIELDS: Final = "id,type,parent_id,sku,manage_stock,stock_quantity"
PAGE: Final = 100
ASKED: Final = 50
"""Articles in one question: an answer holds a hundred rows, and several products may have one number."""
LONGEST: Final = 3_000
"""Characters of the numbers in one question: they stand in the address."""
BATCH: Final = 100
"""WooCommerce answers 413 to a batch of more."""


class Counter:
    """Where the shop sells: finds articles, sets their quantity."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def shelves(self, skus: Sequence[str]) -> Mapping[str, Shelf]:
        """As `connectors.roles.Selling`."""
        found: dict[str, Shelf] = {}
        askable = []
        for sku in dict.fromkeys(skus):
            if "," in sku:
                found[sku] = Shelf(sku, problem="refused", reason=_COMMA)
            else:
                askable.append(sku)
        for some in _questions(askable):
            found |= self._ask(some)
        return found

    def _ask(self, skus: Sequence[str]) -> dict[str, Shelf]:
        params: dict[str, str | int] = {"sku": ",".join(skus), "per_page": PAGE, "_fields": FIELDS}
        rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self._client.get_rows("products.by_sku", "products", params).body:
            # The database there finds numbers whatever their case; an article is one by its exact number.
            if isinstance(row, Mapping) and isinstance(sku := row.get("sku"), str):
                rows[sku.strip()].append(row)
        return {sku: _shelf(sku, rows.get(sku, ())) for sku in skus}

    def parcels(self, offers: Sequence[Offer]) -> list[list[Offer]]:
        """As `connectors.roles.Selling`: products together, variations by their product."""
        by_path: dict[str, list[Offer]] = defaultdict(list)
        for offer in offers:
            by_path[_path(offer.id)].append(offer)
        return [
            same[start : start + BATCH] for _, same in sorted(by_path.items()) for start in range(0, len(same), BATCH)
        ]

    def put_out(self, parcel: Sequence[Offer]) -> Mapping[str, str]:
        """As `connectors.roles.Selling`. One alone goes by PUT."""
        if len(parcel) == 1:
            return self._put_one(parcel[0])
        body = {"update": [{"id": _number(offer.id), "stock_quantity": offer.quantity} for offer in parcel]}
        answer = self._client.send("products.batch", "POST", f"{_path(parcel[0].id)}/batch", body)
        told = answer.get("update") if isinstance(answer, Mapping) else None
        by_id = {row.get("id"): row for row in told if isinstance(row, Mapping)} if isinstance(told, list) else {}
        return {offer.sku: _became(offer, row) for offer in parcel if (row := by_id.get(_number(offer.id))) is not None}

    def _put_one(self, offer: Offer) -> Mapping[str, str]:
        path = f"{_path(offer.id)}/{_number(offer.id)}"
        try:
            row = self._client.send("products.update", "PUT", path, {"stock_quantity": offer.quantity})
        except NotThere:
            return {
                offer.sku: "It was there just now and is not any more. What to do: nothing, it is looked for again."
            }
        except Held as error:
            return {offer.sku: _refused(error.detail.partition("code=")[2])}
        return {offer.sku: _became(offer, row)} if isinstance(row, Mapping) else {}


_COMMA: Final = (
    "Its number has a comma, which WooCommerce takes for two numbers. What to do: give the article one without."
)


def _questions(skus: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for sku in skus:
        if part and (len(part) >= ASKED or size + len(sku.encode()) * 3 > LONGEST):
            yield part
            part, size = [], 0
        part.append(sku)
        size += len(sku.encode()) * 3  # as it is written in an address at most
    if part:
        yield part


def _shelf(sku: str, rows: Sequence[Mapping[str, Any]]) -> Shelf:
    if not rows:
        return Shelf(sku, problem="unknown", reason="The shop has no article with this number.")
    if len(rows) > 1:
        advice = "What to do: give each its own in WooCommerce."
        return Shelf(sku, problem="refused", reason=f"{len(rows)} articles of the shop have this number. {advice}")
    (row,) = rows
    id, parent = row.get("id"), row.get("parent_id")
    variation = row.get("type") == "variation"
    if not isinstance(id, int) or (variation and not isinstance(parent, int)):
        return Shelf(sku, problem="refused", reason="The shop's answer names no id. What to do: report this as a bug.")
    if not keeps_stock(row):
        reason = (
            "The shop keeps no stock of it. What to do: switch its stock management on in WooCommerce, if it is to."
        )
        return Shelf(sku, problem="unkept", reason=reason)
    return Shelf(sku, f"{parent}/{id}" if variation else str(id), _quantity(row))


def _quantity(row: Mapping[str, Any]) -> Decimal | None:
    value = row.get("stock_quantity")
    try:
        return Decimal(str(value)) if value is not None and not isinstance(value, bool) else None
    except ArithmeticError:
        return None


def _became(offer: Offer, row: Mapping[str, Any]) -> str:
    error = row.get("error")
    if isinstance(error, Mapping):
        return _refused(str(error.get("code") or ""))
    kept = _quantity(row) if keeps_stock(row) else None
    if kept != offer.quantity:
        shown = f"{kept:f}" if kept is not None else "nothing"
        return f"The shop took {offer.quantity} and says {shown}. What to do: see which plugin changes its stock."
    return ""


def _refused(code: str) -> str:
    named = f" ({code[:80]})" if code else ""
    return f"The shop refuses it{named}. What to do: save the article once in WooCommerce and see what it says."


def _path(id: str) -> str:
    parent = id.rpartition("/")[0]
    return f"products/{parent}/variations" if parent else "products"


def _number(id: str) -> int:
    return int(id.rpartition("/")[2])
