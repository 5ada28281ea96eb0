"""Products by SKU, with the tax slots that count for them."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from connectors.roles import CrmProduct
from connectors.vtiger import query as q
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.settings import VtigerSettings
from core.clock import Clock
from core.errors import Held
from mapping.vtiger import clean

_TAX: Final = re.compile(r"tax[0-9]+")
COLUMNS: Final = ("id", "productcode", "productname", "discontinued")
KEEP: Final = 600.0
"""Seconds that the two carrying products are remembered."""
ASK_AGAIN: Final = 30.0


class Products:
    """Finding products; the caller caches what it asked for, the two configured ones are remembered here."""

    def __init__(self, settings: VtigerSettings, client: Client, clock: Clock, canary: Canary) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._canary = canary
        self._lock = threading.Lock()
        self._special: tuple[float, dict[str, CrmProduct]] | None = None

    def find(self, skus: Sequence[str]) -> dict[str, CrmProduct]:
        """By SKU as asked; unknown ones are absent. One query per portion, one retrieve per product (its taxes)."""
        wanted = [sku for sku in dict.fromkeys(skus) if clean(sku).strip()]
        found: dict[str, CrmProduct] = {}
        known: dict[str, CrmProduct | None] = {}
        for portion, values in q.in_lists(wanted):
            rows = self._rows(values)
            for sku in portion:
                row = self._pick(sku, rows)
                id = str(row.get("id")) if row is not None else ""
                if row is not None and id not in known:
                    known[id] = self._product(row)
                product = known.get(id)
                if product is not None:
                    found[sku] = product
        return found

    def special(self) -> dict[str, CrmProduct]:
        """The products that carry parked lines and fees, by their configured SKU, as far as they exist."""
        skus = [sku for sku in (self._settings.unknown_product, self._settings.fee_product) if sku]
        with self._lock:
            now = self._clock.monotonic()
            if self._special is not None:
                age, known = now - self._special[0], self._special[1]
                if age < (KEEP if all(sku in known for sku in skus) else ASK_AGAIN):
                    return known
            self._special = (now, self.find(skus))
            return self._special[1]

    def _rows(self, values: str) -> list[Record]:
        """Every row of an IN list: more than a page is there only when SKUs are doubled."""
        rows: list[Record] = []
        while True:
            limit = f"{len(rows)},{q.PAGE}"
            page = self._client.query(q.select(COLUMNS, "Products", f"productcode IN {values}", "id", limit))
            rows += page
            if not rows:
                self._canary.witness("Products")  # "no such article" would park every line
            if len(page) < q.PAGE:
                return rows

    def _pick(self, sku: str, rows: list[Record]) -> Record | None:
        """The row of a SKU: spelled exactly so, else the same but for case; active before inactive."""
        text = clean(sku).strip()
        same = [row for row in rows if str(row.get("productcode", "")).strip() == text]
        same = same or [row for row in rows if str(row.get("productcode", "")).strip().casefold() == text.casefold()]
        hits = [row for row in same if _active(row)] or same
        if len(hits) > 1:
            raise Held(
                f'{len(hits)} products in {self._settings.name} have the part number "{sku}": '
                f"{', '.join(str(row.get('id')) for row in hits[:5])}. "
                "What to do: correct the part numbers in vtiger (or deactivate all but one), then retry.",
                error_class="duplicate/conflict",
                field="productcode",
            )
        return hits[0] if hits else None

    def _product(self, row: Record) -> CrmProduct | None:
        """The product with its taxes, which only `retrieve` tells; None when it was deleted this moment."""
        full = self._client.retrieve(str(row.get("id")))
        if full is None:
            return None
        return CrmProduct(
            id=str(row.get("id")),
            sku=str(row.get("productcode", "")),
            name=str(full.get("productname", "")),
            taxes=taxes_of(full),
            active=_active(full),
        )


def taxes_of(product: Mapping[str, object]) -> frozenset[str]:
    """The tax slots of a retrieved product: vtiger shows a slot only where it is configured (0 % counts)."""
    return frozenset(name for name in product if _TAX.fullmatch(name))


def _active(row: Record) -> bool:
    return str(row.get("discontinued", "1")) == "1"  # "discontinued = 1" means active (seen on the wire)
