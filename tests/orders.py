"""WooCommerce orders for tests: the recorded ones, and made ones whose sums are computed here in Decimal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures" / "woocommerce"
CENT = Decimal("0.01")

ADA: Mapping[str, str] = {
    "first_name": "Ada",
    "last_name": "Example",
    "company": "Example Office GmbH",
    "address_1": "Beispielweg 1",
    "address_2": "",
    "city": "Berlin",
    "state": "",
    "postcode": "10115",
    "country": "DE",
    "email": "ada@office.example",
    "phone": "+49 30 901820",
}
NOWHERE: Mapping[str, str] = dict.fromkeys(ADA, "")


def corpus() -> list[dict[str, Any]]:
    """The 80 orders of a real shop, as its interface gives them."""
    found = json.loads((FIXTURES / "orders-corpus.json").read_text(encoding="utf-8"))
    return [entry["order"] for entry in found]


@cache
def _refunds() -> dict[str, dict[str, Any]]:
    found = json.loads((FIXTURES / "orders-corpus.json").read_text(encoding="utf-8"))
    first = json.loads((FIXTURES / "16-refund.json").read_text(encoding="utf-8"))["response"]["body"]
    return {str(refund["id"]): refund for refund in [first, *(row for entry in found for row in entry["refunds"])]}


def refunds_of(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The refunds that an order names, as its shop tells them: the recorded ones, else amounts for nothing in particular."""
    recorded = _refunds()
    return [_told(refund, recorded.get(str(refund["id"]))) for refund in order.get("refunds", ())]


def _told(named: Mapping[str, Any], recorded: Any) -> dict[str, Any]:
    amount = str(-Decimal(named["total"]))
    if recorded is not None and recorded["amount"] == amount:
        return dict(recorded)
    lists = ("meta_data", "line_items", "shipping_lines", "fee_lines", "tax_lines")
    return {"id": named["id"], "amount": amount, "reason": named["reason"], **{name: [] for name in lists}}


def left(order: Mapping[str, Any]) -> Decimal:
    """What is left of an order's total after its refunds."""
    return Decimal(order["total"]) + sum((Decimal(refund["total"]) for refund in order["refunds"]), Decimal(0))


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def order(
    id: int,
    lines: Sequence[tuple[str, int, str]] = (("OF-100", 2, "10.00"), ("OF-107", 1, "5.50")),
    *,
    billing: Mapping[str, str] | None = None,
    modified: str = "2026-11-20T10:00:00",
    rate: str = "19",
    shipping: str = "4.90",
    meta: Mapping[str, str] | None = None,
    **over: Any,
) -> dict[str, Any]:
    """An order of prices without tax, that balances. `lines`: SKU, pieces, net price of one."""
    percent = Decimal(rate) / 100
    rows, net, tax = [], Decimal(0), Decimal(0)
    for n, (sku, pieces, price) in enumerate(lines, 1):
        total = cents(Decimal(price) * pieces)
        line_tax = cents(total * percent)
        rows.append(_line(id * 100 + n, sku, pieces, total, line_tax))
        net, tax = net + total, tax + line_tax
    carriage = Decimal(shipping)
    carriage_tax = cents(carriage * percent)
    made = {
        "id": id,
        "number": str(id),
        "status": "processing",
        "currency": "EUR",
        "prices_include_tax": False,
        "customer_id": 0,
        "date_created_gmt": "2026-11-20T09:00:00",
        "date_modified_gmt": modified,
        "date_paid_gmt": None,
        "total": str(cents(net + tax + carriage + carriage_tax)),
        "total_tax": str(cents(tax + carriage_tax)),
        "billing": dict(ADA if billing is None else billing),
        "shipping": {name: value for name, value in NOWHERE.items() if name != "email"},
        "payment_method": "bacs",
        "customer_note": "",
        "line_items": rows,
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        "meta_data": [{"id": n, "key": key, "value": value} for n, (key, value) in enumerate((meta or {}).items(), 1)],
        "shipping_lines": [],
        "tax_lines": [_rate(rate, tax, carriage_tax)],
    }
    if carriage:
        made["shipping_lines"] = [_carriage(carriage, carriage_tax)]
    return {**made, **over}


def _line(id: int, sku: str, pieces: int, total: Decimal, tax: Decimal) -> dict[str, Any]:
    return {
        "id": id,
        "name": f"Article {sku}",
        "sku": sku,
        "quantity": pieces,
        "subtotal": str(total),
        "total": str(total),
        "total_tax": str(tax),
        "taxes": [{"id": 1, "total": str(tax), "subtotal": str(tax)}],
        "meta_data": [],
    }


def _carriage(net: Decimal, tax: Decimal) -> dict[str, Any]:
    return {
        "id": 9,
        "method_id": "flat_rate",
        "method_title": "Parcel",
        "total": str(net),
        "total_tax": str(tax),
        "taxes": [{"id": 1, "total": str(tax), "subtotal": ""}],
        "meta_data": [],
    }


def _rate(rate: str, tax: Decimal, carriage_tax: Decimal) -> dict[str, Any]:
    return {
        "id": 7,
        "rate_id": 1,
        "rate_code": "DE-VAT-1",
        "label": "VAT",
        "compound": False,
        "rate_percent": json.loads(rate),
        "tax_total": str(tax),
        "shipping_tax_total": str(carriage_tax),
    }


def stranger(id: int) -> dict[str, str]:
    """A customer of his own for each number, whom no rule takes for another: every second one has a firm and an e-mail
    address, the others have neither, nor anything else by which they could be found again but what we noted.
    """
    if id % 2:
        return person(f"Buyer{id}", company=f"Firm {id} GmbH", last_name=f"Stranger{id}")
    return person(f"Buyer{id}", email="", last_name=f"Stranger{id}")


def person(name: str, **over: str) -> dict[str, str]:
    """Somebody else's billing address: no company, an own e-mail address, no phone."""
    own = {"first_name": name, "last_name": "Tester", "company": "", "email": f"{name.lower()}@people.example"}
    return {**ADA, **own, "phone": "", **over}
