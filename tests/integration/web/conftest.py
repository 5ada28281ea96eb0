"""Each test of the web runs on a migrated, empty database of each engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fastapi import FastAPI

from core.clock import Clock
from ledger import Ledger
from pipelines.context import Context
from pipelines.metrics import Metrics
from tests.integration.ledger import kit
from web.app import create_app
from web.state import WebState


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


@pytest.fixture
def app(ledger: Ledger) -> FastAPI:
    """The web process over a ledger without stores and flows."""
    return create_app(WebState(Context(ledger, {}, {}, {}, {}, clock=Clock()), Metrics(), lambda: None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test of the web runs on both engines. One with further parameters runs for each of them once: they take turns with
    the engines, and from tree to tree (ORDERWIRE_SEED) the turns change. What the engines answer is the ledger's own to test.
    """
    if any("::" in argument for argument in config.args):
        return  # asked for by name
    turn = int(os.environ.get("ORDERWIRE_SEED") or 0)
    others: dict[str, dict[str, int]] = {}
    for item in items:
        if (asked := _asked(item)) is not None:
            mine = others.setdefault(asked[0], {})
            mine.setdefault(asked[1], len(mine))
    left_out = [item for item in items if (asked := _asked(item)) and _other_engines(asked, others[asked[0]], turn)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _asked(item: pytest.Item) -> tuple[str, str, str] | None:
    """The test, what it is asked beside the engine, and the engine; None for those that are not of this folder."""
    callspec = getattr(item, "callspec", None)
    if Path(__file__).parent not in item.path.parents or callspec is None or "database_url" not in callspec.params:
        return None
    engine: str = callspec.params["database_url"]
    test, _, parameters = item.nodeid.partition("[")
    return test, parameters.replace(engine, "", 1), engine


def _other_engines(asked: tuple[str, str, str], places: dict[str, int], turn: int) -> bool:
    _, beside, engine = asked
    return len(places) > 1 and (places[beside] + turn) % 2 == (engine == "postgres")
