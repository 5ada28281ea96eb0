"""Runs, questions for people, and workers by API."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from ledger.processes import Beat
from ledger.reviews import Candidate
from ledger.runs import Item
from tests import api_desk
from tests.api_desk import V1, get, post
from tests.world import World

world, client = api_desk.world, api_desk.client


def walked(client: TestClient, path: str) -> list[Any]:
    """All parts of a list."""
    found, where = [], f"{V1}{path}"
    while where:
        part = get(client, where)
        found += part["data"]
        where = part["next"]
    return found


def test_runs_are_listed_looked_into_stopped_and_gone_on_with(world: World, client: TestClient) -> None:
    runs = world.ledger.runs
    made = [
        runs.begin("rehearse", "shop-orders", {"carried": True, "n": n}, by="Olga", state="queued") for n in range(5)
    ]
    runs.put(
        made[0].id,
        [Item(f"shop/order/{n}", "post", str(n), "12.50", "EUR", "Ask ada@office.example") for n in range(5)],
    )
    assert [one["id"] for one in walked(client, "/runs?limit=2&kind=rehearse")] == [one.id for one in reversed(made)]
    assert walked(client, "/runs?state=done") == []
    records = walked(client, f"/runs/{made[0].id}/records?limit=2")
    assert [one["record"] for one in records] == [f"shop/order/{n}" for n in range(5)]
    assert records[0]["amount"] == {"amount": "12.50", "currency": "EUR"}
    assert records[0]["reason"] == "Ask [e-mail]"
    assert get(client, f"/runs/{made[0].id}")["actions"] == ["stop"]
    assert post(client, f"/runs/{made[0].id}/stop")["state"] == "stopped"
    post(client, f"/runs/{made[0].id}/stop", status=409)
    assert post(client, f"/runs/{made[0].id}/go-on")["state"] == "queued"
    post(client, "/runs/4711/stop", status=404)
    assert [one.action for one in world.ledger.audit.list(subject=f"run/{made[0].id}")] == ["run.go_on", "run.stop"]


def test_what_takes_records_back_is_not_gone_on_with_by_those_who_may_not_begin_it(
    world: World, client: TestClient
) -> None:
    run = world.ledger.runs.begin("undo", "shop-orders", {"carried": True}, by="Olga", state="stopped")
    assert "role" in post(client, f"/runs/{run.id}/go-on", status=403)["detail"]
    assert get(client, f"/runs/{run.id}")["state"] == "stopped"


def test_a_rehearsal_is_queued_and_not_twice(world: World, client: TestClient) -> None:
    made = post(client, "/flows/shop-orders/rehearse", {"days": 30}, 202)
    assert (made["kind"], made["state"]) == ("rehearse", "queued")
    assert world.ledger.audit.list(action="run.rehearse")[0].actor == "a operator (token nightly)"
    post(client, "/flows/shop-orders/rehearse", {"days": 30}, 409)
    post(client, "/flows/nothing/rehearse", {"days": 30}, 404)
    post(client, "/flows/shop-orders/rehearse", {"days": 0}, 422)


def test_a_question_is_answered_and_the_answer_taken_back(world: World, client: TestClient) -> None:
    for n in range(3):
        candidates = [Candidate("6x99", "SO99", "Ada, ada@office.example", 80, ("same number",))]
        world.ledger.reviews.offer("crm", "order", f"shop/order/{n}", f"order {n}", candidates)
    found = walked(client, "/reviews?limit=2")
    assert [one["key"] for one in found] == [f"shop/order/{n}" for n in range(3)]
    assert found[0]["candidates"][0]["label"] == "Ada, [e-mail]"
    assert found[0]["best"] == 80
    id = found[0]["id"]
    for body in ({"decision": "link"}, {"decision": "new", "remote_id": "6x99"}):
        post(client, f"/reviews/{id}/decide", body, 409)
    post(client, f"/reviews/{id}/decide", {"decision": "perhaps"}, 422)
    decided = post(client, f"/reviews/{id}/decide", {"decision": "new", "note": "not ours"})
    assert (decided["decision"], decided["decided_by"]) == ("new", "a operator (token nightly)")
    assert [one["id"] for one in walked(client, "/reviews?state=decided")] == [id]
    assert get(client, f"/reviews/{id}")["note"] == "not ours"
    assert post(client, f"/reviews/{id}/undo")["decision"] == ""
    post(client, f"/reviews/{id}/undo", status=409)
    post(client, "/reviews/4711/decide", {"decision": "new"}, 404)
    actions = [one.action for one in world.ledger.audit.list(subject=f"review/{id}")]
    assert actions == ["review.undo", "review.decide"]


def test_who_is_at_work(world: World, client: TestClient) -> None:
    assert get(client, "/workers")["processes"] == []
    world.ledger.processes.beat(Beat("here:1:x", "worker", "0.1.0", 4))
    found = get(client, "/workers")
    assert found["nobody"] is False
    assert [(one["role"], one["threads"], one["gone"]) for one in found["processes"]] == [("worker", 4, False)]
    assert {one["name"] for one in found["queues"]} == {"rush", "live", "sync", "backfill"}
