"""How many goods are to be off the stock, and whether a movement arrived: pure decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.roles import ProductStock
from core.settings import StockSettings
from ledger.goods import Taken
from ledger.orderstates import OrderState
from mapping.canonical import OrderStatus
from mapping.woocommerce import WooOptions, order_from_woocommerce
from pipelines.writeoff import Wanted, arrived_by, has_left, less_invoiced
from tests.orders import order

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
MOVEMENT = Taken(
    "flow", "shop/order/1", "14x1", "crm", "A", Decimal(0), "intended", Decimal(2), Decimal(10), Decimal(8), AT
)


ORDER = order_from_woocommerce(order(1), WooOptions("shop"))
STATE = OrderState(
    flow="flow", order_key="shop/order/1", target="crm", remote_id="6x1", number="1", account="", owner="", status="",
    payment="", currency="EUR", total=Decimal(1), language="", method="", rush=False, open=True, placed_at=AT, paid_at=None,
    shipped_at=None, delivered_at=None, promised_on=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "later", "by_us", "arrived"),
    [
        ("8.000", 5, True, True),
        ("8", 0, True, True),  # within the same second
        ("8", 5, False, True),
        ("10", 0, True, False),
        ("10", 5, True, None),  # we did change it: it arrived, and an invoice that was cancelled gave as many back
        ("10.000", 5, False, False),  # saved by a person with the old number: our change is not in it
        ("5", 5, True, True),  # an invoice took three more, which leaves the product's time as we made it
        ("5", 5, False, None),
        ("5", 5, None, None),
        ("5", 0, True, None),
    ],
)
def test_whether_a_movement_arrived(quantity: str, later: int, *, by_us: bool | None, arrived: bool | None) -> None:
    shown = ProductStock("14x1", "A", "", Decimal(quantity), AT + timedelta(seconds=later), by_us)
    assert arrived_by(MOVEMENT, shown) is arrived


@pytest.mark.parametrize(
    ("wanted", "invoiced", "left"),
    [("5", None, "5"), ("5", "2", "3"), ("5", "5", "0"), ("5", "9", "0"), ("5", "-2", "5"), ("0.5", "0.2", "0.3")],
)
def test_what_invoices_took_is_not_taken_again(wanted: str, invoiced: str | None, left: str) -> None:
    goods = {"14x1": Wanted("A", Decimal(wanted))}
    took = {"14x2": Decimal(3)} | ({"14x1": Decimal(invoiced)} if invoiced else {})
    assert less_invoiced(goods, took) == {"14x1": Wanted("A", Decimal(left))}


@pytest.mark.parametrize(
    ("status", "delivered", "word", "left"),
    [
        (OrderStatus.CONFIRMED, None, "Approved", False),
        (OrderStatus.CONFIRMED, None, "Delivered", True),
        (OrderStatus.COMPLETED, AT, "Approved", True),  # the store says so, the CRM's word is somebody's own
        (OrderStatus.CANCELLED, AT, "Delivered", False),
        (OrderStatus.REFUNDED, AT, "Delivered", False),
        (OrderStatus.CONFIRMED, None, "", False),
    ],
)
def test_whether_goods_have_left(status: OrderStatus, delivered: datetime | None, word: str, *, left: bool) -> None:
    policy = StockSettings(name="lager", source="crm", write_off_on=("Delivered", "Sent"))
    told = ORDER.model_copy(update={"status": status, "delivered_at": delivered})
    assert has_left(policy, told, replace(STATE, crm_status=word)) is left
