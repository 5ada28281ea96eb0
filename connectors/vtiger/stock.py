"""Stock in vtiger: the levels of its products, and setting one without harming anything else of the product."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from connectors.roles import BadLevel, Difference, ProductStock, Ref, StockPage, Written
from connectors.vtiger import query as q
from connectors.vtiger import verify
from connectors.vtiger.canary import Canary
from connectors.vtiger.changes import BY, Changes, money
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.listing import WholeListing
from connectors.vtiger.settings import VtigerSettings
from core.clock import Clock, parse_utc
from core.errors import Held
from core.keys import Key
from mapping.canonical import StockLevel

COLUMNS: Final = ("id", "productcode", "productname", "qtyinstock", "discontinued", BY)
ALSO: Final = ("reorderlevel", "productcategory")
BEGINNING: Final = "1970-01-01 00:00:00"
CANCELLED: Final = "Cancel"
"""The one status of an invoice for which vtiger gives the goods back (written into its code)."""
_WIPED: Final = re.compile(r"tax[0-9]+|currency[0-9]+")
"""What a revise of a product deletes unless it is sent again: its taxes, and its price in each currency."""
_LIVE: Final = "1"
SLOW: Final = timedelta(seconds=2)
"""vtiger stamps in whole seconds, and moves the goods of an invoice after it has stamped it."""


class Stock:
    """Products as goods. vtiger takes the goods of an invoice off without touching the product's time: what invoices moved is
    found by the invoices.
    """

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        modules: Modules,
        canary: Canary,
        changes: Changes,
        clock: Clock,
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._canary = canary
        self._changes = changes
        self._clock = clock
        self._ref = ref

    # -- levels -------------------------------------------------------------------------------------------------------

    def since(self, cursor: str | None) -> Iterator[StockPage]:
        products = self._changes.watch("Products", self._columns())
        invoices = self._changes.watch("Invoice", ("id",))
        if cursor is None:
            # Where both stand before anything is read: what changes meanwhile is told again.
            reached = f"{products.newest().text};{invoices.newest().text}"
            yield from self._all(reached)
            return
        at_products, _, at_invoices = cursor.partition(";")
        for rows, position in products.since(at_products):
            at_products = position
            yield self._page(self._with_namesakes(rows), f"{at_products};{at_invoices}")
        for rows, position in invoices.since(at_invoices):
            at_invoices = position
            yield from self._moved(rows, f"{at_products};{at_invoices}")

    def _all(self, reached: str) -> Iterator[StockPage]:
        listing = WholeListing(self._client, self._canary, (*self._columns(), "createdtime"), "Products", "createdtime")
        seen: set[str] = set()
        for rows in listing.each(BEGINNING):
            page = self._page(rows, reached)
            levels = [level for level in page.levels if level.sku not in seen]
            doubles = [self._double(level.sku) for level in page.levels if level.sku in seen]
            seen.update(level.sku for level in levels)
            gone = [id for id in page.gone if id.removeprefix("/") not in seen]
            yield StockPage(levels, reached, gone, (*page.bad, *doubles))

    def _moved(self, invoices: Sequence[Record], cursor: str) -> Iterator[StockPage]:
        """The products of invoices that were made or changed. One that is gone meanwhile is left to the next full reading."""
        ids: dict[str, None] = {}
        for invoice in invoices:
            record = self._client.retrieve(str(invoice.get("id")))
            ids.update(dict.fromkeys(_products(record)) if record is not None else {})
        rows = list(self._changes.records("Products", self._columns(), list(ids)))
        yield self._page(self._with_namesakes(rows), cursor)

    def _with_namesakes(self, changed: Iterable[Record]) -> list[Record]:
        """With all products of the same number where one that is not sold any more changed: another one may still be."""
        rows = list(changed)
        asked = sorted({sku for row in rows if (sku := _sku(row)) and not _active(row)})
        found = {str(row.get("id")): row for row in rows}
        for _, values in q.in_lists(asked):
            page: list[Record] = []
            at = 0
            while at == 0 or len(page) == q.PAGE:
                where, limit = f"productcode IN {values}", f"{at},{q.PAGE}"
                page = self._client.query(q.select(self._columns(), "Products", where, "id", limit))
                found |= {str(row.get("id")): row for row in page}
                at += q.PAGE
        return list(found.values())

    def _columns(self) -> tuple[str, ...]:
        return (*COLUMNS, *self._modules.present("Products", ALSO))

    def _page(self, rows: Iterable[Record], cursor: str) -> StockPage:
        levels: list[StockLevel] = []
        bad: list[BadLevel] = []
        gone: list[str] = []
        listed = [row for row in rows if _sku(row)]  # what has no number cannot be ordered
        often = Counter(_sku(row) for row in listed if _active(row))
        for row in listed:
            sku = _sku(row)
            quantity = money(row.get("qtyinstock"))
            if not _active(row):
                if not often[sku]:
                    gone.append(f"/{sku}")
            elif often[sku] > 1:
                bad.append(self._double(sku))
                often[sku] = -1
            elif often[sku] == 1 and quantity is None:
                bad.append(BadLevel(f"/{sku}", f"The stock of {sku} in {self._settings.name} is no number."))
            elif often[sku] == 1 and quantity is not None:
                levels.append(self._level(row, sku, quantity))
        return StockPage(levels, cursor, tuple(gone), tuple(bad))

    def _level(self, row: Record, sku: str, quantity: Decimal) -> StockLevel:
        minimum = money(row.get("reorderlevel"))
        return StockLevel(
            key=Key(self._settings.name, "stock", f"/{sku}"),
            sku=sku,
            name=str(row.get("productname") or ""),
            group=str(row.get("productcategory") or ""),
            on_hand=quantity,
            minimum=minimum if minimum is not None and minimum > 0 else None,
            stamp=parse_utc(str(row.get(BY))),
            read_at=self._clock.now(),
        )

    def _double(self, sku: str) -> BadLevel:
        return BadLevel(f"/{sku}", f"Several products in {self._settings.name} have the part number {sku}.")

    # -- one product --------------------------------------------------------------------------------------------------

    def of(self, product_id: str) -> ProductStock | None:
        """By retrieve, which alone tells the taxes. None: gone, or a service."""
        if not q.is_record_id(product_id) or product_id.partition("x")[0] != self._modules.get("Products").prefix:
            return None
        began = self._clock.now()
        record = self._client.retrieve(product_id)
        if record is None:
            return None
        quantity = money(record.get("qtyinstock"))
        if quantity is None:
            raise Held(
                f"The stock of {_sku(record) or product_id} in {self._settings.name} is no number. "
                "What to do: correct it there, then retry.",
                error_class="validation/value",
                field="qtyinstock",
            )
        by, us = str(record.get("modifiedby") or ""), str(self._client.login().get("userId") or "")
        return ProductStock(
            id=product_id,
            sku=_sku(record),
            name=str(record.get("productname") or ""),
            quantity=quantity,
            modified=parse_utc(str(record.get(BY))),
            by_us=by == us if by and us else None,
            kept=_wiped(record),
            read_at=began,
        )

    def set(self, before: ProductStock, quantity: Decimal) -> Written:
        """Taxes and prices are sent again with the quantity, else vtiger deletes them; the answer must show them all."""
        kept = dict(before.kept or {})
        element = {"id": before.id, "qtyinstock": str(quantity), **kept}
        after = self._client.revise("Products", element)
        differences = tuple(self._differences(before, quantity, after))
        return Written(self._ref("Products", after, "product_no"), differences, at=parse_utc(str(after.get(BY))))

    def overtaken(self, before: ProductStock, written: Written, quantity: Decimal, order: Ref) -> list[Difference]:
        """Vtiger knows no relative change of a stock, the last who writes wins. One call where no invoice was saved meanwhile.
        One that was saved is told, never set right: whether its goods were off when we read cannot be known.
        """
        if before.read_at is None or written.at is None:
            return []
        since = written.at - max(self._clock.now() - before.read_at, timedelta(0)) - SLOW
        moved = {number: goods for number, goods in self._invoiced_since(since, before.id, order) if goods}
        if not moved:
            return []
        left, now = quantity - sum(moved.values()), self.of(before.id)
        if now is not None and now.quantity == left:
            return []  # taken off what we wrote
        shown = now.quantity if now is not None else None
        return [Difference("qtyinstock", str(left), str(shown), "hold", _overtaken(before, quantity, left, moved))]

    def _invoiced_since(self, since: datetime, product: str, order: Ref) -> Iterator[tuple[str, Decimal]]:
        """By the invoice's number: made since then, it takes goods; cancelled since then, it gives them back."""
        start = f"{since:%Y-%m-%d %H:%M:%S}"
        columns = ("id", "invoice_no", "invoicestatus", "salesorder_id", "createdtime")
        where = f"{BY} >= {q.moment(start)}"
        for row in self._client.query(q.select(columns, "Invoice", where, "id", f"0,{q.PAGE}")):
            made, cancelled = str(row.get("createdtime")) >= start, str(row.get("invoicestatus")) == CANCELLED
            if made == cancelled or (order.id and row.get("salesorder_id") == order.id):
                continue
            record = self._client.retrieve(str(row.get("id")))
            lines = [
                line for line in (_lines(record) if record is not None else ()) if line.get("productid") == product
            ]
            goods = sum((money(line.get("quantity")) or Decimal(0) for line in lines), Decimal(0))
            yield str(row.get("invoice_no") or row.get("id")), -goods if cancelled else goods

    def _differences(self, before: ProductStock, quantity: Decimal, after: Record) -> Iterator[Difference]:
        kept = money(after.get("qtyinstock"))
        if kept != quantity:
            yield Difference("qtyinstock", str(quantity), str(kept), "hold", _not_kept(before, quantity, kept))
        there = _wiped(after)
        for name, value in (before.kept or {}).items():
            if name not in there or not verify.same_number(there[name], value):
                yield Difference(
                    name,
                    value,
                    there.get(name, ""),
                    "hold",
                    f"{before.sku} lost {name} ({value}) when its stock was written. "
                    "What to do: set it again at the product in vtiger.",
                )

    def invoiced(self, order: Ref) -> dict[str, Decimal]:
        """Quantities by product, of every invoice of this order that has taken goods."""
        where = f"salesorder_id={q.record_id(order.id)}"
        columns = ("id", "invoicestatus", "salesorder_id")
        rows = self._client.query(q.select(columns, "Invoice", where, "id", f"0,{q.PAGE}"))
        if not rows:
            self._canary.witness("Invoice")
        moved: dict[str, Decimal] = defaultdict(Decimal)
        for row in rows:
            if row.get("salesorder_id") != order.id or str(row.get("invoicestatus")) == CANCELLED:
                continue
            record = self._client.retrieve(str(row.get("id")))
            for line in _lines(record) if record is not None else ():
                moved[str(line.get("productid"))] += money(line.get("quantity")) or Decimal(0)
        return dict(moved)


def _wiped(record: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in record.items() if _WIPED.fullmatch(name) and str(value) != ""}


def _lines(record: Record) -> list[Record]:
    lines = record.get("LineItems")
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def _products(record: Record) -> list[str]:
    return [str(line.get("productid")) for line in _lines(record) if q.is_record_id(str(line.get("productid")))]


def _sku(row: Mapping[str, object]) -> str:
    return str(row.get("productcode") or "").strip()


def _active(row: Mapping[str, object]) -> bool:
    return str(row.get("discontinued", _LIVE)) == _LIVE  # "discontinued = 1" means active (seen on the wire)


def _overtaken(before: ProductStock, quantity: Decimal, left: Decimal, moved: Mapping[str, Decimal]) -> str:
    return (
        f"{' and '.join(moved)} moved {before.sku} in the moment in which its stock was set to {quantity.normalize():f}: its "
        f"goods may still be counted. What to do: compare with the shelf (the product's Updates tab in vtiger tells what was "
        f"written when); if nothing else moved it, {left.normalize():f} is right. Then retry."
    )


def _not_kept(before: ProductStock, quantity: Decimal, kept: Decimal | None) -> str:
    return (
        f"The stock of {before.sku} was set to {quantity}, and vtiger shows {kept}. "
        "What to do: see the product in vtiger (its Updates tab tells who changed it), correct it there."
    )
