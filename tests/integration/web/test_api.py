"""What programs get and do: the same as people on the pages, by the same services, refused where it makes no sense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from core.rights import Role
from ledger import tables as t
from ledger.alerts import Condition
from pipelines import bulk
from tests.desk import HOSTILE
from tests.orders import order, person
from tests.programs import program
from tests.world import SkippingClock, World, crm

V1 = "/api/v1"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


@pytest.fixture
def rung() -> list[str]:
    return []


@pytest.fixture
def client(world: World, rung: list[str]) -> TestClient:
    made = program(world.app(lambda: rung.append("rung")), role=Role.ADMIN)
    made._transport.raise_server_exceptions = True  # a bug fails with its own words
    return made


def unbalanced(id: int, **over: Any) -> dict[str, Any]:
    return order(id, total="1.00", **over)


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(f"{V1}{path}", params=params)
    assert answer.status_code == 200, answer.text[:2000]
    return answer.json()


def post(client: TestClient, path: str, status: int = 200, params: dict[str, Any] | None = None, **body: Any) -> Any:
    answer = client.post(f"{V1}{path}", json=body or None, params=params)
    assert answer.status_code == status, answer.text[:2000]
    if status >= 400:
        problem(answer, status)
    return answer.json()


def problem(answer: Any, status: int) -> dict[str, Any]:
    """Every refusal has this form."""
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code == status
    assert found["type"].startswith("urn:orderwire:problem:")
    assert found["title"]
    assert "What to do:" in found["detail"]
    return found


def notes(world: World, action: str) -> list[Any]:
    return list(world.ledger.audit.list(action=action))


# -- looking -----------------------------------------------------------------------------------------------------------


def test_how_everything_stands(world: World, client: TestClient) -> None:
    world.carry(unbalanced(1001))
    world.carry(order(1002))
    found = get(client, "/status")
    assert found["well"] is False
    assert found["jobs"]["held"] == found["jobs"]["settled"] == found["problems"] == 1
    assert set(found["connections"]) == {"shop", "shop2", "crm"}
    assert found["now"].endswith("Z")
    assert datetime.fromisoformat(found["now"]).tzinfo == UTC


def test_a_job_is_told_with_money_as_text_and_every_attempt(world: World, client: TestClient) -> None:
    held, settled = world.carry(unbalanced(1001)), world.carry(order(1002))
    one = get(client, f"/jobs/{settled.id}")
    assert one["total"] == {"amount": order(1002)["total"], "currency": "EUR"}
    assert one["state"] == "settled"
    assert one["actions"] == ["dry-run", "retry"]
    assert [attempt["outcome"] for attempt in one["attempts"]] == ["settled"]
    assert any(call["write"] and call["connection"] == "crm" for call in one["attempts"][0]["calls"])
    one = get(client, f"/jobs/{held.id}")
    assert "What to do:" in one["reason"]
    assert one["actions"] == ["dry-run", "edit", "retry", "skip"]
    assert one["problem"] == get(client, "/problems")["data"][0]["id"]


def test_parts_of_the_list_lose_and_repeat_nothing_and_keep_the_filter(world: World, client: TestClient) -> None:
    for id in range(1, 24):
        world.deliver(order(id))
    changed = sa.update(t.job).values(updated_at=1, state=sa.case((t.job.c.id % 3 == 0, "held"), else_="waiting"))
    with world.ledger.db.write() as connection:  # all in the same moment
        connection.execute(changed)
    for params in ({}, {"state": "held"}, {"state": "waiting"}, {"q": "state:held flow:shop-orders"}):
        seen, path, parts = [], "/jobs", 0
        given: dict[str, Any] = {**params, "limit": 4}
        while path:
            answer = client.get(path if parts else f"{V1}{path}", params=None if parts else given)
            assert answer.status_code == 200, answer.text
            found, parts = answer.json(), parts + 1
            seen += [job["id"] for job in found["data"]]
            path = found["next"]
        held = "held" in str(params)
        wanted = [n for n in range(1, 24) if not params or (n % 3 == 0) == held]
        assert sorted(seen) == wanted, params
        assert parts == -(-len(wanted) // 4)


def test_one_number_may_name_more_jobs_than_a_part_holds(world: World, client: TestClient) -> None:
    for shop in ("shop", "shop2"):
        for id in (1, 2):
            world.deliver(order(id, number="1001"), shop=shop)
    first = get(client, "/jobs", q="1001", limit=3)
    second = client.get(first["next"]).json()
    assert len(first["data"]) == 3
    assert len({job["id"] for job in (*first["data"], *second["data"])}) == 4
    assert second["next"] is None


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"state": "nonsense"}, "state"),
        ({"q": "state:nonsense"}, "q"),
        ({"q": "since:tomorrow"}, "q"),
        ({"since": "tomorrow"}, "since"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"after": "x"}, "after"),
        ({"after": "s.1"}, "after"),
        ({"stat": "held"}, "stat"),
        ({"flow": "a\0b"}, "flow"),
        ({"state": ["held", "waiting"]}, "state"),
    ],
)
def test_what_a_list_cannot_be_asked_is_named(client: TestClient, params: dict[str, Any], name: str) -> None:
    found = problem(client.get(f"{V1}/jobs", params=params), 422)
    assert [one["name"] for one in found["errors"]] == [name]
    assert found["errors"][0]["in"] == "query"


def test_where_an_order_is(world: World, client: TestClient) -> None:
    world.carry(order(77, number="W-1001"))
    there = world.order("W-1001")["salesorder_no"]
    found: dict[str, Any] = {}
    for name in ("W-1001", "77", "shop/order/77", "shop%2Forder%2F77", there):
        (found,) = get(client, f"/orders/{name}")["data"]
        assert found["record"] == "shop/order/77"
        assert there in {place["number"] for place in found["places"]}
        assert [job["state"] for job in found["jobs"]] == ["settled"]
    delivery = get(client, f"/deliveries/{found['deliveries'][0]['id']}")
    assert '"W-1001"' in delivery["text"]
    assert "ada@office.example" not in delivery["text"]
    for path in (
        "/orders/nothing",
        f"/deliveries/{2**52}",
        "/jobs/4711",
        f"/bulk/{2**53 - 1}",
        "/flows/x",
        "/connections/x",
    ):
        problem(client.get(V1 + path), 404)
    problem(client.get(f"{V1}/jobs/{2**53}"), 422)


def test_hostile_texts_travel_as_text(world: World, client: TestClient) -> None:
    for at, text in enumerate((*HOSTILE, "half a \ud83d character")):
        billing = person("Kern", first_name=text, company=text)
        made = unbalanced(at + 1, billing=billing, number=f"{at} {text}", customer_note=text)
        world.deliver_raw(json.dumps(made).encode())
    world.drain()
    for job in get(client, "/jobs")["data"]:
        answer = client.get(f"{V1}/jobs/{job['id']}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        (found,) = get(client, f"/orders/{job['record']}")["data"]
        get(client, f"/deliveries/{found['deliveries'][0]['id']}")
        draft = get(client, f"/jobs/{job['id']}/edit")
        mended = draft["text"].replace('"1.00"', f'"{order(1)["total"]}"')
        checked = post(client, f"/jobs/{job['id']}/edit/check", version=draft["version"], text=mended)
        assert [one["path"] for one in checked["differences"]] == ["total"], "what was not touched stays what it was"


def test_nothing_personal_leaves_by_any_address(world: World, client: TestClient) -> None:
    world.carry(unbalanced(1001))
    world.carry(order(1002))
    world.ledger.audit.note("Olga", "login", "Olga", {"to": "ada@office.example"}, "192.0.2.77")
    paths = ["/jobs", "/jobs/1", "/jobs/2", "/jobs/1/edit", "/orders/1001", "/deliveries/1", "/audit", "/problems"]
    for path in paths:
        text = client.get(V1 + path).text
        for secret in ("ada@office.example", "+49 30 901820", "192.0.2.77"):
            assert secret not in text, path


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_a_retry_runs_at_once_and_the_audit_names_token_and_owner(
    world: World, client: TestClient, rung: list[str]
) -> None:
    held = world.carry(unbalanced(1001))
    assert post(client, f"/jobs/{held.id}/retry")["state"] == "waiting"
    assert rung == ["rung"]
    (note,) = notes(world, "job.retry")
    assert (note.actor, note.subject) == ("a admin (token nightly)", f"job/{held.id}")
    assert get(client, "/audit", action="job.retry")["data"][0]["actor"] == "a admin (token nightly)"


def test_a_skip_needs_a_reason_and_a_state_that_allows_it(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    for body in (
        {},
        {"reason": ""},
        {"reason": "  "},
        {"reason": "x" * 501},
        {"reason": "a\0b"},
        {"reason": "x", "why": "y"},
    ):
        answer = client.post(f"{V1}/jobs/{held.id}/skip", json=body)
        assert problem(answer, 422)["errors"][0]["in"] == "body"
    assert world.job("shop/order/1001").state == "held"
    assert post(client, f"/jobs/{held.id}/skip", reason="typed by hand")["state"] == "skipped"
    again = post(client, f"/jobs/{held.id}/skip", 409, reason="again")
    assert again["type"] == "urn:orderwire:problem:refused"
    assert len(notes(world, "job.skip")) == 1


def test_what_runs_offers_nothing_and_nothing_is_taken(world: World, client: TestClient) -> None:
    world.deliver(order(1001))
    claim = world.ledger.jobs.claim("w")
    assert claim is not None
    assert get(client, f"/jobs/{claim.id}")["actions"] == []
    post(client, f"/jobs/{claim.id}/retry", 409)
    post(client, f"/jobs/{claim.id}/dry-run", 409)
    post(client, f"/jobs/{claim.id}/skip", 409, reason="x")
    problem(client.get(f"{V1}/jobs/{claim.id}/edit"), 409)
    assert not [note for note in world.ledger.audit.list() if note.action.startswith("job.")]


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(world: World, client: TestClient) -> None:
    world.fill_index()
    world.deliver(order(1001))
    found = post(client, f"/jobs/{world.job('shop/order/1001').id}/dry-run")
    assert found["verdict"] == "post"
    assert found["total"]["amount"] == order(1001)["total"]
    assert found["writes"]
    assert world.job("shop/order/1001").state == "waiting"
    assert not world.ledger.links.get("crm", "order", "shop/order/1001")


def test_a_held_order_is_mended(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    draft = get(client, f"/jobs/{held.id}/edit")
    mended = draft["text"].replace('"1.00"', f'"{order(1001)["total"]}"')
    given = {"version": draft["version"], "text": mended}
    assert post(client, f"/jobs/{held.id}/edit/check", **given)["total"]["amount"] == order(1001)["total"]
    wrong = post(client, f"/jobs/{held.id}/edit/check", 422, version=draft["version"], text="{")
    assert wrong["errors"][0]["name"] == "text"
    post(client, f"/jobs/{held.id}/edit", 409, **{**given, "version": draft["version"] + 1}, reason="wrong total")
    post(client, f"/jobs/{held.id}/edit", 422, **given)
    assert not notes(world, "job.edit")
    post(client, f"/jobs/{held.id}/edit", **given, reason="wrong total")
    world.drain()
    assert world.job("shop/order/1001").state == "settled"
    assert notes(world, "job.edit")[0].facts["reason"] == "wrong total"


# -- many --------------------------------------------------------------------------------------------------------------


def test_a_problem_is_retried_after_a_look_at_how_many_that_are(world: World, client: TestClient) -> None:
    for id in (1001, 1002, 1003):
        world.carry(order(id, currency="CHF"))  # a currency that the CRM has not
    (one,) = get(client, "/problems")["data"]
    total = str(sum(Decimal(order(id)["total"]) for id in (1001, 1002, 1003)))
    assert (one["count"], one["amounts"]) == (3, [{"amount": total, "currency": "CHF"}])
    assert get(client, f"/problems/{one['id']}")["samples"][0]["number"] == "1003"
    preview = get(client, f"/problems/{one['id']}/retry")
    assert preview["jobs"] == 3
    refused = post(client, f"/problems/{one['id']}/retry", 409, at_most=2)
    assert "3 jobs by now" in refused["detail"]
    post(client, f"/problems/{one['id']}/retry", 422)
    assert not notes(world, "bulk.retry")
    made = post(client, f"/problems/{one['id']}/retry", 202, at_most=preview["jobs"])
    assert (made["jobs"], made["done"], made["by"]) == (3, 3, "a admin (token nightly)")
    assert get(client, f"/bulk/{made['id']}")["state"] == "done"
    assert notes(world, "bulk.retry")[0].actor == "a admin (token nightly)"
    problem(client.get(f"{V1}/problems/{one['id']}"), 404)
    post(client, f"/problems/{one['id']}/retry", 404, at_most=3)
    problem(client.get(f"{V1}/problems/x"), 422)


def test_problems_come_in_parts(world: World, client: TestClient) -> None:
    world.carry(order(1, currency="CHF"))
    world.carry(order(2, currency="CHF"))
    world.carry(unbalanced(3))
    world.carry(order(4, lines=[("NO-SUCH-SKU", 1, "1.00")]))
    everything = [one["id"] for one in get(client, "/problems")["data"]]
    assert len(everything) > 1
    seen, path = [], f"{V1}/problems?limit=1"
    while path:
        found = client.get(path).json()
        seen += [one["id"] for one in found["data"]]
        path = found["next"]
    assert seen == everything


def test_jobs_that_match_are_retried_a_few_at_a_time_and_the_action_can_be_stopped(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in range(1, 6):
        world.carry(order(id, currency="CHF"))
    assert get(client, "/jobs/retry", state="held")["jobs"] == 5
    for params in ({}, {"state": "settled"}):
        problem(client.get(f"{V1}/jobs/retry", params=params), 409)
        post(client, "/jobs/retry", 409, params=params, at_most=5)
    monkeypatch.setattr(bulk, "CHUNK", 2)
    made = post(client, "/jobs/retry", 202, params={"state": "held"}, at_most=5, name="after the fix")
    assert (made["name"], made["done"], made["state"]) == ("after the fix", 2, "running")
    assert post(client, f"/bulk/{made['id']}/stop")["state"] == "stopped"
    post(client, f"/bulk/{made['id']}/stop", 409)
    assert world.job("shop/order/5").state == "held"
    again = post(client, "/jobs/retry", 202, params={"state": "held"}, at_most=3)
    first = get(client, "/bulk", limit=1)
    assert [one["id"] for one in first["data"]] == [again["id"]]
    assert [one["id"] for one in client.get(first["next"]).json()["data"]] == [made["id"]]


# -- connections, schedules, flows -------------------------------------------------------------------------------------


def test_a_connection_is_tested_paused_until_and_resumed(world: World, client: TestClient) -> None:
    names = [one["name"] for one in get(client, "/connections")["data"]]
    assert names == list(world.context.connections)
    tested = post(client, "/connections/crm/test")
    assert tested["findings"]
    assert notes(world, "connection.test")[0].subject == "connection/crm"
    until = world.context.clock.now() + timedelta(hours=2)
    paused = client.post(f"{V1}/connections/crm/pause", json={"until": until.isoformat(), "reason": "upgrade"}).json()
    assert paused["standing"] == "paused"
    assert abs((datetime.fromisoformat(paused["until"]) - until).total_seconds()) < 10
    answer = client.post(f"{V1}/connections/crm/pause", json={})
    assert (answer.status_code, answer.json()["until"]) == (200, None)
    for wrong in (until - timedelta(hours=3), until + timedelta(days=61)):
        problem(client.post(f"{V1}/connections/crm/pause", json={"until": wrong.isoformat()}), 409)
    problem(client.post(f"{V1}/connections/crm/pause", json={"until": "2026-03-01T08:00:00"}), 422)  # no offset
    assert post(client, "/connections/crm/resume")["standing"] != "paused"
    assert [note.action for note in world.ledger.audit.list(subject="connection/crm")] == [
        "connection.resume", "connection.pause", "connection.pause", "connection.test",
    ]  # fmt: skip
    post(client, "/connections/crm/run", 409)


def test_a_schedule_is_due_at_once(world: World, client: TestClient, rung: list[str]) -> None:
    world.ledger.schedules.start_if_due("poll/shop", every=300, lease=60)
    world.ledger.schedules.ended("poll/shop", "2 changed")
    listed = {one["name"]: one for one in get(client, "/schedules")["data"]}
    assert listed["poll/shop"]["outcome"] == "2 changed"
    assert post(client, "/schedules/poll/shop/run")["name"] == "poll/shop"
    post(client, "/schedules/poll/nothing/run", 404)
    assert rung
    assert notes(world, "schedule.run")[0].subject == "schedule/poll/shop"


def test_a_flow_takes_only_the_modes_that_make_sense(database_url: str) -> None:
    with crm() as (_, url), World(database_url, url, rehearsing=True) as world:
        client = program(world.app(lambda: None))
        one = get(client, "/flows/shop-orders")
        assert (one["mode"], one["changes"], one["start"]) == ("rehearse", ["live"], None)
        post(client, "/flows/shop-orders/mode", 409, mode="paused")
        post(client, "/flows/shop-orders/mode", 409, mode="live")  # the first time needs a start
        post(client, "/flows/shop-orders/mode", 422, mode="dead")
        post(client, "/flows/nothing/mode", 404, mode="live")
        start = "2026-03-01T08:00:00Z"
        assert post(client, "/flows/shop-orders/mode", mode="live", start=start, note="go")["start"] == start
        post(client, "/flows/shop-orders/mode", mode="paused")
        post(client, "/flows/shop-orders/mode", 409, mode="live", start="2026-02-01T08:00:00Z")  # only ever on
        assert post(client, "/flows/shop-orders/mode", mode="live")["start"] == start
        assert {note.actor for note in notes(world, "flow.set")} == {"a admin (token nightly)"}


# -- alerts, audit -----------------------------------------------------------------------------------------------------


def test_alerts_and_audit_come_in_parts(world: World, client: TestClient) -> None:
    for n in range(5):
        world.ledger.alerts.open(Condition(f"held/shop-orders/{n}", f"alert {n}", "Something. What to do: look."))
        world.ledger.audit.note("Anna" if n % 2 else "Bert", "test.done", f"job/{n}", {"n": n})
    world.ledger.alerts.close("held/shop-orders/0", "gone")
    for path, count in (
        ("/alerts", 5),
        ("/alerts?state=open", 4),
        ("/alerts?state=closed", 1),
        ("/audit?action=test.done", 5),
    ):
        seen, where = [], f"{V1}{path}{'&' if '?' in path else '?'}limit=2"
        while where:
            found = client.get(where).json()
            seen += [one["id"] for one in found["data"]]
            where = found["next"]
        assert len(seen) == len(set(seen)) == count, path
        assert seen == sorted(seen, reverse=True)
    assert get(client, "/alerts", state="open")["data"][0]["page"].startswith("/jobs?")
    assert len(get(client, "/audit", actor="Anna")["data"]) == 2
    problem(client.get(f"{V1}/audit", params={"actor": "\0"}), 422)


# -- how things are sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_is_json_or_refused(client: TestClient, kind: str) -> None:
    answer = client.post(
        f"{V1}/jobs/7/skip", content=b'{"reason": "x"}', headers={"content-type": kind} if kind else {}
    )
    problem(answer, 415)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"null", b"\xff", b'{"reason": "\\ud83d"}', b'{"reason": 1}', b"[" * 5000]
)
def test_a_body_that_cannot_be_read(client: TestClient, body: bytes) -> None:
    answer = client.post(f"{V1}/jobs/7/skip", content=body, headers={"content-type": "application/json"})
    assert problem(answer, 422)["type"] == "urn:orderwire:problem:not-understood"
