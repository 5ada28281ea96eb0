"""Taking care of problems and of schedules by API: as on the pages, with the same words when it makes no sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi.testclient import TestClient

from core.rights import Role
from tests import api_desk
from tests.api_desk import V1, get, post
from tests.orders import order
from tests.people import somebody
from tests.world import World

world, client = api_desk.world, api_desk.client


def held(world: World, client: TestClient) -> str:
    """A problem of three orders."""
    for id in (1001, 1002, 1003):
        world.carry(order(id, currency="CHF"))
    (one,) = get(client, "/problems")["data"]
    return str(one["id"])


def test_a_problem_is_given_to_somebody_snoozed_and_noted(world: World, client: TestClient) -> None:
    id = held(world, client)
    somebody(world.ledger, Role.VIEWER, "Vera")
    assert get(client, "/assignees")["data"] == [{"name": "a operator"}]
    assert post(client, f"/problems/{id}/assign", {"to": "A OPERATOR"})["assignee"] == "a operator"
    post(client, f"/problems/{id}/assign", {"to": "Vera"}, 409)
    post(client, f"/problems/{id}/assign", {}, 422)
    assert post(client, f"/problems/{id}/assign", {"to": None})["assignee"] == ""
    now = world.context.clock.now()
    snoozed = post(client, f"/problems/{id}/snooze", {"until": (now + timedelta(days=1)).isoformat()})
    assert snoozed["quiet"]
    assert snoozed["snoozed_until"].endswith("Z")
    for wrong in (-1, 93):
        post(client, f"/problems/{id}/snooze", {"until": (now + timedelta(days=wrong)).isoformat()}, 409)
    assert post(client, f"/problems/{id}/wake")["snoozed_until"] is None
    post(client, f"/problems/{id}/wake", status=409)
    note = post(client, f"/problems/{id}/notes", {"text": "Ask ada@office.example.\nToday."}, 201)
    assert note["text"] == "Ask [e-mail].\nToday.", "what people write may be about customers"
    assert get(client, f"/problems/{id}/notes")["data"] == [note]
    assert note["by"] == "a operator (token nightly)"
    post(client, f"/problems/{id}/notes", {"text": " \n "}, 422)
    actions = {one.action for one in world.ledger.audit.list(subject=f"problem/{id}")}
    assert actions == {"problem.assign", "problem.snooze", "problem.wake", "problem.note"}


def test_all_of_a_problem_is_skipped_by_its_very_number_and_it_is_told_how_it_ended(
    world: World, client: TestClient
) -> None:
    id = held(world, client)
    assert get(client, f"/problems/{id}/skip")["jobs"] == 3
    post(client, f"/problems/{id}/skip", {"reason": "tests", "jobs": 2}, 409)
    post(client, f"/problems/{id}/skip", {"jobs": 3}, 422)
    made = post(client, f"/problems/{id}/skip", {"reason": "tests", "jobs": 3}, 202)
    assert (made["what"], made["done"]) == ("skip", 3)
    assert world.job("shop/order/1001").state == "skipped"
    assert get(client, "/problems")["data"] == []
    for path, body in (
        ("snooze", {"until": "2999-01-01T00:00:00Z"}), ("wake", None), ("assign", {"to": None}), ("acknowledge", {"reason": "x"}),
        ("notes", {"text": "x"}), ("skip", {"reason": "x", "jobs": 3}),
    ):  # fmt: skip
        post(client, f"/problems/{id}/{path}", body, 404)


def test_an_outage_that_somebody_knows_of_stands_aside(world: World, client: TestClient) -> None:
    world.fill_index()
    world.faults(connection_closed=1.0)
    for id in (1001, 1002):
        world.deliver(order(id))
    world.drain(fill=False)
    (one,) = get(client, "/problems")["data"]
    assert one["outage"]
    assert get(client, f"/problems/{one['id']}")["amounts"], "also of orders that nobody has tried yet"
    assert post(client, f"/problems/{one['id']}/acknowledge", {"reason": "upgrade"})["quiet"]
    post(client, f"/problems/{one['id']}/skip", {"reason": "x", "jobs": 2}, 409)
    world.faults(connection_closed=0.0)
    post(client, f"/problems/{one['id']}/retry", {"at_most": 2}, 202)
    world.drain()
    assert get(client, "/problems")["data"] == []


def test_ended_problems_are_told(world: World, client: TestClient) -> None:
    id = held(world, client)
    world.ledger.care.see([one.problem for one in _open(world)])
    post(client, f"/problems/{id}/skip", {"reason": "tests", "jobs": 3}, 202)
    from ledger.care import End

    spell = world.ledger.care.spell(id)
    assert spell is not None
    assert world.ledger.care.end(spell, End("skipped", "Olga", "tests"))
    (ended,) = get(client, "/problems-ended")["data"]
    assert (ended["id"], ended["ending"], ended["ended_by"], ended["most"]) == (id, "skipped", "Olga", 3)


def _open(world: World) -> Any:
    from pipelines import caring

    return caring.look(world.ledger)


def test_a_schedule_rests_until_a_time_and_tells_its_rounds(world: World, client: TestClient) -> None:
    for _ in range(3):
        world.ledger.schedules.run_now("poll/shop")
        world.ledger.schedules.start_if_due("poll/shop", every=0, lease=60)
        world.ledger.schedules.ended("poll/shop", "2 changed")
    found = get(client, "/schedules/poll/shop")
    assert found["may_rest"]
    assert [one["number"] for one in found["rounds"]] == sorted(
        (one["number"] for one in found["rounds"]), reverse=True
    )
    assert found["rounds"][0]["outcome"] == "2 changed"
    until = world.context.clock.now() + timedelta(hours=1)
    paused = post(client, "/schedules/poll/shop/pause", {"until": until.isoformat(), "reason": "upgrade"})
    assert (paused["paused"], paused["paused_why"]) == (True, "upgrade")
    assert paused["paused_by"] == "a operator (token nightly)"
    assert post(client, "/schedules/poll/shop/pause", {})["paused_until"] is None
    post(client, "/schedules/poll/shop/pause", {"until": "2001-01-01T00:00:00Z"}, 409)
    assert post(client, "/schedules/poll/shop/resume")["paused"] is False
    post(client, "/schedules/poll/nothing/pause", {}, 404)
    post(client, "/schedules/poll/nothing/resume", status=404)
    assert client.get(f"{V1}/schedules/poll/nothing").status_code == 404
    actions = [one.action for one in world.ledger.audit.list(subject="schedule/poll/shop")]
    assert actions == ["schedule.resume", "schedule.pause", "schedule.pause"]
