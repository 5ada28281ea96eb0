"""Shops that are asked: poll-only, equal seconds, cursors over restarts, equal stamps, one order by its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Rejected
from ledger.inbox import Verdict
from pipelines import polling
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.shops import shop
from tests.world import SkippingClock, World

NOW = datetime.now(UTC).replace(microsecond=0)


def at(minutes: float) -> str:
    """So many minutes before now, as the shop writes it."""
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S")


def recent(id: int, minutes: float, **over: Any) -> dict[str, Any]:
    return order(id, modified=at(minutes), **{"date_created_gmt": at(minutes + 1), **over})


@pytest.fixture
def woo() -> Iterator[tuple[WooShop, str]]:
    with shop() as found:
        yield found


def asked(make: Callable[..., World], url: str, **over: Any) -> World:
    """A world with one shop that never pushes."""
    settings = {"url": url, "webhook_secrets": (), **over.pop("shop", {})}
    return make(shops={"shop": settings}, **over)


def poll(world: World) -> int:
    return polling.poll(world.context, world.context.flows["shop-orders"])


def test_a_shop_without_webhooks(make: Callable[..., World], woo: tuple[WooShop, str]) -> None:
    """The engine's own schedule asks; new orders and changes arrive, and nothing is read that did not change."""
    face, url = woo
    world = asked(make, url, poll=1)
    assert not world.stores["shop"].accepts_deliveries()
    with pytest.raises(Rejected):
        world.deliver(order(1))
    for id in (1, 2, 3):
        face.put(recent(id, 30 - id, status="processing"))
    with world.working(threads=2):
        wait = lambda: world.counts("SalesOrder") == (3,) and not world.ledger.jobs.counts()["waiting"]  # noqa: E731
        _until(wait)
        face.put(recent(2, 1, status="completed"))
        face.put(recent(4, 1))
        _until(lambda: world.counts("SalesOrder") == (4,) and world.order(2)["sostatus"] == "Delivered")
        world.settle()
    assert world.counts() == (1, 1, 4, 0, 0)


def _until(condition: Callable[[], bool]) -> None:
    from tests.world import wait_for

    wait_for(condition, within=30)


def test_equal_seconds_and_a_cursor_that_survives_restarts(
    make: Callable[..., World], woo: tuple[WooShop, str]
) -> None:
    """Twelve orders of one second, read in pages of five; more of the same second come later; three processes."""
    face, url = woo
    settings = {"per_page": 5, "overlap": 0}
    for id in range(1, 13):
        face.put(recent(id, 20, billing=person(f"P{id % 3}")))
    face.put(recent(13, 25))
    first = asked(make, url, shop=settings)
    assert poll(first) == 13
    cursor = first.ledger.cursors.get(polling.cursor_name("shop"))
    assert cursor is not None
    assert at(20) in cursor
    for id in (14, 15):
        face.put(recent(id, 20))
    second = asked(make, url, shop=settings)
    assert poll(second) == 2, "the second that was half seen is read again"
    face.put(recent(16, 19))
    third = asked(make, url, shop=settings)
    assert poll(third) == 1
    assert poll(third) == 0
    third.drain()
    assert third.counts("SalesOrder") == (16,)


@pytest.mark.parametrize("hours", [-11, 5.5, 14])
def test_the_shops_time_zone_moves_no_cursor(
    make: Callable[..., World], woo: tuple[WooShop, str], hours: float
) -> None:
    """The shop's own dates are hours away from UTC; only those in UTC count, in what is asked and in what is kept."""
    face, url = woo
    settings = {"per_page": 3, "overlap": 0}

    def local(id: int, minutes: float) -> dict[str, Any]:
        there = {"date_modified": at(minutes - hours * 60), "date_created": at(minutes + 1 - hours * 60)}
        return recent(id, minutes, **there)

    for id in range(1, 8):
        face.put(local(id, 60 - id))
    first = asked(make, url, shop=settings)
    assert poll(first) == 7
    cursor = first.ledger.cursors.get(polling.cursor_name("shop"))
    assert cursor is not None
    assert f"any={at(53)};" in cursor
    face.put(local(8, 52))
    face.put(local(2, 51))
    second = asked(make, url, shop=settings)
    assert poll(second) == 2
    assert poll(second) == 0


def test_orders_that_move_between_pages_are_not_missed(
    make: Callable[..., World], woo: tuple[WooShop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each page an order of a page already read is changed and goes to the end: everything behind it moves up by one."""
    face, url = woo
    world = asked(make, url, shop={"per_page": 4, "overlap": 0})
    for id in range(1, 41):
        face.put(recent(id, 60 - id / 2))
    real, moved = world.ledger.inbox.accept, iter(range(1, 6))

    def accept(*args: Any, **kwargs: Any) -> Any:
        if (id := next(moved, None)) is not None:
            face.put(recent(id, 30 - id, status="completed"))
        return real(*args, **kwargs)

    monkeypatch.setattr(world.ledger.inbox, "accept", accept)
    assert poll(world) == 45, "forty, and five of them once more"
    assert len(world.ledger.jobs.list(limit=100)) == 40
    world.drain()
    totals = world.totals()
    assert len(totals) == 40
    assert {world.order(id)["sostatus"] for id in range(1, 6)} == {"Delivered"}
    assert poll(world) == 0


def test_the_cursor_does_not_move_before_its_page_is_kept(
    make: Callable[..., World], woo: tuple[WooShop, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    face, url = woo
    world = asked(make, url, shop={"per_page": 5, "overlap": 0})
    for id in range(1, 11):
        face.put(recent(id, 30 - id))
    real, told = world.ledger.inbox.accept, []

    def accept(*args: Any, **kwargs: Any) -> Any:
        told.append(1)
        if len(told) == 2:
            raise OSError("the disk is full")
        return real(*args, **kwargs)

    monkeypatch.setattr(world.ledger.inbox, "accept", accept)
    with pytest.raises(OSError, match="disk"):
        poll(world)
    assert len(world.ledger.jobs.list()) == 5
    poll(world)
    assert len(world.ledger.jobs.list()) == 10


def test_equal_stamps_with_different_content_are_fetched(make: Callable[..., World], woo: tuple[WooShop, str]) -> None:
    """Two pushes of one second that differ: the shop itself is asked, and its state wins, in both orders of arrival."""
    face, url = woo
    world = make(shops={"shop": {"url": url}})
    for id, states in ((1, ("pending", "completed")), (2, ("completed", "pending"))):
        one, two = (recent(id, 10, status=word) for word in states)
        face.put(recent(id, 10, status="cancelled"))  # what is true by now
        (told,) = world.deliver(one)
        assert told.verdict is Verdict.NEWEST
        (told,) = world.deliver(two)
        assert told.verdict is Verdict.DIRTY
        world.drain()
        assert face.calls[-1].endswith(f"/orders/{id}")
        assert world.order(id)["sostatus"] == "Cancelled"
        assert len(face.calls) == id
    world.forget_calls()
    assert world.drain(fill=False) == 0


def test_a_hint_is_fetched(make: Callable[..., World], woo: tuple[WooShop, str]) -> None:
    """`order.deleted` carries an id alone: the shop says that there is no such order (any more)."""
    face, url = woo
    world = make(shops={"shop": {"url": url}})
    face.put(recent(1, 10))
    world.carry(recent(1, 10))
    del face.orders[1]
    world.deliver({"id": 1}, topic="order.deleted")
    world.drain()
    assert (world.job("shop/order/1").state, world.order(1)["sostatus"]) == ("settled", "Cancelled")
    world.deliver({"id": 2}, topic="order.deleted")
    world.drain()
    assert world.job("shop/order/2").state == "skipped"
    assert world.counts("SalesOrder") == (1,)


def test_a_shop_that_is_away_costs_nothing(make: Callable[..., World]) -> None:
    """The state must be fetched and nobody answers: the job waits, no try is burnt; then it goes on."""
    with shop() as (face, url):
        world = make(shops={"shop": {"url": url}}, clock=SkippingClock())
        world.stores["shop"]._http._sleep = lambda _seconds: None
        world.fill_index()
        world.deliver(recent(1, 10, status="pending"))
        world.deliver(recent(1, 10, status="completed"))
        secret, face.consumer_secret = face.consumer_secret, "changed"
        world.drain(fill=False)
        job = world.job("shop/order/1")
        assert (job.state, job.failures) == ("waiting", 0)
        assert "What to do" in job.reason
        face.consumer_secret = secret
        face.put(recent(1, 10, status="completed"))
        world.finish()
        assert world.order(1)["sostatus"] == "Delivered"


def test_one_order_by_its_number(make: Callable[..., World], woo: tuple[WooShop, str]) -> None:
    face, url = woo
    world = asked(make, url)
    face.put(recent(7, 10))
    assert polling.fetch_order(world.context, "shop", "99") == []
    (job,) = polling.fetch_order(world.context, "shop", "#7")
    world.drain()
    assert world.totals() == {"Order 7": Decimal(order(7)["total"])}
    face.put(recent(7, 5, status="completed"))
    assert polling.fetch_order(world.context, "shop", "7") == [job]
    world.drain()
    assert world.order(7)["sostatus"] == "Delivered"
