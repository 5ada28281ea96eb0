"""Every fault of the CRM at every write of a new customer's order: one of each in the end, equal to the cent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.lifelines import Killed, killed
from tests.orders import order, stranger
from tests.world import SkippingClock, World

FAULTS = ("error_500", "empty_500", "empty_500_after", "lost_answer", "late_commit", "session_lost", "php_warnings", "maintenance")  # fmt: skip
WRITES = {
    7: (("create", "Leads"), ("convertlead", ""), ("create", "SalesOrder"), ("create", "Invoice")),
    8: (("create", "Accounts"), ("create", "Contacts"), ("create", "SalesOrder"), ("create", "Invoice")),
}
HARMLESS = {"session_lost", "php_warnings"}
ONE_OF_EACH = (1, 1, 1, 0, 1)


def assert_arrived(world: World, wanted: dict[str, object]) -> None:
    assert world.counts() == ONE_OF_EACH
    total = Decimal(str(wanted["total"]))
    assert world.totals() == {f"Order {wanted['id']}": total}
    (invoice,) = world.records("Invoice")
    assert Decimal(invoice["hdnGrandTotal"]) == total
    assert len(world.order(wanted["id"])["LineItems"]) == len(wanted["line_items"])  # type: ignore[arg-type]


@pytest.mark.parametrize("php", [7, 8])
def test_one_fault_at_a_time(make: Callable[..., World], php: int) -> None:
    """Each fault at each write, each with a customer of its own, in one CRM that has no uniqueness."""
    world = make(php=php, unique_account_names=False, clock=SkippingClock(), invoices="on_order")
    world.fill_index()
    landed = make.landed  # type: ignore[attr-defined]
    cases = [(fault, operation, module) for fault in FAULTS for operation, module in WRITES[php]]
    wrong, made = {}, []
    for id, (fault, operation, module) in enumerate(cases, 1):
        made.append(order(id, billing=stranger(id)))
        world.faults(late_after_s=0.15, script=[{"fault": fault, "operation": operation, "module": module, "times": 1}])
        before = world.struck().get(fault, 0)
        world.deliver(made[-1])
        skipped = world.finish(landed=landed, fill=False)
        job = world.job(f"shop/order/{id}")
        struck = world.struck().get(fault, 0) - before
        waited = skipped > 100
        if (job.state, struck, waited) != ("settled", 1, fault not in HARMLESS):
            wrong[fault, operation, module] = (job.state, job.reason, struck, skipped)
    assert wrong == {}
    number = len(cases)
    assert world.counts() == (number, number, number, 0, number)
    assert world.totals() == {f"Order {row['id']}": Decimal(row["total"]) for row in made}
    assert {row["subject"] for row in world.records("Invoice")} == {f"Invoice for order {row['id']}" for row in made}


@pytest.mark.parametrize("module", ["SalesOrder", "Invoice"])
def test_a_lost_line_is_written_again(world: World, make: Callable[..., World], module: str) -> None:
    world = make(clock=SkippingClock(), invoices="on_order")
    world.faults(script=[{"fault": "lost_line", "operation": "create", "module": module}])
    made = order(1)
    job = world.carry(made)
    assert world.struck() == {"lost_line": 1}
    assert job.state == "settled", job.reason
    assert any("lines" in warning for warning in job.warnings)
    assert_arrived(world, made)


def test_an_invoice_that_lost_a_line_before_its_worker_died_is_made_whole(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), invoices="on_order")
    made = order(1)
    world.faults(script=[{"fault": "lost_line", "operation": "create", "module": "Invoice"}])
    end = killed(world, 3, after=True)  # after the customer (two writes) and the order: the invoice
    world.deliver(made)
    while True:
        try:
            world.drain()
        except Killed:
            break
    end()
    world.finish()
    assert world.struck() == {"lost_line": 1}
    assert world.job("shop/order/1").state == "settled"
    assert_arrived(world, made)


def test_an_invoice_whose_mending_failed_is_mended_by_the_next_run(make: Callable[..., World]) -> None:
    world = make(clock=SkippingClock(), invoices="on_order")
    made = order(1)
    script = [{"fault": "lost_line", "operation": name, "module": "Invoice"} for name in ("create", "revise")]
    world.faults(script=script)
    job = world.carry(made)
    assert (job.state, world.struck()) == ("held", {"lost_line": 2})
    world.ledger.jobs.retry(job.id)
    world.finish()
    assert world.job("shop/order/1").state == "settled"
    assert_arrived(world, made)
    world.forget_calls()
    world.carry({**made, "date_modified_gmt": "2026-11-22T23:00:00", "customer_note": "Ring twice"})
    assert "retrieve Invoice" not in world.calls()["operations"], "a whole invoice is not looked at again"


@pytest.mark.parametrize(
    ("retry_after", "seconds", "slept"),
    [("seconds", 2, (2.0, 2.0)), ("date", 3, (1.0, 3.0)), ("garbage", 2, (0.1, 0.5)), ("none", 2, (0.1, 0.5))],
)
def test_a_short_rate_limit_is_waited_for(
    world: World, retry_after: str, seconds: int, slept: tuple[float, float]
) -> None:
    waits: list[float] = []
    world.crm._http._sleep = waits.append
    world.faults(
        retry_after=retry_after,
        retry_after_s=seconds,
        script=[{"fault": "rate_limited", "operation": "create", "module": "SalesOrder"}],
    )
    job = world.carry(order(1))
    assert job.state == "settled", job.reason
    assert world.counts() == (1, 1, 1, 0, 0)
    assert len(waits) == 1
    assert slept[0] <= waits[0] <= slept[1]
    assert job.failures == 0


def test_a_long_rate_limit_goes_back_to_the_ledger(world: World) -> None:
    """A minute is not slept away: all jobs of the CRM wait, none of their tries is burnt."""
    world.crm._http._sleep = lambda _seconds: pytest.fail("a worker slept")
    world.faults(retry_after_s=60, script=[{"fault": "rate_limited", "operation": "create", "module": "SalesOrder"}])
    job = world.carry(order(1))
    assert (job.state, job.failures, job.error_class) == ("waiting", 0, "rate limit")
    (state,) = world.ledger.states.all()
    assert 55 < state.blocked_for <= 60
    assert world.drain(fill=False) == 0, "nobody claims a job of a connection that asked us to wait"
    assert 55 < world.finish() < 70
    assert world.counts() == (1, 1, 1, 0, 0)
    assert world.ledger.states.get("crm").faults == 0  # type: ignore[union-attr]


def test_the_session_is_renewed_once_and_shared(world: World) -> None:
    world.carry(order(1))
    world.forget_calls()
    world.http.post("/sandbox/expire-sessions").raise_for_status()
    assert world.carry(order(2)).state == "settled"
    assert world.calls()["operations"]["login"] == 1


def test_wrong_credentials_burn_no_attempts(world: World) -> None:
    """The login is refused: everybody waits, nothing is lost, and with the right key all goes on."""
    world.fill_index()
    world.http.post("/sandbox/expire-sessions").raise_for_status()
    world.faults(login_refused=1)
    for id in (1, 2, 3):
        world.deliver(order(id))
    world.drain(fill=False)
    assert world.ledger.jobs.counts()["waiting"] == 3
    assert {job.failures for job in world.ledger.jobs.list()} == {0}
    world.faults(login_refused=0)
    assert world.ledger.states.get("crm").blocked_class == "auth"  # type: ignore[union-attr]
    world.finish()
    assert world.counts() == (1, 1, 3, 0, 0)


def test_reads_that_fail_stop_everybody_for_a_while(world: World) -> None:
    """An empty 500 on a query is the CRM's fault, not the order's."""
    world.fill_index()
    world.crm._http._sleep = lambda _seconds: None
    world.faults(script=[{"fault": "maintenance", "operation": "query", "times": 1}])
    world.deliver(order(1))
    world.drain(fill=False)
    job = world.job("shop/order/1")
    assert (job.state, job.failures) == ("waiting", 0)
    world.finish()
    assert world.counts() == (1, 1, 1, 0, 0)


def test_a_customer_that_fails_eight_times_is_held(world: World) -> None:
    """A write whose answer never comes is tried eight times, then a person is asked. Nothing is doubled on the way."""
    world.faults(script=[{"fault": "error_500", "operation": "create", "module": "Leads", "times": 8}])
    world.deliver(order(1))
    world.finish()
    job = world.job("shop/order/1")
    assert (job.state, job.error_class) == ("held", "ambiguous write")
    assert "What to do" in job.reason
    assert world.counts() == (0, 0, 0, 0, 0)
    assert len(world.ledger.jobs.attempts(job.id)) == 8
    assert world.struck() == {"error_500": 8}
    assert world.ledger.jobs.retry(job.id)
    world.finish()
    assert world.counts() == (1, 1, 1, 0, 0)


def test_the_lease_guards_each_write(world: World) -> None:
    """A worker that was frozen until its lease ran out writes nothing any more, and the other one is not disturbed."""
    world.fill_index()
    world.deliver(order(1))
    slow = world.ledger.jobs.claim("slow")
    assert slow is not None
    assert isinstance(world.clock, SkippingClock)
    world.clock.skip(61)
    assert world.drain(fill=False) == 1, "the other worker takes over"
    assert world.counts() == (1, 1, 1, 0, 0)
    world.forget_calls()
    assert world.runner.run(slow) == "", "its outcome is not written: the job is somebody else's"
    assert world.writes() == 0
    assert world.counts() == (1, 1, 1, 0, 0)
    assert world.job("shop/order/1").state == "settled"
