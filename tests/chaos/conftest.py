"""Fixtures of the chaos suite, and the table of all its lines at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.chaos.harness.case import Case
from tests.chaos.harness.fleet import Fleet, Plan
from tests.chaos.harness.processes import Nursery
from tests.chaos.harness.shop import Shop
from tests.servers import PostgresServer, ServerNotAvailable, ValkeyServer


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Forks every process of the suite; ends them all with itself."""
    with Nursery() as made:
        yield made


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the test may restart."""
    try:
        server = PostgresServer()
    except ServerNotAvailable as why:
        pytest.skip(str(why))
    with server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that the test may restart."""
    try:
        server = ValkeyServer()
    except ServerNotAvailable as why:
        pytest.skip(str(why))
    with server:
        yield server


def engine_of(database_url: str) -> str:
    return "sqlite" if database_url.startswith("sqlite") else "postgres"


class MakeCase(Protocol):
    def __call__(self, name: str, *, engine: str = "") -> Case: ...


@pytest.fixture
def case(request: pytest.FixtureRequest, seed: int) -> MakeCase:
    """Begins a case of the matrix."""
    return lambda name, *, engine="": Case(name, request, seed, engine=engine)


class MakeFleet(Protocol):
    def __call__(self, database: str, plan: Plan | None = None) -> Fleet: ...


@pytest.fixture
def installation(nursery: Nursery, tmp_path: Path) -> MakeFleet:
    """Prepares an installation; enter it to start it."""

    def make(database: str, plan: Plan | None = None) -> Fleet:
        folder = tmp_path / "installation"
        folder.mkdir(exist_ok=True)
        return Fleet(nursery, folder, database, plan)

    return make


@contextmanager
def selling(fleet: Fleet, *, senders: int = 4, patience: float = 120.0) -> Iterator[Shop]:
    """A shop that posts to this fleet."""
    shop = Shop(lambda: fleet.web_url, senders=senders, patience=patience)
    try:
        yield shop
    finally:
        shop.close()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a case, also of those that failed."""
    lines = [
        (str(value), report.outcome)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in report.user_properties
        if name == "chaos" and report.when == "call"
    ]
    if not lines:
        return
    terminalreporter.section("chaos", sep="-")
    for text, outcome in sorted(lines):
        terminalreporter.line(text if outcome == "passed" else f"{text}  FAILED", red=outcome != "passed")
