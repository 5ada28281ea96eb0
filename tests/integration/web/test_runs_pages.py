"""Runs on pages: begun, carried out by a worker, followed, stopped, gone on with, reported, taken back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from core.errors import RetryLater
from core.rights import Role
from ledger.runs import Item, RunKind, Runs, RunView
from pipelines import carrier, golive, rehearse, undo
from pipelines.carrier import READING, WRITING
from sandbox.store.woo import WooShop
from tests.orders import order, person
from tests.people import BASE, BROWSER, logged_in
from tests.shops import shop
from tests.world import SkippingClock, World, crm, wait_for

FLOW = "shop-orders"
DAY = timedelta(days=1)


@pytest.fixture
def face() -> Iterator[tuple[WooShop, str]]:
    with shop() as made:
        yield made


@pytest.fixture
def world(database_url: str, face: tuple[WooShop, str]) -> Iterator[World]:
    shops = {"shop": {"url": face[1], "per_page": 10}, "shop2": {}}
    with crm() as (_, url), World(database_url, url, clock=SkippingClock(), shops=shops, rehearsing=True) as made:
        made.stores["shop2"].pollable = False  # as one that only pushes
        yield made


@pytest.fixture
def client(world: World) -> TestClient:
    made = logged_in(world.app(lambda: None), Role.ADMIN, "Olga")
    made._transport.raise_server_exceptions = True
    return made


def get(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, **fields: str) -> str:
    """Where it leads."""
    answer = client.post(path, data=fields)
    assert answer.status_code == 303, answer.text[:2000]
    return str(answer.headers["location"])


def place(world: World, face: tuple[WooShop, str], id: int, days_ago: float, **over: Any) -> None:
    at = (world.context.clock.now() - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%S")
    known = {"date_created_gmt": at, "date_created": at, "modified": at, "billing": person(f"P{id}")}
    face[0].put(order(id, **{**known, **over}))


def begun(world: World, path: str) -> RunView:
    found = world.ledger.runs.get(int(path.rpartition("/")[2]))
    assert found is not None
    return found


def now(world: World, run: RunView) -> RunView:
    found = world.ledger.runs.get(run.id)
    assert found is not None
    return found


# -- a rehearsal -------------------------------------------------------------------------------------------------------


def test_a_rehearsal_begins_on_the_page_of_flows_and_reports_there(
    world: World, client: TestClient, face: tuple[WooShop, str]
) -> None:
    place(world, face, 1, 3)
    place(world, face, 2, 2, lines=[("NO-SUCH", 1, "7.00")])
    place(world, face, 3, 1, currency="CHF")
    place(world, face, 4, 40)
    flows = get(client, "/flows")
    assert flows.count("Rehearse the last 30 days") == 1, "a shop that only pushes cannot be asked"
    world.forget_calls()
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    run = begun(world, path)
    assert (run.state, run.by, run.kind) == ("queued", "Olga", "rehearse")
    assert world.calls()["operations"] == {}, "nobody is asked within the request"
    waiting = get(client, path)
    assert "a worker takes it in a moment" in waiting
    assert f'action="{path}/stop"' in waiting
    assert carrier.go_on(world.context, WRITING) == 0
    assert carrier.go_on(world.context, READING) == 1
    assert now(world, run).state == "done"
    page = get(client, path)
    assert re.search(r"would be created</td>\s*<td[^>]*>2<", page), page
    assert re.search(r"would be held</td>\s*<td[^>]*>1<", page)
    assert "NO-SUCH" in page
    assert "2 new" in page
    assert "no limit is set" in page
    assert f'action="{path}/stop"' not in page
    assert ">3<" in get(client, f"{path}?verdict=hold")
    assert world.writes() == 0
    assert path in get(client, "/flows")
    assert path in get(client, f"/runs?kind=rehearse&flow={FLOW}&state=done")
    assert path not in get(client, "/runs?state=failed")
    (note,) = world.ledger.audit.list(action="run.rehearse")
    assert (note.actor, note.subject) == ("Olga", f"run/{run.id}")


def test_files_of_a_rehearsal(world: World, client: TestClient, face: tuple[WooShop, str]) -> None:
    place(world, face, 1, 3, number="=1+1")
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    carrier.go_on(world.context, READING)
    text = client.get(f"{path}.csv").text.removeprefix("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["verdict"], row["order"]) == ("post", "'=1+1")
    made = json.loads(client.get(f"{path}.json").text)
    assert made["forecast"]["post"]["count"] == 1
    assert made["orders"][0]["amount"] == row["amount"]
    assert [one.facts["as"] for one in world.ledger.audit.list(action="run.export")] == ["json", "csv"]


def test_the_budget_says_how_long(world: World, client: TestClient, face: tuple[WooShop, str]) -> None:
    place(world, face, 1, 3)
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    carrier.go_on(world.context, READING)
    settings = world.context.connections["crm"].model_copy(update={"rate": 0.5})
    world.context.connections["crm"] = settings  # type: ignore[index]
    assert "within the budget of 0.5 a second" in get(client, path)


def test_an_engine_takes_it_by_itself(world: World, client: TestClient, face: tuple[WooShop, str]) -> None:
    place(world, face, 1, 3)
    with world.working(2):
        wait_for(lambda: any(one.name == READING for one in world.ledger.figures.schedules()))
        run = begun(world, post(client, "/runs/rehearse", flow=FLOW, days="30"))
        wait_for(lambda: now(world, run).state == "done")
    assert [item.verdict for item in world.ledger.runs.items(run.id)] == ["post"]


def test_a_second_one_is_refused_while_one_goes(world: World, client: TestClient) -> None:
    first = post(client, "/runs/rehearse", flow=FLOW, days="30")
    refused = client.post("/runs/rehearse", data={"flow": FLOW, "days": "7"})
    assert refused.status_code == 409
    assert f"Run {first.rpartition('/')[2]} does that already" in refused.text
    for fields in ({"flow": FLOW, "days": "0"}, {"flow": "shop2-orders", "days": "30"}):
        assert client.post("/runs/rehearse", data=fields).status_code == 409
    assert client.post("/runs/rehearse", data={"flow": "nobody", "days": "30"}).status_code == 404


def test_stopped_and_gone_on_with(
    world: World, client: TestClient, face: tuple[WooShop, str], monkeypatch: Any
) -> None:
    for id in range(1, 26):
        place(world, face, id, 3)
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    run = begun(world, path)
    real = rehearse._note

    def note(*args: Any) -> None:
        real(*args)
        if now(world, run).state == "running":
            post(client, f"{path}/stop")

    monkeypatch.setattr(rehearse, "_note", note)
    carrier.go_on(world.context, READING)
    stopped = now(world, run)
    assert (stopped.state, stopped.summary) == ("stopped", "Stopped by Olga.")
    assert len(world.ledger.runs.items(run.id)) == 10
    page = get(client, path)
    assert "Stopped by Olga." in page
    assert client.post(f"{path}/stop").status_code == 409
    monkeypatch.undo()
    post(client, f"{path}/go-on")
    assert now(world, run).state == "queued"
    carrier.go_on(world.context, READING)
    assert now(world, run).state == "done"
    assert len(world.ledger.runs.items(run.id)) == 25
    assert [one.action for one in world.ledger.audit.list(subject=f"run/{run.id}")] == [
        "run.go_on", "run.stop", "run.rehearse",
    ]  # fmt: skip


def test_a_queued_one_that_is_stopped_never_begins(world: World, client: TestClient) -> None:
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    post(client, f"{path}/stop")
    assert carrier.go_on(world.context, READING) == 0
    assert begun(world, path).state == "stopped"


def test_a_process_that_ends_gives_it_back_and_one_that_died_leaves_it(
    world: World, client: TestClient, face: tuple[WooShop, str]
) -> None:
    for id in range(1, 26):
        place(world, face, id, 3)
    run = begun(world, post(client, "/runs/rehearse", flow=FLOW, days="30"))
    carrier.go_on(world.context, READING, lambda: bool(world.ledger.runs.items(run.id)))
    assert (now(world, run).state, now(world, run).summary) == ("queued", "")
    assert 0 < len(world.ledger.runs.items(run.id)) < 25
    assert world.ledger.runs.take(run.id)  # and whoever took it was killed
    carrier.go_on(world.context, READING)
    assert now(world, run).state == "done"
    assert len(world.ledger.runs.items(run.id)) == 25


def test_an_outage_is_waited_for(world: World, client: TestClient, face: tuple[WooShop, str]) -> None:
    place(world, face, 1, 3)
    world.fill_index()
    path = post(client, "/runs/rehearse", flow=FLOW, days="30")
    run = begun(world, path)
    world.faults(connection_closed=1.0)
    assert carrier.go_on(world.context, READING) == 1
    waits = now(world, run)
    assert waits.state == "queued"
    assert "tried again by itself" in get(client, path)
    world.faults(connection_closed=0.0)
    world.ledger.states.try_now("crm")
    assert carrier.go_on(world.context, READING) == 0, "not at once"
    world.clock.skip(61)  # type: ignore[union-attr]
    assert carrier.go_on(world.context, READING) == 1
    assert now(world, run).state == "done"


def test_a_bug_ends_a_run_and_no_other(
    world: World, client: TestClient, monkeypatch: Any, face: tuple[WooShop, str]
) -> None:
    place(world, face, 1, 3)
    run = begun(world, post(client, "/runs/rehearse", flow=FLOW, days="30"))

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(rehearse, "_parts", broken)
    assert carrier.go_on(world.context, READING) == 1
    assert now(world, run).state == "failed"
    assert "stumbled" in now(world, run).summary
    assert "1/" not in now(world, run).summary


def test_what_a_command_left_is_shown_as_interrupted_and_goes_on_here(
    world: World, client: TestClient, face: tuple[WooShop, str]
) -> None:
    place(world, face, 1, 3)
    until = world.context.clock.now()
    span = rehearse.Span(until - 30 * DAY, until)
    run = world.ledger.runs.begin("rehearse", FLOW, span.options(), by="karl")
    assert carrier.go_on(world.context, READING) == 0, "a command is at work with it"
    assert client.post(f"/runs/{run.id}/go-on").status_code == 409
    world.clock.skip(16 * 60)  # type: ignore[union-attr]
    assert "interrupted" in get(client, "/runs")
    post(client, f"/runs/{run.id}/go-on")
    carrier.go_on(world.context, READING)
    assert now(world, run).state == "done"


# -- a backfill, and taking it back ------------------------------------------------------------------------------------


@pytest.fixture
def filled(world: World, client: TestClient, face: tuple[WooShop, str]) -> tuple[str, RunView]:
    """Three orders were taken in, by a page; the address and the run."""
    golive.go_live(world.ledger, FLOW, world.context.clock.now() - 10 * DAY, by="test")
    for id in (1, 2, 3):
        place(world, face, id, id)
    since = (world.context.clock.now() - 5 * DAY).strftime("%Y-%m-%dT%H:%M")
    look = post(client, "/runs/survey", flow=FLOW, since=since, offset="0")
    assert "This was the look" not in get(client, look)
    carrier.go_on(world.context, READING)
    shown = get(client, look)
    assert re.search(r"to be carried</td><td[^>]*>3<", shown), shown
    assert not world.ledger.jobs.list(), "a look stores nothing"
    path = post(client, f"{look}/backfill")
    run = begun(world, path)
    assert carrier.go_on(world.context, READING) == 0
    assert carrier.go_on(world.context, WRITING) == 1
    assert now(world, run).state == "done"
    world.drain()
    assert world.counts("SalesOrder") == (3,)
    return path, run


def test_a_backfill_after_a_look(world: World, client: TestClient, filled: tuple[str, RunView]) -> None:
    path, run = filled
    page = get(client, path)
    assert "settled" in page
    assert "Belongs to" in page
    assert "EUR" in get(client, "/runs?kind=backfill")
    assert client.post(f"{path}/backfill").status_code == 409, "only a look leads to it"
    assert {one.action for one in world.ledger.audit.list()} >= {"run.survey", "run.backfill"}
    assert now(world, run).summary.startswith("3 orders")


def test_taking_back_shows_first_and_then_does_it(
    world: World, client: TestClient, filled: tuple[str, RunView]
) -> None:
    path, _ = filled
    assert "undo" not in get(client, path)
    look = post(client, f"{path}/preview")
    carrier.go_on(world.context, READING)
    shown = get(client, look)
    assert "would be taken back" in shown
    assert world.counts("SalesOrder") == (3,), "nothing is deleted by looking"
    done = post(client, f"{look}/undo")
    assert world.counts("SalesOrder") == (3,), "nor within the request"
    assert carrier.go_on(world.context, WRITING) == 1
    assert begun(world, done).state == "done"
    assert world.counts("SalesOrder") == (0,)
    assert "taken back" in get(client, done)
    assert done in get(client, path)
    rows = list(csv.DictReader(io.StringIO(client.get(f"{done}.csv").text.removeprefix("\ufeff"))))
    assert {row["verdict"] for row in rows} == {"taken back"}


def test_an_undoing_that_met_an_outage_goes_on(
    world: World, client: TestClient, filled: tuple[str, RunView], monkeypatch: Any
) -> None:
    path, _ = filled
    look = post(client, f"{path}/preview")
    carrier.go_on(world.context, READING)
    done = post(client, f"{look}/undo")
    real = undo._Undoing._unit
    seen: list[str] = []

    def unit(self: Any, one: Any) -> None:
        seen.append(one.key)
        if len(seen) == 2:
            raise RetryLater("crm is out. What to do: wait.", seconds=60, connection="crm")
        real(self, one)

    monkeypatch.setattr(undo._Undoing, "_unit", unit)
    carrier.go_on(world.context, WRITING)
    assert begun(world, done).state == "queued"
    assert begun(world, done).summary == "crm is out. It is tried again by itself."
    world.clock.skip(61)  # type: ignore[union-attr]
    carrier.go_on(world.context, WRITING)
    assert begun(world, done).state == "done"
    assert world.counts("SalesOrder") == (0,)


def test_a_backfill_that_makes_no_sense_is_refused(world: World, client: TestClient) -> None:
    golive.go_live(world.ledger, FLOW, world.context.clock.now(), by="test")
    for fields in (
        {"since": "not a time"},
        {"since": "2026-03-01T08:00", "until": "2026-02-01T08:00"},
        {"since": "2026-03-01T08:00", "create": "true"},  # nobody has looked for typed ones
    ):
        answer = client.post("/runs/survey", data={"flow": FLOW, **fields})
        assert answer.status_code == 409, fields
        assert "What to do:" in answer.text
    assert client.post("/runs/survey", data={"flow": "nobody", "since": "2026-03-01T08:00"}).status_code == 404
    assert not world.ledger.runs.list()


# -- everything else ---------------------------------------------------------------------------------------------------


def test_every_kind_has_a_page(world: World, client: TestClient) -> None:
    for kind in ("adopt", "link", "rehearse", "backfill", "undo", "preview", "survey"):
        run = world.ledger.runs.begin(kind, FLOW, {"since": "2026-01-01T00:00:00+00:00", "until": ""}, by="karl")
        verdict = "post" if kind == "rehearse" else "none"
        items = [Item(f"shop/order/{id}", verdict, f"<b>{id}", "1.00", "EUR", "=1+1") for id in range(120)]
        world.ledger.runs.put(run.id, items)
        world.ledger.runs.end(run.id, "done", "A sentence. What to do: nothing.")
        page = get(client, f"/runs/{run.id}")
        assert "<b>" not in page
        assert "A sentence." in page
        further = re.search(r'rel="next" href="([^"]+)"', page)
        assert further is not None
        assert "From the beginning" in get(client, further[1].replace("&amp;", "&"))
        assert client.get(f"/runs/{run.id}.csv").status_code == 200
        assert len(json.loads(client.get(f"/runs/{run.id}.json").text)) > 3
    assert client.get("/runs/999999").status_code == 404
    assert client.get("/runs/9999999999999999999999.csv").status_code == 404


@pytest.mark.parametrize("kind", ["rehearse", "backfill"])
def test_a_file_is_sent_while_it_is_made(world: World, monkeypatch: pytest.MonkeyPatch, kind: RunKind) -> None:
    """So no export takes the memory of all its records; whoever asks for the head alone has none of them read."""
    run = world.ledger.runs.begin(kind, FLOW, {"since": "2026-01-01T00:00:00+00:00", "until": ""}, by="karl")
    verdict = "post" if kind == "rehearse" else "none"
    items = [Item(f"shop/order/{id:05}", verdict, str(id), "1.00", "EUR", "why " * 20) for id in range(2500)]
    world.ledger.runs.put(run.id, items)
    app, log = world.app(lambda: None), []
    client = logged_in(app, Role.ADMIN, "Olga")
    read = Runs.items

    def items_of(self: Runs, run_id: int, **options: Any) -> Sequence[Item]:
        found = read(self, run_id, **options)
        log.append(f"{len(found)} read")
        return found

    class Overheard:
        """What is sent, and when."""

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message.get("more_body"):
                    log.append("a piece sent")
                await send(message)

            await app(scope, receive, sending)

    monkeypatch.setattr(Runs, "items", items_of)
    browser = TestClient(Overheard(), base_url=BASE, headers=BROWSER, cookies=client.cookies)
    for name in ("csv", "json"):
        log.clear()
        told = browser.head(f"/runs/{run.id}.{name}")
        assert (told.status_code, told.content, log) == (200, b"", [])
        sent = browser.get(f"/runs/{run.id}.{name}")
        assert sent.headers["content-type"] == told.headers["content-type"]
        assert sent.headers["content-disposition"] == f'attachment; filename="run-{run.id}.{name}"'
        assert log.count("1000 read") == (4 if (kind, name) == ("rehearse", "json") else 2), (
            "a rehearsal is added up first"
        )
        assert "a piece sent" in log[: len(log) - log[::-1].index("1000 read")], "before everything is read"
        text = sent.text.removeprefix("\ufeff")
        keys = (
            [row["key"] for row in csv.DictReader(io.StringIO(text))]
            if name == "csv"
            else [one["key"] for one in json.loads(text)["orders" if kind == "rehearse" else "records"]]
        )
        assert keys == [one.key for one in items]


def test_the_list_goes_on(world: World, client: TestClient) -> None:
    for _ in range(55):
        world.ledger.runs.end(world.ledger.runs.begin("adopt", FLOW, {}).id, "done")
    first = get(client, "/runs?kind=adopt")
    further = re.search(r'rel="next" href="([^"]+)"', first)
    assert further is not None
    assert get(client, further[1].replace("&amp;", "&")).count('data-key="run-') == 5


def test_operators_do_not_take_back_and_viewers_begin_nothing(world: World, filled: tuple[str, RunView]) -> None:
    path, run = filled
    app = world.app(lambda: None)
    operator, viewer = logged_in(app, Role.OPERATOR), logged_in(app, Role.VIEWER)
    assert "taken back" not in get(operator, path)
    assert operator.post(f"{path}/preview").status_code == 403
    assert operator.post(f"{path}/undo").status_code == 403
    stopped = world.ledger.runs.begin("undo", FLOW, {"run": run.id})
    world.ledger.runs.end(stopped.id, "stopped")
    assert operator.post(f"/runs/{stopped.id}/go-on").status_code == 403
    assert "Rehearse the last" not in get(viewer, "/flows")
    assert viewer.post("/runs/rehearse", data={"flow": FLOW, "days": "30"}).status_code == 403
    assert now(world, stopped).state == "stopped"


def test_the_form_names_the_commands(world: World, client: TestClient) -> None:
    page = get(client, f"/runs/new?flow={FLOW}")
    assert f"orderwire adopt {FLOW} --since" in page
    assert client.get("/runs/new?flow=nobody").status_code == 404
