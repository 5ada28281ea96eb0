"""Goods taken: what is intended stays visible until it is known, and only one end counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from ledger import Ledger
from ledger.goods import Taken

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def test_a_movement_from_intent_to_its_end(ledger: Ledger) -> None:
    goods = ledger.goods
    row = Taken("flow", "shop/order/1", "14x1", "crm", "A")
    move = Taken(
        **{name: getattr(row, name) for name in ("flow", "order_key", "product_id", "target", "sku")},
        wanted=Decimal("2.5"), before=Decimal("10.000"), after=Decimal("7.500"), modified=AT,
    )  # fmt: skip
    intended = goods.intend(move, hold=120)
    (kept,) = goods.unsettled("crm", "14x1")
    assert (kept.state, kept.taken, kept.wanted, kept.before, kept.after, kept.modified) == (
        "intended", Decimal(0), Decimal("2.5"), Decimal(10), Decimal("7.5"), AT,
    )  # fmt: skip
    assert 100 < kept.hold_left <= 120
    assert goods.unsettled("crm", "14x2") == goods.unsettled("crm2", "14x1") == []
    goods.done(intended)
    (done,) = goods.of_order("flow", "shop/order/1")
    assert (done.state, done.taken, done.hold_left, goods.unsettled("crm", "14x1")) == ("done", Decimal("2.5"), 0, [])
    goods.withdraw(intended)  # somebody else who thought otherwise comes too late
    assert goods.of_order("flow", "shop/order/1") == [done]


def test_a_movement_back_that_did_not_arrive_and_one_in_doubt(ledger: Ledger) -> None:
    goods = ledger.goods
    out = Taken("flow", "k", "14x1", "crm", "A", wanted=Decimal(2), before=Decimal(5), after=Decimal(3))
    goods.done(goods.intend(out, hold=0))
    (off,) = goods.of_order("flow", "k")
    back = Taken("flow", "k", "14x1", "crm", "A", off.taken, before=Decimal(3), after=Decimal(5))
    goods.withdraw(goods.intend(back, hold=0))
    (same,) = goods.of_order("flow", "k")
    assert (same.state, same.taken, same.wanted, same.before) == ("done", Decimal(2), Decimal(2), None)
    again = goods.intend(back, hold=0)
    goods.doubt(again, Decimal(77))
    (doubtful,) = goods.of_order("flow", "k")
    assert (doubtful.state, doubtful.seen, doubtful.taken) == ("doubtful", Decimal(77), Decimal(2))
    assert goods.unsettled("crm", "14x1") == []
    goods.done(doubtful)
    assert goods.of_order("flow", "k")[0].taken == 0
