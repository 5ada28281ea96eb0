"""Real systems from the package registry, one of each for a test process."""

from collections.abc import Iterator

import pytest

from tests.real.installation import staff
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
    """People who work in that Tryton."""
    return staff(tryton)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long a rep travelled, also where it came too late."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in report.user_properties:
                if name == "reps" and report.when == "call":
                    terminalreporter.line(str(value) if outcome == "passed" else f"{value}  FAILED")
