"""A world for each test, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.crm import CrmApp
from tests.integration.ledger import kit
from tests.world import SkippingClock, World, crm, wait_for


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


class Maker:
    """Makes worlds over one database and one stand-in CRM; what was made is closed with the test."""

    def __init__(self, database_url: str, stack: ExitStack) -> None:
        self.database_url = database_url
        self.app: CrmApp | None = None
        self.crm_url = ""
        self._stack = stack

    def __call__(self, *, php: int = 7, unique_account_names: bool = True, **settings: Any) -> World:
        if self.app is None:
            made = crm(php=php, unique_account_names=unique_account_names)
            self.app, self.crm_url = self._stack.enter_context(made)
        return self._stack.enter_context(World(self.database_url, self.crm_url, **settings))

    def landed(self) -> bool:
        """The CRM is not still at a late commit."""
        assert self.app is not None
        return self.app.landed

    def land(self) -> None:
        """What the CRM was to commit late is committed now."""
        assert self.app is not None
        self.app.land()
        wait_for(self.landed)


@pytest.fixture
def make(database_url: str) -> Iterator[Maker]:
    with ExitStack() as stack:
        yield Maker(database_url, stack)


@pytest.fixture
def world(make: Maker) -> World:
    """The usual one: vtiger on PHP 7, time can be skipped."""
    return make(clock=SkippingClock())
