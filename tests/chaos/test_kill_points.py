"""`kill -9` at every point between claim and settle: one order, one account, one contact, one invoice; no hole, no double."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.crm import CrmApp
from tests.orders import order, stranger
from tests.world import SkippingClock, World, crm, wait_for

pytestmark = pytest.mark.chaos

ROOT = Path(__file__).resolve().parents[2]
LEASE, HOLD = 60.0, 120.0
SIGKILLED = -9


def around(*steps: str) -> tuple[str, ...]:
    return tuple(f"{when} {step}" for step in steps for when in ("before", "after"))


_REST = (
    *("link customer", "intend order", "mark order", "create SalesOrder", "link order"),
    *("intend invoice", "mark invoice", "create Invoice", "link invoice", "settle"),
)
POINTS: dict[int, tuple[str, ...]] = {
    # vtiger on PHP 7 converts leads, on PHP 8 it cannot.
    7: around(
        *("claim", "intend customer", "mark customer", "create Leads", "note lead", "mark customer 2", "convertlead"),
        *_REST,
    ),
    8: around(
        *("claim", "intend customer", "mark customer", "create Accounts", "note account", "mark customer 2"),
        *("create Contacts", *_REST),
    ),
}

DIFFERENT = (*POINTS[8][1 : POINTS[8].index("before intend order")], *around("create SalesOrder"))
"""On PHP 8 the customer is made in another way; what follows is the same and killed on PHP 7."""

Victim = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    """Gives a task to the process that forks victims; answers how it ended, and what it told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.victim"],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def send(task: dict[str, Any]) -> dict[str, Any]:
        stdin.write(json.dumps(task) + "\n")
        stdin.flush()
        told: dict[str, Any] = {}
        while "ended_by" not in told:
            line = stdout.readline()
            assert line, "the victims' parent has ended"
            told |= json.loads(line)
        return told

    yield send
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def task(world: World, id: int, point: str, **over: Any) -> dict[str, Any]:
    return {
        "database_url": world.ledger.db.url.render_as_string(hide_password=False),
        "crm_url": world.crm_url,
        "order": order(id, billing=stranger(id)),
        "point": point,
        "offset": 0.0,
        "lease": LEASE,
        "hold": HOLD,
        "flow": {"invoices": "on_order"},
        **over,
    }


def arrived(world: World, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the CRM has of each customer and order, and what the ledger says."""
    rows = {module: world.records(module) for module in ("Leads", "Accounts", "Contacts", "SalesOrder", "Invoice")}
    totals = world.totals()
    return {
        id: {
            "leads": sum(row["lastname"] == f"Stranger{id}" for row in rows["Leads"]),
            "accounts": sum(row["accountname"].startswith(account_name(id)) for row in rows["Accounts"]),
            "contacts": sum(row["lastname"] == f"Stranger{id}" for row in rows["Contacts"]),
            "orders": sum(row["subject"] == f"Order {id}" for row in rows["SalesOrder"]),
            "invoices": sum(row["subject"] == f"Invoice for order {id}" for row in rows["Invoice"]),
            "total": f"{totals.get(f'Order {id}', 0):.2f}",
            "state": world.job(f"shop/order/{id}").state,
        }
        for id in ids
    }


def account_name(id: int) -> str:
    return f"Firm {id} GmbH" if id % 2 else f"Buyer{id} Stranger{id}"


def one_of_each(id: int) -> dict[str, Any]:
    return {
        "leads": 0,
        "accounts": 1,
        "contacts": 1,
        "orders": 1,
        "invoices": 1,
        "total": order(id)["total"],
        "state": "settled",
    }


def by_point(points: Sequence[str], found: dict[int, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Only what is not as it should be, under the point's name."""
    return {points[id - 1]: seen for id, seen in found.items() if seen != one_of_each(id)}


@pytest.mark.parametrize("php", [7, 8])
def test_the_points_are_all_there_are(victim: Victim, tmp_path: Path, php: int) -> None:
    """A step that is added to the product must be added to the list above."""
    with crm(php=php) as (_, crm_url), World(f"sqlite:///{tmp_path / 'orderwire.sqlite'}", crm_url) as world:
        world.fill_index()
        told = victim(task(world, 1, ""))
        assert told["ended_by"] == 0
        assert tuple(told["passed"]) == POINTS[php]
        assert arrived(world, [1]) == {1: one_of_each(1)}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("php", [7, 8])
def test_killed_at_every_point(victim: Victim, database_url: str, php: int) -> None:
    """A victim for each point, each with an order and a customer of its own; then one worker finishes what they left.

    The one that is killed before its claim comes last: the next would take its job.
    """
    points = (*(POINTS[7][1:] if php == 7 else DIFFERENT), "before claim")
    ids = range(1, len(points) + 1)
    with (
        crm(php=php) as (app, crm_url),
        World(database_url, crm_url, clock=SkippingClock(), lease=LEASE, hold=HOLD, invoices="on_order") as world,
    ):
        clock = world.clock
        assert isinstance(clock, SkippingClock)
        world.fill_index()
        for id in ids:
            clock.skip(LEASE + 1)  # what an earlier victim held (the lane) has run out; nobody has cleaned up after it
            told = victim(task(world, id, points[id - 1], offset=clock.offset))
            assert told["ended_by"] == SIGKILLED, points[id - 1]
        unfinished = world.ledger.jobs.counts()
        assert unfinished["running"] == len(points) - 1 - ("after settle" in points)
        assert unfinished["waiting"] == 1
        world.finish(fill=False)
        assert by_point(points, arrived(world, ids)) == {}
        assert len(world.records("Accounts")) == len(points)
        assert not app.service.store.by_module["Leads"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("php", [7, 8])
def test_a_second_process_takes_over_in_real_time(victim: Victim, database_url: str, php: int) -> None:
    """Nothing is skipped here: leases of 6 s and a hold of 1.5 s run out by themselves while an engine is running."""
    points = {
        7: ("after create Leads", "after convertlead", "before link invoice", "after create SalesOrder"),
        8: ("after create Accounts", "after create Contacts", "before link invoice", "after create SalesOrder"),
    }[php]
    with crm(php=php) as (_, crm_url), World(database_url, crm_url, lease=6.0, hold=1.5, invoices="on_order") as world:
        world.fill_index()
        for id, point in enumerate(points, 1):
            assert victim(task(world, id, point, lease=6.0, hold=1.5))["ended_by"] == SIGKILLED
        with world.working(threads=2):
            world.settle(within=100)
        assert by_point(points, arrived(world, range(1, 5))) == {}


# -- the control: these tests can fail ---------------------------------------------------------------------------------


def late(world: World, app: CrmApp, module: str) -> Callable[[], bool]:
    """The CRM's next creation lands when the test says so, by asking whether it is done: true once it is."""
    world.faults(late_after_s=3600, script=[{"fault": "late_commit", "operation": "create", "module": module}])

    def done() -> bool:
        app.land()
        return app.landed

    return done


@pytest.mark.parametrize(("module", "place"), [("Accounts", 0), ("SalesOrder", 2)])
@pytest.mark.parametrize("hold", [0.0, 120.0])
def test_without_the_hold_a_late_commit_makes_a_double(database_url: str, module: str, place: int, hold: float) -> None:
    with (
        crm(php=8, unique_account_names=False) as (app, crm_url),
        World(database_url, crm_url, clock=SkippingClock(), hold=hold) as world,
    ):
        done = late(world, app, module)
        began = world.context.clock.now()
        world.deliver(order(1))
        # It lands while the hold lasts. Without one nothing keeps the worker from looking at once: too early.
        world.finish(landed=done if hold else lambda: True)
        assert app.landed == bool(hold)
        wait_for(done)
        assert world.struck() == {"late_commit": 1}
        found = world.counts("Accounts", "Contacts", "SalesOrder")
        assert found == tuple((2 if n == place else 1) if not hold else 1 for n in range(3))
        assert world.context.clock.now() - began >= timedelta(seconds=hold)
