"""Each test of the ledger runs on a migrated, empty database of each engine."""

import pytest


@pytest.fixture
def database_url(migrated: str) -> str:
    return migrated
