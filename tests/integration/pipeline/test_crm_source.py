"""What people change in the CRM moves our orders; our own echo moves nothing; what was deleted is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from core.errors import Held
from ledger import tables as t
from ledger.crmnews import CrmNews
from pipelines import crmpolling, schedules
from tests.integration.ledger import kit
from tests.integration.pipeline.conftest import Maker
from tests.orders import order
from tests.world import SkippingClock, World

LATER = "2026-11-20T11:00:00"
BOTH: Final = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
"""Engines, for what touches SQL of its own; the rest runs on SQLite."""


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if hasattr(request, "param"):
        return kit.migrated(request, tmp_path)
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


def poll(world: World) -> int:
    return crmpolling.poll(world.context, "crm")


def by_hand(make: Maker, **element: Any) -> None:
    """Somebody else's login changes a record in the CRM."""
    assert make.app is not None
    make.app.service.records.revise(make.app.service.people.users["apieuro"], element)


def delete(make: Maker, id: str) -> None:
    assert make.app is not None
    make.app.service.records.delete(id)


@pytest.fixture
def company(make: Maker) -> World:
    """With two orders that arrived, after a first look into the CRM."""
    world = make(clock=SkippingClock(), shops={"shop": {}}, invoices="on_order")
    poll(world)
    world.carry(order(1))
    world.carry(order(2))
    return world


def test_our_own_echo_goes_nowhere(company: World) -> None:
    assert poll(company) == 0
    company.carry(order(1, status="completed", modified=LATER))
    assert (poll(company), company.ledger.jobs.due()) == (0, False)


@BOTH
def test_a_status_set_by_a_person_moves_the_order_once(company: World, make: Maker) -> None:
    by_hand(make, id=company.order(1)["id"], sostatus="Delivered")
    assert poll(company) == 1
    state = company.ledger.orders.get("shop-orders", "shop/order/1")
    assert state is not None
    assert (state.crm_status, state.crm_seen_at is not None, state.open) == ("Delivered", True, True)
    company.drain()
    state = company.ledger.orders.get("shop-orders", "shop/order/1")
    assert state is not None
    assert (state.crm_status, state.open) == ("Delivered", False)
    assert (poll(company), company.ledger.jobs.due()) == (0, False)
    assert company.order(1)["sostatus"] == "Delivered"


@pytest.mark.parametrize(
    ("state", "wakes"), [("settled", True), ("held", False), ("skipped", False), ("waiting", True)]
)
def test_whose_job_is_woken(company: World, make: Maker, state: str, *, wakes: bool) -> None:
    """What a person skipped or has to decide is left alone, but remembered."""
    job = company.job("shop/order/1")
    if state != "settled":
        company.ledger.db.execute(_in(state, job.id))
    by_hand(make, id=company.order(1)["id"], sostatus="Cancelled")
    assert poll(company) == 1
    assert (company.job("shop/order/1").state == "waiting") is wakes
    known = company.ledger.orders.get("shop-orders", "shop/order/1")
    assert known is not None
    assert known.crm_status == "Cancelled"


def _in(state: str, job: int) -> Any:
    return sa.update(t.job).where(t.job.c.id == job).values(state=state)


def test_invoices_tell_status_and_payments(company: World, make: Maker) -> None:
    (invoice,) = [row for row in company.records("Invoice") if "1" in row["subject"]]
    by_hand(make, id=invoice["id"], invoicestatus="Paid")
    assert poll(company) == 1
    (kept,) = company.ledger.invoices.of_order("shop-orders", "shop/order/1")
    assert (kept.word, kept.state, kept.seen_at is not None) == ("Paid", "paid", True)
    assert poll(company) == 0


@BOTH
def test_a_deleted_order_is_told_to_a_person_once(company: World, make: Maker) -> None:
    delete(make, company.order(1)["id"])
    assert crmpolling.compare(company.context, "crm") >= 1
    company.drain()
    held = company.job("shop/order/1")
    assert (held.state, held.error_class) == ("held", "missing reference")
    assert company.ledger.jobs.skip(held.id, "wanted")
    assert crmpolling.compare(company.context, "crm") == 0
    assert company.job("shop/order/1").state == "skipped"
    assert company.job("shop/order/2").state == "settled"


@BOTH
def test_a_deleted_invoice_and_a_change_that_was_missed(company: World, make: Maker) -> None:
    (invoice,) = [row for row in company.records("Invoice") if "1" in row["subject"]]
    delete(make, invoice["id"])
    by_hand(make, id=company.order(2)["id"], sostatus="Delivered")
    assert crmpolling.compare(company.context, "crm") >= 2
    state = company.ledger.orders.get("shop-orders", "shop/order/2")
    assert state is not None
    assert state.crm_status == "Delivered"
    assert not [
        one for one in company.ledger.invoices.of_order("shop-orders", "shop/order/1") if one.state != "deleted"
    ]


def test_news_of_an_invoice_and_the_job_that_it_wakes_are_one_thing(
    company: World, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken once, and never kept without waking: nothing would tell it a second time."""
    (invoice,) = [row for row in company.records("Invoice") if "1" in row["subject"]]
    before = company.job("shop/order/1").wanted
    by_hand(make, id=invoice["id"], invoicestatus="Paid")
    assert poll(company) == 1
    assert company.job("shop/order/1").wanted == before + 1
    delete(make, invoice["id"])

    def broken(*_given: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(CrmNews, "_want", broken)
        with pytest.raises(InterruptedError):
            crmpolling.compare(company.context, "crm")
    (kept,) = company.ledger.invoices.of_order("shop-orders", "shop/order/1")
    assert kept.state == "paid"
    crmpolling.compare(company.context, "crm")
    (kept,) = company.ledger.invoices.of_order("shop-orders", "shop/order/1")
    assert (kept.state, company.job("shop/order/1").wanted) == ("deleted", before + 2)


def test_that_all_is_gone_is_not_believed(company: World, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crmpolling, "SUSPICIOUS", 1)
    for number in (1, 2):
        delete(make, company.order(number)["id"])
    with pytest.raises(Held, match="2 of 2 records of order"):
        crmpolling.compare(company.context, "crm")
    assert company.job("shop/order/1").state == company.job("shop/order/2").state == "settled"


@BOTH
def test_what_we_took_back_ourselves_is_not_missed(
    company: World, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As undoing a run does it: record and link go."""
    monkeypatch.setattr(crmpolling, "SUSPICIOUS", 0)
    for module, kind in (("Invoice", "invoice"), ("SalesOrder", "order")):
        for row in company.records(module):
            delete(make, row["id"])
        keys = [f"shop/order/{number}" for number in (1, 2)]
        assert company.ledger.links.drop("crm", kind, keys, origin="created") == 2
    assert crmpolling.compare(company.context, "crm") == 0


@pytest.mark.parametrize(("every", "asked"), [(0, False), (7, True)])
def test_how_often_it_is_asked(make: Maker, every: int, *, asked: bool) -> None:
    world = make(shops={"shop": {}}, poll_crm=every)
    mine = {one.name: one for one in schedules.of(world.context) if one.name.startswith("crm")}
    assert set(mine) == ({"crm/crm", "crm-gone/crm"} if asked else set())
    assert not asked or (mine["crm/crm"].every, mine["crm/crm"].work()) == (7, 0)
