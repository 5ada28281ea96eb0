"""Fifty open tabs keep neither deliveries nor probes waiting, and hold few connections to the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import httpx
import pytest

from core.jsontext import dumps
from core.rights import Role
from tests.orders import order
from tests.people import BASE, BROWSER, logged_in
from tests.world import World, signed_headers
from web.dashboard.tiles import Tile
from web.threads import PAGES

TABS = 50
SOON = 5.0


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
