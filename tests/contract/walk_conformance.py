"""What every ERP connector that walks by the server's own times (connectors.walk) must keep to, beside `ErpOverHttp`."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx
import pytest

from connectors.roles import Erp
from connectors.walk import from_text, to_text
from core.clock import Clock
from tests.contract.erp_conformance import ErpOverHttp


class Timed(Protocol):
    """A world with a time of its own."""

    now: datetime

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        ...


class Local(Clock):
    """Our clock, so far from theirs."""

    def __init__(self, world: Timed, ahead: timedelta = timedelta(0)) -> None:
        self.world, self.ahead = world, ahead

    def now(self) -> datetime:
        return self.world.now + self.ahead


class WalkedErp(ErpOverHttp):
    """`build` also sets `world`, whose records are days old."""

    world: Any

    @abstractmethod
    def at(self, world: Any, clock: Clock) -> Erp:
        """A connector to this world, with this clock."""

    def test_a_cursor_comes_back_as_it_was(self, erp: Erp) -> None:
        for kind in erp.kinds:
            for page in erp.changes_since(kind, None):
                assert to_text(from_text(page.cursor, self.name)) == page.cursor
                assert len(page.cursor) < 4_000

    @pytest.mark.parametrize("hours", [-7, 0, 7])
    def test_our_clock_does_not_matter(self, hours: int) -> None:
        self.build()
        erp = self.at(self.world, Local(self.world, timedelta(hours=hours)))
        _, cursor = self.told(erp, "customer")
        before = ""
        for _ in range(3):
            self.world.now += timedelta(minutes=30)
            name = self.add("customer")
            found, cursor = self.told(erp, "customer", cursor)
            told = {key.id for key in found}
            assert name in told
            assert told <= {name, before}  # what was the newest is read once more
            before = name

    def test_what_was_written_last_is_not_read_for_ever(self, erp: Erp) -> None:
        name = self.touch("customer")
        _, cursor = self.told(erp, "customer")
        for hours in (0, 20):  # within the overlap; and the database's clock may be that wrong
            self.world.now += timedelta(hours=hours)
            found, cursor = self.told(erp, "customer", cursor)
            assert {key.id for key in found} == {name}
        self.world.now += timedelta(hours=20)
        _, cursor = self.told(erp, "customer", cursor)
        assert self.told(erp, "customer", cursor)[0] == {}

    @pytest.mark.parametrize(("seconds", "level"), [(60, "ok"), (600, "warning"), (-600, "warning")])
    def test_the_check_compares_clocks(self, seconds: int, level: str) -> None:
        self.build()
        erp = self.at(self.world, Local(self.world, timedelta(seconds=seconds)))
        assert [one.level for one in erp.check() if one.subject == "clock"] == [level]
