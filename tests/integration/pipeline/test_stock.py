"""From a level that falls to the letter that is wanted, and back: read, judged, told, closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors import smtp
from connectors.roles import BadLevel
from core.clock import Clock
from core.errors import Held
from core.settings import BuyerSettings, StockSettings
from ledger import Ledger
from ledger.messagetables import message
from ledger.stockalerts import StockAlerts
from ledger.thresholds import Threshold
from pipelines import stocks, stocktelling
from pipelines.context import Context
from pipelines.runner import Runner
from sandbox.mail import mail_app
from sandbox.serve import running
from tests.integration.ledger import kit
from tests.integration.ledger.test_stock import state
from tests.stocked import Shelves

MONDAY: datetime = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class SetClock(Clock):
    def __init__(self) -> None:
        self.at = MONDAY

    def now(self) -> datetime:
        return self.at


class Shop:
    """One source, its buyers, and the letters that were wanted."""

    def __init__(self, ledger: Ledger, clock: SetClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.shelves = Shelves()
        self.context = Context(ledger, {}, {}, {}, {}, clock=clock)
        self.context.erps = {"erp": self.shelves}  # type: ignore[dict-item]
        self.set()
        self.buyers(BuyerSettings(name="anna", email="anna@example.com"))

    def set(self, **settings: Any) -> None:
        usual: dict[str, Any] = {"name": "goods", "source": "erp", "via": ("mail",), "owner": "anna"}
        self.stock = StockSettings(**(usual | settings))
        self.context.stocks = {"goods": self.stock}

    def buyers(self, *buyers: BuyerSettings) -> None:
        self.context.buyers = {buyer.name: buyer for buyer in buyers}

    def threshold(self, sku: str, minimum: str, **more: Any) -> None:
        threshold = Threshold("product", sku, minimum=Decimal(minimum), **more)
        self.ledger.stock.thresholds.put("erp", [threshold], by="test")

    def poll(self, minutes: float = 1) -> int:
        self.clock.at += timedelta(minutes=minutes)
        return stocks.poll(self.context, self.stock)

    def tell(self, minutes: float = 1) -> int:
        self.clock.at += timedelta(minutes=minutes)
        return stocktelling.tell(self.context)

    @property
    def low(self) -> list[str]:
        return sorted(alert.sku for alert in self.ledger.stock.alerts.listed())

    @property
    def letters(self) -> list[Any]:
        return list(self.ledger.db.rows(sa.select(message).order_by(message.c.created_at, message.c.via)))

    @property
    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.letters]


@pytest.fixture
def shop(sqlite_template: Path, tmp_path: Path) -> Iterator[Shop]:
    clock = SetClock()
    ledger = Ledger.open(kit.sqlite_copy(sqlite_template, tmp_path), clock=clock)
    yield Shop(ledger, clock)
    ledger.close()


def test_a_level_that_falls_is_told_once_and_closes_by_itself(shop: Shop) -> None:
    shop.threshold("A", "5", target=Decimal(20))
    for sku, count in (("A", "6"), ("B", "0"), ("C", "9")):
        shop.shelves.put(sku, count)
    assert (shop.poll(), shop.low, shop.subjects) == (3, [], [])
    swings = ["4", "5", "4.9", "5.4", "3"]
    for count in swings:
        shop.shelves.put("A", count)
        assert (shop.poll(30), shop.low) == (1, ["A"]), count
    assert shop.subjects == ["Low stock: A Article A, 4 left"], "it swings around its threshold"
    (letter,) = shop.letters
    assert (letter.flow, letter.via, letter.address) == ("goods", "mail", "anna@example.com")
    assert "threshold: 5" in letter.text
    assert "buy: 16 (up to 20)" in letter.text
    shop.shelves.put("A", "5.5")
    assert (shop.poll(), shop.low) == (1, [])
    shop.shelves.put("A", "4")
    assert (shop.poll(30), shop.low, len(shop.letters)) == (1, ["A"], 2), "another time is another alert"


def test_unchanged_levels_are_asked_with_one_page_and_written_nowhere(shop: Shop) -> None:
    shop.shelves.put("A", "6")
    assert shop.poll() == 1
    told = shop.shelves.told
    assert shop.poll() == shop.poll() == 0
    assert shop.shelves.told == told
    assert shop.shelves.cursors == [None, "1", "1"]


def test_everything_is_read_now_and_then(shop: Shop) -> None:
    """What the source tells no more is gone with its alert; more than a tenth of it, only by a person's word."""
    shop.threshold("A1", "9")
    for number in range(40):
        shop.shelves.put(f"A{number}", "6")
    shop.poll()
    assert shop.low == ["A1"]
    del shop.shelves.levels["main", "A1"]
    assert shop.poll() == 0, "nothing tells that"
    assert (shop.poll(60), shop.low, len(shop.ledger.stock.of("erp", ["A1"]))) == (1, [], 0)
    for number in range(2, 30):
        del shop.shelves.levels["main", f"A{number}"]
    with pytest.raises(Held, match="tells 28 of 39 stock levels no more"):
        shop.poll(60)
    assert shop.ledger.stock.counts("erp") == {"main": 39}
    shop.shelves.put("A30", "1")
    assert shop.poll() == 1, "meanwhile what changed is read"
    assert [alert.cause for alert in shop.ledger.alerts.opened()] == ["stock/goods"]
    stocks.read_all(shop.context, shop.stock, anyway=True)
    assert shop.ledger.stock.counts("erp") == {"main": 11}
    assert shop.ledger.alerts.opened() == []


def test_a_source_that_suddenly_tells_nothing_is_not_believed(shop: Shop) -> None:
    """However few levels it had; one alone may well be gone."""
    for sku in ("A", "B", "C"):
        shop.shelves.put(sku, "6")
    shop.poll()
    shop.shelves.levels.clear()
    with pytest.raises(Held, match="tells 3 of 3 stock levels no more"):
        shop.poll(60)
    assert shop.ledger.stock.counts("erp") == {"main": 3}
    stocks.read_all(shop.context, shop.stock, anyway=True)
    shop.shelves.put("A", "6")
    shop.poll()
    shop.shelves.levels.clear()
    shop.poll(60)
    assert shop.ledger.stock.counts("erp") == {}


def test_only_the_thresholds_of_what_is_compared_are_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a hundred thousand, and a question every minute."""
    many = [Threshold("product", f"P{number}", minimum=Decimal(5)) for number in range(50)]
    shop.ledger.stock.thresholds.put("erp", [*many, Threshold("group", "lamps", minimum=Decimal(9))], by="test")
    shop.shelves.put("P1", "6")
    shop.poll()
    built: list[Any] = []

    def counted(*given: Any) -> Threshold:
        built.append(given[:2])
        return Threshold(*given)

    monkeypatch.setattr("ledger.thresholds.Threshold", counted)
    shop.poll()
    assert built == [("group", "lamps")]
    shop.shelves.put("P1", "4")
    shop.shelves.put("L1", "8", group="lamps")
    shop.poll()
    assert (shop.low, len(built)) == (["L1", "P1"], 3)


def test_open_alerts_are_read_once_a_round_however_many_are_low(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole warehouse below its threshold: no part of the reading reads the alerts of all others again."""
    monkeypatch.setattr(stocks, "TOGETHER", 4)
    shop.set(minimum=Decimal(9))
    read: list[int] = []
    usual = StockAlerts.open_of

    def counted(self: StockAlerts, *given: Any) -> Any:
        found = usual(self, *given)
        read.append(len(found))
        return found

    monkeypatch.setattr(StockAlerts, "open_of", counted)
    for number in range(40):
        shop.shelves.put(f"A{number}", "1")
    shop.poll()
    assert len(shop.low) == 40
    assert sum(read) <= 40
    for number in range(40):
        shop.shelves.put(f"A{number}", "10")
    shop.poll()
    assert shop.low == []


def test_a_reading_that_breaks_off_is_begun_again(shop: Shop) -> None:
    for number in range(8):
        shop.shelves.put(f"A{number}", "6")
    shop.shelves.fail_after = 2
    with pytest.raises(ConnectionError):
        shop.poll()
    assert shop.ledger.stock.source("erp").polled_at is None
    shop.shelves.fail_after = None
    shop.poll()
    assert shop.shelves.cursors == [None, None]
    assert shop.ledger.stock.counts("erp") == {"main": 8}


def test_what_cannot_be_read_is_told_and_kept(shop: Shop) -> None:
    shop.shelves.put("A", "6")
    shop.shelves.put("B", "6")
    shop.poll()
    del shop.shelves.levels["main", "B"]
    shop.shelves.bad = [BadLevel("main/B", "Its quantity is no number.")]
    shop.poll(60)
    assert [one.sku for one in shop.ledger.stock.search("erp")] == ["A", "B"]
    source = shop.ledger.stock.source("erp")
    assert (source.bad, source.bad_why) == (1, "Its quantity is no number.")
    shop.shelves.bad = []
    shop.shelves.put("B", "7")
    shop.poll(60)
    assert shop.ledger.stock.source("erp").bad == 0


def test_names_that_are_too_long_stop_nothing(shop: Shop) -> None:
    """A database that keeps to its columns would refuse the whole reading, every minute."""
    shop.shelves.put("A", "6", group="g" * 300)
    shop.shelves.put("B" * 201, "6")
    shop.shelves.put("C", "6", warehouse="w" * 81)
    shop.poll()
    assert [(one.sku, len(one.group)) for one in shop.ledger.stock.search("erp")] == [("A", 200)]
    source = shop.ledger.stock.source("erp")
    assert (source.bad, "longer than" in source.bad_why) == (2, True)


def test_a_row_that_says_it_is_gone(shop: Shop) -> None:
    shop.threshold("A", "9")
    shop.shelves.put("A", "6")
    shop.shelves.put("B", "6")
    shop.poll()
    shop.shelves.gone = ["main/A"]
    assert (shop.poll(), shop.low, shop.ledger.stock.counts("erp")) == (1, [], {"main": 1})


def test_names_with_slashes_are_not_taken_for_others(shop: Shop) -> None:
    """Of warehouses and of articles, in levels that cannot be read and in those that are gone."""
    for warehouse, sku in (("a/b", "C"), ("a", "D/E"), ("a/b", "F"), ("a", "G/H"), ("main", "I")):
        shop.shelves.put(sku, "6", warehouse=warehouse)
    shop.poll()
    for item in (("a/b", "C"), ("a", "D/E")):
        del shop.shelves.levels[item]
    shop.shelves.bad = [BadLevel("a/b/C", "Bad."), BadLevel("a/D/E", "Bad."), BadLevel("line 7", "Bad.")]
    shop.poll(60)
    assert [one.sku for one in shop.ledger.stock.search("erp")] == ["C", "D/E", "F", "G/H", "I"]
    shop.shelves.gone = ["a/b/F", "a/G/H"]
    assert shop.poll() == 2
    assert [one.sku for one in shop.ledger.stock.search("erp")] == ["C", "D/E", "I"]


def test_thresholds_and_settings_that_change_are_compared_with_every_level(shop: Shop) -> None:
    shop.shelves.put("A", "6")
    shop.shelves.put("B", "6", warehouse="north")
    shop.poll()
    shop.threshold("A", "7")
    assert (shop.poll(), shop.low) == (0, ["A"])
    shop.set(minimum=Decimal(8), owner="anna")
    assert (shop.poll(), shop.low) == (0, ["A", "B"])
    shop.ledger.stock.thresholds.remove("erp", "product", "A", by="test")
    shop.set()
    assert (shop.poll(), shop.low) == (0, [])
    assert {alert.closed_why for alert in shop.ledger.stock.alerts.listed(closed=True)} == {"no threshold"}


def test_only_the_warehouses_that_are_wanted(shop: Shop) -> None:
    for number in range(30):
        shop.shelves.put(f"A{number}", "6", warehouse="north")
    shop.shelves.put("A", "6")
    shop.poll()
    shop.set(warehouses=("main",))
    shop.poll(60)
    assert shop.ledger.stock.counts("erp") == {"main": 1}


def test_what_is_compared(shop: Shop) -> None:
    shop.shelves.put("A", "9", available="3", minimum="5")
    shop.poll()
    assert shop.low == ["A"]
    shop.set(measure="on_hand")
    shop.poll()
    assert shop.low == []
    shop.set(reorder_points=False)
    shop.poll()
    assert shop.low == []


# -- telling ---------------------------------------------------------------------------------------------------------------


def lower(shop: Shop, *skus: str) -> None:
    for sku in skus:
        shop.threshold(sku, "5")
        shop.shelves.put(sku, "1")


def test_many_at_once_are_one_letter_and_the_next_waits(shop: Shop) -> None:
    lower(shop, *(f"A{number:03}" for number in range(130)))
    shop.poll()
    assert shop.subjects == ["Low stock: 130 articles"]
    assert "and 30 more" in shop.letters[0].text
    lower(shop, "B")
    shop.poll(5)
    lower(shop, "C")
    shop.poll(5)
    assert len(shop.letters) == 1, "fifteen minutes between two letters"
    assert (shop.tell(5), shop.subjects[1:]) == (1, ["Low stock: 2 articles"])
    assert shop.tell(60) == 0


def test_quiet_hours(shop: Shop) -> None:
    """Nothing goes; what is still low when they end is told then, what is well again is not."""
    quiet = (time(18), time(7))
    shop.buyers(BuyerSettings(name="anna", quiet=quiet, zone="Europe/Rome", via=("chat",)))
    shop.clock.at = MONDAY.replace(hour=16, minute=59)
    lower(shop, "A", "B")
    shop.poll(2)
    assert (shop.low, shop.letters) == (["A", "B"], [])
    shop.shelves.put("A", "9")
    shop.poll()
    shop.clock.at = MONDAY.replace(day=3, hour=5, minute=58)
    assert shop.tell() == 0
    assert shop.tell() == 1
    assert [(letter.via, letter.address, letter.subject) for letter in shop.letters] == [
        ("chat", "", "Low stock: B Article B, 1 left")
    ]


def test_the_digest(shop: Shop) -> None:
    anna = BuyerSettings(name="anna", digest=time(7, 30), at_once=False, language="de", called="Anna")
    shop.buyers(anna)
    shop.clock.at = MONDAY.replace(hour=6)
    lower(shop, "A", "B", "C")
    shop.poll()
    assert shop.letters == []
    shop.clock.at = MONDAY.replace(hour=7, minute=30)
    assert (shop.tell(0), shop.tell(), shop.tell()) == (1, 0, 0)
    assert shop.subjects == ["Bestand: 3 niedrig, davon 3 neu, 0 wieder gut"]
    shop.shelves.put("A", "9")
    lower(shop, "D")
    shop.poll()
    (snoozed,) = [alert for alert in shop.ledger.stock.alerts.listed() if alert.sku == "C"]
    shop.ledger.stock.alerts.snooze(snoozed.id, "delivery", by="anna")
    shop.clock.at = MONDAY.replace(day=3, hour=7, minute=31)
    assert shop.tell(0) == 1
    text = shop.letters[1].text
    assert shop.subjects[1] == "Bestand: 2 niedrig, davon 1 neu, 1 wieder gut"
    assert text.index("Neu seit") < text.index("D Article D") < text.index("Weiterhin") < text.index("B Article B")
    assert "A Article A: vorhanden: 9" in text
    assert "Zurückgestellt: 1" in text
    assert "C Article C" not in text
    shop.clock.at = MONDAY.replace(day=4, hour=7, minute=31)
    assert (shop.tell(0), "A Article A" in shop.letters[2].text) == (1, False), "all-clear is told once"


def test_a_day_on_which_nothing_is_low_has_no_digest(shop: Shop) -> None:
    shop.buyers(BuyerSettings(name="anna", digest=time(7, 30)))
    assert (shop.tell(), shop.letters) == (0, [])


def test_what_is_put_off_before_anybody_was_told_is_not_told(shop: Shop) -> None:
    """Somebody saw it on the page in the quiet hours."""
    shop.buyers(BuyerSettings(name="anna", quiet=(time(18), time(7))))
    shop.clock.at = MONDAY.replace(hour=20)
    lower(shop, "A", "B")
    shop.poll()
    (alert,) = [one for one in shop.ledger.stock.alerts.listed() if one.sku == "A"]
    shop.ledger.stock.alerts.snooze(alert.id, "delivery", by="anna")
    shop.clock.at = MONDAY.replace(day=3, hour=8)
    assert (shop.tell(), shop.subjects) == (1, ["Low stock: B Article B, 1 left"])


def test_cover_counts_every_warehouse(shop: Shop) -> None:
    shop.ledger.orders.keep(state("shop/order/1001", placed_at=MONDAY - timedelta(days=10)))
    shop.threshold("A", "5", warehouse="main")
    shop.shelves.put("A", "4")
    shop.shelves.put("A", "2", warehouse="north")
    shop.poll()
    (letter,) = shop.letters
    assert "lasts about 90 days" in letter.text


def test_snoozed_until_a_delivery_that_was_not_enough(shop: Shop) -> None:
    lower(shop, "A")
    shop.poll()
    (alert,) = shop.ledger.stock.alerts.listed()
    shop.ledger.stock.alerts.snooze(alert.id, "delivery", by="anna")
    shop.shelves.put("A", "0")
    shop.poll(60)
    assert len(shop.letters) == 1
    shop.shelves.put("A", "2")
    shop.poll(60)
    assert shop.subjects == ["Low stock: A Article A, 1 left", "Low stock: A Article A, 2 left"]


def test_put_off_until_a_delivery_of_what_sold_out_meanwhile(shop: Shop) -> None:
    """A delivery is more than there was last, not more than there was when it was put off: that may never come."""
    shop.threshold("A", "9")
    shop.shelves.put("A", "6")
    shop.poll()
    (alert,) = shop.ledger.stock.alerts.listed()
    shop.ledger.stock.alerts.snooze(alert.id, "delivery", by="anna")
    for count in ("2", "0"):
        shop.shelves.put("A", count)
        shop.poll(60)
    assert len(shop.letters) == 1
    shop.shelves.put("A", "5")
    shop.poll(60)
    assert shop.subjects == ["Low stock: A Article A, 6 left", "Low stock: A Article A, 5 left"]


def test_the_letter_says_what_is_at_risk(shop: Shop) -> None:
    """Three open orders of two lamps each, and four lamps: the youngest cannot be filled."""
    for number in range(3):
        order = state(f"shop/order/100{number}", placed_at=MONDAY - timedelta(days=10 - number))
        shop.ledger.orders.keep(order)
    # Neither what was ordered before the last thirty days nor what was called off says how fast it goes.
    for key, days, status in (("2001", 31, "completed"), ("2002", 5, "cancelled"), ("2003", 5, "failed")):
        past = state(f"shop/order/{key}", placed_at=MONDAY - timedelta(days=days), status=status, open_=False)
        shop.ledger.orders.keep(past)
    shop.threshold("A", "5")
    shop.shelves.put("A", "4")
    shop.poll()
    (letter,) = shop.letters
    assert "lasts about 20 days" in letter.text
    assert "open orders that it does not suffice for: 1, worth €130.90" in letter.text


def test_nobody_is_told_of_what_has_no_owner(shop: Shop) -> None:
    shop.set(owner="")
    lower(shop, "A")
    shop.poll()
    assert (shop.low, shop.letters) == (["A"], [])


def test_the_letter_arrives_by_a_real_server(shop: Shop) -> None:
    server = mail_app()
    with running(server):
        settings = smtp.SmtpSettings(
            name="mail", host="127.0.0.1", port=server.smtp_port, security="none", sender="orderwire@shop.example"
        )
        shop.context.messengers = {"mail": smtp.build(settings)}
        shop.buyers(BuyerSettings(name="anna", email="anna@example.com", called="Anna", language="ru"))
        lower(shop, "A")
        shop.poll()
        claim = shop.ledger.jobs.claim("test")
        assert claim is not None
        assert Runner(shop.context).run(claim) == "settled"
        [mail] = server.box.mails
        assert "Мало на складе: A Article A" in str(mail.message["subject"])
