"""Fifty open tabs keep neither deliveries nor probes waiting, and hold few connections to the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from starlette.exceptions import HTTPException

from core.jsontext import dumps
from core.rights import Role, Scope
from pipelines.desk import Refused
from tests.orders import order
from tests.people import BASE, BROWSER, logged_in, somebody
from tests.world import World, signed_headers
from web.dashboard.tiles import Tile
from web.threads import AGAIN, OUTSIDE, PAGES, outside

TABS = 50
SOON = 5.0
WITHIN = 30.0
"""Seconds for many requests on a busy machine; what is silent is silent for longer."""


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9") as made:
        yield made


class Stuck:
    """A home page that does not come until it is let go; and how many were at it at the same time."""

    def __init__(self) -> None:
        self.go, self.full = threading.Event(), threading.Event()
        self.most = self.now = 0
        self._lock = threading.Lock()

    def tiles(self, *_: object) -> list[Tile]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now >= PAGES:
                self.full.set()
        self.go.wait(30)
        with self._lock:
            self.now -= 1
        return []


def test_open_tabs_keep_nobody_else_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck()
    monkeypatch.setattr("web.dashboard.home.tiles", stuck.tiles)
    app = world.app(lambda: None)
    cookies = dict(logged_in(app, Role.ADMIN).cookies)
    answered: list[int] = []
    body = dumps(order(1001)).encode()
    refused = {**signed_headers(body, "order.updated"), "x-wc-webhook-signature": "bm8="}

    async def tab(browser: httpx.AsyncClient) -> None:
        answered.append((await browser.get("/")).status_code)

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport, base_url=BASE, headers=BROWSER, cookies=cookies) as browser,
            anyio.create_task_group() as group,
        ):
            for _ in range(TABS):
                group.start_soon(tab, browser)
            try:
                assert await anyio.to_thread.run_sync(stuck.full.wait, SOON, limiter=anyio.CapacityLimiter(1))
                with anyio.fail_after(SOON):
                    for headers, status in ((signed_headers(body, "order.updated"), 200), (refused, 401)):
                        told = await browser.post("/hooks/shop", content=body, headers=headers)
                        assert told.status_code == status
                    for path in ("/livez", "/readyz", "/metrics"):
                        assert (await browser.get(path)).status_code == 200, path
                assert not answered
            finally:
                stuck.go.set()

    anyio.run(run)
    assert stuck.most == PAGES
    assert answered == [200] * TABS
    assert world.job("shop/order/1001").state == "waiting"


# -- outside systems that do not answer --------------------------------------------------------------------------------


class Silent:
    """Stands for every call to an outside system: none is answered until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self, *_: object, **__: object) -> Any:
        self.begun.release()
        self.go.wait(2 * WITHIN)
        raise Refused("It did not answer. What to do: try again in a while.")


async def settled(silent: Silent, calls: int) -> None:
    """So many calls have begun."""
    for _ in range(calls):
        assert await anyio.to_thread.run_sync(
            lambda: silent.begun.acquire(timeout=WITHIN), limiter=anyio.CapacityLimiter(1)
        )


def test_systems_that_do_not_answer_take_no_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, dry-runs and comparisons wait; home, login and the API do not, and who finds no place is told so at once."""
    silent = Silent()
    monkeypatch.setattr("pipelines.desk.look", silent)
    monkeypatch.setattr("pipelines.editing.Editing.look", silent)
    monkeypatch.setattr("pipelines.editing.Editing.dry_run", silent)
    monkeypatch.setattr("pipelines.whereabouts.standing", silent)
    world.deliver(order(1001))
    job = world.job("shop/order/1001").id
    app = world.app(lambda: None)
    client = logged_in(app, Role.ADMIN)
    token = world.ledger.sessions.make_token(somebody(world.ledger), "nightly", Scope)
    bearer = {"authorization": f"Bearer {token}", "accept": "application/json"}
    calls = [
        ("/connections/shop/test", {}),
        ("/api/v1/connections/shop/test", bearer),
        ("/connections/crm/test", {}),
        (f"/jobs/{job}/dry-run", {}),
        (f"/jobs/{job}/compare", {}),
        (f"/api/v1/jobs/{job}/dry-run", bearer),
        ("/settings/alerts/test", {}),
    ]
    told: list[httpx.Response] = []

    async def run() -> None:
        refused = anyio.Event()
        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport, base_url=BASE, headers=BROWSER, cookies=client.cookies) as browser,
            anyio.create_task_group() as group,
        ):

            async def press(path: str, headers: dict[str, str]) -> None:
                told.append(await browser.post(path, headers=headers))
                if len(told) == 2 * len(calls) - OUTSIDE:
                    refused.set()

            try:
                with anyio.fail_after(WITHIN):
                    for path, headers in calls * 2:
                        group.start_soon(press, path, headers)
                    await settled(silent, OUTSIDE)
                    for path, headers, status in (("/", {}, 200), ("/login", {}, 303), ("/api/v1/jobs", bearer, 200)):
                        assert (await browser.get(path, headers=headers)).status_code == status, path
                    await refused.wait()
                full = [one for one in told if one.status_code == 429]
            finally:
                silent.go.set()
        assert len(full) >= 2 * len(calls) - OUTSIDE - 2  # nobody is told of alerts here: a refusal of its own
        assert all("What to do: try again in a moment" in one.text for one in full)
        assert all(one.headers["retry-after"] == str(AGAIN) for one in full)

    anyio.run(run)
    assert {one.status_code for one in told} == {409, 429}
    assert not silent.begun.acquire(timeout=0.1), "no call more than there are places"


def test_one_silent_system_leaves_a_place_for_the_others() -> None:
    silent = Silent()
    started: list[str] = []

    async def run() -> None:
        async with anyio.create_task_group() as group:

            async def ask(system: str, *, test: bool = False) -> None:
                with suppress(Refused):
                    await outside(system, silent, test=test)
                started.append(system)

            try:
                group.start_soon(partial(ask, "crm", test=True))
                await settled(silent, 1)
                with pytest.raises(HTTPException, match="crm is being asked already"):
                    await outside("crm", silent, test=True)
                group.start_soon(ask, "crm")
                await settled(silent, 1)
                with pytest.raises(HTTPException, match="crm is being asked already"):
                    await outside("crm", silent)
                group.start_soon(ask, "shop")
                await settled(silent, 1)
                with pytest.raises(HTTPException, match="Other systems are being asked"):
                    await outside("portal", silent)
            finally:
                silent.go.set()
        assert await outside("portal", lambda: "answered", test=True) == "answered"

    anyio.run(run)
    assert sorted(started) == ["crm", "crm", "shop"]
