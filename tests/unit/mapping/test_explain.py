"""Every field that is mapped or sent is explained by the mapping itself, for all recorded orders of both stores."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import Held
from core.jsontext import loads
from mapping import explain
from mapping.canonical import SalesOrder
from mapping.explain import Built, Source, Trace, rule_of, trace
from mapping.fields import CustomFields, FieldRule
from mapping.orderform import FormOptions, read_from_orderform
from mapping.vtiger import Item, OrderFields, Place, order_to_vtiger
from mapping.woocommerce import WooOptions, order_from_woocommerce, read_from_woocommerce

FIXTURES = Path(__file__).parents[2] / "fixtures"
CORPUS = [entry["order"] for entry in loads((FIXTURES / "woocommerce" / "orders-corpus.json").read_bytes())]
FORM = loads((FIXTURES / "orderform" / "order__typical.json").read_bytes())
FIXED = {"sent.hdnTaxType", "sent.invoicestatus", "sent.conversion_rate"}
"""What vtiger wants whatever the order is."""
BY_CONFIGURATION = {"sent.assigned_user_id", "sent.account_id", "sent.contact_id", "sent.sostatus", "sent.currency_id"}
BY_CONFIGURATION |= {"sent.carrier"}
FEES = ("sent.LineItems[*].quantity", "sent.LineItems[*].productid", "sent.productid")
"""A fee stands once, on the product that carries fees."""


def built(order: SalesOrder) -> Built:
    """The canonical order and what vtiger is sent of it, with products that are all known."""
    slots = frozenset({"tax1"})
    items = {line.sku: Item(f"product {line.sku}", slots) for line in order.lines if line.sku}
    place = Place(
        external_id=str(order.key), account="11x1", contact="12x1", owner="19x1", currency="21x1", status="Created",
        subject=f"Order {order.number}", items=items, unknown=Item("unknown", slots), fee=Item("fee", slots),
        fields=OrderFields(),
    )  # fmt: skip
    mapped = {**order.model_dump(), "key": str(order.key), "custom": dict(order.custom)}
    values = {f"mapped.{path}": value for path, value in explain.leaves(mapped)}
    return Built(values | {f"sent.{path}": value for path, value in explain.leaves(order_to_vtiger(order, place))})


def woo(raw: Mapping[str, Any], **options: Any) -> Trace:
    own = WooOptions("shop", **options)
    return trace({"raw": explain.trimmed(raw)}, lambda given: built(read_from_woocommerce(given["raw"], own)))


def form(raw: Mapping[str, Any], **options: Any) -> Trace:
    own = FormOptions("form", **options)
    return trace({"raw": explain.trimmed(raw)}, lambda given: built(read_from_orderform(given["raw"], own)))


def paths(found: Trace, name: str) -> list[str]:
    return [source.path.removeprefix("raw.") for source in found.by_name[name].sources]


def unexplained(found: Trace) -> set[str]:
    """Fields that are sent and follow nothing: neither a place of the record nor an empty one."""
    sent = {one.name for one in found.fields if one.name.startswith("sent.") and not one.sources}
    return {name for name in sent - FIXED - BY_CONFIGURATION if explain.pattern(name) not in FEES}


@pytest.mark.parametrize("raw", CORPUS, ids=lambda raw: str(raw["id"]))
def test_every_field_sent_of_every_recorded_order_is_explained(raw: dict[str, Any]) -> None:
    found = woo(raw)
    assert unexplained(found) == set()
    assert paths(found, "sent.cf_external_id") == ["id"]
    # What explains a field really is in the record.
    places = dict(explain.leaves(explain.trimmed(raw)))
    for one in found.fields:
        assert {source.path.removeprefix("raw.") for source in one.sources} <= places.keys(), one.name
    # Nothing that costs money is left out.
    unused = {explain.pattern(source.path.removeprefix("raw.")) for source in found.unused}
    assert not unused & {"total", "line_items[*].total", "fee_lines[*].total", "shipping_lines[*].total"}


def test_every_field_of_the_order_form_is_explained() -> None:
    found = form(FORM)
    assert unexplained(found) == set()
    assert paths(found, "mapped.customer.person.email") == ["order.customer.email"]
    assert found.by_name["mapped.status"].rule in {"word", "same"}
    assert paths(found, "mapped.total") == ["order.totals.total"]


def test_a_field_without_explanation_would_be_seen() -> None:
    """The guard of the two above: a mapping that makes something out of nothing is caught."""

    def careless(given: Mapping[str, Any]) -> Built:
        made = built(read_from_woocommerce(given["raw"], WooOptions("shop")))
        return Built({**made.values, "sent.cf_made_up": "42"})

    assert unexplained(trace({"raw": explain.trimmed(CORPUS[0])}, careless)) == {"sent.cf_made_up"}


@pytest.mark.parametrize(
    ("name", "place", "rule"),
    [
        ("mapped.number", "number", "same"),
        ("mapped.placed_at", "date_created_gmt", "moment"),
        ("mapped.status", "status", "word"),
        ("mapped.billing.city", "billing.city", "same"),
        ("sent.bill_city", "billing.city", "same"),
        ("sent.ship_city", "billing.city", "same"),  # it has no delivery address of its own
        ("sent.subject", "number", "text"),
        ("sent.LineItems[0].quantity", "line_items[0].quantity", "same"),
        ("sent.LineItems[0].productid", "line_items[0].sku", "text"),
        ("sent.vtiger_purchaseorder", "meta_data[1].value", "same"),
        ("mapped.lines[0].net", "line_items[0].total", "same"),
    ],
)
def test_where_a_field_came_from(name: str, place: str, rule: str) -> None:
    found = woo(CORPUS[0])
    assert paths(found, name) == [place]
    assert found.by_name[name].rule == rule


def test_a_delivery_address_of_its_own_is_the_source() -> None:
    raw = {**CORPUS[0], "shipping": {**CORPUS[0]["shipping"], "address_1": "Quay 1", "city": "Hamburg"}}
    assert paths(woo(raw), "sent.ship_city") == ["shipping.city"]
    assert paths(woo(raw), "sent.bill_city") == ["billing.city"]


def test_defaults_name_the_empty_place_that_would_fill_them() -> None:
    found = woo({**CORPUS[0], "customer_note": ""})
    note = found.by_name["mapped.note"]
    assert (note.rule, [source.path for source in note.sources]) == ("default", ["raw.customer_note"])
    street = woo({**CORPUS[0], "billing": {**CORPUS[0]["billing"], "address_1": "", "address_2": ""}})
    assert street.by_name["sent.bill_street"].value == "-"
    assert street.by_name["sent.bill_street"].rule == "default"
    assert "billing.address_1" in paths(street, "sent.bill_street")


def test_a_word_that_no_table_knows_is_marked() -> None:
    status = woo({**CORPUS[0], "status": "being-packed"}).by_name["mapped.status"]
    assert (status.rule, status.value) == ("unknown", "unknown")
    assert [source.value for source in status.sources] == ["being-packed"]


def test_custom_fields_are_followed_through_their_expression() -> None:
    raw = {**CORPUS[0], "meta_data": [*CORPUS[0]["meta_data"], {"id": 9, "key": "cost_centre", "value": " k-7 "}]}
    rules = {
        "cf_901": FieldRule(path="meta_data[?key=='cost_centre'].value | [0]", via=("strip", "upper")),
        "cf_902": FieldRule(path="meta_data[?key=='nothing'].value | [0]", default="NONE"),
        "cf_903": FieldRule(path="billing.phone", via=("digits",)),
        "cf_904": FieldRule(path="date_created_gmt", via=("date",)),
    }
    custom = CustomFields(rules, region="DE")
    found = woo(raw, fields=custom)
    assert paths(found, "sent.cf_901") == ["meta_data[2].value"]
    assert (found.by_name["sent.cf_901"].value, found.by_name["sent.cf_901"].rule) == ("K-7", "tidied")
    assert paths(found, "sent.cf_903") == ["billing.phone"]
    assert paths(found, "sent.cf_904") == ["date_created_gmt"]
    assert {one.target: one.rule for one in custom.explained(raw)} == {
        "cf_901": "strip > upper", "cf_902": "default", "cf_903": "digits", "cf_904": "date",
    }  # fmt: skip


def test_a_required_field_that_is_empty_is_held_as_ever() -> None:
    rules = CustomFields({"cf_9": FieldRule(path="nowhere", required=True)})
    with pytest.raises(Held, match="cf_9"):
        woo(CORPUS[0], fields=rules)


def test_what_nobody_uses_is_told() -> None:
    unused = {source.path for source in woo(CORPUS[0]).unused}
    assert {"raw.order_key", "raw.payment_method_title"} <= unused
    assert not unused & {"raw.total", "raw.number", "raw.billing.city"}


def test_a_mapping_that_hides_what_it_reads_is_explained_all_the_same() -> None:
    """The dicts that see what is asked for can be gone round (pydantic does); then every place is tried."""

    def sly(given: Mapping[str, Any]) -> Built:
        copied = {name: dict.get(given["raw"], name) for name in ("a", "b")}
        return Built({"out": copied["a"]})

    found = trace({"raw": {"a": "1", "b": "2"}}, sly)
    assert paths(found, "out") == ["a"]
    assert [source.path for source in found.unused] == ["raw.b"]


def test_a_value_of_which_every_other_is_refused_is_needed() -> None:
    def strict(given: Mapping[str, Any]) -> Built:
        if given["raw"]["version"] != "v3":
            raise Held("no. What to do: nothing.")
        return Built({"out": given["raw"]["x"]})

    assert trace({"raw": {"version": "v3", "x": "1"}}, strict).needed == ["raw.version"]


def test_the_second_half_names_its_field() -> None:
    """A currency that is not configured ends what is sent: it is the currency field that follows it."""

    def second(given: Mapping[str, Any]) -> Built:
        code = given["raw"]["currency"]
        if code != "EUR":
            return Built({"mapped.currency": code}, fault="currency_id")
        return Built({"mapped.currency": code, "sent.currency_id": "21x1", "sent.other": "x"})

    found = trace({"raw": {"currency": "EUR"}}, second)
    assert paths(found, "sent.currency_id") == ["currency"]
    assert found.by_name["sent.other"].sources == ()


@pytest.mark.parametrize(
    ("value", "sources", "rule"),
    [
        ("a", ["a"], "same"),
        ("A b", [" a  b "], "tidied"),
        (Decimal("19.000"), ["19"], "amount"),
        ("K-7", ["other"], "word"),
        (Decimal("8.83"), ["6.48", "2.35"], "sum"),
        (Decimal("0.35"), ["7.35", "7.00"], "computed"),
        ("Order 7", ["7"], "text"),
        ("unknown", ["packing"], "unknown"),
        (True, [0], "word"),
        ("2026-01-01T00:00:00+00:00", ["2026-01-01T00:00:00"], "moment"),
    ],
)
def test_rules_are_found_by_comparing(value: object, sources: list[object], rule: str) -> None:
    assert rule_of(value, sources) == rule


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.00000", "1", True),
        ("a &amp; b", "a & b", True),
        ("a\r\nb", "a\nb", True),
        ("", "0", True),
        ("1", "2", False),
    ],
)
def test_alike_for_a_reader(one: str, other: str, same: bool) -> None:
    assert explain.alike(one, other) is same


def test_rows_of_a_list_are_gathered_where_there_are_many() -> None:
    many = [Source(f"raw.lines[{n}].total", n) for n in range(9)]
    assert [(path, len(found)) for path, found in explain.gathered(many)] == [("raw.lines[*].total", 9)]
    assert [path for path, _ in explain.gathered(many[:2])] == ["raw.lines[0].total", "raw.lines[1].total"]


def test_reading_is_the_mapping_but_for_the_sums() -> None:
    for raw in CORPUS:
        balanced = order_from_woocommerce(raw, WooOptions("shop"))
        read = read_from_woocommerce(raw, WooOptions("shop"))
        assert read == balanced.model_copy(update={"rounding": Decimal(0), "rounding_reason": ""})
