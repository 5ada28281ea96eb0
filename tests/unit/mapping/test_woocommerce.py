"""WooCommerce's order to the common language, field by field, on the recorded order and on what is wrong with
others."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import Held
from core.jsontext import loads
from core.keys import Key
from mapping.canonical import Address, LineKind, OrderStatus, PaymentStatus, SalesOrder
from mapping.fields import CustomFields, FieldRule
from mapping.woocommerce import STATUSES, Metadata, WooOptions, order_from_woocommerce

FIXTURES = Path(__file__).parents[2] / "fixtures" / "woocommerce"
RAW: dict[str, Any] = loads((FIXTURES / "hook-09-order-created.json").read_bytes())["body"]
CORPUS = loads((FIXTURES / "orders-corpus.json").read_bytes())
D = Decimal


def order(changes: dict[str, Any] | None = None, **options: Any) -> SalesOrder:
    return order_from_woocommerce({**copy.deepcopy(RAW), **(changes or {})}, WooOptions("shop", **options))


def held(changes: dict[str, Any], **options: Any) -> Held:
    with pytest.raises(Held, match="What to do: ") as caught:
        order(changes, **options)
    return caught.value


def rows(name: str, **changes: Any) -> dict[str, Any]:
    """The recorded rows with something else in the first."""
    return {name: [{**RAW[name][0], **changes}, *RAW[name][1:]]}


def test_who_and_when() -> None:
    mapped = order()
    assert mapped.key == Key("shop", "order", "13")
    assert mapped.stamp == datetime(2026, 11, 22, 1, 36, 11, tzinfo=UTC)
    assert mapped.placed_at == datetime(2026, 11, 22, 1, 36, 10, tzinfo=UTC)
    assert mapped.customer.key == Key("shop", "customer", "2")
    assert (mapped.customer.guest, mapped.customer.person.email) == (False, "c1@example.com")
    assert mapped.customer.billing == mapped.billing == mapped.shipping


def test_a_guest_is_known_by_the_order() -> None:
    customer = order({"customer_id": 0}).customer
    assert (customer.key, customer.guest) == (Key("shop", "guest", "13"), True)


def test_a_delivery_address_of_its_own() -> None:
    mapped = order({"shipping": {"first_name": "Ann", "address_1": "Quay 1", "postcode": "20457", "city": "Hamburg"}})
    assert mapped.shipping == Address(first_name="Ann", line1="Quay 1", postal_code="20457", city="Hamburg")
    assert order({"shipping": {"phone": "1", "company": "Only a name"}}).shipping == mapped.billing
    assert order({"shipping": []}).shipping == mapped.billing, "PHP writes an empty object as a list"


@pytest.mark.parametrize(("word", "status"), [*STATUSES.items(), ("wc-processing", OrderStatus.CONFIRMED)])
def test_status_words(word: str, status: OrderStatus) -> None:
    assert (order({"status": word}).status, order({"status": word}).source_status) == (status, word)


def test_a_plugins_status_is_unknown_until_it_is_configured() -> None:
    assert order({"status": "packed"}).status is OrderStatus.UNKNOWN
    assert order({"status": "packed"}, statuses={"packed": OrderStatus.CONFIRMED}).status is OrderStatus.CONFIRMED


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, PaymentStatus.PAID),
        ({"date_paid_gmt": None}, PaymentStatus.UNPAID),
        ({"date_paid_gmt": ""}, PaymentStatus.UNPAID),
        ({"status": "refunded"}, PaymentStatus.REFUNDED),
        ({"refunds": [{"id": 1, "total": "-269.42"}]}, PaymentStatus.REFUNDED),
        ({"refunds": [{"id": 1, "total": "-269.41"}]}, PaymentStatus.PAID),
        ({"status": "processing", "date_paid_gmt": None}, PaymentStatus.UNPAID),
    ],
)
def test_payment(changes: dict[str, Any], status: PaymentStatus) -> None:
    assert order(changes).payment_status is status


def test_meta_data_by_its_usual_names_and_by_configured_ones() -> None:
    meta = [
        {"key": "po_number", "value": " PO-1 "},
        {"key": "placed_by", "value": "rep9"},
        {"key": "channel", "value": "phone"},
        {"key": "_billing_vat", "value": ""},
        {"key": "vat_number", "value": "DE123456789"},
        {"key": "erp_number", "value": 4711},
        {"key": "structure", "value": {"a": [1]}},
        {"key": None, "value": "x"},
    ]
    mapped = order({"meta_data": meta})
    assert (mapped.purchase_order, mapped.placed_by, mapped.channel) == ("PO-1", "rep9", "phone")
    assert (mapped.customer.vat_number, mapped.customer.erp_number) == ("DE123456789", "4711")
    sources = Metadata.model_validate({"po_number": ["path:billing.company"], "placed_by": ["nobody", "po_number"]})
    configured = order({"meta_data": meta}, metadata=sources)
    assert (configured.purchase_order, configured.placed_by) == ("Acme GmbH", "PO-1")
    assert (order().channel, order(channel="b2b").channel, order().purchase_order) == ("web", "b2b", "")


def test_a_metadata_path_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="JMESPath"):
        Metadata.model_validate({"po_number": ["path:a.["]})
    broken = Metadata.model_validate({"po_number": ["path:sum(line_items)"]})
    assert "sum(line_items)" in held({}, metadata=broken).message


def test_discounts_are_subtotal_less_total() -> None:
    entry = next(entry for entry in CORPUS if entry["order"]["id"] == 37)
    mapped = order_from_woocommerce(entry["order"], WooOptions("shop"))
    first = mapped.lines[0]
    assert (first.subtotal, first.discount, first.net, first.quantity) == (D("7.35"), D("0.35"), D("7.00"), D(7))
    assert [(coupon.code, coupon.amount) for coupon in mapped.coupons] == [("five", D(5))]
    fee = mapped.lines[-1]
    assert (fee.kind, fee.net, fee.tax, fee.discount) == (LineKind.FEE, D("-1.50"), D("-0.29"), D(0))
    assert mapped.tax_totals[0].amount == D("8.83")


def test_a_total_above_the_subtotal_is_a_price_not_a_negative_discount() -> None:
    line = order(rows("line_items", subtotal="100.00")).lines[0]
    assert (line.subtotal, line.discount, line.net) == (D("120.00"), D(0), D("120.00"))


def test_compound_rates_are_marked() -> None:
    entry = next(e for e in CORPUS if any(row["compound"] for row in e["order"]["tax_lines"]))
    taxes = order_from_woocommerce(entry["order"], WooOptions("shop")).lines[0].taxes
    assert [(tax.label, tax.rate, tax.compound) for tax in taxes] == [("GST", D(5), False), ("QST", D("9.975"), True)]


def test_what_the_customer_chose_stands_on_the_line() -> None:
    meta = [
        {"key": "_secret", "value": "x"},
        {"key": "colour", "display_key": "Colour", "value": "red"},
        {"key": "l", "value": []},
    ]
    assert order(rows("line_items", meta_data=meta)).lines[0].note == "Colour: red"


def test_an_imported_line_may_have_its_tax_in_one_sum() -> None:
    line = order(rows("line_items", taxes=[])).lines[0]
    assert [(tax.rate, tax.amount) for tax in line.taxes] == [(None, D("22.80"))]


def test_the_float_price_changes_no_amount() -> None:
    prices: list[Any] = [0, D("39.999999"), "x", None, [], {"a": 1}]
    for price in prices:
        assert order(rows("line_items", price=price)) == order()


def test_custom_fields() -> None:
    custom = CustomFields({"cf_9": FieldRule(path="meta_data[?key=='sales_rep'].value | [0]", via=("lower",))})
    assert order(fields=custom).custom == (("cf_9", "r-7"),)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"currency": "EUX"}, "currency", '= "EUX" is not a currency of ISO 4217'),
        ({"currency": None}, "currency", "is not a currency"),
        ({"total": "NaN"}, "total", '= "NaN" is not an amount of money'),
        ({"total": "Infinity"}, "total", '= "Infinity" is not an amount'),
        ({"total": ""}, "total", "is missing or empty"),
        ({"total": "-5.00"}, "total", "is negative"),
        ({"total": ["x"]}, "total", "(a list) is not an amount"),
        (rows("line_items", quantity=-1), "line_items[0].quantity", "= -1 is not a quantity greater than zero"),
        (rows("line_items", quantity=0), "line_items[0].quantity", "= 0 is not a quantity greater than zero"),
        (rows("line_items", quantity="two"), "line_items[0].quantity", '= "two" is not a quantity'),
        (rows("line_items", total="1,50"), "line_items[0].total", '= "1,50" is not an amount'),
        (rows("line_items", taxes=[{"id": 1, "total": "x"}]), "line_items[0].taxes[0].total", "is not an amount"),
        (rows("line_items", taxes="x"), "line_items[0].taxes", "should be a list"),
        (rows("tax_lines", rate_percent=-1), "tax_lines[0].rate_percent", "is not a rate of tax"),
        (rows("shipping_lines", total=None), "shipping_lines[0].total", "is missing or empty"),
        ({"line_items": [], "fee_lines": []}, "line_items", "at least one line"),
        ({"line_items": None, "fee_lines": None}, "line_items", "at least one line"),
        ({"line_items": {"a": 1}}, "line_items", "should be a list"),
        ({"line_items": ["x"]}, "line_items[0]", "should be an object"),
        ({"id": "13"}, "id", "is not an order's id"),
        ({"date_modified_gmt": None}, "date_modified_gmt", "is missing"),
        ({"date_modified_gmt": "soon"}, "date_modified_gmt", '= "soon" is not a date and time'),
        ({"date_paid_gmt": 17}, "date_paid_gmt", "= 17 is not a date and time"),
        ({"prices_include_tax": "yes"}, "prices_include_tax", "should be true or false"),
        ({"customer_id": "2"}, "customer_id", "is not a customer's id"),
        ({"billing": "x"}, "billing", "should be an object"),
        ({"number": []}, "number", "should be text"),
        ({"customer_note": "x" * 70_000}, "customer_note", "is longer than"),
    ],
)
def test_held_with_field_and_value(changes: dict[str, Any], field: str, words: str) -> None:
    error = held(changes)
    assert error.field == field
    assert f"field {field}" in error.message
    assert words in error.message


def test_too_many_lines() -> None:
    lines = {"line_items": RAW["line_items"] * 3}
    assert "has 6 entries, more than the 5" in held(lines, max_lines=5).message
    assert held(lines, max_lines=5).field == "line_items"


def test_missing_lines_do_not_balance() -> None:
    error = held({"line_items": []})
    assert error.error_class == "money"
    assert "difference of 261.21 EUR" in error.message


def test_no_personal_data_in_messages() -> None:
    for changes in ({"billing": {**RAW["billing"], "email": ["c1@example.com"]}}, {"billing": "c1@example.com"}):
        error = held(changes)
        assert error.field.startswith("billing")
    assert "c1@" not in held({"billing": {**RAW["billing"], "email": ["c1@example.com"]}}).message


def test_control_characters_are_no_text() -> None:
    mapped = order({"customer_note": "a\x00b\ud800\nc\x1b[2J"})
    assert mapped.note == "ab\nc[2J"


def test_pushed_text_and_stored_text_map_alike() -> None:
    from core.jsontext import dumps

    for entry in CORPUS[:20]:
        stored = loads(dumps(entry["order"]))
        assert order_from_woocommerce(stored, WooOptions("s")) == order_from_woocommerce(
            entry["order"], WooOptions("s")
        )
        assert json.dumps(RAW, default=str)
