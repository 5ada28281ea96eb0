"""What shops and their plugins keep of an order's way to the customer."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from core.errors import Held
from mapping.canonical import SalesOrder, Tracking
from mapping.woocommerce import Metadata, WooOptions, order_from_woocommerce
from tests import orders

MODIFIED = datetime(2026, 11, 20, 10, tzinfo=UTC)
DAY = date(2026, 11, 24)


def mapped(meta: dict[str, Any] | None = None, sources: dict[str, Any] | None = None, **over: Any) -> SalesOrder:
    options = WooOptions(
        "shop",
        metadata=Metadata.model_validate(sources or {}),
        shipped=("completed", "shipped"),
        delivered=("delivered",),
    )
    return order_from_woocommerce(orders.order(1, meta=meta, **over), options)


def test_an_order_without_any_of_it() -> None:
    order = mapped()
    assert (order.shipped_at, order.delivered_at, order.tracking, order.promised_on) == (None, None, (), None)
    assert (order.rush, order.language) == (False, "")


@pytest.mark.parametrize(
    ("key", "value", "day"),
    [
        ("promised_on", "2026-11-24", DAY),
        ("_delivery_date", " 2026-11-24 ", DAY),
        ("jckwds_date_ymd", "20261124", DAY),
        ("lpac_dps_delivery_date", "2026-11-24", DAY),
        ("_orddd_timestamp", "1795478400", DAY),
        ("_orddd_timestamp", 1795478400, DAY),
        ("delivery_date", "2026-11-24T00:00:00+05:00", DAY),  # the day that is written, not the one in UTC
        ("delivery_date", "2026-11-24 09:00", DAY),
        ("delivery_date", "24 November, 2026", None),  # any plugin may use such a key for anything
        ("delivery_date", "99999999", None),
        ("delivery_date", {"a": 1}, None),
        ("delivery_date", True, None),
    ],
    ids=repr,
)
def test_the_promised_day(key: str, value: Any, day: date | None) -> None:
    assert mapped({key: value}).promised_on == day


def test_what_cannot_be_read_leads_on_to_the_next_key() -> None:
    assert mapped({"promised_on": "soon", "_orddd_timestamp": "1795478400"}).promised_on == DAY


@pytest.mark.parametrize("name", ["promised", "shipped", "delivered"])
def test_a_key_that_the_configuration_names_must_be_readable(name: str) -> None:
    with pytest.raises(Held, match=r'field due = "soon" is not a date.*What to do: '):
        mapped({"due": "soon"}, {name: ["due"]})


def test_a_path_into_the_order() -> None:
    assert mapped(None, {"promised": ["path:extra.day"]}, extra={"day": "2026-11-24"}).promised_on == DAY


PARCEL = {
    "tracking_provider": "dhl",
    "custom_tracking_provider": "",
    "custom_tracking_link": "",
    "tracking_number": "JD014",
    "date_shipped": "1795132800",
    "tracking_id": "a1",
}
OWN = {
    "tracking_provider": "",
    "custom_tracking_provider": "Bike  Co",
    "custom_tracking_link": "https://bike.example/7",
    "tracking_number": "7",
    "date_shipped": 1795219200,
}
LEFT = datetime(2026, 11, 20, tzinfo=UTC)
LAST = datetime(2026, 11, 21, tzinfo=UTC)
ITEMS = "_wc_shipment_tracking_items"


@pytest.mark.parametrize(
    ("meta", "status", "tracking", "shipped_at"),
    [
        ({ITEMS: [PARCEL]}, "processing", ("dhl JD014 ",), LEFT),
        ({ITEMS: [PARCEL, OWN]}, "processing", ("dhl JD014 ", "Bike Co 7 https://bike.example/7"), LAST),
        ({ITEMS: {"1": OWN}}, "processing", ("Bike Co 7 https://bike.example/7",), LAST),
        ({ITEMS: [PARCEL]}, "partial-shipped", ("dhl JD014 ",), None),
        ({ITEMS: [PARCEL]}, "partially-shipped", ("dhl JD014 ",), None),
        ({ITEMS: [{**PARCEL, "date_shipped": ""}]}, "processing", ("dhl JD014 ",), MODIFIED),
        ({ITEMS: []}, "processing", (), None),
        ({ITEMS: ["x", {"tracking_number": ""}, None]}, "processing", (), None),
        ({ITEMS: [{**OWN, "custom_tracking_link": "javascript:alert(1)"}]}, "processing", ("Bike Co 7 ",), LAST),
        ({"_tracking_number": "Z9", "_tracking_provider": "GLS"}, "processing", ("GLS Z9 ",), MODIFIED),
        ({"shipped_at": "2026-11-21"}, "processing", (), LAST),
    ],
)
def test_parcels(meta: dict[str, Any], status: str, tracking: tuple[str, ...], shipped_at: datetime | None) -> None:
    order = mapped(meta, status=status)
    assert tuple(f"{one.carrier} {one.number} {one.url}" for one in order.tracking) == tracking
    assert all(isinstance(one, Tracking) for one in order.tracking)
    assert order.shipped_at == shipped_at


@pytest.mark.parametrize(
    ("status", "over", "shipped_at", "delivered_at"),
    [
        ("completed", {"date_completed_gmt": "2026-11-20T09:30:00"}, datetime(2026, 11, 20, 9, 30, tzinfo=UTC), None),
        ("wc-shipped", {}, MODIFIED, None),
        ("delivered", {}, MODIFIED, MODIFIED),
        ("processing", {}, None, None),
    ],
)
def test_the_status_tells_it_too(
    status: str, over: dict[str, Any], shipped_at: datetime | None, delivered_at: datetime | None
) -> None:
    order = mapped(status=status, **over)
    assert (order.shipped_at, order.delivered_at) == (shipped_at, delivered_at)


def test_what_was_delivered_has_left() -> None:
    order = mapped({"delivered_at": "2026-11-21T12:00:00Z"})
    assert order.shipped_at == order.delivered_at == datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yes", "1", 1, "true", " Express "], ids=repr)
def test_somebody_is_in_a_hurry(value: Any) -> None:
    assert mapped({"_rush": value}).rush


@pytest.mark.parametrize("value", ["no", "0", 0, "false", "", [], {"a": 1}, 2], ids=repr)
def test_nobody_is_in_a_hurry(value: Any) -> None:
    assert not mapped({"_rush": value}).rush


@pytest.mark.parametrize(
    ("value", "language"), [("it", "it"), ("it_IT", "it"), ("de-AT", "de"), ("DE", "de"), ("42", ""), ([1], "")]
)
def test_the_language(value: Any, language: str) -> None:
    assert mapped({"wpml_language": value}).language == language


def test_what_meta_data_told_before_it_tells_still() -> None:
    order = mapped({"po_number": "PO-1", "placed_by": "rep9"})
    assert (order.purchase_order, order.placed_by) == ("PO-1", "rep9")
