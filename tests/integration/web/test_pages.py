"""The dashboard's pages over a real ledger of each engine: what they show, to whom, and what their buttons do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from core.rights import Role
from core.visible import visible
from ledger.alerts import Condition
from ledger.jobs import Outcome
from ledger.messages import NewMessage
from pipelines import schedules
from tests.desk import HOSTILE, hostile_orders, logged_in
from tests.orders import order
from tests.world import SkippingClock, World
from web.pages import SAID

PAGES = (
    "/",
    "/connections",
    "/connections/crm",
    "/connections/shop",
    "/schedules",
    "/alerts",
    "/orders",
    "/deliveries",
    "/stock",
    "/flows",
    "/flows/shop-orders/paused",
)
ORIGIN = "http://127.0.0.1"
HTML = {"accept": "text/html", "origin": ORIGIN}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Nobody is called: what is shown is what the ledger knows."""
    with World(database_url, "http://127.0.0.1:9", crm={"rate": 5.0}, clock=SkippingClock()) as made:
        yield made


def browser(world: World, role: Role = Role.OPERATOR, **headers: str) -> TestClient:
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers={**HTML, **headers}, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def furnish(world: World) -> None:
    """Hostile text in everything that a page shows and that somebody else may have written."""
    for hostile in hostile_orders():
        world.deliver(hostile)
    for text in HOSTILE:
        claim = world.ledger.jobs.claim("test")
        assert claim is not None
        world.ledger.jobs.settle(
            claim,
            Outcome(
                "held", f"{text} What to do: {text}", error_class="money", number=text, amount="12.50", currency="EUR"
            ),
        )
        world.ledger.alerts.open(Condition(f"connection/{text}", text, text, facts={"text": text}))
    world.ledger.alerts.close(f"connection/{HOSTILE[0]}", HOSTILE[0])
    for at, one in enumerate(schedules.of(world.context)):
        world.ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        world.ledger.schedules.ended(one.name, f"failed: {HOSTILE[at % len(HOSTILE)]}")
    world.ledger.states.block("crm", 60, error_class="timeout", reason=HOSTILE[0])
    world.ledger.flows.set("shop2-orders", "rehearse", by=HOSTILE[1], note=HOSTILE[0])


class Parsed(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("path", PAGES)
def test_hostile_texts_are_shown_and_do_nothing(world: World, path: str) -> None:
    calm = Parsed()
    calm.feed(browser(world).get(path).text)
    furnish(world)
    answer = browser(world).get(path)
    assert answer.status_code == 200, answer.text
    seen = Parsed()
    seen.feed(answer.text)
    harmful = {"script", "img", "iframe", "object", "embed", "base", "b"}
    assert [one for one in seen.tags if one[0] in harmful] == [one for one in calm.tags if one[0] in harmful]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert not [
        a
        for _, a in seen.tags
        if (a.get("href") or a.get("action") or "").lower().startswith(("javascript:", "data:", "//"))
    ]
    assert str(7331 * 7331) not in seen.text, "no text is a template"
    if path == "/":
        assert all(visible(text).partition(" What to do:")[0] in seen.text for text in HOSTILE)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_anything_without_a_login(world: World, path: str) -> None:
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=HTML, follow_redirects=False)
    assert client.get(path).status_code == 303
    assert client.get(path).headers["location"].startswith("/login")


def test_all_is_well_in_one_line(world: World) -> None:
    for one in schedules.of(world.context):
        world.ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        world.ledger.schedules.ended(one.name, "0 changes")
    assert "All is well: 3 connections work, nothing is held, nothing is late." in browser(world).get("/").text
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(3600)
    late = browser(world).get("/").text
    assert "All is well" not in late
    assert re.search(r"late by [\d,]+ (minutes|hour)", late)


def test_problems_have_their_orders_and_money(world: World) -> None:
    for number in (1, 2, 3):
        world.deliver(order(number))
        claim = world.ledger.jobs.claim("test")
        assert claim is not None
        held = Outcome(
            "held",
            "No such SKU. What to do: add it.",
            error_class="product",
            number=str(number),
            amount="1000.10",
            currency="EUR",
        )
        world.ledger.jobs.settle(claim, held)
    text = unescape(browser(world).get("/").text)
    assert "3,000.30\N{NO-BREAK SPACE}EUR" in text
    assert re.search(r'href="/problems/[0-9a-f]{16}">No such SKU\.', text)


def test_last_orders_are_orders(world: World) -> None:
    world.deliver(order(17))
    for number in range(20):
        letter = NewMessage(f"k{number}", "shop-orders", "mail", "ada@office.example", f"Letter {number}", "Hello")
        assert world.ledger.messages.want(letter)
    text = browser(world).get("/").text
    assert "Letter" not in text[text.index("Last orders") :]
    assert "17</a>" in text[text.index("Last orders") :]


def test_htmx_gets_the_part_that_changes_and_nothing_around_it(world: World) -> None:
    part = browser(world).get("/", headers={"hx-request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "Needs attention" in part.text
    assert "HX-Request" in part.headers["vary"]
    assert part.headers["cache-control"] == "no-store"


def test_what_a_button_said_is_told_once_and_to_no_fragment(world: World) -> None:
    client = browser(world)
    answer = client.post("/connections/shop/pause", data={"span": "open", "reason": HOSTILE[0]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections/shop")
    assert "httponly" in answer.headers["set-cookie"].lower()
    client.get("/", headers={"hx-request": "true"})
    assert "shop is paused" in client.get("/connections/shop").text
    assert "shop is paused" not in client.get("/connections/shop").text


@pytest.mark.parametrize("value", ["%%%", "bm90IGpzb24", "WzFd", "eyJ0ZXh0IjogMX0=", "a" * 4000])
def test_a_forged_sentence_is_no_sentence(world: World, value: str) -> None:
    client = browser(world)
    client.cookies.set(SAID, value)
    assert client.get("/").status_code == 200


def test_pause_resume_and_the_audit(world: World) -> None:
    client = browser(world)
    assert client.post("/connections/crm/pause", data={"span": "60", "reason": "maintenance"}).status_code == 303
    known = world.ledger.states.get("crm")
    assert known is not None
    assert 3500 < known.paused_for <= 3600
    assert "paused" in client.get("/connections/crm").text
    assert client.post("/connections/crm/resume").status_code == 303
    known = world.ledger.states.get("crm")
    assert known is not None
    assert not known.paused_for
    notes = [(note.actor, note.action, note.subject) for note in world.ledger.audit.list()[:2]]
    assert notes == [
        ("operator", "connection.resume", "connection/crm"),
        ("operator", "connection.pause", "connection/crm"),
    ]


def test_ask_it_now_makes_what_asks_it_due(world: World) -> None:
    client = browser(world)
    assert client.post("/connections/crm/run").status_code == 409, "no worker has ever run"
    for one in schedules.of(world.context):
        world.ledger.schedules.start_if_due(one.name, every=one.every, lease=60)
        world.ledger.schedules.ended(one.name, "0 changes")
    assert not world.ledger.schedules.start_if_due("parties/crm", every=60, lease=60)
    assert client.post("/connections/crm/run").status_code == 303
    assert world.ledger.schedules.start_if_due("parties/crm", every=60, lease=60)
    assert client.post("/schedules/run", data={"name": "conditions"}).status_code == 303
    assert world.ledger.schedules.start_if_due("conditions", every=60, lease=60)
    assert client.post("/schedules/run", data={"name": "nothing"}).status_code == 404


def test_a_test_tells_what_stopped_it(world: World) -> None:
    answer = browser(world).post("/connections/crm/test")
    assert answer.status_code == 200
    assert "What the test found" in answer.text
    assert 'class="chip bad"' in answer.text


def test_a_flow_goes_live_and_back(world: World) -> None:
    client = browser(world)
    world.ledger.flows.set("shop-orders", "live", start=world.ledger.clock.now())
    assert client.get("/flows/shop-orders/live").status_code == 409, "it is live"
    assert client.post("/flows/shop-orders/paused", data={"note": "look"}).status_code == 303
    assert world.ledger.flows.get("shop-orders").mode == "paused"
    assert "kept" in client.get("/flows/shop-orders/live").text
    assert (
        client.post("/flows/shop-orders/live", data={"begin": "time", "start": "2020-01-01T00:00"}).status_code == 409
    )
    assert client.post("/flows/shop-orders/live", data={}).status_code == 409
    assert client.post("/flows/shop-orders/live", data={"begin": "kept"}).status_code == 303
    state = world.ledger.flows.get("shop-orders")
    assert (state.mode, state.changed_by) == ("live", "operator")
    assert state.start is not None
    assert client.post("/flows/shop-orders/rehearse", data={}).status_code == 303
    assert world.ledger.flows.get("shop-orders").mode == "rehearse"


BUTTONS = (
    "/connections/crm/pause", "/connections/crm/resume", "/connections/crm/run", "/connections/crm/test", "/schedules/run",
    "/flows/shop-orders/paused",
)  # fmt: skip


@pytest.mark.parametrize("path", BUTTONS)
def test_a_viewer_sees_no_button_and_presses_none(world: World, path: str) -> None:
    client = browser(world, Role.VIEWER)
    assert client.post(path, data={"span": "60", "name": "conditions"}).status_code == 403
    for page in PAGES[:-1]:
        text = client.get(page).text
        assert client.get(page).status_code == 200
        assert set(re.findall(r'<form action="([^"]+)" method="post"', text)) <= {"/logout"}


@pytest.mark.parametrize("path", BUTTONS)
def test_another_sites_page_presses_nothing(world: World, path: str) -> None:
    client = browser(world, origin="http://evil.example")
    assert client.post(path, data={"span": "60"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/connections/nothing", "/flows/nothing/live", "/flows/shop-orders/nothing", "/nothing", "/connections/<b>"],
)
def test_what_is_not_there(world: World, path: str) -> None:
    answer = browser(world).get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "<b>" not in answer.text


def test_programs_get_no_pages(world: World) -> None:
    answer = browser(world, accept="application/json").post("/schedules/run", data={"name": "nothing"})
    assert answer.status_code == 404
    assert "What to do:" in answer.json()["error"]


def test_the_navigation_leads_only_to_pages_that_answer(world: World) -> None:
    client = browser(world, Role.ADMIN)
    links = re.findall(r'<li><a href="([^"]+)"', client.get("/").text)
    assert "/connections" in links
    assert {path: client.get(path).status_code for path in links} == dict.fromkeys(links, 200)
    assert "/settings/users" not in re.findall(r'<li><a href="([^"]+)"', browser(world, Role.VIEWER).get("/").text)


def test_while_the_database_is_away_a_page_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser(world)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("no route"))

    monkeypatch.setattr(world.ledger.states, "all", away)
    answer = client.get("/")
    assert answer.status_code == 503
    assert "nothing is lost" in answer.text
    assert "secret" not in answer.text
    assert client.get("/", headers={"accept": "application/json"}).json()["ok"] is False
