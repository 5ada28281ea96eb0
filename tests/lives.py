"""A WooCommerce shop whose orders live: the states of `tests.oracle.life` as the documents that WooCommerce writes, what it
tells of refunds, and the deliveries that it sends, twice, late, in any order, or never.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from sandbox.store.woo import WooShop
from tests.oracle.life import RATE_OF_CARRIAGE, Back, Refund, Version, cents
from tests.oracle.shop import wire
from tests.orders import ADA, NOWHERE, person

Json = dict[str, Any]
RATE_IDS: Mapping[int, int] = {19: 1, 7: 2}
CARRIAGE = 9
"""Line id of the carriage, in every order."""
BUYERS = (dict(ADA), person("Bela"), person("Cleo", company="Cleo Ltd"))
SERIAL = "serial"
"""Key of the meta data by which a document is told from every other, as an order's own meta data may be."""


class LivingShop:
    """Writes what happens into the shop's face. `versions` by their serial, `current` by the order's number."""

    def __init__(self, face: WooShop) -> None:
        self.face = face
        self.versions: dict[str, Version] = {}
        self.current: dict[int, Version] = {}
        self._created: dict[int, str] = {}

    def put(self, version: Version, at: datetime, *, silent: bool = False) -> Json:
        """From now on the order is so; its document. `silent`: the shop does not count it as a change of the order."""
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S")
        serial = str(len(self.versions) + 1)
        if silent:
            stamp = str(self.face.orders[version.number]["date_modified_gmt"])
        made = document(version, serial, self._created.setdefault(version.number, stamp), stamp)
        self.versions[serial] = version
        self.current[version.number] = version
        self.face.put(made, [refund_document(refund, version) for refund in version.refunds])
        return made

    def version_of(self, raw: bytes) -> Version:
        """The state that a document was written from."""
        (serial,) = [meta["value"] for meta in json.loads(raw)["meta_data"] if meta["key"] == SERIAL]
        return self.versions[serial]


def document(version: Version, serial: str, created: str, modified: str) -> Json:
    """The order as the REST interface v3 gives it."""
    rates = sorted({item.rate for item in version.items} | {RATE_OF_CARRIAGE})
    tax = sum((item.tax for item in version.items), version.carriage_tax)
    return {
        "id": version.number,
        "number": str(version.number),
        "status": version.status,
        "currency": "EUR",
        "prices_include_tax": False,
        "customer_id": 0,
        "date_created_gmt": created,
        "date_modified_gmt": modified,
        "date_paid_gmt": created if version.paid else None,
        "date_completed_gmt": modified if version.status == "completed" else None,
        "total": _money(version.total),
        "total_tax": _money(tax),
        "billing": dict(BUYERS[version.number % len(BUYERS)]),
        "shipping": {name: value for name, value in NOWHERE.items() if name != "email"},
        "payment_method": "bacs",
        "customer_note": "",
        "line_items": [_row(version, n) for n in range(len(version.items))],
        "shipping_lines": _carriage(version),
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [{"id": r.id, "reason": "", "total": _money(-r.amount)} for r in version.refunds],
        "meta_data": [{"id": 1, "key": SERIAL, "value": serial}],
        "tax_lines": [_rate(version, rate) for rate in rates],
    }


def refund_document(refund: Refund, version: Version) -> Json:
    """The refund as `orders/<id>/refunds` gives it: everything on its lines is negative."""
    goods = [_gone(part, version, n) for n, part in enumerate(refund.parts) if part.of]
    carried = [_gone(part, version, n) for n, part in enumerate(refund.parts) if not part.of]
    return {
        "id": refund.id,
        "date_created_gmt": "2026-11-22T01:36:11",
        "amount": _money(refund.amount),
        "reason": "",
        "meta_data": [],
        "line_items": goods,
        "shipping_lines": carried,
        "fee_lines": [],
        "tax_lines": [],
    }


def _gone(part: Back, version: Version, n: int) -> Json:
    rate = next((item.rate for item in version.items if item.id == part.of), RATE_OF_CARRIAGE)
    of = str(part.of or CARRIAGE)
    taxes = [{"id": RATE_IDS[rate], "total": _money(-part.tax)}] if part.tax else []
    row = {
        "id": 1000 + n,
        "total": _money(-part.net),
        "total_tax": _money(-part.tax),
        "taxes": taxes,
        "meta_data": [{"id": n, "key": "_refunded_item_id", "value": of}],
    }
    if part.of:
        sku = next(item.sku for item in version.items if item.id == part.of)
        return {**row, "name": f"Article {sku}", "sku": sku, "quantity": -part.pieces, "subtotal": _money(-part.net)}
    return {**row, "method_id": "flat_rate", "method_title": "Parcel"}


def _row(version: Version, n: int) -> Json:
    item = version.items[n]
    before_tax = cents(item.before * item.rate / 100)
    return {
        "id": item.id,
        "name": f"Article {item.sku}",
        "sku": item.sku,
        "quantity": item.pieces,
        "subtotal": _money(item.before),
        "subtotal_tax": _money(before_tax),
        "total": _money(item.net),
        "total_tax": _money(item.tax),
        "taxes": [{"id": RATE_IDS[item.rate], "total": _money(item.tax), "subtotal": _money(before_tax)}],
        "meta_data": [],
    }


def _carriage(version: Version) -> list[Json]:
    if not version.carriage:
        return []
    tax = _money(version.carriage_tax)
    return [
        {
            "id": CARRIAGE,
            "method_id": "flat_rate",
            "method_title": "Parcel",
            "total": _money(version.carriage),
            "total_tax": tax,
            "taxes": [{"id": RATE_IDS[RATE_OF_CARRIAGE], "total": tax, "subtotal": ""}],
            "meta_data": [],
        }
    ]


def _rate(version: Version, rate: int) -> Json:
    goods = sum((item.tax for item in version.items if item.rate == rate), Fraction(0))
    return {
        "id": 900 + RATE_IDS[rate],
        "rate_id": RATE_IDS[rate],
        "rate_code": f"DE-VAT-{RATE_IDS[rate]}",
        "label": "VAT" if rate == RATE_OF_CARRIAGE else "VAT red",
        "compound": False,
        "rate_percent": rate,
        "tax_total": _money(goods),
        "shipping_tax_total": _money(version.carriage_tax if rate == RATE_OF_CARRIAGE else Fraction(0)),
    }


def _money(value: Fraction) -> str:
    return wire(value, 2)
