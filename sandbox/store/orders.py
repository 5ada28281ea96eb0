"""Orders of the stand-in store: from the form's fields to the order document, and the shelf they are kept on."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.catalogue import BY_SKU
from sandbox.store import totals
from sandbox.store.totals import Priced

Json = dict[str, Any]
Form = Mapping[str, str]

ROWS = 6
"""Lines the form offers."""
STANDARD_RATE = Decimal(19)
SHIPPING = {
    "standard": ("Standard delivery", Decimal("5.90")),
    "express": ("Express delivery", Decimal("14.90")),
    "pickup": ("Pick up at the store", Decimal(0)),
}
PAYMENT = {
    "invoice": ("Invoice, 14 days", Decimal(0)),
    "card": ("Card", Decimal(0)),
    "cod": ("Cash on delivery", Decimal("3.00")),
}
"""Methods with their titles and prices: of shipping, and the fee of a way to pay."""
COUNTRIES = {
    "DE": "Germany",
    "AT": "Austria",
    "CH": "Switzerland",
    "FR": "France",
    "PL": "Poland",
    "US": "United States",
}
_STAYS = ("status", "payment_status", "paid_at", "shipped_at", "delivered_at")
"""What the form does not say, the buttons do."""
_MOST = Decimal(9999)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ADDRESS = ("company", "first_name", "last_name", "line1", "line2", "city", "state", "postal_code", "country", "phone")


class Wrong(Exception):
    """The form cannot become an order. `problems` maps a field to a sentence for the buyer."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


@dataclass(slots=True)
class Sent:
    """One delivery to the hook: when, what it was about, and how it went."""

    at: str
    reason: str
    answer: str
    ok: bool


@dataclass(slots=True)
class Kept:
    """An order on the shelf: the document as sent, the form it came from, and its deliveries."""

    document: Json
    form: dict[str, str]
    sent: list[Sent] = field(default_factory=list)

    @property
    def order(self) -> Json:
        order: Json = self.document["order"]
        return order


class Shelf:
    """All orders by id. Numbers start at 1001; every change gets a later `updated_at` than the one before."""

    def __init__(self) -> None:
        self.orders: dict[str, Kept] = {}
        self._lock = threading.Lock()
        self._next = 1001

    def place(self, form: Form) -> Kept:
        """A new order. Raises Wrong."""
        fields = build(form)
        with self._lock:
            number = str(self._next)
            self._next += 1
            now = stamp(datetime.now(UTC))
            order = {"id": number, "number": number, "created_at": now, "updated_at": now, **fields}
            kept = self.orders[number] = Kept({"order": order}, dict(form))
        return kept

    def edit(self, kept: Kept, form: Form) -> None:
        """Replace what the form says; status and payment stay. Raises Wrong."""
        fields = build(form)
        with self._lock:
            stays = {name: kept.order[name] for name in _STAYS}
            kept.form = dict(form)
            kept.document = {"order": {**kept.order, **fields, **stays}}
            self._touch(kept)

    def mark(self, kept: Kept, **changes: Any) -> None:
        """Change status or payment."""
        with self._lock:
            kept.document = {"order": {**kept.order, **changes}}
            self._touch(kept)

    def _touch(self, kept: Kept) -> None:
        before = datetime.fromisoformat(kept.order["updated_at"])
        kept.order["updated_at"] = stamp(max(datetime.now(UTC), before + timedelta(microseconds=1)))


def refunded(order: Json) -> list[Json]:
    """The refunds of an order when all of its money has gone back, line by line: at once, and only once."""
    if order.get("refunds"):
        return list(order["refunds"])
    sold = [*order["lines"], *order["fees"], *order["shipping_lines"]]
    parts = [
        {"of": one["id"], "quantity": one.get("quantity", "0"), "net": one["net"], "taxes": one["taxes"]}
        for one in sold
    ]
    at = stamp(datetime.now(UTC))
    return [{"id": "R-1", "amount": order["totals"]["total"], "reason": "", "created_at": at, "parts": parts}]


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def build(form: Form) -> Json:
    """The order's fields from the form, everything but its identity and times. Raises Wrong."""
    problems = _problems(form)
    rows = _rows(form, problems)
    if problems:
        raise Wrong(problems)
    currency = form.get("currency", "EUR")
    off = totals.COUPONS.get(form.get("coupon", "").strip().upper(), Decimal(0))
    lines = [_line(place, sku, quantity, off, currency) for place, (sku, quantity) in enumerate(rows, 1)]
    shipping, payment = form.get("shipping_method", "standard"), form.get("payment_method", "invoice")
    carried = totals.flat(SHIPPING[shipping][1], STANDARD_RATE, currency)
    fees = [totals.flat(PAYMENT[payment][1], STANDARD_RATE, currency)] if PAYMENT[payment][1] else []
    return {
        "status": "placed",
        "payment_status": "unpaid",
        "paid_at": None,
        "promised_on": _text(form, "promised_on") or None,
        "shipped_at": None,
        "delivered_at": None,
        "rush": form.get("rush") == "yes",
        "currency": currency,
        "prices_include_tax": form.get("price_mode") == "gross",
        "purchase_order": _text(form, "purchase_order"),
        "placed_by": _text(form, "placed_by"),
        "channel": "web",
        "note": _text(form, "note"),
        "customer": _customer(form),
        "billing": _address(form, ""),
        "shipping": _address(form, "ship_") if _text(form, "ship_line1") else None,
        "lines": [line for line, _ in lines],
        "fees": [_fee(fee, payment) for fee in fees],
        "shipping_lines": [_shipping_line(carried, shipping)],
        "coupons": _coupons(form, [priced for _, priced in lines]),
        "delivery_method": shipping,
        "payment_method": payment,
        "totals": totals.totals_json([priced for _, priced in lines], fees, [carried]),
        "metadata": {},
    }


def _problems(form: Form) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not _text(form, "company") and not _text(form, "last_name"):
        problems["last_name"] = "Give a last name or a company."
    if not _EMAIL.fullmatch(_text(form, "email")):
        problems["email"] = "Give an e-mail address, such as name@example.com."
    for name, words in (("line1", "street"), ("postal_code", "postal code"), ("city", "city")):
        if not _text(form, name):
            problems[name] = f"Give the {words}."
    known: tuple[tuple[str, str, Mapping[str, object]], ...] = (
        ("shipping_method", "standard", SHIPPING),
        ("payment_method", "invoice", PAYMENT),
        ("currency", "EUR", totals.CURRENCIES),
        ("country", "DE", COUNTRIES),
    )
    for name, default, choices in known:
        if form.get(name, default) not in choices:
            problems[name] = f"Choose one of {', '.join(choices)}."
    if not _day(_text(form, "promised_on")):
        problems["promised_on"] = "Give a day as 2026-12-24, or none."
    coupon = _text(form, "coupon").upper()
    if coupon and coupon not in totals.COUPONS:
        problems["coupon"] = f"There is no coupon {coupon}. Try {' or '.join(totals.COUPONS)}."
    return problems


def _day(text: str) -> bool:
    try:
        return not text or date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _rows(form: Form, problems: dict[str, str]) -> list[tuple[str, Decimal]]:
    rows = []
    for place in range(1, ROWS + 1):
        sku, text = _text(form, f"sku_{place}"), _text(form, f"quantity_{place}")
        if not sku:
            continue
        quantity = _quantity(text or "1")
        if sku not in BY_SKU:
            problems[f"sku_{place}"] = f"There is no article {sku}."
        elif quantity is None:
            problems[f"quantity_{place}"] = f"The quantity of article {place} must be a whole number from 1 to {_MOST}."
        else:
            rows.append((sku, quantity))
    if not rows and not any(name.startswith(("sku_", "quantity_")) for name in problems):
        problems["sku_1"] = "Choose at least one article."
    return rows


def _quantity(text: str) -> Decimal | None:
    """Whole pieces, from one to as many as a van carries."""
    number = Decimal(text) if text.isdigit() and text.isascii() and len(text) < 5 else Decimal(0)
    return number if 0 < number <= _MOST else None


def _line(place: int, sku: str, quantity: Decimal, off: Decimal, currency: str) -> tuple[Json, Priced]:
    article = BY_SKU[sku]
    priced = totals.price_line(quantity, article.price, article.vat, percent_off=off, currency=currency)
    line = {
        "id": str(place),
        "sku": sku,
        "name": article.name,
        "quantity": totals.plain(quantity),
        "unit_price": f"{priced.unit_price:f}",
        "discount": f"{priced.discount:f}",
        "net": f"{priced.net:f}",
        "taxes": totals.taxes_json(priced),
    }
    return line, priced


def _fee(fee: Priced, payment: str) -> Json:
    return {"id": "f1", "name": PAYMENT[payment][0], "net": f"{fee.net:f}", "taxes": totals.taxes_json(fee)}


def _shipping_line(carried: Priced, method: str) -> Json:
    title = SHIPPING[method][0]
    return {
        "id": "s1",
        "method": method,
        "title": title,
        "net": f"{carried.net:f}",
        "taxes": totals.taxes_json(carried),
    }


def _coupons(form: Form, lines: list[Priced]) -> list[Json]:
    code = _text(form, "coupon").upper()
    amount = sum((line.discount for line in lines), Decimal(0))
    return [{"code": code, "amount": f"{amount:f}"}] if code else []


def _customer(form: Form) -> Json:
    names = ("company", "first_name", "last_name", "email", "phone", "vat_number", "erp_number")
    return {"id": None, "guest": True, **{name: _text(form, name) for name in names}}


def _address(form: Form, prefix: str) -> Json:
    address = {name: _text(form, f"{prefix}{name}") for name in _ADDRESS}
    address["country"] = address["country"] or form.get("country", "DE")
    return address


def _text(form: Form, name: str) -> str:
    return str(form.get(name, "")).strip()[:2000]
