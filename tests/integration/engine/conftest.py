"""The engine runs on a migrated, empty database of each engine, with a stand-in for what a job does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import Ledger
from pipelines.context import Context
from pipelines.engine import Engine
from tests.integration.ledger import kit

Make = Callable[..., Engine]


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


@pytest.fixture
def engines(ledger: Ledger) -> Iterator[Make]:
    """Engines over the ledger whose jobs are what the test says. All are stopped at the end."""
    made: list[Engine] = []

    def make(run: Callable[..., object], **options: object) -> Engine:
        context = Context(ledger, {}, {}, {}, {})
        engine = Engine(context, **{"tick": 0.02, "end_process": _not_here, **options})  # type: ignore[arg-type]
        engine.runner.run = run  # type: ignore[method-assign, assignment]
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.stop(within=60)


def _not_here(code: int) -> None:
    raise AssertionError(f"the watchdog ended the process ({code})")
