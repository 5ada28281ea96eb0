"""The order form's own format to the common language."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import Held
from core.jsontext import loads
from core.keys import Key
from mapping.canonical import LineKind, OrderStatus, PaymentStatus, SalesOrder
from mapping.fields import CustomFields, FieldRule
from mapping.orderform import FormOptions, order_from_orderform

TYPICAL = loads((Path(__file__).parents[2] / "fixtures" / "orderform" / "order__typical.json").read_bytes())
D = Decimal


def order(changes: dict[str, Any] | None = None, **options: Any) -> SalesOrder:
    raw = {"order": {**copy.deepcopy(TYPICAL["order"]), **(changes or {})}}
    return order_from_orderform(raw, FormOptions("form", **options))


def held(changes: dict[str, Any], **options: Any) -> Held:
    with pytest.raises(Held, match="What to do: ") as caught:
        order(changes, **options)
    return caught.value


def test_every_field_arrives() -> None:
    mapped = order()
    assert mapped.key == Key("form", "order", "1001")
    assert (mapped.number, mapped.status, mapped.source_status) == ("WEB-1001", OrderStatus.PENDING, "placed")
    assert mapped.stamp == datetime(2026, 11, 22, 1, 36, 10, 250000, tzinfo=UTC)
    assert (mapped.payment_status, mapped.paid_at, mapped.currency) == (PaymentStatus.UNPAID, None, "EUR")
    assert (mapped.purchase_order, mapped.placed_by, mapped.channel) == ("PO-1", "rep9", "web")
    assert (mapped.delivery_method, mapped.payment_method, mapped.note) == (
        "flat_rate",
        "invoice",
        "Please ring twice.",
    )
    customer = mapped.customer
    assert (customer.key, customer.company) == (Key("form", "customer", "17"), "Müller & Co KG")
    assert (customer.vat_number, customer.erp_number, customer.person.full_name) == (
        "DE123456789",
        "C-4711",
        "Jörg Müller",
    )
    assert mapped.shipping == mapped.billing
    pens = mapped.lines[1]
    assert (pens.sku, pens.quantity, pens.subtotal, pens.discount) == ("OF-101", D(100), D("33.30"), D("4.65"))
    assert (pens.net, pens.tax, pens.taxes[0].rate) == (D("28.65"), D("5.44"), D(19))
    assert (mapped.lines[2].kind, mapped.lines[2].net) == (LineKind.FEE, D("-1.50"))
    assert (mapped.shipping_net, mapped.total, mapped.rounding) == (D("12.35"), D("55.33"), D(0))
    assert mapped.coupons[0].code == "five"


def test_numbers_are_read_as_exactly_as_text() -> None:
    text = (Path(__file__).parents[2] / "fixtures" / "orderform" / "order__typical.json").read_text(encoding="utf-8")
    assert (
        order_from_orderform(loads(text.replace('"55.33"', "55.33").replace('"0.333"', "0.333")), FormOptions("form"))
        == order()
    )


@pytest.mark.parametrize("customer", [{"id": None, "guest": False}, {"id": "17", "guest": True}, {}])
def test_a_guest_is_known_by_the_order(customer: dict[str, Any]) -> None:
    mapped = order({"customer": customer}).customer
    assert (mapped.key, mapped.guest, mapped.company) == (Key("form", "guest", "1001"), True, "Müller & Co KG")
    assert mapped.person.full_name == "Jörg Müller"


def test_a_delivery_address_of_its_own() -> None:
    assert order({"shipping": {"line1": "Quay 1", "city": "Hamburg"}}).shipping.line1 == "Quay 1"
    assert order({"shipping": {"company": "Only a name"}}).shipping == order().billing


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("placed", OrderStatus.PENDING),
        ("confirmed", OrderStatus.CONFIRMED),
        ("completed", OrderStatus.COMPLETED),
        ("cancelled", OrderStatus.CANCELLED),
    ],
)
def test_status_words(word: str, status: OrderStatus) -> None:
    assert order({"status": word}).status is status


def test_a_line_that_does_not_multiply_is_held() -> None:
    lines = copy.deepcopy(TYPICAL["order"]["lines"])
    lines[1]["unit_price"] = "0.334"
    error = held({"lines": lines})
    assert (error.field, error.error_class) == ("order.lines[1].net", "money")
    assert "100 x 0.334" in error.message


def test_an_order_that_does_not_balance_is_held() -> None:
    error = held({"totals": {"total": "55.34", "tax": "8.83"}})
    assert error.error_class == "money"
    assert "difference of 0.01 EUR" in error.message


def test_unit_prices_with_fractions_of_a_cent() -> None:
    """Three single pieces at 0.125, shown as 0.13 each: the shop charges 0.38."""
    lines = [{"id": str(n), "quantity": 1, "unit_price": "0.125", "net": "0.13"} for n in range(3)]
    changes: dict[str, Any] = {"lines": lines, "fees": [], "shipping_lines": [], "totals": {"total": "0.38"}}
    mapped = order(changes)
    assert (mapped.rounding, [line.net for line in mapped.lines]) == (D("-0.01"), [D("0.13")] * 3)
    for wrong in ("0.36", "0.40"):
        assert held({**changes, "totals": {"total": wrong}}).error_class == "money"


def test_too_many_lines_are_held_before_anything_is_read() -> None:
    assert "has 5000 entries, more than the 100" in held({"lines": [{}] * 5000}, max_lines=100).message


def test_custom_fields_begin_at_the_order() -> None:
    fields = CustomFields({"cf_1": FieldRule(path="metadata.cost_centre", required=True)})
    assert order(fields=fields).custom == (("cf_1", "4400"),)
    assert held({"metadata": {}}, fields=fields).field == "cf_1"


def test_several_faults_are_named_together() -> None:
    message = held({"currency": "ABC", "status": "gone", "note": 5, "lines": "x"}).message
    assert message.count("The order's field") == 3
    assert "1 more faults" in message


WAY = {
    "promised_on": "2026-11-24",
    "shipped_at": "2026-11-23T10:00:00Z",
    "tracking": [{"carrier": "DHL", "number": "JD014", "url": "https://track.example/JD014"}],
    "rush": True,
    "language": "de-AT",
}


def test_the_way_to_the_customer() -> None:
    mapped = order(WAY)
    assert (mapped.promised_on, mapped.rush, mapped.language) == (date(2026, 11, 24), True, "de")
    assert (mapped.shipped_at, mapped.delivered_at) == (datetime(2026, 11, 23, 10, tzinfo=UTC), None)
    assert [(one.carrier, one.number, one.url) for one in mapped.tracking] == [
        ("DHL", "JD014", "https://track.example/JD014")
    ]
    arrived = order({"delivered_at": "2026-11-24T08:00:00Z"})
    assert arrived.shipped_at == arrived.delivered_at == datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("promised_on", "24.11.2026", "is not a day such as"),
        ("promised_on", "2026-02-30", "is not a day that exists"),
        ("language", "German", "is not a language such as"),
        ("rush", "yes", "must be true or false"),
        ("tracking", [{"url": "javascript:alert(1)"}], "is not an address that begins with https://"),
    ],
)
def test_faults_on_the_way_to_the_customer(field: str, value: Any, wrong: str) -> None:
    assert wrong in held({field: value}).message
