"""Our own machine dies: a ledger of yesterday, or an empty one, rebuilds its links from the CRM. Nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ConfigurationProblem
from ledger.backup import backup, restore
from tests.orders import order, person
from tests.servers import PostgresServer, installed_postgres
from tests.world import World, crm


def deliver(world: World, numbers: range) -> None:
    for number in numbers:
        world.deliver(order(number, billing=person(f"Customer{number % 3}")))
    world.drain()


def assert_whole(world: World, orders: int) -> None:
    assert world.ledger.jobs.counts()["settled"] == orders
    assert len(world.records("SalesOrder")) == orders
    assert len(world.records("Accounts")) == len(world.records("Contacts")) == 3


@pytest.fixture(params=["sqlite", "postgres"])
def places(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Two empty databases on one engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/before.db", f"sqlite:///{tmp_path}/after.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    # The server's own pg_dump: an older one refuses.
    programs = installed_postgres()
    monkeypatch.setenv("PATH", f"{programs if (programs / 'pg_dump').exists() else programs / 'bin'}:/usr/bin:/bin")
    with server.fresh_database() as first, server.fresh_database() as second:
        yield first, second


def test_a_ledger_of_yesterday(places: tuple[str, str], tmp_path: Path) -> None:
    with crm() as (_, address):
        with World(places[0], address) as world:
            deliver(world, range(1, 6))
            backup(places[0], tmp_path / "copy")
            deliver(world, range(6, 9))
            assert_whole(world, 8)
        restore(places[1], tmp_path / "copy")
        with World(places[1], address, upgrade=False) as world:
            assert len(world.ledger.jobs.list()) == 5
            deliver(world, range(1, 9))  # the store's poll brings everything again
            assert_whole(world, 8)
            assert all(job.state == "settled" for job in world.ledger.jobs.list())


def test_an_empty_ledger(places: tuple[str, str]) -> None:
    with crm() as (_, address):
        with World(places[0], address) as world:
            deliver(world, range(1, 6))
        with World(places[1], address) as world:
            deliver(world, range(1, 6))
            assert_whole(world, 5)


def test_a_backup_replaces_nothing_and_a_ledger_is_not_overwritten(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with crm() as (_, address), World(url, address) as world:
        deliver(world, range(1, 2))
        backup(url, tmp_path / "copy")
        with pytest.raises(ConfigurationProblem, match="exists already"):
            backup(url, tmp_path / "copy")
        with pytest.raises(ConfigurationProblem, match="There is a ledger"):
            restore(url, tmp_path / "copy")


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"SQLite format 3\x00" + b"nonsense" * 500)
    with pytest.raises(ConfigurationProblem, match="damaged"):
        restore(f"sqlite:///{tmp_path}/new.db", copy)
    assert not (tmp_path / "new.db").exists()
