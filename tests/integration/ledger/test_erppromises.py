"""Days that an ERP promised: by what it calls the order, replaced when they change, forgotten after a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from core.keys import Key
from ledger import Ledger
from ledger.erppromises import LONGEST, ErpPromise

SALE, OTHER = Key("erp", "sale", "1"), Key("erp", "sale", "2")
DAY, LATER = date(2026, 11, 25), date(2026, 12, 1)
NEW = ErpPromise(DAY, ("WEB-1", "1"), currency="EUR", total=Decimal("20.00"))


def day(ledger: Ledger, *names: str, flow: str = "orders", system: str = "erp", total: str = "20.00") -> date | None:
    return ledger.erp_promises.day(flow, system, names, "EUR", Decimal(total))


def test_by_any_of_its_names_in_its_flow_and_system(ledger: Ledger) -> None:
    assert ledger.erp_promises.keep("orders", SALE, NEW) == ()
    assert [day(ledger, "WEB-1"), day(ledger, "x", "1"), day(ledger, "WEB-1", total="7")] == [DAY, DAY, DAY]
    assert [day(ledger, "WEB-2"), day(ledger, "WEB-1", flow="b"), day(ledger, "WEB-1", system="b")] == [None] * 3
    long = "N" * (LONGEST + 30)
    ledger.erp_promises.keep("orders", OTHER, replace(NEW, names=(long, f"{long}!")))
    assert day(ledger, long) == DAY


def test_a_changed_promise_replaces_the_one_before(ledger: Ledger) -> None:
    ledger.erp_promises.keep("orders", SALE, NEW)
    assert set(ledger.erp_promises.keep("orders", SALE, replace(NEW, promised_on=LATER, names=("WEB-9",)))) == {
        "WEB-1",
        "1",
    }
    assert (day(ledger, "WEB-1"), day(ledger, "WEB-9")) == (None, LATER)
    assert ledger.erp_promises.keep("orders", SALE, None) == ("WEB-9",)
    assert day(ledger, "WEB-9") is None


def test_the_last_of_several_sales_and_numbers_behind_references(ledger: Ledger) -> None:
    own = ErpPromise(date(2027, 1, 1), ("WEB-1",), own=True, currency="EUR", total=Decimal("20.00"))
    ledger.erp_promises.keep("orders", Key("erp", "sale", "3"), own)
    assert (day(ledger, "WEB-1"), day(ledger, "WEB-1", total="21")) == (own.promised_on, None)
    ledger.erp_promises.keep("orders", Key("erp", "sale", "3"), replace(own, currency="USD"))
    assert day(ledger, "WEB-1") is None
    ledger.erp_promises.keep("orders", Key("erp", "sale", "3"), own)
    ledger.erp_promises.keep("orders", SALE, NEW)
    assert day(ledger, "WEB-1") == DAY
    ledger.erp_promises.keep("orders", OTHER, replace(NEW, promised_on=LATER))
    assert day(ledger, "WEB-1") == LATER


def test_what_was_promised_long_ago_is_forgotten(ledger: Ledger) -> None:
    ledger.erp_promises.keep("orders", SALE, NEW)
    ledger.erp_promises.keep("orders", OTHER, replace(NEW, promised_on=LATER, names=("WEB-2",)))
    ledger.erp_promises.forget("elsewhere", date(2030, 1, 1))
    ledger.erp_promises.forget("erp", LATER)
    assert (day(ledger, "WEB-1"), day(ledger, "WEB-2")) == (None, LATER)
