"""Every field of an order in vtiger belongs to one part of the order, or is always ours."""

from __future__ import annotations

import pytest

from connectors.roles import OWNED, Ownership
from connectors.vtiger.ownership import ALWAYS, filled, kept, part_of
from mapping.vtiger import Item, OrderFields, Place, order_to_vtiger
from mapping.woocommerce import WooOptions, order_from_woocommerce
from tests.orders import order

FIELDS = OrderFields(payment="cf_payment")
ITEM = Item("14x1", frozenset({"tax1"}))
PLACE = Place(
    external_id="x-1", account="11x1", contact="12x1", owner="19x1", currency="21x1", subject="Order 1", status="Created",
    unknown=ITEM, fields=FIELDS,
)  # fmt: skip
ORDER = order_from_woocommerce(order(1), WooOptions("shop")).model_copy(
    update={"custom": (("cf_901", "a"), ("cf_902", "b"), ("carrier", "never"))}
)
ELEMENT = order_to_vtiger(ORDER, PLACE)


def test_each_field_has_its_part() -> None:
    parts = {field: part_of(field, ORDER, FIELDS) for field in ELEMENT}
    assert set(parts.values()) - {""} == OWNED
    assert {field for field, part in parts.items() if not part} == ALWAYS | {"cf_external_id"}
    assert {field for field, part in parts.items() if part == "custom"} == {"cf_901", "cf_902"}
    assert parts["carrier"] == "delivery_method"  # a configured field never replaces ours
    assert parts["shipping_&_handling"] == parts["shipping_&_handling_shtax1"] == "lines"
    assert parts["ship_street"] == "shipping"


@pytest.mark.parametrize("part", sorted(OWNED))
def test_what_is_kept_is_what_belongs_to_it(part: str) -> None:
    out = kept(ELEMENT, ORDER, FIELDS, Ownership(keep=frozenset({part})))
    assert out == {field for field in ELEMENT if part_of(field, ORDER, FIELDS) == part} != set()


def test_everything_kept_leaves_what_is_always_ours() -> None:
    assert set(ELEMENT) - kept(ELEMENT, ORDER, FIELDS, Ownership(keep=OWNED)) == ALWAYS | {"cf_external_id"}


@pytest.mark.parametrize(
    ("part", "there", "taken"),
    [
        ("status", {"sostatus": "Approved"}, {"sostatus"}),
        ("status", {"sostatus": ""}, set()),
        ("status", {}, set()),
        ("notes", {"description": " \n"}, set()),
        ("billing", {"bill_street": "-"}, set()),
        (
            "billing",
            {"bill_street": "A 1"},
            {f"bill_{part}" for part in ("street", "city", "state", "code", "country")},
        ),
        ("custom", {"cf_901": "kept"}, {"cf_901"}),
        ("lines", {"LineItems": [], "currency_id": "21x1", "hdnTaxType": "group"}, set()),
        ("lines", {"LineItems": [{}]}, {f for f in ELEMENT if part_of(f, ORDER, FIELDS) == "lines"}),
    ],
)
def test_what_is_there_is_not_filled(part: str, there: dict[str, object], taken: set[str]) -> None:
    assert filled(ELEMENT, ORDER, FIELDS, Ownership(fill=frozenset({part})), there) == taken


def test_parts_that_an_order_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        Ownership(keep=frozenset({"colour"}))
