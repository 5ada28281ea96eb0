"""Polling: whatever changes while the listing is read, no state of an order is missed and every cursor can be
resumed."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core.errors import RetryLater
from core.keys import Change
from tests.contract.woocommerce_shop import START, Shop, seconds


def version(change: Change) -> tuple[int, int]:
    row = json.loads(change.raw or b"{}")
    return int(row["id"]), int(row["version_of_test"])


def poll(shop: Shop, cursor: str | None = None, **settings: Any) -> tuple[list[Change], str | None]:
    changes: list[Change] = []
    for page in shop.connector(**settings).changes_since(cursor):
        changes += page.changes
        cursor = page.cursor
    return changes, cursor


def newest(shop: Shop) -> set[tuple[int, int]]:
    return {(order_id, row["version_of_test"]) for order_id, row in shop.orders.items()}


def test_first_poll_looks_back_and_no_further() -> None:
    shop = Shop()
    shop.put(1, at=START - timedelta(days=31))
    shop.put(2, at=START - timedelta(days=29))
    shop.put(3)
    changes, cursor = poll(shop)
    assert [change.key.id for change in changes] == ["2", "3"]
    assert cursor == "any=2026-11-22T12:00:00;trash=2026-10-23T12:00:00"
    assert changes[0].fetched_at == START
    assert changes[0].topic == "poll"
    assert not changes[0].deleted


def test_rush_orders_are_known_when_they_are_listed() -> None:
    shop = Shop()
    for id in (1, 2, 3, 4):
        shop.put(id)
    shop.orders[2]["meta_data"] = [{"key": "_rush", "value": "yes"}]
    shop.orders[3]["shipping_lines"] = [{"method_id": "express"}]
    shop.orders[4]["meta_data"] = "not a list"  # the mapping will say so
    changes, _ = poll(shop, rush_methods=("express",))
    assert {change.key.id: change.rush for change in changes} == {"1": False, "2": True, "3": True, "4": False}


def test_the_same_state_seen_again_is_the_same_delivery() -> None:
    shop = Shop()
    shop.put(1)
    first, cursor = poll(shop)
    again, _ = poll(shop, cursor)
    assert first[0].dedupe == again[0].dedupe
    shop.put(1)
    changed, _ = poll(shop, cursor)
    assert changed[0].dedupe != first[0].dedupe


def test_a_trashed_order_comes_as_deleted() -> None:
    shop = Shop()
    shop.put(1)
    _, cursor = poll(shop)
    shop.clock.moment += seconds(60)
    shop.put(1, status="trash")
    changes, cursor = poll(shop, cursor)
    assert [(change.key.id, change.deleted) for change in changes] == [("1", True)]
    assert cursor == "any=2026-11-22T12:00:00;trash=2026-11-22T12:01:00"


def test_an_idle_shop_costs_two_requests_and_moves_no_cursor() -> None:
    shop = Shop()
    shop.put(1)
    _, cursor = poll(shop)
    shop.clock.moment += timedelta(days=5)
    shop.requests.clear()
    changes, later = poll(shop, cursor)
    assert len(shop.requests) == 2
    assert [change.key.id for change in changes] == ["1"], "the overlap reads the newest again"
    assert later == cursor


def test_an_order_of_a_day_to_come_hides_none_that_change_until_then() -> None:
    """An import, or a clock that was wrong for a minute, and every later change would have an earlier time."""
    shop = Shop()
    shop.put(1)
    shop.put(2, at=START + timedelta(days=400))
    first, cursor = poll(shop)
    assert [change.key.id for change in first] == ["1", "2"]
    shop.clock.moment += timedelta(hours=2)
    shop.put(3, at=shop.clock.moment)
    later, cursor = poll(shop, cursor)
    assert "3" in {change.key.id for change in later}
    assert cursor == "any=2026-11-22T14:00:00;trash=2026-10-23T12:00:00"
    again, cursor = poll(shop, "any=2027-12-27T12:00:00;trash=2026-10-23T12:00:00")
    assert "3" in {change.key.id for change in again}
    assert cursor == "any=2026-11-22T14:00:00;trash=2026-10-23T12:00:00"


def test_overlap_is_subtracted_once() -> None:
    shop = Shop()
    shop.put(1)
    _, cursor = poll(shop)
    shop.requests.clear()
    poll(shop, cursor, overlap=900)
    poll(shop, cursor, overlap=0)
    assert [request["modified_after"] for request in shop.requests if request["status"] == "any"] == [
        "2026-11-22T11:45:00",
        "2026-11-22T11:59:59",
    ]


def test_until_is_handed_on() -> None:
    shop = Shop()
    shop.put(1)
    shop.put(2, at=START - seconds(10))
    pages = list(shop.connector().changes_since(None, until=START))
    assert [change.key.id for page in pages for change in page.changes] == ["2"]


@pytest.mark.parametrize("cursor", ["", "nonsense", "any=yesterday;trash=", "trash=2026-11-22T11:00:00", ";;;==="])
def test_an_unreadable_cursor_starts_over(cursor: str) -> None:
    shop = Shop()
    shop.put(1)
    assert {change.key.id for change in poll(shop, cursor)[0]} == {"1"}


@pytest.mark.parametrize("number", [5, 6, 23, 100])
@pytest.mark.parametrize("drop_totals", [False, True])
def test_many_orders_of_one_second(number: int, drop_totals: bool) -> None:
    shop = Shop()
    shop.drop_totals = drop_totals
    shop.put(1000, at=START - seconds(1))
    for order_id in range(1, number + 1):
        shop.put(order_id)
    shop.put(2000, at=START + seconds(1))
    changes, cursor = poll(shop)
    assert {version(change) for change in changes} == newest(shop)
    assert cursor is not None
    assert cursor.startswith("any=2026-11-22T12:00:01")
    assert len(changes) == number + 2, "what comes twice is dropped"


def test_pages_without_totals_and_without_end_are_bounded() -> None:
    """A shop that answers the same page for ever, whatever is asked."""
    rows = [{"id": n, "date_modified_gmt": "2026-11-22T12:00:00"} for n in range(5)]
    shop = Shop()
    asked = 0

    def forever(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked > 20_000:
            raise AssertionError("the loop guard does not hold")
        return httpx.Response(200, json=rows)

    shop.answer = forever  # type: ignore[method-assign]
    changes, _ = poll(shop)
    assert {change.key.id for change in changes if change.key.kind == "order"} == {"1", "2", "3", "4"}


def test_a_full_page_without_times_is_named() -> None:
    shop = Shop()
    shop.answer = lambda request: httpx.Response(200, json=[{"id": n} for n in range(1, 6)])  # type: ignore[method-assign]
    with pytest.raises(RetryLater, match="date_modified_gmt"):
        poll(shop)


def once_after(shop: Shop, orderby: str, page: int, happens: Callable[[], object]) -> None:
    """Something happens in the shop between the first answer with this page in this order and the next answer."""
    left = [happens]

    def look() -> None:
        last = shop.requests[-1] if shop.requests else {}
        if left and (last.get("orderby"), last.get("page")) == (orderby, str(page)):
            left.pop()()

    shop.before_answer = look


def seen_in_two_polls(shop: Shop) -> set[tuple[int, int]]:
    first, cursor = poll(shop, overlap=0)
    shop.before_answer = lambda: None
    return {version(change) for change in [*first, *poll(shop, cursor, overlap=0)[0]]}


def test_one_comes_and_one_goes_while_their_second_lasts() -> None:
    """Their number stays the same, and the one that came stands on a page that was read before it came."""
    shop = Shop()
    for order_id in range(10, 22):
        shop.put(order_id)

    def happens() -> None:
        shop.put(10, status="trash")
        shop.put(1)
        shop.put(99, at=START + seconds(1))  # and the walk goes on to the next second

    once_after(shop, "id", 1, happens)
    seen = seen_in_two_polls(shop)
    assert newest(shop) <= seen
    assert 1 in shop.orders


def test_a_second_that_lasts_is_read_again_before_it_is_passed() -> None:
    """The last of it comes after its last page, and before the walk goes on to the next second."""
    shop = Shop()
    for order_id in range(1, 13):
        shop.put(order_id)

    def happens() -> None:
        shop.put(13)
        shop.put(14, at=START + seconds(1))

    once_after(shop, "id", 3, happens)
    changes, cursor = poll(shop, overlap=0)
    assert newest(shop) <= {version(change) for change in changes}
    assert cursor == "any=2026-11-22T12:00:01;trash=2026-10-23T12:00:00"


def test_a_second_that_lasts_is_where_the_next_run_begins() -> None:
    shop = Shop()
    for order_id in range(1, 13):
        shop.put(order_id)
    changes, cursor = poll(shop, overlap=0)
    assert len(changes) == 12
    assert cursor == "any=2026-11-22T12:00:00;trash=2026-10-23T12:00:00"
    shop.put(13)
    shop.put(14, at=START + seconds(1))
    later, _ = poll(shop, cursor, overlap=0)
    assert {13, 14} <= {version(change)[0] for change in later}


def test_an_order_that_changes_twice_within_a_second_is_told_twice() -> None:
    shop = Shop()
    for order_id in range(1, 7):
        shop.put(order_id, at=START - seconds(7 - order_id))

    def happens() -> None:
        shop.put(5, at=START - seconds(2))  # again, in the second in which it was read
        shop.put(7, at=START)

    once_after(shop, "modified", 1, happens)
    seen = seen_in_two_polls(shop)
    assert newest(shop) <= seen
    assert 7 in shop.orders


@pytest.mark.parametrize("of_one_second", range(5))
def test_without_totals_one_that_leaves_hides_no_other(of_one_second: int) -> None:
    """It moves the first row of the next page to the page that was read already, and no number tells."""
    shop = Shop(of_one_second)  # how the shop orders them
    shop.drop_totals = True
    for order_id in range(1, 43):
        shop.put(order_id)
    shop.put(100, at=START + seconds(1))
    once_after(shop, "id", 1, lambda: shop.put(3, at=START + seconds(2)))
    seen = seen_in_two_polls(shop)
    assert newest(shop) <= seen
    assert shop.orders[3]["version_of_test"] == 44


@pytest.mark.parametrize("round_", range(40))
def test_nothing_is_missed_while_the_shop_changes(round_: int, seed: int) -> None:
    """Orders are created, changed, trashed and restored between any two requests; the reader may stop after any page
    and go on from that page's cursor. In the end each order's newest state was seen."""
    dice = random.Random(f"{seed}/{round_}")
    shop = Shop(seed)
    shop.drop_totals = round_ % 4 == 3
    for order_id in range(1, dice.choice((3, 30, 60))):
        shop.put(order_id, at=START - seconds(dice.choice((0, 0, 0, 1, 1, 2, 5, 400))))
    shop.clock.moment = START + seconds(2)

    def change_something() -> None:
        for _ in range(dice.choice((0, 0, 1, 1, 2, 6))):
            shop.clock.moment += seconds(dice.choice((0, 0, 0.3, 1)))
            status = dice.choice(("processing", "processing", "completed", "trash"))
            shop.put(dice.randrange(1, 70), status=status)

    shop.before_answer = change_something
    seen: set[tuple[int, int]] = set()
    cursor: str | None = None
    for _ in range(dice.randrange(1, 6)):  # polls that are cut short: only the cursor of the last page survives
        stop_after = dice.randrange(1, 8)
        with contextlib.suppress(RetryLater):  # "orders change faster than they can be read": the next poll goes on
            for number, page in enumerate(shop.connector(overlap=0).changes_since(cursor), 1):
                seen |= {version(change) for change in page.changes}
                cursor = page.cursor
                if number == stop_after:
                    break
    shop.before_answer = lambda: None
    shop.clock.moment += seconds(5)
    changes, _ = poll(shop, cursor, overlap=0)
    seen |= {version(change) for change in changes}
    assert newest(shop) <= seen


def test_backfill_is_by_the_day_placed_and_half_open() -> None:
    shop = Shop()
    for hour in range(30):
        shop.put(100 + hour, at=START - timedelta(hours=hour))
    shop.put(110, at=START + timedelta(days=1))  # changed since; placed ten hours before
    pages = list(shop.connector().orders_between(START - timedelta(hours=20), START - timedelta(hours=10)))
    found = [change.key.id for page in pages for change in page.changes]
    assert found == [str(100 + hour) for hour in range(20, 10, -1)]
    assert pages[0].total is not None


def test_backfill_within_one_second() -> None:
    shop = Shop()
    for order_id in range(1, 40):
        shop.put(order_id)
    since = START.astimezone(UTC)
    found = {
        change.key.id for page in shop.connector().orders_between(since, since + seconds(1)) for change in page.changes
    }
    assert len(found) == 39
    assert not list(shop.connector().orders_between(since + seconds(0.5), since + seconds(1)))


def test_clock_of_the_shop_decides_not_ours() -> None:
    """Our clock may be wrong by hours: after the first poll only the shop's own times count."""
    shop = Shop()
    shop.put(1)
    _, cursor = poll(shop)
    shop.clock.moment = datetime(2031, 1, 1, tzinfo=UTC)
    shop.put(2, at=START + seconds(1))
    changes, _ = poll(shop, cursor)
    assert "2" in {change.key.id for change in changes}
