"""Templates of a migrated, empty database of each engine (`kit.migrated` copies them), and ledgers over a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import Ledger
from tests.integration.ledger import kit


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.sqlite_template(tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module")
def postgres_template(request: pytest.FixtureRequest) -> Iterator[str]:
    with kit.postgres_template(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture
def open_ledger(database_url: str) -> Iterator[Callable[..., Ledger]]:
    """Another process's view of the same database, as often as wanted."""
    opened: list[Ledger] = []

    def open_one(**options: float) -> Ledger:
        opened.append(Ledger.open(database_url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    return open_ledger()
