"""The screen of problems: given to somebody, snoozed and folded away, noted, known of, skipped with a reason; and what has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from core.rights import Role
from ledger import tables as t
from ledger.failing import Failing, Look
from pipelines import spells
from pipelines.buyers import Buyers
from tests.orders import order
from tests.people import logged_in, somebody
from tests.world import SkippingClock, World, crm

PROBLEM = re.compile(r'data-key="problem-([0-9a-f]{16})"')


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


@pytest.fixture
def client(world: World) -> TestClient:
    return strict(logged_in(world.app(lambda: None), Role.OPERATOR, "Olga"))


def strict(client: TestClient) -> TestClient:
    client._transport.raise_server_exceptions = True
    return client


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, status: int = 303, **fields: str) -> str:
    """Where it leads after a button worked; the page where it did not."""
    answer = client.post(path, data=fields)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.headers["location"] if status == 303 else answer.text)


def held(world: World, *numbers: int) -> None:
    for number in numbers:
        world.carry(order(number, total="1.00"))


def follow(world: World) -> None:
    spells.follow(world.ledger, Buyers(world.context))


def aside(text: str) -> str:
    """What is folded away."""
    found = re.search(r'<details class="fold".*?</details>\s*(?=<section|</div>)', text, re.DOTALL)
    return found.group(0) if found else ""


def skip_time(world: World, seconds: float) -> None:
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(seconds)


def test_many_problems_without_amounts_cost_no_more_looks_than_one(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, really = list[int](), Failing._look

    def counted(failing: Failing) -> Look:
        looks.append(1)
        return really(failing)

    monkeypatch.setattr(Failing, "_look", counted)
    cost = []
    for number in range(1001, 1005):
        held(world, number)
        job = t.job.c
        cause = {"amount": "", "currency": "", "error_class": f"cause {number}", "updated_at": job.updated_at + 1}
        world.ledger.db.execute(sa.update(t.job).where(job.record_id == str(number)).values(**cause))
        looks.clear()
        text = get(client, "/problems")
        assert len(set(PROBLEM.findall(text))) == number - 1000
        assert text.count("1.00\N{NO-BREAK SPACE}EUR") >= number - 1000, "read from the records"
        cost.append(len(looks))
    assert cost == [cost[0]] * 4


def test_a_row_tells_how_many_whose_how_much_since_when_and_who_sees_to_it(world: World, client: TestClient) -> None:
    held(world, 1001, 1002)
    follow(world)
    text = get(client, "/problems")
    (problem,) = PROBLEM.findall(text)
    for said in (
        "2 orders",
        "1 customer",
        "money",
        "2.00\N{NO-BREAK SPACE}EUR",
        "since",
        "What to do:",
        "For example:",
    ):
        assert said in text, said
    assert "with Olga" not in text
    me = somebody(world.ledger, Role.OPERATOR, "Olga")
    assert post(client, f"/problems/{problem}/assign", person=str(me.id), to="/problems") == "/problems"
    for path in ("/problems", f"/problems/{problem}", "/", "/problems?whose=mine"):
        assert "with Olga" in get(client, path), path
    post(client, f"/problems/{problem}/assign", person="")
    assert "with Olga" not in get(client, "/problems")
    assert "None of the open problems is yours" in get(client, "/problems?whose=mine")


def test_a_snoozed_problem_is_folded_away_and_counted_as_ever(world: World, client: TestClient) -> None:
    held(world, 1001)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    assert post(client, f"/problems/{problem}/snooze", choice="1h", zone="Europe/Rome") == "/problems"
    text = get(client, "/problems")
    assert "1 problem stands aside" in text
    assert problem in aside(text)
    assert "Nothing needs a look now" in text
    assert "held" in get(client, "/jobs")
    assert world.ledger.jobs.counts()["held"] == 1
    assert "All is well" not in get(client, "/"), "an order is held"
    assert "snoozed until" in get(client, "/")
    assert "Olga: snoozed" in get(client, f"/problems/{problem}")
    skip_time(world, 3601)
    text = get(client, "/problems")
    assert problem in text
    assert not aside(text)
    follow(world)
    assert "is back from its snooze – <bdi>its time has come</bdi>" in get(client, f"/problems/{problem}")


def test_the_home_page_lists_first_what_is_not_snoozed(world: World, client: TestClient) -> None:
    held(world, 1001, 1002)
    world.deliver_raw(b"no JSON")
    first, second = PROBLEM.findall(get(client, "/"))
    post(client, f"/problems/{first}/snooze", choice="4h")
    assert PROBLEM.findall(get(client, "/")) == [second, first]


@pytest.mark.parametrize(
    "fields", [{"choice": "at", "at": ""}, {"choice": "yesterday"}, {"choice": "at", "at": "2020-01-01T08:00"}]
)
def test_a_time_that_is_none_or_past_is_refused(world: World, client: TestClient, fields: dict[str, str]) -> None:
    held(world, 1001)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    assert "What to do:" in post(client, f"/problems/{problem}/snooze", 409, zone="Mars/Olympus", **fields)
    assert not aside(get(client, "/problems"))


@pytest.mark.parametrize("zone", ["Europe/Rome", "", "Europe", "../../etc/passwd", "Nowhere/Land", "\x00"])
def test_any_zone_is_survived(world: World, client: TestClient, zone: str) -> None:
    held(world, 1001)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    post(client, f"/problems/{problem}/snooze", choice="tomorrow", zone=zone)
    assert problem in aside(get(client, "/problems"))


def test_all_are_skipped_after_a_look_with_a_reason_and_the_number(world: World, client: TestClient) -> None:
    held(world, 1001, 1002)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    preview = get(client, f"/problems/{problem}/skip")
    for said in ("Skip all 2 orders?", "2.00\N{NO-BREAK SPACE}EUR", "Type 2."):
        assert said in preview, said
    again = post(client, f"/problems/{problem}/skip", 422, reason="a test", number="3")
    assert "Type the number of orders: 2." in again
    assert 'value="a test"' in again, "what was written stays"
    assert "A reason is missing" in post(client, f"/problems/{problem}/skip", 409, reason=" ", number="2")
    assert world.ledger.jobs.counts()["held"] == 2
    where = post(client, f"/problems/{problem}/skip", reason="a test of the shop", number=" 2 ")
    text = get(client, where)
    for said in ("Skip all: shop-orders: money", "2 of 2", "Reason: a test of the shop", "2 jobs skipped.", "Olga"):
        assert said in text, said
    assert world.job("shop/order/1001").state == "skipped"
    follow(world)
    text = get(client, "/problems")
    assert "No problem is open" in text
    assert "Recently ended" in text
    assert "skipped by Olga: a test of the shop" in text
    text = get(client, f"/problems/{problem}")
    assert "This problem is gone" in text
    assert "skipped by Olga: a test of the shop" in text
    assert post(client, f"/problems/{problem}/skip", reason="again", number="2") == "/problems"


def test_a_group_that_was_retried_is_told_with_its_run(world: World, client: TestClient) -> None:
    held(world, 1001)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    where = post(client, f"/problems/{problem}/retry")
    world.deliver(order(1001, date_modified_gmt="2026-12-01T00:00:00"))
    world.drain()
    follow(world)
    text = get(client, "/problems")
    assert f'resolved by retry, <a href="{where}">' in text
    assert "by Olga" in text


def test_an_outage_is_known_of_and_not_skipped(world: World, client: TestClient) -> None:
    world.deliver(order(1001))
    world.ledger.states.block("crm", 600, error_class="timeout", reason="It does not answer. What to do: wait.")
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    text = get(client, f"/problems/{problem}")
    assert f"/problems/{problem}/skip" not in text
    assert "not skipped together" in get(client, f"/problems/{problem}/skip")
    assert "follow by themselves" in post(client, f"/problems/{problem}/skip", 409, reason="a test", number="1")
    assert world.job("shop/order/1001").state == "waiting"
    post(client, f"/problems/{problem}/acknowledge", reason="maintenance until ten")
    assert "Olga knows of it: maintenance until ten" in aside(get(client, "/problems"))


def test_notes_are_plain_text(world: World, client: TestClient) -> None:
    held(world, 1001)
    (problem,) = PROBLEM.findall(get(client, "/problems"))
    post(client, f"/problems/{problem}/note", text="<script>alert(1)</script>\nsecond line")
    text = get(client, f"/problems/{problem}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nsecond line" in text
    assert "Olga: wrote a note" in text
    assert "between 1 and 2000" in post(client, f"/problems/{problem}/note", 409, text=" ")


ACTIONS = ("snooze", "wake", "assign", "acknowledge", "note", "skip", "retry")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_sees_and_may_change_nothing(world: World, client: TestClient, action: str) -> None:
    held(world, 1001)
    viewer = strict(logged_in(world.app(lambda: None), Role.VIEWER, "Vera"))
    (problem,) = PROBLEM.findall(get(viewer, "/problems"))
    for path in ("/problems", f"/problems/{problem}"):
        assert f'action="/problems/{problem}/' not in get(viewer, path)
        assert f'href="/problems/{problem}/{action}"' not in get(viewer, path)
    fields: dict[str, Any] = {"choice": "1h", "reason": "r", "number": "1", "text": "t", "person": "1"}
    assert viewer.post(f"/problems/{problem}/{action}", data=fields).status_code == 403
    care = world.ledger.care.get(problem)
    assert (care.snoozed_until, care.assignee_id, care.acknowledged_at) == (None, None, None)
    assert world.ledger.care.remarks(problem) == []
    assert world.job("shop/order/1001").state == "held"


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_gone_is_told_and_no_error_of_ours(client: TestClient, action: str) -> None:
    fields = {"choice": "1h", "reason": "r", "number": "1", "text": "t", "person": ""}
    answer = client.post(f"/problems/{'0' * 16}/{action}", data=fields)
    assert answer.status_code in {303, 404}, answer.text[:500]
