"""Fixtures for every test: real servers, fresh databases, seeds, and an honest count at the end."""

import gc
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from core.memory import settled
from tests.servers import PostgresServer, ServerNotAvailable, ValkeyServer

# Two busy cores make a good example slow: speed is measured in benchmarks/, not here.
settings.register_profile("orderwire", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orderwire")

# Where a test does not set logs up as the programs do, a traceback is written as Python does it: structlog's own takes up to a
# second for each. This is the renderer of its defaults, so it also holds after `structlog.reset_defaults`.
_renderer = structlog.get_config()["processors"][-1]
assert isinstance(_renderer, structlog.dev.ConsoleRenderer)
_renderer.exception_formatter = structlog.dev.plain_traceback

UNDER_CI = os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}

# `make test` asks the few that failed once more, alone (docs/decisions/0017-what-fails-is-asked-once-more-alone.md): the first
# run names them in the file ORDERWIRE_TEST_FAILED, unless they are many or something did not run at all.
FEW = 5
ALONE = bool(os.environ.get("ORDERWIRE_TEST_ALONE"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test process (each worker of pytest-xdist has its own: nothing to share, nothing to lock)."""
    try:
        server = PostgresServer()
    except ServerNotAvailable as why:
        pytest.skip(str(why))
    with server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, empty PostgreSQL database that lives as long as the test."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey for this test process."""
    try:
        server = ValkeyServer()
    except ServerNotAvailable as why:
        pytest.skip(str(why))
    with server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """URL of an empty Valkey."""
    if valkey_server.process is None:  # a test before this one may have ended it
        valkey_server.start()
    valkey_server.flush()
    return valkey_server.url()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy URL of a fresh, empty database, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'orderwire.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a random test: ORDERWIRE_SEED, or a new one. A failing test shows it."""
    value = int(os.environ.get("ORDERWIRE_SEED") or secrets.randbelow(2**32))
    request.node.add_report_section("setup", "seed", f"run again with ORDERWIRE_SEED={value}")
    return value


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser for Playwright's `executable_path`; the test is skipped where none is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("no Chromium on this machine. What to do: install the Debian package chromium, as .ci/run does.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by fixture what needs a server, so that `-m "not postgres"` is always right."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        callspec = getattr(item, "callspec", None)
        engine = callspec.params.get("database_url") if callspec is not None else None
        if fixtures & {"postgres_server", "postgres_url"} or engine == "postgres":
            item.add_marker(pytest.mark.postgres)
        if fixtures & {"valkey_server", "valkey_url"}:
            item.add_marker(pytest.mark.valkey)


def pytest_collection_finish() -> None:
    """What was loaded and collected stays to the end: the garbage collector, a tenth of a run's time, need not look through it."""
    settled()
    gc.set_threshold(50_000, 20, 50)


def _count(terminal: pytest.TerminalReporter, *outcomes: str) -> int:
    return sum(len(terminal.stats.get(outcome, ())) for outcome in outcomes)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a skipped test is a failure: nothing may be called tested that did not run."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(terminal, pytest.TerminalReporter) or hasattr(session.config, "workerinput"):
        return
    if UNDER_CI and terminal.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    totals = os.environ.get("ORDERWIRE_TEST_TOTALS")
    if totals:
        passed = _count(terminal, "passed")
        counts = [passed, _count(terminal, "failed", "error"), _count(terminal, "skipped"), 0]
        if ALONE:  # the run before has counted them as failed
            counts = [passed, -passed, 0, passed]
        with Path(totals).open("a", encoding="utf-8") as file:
            file.write("{} {} {} {}\n".format(*counts))
    failed = list(dict.fromkeys(report.nodeid for how in ("failed", "error") for report in terminal.stats.get(how, ())))
    names = os.environ.get("ORDERWIRE_TEST_FAILED")
    if names and 0 < len(failed) <= FEW and not (UNDER_CI and terminal.stats.get("skipped")):
        Path(names).write_text("\n".join(failed) + "\n", encoding="utf-8")


def _exchanges(terminal: pytest.TerminalReporter) -> None:
    """How many recorded exchanges were driven: each test that drove one says so by `record_property("exchanges", ...)`,
    with the system and how many there are: `vtiger/513`."""
    covered: dict[str, int] = {}
    for report in terminal.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "exchanges":
                covered[str(value)] = covered.get(str(value), 0) + 1
    for key, number in sorted(covered.items()):
        system, _, total = key.partition("/")
        terminal.line(f"{system} exchanges: covered {number} of {total}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What passed only alone, then the number of skipped tests with each reason, last, where it is seen."""
    _exchanges(terminalreporter)
    unsteady = [report.nodeid for report in terminalreporter.stats.get("passed", ())] if ALONE else []
    if unsteady:
        terminalreporter.section(
            "unsteady: failed beside others, passed alone; each is a fault to be found", sep="-", yellow=True
        )
        for name in unsteady:
            terminalreporter.line(f"UNSTEADY {name}")
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", ()):
        longrepr = report.longrepr
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        reason = reason.removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    if not reasons:
        return
    verdict = "under CI a skipped test is a failure" if UNDER_CI else "a skipped test proves nothing"
    terminalreporter.section(f"{sum(reasons.values())} skipped ({verdict})", sep="-", red=UNDER_CI, yellow=not UNDER_CI)
    for reason, number in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        terminalreporter.line(f"{number} x {reason}")
