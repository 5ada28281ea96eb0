"""Who wins when an order is updated: the table of [flow.ownership], each word with each part of an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import pytest

from connectors.roles import OWNED, USUAL
from core.settings import FlowSettings, Owner, OwnershipRules
from pipelines.amending import ownership_of
from tests.integration.pipeline.conftest import Maker
from tests.orders import ADA, order
from tests.world import SkippingClock, World

LATER, LATEST = "2026-11-20T11:00:00", "2026-11-20T12:00:00"
HAMBURG = {**ADA, "address_1": "Hafen 1", "city": "Hamburg", "postcode": "20095"}
METHODS = {"default": "UPS", "table": {"flat_rate": "FedEx", "local_pickup": "USPS"}}
CRM = {"payment_field": "pending", "purchase_order_field": "vtiger_purchaseorder"}
SHOP = {"fields": {"terms_conditions": {"path": "meta_data[?key=='terms'].value | [0]"}}}


def people(world: World, number: int, **fields: Any) -> None:
    """Somebody in the CRM changes an order."""
    record = world.order(number)
    app = APPS[world.crm_url]
    with app.service.store.lock:
        app.service.records.revise(app.service.people.users["admin"], {"id": record["id"], **fields})


APPS: dict[str, Any] = {}
ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""A table of cases about the CRM: one engine of the ledger says as much as two."""


def made(make: Maker, **rules: str) -> World:
    flow: dict[str, Any] = {
        "ownership": rules,
        "delivery": METHODS,
        "payment": {"table": {"bacs": "Bank", "cod": "Cash"}},
    }
    world = make(clock=SkippingClock(), crm=CRM, shops={"shop": SHOP}, **flow)
    assert make.app is not None
    APPS[world.crm_url] = make.app
    return world


def shop_order(po: str, terms: str, rep: str, **over: Any) -> dict[str, Any]:
    return order(1, meta={"po_number": po, "terms": terms, "placed_by": rep}, **over)


def first() -> dict[str, Any]:
    return shop_order("PO-1", "14 days", "rep7", status="processing", customer_note="call first")


def second(**over: Any) -> dict[str, Any]:
    """The same order, everything about it changed in the store."""
    made = shop_order(
        "PO-2", "30 days", "rep9", modified=LATER, status="completed", billing=HAMBURG, customer_note="leave at the door",
        lines=[("OF-100", 7, "10.00")], payment_method="cod", **over,
    )  # fmt: skip
    made["shipping_lines"][0]["method_id"] = "local_pickup"
    return made


# part -> (a field of the CRM, what people wrote there, what the store's second version says)
PARTS: dict[str, tuple[str, str, str]] = {
    "status": ("sostatus", "Cancelled", "Delivered"),
    "owner": ("assigned_user_id", "19x7", "19x6"),
    "billing": ("bill_city", "Bremen", "Hamburg"),
    "shipping": ("ship_city", "Bremen", "Hamburg"),
    "delivery_method": ("carrier", "DHL", "USPS"),
    "payment_method": ("pending", "Cheque", "Cash"),
    "notes": ("description", "a long talk", "leave at the door"),
    "purchase_order": ("vtiger_purchaseorder", "PO-X", "PO-2"),
    "custom": ("terms_conditions", "60 days", "30 days"),
}


def test_the_words_are_the_same_everywhere() -> None:
    assert set(OwnershipRules.model_fields) == OWNED
    assert set(get_args(Owner)) == {"store", "crm", "empty", "ask"}
    assert ownership_of(FlowSettings(name="f", source="s", target="c")) == USUAL


@ONCE
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("owner", ["store", "crm", "empty"])
def test_a_persons_change(make: Maker, part: str, owner: str) -> None:
    """Overwritten where the store wins, left alone elsewhere; everything else follows the store."""
    world = made(make, **{part: owner})
    assert world.carry(first()).state == "settled"
    field, theirs, ours = PARTS[part]
    people(world, 1, **{field: theirs})
    assert world.carry(second()).state == "settled"
    now = world.order(1)
    assert (ours if owner == "store" else theirs) in now[field]
    for other, (other_field, _, other_ours) in PARTS.items():
        if other not in {part, "owner"}:
            assert other_ours in now[other_field], other
    assert Decimal(now["hdnGrandTotal"]).quantize(Decimal("0.01")) == Decimal(second()["total"])


@ONCE
@pytest.mark.parametrize("part", ["account", "contact"])
@pytest.mark.parametrize("owner", ["store", "crm", "empty"])
def test_an_order_that_people_gave_to_another_customer(make: Maker, part: str, owner: str) -> None:
    world = made(make, **{part: owner})
    world.carry(first())
    field = f"{part}_id"
    ours = world.order(1)[field]
    others = world.seed(accounts=[{"accountname": "Other"}], contacts=[{"lastname": "Other"}])
    theirs = others[f"{part}s"]["Other"]
    people(world, 1, **{field: theirs})
    assert world.carry(second()).state == "settled"
    assert world.order(1)[field] == (ours if owner == "store" else theirs) != ""
    if part == "contact":  # the account cannot be empty
        people(world, 1, contact_id="")
        assert world.carry({**first(), "date_modified_gmt": LATEST}).state == "settled"
        assert world.order(1)["contact_id"] == ("" if owner == "crm" else ours)


EMPTY = {part: fields for part, fields in PARTS.items() if part not in {"status", "owner"}}


@ONCE
@pytest.mark.parametrize("part", EMPTY)
@pytest.mark.parametrize("owner", ["store", "crm", "empty"])
def test_a_gap_is_filled_unless_it_is_the_crms(make: Maker, part: str, owner: str) -> None:
    world = made(make, **{part: owner})
    world.carry(first())
    field, _, ours = PARTS[part]
    kind = field.partition("_")[0]
    whole = (
        (field,) if part not in {"billing", "shipping"} else tuple(f"{kind}_{p}" for p in ("city", "code", "country"))
    )
    gap = dict.fromkeys(whole, "") | ({f"{kind}_street": "-"} if len(whole) > 1 else {})
    people(world, 1, **gap)
    assert world.carry(second()).state == "settled"
    now = world.order(1)[field]
    assert ours in now if owner != "crm" else now == ""


def test_an_address_is_filled_as_a_whole_or_not_at_all(make: Maker) -> None:
    """Somebody wrote another street and left the town open: the store's town does not belong to it."""
    world = made(make, billing="empty")
    world.carry(first())
    people(world, 1, bill_street="Elsewhere 3", bill_city="")
    world.carry(second())
    now = world.order(1)
    assert (now["bill_street"], now["bill_city"], now["ship_city"]) == ("Elsewhere 3", "", "Hamburg")


@pytest.mark.parametrize("owner", ["crm", "empty"])
def test_lines_of_the_crm_stay_with_their_total(make: Maker, owner: str) -> None:
    """A person sold one more: the header follows the store, lines, sums and shipping are the CRM's."""
    world = made(make, lines=owner)
    world.carry(first())
    before = world.order(1)
    items = [
        {"productid": line["productid"], "quantity": "3", "listprice": "11", "tax1": "19"}
        for line in before["LineItems"]
    ]
    people(world, 1, LineItems=items, hdnTaxType="individual")
    theirs = world.order(1)
    world.forget_calls()
    job = world.carry(second())
    assert (job.state, world.writes()) == ("settled", 1)
    now = world.order(1)
    for field in (
        "LineItems",
        "hdnGrandTotal",
        "hdnSubTotal",
        "hdnS_H_Amount",
        "hdnTaxType",
        "txtAdjustment",
        "currency_id",
    ):
        assert now[field] == theirs[field] != (before[field] if field in {"LineItems", "hdnGrandTotal"} else None), (
            field
        )
    assert (now["sostatus"], now["bill_city"]) == ("Delivered", "Hamburg")


def test_lines_of_the_store_are_written_again(make: Maker) -> None:
    world = made(make, lines="store")
    world.carry(first())
    people(world, 1, LineItems=[{"productid": world.order(1)["LineItems"][0]["productid"], "quantity": "9"}])
    world.carry(second())
    now = world.order(1)
    assert [line["quantity"] for line in now["LineItems"]] == ["7.000"]
    assert Decimal(now["hdnGrandTotal"]).quantize(Decimal("0.01")) == Decimal(second()["total"])


CHANGES: dict[str, dict[str, Any]] = {
    "status": {"status": "completed"},
    "owner": {"rep": "rep9"},
    "billing": {"billing": HAMBURG},
    "shipping": {"goes_to": HAMBURG},
    "delivery_method": {"method": "local_pickup"},
    "payment_method": {"payment_method": "cod"},
    "notes": {"customer_note": "leave at the door"},
    "purchase_order": {"po": "PO-2"},
    "custom": {"terms": "30 days"},
    "lines": {"lines": [("OF-100", 7, "10.00")]},
}


def version(
    po: str = "PO-1",
    terms: str = "14 days",
    rep: str = "rep7",
    method: str = "flat_rate",
    goes_to: Any = ADA,
    **over: Any,
) -> dict[str, Any]:
    made = shop_order(po, terms, rep, **over)
    made["shipping"] = {name: value for name, value in goes_to.items() if name != "email"}
    made["shipping_lines"][0]["method_id"] = method
    return made


@ONCE
@pytest.mark.parametrize("part", CHANGES)
@pytest.mark.parametrize("owner", ["store", "crm"])
def test_a_change_of_a_kept_part_alone_makes_no_update(make: Maker, part: str, owner: str) -> None:
    world = made(make, **{part: owner})
    world.carry(version())
    world.forget_calls()
    assert world.carry(version(**CHANGES[part], modified=LATER)).state == "settled"
    assert world.writes() == (1 if owner == "store" else 0)


def test_methods_without_a_field_of_their_own_do_not_come_in_by_the_notes(make: Maker) -> None:
    """Without a field they stand in the description: kept, they do not, and a change makes no update."""
    flow: dict[str, Any] = {"payment": {"table": {"bacs": "Bank", "cod": "Cash"}}}
    world = make(clock=SkippingClock(), crm={"payment_field": ""}, ownership={"payment_method": "crm"}, **flow)
    world.carry(order(1))
    world.forget_calls()
    world.carry(order(1, modified=LATER, payment_method="cod"))
    assert world.writes() == 0
    assert world.carry(order(1, modified=LATEST, payment_method="cod", status="completed")).state == "settled"
    assert "Cash" not in world.order(1)["description"]


def test_filling_costs_one_look_and_nothing_else_does(make: Maker) -> None:
    world = made(make, notes="empty")
    world.carry(first())
    world.forget_calls()
    world.deliver(second())
    assert world.drain(fill=False) == 1
    assert world.calls()["operations"] == {"retrieve": 1, "revise": 1}


def test_a_new_order_is_written_whole(make: Maker) -> None:
    everything = dict.fromkeys(OWNED, "crm")
    world = made(make, **everything)
    world.carry(first())
    now = world.order(1)
    assert (now["sostatus"], now["assigned_user_id"], len(now["LineItems"])) == ("Approved", "19x5", 2)
    world.forget_calls()
    assert world.carry(second()).state == "settled"
    assert (world.order(1), world.writes()) == (now, 0)
