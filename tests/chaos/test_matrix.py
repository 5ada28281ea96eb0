"""The matrix of docs/reliability.md, rows R1 to R5 and R8: processes are killed and frozen."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence

import pytest

from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.case import wait, while_it_goes_on
from tests.chaos.harness.fleet import LATE, LEASE, Fleet, Plan
from tests.chaos.harness.scale import limit, scale
from tests.chaos.harness.shop import Orders, Shop, Version

pytestmark = pytest.mark.chaos

EXIT_WATCHDOG = 70

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def plan_for(engine: str, **over: object) -> Plan:
    """SQLite: everything in one process. PostgreSQL: web and two workers."""
    return Plan(workers=0 if engine == "sqlite" else 2, **over)  # type: ignore[arg-type]


def kill_while_working(
    fleet: Fleet,
    dice: random.Random,
    kills: int,
    orders: int,
    names: Sequence[str],
    after: Callable[[], None] = lambda: None,
) -> None:
    """So many kills, spread over the work: each waits for its share of the orders to settle (but never long)."""
    for n in range(kills):
        target = orders * n // kills
        wait(lambda target=target: fleet.jobs.counts().get("settled", 0) >= target, 3.0)  # type: ignore[misc]
        time.sleep(dice.uniform(0.0, 0.5))
        name = dice.choice(names)
        fleet.kill(name)
        after()
        fleet.start(name)


# -- R1, R2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(420))
@both
def test_r1_workers_are_killed_at_random(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("R1", engine=engine)
    orders, kills = scale(2000, 10_000), scale(40, 200)
    dice = random.Random(seed)
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    versions += dice.sample(versions, len(versions) // 5)  # every fifth comes twice
    with installation(database_url, plan_for(engine, php=7)) as fleet, selling(fleet) as shop:
        fleet.faults_on(seed)
        shop.send(versions)
        kill_while_working(fleet, dice, kills, orders, fleet.workers)
        while_it_goes_on(fleet, lambda: fleet.jobs.counts().get("settled", 0) >= orders * 0.9)
        found = this.settle(fleet, shop)
        this.passes(orders, found, kills=kills)


def trickle(shop: Shop, versions: Sequence[Version], pause: float) -> None:
    """One after the other, as on an ordinary day: a burst hides what late commits do."""
    for version in versions:
        shop.send([version])
        time.sleep(pause)


def ordinary_day(seed: int, orders: int) -> list[Version]:
    """Customers who order twice within a moment, and change their minds about it."""
    made, versions = Orders(seed), []
    for customer in range(1, orders // 2 + 1):
        first, second = made.new(customer), made.new(customer)
        versions += [first, second, made.version(first.id, 2, customer)]
    return versions


def late_commits(orders: int, count: int) -> list[dict[str, object]]:
    """So many creations whose answer is lost and which land two seconds later, evenly spread."""
    modules = ("SalesOrder", "Accounts", "Contacts")
    each = {"SalesOrder": orders, "Accounts": orders // 2, "Contacts": orders // 2}
    return [
        {
            "fault": "late_commit",
            "operation": "create",
            "module": modules[n % 3],
            "skip": max(each[modules[n % 3]] * n // count - n, 0),
        }
        for n in range(count)
    ]


@pytest.mark.timeout(limit(200))
@both
def test_r2_late_commits_at_a_trickle(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("R2", engine=engine)
    orders, late, kills = scale(300, 2000), scale(10, 50), scale(5, 25)
    dice = random.Random(seed)
    versions = ordinary_day(seed, orders)
    share = len(versions) // kills
    with installation(database_url, plan_for(engine)) as fleet, selling(fleet) as shop:
        fleet.dial(late_after_s=LATE, lost_answer=0.02, seed=seed % 10**9, script=late_commits(orders, late))
        for n in range(kills + 1):
            trickle(shop, versions[n * share : (n + 1) * share], 0.05)
            if n < kills:
                fleet.restart(dice.choice(fleet.workers))
        # The script counts creations: on a slow machine most of them are still to come, and settling switches faults off.
        while_it_goes_on(
            fleet, lambda: fleet.supervise() is not None and fleet.jobs.counts().get("settled", 0) >= orders * 0.95
        )
        struck = fleet.struck().get("late_commit", 0)
        found = this.settle(fleet, shop)
        assert struck >= late // 2, f"only {struck} late commits happened"
        this.passes(orders, found, late=struck, kills=kills)


@pytest.mark.timeout(limit(120))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_r2_control_without_the_hold_there_are_duplicates(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    """If nothing doubled here, R2 above would prove nothing."""
    this = case("R2-control", engine=engine_of(database_url))
    orders, late = 60, 10
    with installation(database_url, Plan(hold=0)) as fleet, selling(fleet) as shop:
        # They land when all is done: whoever looks without waiting looks too early, however slow this machine is.
        fleet.dial(late_after_s=3600, script=late_commits(orders, late))
        trickle(shop, ordinary_day(seed, orders), 0.1)
        while_it_goes_on(fleet, lambda: fleet.jobs.counts().get("settled", 0) >= orders * 0.95)
        this.settle(fleet, shop)
        struck = fleet.struck().get("late_commit", 0)
        assert fleet.land() == struck > 0
        found = this.settle(fleet, shop)
        text = this.line(orders, found, hold=0, late=struck)
        assert found.duplicates > 0, f"{text}\nNothing doubled without the hold: R2 proves nothing."
        assert found.lost == 0
        assert found.unsettled == 0


# -- R3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(200))
@both
def test_r3_web_is_killed_while_it_takes_deliveries(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    engine = engine_of(database_url)
    this = case("R3", engine=engine)
    orders, kills = scale(1000, 5000), scale(12, 60)
    dice = random.Random(seed)
    versions = Orders(seed).mixed(orders, customers=orders // 2, updated=0.0)
    with installation(database_url, plan_for(engine)) as fleet, selling(fleet, senders=6) as shop:
        for n in range(kills):
            shop.send(versions[n::kills])
            wait(lambda n=n: len(shop.newest()) >= orders * (n + dice.random()) / kills, 5, every=0.01)  # type: ignore[misc]
            fleet.restart(fleet.taker)
        shop.sent(120)
        kept = {row[0] for row in fleet.jobs.rows("SELECT record_id FROM event WHERE kind = 'order'")}
        missing = [id for _, id in shop.newest() if str(id) not in kept]
        while_it_goes_on(fleet, lambda: fleet.jobs.counts().get("settled", 0) >= orders * 0.9)
        found = this.settle(fleet, shop)
        found.lost += len(missing)
        found.why += [f"answered with 2xx and not in the inbox: {id}" for id in missing[:5]]
        unanswered = shop.statuses.get(0, 0)
        assert unanswered > 0, "no kill hit a post"
        this.passes(orders, found, kills=kills, unanswered=unanswered)


# -- R5 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(200))
@both
def test_r5_workers_freeze_for_twice_the_lease(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    engine = engine_of(database_url)
    this = case("R5", engine=engine)
    workers, at_once, rounds = (0, 1, scale(2, 10)) if engine == "sqlite" else (6, 5, scale(2, 20))
    orders = 150 * rounds
    dice = random.Random(seed)
    versions = Orders(seed).mixed(orders, customers=orders // 3)
    plan = Plan(workers=workers, threads=3)
    with installation(database_url, plan) as fleet, selling(fleet, patience=60) as shop:
        fleet.dial(latency_ms=100)  # so that a freeze hits jobs under way
        freezes = 0

        def hard_at_work() -> bool:
            # One that is frozen while it starts finds that its database took too long, and ends: that is not meant here.
            fleet.supervise()
            return len(fleet.at_work()) >= at_once and fleet.jobs.counts().get("running", 0) >= 2

        for n in range(rounds):
            shop.send(versions[n::rounds])
            assert wait(hard_at_work, 120, every=0.01), fleet.tails()
            there = fleet.at_work()
            frozen = dice.sample(there, min(at_once, len(there)))  # on a busy machine one may have ended since
            freezes += len(frozen)
            for name in frozen:
                time.sleep(dice.uniform(0, 0.15))
                fleet.freeze(name)
            time.sleep(2 * LEASE)
            for name in frozen:
                fleet.thaw(name)
            time.sleep(0.5)
            fleet.supervise()
        fleet.dial(latency_ms=0)
        found = this.settle(fleet, shop)
        crashed = fleet.jobs.rows("SELECT count(*) FROM attempt WHERE outcome IN ('crashed', 'lost')")[0][0]
        assert crashed > 0, "no freeze hit a job"
        # A job that stood still for twice its lease may end its process (the watchdog), in an orderly way.
        assert {one.status for one in fleet.ended} <= {EXIT_WATCHDOG}, fleet.ended
        this.passes(orders, found, freezes=freezes, taken_back=crashed, ended=len(fleet.ended))


# -- R8 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(200))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_r8_sqlite_is_whole_after_every_kill(
    database_url: str, installation: MakeFleet, case: MakeCase, seed: int
) -> None:
    this = case("R8", engine="sqlite")
    orders, kills = scale(200, 4000), scale(20, 200)
    file = database_url.removeprefix("sqlite:///")
    answers: list[str] = []

    def check() -> None:
        with sqlite3.connect(file, timeout=60) as connection:
            answers.append(connection.execute("PRAGMA integrity_check").fetchone()[0])
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        connection.close()
        answers.extend("foreign key" for _ in broken)

    with installation(database_url) as fleet, selling(fleet) as shop:
        shop.send(Orders(seed).mixed(orders, customers=orders // 4))
        kill_while_working(fleet, random.Random(seed), kills, orders, fleet.workers, after=check)
        found = this.settle(fleet, shop)
        assert set(answers) == {"ok"}, answers
        this.passes(orders, found, kills=kills, checks=len(answers))
