"""Levels in bulk, one open alert an item, and each buyer told once, whoever meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.engine import Connection

from ledger import Ledger
from ledger.invoices import InvoiceState
from ledger.orderstates import OrderState, StateLine
from ledger.stock import Level
from ledger.stockalerts import Low, StockAlert
from ledger.thresholds import Threshold
from tests.integration.ledger import kit

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def level(sku: str, on_hand: str = "5", warehouse: str = "main", name: str = "") -> Level:
    return Level(warehouse, sku, name or f"Article {sku}", "", Decimal(on_hand), None, None, None, AT)


def low(sku: str, quantity: str = "1", owner: str = "anna", warehouse: str = "main") -> Low:
    return Low(warehouse, sku, f"Article {sku}", owner, Decimal(5), Decimal(20), Decimal(quantity))


def nothing(_connection: Connection) -> None:
    """What is sent by nobody."""


def opened(ledger: Ledger, *lows: Low) -> list[StockAlert]:
    ledger.stock.alerts.open("erp", lows)
    return list(ledger.stock.alerts.open_of("erp").values())


def test_levels(ledger: Ledger) -> None:
    """Only what is new or other is written; the rest keeps the time since which it is so."""
    stock = ledger.stock
    assert stock.keep("erp", [level("A"), level("B", "7.50"), level("B", "1", "north"), level("C%_")]) == 4
    again = [replace(level("A", "5.00"), read_at=AT + timedelta(hours=1)), level("B", "8", name="Бра")]
    assert stock.keep("erp", again) == 1
    assert [(one.sku, one.warehouse, one.on_hand) for one in stock.search("erp")] == [
        ("A", "main", Decimal(5)), ("B", "main", Decimal(8)), ("B", "north", Decimal(1)), ("C%_", "main", Decimal(5)),
    ]  # fmt: skip
    assert stock.search("erp", limit=1)[0].read_at == AT
    assert [one.sku for one in stock.search("erp", after=("B", "main"))] == ["B", "C%_"]
    assert [one.sku for one in stock.search("erp", text="%_")] == ["C%_"]
    assert [one.sku for one in stock.search("erp", warehouse="north")] == ["B"]
    assert [one.name for one in stock.of("erp", ["B", "nothing"])] == ["Бра", "Article B"]
    assert stock.counts("erp") == {"main": 3, "north": 1}
    assert [len(part) for part in stock.each("erp", size=3)] == [3, 1]
    assert stock.remove("erp", [("main", "B"), ("main", "nothing")]) == 1
    assert stock.search("other") == []


def test_a_level_is_kept_as_it_was_told(ledger: Ledger) -> None:
    """Whatever its texts hold; told again, it is the same."""
    stamp = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    quantities = (Decimal("-0.000000000001"), Decimal("12345678901234.50"), Decimal(0))
    odd = Level("Halle \\x 2", "A\"{}'%s/Ω", "1\n2\t\\u0041 😀 :rows", "null", *quantities, stamp, AT)
    told = [odd, level("B", "1E+3")]
    assert ledger.stock.keep("erp", told) == 2
    assert ledger.stock.search("erp") == sorted(told, key=lambda one: one.sku)
    assert ledger.stock.keep("erp", told) == 0, "nothing became other"
    bare = replace(odd, available=None, minimum=None, stamp=None)
    assert ledger.stock.keep("erp", [bare]) == 1
    assert ledger.stock.of("erp", [odd.sku]) == [bare], "what is told no more is not kept"


def test_what_is_noted_of_a_source(ledger: Ledger) -> None:
    ledger.stock.note("erp", tried_at=AT)
    ledger.stock.note("erp", polled_at=AT, bad=2, bad_why="It is no number.")
    ledger.stock.thresholds.put("erp", [Threshold("product", "A", minimum=Decimal(5))], by="anna")
    found = ledger.stock.source("erp")
    assert (found.tried_at, found.polled_at, found.full_at, found.bad, found.revision) == (AT, AT, None, 2, 1)


def test_thresholds(ledger: Ledger) -> None:
    service = ledger.stock.thresholds
    ours = [
        Threshold("product", "A", "north", "anna", Decimal("2.5"), Decimal(10)),
        Threshold("group", "lamps", owner="bert"),
        Threshold("warehouse", "", "north", minimum=Decimal(1)),
    ]
    assert service.put("erp", ours, by="anna") == 3
    assert service.put("erp", ours, by="bert") == 0, "nothing became other"
    assert [(one.scope, one.subject, one.updated_by) for one in service.all("erp")] == [
        ("warehouse", "", "anna"), ("product", "A", "anna"), ("group", "lamps", "anna"),
    ]  # fmt: skip
    assert service.put("erp", [replace(ours[1], owner="carl")], by="bert") == 1
    found = service.get("erp", "group", "lamps")
    assert found is not None
    assert (found.owner, found.minimum, found.updated_by) == ("carl", None, "bert")
    assert service.remove("erp", "group", "lamps", by="bert")
    assert not service.remove("erp", "group", "lamps", by="bert")
    notes = [note.action for note in ledger.audit.list(limit=100) if note.action.startswith("stock")]
    assert len(notes) == 5
    many = [Threshold("product", f"M{number}", minimum=Decimal(1)) for number in range(60)]
    assert service.put("erp", many, by="anna") == 60
    assert [n.facts for n in ledger.audit.list(limit=100) if n.action == "stock.thresholds"] == [{"changed": 60}]
    assert ledger.stock.source("erp").revision == 4


def test_sixteen_that_find_it_at_once_open_one_alert(ledger: Ledger) -> None:
    made = kit.together([lambda: ledger.stock.alerts.open("erp", [low("A"), low("B")])] * 16)
    assert sum(made) == 2
    assert {alert.sku for alert in ledger.stock.alerts.listed()} == {"A", "B"}


def test_a_closed_alert_makes_room_for_the_next(ledger: Ledger) -> None:
    alerts = ledger.stock.alerts
    (first,) = opened(ledger, low("A"))
    assert alerts.close({first.id: Decimal(9)}, "risen") == 1
    assert alerts.close({first.id: Decimal(9)}, "risen") == 0
    (second,) = opened(ledger, low("A"))
    assert second.id != first.id
    (closed,) = alerts.listed(closed=True)
    assert (closed.id, closed.quantity_then, closed.quantity, closed.closed_why) == (
        first.id,
        Decimal(1),
        Decimal(9),
        "risen",
    )
    assert alerts.count() == {"erp": 1}


def test_sixteen_that_tell_at_once_tell_once(ledger: Ledger) -> None:
    alerts, sent = opened(ledger, low("A"), low("B")), list[int]()
    tell = lambda: ledger.stock.alerts.tell("anna", alerts, 900, lambda _connection: sent.append(1))  # noqa: E731
    assert sum(kit.together([tell] * 16)) == len(sent) == 1
    assert ledger.stock.alerts.untold("anna") == []


def test_what_was_told_or_is_over_is_not_told(ledger: Ledger) -> None:
    """Whatever changed between putting a letter together and sending it: nothing goes, nothing is noted."""
    alerts = ledger.stock.alerts
    one, two = opened(ledger, low("A"), low("B"))
    alerts.close({two.id: None}, "gone")
    assert not alerts.tell("anna", [one, two], 0, nothing)
    assert [alert.sku for alert in alerts.untold("anna")] == ["A"]
    assert alerts.told() == {}
    assert alerts.tell("anna", [one], 0, nothing)
    assert not alerts.tell("anna", [one], 0, nothing)
    (three,) = [alert for alert in opened(ledger, low("C")) if alert.sku == "C"]
    assert not alerts.tell("anna", [three], 900, nothing), "too soon after the last"
    assert alerts.tell("anna", [three], 0, nothing)


def test_a_letter_that_cannot_be_kept_tells_nothing(ledger: Ledger) -> None:
    def broken(_connection: Connection) -> None:
        raise RuntimeError("no")

    (alert,) = opened(ledger, low("A"))
    with pytest.raises(RuntimeError):
        ledger.stock.alerts.tell("anna", [alert], 0, broken)
    assert ledger.stock.alerts.untold("anna") == [alert]


def test_the_digest_goes_once_a_day(ledger: Ledger) -> None:
    alerts = ledger.stock.alerts
    one, two = opened(ledger, low("A"), low("B"))
    assert alerts.tell("anna", [one], 0, nothing)
    alerts.close({one.id: Decimal(9)}, "risen")
    assert [alert.id for alert in alerts.uncleared("anna")] == [one.id]
    sent: list[str] = []

    def go(day: str) -> bool:
        fresh, cleared = alerts.untold("anna"), alerts.uncleared("anna")
        return alerts.digest("anna", day, fresh, cleared, lambda _connection: sent.append(day))

    assert [go(f"2026-{day}") for day in ("03-01", "03-01", "02-28", "03-02")] == [True, False, False, True]
    assert sent == ["2026-03-01", "2026-03-02"]
    assert (alerts.untold("anna"), alerts.uncleared("anna")) == ([], [])
    told = alerts.get(two.id)
    assert told is not None
    assert told.told_at is not None
    assert alerts.told()["anna"].digest_on == "2026-03-02"


SNOOZES: list[tuple[str, Callable[[Ledger, StockAlert], object], bool]] = [
    ("a little more is a delivery", lambda ledger, one: ledger.stock.alerts.follow({one.id: low("A", "2")}), True),
    ("less is none", lambda ledger, one: ledger.stock.alerts.follow({one.id: low("A", "0.5")}), False),
    ("a person ends it", lambda ledger, one: ledger.stock.alerts.snooze(one.id, "", by="anna"), False),
]


def test_snoozing_until_a_delivery(ledger: Ledger) -> None:
    for number, (what, happens, told_again) in enumerate(SNOOZES):
        (alert,) = [one for one in opened(ledger, low("A")) if one.sku == "A"]
        ledger.stock.alerts.tell("anna", [alert], 0, nothing)
        assert ledger.stock.alerts.snooze(alert.id, "delivery", by="anna")
        assert ledger.stock.alerts.count() == {}, what
        happens(ledger, alert)
        found = ledger.stock.alerts.get(alert.id)
        assert found is not None, number
        assert (found.snooze == "delivery") == (what == "less is none"), what
        assert [one.id for one in ledger.stock.alerts.untold("anna")] == ([alert.id] if told_again else []), what
        ledger.stock.alerts.close({alert.id: None}, "gone")
        assert ledger.stock.alerts.snooze(alert.id, "delivery", by="anna") is None, "it is not open"


def test_snoozing_until_a_day(ledger: Ledger) -> None:
    alerts = ledger.stock.alerts
    one, two = opened(ledger, low("A"), low("B"))
    alerts.tell("anna", [one, two], 0, nothing)
    now = ledger.clock.now()
    alerts.snooze(one.id, "date", until=now - timedelta(seconds=1), by="anna")
    alerts.snooze(two.id, "date", until=now + timedelta(days=1), by="anna")
    assert alerts.wake() == 1
    assert [alert.sku for alert in alerts.untold("anna")] == ["A"]


def test_a_new_owner_is_told(ledger: Ledger) -> None:
    alerts = ledger.stock.alerts
    (alert,) = opened(ledger, low("A"))
    alerts.tell("anna", [alert], 0, nothing)
    alerts.follow({alert.id: low("A", "0.5")})
    assert alerts.untold("anna") == []
    alerts.follow({alert.id: low("A", "0.5", owner="bert")})
    assert [one.id for one in alerts.untold("bert")] == [alert.id]


def state(key: str, flow: str = "orders", *, open_: bool = True, days: int = 0, **over: object) -> OrderState:
    lines = (StateLine("A", "Lamp", Decimal(2), Decimal(20)), StateLine("B", "Desk", Decimal(1), Decimal(90)))
    found = OrderState(
        flow=flow, order_key=key, target="crm", remote_id="1x1", number=key[-4:], account="", owner="", status="confirmed",
        payment="paid", currency="EUR", total=Decimal("130.90"), language="", method="", rush=False, open=open_,
        placed_at=AT - timedelta(days=days), paid_at=None, shipped_at=None, delivered_at=None, promised_on=None, lines=lines,
    )  # fmt: skip
    return replace(found, **over)  # type: ignore[arg-type]


def test_what_a_crm_took_off_by_an_invoice_waits_for_nothing(ledger: Ledger) -> None:
    for number, flow in ((1, "orders"), (1, "second"), (2, "orders")):
        ledger.orders.keep(state(f"shop/order/{number}", flow, target="crm" if flow == "orders" else "crm2"))
    bill = InvoiceState("orders", "shop/order/1", "crm", "7x1", "ours", state="open")
    for one in (
        replace(bill, order_key="shop/order/2", remote_id="7x2", state="cancelled"),
        replace(bill, order_key="shop/order/2", remote_id="7x3", credit=True),
        replace(bill, order_key="shop/order/2", system="erp", remote_id="4"),
        bill,
    ):
        ledger.invoices.keep(one)
    found = {
        source: [one.order_key[-1] for one in ledger.stock_orders.waiting(["A"], source).get("A", [])]
        for source in ("crm", "crm2", "erp", "")
    }
    assert found == {"crm": ["2"], "crm2": ["1", "2"], "erp": ["1", "2"], "": ["1", "2"]}


def test_what_has_left_already_waits_for_no_goods(ledger: Ledger) -> None:
    """It is open until it is delivered, but its goods are off the shelf, and off the level."""
    ledger.orders.keep(state("shop/order/1", shipped_at=AT))
    ledger.orders.keep(state("shop/order/2"))
    assert [one.order_key for one in ledger.stock_orders.waiting(["A"])["A"]] == ["shop/order/2"]


def test_what_orders_say_of_articles(ledger: Ledger) -> None:
    """An order in two flows counts once; rush comes first, then the promise, then age."""
    first, rush, old = "shop/order/1001", "shop/order/1002", "shop/order/1003"
    for one in (
        state(first), state(first, "second"), state(rush, rush=True), state(old, days=3),
        state("shop/order/1004", promised_on=AT.date()), state("shop/order/1005", open_=False, days=40),
        state("shop/order/1006", open_=False, status="cancelled"),
    ):  # fmt: skip
        ledger.orders.keep(one)
    orders = ledger.stock_orders
    assert orders.ordered(["A", "Z"], AT - timedelta(days=30), ["cancelled"]) == {"A": Decimal(8)}
    waiting = orders.waiting(["A", "B", "Z"])
    assert [one.order_key[-4:] for one in waiting["A"]] == ["1002", "1004", "1003", "1001"]
    assert (waiting["B"][0].quantity, waiting["B"][0].total, set(waiting)) == (
        Decimal(1),
        Decimal("130.90"),
        {"A", "B"},
    )
