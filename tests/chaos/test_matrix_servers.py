"""The matrix, rows R6, R7, R10, R11 and R15: what the product leans on goes away, and comes back."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipelines.broker import SOCKET_TIMEOUT
from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.case import wait
from tests.chaos.harness.fleet import Fleet, Plan, get
from tests.chaos.harness.scale import limit, scale
from tests.chaos.harness.shop import Orders, percentile
from tests.servers import PostgresServer, ValkeyServer, free_port

pytestmark = pytest.mark.chaos

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread until the block ends."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(90)
    if failed:
        raise failed[0]


# -- R6 ----------------------------------------------------------------------------------------------------------------


def restarts(valkey: ValkeyServer) -> Callable[[threading.Event], None]:
    def work(stop: threading.Event) -> None:
        while not stop.wait(4):
            valkey.kill()
            valkey.start()

    return work


def goes_away(valkey: ValkeyServer, seconds: float) -> Callable[[threading.Event], None]:
    def work(stop: threading.Event) -> None:
        stop.wait(2)
        valkey.kill()
        stop.wait(seconds)
        valkey.start()

    return work


def is_flushed(valkey: ValkeyServer) -> Callable[[threading.Event], None]:
    def work(stop: threading.Event) -> None:
        while not stop.wait(5):
            valkey.flush()

    return work


MODES: dict[str, tuple[float, Callable[[ValkeyServer], Callable[[threading.Event], None]]]] = {
    "restart": (15.0, restarts),
    "away": (66.0, lambda valkey: goes_away(valkey, 60.0)),
    "flush": (17.0, is_flushed),
    "absent": (12.0, lambda _valkey: lambda stop: None),
}
"""Seconds over which the orders come, and what happens to Valkey meanwhile."""


@pytest.mark.timeout(limit(220))
@pytest.mark.parametrize("mode", MODES)
def test_r6_valkey_fails(
    mode: str,
    postgres_url: str,
    own_valkey: ValkeyServer,
    installation: MakeFleet,
    case: MakeCase,
    seed: int,
) -> None:
    this = case(f"R6-{mode}", engine="postgres")
    orders = scale(500, 5000)
    seconds, failing = MODES[mode]
    port = own_valkey.port if mode != "absent" else free_port()
    plan = Plan(workers=2, broker=f"redis://127.0.0.1:{port}/0", broker_password=own_valkey.password)
    versions = Orders(seed).mixed(orders, customers=orders // 2, updated=0.0)
    with installation(postgres_url, plan) as fleet, selling(fleet, senders=8) as shop:
        with meanwhile(failing(own_valkey)):
            began = time.monotonic()
            for n, version in enumerate(versions):
                time.sleep(max(began + seconds * n / orders - time.monotonic(), 0))
                shop.send([version])
            shop.sent(120)
        p99 = percentile(shop.took, 0.99)
        found = this.settle(fleet, shop)
        assert set(shop.statuses) == {200}, shop.statuses
        this.passes(orders, found, web_p99_ms=round(p99))
        # The figure is for people (300 ms on a machine of its own); a delivery that waited for Valkey took this long.
        assert p99 < SOCKET_TIMEOUT * 1000, f"web p99 {p99:.0f} ms"
        assert not fleet.ended, fleet.ended


# -- R7 ----------------------------------------------------------------------------------------------------------------


LATE_COMERS = 20


@pytest.mark.timeout(limit(200))
def test_r7_postgresql_restarts_at_once(
    own_postgres: PostgresServer, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    this = case("R7", engine="postgres")
    orders, restarts = scale(400, 4000), scale(3, 20)
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    with (
        own_postgres.fresh_database() as url,
        installation(url, Plan(workers=2)) as fleet,
        selling(fleet, senders=6) as shop,
    ):
        for n in range(restarts):
            wave = versions[n::restarts]
            shop.send(wave[:-LATE_COMERS])
            wait(lambda n=n: len(shop.newest()) >= orders * (n + 0.5) / restarts, 15, every=0.01)  # type: ignore[misc]
            own_postgres.kill()
            shop.send(wave[-LATE_COMERS:])  # the others may all have been taken in the moment that killing takes
            time.sleep(0.5)  # answers to what was committed before arrive
            before = shop.statuses.get(200, 0)
            refused = shop.statuses.get(503, 0)
            assert wait(lambda refused=refused: shop.statuses.get(503, 0) > refused + 5, 90), "nobody was told 503"  # type: ignore[misc]
            assert get(fleet.web_url, "/readyz")[0] == 503
            assert get(fleet.web_url, "/livez")[0] == 200, "web asks to be restarted, which would help nobody"
            assert shop.statuses.get(200, 0) == before, "a delivery was acknowledged while the database was away"
            own_postgres.start()
            fleet.ready(20)
        shop.sent(120)
        found = this.settle(fleet, shop)
        refused = shop.statuses[503]
        assert set(shop.statuses) <= {200, 503}, shop.statuses
        assert not fleet.ended, fleet.ended
        this.passes(orders, found, restarts=restarts, refused=refused)


# -- R10, R11 ----------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(200))
@both
def test_r10_the_crm_is_away(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("R10", engine=engine)
    orders, away = scale(500, 5000), 20.0
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    with installation(database_url, Plan(workers=0 if engine == "sqlite" else 2)) as fleet, selling(fleet) as shop:
        shop.send(versions[:20])
        wait(lambda: fleet.jobs.counts().get("settled", 0) >= 15, 30)
        fleet.freeze("crm")  # it keeps what it has, takes connections, and answers nobody
        shop.send(versions[20:])
        time.sleep(away)
        tries = attempts_since(fleet, away - 2)
        burnt = fleet.jobs.rows("SELECT count(*) FROM job WHERE failures > 0")[0][0]
        fleet.thaw("crm")
        back = time.monotonic()
        settled = fleet.jobs.counts().get("settled", 0)
        assert wait(lambda: fleet.jobs.counts().get("settled", 0) > settled, 90), "it did not go on"
        gap = time.monotonic() - back
        found = this.settle(fleet, shop)
        limited = fleet.jobs.rows("SELECT count(*) FROM attempt WHERE error_class = 'rate limit'")[0][0]
        this.passes(orders, found, away=round(away), burnt=burnt, tries=tries, gap=round(gap), rate_limited=limited)
        assert burnt <= fleet.plan.threads * 2, "only writes under way when it went may count against their jobs"
        assert tries <= 60, f"{tries} attempts while the CRM was away"


def attempts_since(fleet: Fleet, seconds: float) -> int:
    since = int((time.time() - seconds) * 1e6)
    return int(fleet.jobs.rows("SELECT count(*) FROM attempt WHERE started_at > :since", since=since)[0][0])


@pytest.mark.timeout(limit(150))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_r11_retry_after_in_every_form(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    this = case("R11", engine=engine_of(database_url))
    orders = scale(200, 2000)
    forms = ("seconds", "date", "garbage", "none")
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    with installation(database_url) as fleet, selling(fleet) as shop:
        for n, form in enumerate(forms):
            fleet.dial(rate_limited=0.1, retry_after=form, retry_after_s=1, seed=(seed + n) % 10**9)
            shop.send(versions[n :: len(forms)])
            wait(lambda n=n: fleet.jobs.counts().get("settled", 0) >= orders * (n + 0.8) / len(forms), 15)  # type: ignore[misc]
        refused = fleet.struck()["rate_limited"]
        found = this.settle(fleet, shop)
        burnt = fleet.jobs.rows("SELECT count(*) FROM attempt WHERE error_class = 'rate limit' AND outcome = 'held'")
        assert refused > len(forms), "nobody was refused"
        assert burnt[0][0] == 0
        this.passes(orders, found, refused=refused)


# -- R15 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_r15_the_disk_is_full(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    """No file of the process may grow any more; then it may again."""
    this = case("R15", engine="sqlite")
    orders = 200
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    with installation(database_url) as fleet, selling(fleet) as shop:
        shop.send(versions[: orders // 2])
        shop.sent(120)
        pid = fleet.children["up"].pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        log = fleet.children["up"].log.stat().st_size  # it shall be able to say so
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log + 64 * 1024, before[1]))
        shop.send(versions[orders // 2 :])
        assert wait(lambda: shop.statuses.get(503, 0) >= 5, 90), f"a full disk was not told: {shop.statuses}"
        assert get(fleet.web_url, "/livez")[0] == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        shop.sent(120)
        found = this.settle(fleet, shop)
        partial = fleet.jobs.rows(
            "SELECT count(*) FROM event e LEFT JOIN record r ON r.connection = e.connection AND r.kind = e.kind "
            "AND r.record_id = e.record_id WHERE r.record_id IS NULL"
        )[0][0]
        assert partial == 0, "events without their records"
        assert set(shop.statuses) <= {200, 503}, shop.statuses
        assert not fleet.ended, fleet.ended
        this.passes(orders, found, refused=shop.statuses[503])
