"""Each test of the ledger runs on a migrated, empty database of each engine."""

from pathlib import Path

import pytest

from tests.integration.ledger import kit


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)
