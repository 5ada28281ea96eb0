"""Jobs: claimed once under a lease and a token, settled by whoever holds them, taken back from the dead, mended by people."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import Ledger
from ledger import tables as t
from ledger.crashes import CRASH_PAUSE, CRASH_PAUSE_MOST, CRASHES_AMID, CRASHES_HOLD
from ledger.gauges import Gauges
from ledger.jobs import Claim, Outcome
from tests.integration.ledger.kit import (
    accept,
    add,
    change,
    claimed,
    count,
    due_in,
    later,
    outcomes,
    route,
    together,
    view,
)

DONE = Outcome("settled", number="1001", amount="12.30", currency="EUR")
LEASE = 60.0


def claim_ids(ledger: Ledger, **how: int | bool) -> list[str]:
    """Everything that can be claimed, in its order."""
    found = []
    while (claim := ledger.jobs.claim("w", **how)) is not None:  # type: ignore[arg-type]
        found.append(claim.key.id)
    return found


# -- claiming ------------------------------------------------------------------------------------------------------


def test_live_before_sync_before_backfill_then_the_longest_due(ledger: Ledger) -> None:
    add(ledger, "b1", queue="backfill")
    add(ledger, "s1", "s2", queue="sync")
    add(ledger, "l1", "l2", queue="live")
    later(ledger, 10)
    add(ledger, "l3", queue="live")
    assert claim_ids(ledger) == ["l1", "l2", "l3", "s1", "s2", "b1"]


def test_max_rank_leaves_what_stands_behind(ledger: Ledger) -> None:
    add(ledger, "b", queue="backfill")
    add(ledger, "s", queue="sync")
    add(ledger, "l", queue="live")
    assert claim_ids(ledger, max_rank=0) == ["l"]
    assert claim_ids(ledger, max_rank=1) == ["s"]
    assert claim_ids(ledger, max_rank=2) == ["b"]


def test_min_rank_leaves_what_stands_before(ledger: Ledger) -> None:
    accept(ledger, replace(change("r"), rush=True))
    add(ledger, "l", queue="live")
    assert claim_ids(ledger, min_rank=0, max_rank=0) == ["l"]
    assert claim_ids(ledger, max_rank=0) == ["r"]


def test_a_claim_walks_the_index_of_what_waits(ledger: Ledger) -> None:
    """In its order: among a million jobs that wait the first one is read, and none is sorted."""
    add(ledger, *(f"b{number}" for number in range(200)), queue="backfill")
    compiled: Any = ledger.jobs._build_claim(alone=False).compile(dialect=ledger.db.engine.dialect)
    asked = dict(compiled.params) | {"b_worker": "w", "b_lease": 60, "b_from": -1, "b_rank": 2}
    asked |= {name: bind.callable() for name, bind in compiled.binds.items() if bind.callable is not None}
    given = [asked[name] for name in compiled.positiontup] if compiled.positiontup else asked
    explain = "EXPLAIN QUERY PLAN" if ledger.db.is_sqlite else "EXPLAIN"
    with closing(ledger.db.engine.raw_connection()) as raw:
        cursor = raw.cursor()
        if not ledger.db.is_sqlite:
            cursor.execute("ANALYZE job")
            cursor.execute("SET enable_seqscan = off")  # so few rows are read quicker without an index
        cursor.execute(f"{explain} {compiled}", given)
        plan = "\n".join(str(row) for row in cursor.fetchall())
        raw.rollback()
        cursor.close()
    assert "ix_job_due" in plan, plan
    assert "B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


def test_rush_orders_before_everything_else(ledger: Ledger) -> None:
    add(ledger, "l1", queue="live")
    later(ledger, 10)
    accept(ledger, change("l2"), replace(change("r1"), rush=True), routes=route(queue="sync"))
    accept(ledger, replace(change("b1"), rush=True), routes=route(queue="backfill"))
    accept(ledger, change("l1", 5.0, rush=True))  # it turns into one
    assert ledger.jobs.crowd(10) == 2
    assert [(one.name, one.depth) for one in Gauges(ledger.db).queues()] == [
        ("rush", 2),
        ("live", 0),
        ("sync", 1),
        ("backfill", 1),
    ]
    assert claim_ids(ledger) == ["r1", "l1", "l2", "b1"]


def test_a_rush_order_can_be_the_one_that_waits_longest(ledger: Ledger) -> None:
    accept(ledger, change("r1", rush=True))
    oldest = ledger.pulse.oldest()
    assert oldest is not None
    assert oldest.number == "r1"


def test_one_that_hurries_stays_at_the_front(ledger: Ledger) -> None:
    add(ledger, "l1", "l2", queue="live")
    claim = ledger.jobs.claim("w")
    assert claim is not None
    ledger.jobs.settle(claim, Outcome("retry", seconds=0.0))
    ledger.jobs.hurry(claim)
    assert view(ledger, claim).queue == "live"  # it was not ours any more
    other = ledger.jobs.claim("w")
    assert other is not None
    ledger.jobs.hurry(other)
    ledger.jobs.settle(other, Outcome("retry", seconds=0.0))
    again = ledger.jobs.claim("w")
    assert again is not None
    assert (again.key, again.queue, again.urgent) == (other.key, "rush", True)


def test_a_claim_is_a_lease_with_a_token(ledger: Ledger) -> None:
    claim = claimed(ledger)
    assert (claim.token, claim.generation, claim.target, claim.lease) == (1, 1, "crm", LEASE)
    job = view(ledger, claim)
    assert (job.state, job.worker) == ("running", "w")
    assert ledger.jobs.claim("another") is None


def test_what_is_not_due_yet_is_not_claimed(ledger: Ledger) -> None:
    ledger.jobs.settle(claimed(ledger), Outcome("retry", "later", seconds=30))
    later(ledger, 29)
    assert ledger.jobs.claim("w") is None
    assert not ledger.jobs.due()
    assert ledger.jobs.next_due() == pytest.approx(1, abs=0.9)
    later(ledger, 1.1)
    assert ledger.jobs.due()
    assert ledger.jobs.claim("w") is not None
    assert ledger.jobs.next_due() is None


def test_eight_threads_claim_two_hundred_jobs_once_each(ledger: Ledger) -> None:
    accept(ledger, *(change(str(number)) for number in range(200)))

    def all_there_are() -> list[Claim]:
        found = []
        while (claim := ledger.jobs.claim("w")) is not None:
            found.append(claim)
        return found

    claims = [claim for found in together([all_there_are] * 8) for claim in found]
    assert sorted(int(claim.key.id) for claim in claims) == list(range(200))
    assert {claim.token for claim in claims} == {1}


def test_a_blocked_or_paused_target_is_left_alone(ledger: Ledger) -> None:
    [job] = add(ledger, "1", target="crm")
    add(ledger, "2", target="crm2")
    ledger.states.block("crm", 30, error_class="timeout", reason="It is out.")
    assert claim_ids(ledger) == ["2"]
    assert not ledger.jobs.due(), "nothing can be claimed: nobody need be woken"
    later(ledger, 31)
    assert claim_ids(ledger) == ["1"]
    ledger.jobs.settle(replace(claimed_again(ledger, job)), Outcome("retry", "again"))
    ledger.states.pause("crm", 3600)
    assert claim_ids(ledger) == []
    ledger.states.pause("crm", None)
    assert claim_ids(ledger) == ["1"]


def claimed_again(ledger: Ledger, job: int) -> Claim:
    """The claim that this job is running under, as its worker would have it."""
    [row] = ledger.db.rows(sa.select(t.job).where(t.job.c.id == job))
    return replace(claimed(ledger, "other"), id=row.id, token=row.token, generation=row.generation)


def test_an_alone_job_of_a_blocked_target_asks_for_no_quarantine(ledger: Ledger) -> None:
    crash(ledger, claimed(ledger))
    assert ledger.jobs.due(alone=True)
    ledger.states.block("crm", 30, error_class="timeout", reason="It is out.")
    assert not ledger.jobs.due(alone=True), "the others would have to stop every second, for nothing"


# -- the lease -----------------------------------------------------------------------------------------------------


def test_a_renewed_lease_lasts(ledger: Ledger) -> None:
    claim = claimed(ledger)
    for _ in range(3):
        later(ledger, LEASE * 0.9)
        assert ledger.jobs.renew(claim)
        assert ledger.jobs.reap() == 0
    later(ledger, LEASE + 1)
    assert not ledger.jobs.renew(claim), "what ran out is not renewed: it may be somebody else's by now"
    assert ledger.jobs.reap() == 1
    assert not ledger.jobs.renew(claim)


def crash(ledger: Ledger, _claim: Claim) -> None:
    """The worker is gone: nobody renews, nobody settles."""
    later(ledger, LEASE + 1)
    assert ledger.jobs.reap() == 1
    assert ledger.jobs.reap() == 0


def test_a_crash_is_counted_written_down_and_runs_again_alone(ledger: Ledger) -> None:
    claim = claimed(ledger)
    add(ledger, "other")
    crash(ledger, claim)
    job = view(ledger, claim)
    assert (job.state, job.crashes, job.error_class, job.failures) == ("waiting", 1, "crash", 0)
    assert outcomes(ledger, claim) == ["crashed"]
    assert ledger.jobs.attempts(claim.id)[0]["token"] == claim.token
    assert claim_ids(ledger) == ["other"], "not beside others"
    assert ledger.jobs.due(alone=True)
    again = ledger.jobs.claim("w", alone=True)
    assert again is not None
    assert (again.id, again.alone) == (claim.id, True)
    assert again.token > claim.token
    assert ledger.jobs.settle(again, DONE) == "settled"
    assert view(ledger, claim).crashes == 0
    accept(ledger, change(stamp=1, raw=b"newer"))
    assert ledger.jobs.claim("w") is not None, "it may run beside others again"


def test_three_crashes_alone_hold_the_job_and_a_person_frees_it(ledger: Ledger) -> None:
    claim: Claim | None = claimed(ledger)
    for crashes in range(1, CRASHES_HOLD + 2):
        assert claim is not None
        assert view(ledger, claim).state == "running", f"held after {crashes - 1} crashes"
        crash(ledger, claim)
        if crashes in (2, 3):
            assert ledger.jobs.claim("w", alone=True) is None, (
                "at once again, whatever is killing workers strikes it again"
            )
            base = CRASH_PAUSE * 4 ** (crashes - 2)
            assert base * 0.4 < due_in(ledger, claim) <= base * 1.5
            later(ledger, due_in(ledger, claim))
        claim = ledger.jobs.claim("w", alone=True)
    assert claim is None
    [job] = ledger.jobs.list()
    assert (job.state, job.crashes) == ("held", 4)
    assert job.reason.startswith("This job ended its worker 4 times. What to do:")
    assert outcomes(ledger, job.id) == ["crashed"] * 4
    assert ledger.jobs.retry(job.id)
    assert claim_ids(ledger) == []
    assert claim_ids(ledger, alone=True) == ["1001"], "still poison until proven otherwise"


def test_where_others_crash_without_it_a_job_is_given_more_tries(ledger: Ledger) -> None:
    """Somebody kills the worker every few seconds: whoever runs alone first in each is not the cause."""
    claim: Claim | None = claimed(ledger, worker="host:1/a")
    held_after = 0
    for crashes in range(1, CRASHES_AMID + 2):
        assert claim is not None, f"held after {held_after} crashes"
        crash(ledger, claim)
        held_after = crashes
        add(ledger, f"bystander-{crashes}")
        bystander = ledger.jobs.claim(f"host:{crashes}00/b")
        assert bystander is not None
        crash(ledger, bystander)
        assert ledger.jobs.skip(bystander.id, "has played its part")
        later(ledger, CRASH_PAUSE_MOST * 2)
        claim = ledger.jobs.claim(f"host:{crashes + 1}/alone", alone=True)
    assert claim is None
    assert [job.crashes for job in ledger.jobs.list() if job.state == "held"] == [CRASHES_AMID + 1]


def test_who_ran_beside_it_in_the_first_crash_excuses_nobody(ledger: Ledger) -> None:
    claim: Claim | None = claimed(ledger, worker="host:1/a")
    add(ledger, "beside")
    beside = ledger.jobs.claim("host:1/b")
    assert claim is not None
    assert beside is not None
    later(ledger, LEASE + 1)
    assert ledger.jobs.reap() == 2
    assert ledger.jobs.skip(beside.id, "has played its part")
    for number in range(2, CRASHES_HOLD + 2):
        claim = ledger.jobs.claim(f"host:{number}/alone", alone=True)
        assert claim is not None
        crash(ledger, claim)
        later(ledger, CRASH_PAUSE_MOST * 2)
    assert [job.state for job in ledger.jobs.list() if job.id == claim.id] == ["held"]


def test_a_newer_state_is_given_its_own_try_after_the_last_crash(ledger: Ledger) -> None:
    claim: Claim | None = claimed(ledger)
    for _ in range(CRASHES_HOLD):
        assert claim is not None
        crash(ledger, claim)
        later(ledger, due_in(ledger, claim))
        claim = ledger.jobs.claim("w", alone=True)
    assert claim is not None
    accept(ledger, change(stamp=1, raw=b"mended"))
    crash(ledger, claim)
    assert view(ledger, claim).state == "waiting"
    assert claim_ids(ledger, alone=True) == ["1001"]


def test_two_who_reap_at_once_count_one_crash(open_ledger: Callable[..., Ledger]) -> None:
    ledger, other = open_ledger(), open_ledger()
    accept(ledger, *(change(str(number)) for number in range(20)))
    claim_ids(ledger)
    later(ledger, LEASE + 1)
    assert sum(together([ledger.jobs.reap, other.jobs.reap, ledger.jobs.reap])) == 20
    assert {job.crashes for job in ledger.jobs.list()} == {1}
    assert count(ledger, t.attempt) == 20


# -- settling ------------------------------------------------------------------------------------------------------


def test_an_outcome_and_its_attempt_are_written_together(ledger: Ledger) -> None:
    claim = claimed(ledger)
    calls = [{"operation": "create", "status": 200}]
    outcome = replace(DONE, warnings=("Look at it.",), calls=calls)
    assert ledger.jobs.settle(claim, outcome) == "settled"
    job = view(ledger, claim)
    assert (job.state, job.wanted, job.done, job.amount, job.currency) == ("settled", 1, 1, "12.30", "EUR")
    assert list(job.warnings) == ["Look at it."]
    [attempt] = ledger.jobs.attempts(claim.id)
    assert (attempt["outcome"], attempt["calls"], attempt["worker"]) == ("settled", calls, "w")
    assert attempt["started_at"] <= attempt["ended_at"]
    assert claim_ids(ledger) == []


def test_an_outcome_whose_attempt_cannot_be_written_is_not_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(ledger)

    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.jobs, "_attempt", broken)
        with pytest.raises(RuntimeError, match="disk"):
            ledger.jobs.settle(claim, DONE)
    assert view(ledger, claim).state == "running"
    assert ledger.jobs.settle(claim, DONE) == "settled"


@pytest.mark.parametrize("outcome", [DONE, Outcome("held", "no"), Outcome("retry", "later", seconds=9)])
def test_a_stale_worker_changes_nothing(ledger: Ledger, outcome: Outcome) -> None:
    stale = claimed(ledger)
    crash(ledger, stale)
    fresh = ledger.jobs.claim("w2", alone=True)
    assert fresh is not None
    assert ledger.jobs.settle(stale, outcome) is None
    job = view(ledger, fresh)
    assert (job.state, job.worker, job.done) == ("running", "w2", 0)
    ledger.jobs.release(stale)
    assert view(ledger, fresh).state == "running"
    assert ledger.jobs.settle(fresh, DONE) == "settled"
    # The crash wrote the stale token's attempt already: it ended once, and that is how.
    assert outcomes(ledger, fresh) == ["crashed", "settled"]


def test_what_a_stale_worker_did_is_kept_as_lost(ledger: Ledger) -> None:
    stale = claimed(ledger)
    ledger.jobs.release(stale)
    fresh = ledger.jobs.claim("w2")
    assert fresh is not None
    assert ledger.jobs.settle(stale, DONE) is None
    assert outcomes(ledger, fresh) == ["lost"]


def test_a_state_that_came_meanwhile_is_due_when_the_run_ends(ledger: Ledger) -> None:
    for number, outcome in enumerate(
        [DONE, Outcome("held", "no"), Outcome("skipped", "by rule"), Outcome("retry", "later", seconds=3600)]
    ):
        id = f"o{number}"
        claim = claimed(ledger, id)
        accept(ledger, change(id, 1, b"newer"))
        assert view(ledger, claim).state == "running", "the run goes on"
        assert ledger.jobs.settle(claim, outcome) == "waiting"
        assert due_in(ledger, claim) <= 0, f"{outcome.kind}: the newer state waits for nothing"
        again = ledger.jobs.claim("w")
        assert again is not None
        assert (again.id, again.generation, again.failures) == (claim.id, 2, 0)
        assert ledger.jobs.settle(again, DONE) == "settled"


def test_eight_failures_hold_a_job(ledger: Ledger) -> None:
    add(ledger, "1001")
    for number in range(1, 9):
        claim = ledger.jobs.claim("w")
        assert claim is not None
        # What is not the job's fault does not count.
        ledger.jobs.settle(claim, Outcome("retry", "The CRM is out.", burns=False))
        claim = ledger.jobs.claim("w")
        assert claim is not None
        state = ledger.jobs.settle(claim, Outcome("retry", "It does not fit. What to do: nothing.", error_class="x"))
        assert state == ("held" if number == 8 else "waiting")
    job = view(ledger, 1)
    assert (job.failures, job.error_class) == (8, "x")
    assert job.reason == "It does not fit. It failed 8 times. What to do: mend the cause, then retry the job."


def test_a_success_forgets_the_failures(ledger: Ledger) -> None:
    claim = claimed(ledger)
    ledger.jobs.settle(claim, Outcome("retry", "once"))
    again = ledger.jobs.claim("w")
    assert again is not None
    assert again.failures == 1
    ledger.jobs.settle(again, DONE)
    assert view(ledger, claim).failures == 0


# -- by hand -------------------------------------------------------------------------------------------------------


def test_people_retry_and_skip_what_does_not_run(ledger: Ledger) -> None:
    claim = claimed(ledger)
    assert not ledger.jobs.retry(claim.id)
    assert not ledger.jobs.skip(claim.id, "no")
    assert view(ledger, claim).state == "running"
    ledger.jobs.settle(claim, Outcome("held", "no", error_class="x"))
    assert ledger.jobs.skip(claim.id, "A test order.")
    job = view(ledger, claim)
    assert (job.state, job.reason, job.error_class) == ("skipped", "A test order.", "skipped by hand")
    assert not ledger.jobs.skip(claim.id, "twice")
    assert claim_ids(ledger) == []
    assert ledger.jobs.retry(claim.id)
    assert (view(ledger, claim).reason, claim_ids(ledger)) == ("", ["1001"])
    assert not ledger.jobs.retry(4711)


def test_a_newer_state_wakes_what_was_skipped(ledger: Ledger) -> None:
    [job] = add(ledger, "1001")
    ledger.jobs.skip(job, "not now")
    accept(ledger, change(stamp=1, raw=b"newer"))
    assert claim_ids(ledger) == ["1001"]


def test_a_job_given_back_is_due_at_once(ledger: Ledger) -> None:
    claim = claimed(ledger)
    ledger.jobs.release(claim)
    assert claim_ids(ledger) == ["1001"]
    assert outcomes(ledger, claim) == []


def test_jobs_are_found_by_what_people_know(ledger: Ledger) -> None:
    add(ledger, "1", "2", "3")
    accept(ledger, change("77", number="R-2026/1"))
    assert [job.key for job in ledger.jobs.list(search=" R-2026/1 ")] == ["shop/order/77"]
    assert [job.key for job in ledger.jobs.list(search="shop/order/2")] == ["shop/order/2"]
    assert [job.key for job in ledger.jobs.list(limit=2)] == ["shop/order/77", "shop/order/3"]
    assert ledger.jobs.list(search="' OR 1=1 --") == []
    assert ledger.jobs.counts() == {"waiting": 4, "running": 0, "settled": 0, "held": 0, "skipped": 0}


def test_a_server_that_is_away_is_told_as_everywhere_else() -> None:
    """Also by the statements of the hot path, which take a raw connection: intake answers 503 to this error alone."""
    away = Ledger.open("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(sa.exc.OperationalError):
        away.jobs.claim("worker")
    away.close()
