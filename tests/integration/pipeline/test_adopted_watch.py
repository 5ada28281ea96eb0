"""Promises of orders that stood in the CRM before us: watched from their adoption on, and of what was over by then nobody is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from core.promisesettings import PromiseSettings
from ledger.crmnews import Said
from ledger.watches import Watched
from mapping.adoption import grade
from pipelines import review, watch
from tests.integration.pipeline.test_adopt import FLOW, Company, company
from tests.scenario import SHOP
from tests.world import World


@pytest.fixture
def firm(make: Callable[..., World]) -> Iterator[Company]:
    promise = PromiseSettings.model_validate({"rule": [{"days": 1}], "via": "mail", "tell": ["a@firm.example"]})
    with company(make, promise=promise, rehearsing=False) as made:
        yield made


def stands(firm: Company, id: int = 1) -> Watched | None:
    return firm.world.ledger.watches.get(FLOW, f"{SHOP}/order/{id}")


def soon(firm: Company, days: int) -> str:
    return (firm.world.context.clock.now() + timedelta(days=days)).date().isoformat()


def pair(firm: Company, id: int = 1, *, word: str = "Approved", promised: str = "", **over: Any) -> str:
    """One order on both sides."""
    made = firm.store_order(id, meta={"promised_on": promised} if promised else {}, **over)
    return firm.typed(f"o{id}", str(id), made["total"], sostatus=word)


def jobs_that_tell(firm: Company) -> list[str]:
    return [job.key for job in firm.world.ledger.jobs.list() if "/promise/" in job.key]


def test_it_is_watched_from_then_on(firm: Company) -> None:
    remote = pair(firm, promised=soon(firm, 10))
    firm.adopt()
    found = stands(firm)
    assert found is not None
    assert (found.level, found.source, found.promised_on) == ("on_time", "store", date.fromisoformat(soon(firm, 10)))
    state = firm.world.ledger.orders.get(FLOW, f"{SHOP}/order/1")
    assert state is not None
    assert (state.remote_id, state.crm_status, state.open) == (remote, "Approved", True)
    assert state.account
    assert firm.world.writes() == 0

    firm.world.clock.skip(12 * 86_400)  # type: ignore[union-attr]
    watch.look(firm.world.context)
    found = stands(firm)
    assert found is not None
    assert found.level == "late"
    assert jobs_that_tell(firm) == [f"{SHOP}/promise/1"]


@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({"status": "completed"}, "Approved"),
        ({"status": "cancelled"}, "Approved"),
        ({}, "Delivered"),
        ({}, "Cancelled"),
    ],
)
def test_what_was_over_by_then_is_not_watched(firm: Company, over: dict[str, Any], word: str) -> None:
    pair(firm, word=word, promised=soon(firm, 10), **over)
    firm.adopt()
    assert firm.links()
    firm.world.clock.skip(12 * 86_400)  # type: ignore[union-attr]
    watch.look(firm.world.context)
    firm.world.carry(firm.store_order(1, meta={"promised_on": soon(firm, -5)}, modified="2027-01-01T00:00:00"))
    assert (stands(firm), jobs_that_tell(firm)) == (None, [])


def test_a_promise_that_was_broken_by_then_counts_as_told(firm: Company) -> None:
    pair(firm, promised="2026-03-05")
    firm.adopt()
    found = stands(firm)
    assert found is not None
    assert (found.level, found.told, jobs_that_tell(firm)) == ("late", "late", [])
    firm.adopt()
    watch.look(firm.world.context)
    assert jobs_that_tell(firm) == []


def test_an_order_of_which_the_store_promises_nothing_is_left_alone(firm: Company) -> None:
    pair(firm)
    firm.adopt()
    assert firm.links()
    assert (stands(firm), firm.world.ledger.orders.get(FLOW, f"{SHOP}/order/1")) == (None, None)


def test_the_store_moves_it_on(firm: Company) -> None:
    pair(firm, promised=soon(firm, 10))
    firm.adopt()
    later = soon(firm, 20)
    made = firm.store_order(1, meta={"promised_on": later}, modified="2027-01-01T00:00:00")
    firm.world.carry(made)
    found = stands(firm)
    assert found is not None
    assert found.promised_on.isoformat() == later
    made = firm.store_order(1, status="completed", modified="2027-01-02T00:00:00")
    firm.world.carry(made)
    found = stands(firm)
    assert found is None or found.level == "kept"


def test_the_crm_moves_it_on_though_it_never_had_a_job(firm: Company) -> None:
    remote = pair(firm, promised=soon(firm, 10))
    firm.adopt()
    ledger = firm.world.ledger
    firm.world.clock.skip(12 * 86_400)  # type: ignore[union-attr]
    watch.look(firm.world.context)
    assert [job.key for job in ledger.jobs.list() if "/order/" in job.key] == []
    assert ledger.crm_news.orders_say("crm", [Said(remote, "Delivered", ledger.clock.now())]) == 1
    firm.world.drain()
    found, state = stands(firm), ledger.orders.get(FLOW, f"{SHOP}/order/1")
    assert found is not None
    assert state is not None
    assert (found.level, state.open) == ("kept", False), "else it were late for ever, and its goods would be waited for"


def test_what_was_seen_after_the_listing_stands(firm: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides take a while to list; meanwhile somebody ships an order that was listed before, and the CRM's poll sees it."""
    remote = pair(firm, promised=soon(firm, 10))
    firm.adopt()
    ledger = firm.world.ledger

    def meanwhile(*known: Any) -> Any:
        firm.world.clock.skip(60)  # type: ignore[union-attr]
        ledger.crm_news.orders_say("crm", [Said(remote, "Delivered", ledger.clock.now())])
        firm.world.clock.skip(60)  # type: ignore[union-attr]
        return grade(*known)

    monkeypatch.setattr("pipelines.adopt.grade", meanwhile)
    firm.adopt()
    state = ledger.orders.get(FLOW, f"{SHOP}/order/1")
    assert state is not None
    assert (state.crm_status, state.open) == ("Delivered", False)
    monkeypatch.setattr("pipelines.adopt.grade", grade)
    firm.adopt()
    state = ledger.orders.get(FLOW, f"{SHOP}/order/1")
    assert state is not None
    assert state.crm_status == "Approved", "a listing that began later is believed"


def test_a_decision_that_is_taken_back_ends_it(firm: Company) -> None:
    made = firm.store_order(1017, meta={"promised_on": soon(firm, 10)})
    there = firm.typed("one", "1071", made["total"])
    firm.adopt()
    [question] = firm.world.ledger.reviews.list()
    review.decide(firm.world.ledger, question.id, "link", there, by="anna")
    assert stands(firm, 1017) is None
    firm.adopt()
    assert stands(firm, 1017) is not None
    review.undo(firm.world.context, question.id, by="anna")
    assert (stands(firm, 1017), firm.world.ledger.orders.get(FLOW, f"{SHOP}/order/1017")) == (None, None)
