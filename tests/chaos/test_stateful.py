"""Row R22: the pure core (inbox, jobs, links, `Run.ensure`) against a simulated clock and CRM, in any order of events.

The CRM here is the worst that is allowed: nothing is unique, answers get lost, writes land late (but within the hold), and
workers crash or freeze at every point around a write.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from connectors.roles import Ref, Tier, Written
from core.clock import Clock
from core.errors import Ambiguous, LeaseLost, RetryLater
from core.keys import Change, Key
from core.settings import ConnectionSettings, FlowSettings
from ledger import Ledger, migrate
from ledger.inbox import Route
from ledger.jobs import Claim, Outcome
from pipelines.context import Context
from pipelines.run import Run
from tests.chaos.conftest import MakeCase
from tests.chaos.harness.oracle import Verdict
from tests.chaos.harness.scale import limit, scale

pytestmark = pytest.mark.chaos

LEASE, HOLD = 4.0, 10.0
LATEST = 9.0
"""Seconds after which a write has landed at the latest; less than the hold."""
BASE = datetime(2026, 11, 20, tzinfo=UTC)
ORDERS = st.integers(1, 2)
PLANS = st.sampled_from(
    (
        *("ok", "ok", "lost answer", "error before", "late", "refused", "crash before", "crash after", "crash late"),
        *("crash before settling", "frozen before the check", "frozen after the check", "frozen after the answer"),
    )
)


class Crash(BaseException):
    """The worker is gone."""


class SimulatedClock(Clock):
    offset = 0.0

    def now(self) -> datetime:
        return BASE + timedelta(seconds=self.offset)


class Capabilities:
    lane_kinds: frozenset[str] = frozenset()


class SimulatedCrm:
    """Keeps records by external key, each with the version that was written last."""

    name = "crm"

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.records: list[list[Any]] = []
        self._late: list[tuple[float, Callable[[], object]]] = []

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def creation(self, kind: str) -> Tier:
        return Tier.NOTHING

    def land(self) -> None:
        """What is late and due now happens."""
        due = sorted((entry for entry in self._late if entry[0] <= self.clock.offset), key=lambda entry: entry[0])
        self._late = [entry for entry in self._late if entry[0] > self.clock.offset]
        for _, write in due:
            write()

    def later(self, seconds: float, write: Callable[[], object]) -> None:
        self._late.append((self.clock.offset + seconds, write))

    def find(self, key: str) -> list[Ref]:
        self.land()
        return [Ref(str(n)) for n, record in enumerate(self.records) if record[0] == key]

    def create(self, key: str, version: int) -> Ref:
        self.land()
        self.records.append([key, version])
        return Ref(str(len(self.records) - 1))

    def update(self, ref: Ref, version: int) -> Ref:
        self.land()
        self.records[int(ref.id)][1] = version
        return ref

    def versions(self, key: str) -> list[int]:
        return [version for own, version in self.records if own == key]


class Core(RuleBasedStateMachine):
    """The rules are what may happen; the invariant is what must hold at every moment, `teardown` what must hold at the end."""

    template: Path
    steps: list[int]

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orderwire-stateful-"))
        file = shutil.copy(self.template, self.folder / "ledger.db")
        self.clock = SimulatedClock()
        self.ledger = Ledger.open(f"sqlite:///{file}", lease=LEASE, clock=self.clock)
        self.crm = SimulatedCrm(self.clock)
        self.context = Context(
            ledger=self.ledger,
            stores={},
            crms={"crm": self.crm},  # type: ignore[dict-item]
            flows={"orders": FlowSettings(name="orders", source="shop", target="crm")},
            connections={
                "crm": ConnectionSettings(
                    name="crm", connector="simulated", connect_timeout=0.3, read_timeout=0.8, hold=HOLD
                )
            },
            clock=self.clock,
        )
        self.newest: dict[str, int] = {}
        self.deep = 0

    # -- what may happen -----------------------------------------------------------------------------------------------

    @rule(order=ORDERS)
    def the_order_changes(self, order: int) -> None:
        key = Key("shop", "order", str(order))
        self.newest[str(key)] = self.newest.get(str(key), 0) + 1
        self.deliver(key, self.newest[str(key)])

    @rule(order=ORDERS, back=st.integers(0, 3))
    def an_old_state_comes_again(self, order: int, back: int) -> None:
        key = Key("shop", "order", str(order))
        if str(key) in self.newest:
            self.deliver(key, max(self.newest[str(key)] - back, 1))

    @rule(seconds=st.sampled_from((0.2, 1.0, 3.0, 5.0, 11.0)))
    def time_passes(self, seconds: float) -> None:
        self.clock.offset += seconds
        self.crm.land()

    @rule(plan=PLANS, late=st.floats(0.5, LATEST))
    def a_worker_takes_a_job(self, plan: str, late: float) -> None:
        self.work(plan, late)

    @invariant()
    def never_two(self) -> None:
        self.steps.append(1)
        for key in getattr(self, "newest", {}):
            assert len(self.crm.versions(key)) <= 1, f"{key} is there twice"

    @rule(order=ORDERS, plan=PLANS, late=st.floats(5.0, LATEST))
    def an_update_goes_wrong_and_another_follows(self, order: int, plan: str, late: float) -> None:
        """What seldom comes about by chance alone."""
        self.the_order_changes(order)
        self.work("ok")
        self.the_order_changes(order)
        self.work(plan, late)
        self.time_passes(LEASE + 0.5)
        self.the_order_changes(order)
        self.work("ok")

    # -- how it is done ------------------------------------------------------------------------------------------------

    def deliver(self, key: Key, version: int) -> None:
        change = Change(
            key=key,
            stamp=BASE + timedelta(seconds=version),
            raw=str(version).encode(),
            dedupe=f"{key}:{version}:{self.clock.offset}",
        )
        self.ledger.inbox.accept([change], lambda _key: (Route("orders", "crm"),))

    def work(self, plan: str, late: float = 1.0) -> bool:
        """One attempt at whatever is due; False when nothing is."""
        jobs = self.ledger.jobs
        jobs.reap()
        claim = jobs.claim("worker") or jobs.claim("worker", alone=True)
        if claim is None:
            return False
        try:
            outcome = self.attempt(Run(self.context, claim), claim, plan, late)
            if plan == "crash before settling":
                return True
        except Crash:
            return True
        jobs.settle(claim, outcome, max_failures=10**6)
        return True

    def attempt(self, run: Run, claim: Claim, plan: str, late: float) -> Outcome:
        record = self.ledger.inbox.record(claim.key)
        assert record is not None
        assert record.raw is not None
        version, key = int(record.raw), str(claim.key)
        try:
            run.ensure(
                "order",
                key,
                payload_hash=f"version {version}",
                find=lambda: self.crm.find(key),
                create=lambda: self.call(run, plan, late, lambda: self.crm.create(key, version)),
                update=lambda ref: self.call(run, plan, late, lambda: self.crm.update(ref, version)),
            )
        except RetryLater as error:
            return Outcome("retry", seconds=error.seconds, burns=error.burns_attempt, waiting_for=error.waiting_for)
        except LeaseLost:
            return Outcome("retry", seconds=1.0, burns=False)
        return Outcome("settled")

    def call(self, run: Run, plan: str, late: float, write: Callable[[], Ref]) -> Written:
        """A write over the wire, with what goes wrong on the way."""
        if plan == "frozen before the check":
            self.freeze(run, 3 * LEASE)
        run.before_write("crm", 2.1)
        if plan == "frozen after the check":
            self.freeze(run, late)
        if plan == "crash before":
            raise Crash
        if plan == "refused":
            raise RetryLater("Refused. What to do: nothing.", seconds=1.0)
        if plan in {"late", "crash late"}:
            self.crm.later(late, write)
        ref = write() if plan not in {"late", "crash late", "error before"} else None
        if plan in {"crash after", "crash late"}:
            raise Crash
        if ref is None or plan == "lost answer":
            raise Ambiguous("No answer. What to do: nothing.", connection="crm")
        if plan == "frozen after the answer":
            self.freeze(run, 3 * LEASE)
        return Written(ref)

    def freeze(self, run: Run, seconds: float) -> None:
        """This worker stands still for so long; the others go on, and the orders change."""
        run.lease_ends -= seconds
        if self.deep:
            self.clock.offset += seconds
            return
        self.deep += 1
        for _ in range(4):
            self.clock.offset += seconds / 4
            self.crm.land()
            self.work("ok")
        for key in self.newest:
            self.newest[key] += 1
            self.deliver(Key.parse(key), self.newest[key])
        self.work("ok")
        self.deep -= 1

    def teardown(self) -> None:
        """Nothing fails any more: everything settles, each order is there once and in its newest state."""
        if not hasattr(self, "ledger"):
            return
        try:
            self.settle()
            for key, version in self.newest.items():
                assert self.crm.versions(key) == [version], f"{key}: {self.crm.versions(key)} instead of {version}"
        finally:
            self.ledger.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        for _ in range(300):
            for job in self.ledger.jobs.list(state="held"):  # by crashes: a person tries again
                self.ledger.jobs.retry(job.id)
            if not self.work("ok"):
                counts = self.ledger.jobs.counts()
                if not counts["waiting"] and not counts["running"]:
                    break
                self.clock.offset += 1.0
            self.crm.land()
        else:
            raise AssertionError(f"not settled: {self.ledger.jobs.list(state='waiting')}")
        self.clock.offset += LATEST
        self.crm.land()


@pytest.mark.timeout(limit(300))
def test_r22_any_order_of_events(tmp_path: Path, case: MakeCase, seed: int) -> None:
    this = case("R22")
    examples = scale(200, 2000)
    template = tmp_path / "template.db"
    ledger = Ledger.open(f"sqlite:///{template}")
    migrate.upgrade(ledger.db)
    ledger.flows.set("orders", "live")
    ledger.close()
    steps: list[int] = []
    machine = type("SeededCore", (Core,), {"template": template, "steps": steps})
    hypothesis_seed(seed)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(steps) > examples * 10
    this.passes(examples, Verdict(), steps=len(steps))
