"""Queues and processes: who is there, who is not any more, and what each is at; and that telling it costs next to nothing."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from console.exposing import exposed
from core.errors import ConfigurationProblem
from core.rights import Role
from core.settings import WorkerSettings
from ledger import tables as t
from ledger.jobs import Outcome
from ledger.processes import KEPT, SILENT, Beat
from pipelines.engine import Engine
from pipelines.metrics import Metrics
from pipelines.presence import EVERY, FLUSH, Presence
from tests.desk import HOSTILE, logged_in
from tests.orders import order
from tests.world import SkippingClock, World, wait_for

ORIGIN = "http://127.0.0.1"


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def world(database_url: str, clock: SkippingClock) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9", clock=clock) as made:
        yield made


def browser(world: World, role: Role = Role.VIEWER) -> TestClient:
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(world.app(lambda: None), base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def beat(world: World, name: str, role: str = "worker", **told: object) -> None:
    told = {"version": "0.1.0", "threads": 8, **told}
    world.ledger.processes.beat(Beat(name, role, **told))  # type: ignore[arg-type]


def queue_row(text: str, name: str) -> list[str]:
    row = re.search(rf'data-key="queue-{name}">(.*?)</tr>', text, re.DOTALL)
    assert row is not None
    cells = re.findall(r'<td class="number"[^>]*>(.*?)</td>', row[1], re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]


# -- queues ------------------------------------------------------------------------------------------------------------


def test_queues_say_how_much_waits_since_when_and_how_much_is_done(world: World, clock: SkippingClock) -> None:
    for number in range(1, 7):
        world.deliver(order(number))
    for _ in range(3):
        claim = world.ledger.jobs.claim("host:1:a/9")
        assert claim is not None
        world.ledger.jobs.settle(claim, Outcome("settled"))
    assert world.ledger.jobs.claim("host:1:a/9") is not None
    clock.skip(50)
    text = browser(world).get("/workers").text
    waiting, oldest, running, done = queue_row(text, "live")
    assert (waiting, running, done) == ("2", "1", "3")
    assert re.fullmatch(r"5\d seconds", oldest)
    assert queue_row(text, "backfill") == ["0", "nothing is due", "0", "0"]
    clock.skip(30)
    assert queue_row(browser(world).get("/workers").text, "live")[3] == "0", "a minute is over"


# -- processes ---------------------------------------------------------------------------------------------------------


def test_a_process_with_its_jobs_and_schedules(world: World) -> None:
    beat(world, "depot-1:4711:abc", broker="up", working=["poll/shop"])
    world.deliver(order(1))
    claim = world.ledger.jobs.claim("depot-1:4711:abc/140")
    assert claim is not None
    text = browser(world).get("/workers").text
    assert "depot-1" in text
    assert "4711" in text
    assert "1 of 8 busy" in text
    assert f'href="/jobs/{claim.id}"' in text
    assert "Asks shop what changed" in text
    assert "answers" in text
    assert "No worker is at work" not in text


def test_it_refreshes_by_itself(world: World) -> None:
    beat(world, "depot-1:4711:abc")
    live = browser(world).get("/workers", headers={"hx-request": "true"})
    assert live.status_code == 200
    assert "depot-1" in live.text
    assert "<html" not in live.text


def test_who_is_not_seen_for_a_minute_is_marked(world: World, clock: SkippingClock) -> None:
    beat(world, "depot-1:1:a")
    clock.skip(SILENT / 2)  # the page may take as long again
    assert "not seen for" not in browser(world).get("/workers").text
    clock.skip(SILENT)
    beat(world, "web-1:2:b", "web", threads=0)
    text = browser(world).get("/workers").text
    assert re.search(r"not seen for (\d+ seconds|1 minute|\d minutes)", text)
    assert "No worker is at work: nothing is carried." in text, "the web process carries nothing"
    assert "No worker is at work: nothing is carried." in browser(world).get("/").text
    beat(world, "depot-2:3:c")
    assert "No worker is at work" not in browser(world).get("/").text


def test_where_nobody_ever_told_nobody_is_missed(world: World) -> None:
    assert "No worker is at work" not in browser(world).get("/").text
    assert "No process has told of itself yet" in browser(world).get("/workers").text


def test_brokers_lag_and_versions(world: World) -> None:
    beat(world, "a:1:a", broker="away", lag=7.4)
    beat(world, "b:2:b", version="0.2.0")
    text = browser(world).get("/workers").text
    assert "away" in text
    assert "7 seconds behind" in text
    assert "none: looks for work every second" in text
    assert "Different versions are at work: 0.1.0, 0.2.0." in text


def test_what_a_job_is_called_does_nothing(world: World) -> None:
    beat(world, f"{HOSTILE[0][:40]}:1:a", working=[HOSTILE[1]])
    world.deliver(order(1))
    assert world.ledger.jobs.claim(f"{HOSTILE[0][:40]}:1:a/9") is not None
    world.ledger.db.execute(sa.update(t.job).values(number=HOSTILE[0]))
    text = browser(world).get("/workers").text
    assert "<script>window" not in text
    assert "<img src=x" not in text


def test_it_leaves_without_a_trace_and_the_dead_are_forgotten_after_a_day(world: World, clock: SkippingClock) -> None:
    beat(world, "a:1:a")
    beat(world, "b:2:b")
    world.ledger.processes.leave("a:1:a")
    assert [one.id for one in world.ledger.processes.all()] == ["b:2:b"]
    clock.skip(KEPT + 1)
    assert not world.ledger.processes.all()
    world.ledger.processes._cleaned = float("-inf")
    beat(world, "c:3:c")
    assert [row.id for row in world.ledger.db.rows(sa.select(t.process.c.id))] == ["c:3:c"]


# -- telling -----------------------------------------------------------------------------------------------------------


def test_a_sign_of_life_costs_one_row_in_ten_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    now = 0.0
    presence = Presence(world.ledger, "worker", threads=4, monotonic=lambda: now)
    real = world.ledger.processes.beat

    def heard(one: Beat) -> None:
        told.append(now)
        real(one)

    monkeypatch.setattr(world.ledger.processes, "beat", heard)
    for second in range(61):
        now = float(second)
        presence.tell()
    assert told == [0, 10, 20, 30, 40, 50, 60]
    assert len(world.ledger.db.rows(sa.select(t.process))) == 1


def test_calls_are_added_once_a_minute_and_none_is_lost_while_the_ledger_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    presence = Presence(world.ledger, "worker", monotonic=lambda: now)
    presence.tell()
    for _ in range(3):
        world.ledger.pulse.called("crm", 40.4)
    now = FLUSH - EVERY
    presence.tell()
    at = world.ledger.clock.now()
    assert ("crm", "calls") not in world.ledger.pulse.hours(at)
    with monkeypatch.context() as away:
        away.setattr(world.ledger.db, "transact", lambda _work: (_ for _ in ()).throw(OSError("away")))
        now = FLUSH
        with pytest.raises(OSError, match="away"):
            presence.tell()
    world.ledger.pulse.called("crm", 80)
    presence.leave()
    counted = world.ledger.pulse.hours(at)
    assert (counted["crm", "calls"][-1], counted["crm", "millis"][-1]) == (4, 201)


def test_an_engine_tells_while_it_works_and_leaves_when_it_stops(world: World) -> None:
    engine = Engine(world.context, threads=2, tick=0.05, role="up")
    engine.start()
    try:
        wait_for(lambda: bool(world.ledger.processes.all()), 20)
        (one,) = world.ledger.processes.all()
        assert (one.id, one.role, one.threads) == (world.ledger.process, "up", 2)
    finally:
        engine.stop(10)
    assert not world.ledger.processes.all()


def test_who_stops_begins_no_round_that_it_would_not_end(world: World) -> None:
    engine = Engine(world.context, threads=1)
    engine.stopping.set()
    engine.tick()
    assert not world.ledger.figures.schedules(), "the next process need not wait for a lease"


def test_a_process_without_a_ticker_tells_by_itself(world: World) -> None:
    with Presence(world.ledger, "web", broker=lambda: "away").by_itself():
        wait_for(lambda: bool(world.ledger.processes.all()), 20)
        (one,) = world.ledger.processes.all()
        assert (one.role, one.broker, one.threads) == ("web", "away", 0)
        assert "presence" in {thread.name for thread in threading.enumerate()}
    assert not world.ledger.processes.all()
    assert "presence" not in {thread.name for thread in threading.enumerate()}


# -- a worker's own metrics --------------------------------------------------------------------------------------------


def test_a_worker_tells_its_counts_where_it_was_told_to_and_nowhere_else() -> None:
    metrics = Metrics()
    metrics.counted("entered", {"channel": "web"})
    with exposed(WorkerSettings(), metrics) as nowhere:
        assert nowhere == ""
    with exposed(WorkerSettings(metrics="127.0.0.1:0"), metrics) as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", address)
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own address
            text = answer.read().decode()
        assert 'orderwire_orders_entered_total{channel="web"} 1.0' in text
        assert "process_resident_memory_bytes" in text
        port = address.split(":")[2].partition("/")[0]
        taken = exposed(WorkerSettings(metrics=f"127.0.0.1:{port}"), metrics)
        with pytest.raises(ConfigurationProblem, match="cannot be opened for metrics"):
            taken.__enter__()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)  # noqa: S310 - our own address


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
        ("9464", ("127.0.0.1", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("10.0.0.7:1", ("10.0.0.7", 1)),
    ],
)
def test_where_metrics_are_told(text: str, where: tuple[str, int] | None) -> None:
    assert WorkerSettings(metrics=text).metrics_at == where


@pytest.mark.parametrize("text", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_no_address_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="names no port"):
        WorkerSettings(metrics=text)
