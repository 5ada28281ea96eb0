"""The ERP as a source of promised days: found by the order's number, behind the store's and before the rules, followed when they
change.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.promisesettings import PromiseSettings
from ledger.erppromises import ErpPromises
from ledger.watches import Watched
from pipelines import erppolling, schedules, watch
from tests import orders
from tests.erps import AsRole, Erp
from tests.integration.ledger import kit
from tests.integration.pipeline.conftest import Maker
from tests.repworld import DatedClock
from tests.world import World

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
FLOW = "shop-orders"
RULE = {"rule": [{"days": 10}], "erp": "erp"}


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


class Sold:
    """A world with an ERP that promises days."""

    def __init__(self, make: Maker, **promise: Any) -> None:
        settings = PromiseSettings.model_validate({**RULE, "task": False, **promise})
        self.world: World = make(clock=DatedClock(FRIDAY), promise=settings, shops={"shop": {}})
        self.erp = Erp()
        self.erp.kinds = frozenset({"sale"})
        self.world.context.erps = {"erp": AsRole(self.erp)}

    def promise(self, day: date | datetime | None, id: str = "7", **over: Any) -> None:
        told = day.isoformat() if day is not None else None
        self.erp.put("sale", id, **{"number": "S0007", "reference": "1", "currency": "EUR", "promised": told, **over})
        self.poll()

    def poll(self) -> None:
        erppolling.poll(self.world.context, "erp")
        self.world.drain()

    def carry(self, meta: dict[str, Any] | None = None, **over: Any) -> None:
        modified = over.pop("modified", "2026-11-20T10:00:00")
        self.world.carry(orders.order(1, meta=meta or {}, modified=modified, **over))

    @property
    def stands(self) -> Watched | None:
        return self.world.ledger.watches.get(FLOW, "shop/order/1")

    def told(self) -> tuple[str, str]:
        found = self.stands
        return (found.source, str(found.promised_on)) if found is not None else ("", "")

    def job(self, id: str = "7") -> tuple[str, str]:
        found = self.world.job(f"erp/sale/{id}")
        return found.state, found.reason


@pytest.fixture
def sold(make: Maker) -> Sold:
    return Sold(make)


def test_before_the_rules_and_behind_the_store(sold: Sold) -> None:
    sold.carry()
    assert sold.told() == ("rule", "2026-12-04")
    sold.promise(MONDAY)
    assert (sold.told(), sold.job()[0]) == (("erp", "2026-11-23"), "settled")
    sold.carry({"promised_on": "2026-11-26"}, modified="2026-11-20T11:00:00")
    assert sold.told() == ("store", "2026-11-26")
    sold.carry({"promised_on": ""}, modified="2026-11-20T12:00:00")
    assert sold.told() == ("erp", "2026-11-23")


def test_it_may_be_told_before_the_order_comes(sold: Sold) -> None:
    sold.promise(MONDAY)
    state, reason = sold.job()
    assert state == "skipped"
    assert "no order of this flow is called 1 yet" in reason
    sold.carry()
    assert sold.told() == ("erp", "2026-11-23")


def test_the_order_and_its_promise_come_at_the_same_moment(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order has looked for a promise and found none; before it writes down that nothing is promised, one is told."""
    sold = Sold(make, rule=[])
    sold.carry()
    day, left = ErpPromises.day, [MONDAY]

    def looks(*known: Any) -> date | None:
        found = day(*known)
        if left:
            sold.promise(left.pop())
        return found

    monkeypatch.setattr(ErpPromises, "day", looks)
    state = sold.world.ledger.orders.get(FLOW, "shop/order/1")
    assert state is not None
    watch.keep(sold.world.context, sold.world.context.flows[FLOW], state)
    assert (left, sold.told()) == ([], ("erp", "2026-11-23"))


def test_a_changed_promise_moves_the_watch(sold: Sold) -> None:
    sold.carry()
    sold.promise(MONDAY)
    sold.world.clock.skip(4 * 86_400)  # type: ignore[union-attr]
    watch.look(sold.world.context)
    assert (sold.stands.level if sold.stands else "") == "late"
    sold.promise(date(2026, 11, 30))
    assert (sold.stands.level if sold.stands else "", sold.told()) == ("on_time", ("erp", "2026-11-30"))
    assert sold.stands is not None
    assert sold.stands.told == ""
    sold.promise(None)
    assert sold.told() == ("rule", "2026-12-04")
    assert sold.job()[0] == "skipped"


def test_a_corrected_reference_gives_it_to_the_right_order(sold: Sold) -> None:
    sold.carry()
    sold.promise(MONDAY)
    sold.promise(MONDAY, reference="2")
    assert sold.told() == ("rule", "2026-12-04")


def test_a_deleted_sale_promises_nothing(sold: Sold) -> None:
    sold.carry()
    sold.promise(MONDAY)
    sold.erp.drop("sale", "7")
    erppolling.compare(sold.world.context, "erp")
    sold.world.drain()
    assert (sold.told(), sold.job()[0]) == (("rule", "2026-12-04"), "skipped")


def test_the_erps_own_number_counts_where_the_sums_are_the_same(sold: Sold) -> None:
    sold.carry()
    order = sold.world.ledger.orders.get(FLOW, "shop/order/1")
    assert order is not None
    sold.promise(MONDAY, number="1", reference="", total="1.00")
    assert sold.told() == ("rule", "2026-12-04")
    sold.promise(MONDAY, number="1", reference="", total=str(order.total))
    assert sold.told() == ("erp", "2026-11-23")


def test_a_moment_is_a_day_of_the_flows_zone(make: Maker) -> None:
    sold = Sold(make, zone="Europe/Rome")
    sold.carry()
    sold.promise(datetime(2026, 11, 23, 23, 30, tzinfo=UTC))
    assert sold.told() == ("erp", "2026-11-24")


def test_what_was_promised_long_ago_is_forgotten_by_night(sold: Sold) -> None:
    sold.promise(MONDAY)
    sold.world.clock.skip(401 * 86_400)  # type: ignore[union-attr]
    erppolling.compare(sold.world.context, "erp")
    assert sold.world.ledger.erp_promises.day(FLOW, "erp", ["1"], "EUR", Decimal(0)) == MONDAY
    sold.world.clock.skip(3 * 86_400)  # type: ignore[union-attr]
    erppolling.compare(sold.world.context, "erp")
    assert sold.world.ledger.erp_promises.day(FLOW, "erp", ["1"], "EUR", Decimal(0)) is None


@pytest.mark.parametrize(("poll", "every"), [({}, 300), ({"erp_poll": 60}, 60), ({"erp_poll": 0}, None)])
def test_how_often_it_is_asked(make: Maker, poll: dict[str, float], every: float | None) -> None:
    sold = Sold(make, **poll)
    found = {one.name: one.every for one in schedules.of(sold.world.context)}
    assert found.get("poll/erp") == every


def test_only_flows_that_ask_for_it_get_it(make: Maker) -> None:
    sold = Sold(make, erp="")
    sold.carry()
    sold.promise(MONDAY)
    assert sold.told() == ("rule", "2026-12-04")
    assert not [job for job in sold.world.ledger.jobs.list() if "sale" in job.key]
