"""Every recorded order and delivery, in any order and any number of times, through the web and the worker: one order each.

With Valkey and Dramatiq, with an address where nobody listens, and with no broker at all.
"""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

import worker
from core.jsontext import dumps
from core.settings import WorkerSettings
from mapping.identity import fold_email
from pipelines.broker import redis_broker
from sandbox.serve import running
from sandbox.store.woo import WooShop, routes
from tests.orders import FIXTURES, corpus, left, order, refunds_of
from tests.servers import free_port
from tests.world import ACCESS_KEY, World, signed_headers, wait_for

STATUS = {"pending": "Created", "on-hold": "Created", "processing": "Approved", "completed": "Delivered"}
Delivery = tuple[dict[str, str], bytes]


def recorded() -> list[Delivery]:
    """The deliveries that a real shop sent, byte by byte, with its signatures (the pings have none)."""
    found = []
    for file in sorted(FIXTURES.glob("hook-*.json")):
        kept = json.loads(file.read_text(encoding="utf-8"))
        found.append((kept["headers"], base64.b64decode(kept["raw_b64"])))
    return found


def signed(made: dict[str, Any], topic: str = "order.updated") -> Delivery:
    body = dumps(made).encode()
    return signed_headers(body, topic), body


def older(made: dict[str, Any], other: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """An earlier version of an order: other lines, other totals, another currency, another status."""
    own = {name: made[name] for name in ("id", "number", "billing", "shipping", "customer_id", "meta_data")}
    return {
        **other,
        **own,
        "status": dice.choice(list(STATUS)),
        "date_modified_gmt": f"2026-10-{dice.randint(1, 12):02}T12:00:00",
    }


def everything(seed: int) -> list[Delivery]:
    """All recorded deliveries, all orders of the corpus, older versions of a third of them; each once to three times."""
    dice = random.Random(seed)
    orders = corpus()
    deliveries = [*recorded(), *map(signed, orders)]
    for made in dice.sample(orders, 27):
        deliveries += [signed(older(made, dice.choice(orders), dice), "order.created") for _ in range(2)]
    again = [dice.choice(deliveries) for _ in range(60)]
    shuffled = deliveries + again
    dice.shuffle(shuffled)
    return shuffled


def hooked() -> list[dict[str, Any]]:
    """The orders that came as recorded deliveries."""
    return list(
        {body["id"]: body for _, raw in recorded() if b"line_items" in raw for body in [json.loads(raw)]}.values()
    )


def assert_all_arrived(world: World) -> None:
    """One sales order for each order, to the cent and less what was refunded, in the status of its newest version, for one account and contact."""
    wanted = {f"Order {made['number']}": made for made in [*corpus(), *hooked()]}
    assert len(wanted) == 82
    rows = world.records("SalesOrder")
    assert sorted(row["subject"] for row in rows) == sorted(wanted)
    assert {job.state for job in world.ledger.jobs.list(limit=500)} == {"settled"}
    for row in rows:
        made = wanted[row["subject"]]
        assert Decimal(row["hdnGrandTotal"]).quantize(Decimal("0.0001")) == left(made), row["subject"]
        assert row["sostatus"] == STATUS[made["status"]], row["subject"]
    assert_one_each(world, rows, wanted)


def assert_one_each(world: World, rows: list[dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> None:
    mails = {fold_email(made["billing"]["email"]) for made in wanted.values()}
    accounts, contacts = world.records("Accounts"), world.records("Contacts")
    assert sorted(fold_email(row["email"]) for row in contacts) == sorted(mails), "both spellings of a firm are one"
    assert len(accounts) == len(mails) == 9
    mail_of = {row["id"]: fold_email(row["email"]) for row in contacts}
    account_of = {row["id"]: row["account_id"] for row in contacts}
    for row in rows:
        assert mail_of[row["contact_id"]] == fold_email(wanted[row["subject"]]["billing"]["email"])
        assert account_of[row["contact_id"]] == row["account_id"]
    assert world.counts("Leads", "Invoice") == (0, 0)


@contextmanager
def at_work(world: World, broker: str) -> Iterator[Callable[[], object]]:
    """The worker as it is started in production, and the bell that the web process rings."""
    stop, ended = threading.Event(), []
    wanted = WorkerSettings().model_copy(update={"broker": broker, "threads": 4, "tick": 0.2})
    thread = threading.Thread(target=lambda: ended.append(worker.run(world.context, wanted, stop)), name="worker")
    nudger = worker.sender(redis_broker(broker)) if broker else None
    thread.start()
    try:
        yield nudger.nudge if nudger else (lambda: None)
    finally:
        if nudger:
            nudger.close()
        stop.set()
        thread.join(timeout=60)
        assert ended == [True], "the worker did not end by itself"


@pytest.fixture(params=["no broker", "nobody listens", "valkey"])
def broker(request: pytest.FixtureRequest) -> str:
    if request.param == "valkey":
        url: str = request.getfixturevalue("valkey_url")
        return url
    return "" if request.param == "no broker" else f"redis://127.0.0.1:{free_port()}/0"


@pytest.fixture
def shop() -> Iterator[str]:
    """The shop itself, which is asked where two deliveries of one second contradict each other."""
    face = WooShop(consumer_key=ACCESS_KEY, consumer_secret=ACCESS_KEY)
    for made in [*corpus(), *hooked()]:
        face.put(made, refunds_of(made))
    with running(Starlette(routes=routes(face))) as url:
        yield url


@pytest.mark.timeout(180)
def test_everything_in_any_order(make: Callable[..., World], shop: str, broker: str, seed: int) -> None:
    world = make(php=seed % 2 + 7, shops={"shop": {"url": shop}})
    deliveries = everything(seed)
    with at_work(world, broker) as nudge, running(world.app(nudge)) as url, ThreadPoolExecutor(4) as pool:
        with httpx.Client(base_url=url) as client:

            def post(delivery: Delivery) -> int:
                headers, body = delivery
                kept = {k: v for k, v in headers.items() if k.lower() not in {"host", "content-length", "connection"}}
                return client.post("/hooks/shop", content=body, headers=kept).status_code

            assert set(pool.map(post, deliveries)) == {200}
        world.settle(within=90)
    assert_all_arrived(world)


# -- permutations ------------------------------------------------------------------------------------------------------


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_permutations_of_versions(permuted: tuple[World, list[int]], data: st.DataObject) -> None:
    """Three orders of one customer in four versions each, drawn in any order with repetitions, work going on between."""
    world, used = permuted
    ids = [len(used) + n for n in range(1, 4)]
    used += ids
    versions = [
        order(id, [("OF-100", n + 1, "10.00")], modified=f"2026-11-20T1{n}:00:00", status=word)
        for id in ids
        for n, word in enumerate(("pending", "processing", "on-hold", "completed"))
    ]
    arriving = data.draw(st.permutations(versions), label="arriving")
    for made in arriving + data.draw(st.lists(st.sampled_from(versions), max_size=6), label="again"):
        world.deliver(made)
        if data.draw(st.booleans(), label="work"):
            world.drain(fill=False)
    world.drain(fill=False)
    newest = {f"Order {made['id']}": made for made in versions if made["status"] == "completed"}
    rows = {row["subject"]: row for row in world.records("SalesOrder") if row["subject"] in newest}
    assert {subject: row["sostatus"] for subject, row in rows.items()} == dict.fromkeys(newest, "Delivered")
    assert {s: Decimal(row["hdnGrandTotal"]) for s, row in rows.items()} == {
        s: Decimal(made["total"]) for s, made in newest.items()
    }
    assert world.counts() == (1, 1, len(used), 0, 0)


@pytest.fixture
def permuted(world: World) -> tuple[World, list[int]]:
    """One world for all examples; each takes order numbers of its own."""
    world.fill_index()
    return world, []


def test_the_broker_comes_back(make: Callable[..., World], valkey_server: Any) -> None:
    """Valkey is stopped and started while orders arrive: nothing is lost, and nobody had to restart anything."""
    if valkey_server.process is None:
        valkey_server.start()
    world = make()
    with at_work(world, valkey_server.url()) as nudge:
        for id in range(1, 31):
            world.deliver(order(id))
            nudge()
            if id == 10:
                valkey_server.kill()
            if id == 20:
                wait_for(lambda: len(world.totals()) >= 15)
                valkey_server.start()
        world.settle(within=60)
    assert world.counts() == (1, 1, 30, 0, 0)
