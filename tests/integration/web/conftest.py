"""Each test of the web runs on a migrated, empty database of each engine."""

from __future__ import annotations

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
