"""How far an order has come: the store's side is kept when it changes, the CRM's word stays whoever writes the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ledger import Ledger
from ledger import ordertables as o
from ledger.orderstates import OrderState, StateLine
from tests.integration.ledger.kit import column, count, together

KEY = "shop/order/1001"
PLACED = datetime(2026, 11, 20, 9, 30, 0, 125, tzinfo=UTC)
LINES = (
    StateLine("OF-100", "Pen", Decimal("2.0000"), Decimal("10.10")),
    StateLine("", "Something without a number", Decimal("0.125"), Decimal("-1.005")),
)
STATE = OrderState(
    flow="orders",
    order_key=KEY,
    target="crm",
    remote_id="13x7",
    number="WEB-1001",
    account="11x3",
    owner="sales",
    status="confirmed",
    payment="unpaid",
    currency="EUR",
    total=Decimal("19.90"),
    language="it",
    method="flat_rate",
    rush=True,
    open=True,
    placed_at=PLACED,
    paid_at=None,
    shipped_at=None,
    delivered_at=None,
    promised_on=date(2026, 11, 24),
    crm_status="Created",
    lines=LINES,
)


def got(ledger: Ledger, flow: str = "orders") -> OrderState:
    found = ledger.orders.get(flow, KEY)
    assert found is not None
    return found


def plain(state: OrderState) -> OrderState:
    return replace(state, updated_at=None)


def test_it_comes_back_as_it_was_kept(ledger: Ledger) -> None:
    assert ledger.orders.get("orders", KEY) is None
    assert ledger.orders.keep(STATE)
    found = got(ledger)
    assert plain(found) == STATE
    assert found.updated_at is not None
    assert [str(line.quantity) for line in found.lines] == ["2.0000", "0.125"]


def test_the_same_again_writes_nothing(ledger: Ledger) -> None:
    ledger.orders.keep(STATE)
    before = got(ledger).updated_at
    assert not ledger.orders.keep(replace(STATE, crm_status="anything", updated_at=PLACED))
    assert (got(ledger).updated_at, got(ledger).crm_status) == (before, "Created")


def test_what_was_just_read_is_not_read_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.orders.keep(STATE)
    before = got(ledger)
    asked: list[object] = []
    monkeypatch.setattr(ledger.db, "rows", lambda *args: asked.append(args))
    assert not ledger.orders.keep(STATE, over=before)
    assert ledger.orders.keep(replace(STATE, rush=False), over=before)
    assert not asked
    monkeypatch.undo()
    assert plain(got(ledger)) == replace(STATE, rush=False)


MOMENT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "new",
    [
        replace(STATE, total=Decimal("19.9")),  # another number of decimals is another text
        replace(STATE, remote_id="13x8"),
        replace(STATE, paid_at=MOMENT, payment="paid"),
        replace(STATE, shipped_at=MOMENT, delivered_at=MOMENT, open=False),
        replace(STATE, promised_on=None, rush=False),
        replace(STATE, lines=LINES[:1]),
        replace(STATE, lines=(*LINES, LINES[0])),
        replace(STATE, lines=()),
        replace(STATE, lines=LINES[::-1]),
        replace(STATE, lines=(replace(LINES[0], net=Decimal("10.11")), LINES[1])),
    ],
    ids=["total", "remote", "paid", "delivered", "promise", "fewer", "more", "none", "turned", "price"],
)
def test_every_change_of_the_stores_side_is_kept(ledger: Ledger, new: OrderState) -> None:
    ledger.orders.keep(STATE)
    assert ledger.orders.keep(new)
    assert plain(got(ledger)) == new
    assert count(ledger, o.order_line) == len(new.lines)
    assert not ledger.orders.keep(new)


def test_what_the_crm_was_seen_to_say_stays(ledger: Ledger) -> None:
    ledger.orders.keep(STATE)
    assert ledger.orders.crm_says("orders", KEY, "Delivered", seen_at=MOMENT) == "Created"
    assert ledger.orders.keep(replace(STATE, crm_status="Created", total=Decimal("9.90")))
    assert (got(ledger).crm_status, got(ledger).crm_seen_at) == ("Delivered", MOMENT)
    assert ledger.orders.crm_says("orders", KEY, "Cancelled") == "Delivered"
    assert (got(ledger).crm_status, got(ledger).crm_seen_at) == ("Cancelled", None)


def test_the_crm_says_nothing_of_what_is_not_kept(ledger: Ledger) -> None:
    assert ledger.orders.crm_says("orders", KEY, "Delivered", seen_at=MOMENT) is None
    assert count(ledger, o.order_state) == 0


def test_each_flow_has_its_own_and_the_remote_record_leads_to_all(ledger: Ledger) -> None:
    ledger.orders.keep(STATE)
    ledger.orders.keep(replace(STATE, flow="other", lines=LINES[:1]))
    ledger.orders.keep(replace(STATE, order_key="shop/order/1002", remote_id="13x9"))
    ledger.orders.keep(replace(STATE, flow="third", target="crm2"))
    found = ledger.orders.of_remote("crm", "13x7")
    assert sorted((one.flow, one.order_key, one.lines) for one in found) == [("orders", KEY, ()), ("other", KEY, ())]
    assert ledger.orders.of_remote("crm", "13x1") == []
    ledger.orders.crm_says("other", KEY, "Delivered")
    assert (got(ledger).crm_status, got(ledger, "other").crm_status) == ("Created", "Delivered")
    assert (len(got(ledger).lines), len(got(ledger, "other").lines)) == (2, 1)


def test_two_that_keep_it_at_once_leave_one_whole_state(ledger: Ledger) -> None:
    states = [replace(STATE, number=str(n), lines=LINES[:1] * n) for n in range(1, 7)]
    together([lambda state=state: ledger.orders.keep(state) for state in states])  # type: ignore[misc]
    found = got(ledger)
    assert len(found.lines) == int(found.number)
    assert column(ledger, o.order_state.c.number) == found.number
