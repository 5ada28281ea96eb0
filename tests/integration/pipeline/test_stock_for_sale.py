"""What a store is told of how much it may sell: only what changed, by one worker at a time, whatever breaks in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from core.clock import Clock
from core.errors import ConfigurationProblem, Held, OrderwireError
from core.settings import FlowSettings, StockSettings
from ledger import Ledger
from ledger.goods import Taken
from ledger.orderstates import StateLine
from pipelines import stockpublishing, stocks
from pipelines.context import Context
from pipelines.stockdesk import StockDesk
from pipelines.stockpublishing import Publisher
from tests.integration.ledger import kit
from tests.integration.ledger.test_stock import state
from tests.selling import SETTINGS, Counter, product
from tests.stocked import Shelves

MONDAY = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class SetClock(Clock):
    def __init__(self) -> None:
        self.at = MONDAY

    def now(self) -> datetime:
        return self.at


class Trade:
    """An ERP whose levels a shop is told."""

    def __init__(self, ledger: Ledger, clock: SetClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.shelves, self.counter = Shelves(per_page=500), Counter()
        flow = FlowSettings(name="orders", source="shop", target="crm", owner="sales")
        stores: dict[str, Any] = {"shop": self.counter.connector(clock)}
        self.context = Context(ledger, stores, {}, {"orders": flow}, {"shop": SETTINGS}, clock=clock)
        self.context.erps = {"erp": self.shelves}  # type: ignore[dict-item]
        self.live("live")
        self.set()

    def set(self, **settings: Any) -> None:
        self.stock = StockSettings(**{"name": "goods", "source": "erp", "publish": ("shop",), **settings})
        self.context.stocks = {"goods": self.stock}

    def live(self, mode: Any) -> None:
        self.ledger.flows.set("orders", mode)

    def has(self, **quantities: str) -> None:
        """The ERP and (if it does not yet) the shop have these articles."""
        for sku, count in quantities.items():
            self.shelves.put(sku, count)
            if sku not in {row["sku"] for row in self.counter.rows}:
                self.counter.rows.append(product(10 + len(self.counter.rows), sku))

    def read(self) -> None:
        stocks.poll(self.context, self.stock)

    def go(self, seconds: float = 60) -> int:
        """A pass, so much later; the levels are read just before."""
        self.clock.at += timedelta(seconds=seconds)
        self.read()
        return self.tell()

    def tell(self) -> int:
        return stockpublishing.publish(self.context, self.stock, "shop")

    def order(self, key: str, quantity: str, sku: str = "A", **over: Any) -> None:
        lines = (StateLine(sku, "Lamp", Decimal(quantity), Decimal(9)),)
        self.ledger.orders.keep(replace(state(f"shop/order/{key}", **over), lines=lines))

    def told(self, sku: str) -> Any:
        return self.ledger.stock.offers.of("erp", "shop", [sku])[sku]

    @property
    def problem(self) -> str:
        return self.ledger.stock.offers.offering("erp", "shop").problem


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def trade(database_url: str, clock: SetClock) -> Iterator[Trade]:
    ledger = Ledger.open(database_url, clock=clock)
    yield Trade(ledger, clock)
    ledger.close()


def test_only_what_changed_is_written(trade: Trade) -> None:
    trade.set(safety=2)
    trade.has(A="9.7", B="1", C="5")
    trade.counter.rows[2]["stock_quantity"] = 3
    assert trade.go() == 1
    assert (trade.counter.wrote, trade.counter.quantity("B")) == ([("products", 10, 7)], 0), "it had B and C right"
    calls = len(trade.counter.calls)
    assert (trade.go(), len(trade.counter.calls)) == (0, calls), "nobody is asked where nothing changed"
    trade.counter.rows[0]["stock_quantity"] = 99
    trade.has(B="12")
    assert (trade.go(), trade.counter.quantity("A"), trade.counter.quantity("B")) == (1, 99, 10)
    trade.has(A="9.1")
    assert (trade.go(), trade.counter.quantity("A")) == (0, 99), "it is 7 as before: a person's own number stays"
    trade.has(A="8")
    assert (trade.go(), trade.counter.quantity("A")) == (1, 6)


def test_all_warehouses_or_those_that_are_named(trade: Trade) -> None:
    trade.has(A="4")
    trade.shelves.put("A", "3", warehouse="north")
    trade.shelves.put("A", "50", warehouse="outlet", available="2")
    assert (trade.go(), trade.counter.quantity("A")) == (1, 9)
    trade.set(measure="on_hand")
    assert (trade.go(), trade.counter.quantity("A")) == (1, 57)
    trade.set(warehouses=("main", "north"))
    assert (trade.go(), trade.counter.quantity("A")) == (1, 7)


def test_an_order_takes_its_goods_until_they_have_left(trade: Trade) -> None:
    trade.has(A="10", B="5")
    trade.go()
    trade.order("1", "3")
    assert (trade.tell(), trade.counter.quantity("A")) == (1, 7)
    trade.order("2", "20")
    assert (trade.tell(), trade.counter.quantity("A")) == (1, 0), "never below nothing"
    trade.order("2", "20", open_=False, status="cancelled")
    assert (trade.tell(), trade.counter.quantity("A")) == (1, 7)
    trade.has(A="7")
    trade.order("1", "3", shipped_at=trade.clock.at)
    assert (trade.go(), trade.counter.quantity("A")) == (0, 7), "the ERP has taken them off"
    assert trade.counter.quantity("B") == 5
    trade.set(counts_orders=True)
    trade.order("3", "1")
    assert (trade.go(), trade.counter.quantity("A")) == (0, 7), "the ERP was given the order itself"


def test_goods_that_the_crm_gave_already_are_needed_no_more(trade: Trade) -> None:
    trade.has(A="10")
    trade.context.crms = {"erp": object()}  # type: ignore[dict-item]
    trade.order("1", "4", target="erp")
    trade.go()
    assert trade.counter.quantity("A") == 6
    taken = Taken("orders", "shop/order/1", "14x1", "erp", "A", Decimal(0), wanted=Decimal(3))
    movement = trade.ledger.goods.intend(taken, hold=0)
    trade.ledger.goods.done(movement)
    trade.has(A="7")
    assert (trade.go(), trade.counter.quantity("A")) == (0, 6), "7 are there, and 1 of 4 is still to go"


def test_goods_on_their_way_are_the_crms_until_it_gives_them(trade: Trade) -> None:
    """`completed` in the shop says that they have left, and the CRM takes them off when they are delivered."""
    trade.has(A="10")
    trade.context.crms = {"erp": object()}  # type: ignore[dict-item]
    trade.order("1", "4", target="erp")
    trade.order("2", "1", target="crm")
    assert (trade.go(), trade.counter.quantity("A")) == (1, 5)
    trade.order("1", "4", target="erp", shipped_at=trade.clock.at)
    assert (trade.go(), trade.counter.quantity("A")) == (0, 5), "they are on its stock yet"
    trade.order("2", "1", target="crm", shipped_at=trade.clock.at)
    assert (trade.go(), trade.counter.quantity("A")) == (1, 6), "this one never was on its stock"
    taken = Taken("orders", "shop/order/1", "14x1", "erp", "A", Decimal(0), wanted=Decimal(4))
    trade.ledger.goods.done(trade.ledger.goods.intend(taken, hold=0))
    trade.has(A="6")
    assert (trade.go(), trade.counter.quantity("A")) == (0, 6)


def test_an_order_that_is_not_paid_is_taken_off_once(trade: Trade) -> None:
    """The shop takes goods off when an order is paid or put on hold; of another store's order it knows nothing."""
    trade.has(A="10")
    trade.go()
    trade.order("1", "3", status="pending", payment="unpaid")
    assert (trade.go(), trade.counter.quantity("A")) == (0, 10)
    trade.counter.rows[0]["stock_quantity"] = 7
    trade.order("1", "3", status="confirmed")
    assert (trade.go(), trade.counter.quantity("A"), trade.told("A").quantity) == (0, 7, 7)
    other = replace(state("second/order/1", status="pending"), lines=(StateLine("A", "Lamp", Decimal(2), Decimal(9)),))
    trade.ledger.orders.keep(other)
    assert (trade.go(), trade.counter.quantity("A")) == (1, 5)


def test_what_was_refused_is_tried_again_when_somebody_asks(trade: Trade) -> None:
    trade.has(A="4", B="4")
    trade.counter.rows[1]["manage_stock"] = False
    trade.counter.refuses = {"A"}
    assert trade.go() == 0
    trade.counter.refuses = set()
    trade.counter.rows[1]["manage_stock"] = True
    assert trade.go() == 0, "once a day by itself"
    desk = StockDesk(trade.context)
    assert sorted(one.sku for _, one in desk.differences("goods")) == ["A", "B"]
    assert desk.publish("goods") == {"shop": 2}
    assert (trade.counter.quantity("A"), trade.counter.quantity("B")) == (4, 4)


def test_what_is_gone_from_the_source_is_sold_no_more(trade: Trade) -> None:
    trade.has(A="4", B="4", C="4")
    trade.go()
    trade.shelves.levels.pop(("main", "B"))
    assert (trade.go(3601), trade.counter.quantity("B")) == (1, 0)
    assert trade.go(3601) == 0


@pytest.mark.parametrize("why", ["age", "disbelief", "never read", "rehearsed", "flow paused", "store paused"])
def test_nothing_is_told_where_something_stands_in_the_way(trade: Trade, why: str) -> None:
    trade.has(**{f"A{number}": "4" for number in range(30)})
    if why != "never read":
        trade.go()
    trade.has(A1="9")
    written = len(trade.counter.wrote)
    said = {"age": "older than", "disbelief": "far fewer", "never read": "never read", "store paused": "shop is paused"}
    if why in {"rehearsed", "flow paused"}:
        trade.live("rehearse" if why == "rehearsed" else "paused")
    elif why == "store paused":
        trade.ledger.states.pause("shop", 9_999)
    elif why == "disbelief":
        trade.shelves.levels = {("main", "A1"): trade.shelves.levels["main", "A1"]}
        trade.clock.at += timedelta(seconds=3601)
        with pytest.raises(Held):
            trade.read()
    if why != "never read":
        trade.read()
    if why == "age":
        trade.clock.at += timedelta(seconds=3601)
    assert trade.tell() == 0
    assert said.get(why, "is not live") in trade.problem
    assert len(trade.counter.wrote) == written
    if why == "store paused":
        trade.ledger.states.pause("shop", None)
    trade.live("live")
    if why == "disbelief":
        stocks.read_all(trade.context, trade.stock, anyway=True)
    trade.read()
    assert trade.tell() >= 1
    assert (trade.counter.quantity("A1"), trade.problem) == (9, "")


def test_a_pause_in_the_middle_stops_the_next_parcel(trade: Trade) -> None:
    trade.has(**{f"A{number}": "4" for number in range(60)})
    trade.counter.after = lambda _request: trade.ledger.states.pause("shop", 9_999)
    with pytest.raises(ConfigurationProblem, match="is paused"):
        trade.go()
    assert len(trade.counter.wrote) == 50
    assert {trade.told(f"A{number}").problem for number in range(60)} <= {""}


def test_what_the_store_does_not_know_or_refuses_stops_no_other(trade: Trade) -> None:
    trade.has(A="4", B="4", C="4", D="4", **{"E,F": "4"})
    trade.counter.rows = [row for row in trade.counter.rows if row["sku"] != "A"]
    trade.counter.rows[0]["manage_stock"] = False
    trade.counter.refuses = {"C"}
    assert (trade.go(), trade.counter.quantity("D")) == (1, 4)
    assert trade.ledger.stock.offers.counts("erp", "shop") == {"unknown": 1, "unkept": 1, "refused": 2, "": 1}
    assert "product_invalid_stock" in trade.told("C").reason
    assert [one.sku for one in trade.ledger.stock.offers.troubled("erp", "shop", 9)] == ["E,F", "C"]
    calls = len(trade.counter.calls)
    assert (trade.go(), len(trade.counter.calls)) == (0, calls), "not again at once"
    trade.counter.refuses = set()
    trade.has(C="5")
    assert (trade.go(), trade.counter.quantity("C")) == (1, 5), "another quantity is another try"
    trade.counter.rows.append(product(99, "A"))
    assert (trade.go(3600), trade.counter.quantity("A")) == (0, 0)
    assert (trade.go(86_400), trade.counter.quantity("A")) == (1, 4), "after a day"
    assert trade.counter.rows[0]["manage_stock"] is False


def test_variations_go_to_their_own_product(trade: Trade) -> None:
    trade.has(A="4", B="5", S="6", T="7")
    trade.counter.rows[2:] = [
        product(21, "S", type="variation", parent_id=20),
        product(22, "T", type="variation", parent_id=30),
    ]
    assert trade.go() == 4
    assert sorted(trade.counter.wrote) == [
        ("products", 10, 4), ("products", 11, 5), ("products/20/variations", 21, 6), ("products/30/variations", 22, 7),
    ]  # fmt: skip
    assert trade.counter.calls.count("POST products/batch") == 1


def test_a_call_that_is_refused_as_a_whole_is_made_one_by_one(trade: Trade) -> None:
    trade.has(A="4", B="5")
    refused = httpx.Response(400, json={"code": "rest_invalid_json"})
    trade.counter.before = lambda request: refused if request.url.path.endswith("/batch") else None
    assert trade.go() == 2
    assert (trade.counter.quantity("A"), trade.counter.quantity("B")) == (4, 5)


def test_an_answer_that_is_lost_is_looked_for_and_told_again(trade: Trade) -> None:
    """And the article that breaks the shop goes alone from then on."""
    trade.has(A="4", B="5", **{f"C{number}": "1" for number in range(60)})

    def broken(request: httpx.Request) -> httpx.Response | None:
        stumbles = request.method != "GET" and (b'"id":10,' in request.content or request.url.path.endswith("/10"))
        return httpx.Response(500, json={}) if stumbles else None

    trade.counter.before = broken
    with pytest.raises(OrderwireError):
        trade.go()
    assert (trade.told("A").problem, trade.told("B").problem) == ("doubtful", "doubtful")
    assert trade.counter.quantity("C55") == 1, "the next parcel went"
    calls = len(trade.counter.calls)
    assert (trade.go(5), len(trade.counter.calls)) == (0, calls), "it may still land"
    with pytest.raises(OrderwireError):
        trade.go(120)
    assert (trade.told("A").problem, trade.counter.quantity("B"), trade.told("B").problem) == ("doubtful", 5, "")
    trade.counter.before = lambda _request: None
    trade.go(120)
    assert (trade.counter.quantity("A"), trade.told("A").problem, trade.problem) == (4, "", "")


def test_a_shop_that_is_away_is_left_alone(trade: Trade) -> None:
    trade.has(A="4")
    trade.counter.before = lambda _request: httpx.Response(429, headers={"retry-after": "90"})
    with pytest.raises(OrderwireError):
        trade.go()
    trade.counter.before = lambda _request: None
    calls = len(trade.counter.calls)
    assert (trade.go(30), len(trade.counter.calls)) == (0, calls)
    assert (trade.go(61), trade.counter.quantity("A")) == (1, 4)
    trade.has(A="5")
    trade.ledger.states.block("shop", 60, error_class="remote 5xx", reason="It is out.")
    assert (trade.go(10), trade.counter.quantity("A")) == (0, 4)
    assert (trade.go(60), trade.counter.quantity("A")) == (1, 5)
    found = trade.ledger.states.get("shop")
    assert found is not None
    assert found.faults == 0, "its answer ends the outage"


def test_a_key_that_may_not_write_is_said_and_not_tried_for_a_while(trade: Trade) -> None:
    trade.has(A="4")
    trade.counter.before = lambda request: httpx.Response(401, json={}) if request.method != "GET" else None
    with pytest.raises(ConfigurationProblem):
        trade.go()
    assert "Read/Write" in trade.problem
    calls = len(trade.counter.calls)
    assert (trade.go(), len(trade.counter.calls)) == (0, calls)
    trade.counter.before = lambda _request: None
    assert (trade.go(300), trade.counter.quantity("A"), trade.problem) == (1, 4, "")


class Killed(BaseException):
    pass


def test_the_next_pass_ends_what_a_killed_one_began(trade: Trade) -> None:
    trade.has(**{f"A{number:03}": "4" for number in range(120)})

    def kill(_request: httpx.Request) -> None:
        if len(trade.counter.wrote) > 50:
            raise Killed

    trade.counter.after = kill
    with pytest.raises(Killed):
        trade.go()
    assert len(trade.counter.wrote) == 100
    trade.counter.after = lambda _request: None
    assert (trade.go(5), len(trade.counter.wrote)) == (20, 120), "what it had not begun"
    calls = len(trade.counter.calls)
    assert (trade.go(121), len(trade.counter.wrote)) == (0, 120), "what landed is only looked at"
    assert len(trade.counter.calls) > calls
    assert {trade.told(f"A{number:03}").problem for number in range(120)} == {""}


def test_sixteen_at_once_write_each_difference_once(trade: Trade, open_ledger: Any) -> None:
    """Threads of two processes."""
    trade.has(**{f"A{number:03}": "4" for number in range(120)})
    trade.read()
    other = Trade(open_ledger(clock=trade.clock), trade.clock)
    other.counter = trade.counter
    other.context.stores = {"shop": trade.counter.connector(trade.clock)}
    written = kit.together([trade.tell, other.tell] * 8, within=500)
    assert sum(written) == len(trade.counter.wrote) == 120
    assert len({id for _, id, _ in trade.counter.wrote}) == 120
    trade.has(A007="9")
    trade.read()
    assert sum(kit.together([trade.tell, other.tell] * 8, within=500)) == 1


def test_a_pass_ends_quietly_while_another_worker_tells_the_store(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade.has(A="4")
    monkeypatch.setattr(stockpublishing, "LANE_WITHIN", 0.0)
    with Publisher(trade.context, trade.stock, "shop")._lane():
        assert (trade.go(), trade.problem, trade.counter.wrote) == (0, "", [])
    assert (trade.tell(), trade.counter.quantity("A")) == (1, 4)


def test_a_level_that_changes_meanwhile_is_told_as_it_is_then(trade: Trade) -> None:
    trade.has(A="4", B="4")

    def meanwhile(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET" and trade.shelves.levels["main", "A"].on_hand == 4:
            trade.has(A="3")
            trade.read()
        return None

    trade.counter.before = meanwhile
    assert trade.go() == 1
    assert [id for _, id, _ in trade.counter.wrote] == [11], "4 is not true any more"
    assert (trade.tell(), trade.counter.quantity("A")) == (1, 3)


def test_a_quiet_pass_asks_and_writes_nothing(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    trade.has(A="4")
    trade.go()
    looked = kit.counting(monkeypatch, trade.ledger.stock, "items")
    noted = kit.counting(monkeypatch, trade.ledger.stock.offers, "note")
    for _ in range(5):
        trade.clock.at += timedelta(seconds=5)
        assert trade.tell() == 0
    assert (len(looked), len(noted)) == (0, 0)


def test_what_would_be_told(trade: Trade) -> None:
    trade.has(A="4", B="0")
    trade.go()
    trade.has(A="6")
    trade.read()
    publisher = Publisher(trade.context, trade.stock, "shop")
    found = [one for part in publisher.everything() for one in publisher.differences(part)]
    assert [(one.sku, one.told.quantity, one.wanted) for one in found] == [("A", 4, 6)]
    assert trade.counter.quantity("A") == 4
