"""Jobs, problems and orders as staff see them: found, understood, retried, skipped, mended; refused where it makes no sense."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from core.keys import Change, Key
from core.rights import Role
from ledger import tables as t
from ledger.search import Search
from pipelines import bulk
from pipelines.desk import Desk, Refused
from pipelines.editing import Checked, Editing
from tests.desk import HOSTILE, hostile_orders
from tests.orders import order
from tests.people import logged_in
from tests.world import SkippingClock, World, crm


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


@pytest.fixture
def rung() -> list[str]:
    return []


@pytest.fixture
def client(world: World, rung: list[str]) -> TestClient:
    made = logged_in(world.app(lambda: rung.append("rung")), Role.ADMIN, "Olga")
    made._transport.raise_server_exceptions = True  # a bug of a page fails with its own words
    return made


def unbalanced(id: int, **over: Any) -> dict[str, Any]:
    return order(id, total="1.00", **over)


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    while answer.status_code == 303 and status == 200:
        answer = client.get(answer.headers["location"])
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, **fields: str) -> str:
    """Where it leads, after a button worked."""
    answer = client.post(path, data=fields)
    assert answer.status_code == 303, answer.text[:2000]
    return str(answer.headers["location"])


def notes(world: World, action: str) -> list[Any]:
    return list(world.ledger.audit.list(action=action))


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_held_jobs_come_first_with_reason_and_what_to_do(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    world.carry(order(1002))
    text = get(client, "/jobs")
    assert text.index(">1001<") < text.index(">1002<")
    assert "held" in text
    page = get(client, f"/jobs/{held.id}")
    assert "What to do:" in page
    assert "The field at fault:" in page
    assert f'action="/jobs/{held.id}/retry"' in page
    assert f"/jobs/{held.id}/edit" in page
    # The timeline of one that went through names its calls.
    page = get(client, f"/jobs/{world.job('shop/order/1002').id}")
    assert "create" in page
    assert re.search(r"SO\d+", page), "the CRM's number"
    assert "index.php?module=SalesOrder&amp;view=Detail" in page


def test_a_retry_runs_at_once_and_is_in_the_audit(world: World, client: TestClient, rung: list[str]) -> None:
    held = world.carry(unbalanced(1001))
    post(client, f"/jobs/{held.id}/retry")
    assert rung == ["rung"]
    assert world.job("shop/order/1001").state == "waiting"
    (note,) = notes(world, "job.retry")
    assert (note.actor, note.subject, note.facts["was"]) == ("Olga", f"job/{held.id}", "held")
    world.drain()
    assert "Olga: retried" in get(client, f"/jobs/{held.id}")


def test_a_skip_needs_a_reason_that_others_read(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    refused = client.post(f"/jobs/{held.id}/skip", data={"reason": "  "})
    assert refused.status_code == 409
    assert "A reason is missing" in refused.text
    post(client, f"/jobs/{held.id}/skip", reason="typed by hand", to="/jobs?state=held")
    assert world.job("shop/order/1001").state == "skipped"
    assert "typed by hand" in get(client, f"/jobs/{held.id}")
    assert notes(world, "job.skip")[0].facts["reason"] == "typed by hand"
    again = client.post(f"/jobs/{held.id}/skip", data={"reason": "again"})
    assert again.status_code == 409
    assert "is skipped and cannot be changed now" in again.text


def test_what_runs_offers_nothing_and_nothing_is_taken(world: World, client: TestClient) -> None:
    world.deliver(order(1001))
    claim = world.ledger.jobs.claim("w")
    assert claim is not None
    page = get(client, f"/jobs/{claim.id}")
    assert "Nothing can be done with it in this state." in page
    for path in ("retry", "skip", "dry-run"):
        assert client.post(f"/jobs/{claim.id}/{path}", data={"reason": "x"}).status_code == 409
    assert client.get(f"/jobs/{claim.id}/edit").status_code == 409
    assert not [note for note in world.ledger.audit.list() if note.action.startswith("job.")]


def test_unknown_jobs_and_numbers_out_of_range_are_not_found(client: TestClient) -> None:
    for path in ("/jobs/77", f"/jobs/{2**63}", f"/jobs/{10**40}", "/orders/77", f"/events/{2**70}", "/bulk/5"):
        assert client.get(path).status_code in {404, 409}, path
    assert client.get("/jobs/x").status_code == 404


@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "a%00b", "%2F%2F", "..%2F..", "%25", "x" * 3000, "%E2%80%AE"])
def test_no_address_breaks_a_page(client: TestClient, text: str) -> None:
    for path in (
        f"/orders/{text}",
        f"/search?q={text}",
        f"/jobs?q={text}&flow={text}&error={text}&since={text}&after={text}",
    ):
        assert client.get(path).status_code in {200, 303, 404}, path
    assert client.get(f"/problems/{text}").status_code in {200, 303, 307, 404}
    assert client.post(f"/events/{2**70}/reveal", data={"reason": "x"}).status_code == 404


def test_pages_of_the_list_lose_and_repeat_nothing(world: World, client: TestClient) -> None:
    ids = range(1, 131)
    world.ledger.inbox.accept([change for id in ids for change in _changes(world, order(id))], world.context.routes)
    with world.ledger.db.write() as connection:  # all changed in the same moment, some held
        connection.execute(
            sa.update(t.job).values(updated_at=1, state=sa.case((t.job.c.id % 3 == 0, "held"), else_="waiting"))
        )
    for state in ("", "held", "waiting"):
        seen, path = [], f"/jobs?state={state}"
        while path:
            text = get(client, path)
            seen += [int(found) for found in re.findall(r'data-key="job-(\d+)"', text)]
            more = re.search(r'rel="next" href="([^"]+)"', text)
            path = unescape(more[1]) if more else ""
        wanted = [n for n in ids if not state or (n % 3 == 0) == (state == "held")]
        assert sorted(seen) == wanted, state
        if not state:
            assert all(n % 3 == 0 for n in seen[:43]), "held first"


def _changes(world: World, made: dict[str, Any]) -> Any:
    from connectors.roles import Request
    from core.jsontext import dumps
    from tests.world import signed_headers

    body = dumps(made).encode()
    return world.stores["shop"].receive(
        Request("POST", signed_headers(body, "order.updated"), body, world.context.clock.now())
    )


# -- searching ---------------------------------------------------------------------------------------------------------


def test_the_box_finds_an_order_by_everything_people_have(world: World, client: TestClient) -> None:
    world.carry(order(77, number="W-1001"))
    there = world.order("W-1001")["salesorder_no"]
    for text in ("W-1001", "#W-1001", "77", "shop/order/77", there, "order:W-1001", f'"{there}"'):
        answer = client.get("/search", params={"q": text})
        assert answer.status_code == 303, text
        assert "W-1001" in get(client, answer.headers["location"]), text
    text = get(client, "/search?q=nothing-like-it")
    assert "Nothing is called" in text
    assert client.get("/search?q=state:held").headers["location"].startswith("/jobs?")


def test_two_shops_with_one_number_are_both_shown(world: World, client: TestClient) -> None:
    world.carry(order(1001))
    world.carry(order(1001), shop="shop2")
    text = get(client, "/search?q=1001")
    assert "shop/order/1001" in text
    assert "shop2/order/1001" in text
    assert "2 orders are called so." in get(client, "/orders/1001")


def test_qualifiers_and_filters_live_in_the_address(world: World, client: TestClient) -> None:
    world.carry(unbalanced(1001))
    world.carry(order(1002))
    found = Search(world.ledger.db)
    for path, jobs in (
        ("/jobs?q=state:held", [1]),
        ("/jobs?state=held", [1]),
        ("/jobs?flow=shop-orders", [1, 2]),
        ("/jobs?flow=other", []),
        ("/jobs?error=" + world.job("shop/order/1001").error_class.replace("/", "%2F"), [1]),
        ("/jobs?since=1h", [1, 2]),
        ("/jobs?since=2999-01-01", []),
        ("/jobs?q=1002", [2]),
        ("/jobs?q=1002+state:held", []),
        ("/jobs?state=nonsense", [1, 2]),
    ):
        text = get(client, path)
        assert sorted(int(n) for n in re.findall(r'data-key="job-(\d+)"', text)) == jobs, path
    assert "There is no state" in get(client, "/jobs?state=nonsense")
    assert found.counts()["held"] == 1


# -- problems ----------------------------------------------------------------------------------------------------------


def test_the_same_cause_is_one_problem_with_its_orders_and_money(world: World, client: TestClient) -> None:
    for id in (1001, 1002, 1003):
        world.carry(order(id, currency="CHF"))  # a currency that the CRM has not
    world.carry(unbalanced(1004))
    text = get(client, "/problems")
    assert text.count('class="tile card') == 2
    assert "3 orders" in text
    total = sum(Decimal(order(id)["total"]) for id in (1001, 1002, 1003))
    assert f"{total}\N{NO-BREAK SPACE}CHF" in text
    problem = re.findall(r'href="/problems/([0-9a-f]{16})"', text)[0]
    page = get(client, f"/problems/{problem}")
    assert all(f">{id}<" in page for id in (1001, 1002, 1003))
    assert "1004" not in page
    preview = get(client, f"/problems/{problem}/retry")
    assert "Retry all 3 orders?" in preview
    assert f"{total}\N{NO-BREAK SPACE}CHF" in preview
    assert world.job("shop/order/1001").state == "held", "a preview does nothing"


def test_a_group_is_retried_as_an_action_with_a_name_and_an_end(world: World, client: TestClient) -> None:
    for id in (1001, 1002, 1003):
        world.carry(order(id, currency="CHF"))
    problem = re.findall(r'href="/problems/([0-9a-f]{16})"', get(client, "/problems"))[0]
    where = post(client, f"/problems/{problem}/retry")
    text = get(client, where)
    assert "3 of 3" in text
    assert "3 jobs retried" in text
    assert {world.job(f"shop/order/{id}").state for id in (1001, 1002, 1003)} == {"waiting"}
    (note,) = notes(world, "bulk.retry")
    assert note.facts["jobs"] == 3
    assert "This problem is gone" in get(client, f"/problems/{problem}")
    world.drain()
    assert "3 orders" in get(client, f"/problems/{problem}"), "the same cause has the same address"


def test_a_problem_that_ends_between_a_look_and_a_press_is_no_error(world: World, client: TestClient) -> None:
    where = post(client, f"/problems/{'0' * 16}/retry")
    assert where == "/problems"
    assert "gone by itself" in get(client, where)


def test_a_bulk_action_goes_a_few_at_a_time_and_can_be_stopped(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in range(1, 6):
        world.carry(order(id, currency="CHF"))
    monkeypatch.setattr(bulk, "CHUNK", 2)
    where = post(client, "/jobs/retry?state=held", title="after the fix")
    assert "2 of 5" in get(client, where)
    assert "after the fix" in get(client, where)
    world.ledger.jobs.skip(world.job("shop/order/4").id, "meanwhile")
    monkeypatch.setattr(bulk, "AHEAD", 2)
    assert bulk.go_on(world.ledger) == 0, "two are due: nobody queues behind more"
    monkeypatch.setattr(bulk, "AHEAD", 200)
    assert bulk.go_on(world.ledger) == 1, "what was skipped meanwhile is left alone"
    post(client, f"{where}/stop")
    assert bulk.go_on(world.ledger) == 0
    assert world.job("shop/order/5").state == "held"
    text = get(client, where)
    assert "stopped" in text
    assert "4 of 5" in text
    assert client.post(f"{where}/stop").status_code == 409


def test_an_outage_is_one_problem_and_is_gone_by_itself(world: World, client: TestClient) -> None:
    world.fill_index()
    world.faults(connection_closed=1.0)
    for id in (1001, 1002, 1003):
        world.deliver(order(id))
    world.drain(fill=False)
    text = get(client, "/problems")
    assert "crm is out" in text
    assert text.count('class="tile card') == 1, "not a problem for each order"
    problem = re.findall(r'href="/problems/([0-9a-f]{16})"', text)[0]
    page = get(client, f"/problems/{problem}")
    assert "3 orders" in page
    total = sum(Decimal(order(id)["total"]) for id in (1001, 1002, 1003))
    assert f"{total}\N{NO-BREAK SPACE}EUR" in page, "also of orders that nobody has tried yet"
    world.faults(connection_closed=0.0)
    assert f"{total} EUR" in get(client, post(client, f"/problems/{problem}/retry"))
    world.drain()
    assert {world.job(f"shop/order/{id}").state for id in (1001, 1002, 1003)} == {"settled"}
    assert "No problem is open" in get(client, "/problems")
    assert "This problem is gone" in get(client, f"/problems/{problem}")


# -- editing -----------------------------------------------------------------------------------------------------------


def form(page: str) -> dict[str, str]:
    version = re.search(r'name="version" value="(\d+)"', page)
    text = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert version is not None
    assert text is not None
    return {"version": version[1], "text": unescape(text[1])}


def test_a_held_order_is_mended_and_arrives_and_the_original_is_kept(
    world: World, client: TestClient, rung: list[str]
) -> None:
    good = order(1001)
    held = world.carry(unbalanced(1001))
    shown = form(get(client, f"/jobs/{held.id}/edit"))
    assert "ada@office.example" not in shown["text"], "personal data is not shown for editing"
    mended = shown["text"].replace('"1.00"', f'"{good["total"]}"')
    checked = client.post(f"/jobs/{held.id}/edit", data={**shown, "text": mended, "step": "check"})
    assert checked.status_code == 200
    assert "This would change" in checked.text
    assert "<code>total</code>" in checked.text
    assert world.job("shop/order/1001").state == "held", "looking keeps nothing"
    post(
        client,
        f"/jobs/{held.id}/edit",
        version=shown["version"],
        text=mended,
        step="save",
        reason="the shop's sum was wrong",
    )
    assert rung
    world.drain()
    assert world.job("shop/order/1001").state == "settled"
    assert Decimal(world.order(1001)["hdnGrandTotal"]) == Decimal(good["total"])
    assert world.records("Contacts")[0]["email"] == "ada@office.example", "what was hidden is what it was"
    events = world.ledger.inbox.events(Key.parse("shop/order/1001"))
    assert [event["via"] for event in events] == ["webhook", "edit"]
    original = Search(world.ledger.db).event(events[0]["id"])
    assert original is not None
    assert json.loads(original.raw or b"")["total"] == "1.00"
    (note,) = notes(world, "job.edit")
    assert note.facts["changed"] == [f'total: "1.00" -> "{good["total"]}"']
    assert note.facts["reason"] == "the shop's sum was wrong"
    assert "ada@" not in json.dumps(dict(note.facts))


def test_a_later_change_of_the_store_wins_over_an_edit_and_the_old_state_does_not_come_back(
    world: World, client: TestClient
) -> None:
    held = world.carry(unbalanced(1001))
    shown = form(get(client, f"/jobs/{held.id}/edit"))
    mended = shown["text"].replace('"1.00"', f'"{order(1001)["total"]}"')
    post(client, f"/jobs/{held.id}/edit", version=shown["version"], text=mended, step="save", reason="x")
    world.drain()
    # The very state that was mended is delivered again (a poll that overlaps): the edit stays.
    world.deliver({**unbalanced(1001), "customer_note": ""}, topic="order.created")
    record = world.ledger.inbox.record(Key.parse("shop/order/1001"))
    assert record is not None
    assert json.loads(record.raw or b"")["total"] == order(1001)["total"]
    assert not record.must_fetch
    world.carry(order(1001, [("OF-100", 1, "10.00")], modified="2026-11-20T10:00:01"))
    later = order(1001, [("OF-100", 1, "10.00")])
    assert Decimal(world.order(1001)["hdnGrandTotal"]) == Decimal(later["total"])


GOOD = f'"{order(1001)["total"]}"'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-1], "This is not JSON"),
        (lambda text: text, "Nothing was changed"),
        (lambda text: text.replace('"1.00"', '"2.00"'), "Not taken"),
        (lambda text: text.replace('"number": "1001"', '"number": "1002"').replace('"1.00"', GOOD), "stays so"),
        (lambda text: text.replace('"1.00"', "NaN"), "not JSON"),
        (lambda text: text.replace('"customer_note": ""', '"customer_note": "4111 1111 1111 1111"'), "card number"),
        (lambda text: text.replace('"customer_note": ""', '"customer_note": "[e-mail]"'), "hidden value"),
    ],
)
def test_a_wrong_edit_is_shown_again_with_what_is_wrong(
    world: World, client: TestClient, change: Any, words: str
) -> None:
    held = world.carry(unbalanced(1001))
    shown = form(get(client, f"/jobs/{held.id}/edit"))
    edited = change(shown["text"])
    answer = client.post(f"/jobs/{held.id}/edit", data={**shown, "text": edited, "reason": "why", "step": "save"})
    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert form(answer.text)["text"].strip() == edited.strip(), "nobody types it again"
    assert len(world.ledger.inbox.events(Key.parse("shop/order/1001"))) == 1
    assert not notes(world, "job.edit")


def test_an_edit_of_a_state_that_is_no_longer_the_newest_is_refused(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    shown = form(get(client, f"/jobs/{held.id}/edit"))
    world.carry(unbalanced(1001, modified="2026-11-20T11:00:00", customer_note="changed"))
    answer = client.post(f"/jobs/{held.id}/edit", data={**shown, "reason": "why", "step": "save"})
    assert answer.status_code == 409
    assert "changed this order meanwhile" in answer.text


class Overtaken(Editing):
    """Something is kept after the edit was looked at and before it is."""

    between: Callable[[], object]

    def check(self, job_id: int, text: str, version: int) -> Checked:
        found = super().check(job_id, text, version)
        self.between()
        return found


@pytest.mark.parametrize("modified", ["2026-11-20T11:00:00", "2026-11-20T10:00:00", None])
def test_what_the_store_says_between_the_look_and_the_save_wins(
    world: World, client: TestClient, modified: str | None
) -> None:
    """Later, within the same second of the store, and a mere hint that the store is to be asked."""
    held = world.carry(unbalanced(1001))
    shown = form(get(client, f"/jobs/{held.id}/edit"))
    mended = shown["text"].replace('"1.00"', GOOD)
    key = Key.parse("shop/order/1001")

    def between() -> None:
        if modified is None:
            hint = Change(key=key, stamp=None, raw=None, dedupe="hint", topic="hint")
            world.ledger.inbox.accept([hint], world.context.routes)
        else:
            world.deliver(unbalanced(1001, modified=modified, customer_note="newer"))

    editing = Overtaken(world.context, Desk(world.ledger, world.ledger.audit))
    editing.between = between
    with pytest.raises(Refused, match="changed this order meanwhile"):
        editing.save(held.id, mended, int(shown["version"]), "why", actor="test")
    record = world.ledger.inbox.record(key)
    assert record is not None
    assert record.must_fetch or json.loads(record.raw or b"")["customer_note"] == "newer"
    assert not [event for event in world.ledger.inbox.events(key) if event["via"] == "edit"]
    assert not notes(world, "job.edit")


def test_a_dry_run_tells_and_writes_nothing(world: World, client: TestClient) -> None:
    world.deliver(order(1001))
    world.fill_index()
    before = world.counts()
    world.forget_calls()
    answer = client.post(f"/jobs/{world.job('shop/order/1001').id}/dry-run")
    assert answer.status_code == 200, answer.text
    assert "It would be written." in answer.text
    assert "create_order" in answer.text
    assert world.counts() == before
    assert world.writes() == 0
    assert not world.ledger.links.of_key("shop/order/1001")
    held = world.carry(unbalanced(1002))
    assert "It would be held." in client.post(f"/jobs/{held.id}/dry-run").text


# -- bodies, texts, rights ---------------------------------------------------------------------------------------------


def test_a_body_is_hidden_until_somebody_says_why(world: World, client: TestClient) -> None:
    world.carry(order(1001))
    (event,) = world.ledger.inbox.events(Key.parse("shop/order/1001"))
    hidden = get(client, f"/events/{event['id']}")
    assert "[e-mail]" in hidden
    assert "ada@office.example" not in hidden
    assert client.post(f"/events/{event['id']}/reveal", data={"reason": ""}).status_code == 409
    shown = client.post(f"/events/{event['id']}/reveal", data={"reason": "the customer asks"})
    assert "ada@office.example" in shown.text
    (note,) = notes(world, "event.reveal")
    assert (note.actor, note.facts["reason"]) == ("Olga", "the customer asks")
    operator = logged_in(world.app(lambda: None), Role.OPERATOR)
    assert operator.post(f"/events/{event['id']}/reveal", data={"reason": "me too"}).status_code == 403
    assert "Show everything" not in get(operator, f"/events/{event['id']}")


def test_whoever_may_only_look_is_offered_and_given_nothing(world: World) -> None:
    held = world.carry(unbalanced(1001))
    viewer = logged_in(world.app(lambda: None), Role.VIEWER)
    for path in ("/jobs", f"/jobs/{held.id}", "/problems", "/orders/1001"):
        text = get(viewer, path)
        assert not re.search(r'action="/(jobs|problems|events)/[^"]+"', text), path
        assert "/edit" not in text
    for path in (f"/jobs/{held.id}/retry", f"/jobs/{held.id}/skip", f"/jobs/{held.id}/edit", "/jobs/retry?state=held"):
        assert viewer.post(path, data={"reason": "x"}).status_code == 403
    for path in ("/jobs.csv", f"/jobs/{held.id}/edit", "/jobs/retry?state=held"):
        assert viewer.get(path).status_code == 403
    assert world.job("shop/order/1001").state == "held"


def test_hostile_orders_are_shown_as_text_everywhere(world: World, client: TestClient) -> None:
    for made in hostile_orders():
        world.deliver(made)
    world.drain()
    jobs = world.ledger.jobs.list()
    paths = ["/jobs", "/problems", "/search?q=" + "%3Cscript%3E", "/jobs?q=%22%3E%3Cimg", "/jobs?flow=%3Cscript%3E"]
    paths += [f"/jobs/{job.id}" for job in jobs] + [f"/events/{n}" for n in range(1, len(jobs) + 1)]
    for job in jobs:
        from web.dashboard.desk import order_address

        paths.append(order_address(job.number))
    paths += re.findall(r'href="(/problems/[0-9a-f]{16})"', get(client, "/problems"))
    held = [job for job in jobs if job.state == "held"]
    assert held
    paths += [f"/jobs/{job.id}/edit" for job in held]
    for path in paths:
        text = get(client, path)
        for hostile in HOSTILE[:2]:
            assert hostile not in text, path
        assert "onmouseover='alert" not in text, path
        assert 'window.struck = 1; alert("' not in text, path
        assert ">49<" not in text, path


def test_no_cell_of_the_export_begins_a_formula(world: World, client: TestClient) -> None:
    import csv
    import io

    for at, text in enumerate(["=1+1", "+1", "-1", "@SUM(A1)", "plain"]):
        world.deliver(order(1 + at, number=text))
    answer = client.get("/jobs.csv")
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert sorted(row["order"] for row in rows) == sorted(["'=1+1", "'+1", "'-1", "'@SUM(A1)", "plain"])
    assert notes(world, "jobs.export")[0].facts["rows"] == 5


def test_a_fragment_is_given_to_whoever_refreshes(world: World, client: TestClient) -> None:
    held = world.carry(unbalanced(1001))
    for path in ("/jobs", f"/jobs/{held.id}", "/problems", "/orders/1001"):
        text = client.get(path, headers={"hx-request": "true"}).text
        assert "<html" not in text
        assert "1001" in text
