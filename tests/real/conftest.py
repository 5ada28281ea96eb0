"""Real systems from the package registry, one of each for a test process."""

from collections.abc import Iterator

import pytest

from tests.real.tryton_server import Installed, Office, TrytonServer, installed
from tests.servers import ServerNotAvailable


@pytest.fixture(scope="session")
def tryton_home(request: pytest.FixtureRequest) -> Installed:
    """Tryton and its prepared database: built by the first test process that asks, then kept in pytest's cache."""
    cache = request.config.cache
    assert cache is not None
    try:
        return installed(cache.mkdir("tryton"))
    except ServerNotAvailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def tryton(tryton_home: Installed) -> Iterator[TrytonServer]:
    """A Tryton for this test process. Tests share it, each with customers of its own."""
    with TrytonServer(home=tryton_home) as server:
        yield server


@pytest.fixture(scope="session")
def office(tryton: TrytonServer) -> Office:
    """People who work in that Tryton. Codes are typed in by hand there: one that a sequence gave could not be changed."""
    people = Office(tryton)
    people.write("party.configuration", people.find("party.configuration")[0], party_sequence=None)
    return people
