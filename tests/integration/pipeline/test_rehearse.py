"""A rehearsal over a store's orders: everything is planned once, nothing is written, and it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors import orderform
from core.errors import ConfigurationProblem, RetryLater
from core.secrets import SecretRef
from ledger.flows import REHEARSED
from ledger.runs import Item
from pipelines import rehearse
from pipelines.forecast import Forecast, forecast
from pipelines.rehearsal import Rehearsal
from pipelines.rehearse import Span
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.shops import shop
from tests.world import SkippingClock, World

FLOW = "shop-orders"
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SPAN = Span(FIRST, FIRST + timedelta(days=30))


@pytest.fixture
def shops() -> Iterator[tuple[WooShop, str]]:
    with shop() as made:
        yield made


@pytest.fixture
def world(make: Callable[..., World], shops: tuple[WooShop, str]) -> World:
    return make(clock=SkippingClock(), shops={"shop": {"url": shops[1], "per_page": 10}}, rehearsing=True)


def place(face: WooShop, id: int, **over: Any) -> dict[str, Any]:
    at = (FIRST + timedelta(hours=id)).strftime("%Y-%m-%dT%H:%M:%S")
    known = {"date_created_gmt": at, "date_created": at, "modified": at, "billing": person(f"P{id}")}
    made = order(id, **{**known, **over})
    face.put(made)
    return made


def carry_out(world: World, span: Span = SPAN, **over: Any) -> dict[str, Item]:
    run = rehearse.rehearse(world.context, world.context.flows[FLOW], span, pause=lambda _: None, **over)
    assert run.state == "done"
    return {item.number: item for item in rehearse.items(world.ledger, run)}


def sums(found: dict[str, Item]) -> Forecast:
    return forecast(found.values())


def test_what_would_become_of_orders(world: World, shops: tuple[WooShop, str]) -> None:
    face, _ = shops
    place(face, 1)
    place(face, 2, billing=person("P1"))
    place(face, 3, lines=[("NO-SUCH", 1, "7.00")])
    place(face, 4, status="failed")
    place(face, 5, meta={"placed_by": "nobody-knows"})
    place(face, 6, currency="CHF")
    seen: list[tuple[int, int | None]] = []
    world.forget_calls()
    found = carry_out(world, progress=lambda done, total: seen.append((done, total)))
    verdicts = {number: (item.verdict, item.facts.get("customer", "")) for number, item in found.items()}
    assert verdicts == {
        "1": ("post", "new"), "2": ("post", "found"), "3": ("post", "new"), "4": ("skip", ""), "5": ("hold", ""), "6": ("hold", ""),
    }  # fmt: skip
    made = sums(found)
    assert made.post.money == {"EUR": Decimal(found["1"].amount) * 2 + Decimal(found["3"].amount)}
    assert [group.name for group in made.unknown_skus.sorted] == ["NO-SUCH"]
    assert {group.samples[0][0] for group in made.unmapped.sorted} == {"5", "6"}
    assert "placed by nobody-knows" in made.unmapped.sorted[0].name + made.unmapped.sorted[1].name
    assert made.calls > 0
    assert seen[-1][0] == 6
    assert world.writes() == 0
    assert world.counts() == (0, 0, 0, 0, 0)
    assert not world.ledger.jobs.list(), "a rehearsal makes no jobs"


def test_products_without_a_tax_are_named(world: World, shops: tuple[WooShop, str]) -> None:
    world.seed(products=[{"productname": "Bare", "productcode": "BARE", "unit_price": "1"}])
    known = world.crm.find_products(["BARE"])["BARE"]
    world.context.products._keep("crm", ["BARE"], {"BARE": replace(known, taxes=frozenset())}, 1e12)
    place(shops[0], 1, lines=[("BARE", 1, "7.00")])
    found = carry_out(world)
    assert found["1"].verdict == "hold"
    assert [group.name for group in sums(found).untaxed.sorted] == ["BARE"]
    assert sums(found).unmapped.sorted == [], "a tax is not a word"


def test_only_the_span_counts(world: World, shops: tuple[WooShop, str]) -> None:
    for id in (1, 50, 100):
        place(shops[0], id)
    assert set(carry_out(world, Span(FIRST + timedelta(hours=50), FIRST + timedelta(hours=100)))) == {"50"}


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The orders that are planned from now on."""
    planned: list[str] = []
    real = Rehearsal.plan

    def plan(self: Rehearsal, order: Any) -> Any:
        planned.append(order.number)
        return real(self, order)

    monkeypatch.setattr(Rehearsal, "plan", plan)
    return planned


def test_a_resumed_run_plans_nothing_twice(
    world: World, shops: tuple[WooShop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in range(1, 26):
        place(shops[0], id, billing=person(f"C{id % 5}"))
    planned = counting(monkeypatch)
    counted = Rehearsal.plan
    broken = [True]

    def sometimes(self: Rehearsal, order: Any) -> Any:
        if broken[0] and len(planned) == 14:
            raise RetryLater("crm is away. What to do: nothing.", seconds=60, connection="crm", scope="connection")
        return counted(self, order)

    monkeypatch.setattr(Rehearsal, "plan", sometimes)
    with pytest.raises(RetryLater):
        carry_out(world)
    broken[0] = False
    first = planned[:]
    planned.clear()
    found = carry_out(world)
    assert len(found) == 25
    assert len(world.ledger.runs.list(kind="rehearse")) == 1, "it is the same run"
    makers = first[:5]  # whose customers the orders after them must find
    assert planned == makers + [str(n) for n in range(15, 26)]
    assert sums(found).customers == {"found": 20, "new": 5, "doubtful": 0}


def test_after_its_end_it_begins_anew(world: World, shops: tuple[WooShop, str]) -> None:
    place(shops[0], 1)
    carry_out(world)
    place(shops[0], 2)
    assert set(carry_out(world)) == {"1", "2"}
    assert len(world.ledger.runs.list(kind="rehearse")) == 2


def test_a_crm_that_is_away_stops_it_with_what_to_do(make: Callable[..., Any], shops: tuple[WooShop, str]) -> None:
    make(clock=SkippingClock(), shops={})
    dead = make(clock=SkippingClock(), shops={"shop": {"url": shops[1]}}, crm={"url": "http://127.0.0.1:9"})
    place(shops[0], 1)
    with pytest.raises(RetryLater, match="What to do: see to crm") as caught:
        carry_out(dead)
    assert caught.value.message.count("What to do") == 1
    assert dead.ledger.runs.list(kind="rehearse")[0].state == "stopped"


def test_a_bug_over_one_order_does_not_end_it(
    world: World, shops: tuple[WooShop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shops[0], 1)
    place(shops[0], 2)
    real = Rehearsal.plan

    def stumble(self: Rehearsal, order: Any) -> Any:
        if order.number == "1":
            raise KeyError(order.number)
        return real(self, order)

    monkeypatch.setattr(Rehearsal, "plan", stumble)
    found = carry_out(world)
    assert (found["1"].verdict, found["1"].error_class, found["2"].verdict) == ("hold", "our bug", "post")


def test_a_budget_that_is_used_up_is_waited_for(
    world: World, shops: tuple[WooShop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer is made in the first try; the order's own look-up is what there was no call left for."""
    place(shops[0], 1)
    slept: list[float] = []
    real = world.crm.find_order

    def busy(external_id: str) -> Any:
        if len(slept) < 3:
            raise RetryLater("No call is left. What to do: nothing.", seconds=1, connection="crm", cause="rate limit")
        return real(external_id)

    monkeypatch.setattr(world.crm, "find_order", busy)
    run = rehearse.rehearse(world.context, world.context.flows[FLOW], SPAN, pause=slept.append)
    assert slept == [rehearse.BUSY] * 3
    (item,) = rehearse.items(world.ledger, run)
    assert (item.verdict, item.facts["customer"]) == ("post", "new")
    assert [text.partition(":")[0] for text in item.facts["writes"]] == [
        "create_account",
        "create_contact",
        "create_order",
    ]


def test_a_store_that_cannot_be_asked(world: World) -> None:
    settings = orderform.OrderFormSettings(name="shop", webhook_secrets=(SecretRef("env:ORDERWIRE_TEST_HOOK_SECRET"),))
    form = orderform.build(settings)
    world.context = replace(world.context, stores={"shop": form})
    with pytest.raises(ConfigurationProblem, match="orderwire rehearse shop-orders --show"):
        carry_out(world)
    form.close()


@pytest.mark.parametrize("name", ["shop", "crm"])
def test_a_connection_that_is_paused_is_left_alone(world: World, shops: tuple[WooShop, str], name: str) -> None:
    place(shops[0], 1)
    world.ledger.states.pause(name, 60)
    world.forget_calls()
    with pytest.raises(ConfigurationProblem, match=f"orderwire resume {name}"):
        carry_out(world)
    assert shops[0].calls == []
    assert world.calls()["operations"] == {}
    world.ledger.states.pause(name, None)
    assert set(carry_out(world)) == {"1"}


def test_a_live_flow_can_be_rehearsed_too(make: Callable[..., World], shops: tuple[WooShop, str]) -> None:
    """What is there would be left alone, what was changed would be changed."""
    world = make(clock=SkippingClock(), shops={"shop": {"url": shops[1]}})
    world.carry(place(shops[0], 1))
    world.carry(place(shops[0], 2))
    place(shops[0], 2, status="completed", modified="2026-11-20T00:00:00")
    place(shops[0], 3)
    world.forget_calls()
    found = carry_out(world)
    assert {number: item.verdict for number, item in found.items()} == {"1": "nothing", "2": "change", "3": "post"}
    assert world.writes() == 0
    assert all(job.error_class != REHEARSED for job in world.ledger.jobs.list())


def test_the_last_days_are_those_of_the_interrupted_run(world: World) -> None:
    clock = world.clock
    assert isinstance(clock, SkippingClock)
    began = clock.now()
    first = rehearse.last(world.ledger, FLOW, 3600, began)
    run = world.ledger.runs.begin("rehearse", FLOW, first.options())
    world.ledger.runs.end(run.id, "stopped", "away")
    later = began + timedelta(hours=2)
    assert rehearse.last(world.ledger, FLOW, 3600, later) == first
    assert rehearse.last(world.ledger, FLOW, 7200, later).until == later
    assert rehearse.last(world.ledger, FLOW, 3600, began + timedelta(days=2)).until == began + timedelta(days=2)
    world.ledger.runs.resume(run.id)
    world.ledger.runs.end(run.id, "done")
    assert rehearse.last(world.ledger, FLOW, 3600, later).until == later
