"""Intake: kept as received, once, in one transaction; the newest state found; at most one job."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import to_micros
from core.keys import Change, Key, content_hash
from ledger import Ledger
from ledger import tables as t
from ledger.database import Again
from ledger.inbox import Record, Route, Verdict
from ledger.jobs import Outcome
from tests.integration.ledger import kit
from tests.integration.ledger.kit import (
    START,
    accept,
    add,
    beside,
    change,
    claimed,
    column,
    count,
    later,
    outcomes,
    route,
    together,
    view,
    wait_until_blocked,
)

KEY = Key("shop", "order", "1001")
AWFUL = bytes(range(256)) + b'\x00{"id": "\xff\xfe\xed\xa0\x80"}\r\n\x00'


def known(ledger: Ledger, key: Key = KEY) -> Record:
    found = ledger.inbox.record(key)
    assert found is not None
    return found


def test_a_delivery_is_kept_once_however_often_it_comes(ledger: Ledger) -> None:
    first, again = accept(ledger, change())[0], accept(ledger, change())[0]
    assert (first.verdict, again.verdict) == (Verdict.NEWEST, Verdict.DUPLICATE)
    assert again.jobs == ()
    assert (count(ledger, t.event), count(ledger, t.record), count(ledger, t.job)) == (1, 1, 1)
    assert view(ledger, first.jobs[0]).wanted == 1


def test_the_same_delivery_name_of_another_connection_is_another_delivery(ledger: Ledger) -> None:
    accept(ledger, change(dedupe="d1"), change(dedupe="d1", connection="shop2"))
    assert count(ledger, t.event) == count(ledger, t.job) == 2


@pytest.mark.parametrize("raw", [AWFUL, b"", b"\x00", b"\xff" * 70_000])
def test_what_was_received_is_kept_to_the_byte(ledger: Ledger, raw: bytes) -> None:
    accept(ledger, change(raw=raw))
    assert bytes(column(ledger, t.event.c.raw)) == raw
    assert known(ledger).raw == raw


def test_names_in_any_script_are_kept(ledger: Ledger) -> None:
    accept(ledger, change("Заказ-№7/日本", number="№ 7 😀"))
    assert known(ledger, Key("shop", "order", "Заказ-№7/日本")).number == "№ 7 😀"
    assert [record.key.id for record in ledger.inbox.by_number("№ 7 😀")] == ["Заказ-№7/日本"]


def test_what_cannot_be_understood_is_held_with_its_reason(ledger: Ledger) -> None:
    reason = "A delivery that is not JSON. What to do: look at its text."
    found = accept(ledger, change("abc", None, AWFUL, kind="delivery", problem=reason))[0]
    job = view(ledger, found.jobs[0])
    assert (found.verdict, job.state, job.reason, job.error_class) == (Verdict.PROBLEM, "held", reason, "parse")
    assert column(ledger, t.event.c.problem) == reason
    assert bytes(column(ledger, t.event.c.raw)) == AWFUL
    assert ledger.jobs.claim("w") is None, "held jobs are not claimed"


def test_one_accept_is_one_transaction(ledger: Ledger) -> None:
    def routes(key: Key) -> Sequence[Route]:
        if key.id == "3":
            raise RuntimeError("in the middle")
        return route()(key)

    with pytest.raises(RuntimeError, match="in the middle"):
        accept(ledger, *(change(str(id)) for id in range(1, 6)), routes=routes)
    assert [count(ledger, table) for table in (t.event, t.record, t.job)] == [0, 0, 0]
    assert len(accept(ledger, *(change(str(id)) for id in range(1, 6)))) == 5


def test_every_flow_gets_its_job_and_no_route_none(ledger: Ledger) -> None:
    both = (Route("orders", "crm"), Route("copy", "crm2", "sync"))
    assert len(accept(ledger, change(), routes=lambda _key: both)[0].jobs) == 2
    assert accept(ledger, change("2"), routes=lambda _key: ())[0].jobs == ()
    assert accept(ledger, change("3"), want_jobs=False)[0].jobs == ()
    assert count(ledger, t.record) == 3


def test_a_newer_state_wakes_a_job_and_forgets_its_failures(ledger: Ledger) -> None:
    claim = claimed(ledger)
    ledger.jobs.skip(claim.id, "no")  # refused: it is running
    for _ in range(3):
        ledger.jobs.settle(claim, Outcome("retry", "again", seconds=3600))
        later(ledger, 3601)
        again = ledger.jobs.claim("w")
        assert again is not None
        claim = again
    ledger.jobs.settle(claim, Outcome("held", "What to do: mend it."))
    assert view(ledger, claim).failures == 3
    accept(ledger, change(stamp=1, raw=b"newer"), routes=route("backfill"))
    job = view(ledger, claim)
    assert (job.state, job.failures, job.reason, job.queue) == ("waiting", 0, "", "live")
    assert outcomes(ledger, claim) == ["retry"] * 3 + ["held"]


def test_a_live_change_pulls_a_backfill_job_forward(ledger: Ledger) -> None:
    [job] = add(ledger, "1001", queue="backfill")
    accept(ledger, change(stamp=1, raw=b"newer"), routes=route("live"))
    assert view(ledger, job).queue == "live"


# -- asking the source ---------------------------------------------------------------------------------------------


def fetched(ledger: Ledger, **more: object) -> Change:
    return replace(change(**more), fetched_at=ledger.clock.now(), dedupe=uuid.uuid4().hex)  # type: ignore[arg-type]


def test_a_hint_is_answered_by_a_fetch_that_began_after_it(ledger: Ledger) -> None:
    before = fetched(ledger, stamp=5, raw=b"before")
    hint = accept(ledger, change(raw=None, dedupe="hint"))[0]
    assert (hint.verdict, known(ledger).must_fetch, len(hint.jobs)) == (Verdict.DIRTY, True, 1)
    accept(ledger, before, via="fetch", want_jobs=False)
    assert known(ledger).raw == b"before"
    assert known(ledger).must_fetch, "what was asked for before the hint may not show what the hint tells of"
    accept(ledger, fetched(ledger, stamp=5, raw=b"before"), via="fetch", want_jobs=False)
    assert not known(ledger).must_fetch, "the same answer, asked for after the hint, settles it"


def test_equal_stamps_and_different_content_ask_the_source(ledger: Ledger) -> None:
    accept(ledger, change(raw=b"one"))
    assert accept(ledger, change(raw=b"two"))[0].verdict is Verdict.DIRTY
    assert (known(ledger).raw, known(ledger).must_fetch) == (b"one", True)
    accept(ledger, fetched(ledger, raw=b"two"), via="fetch", want_jobs=False)
    assert (known(ledger).raw, known(ledger).must_fetch, known(ledger).version) == (b"two", False, 2)


def test_a_record_that_is_gone_is_known_to_be_gone_until_the_source_says_otherwise(ledger: Ledger) -> None:
    accept(ledger, change(stamp=5, raw=b"there"))
    accept(ledger, change(stamp=None, raw=None, deleted=True, dedupe="hook"))
    assert known(ledger).must_fetch
    gone = replace(fetched(ledger, stamp=None, raw=None), deleted=True)
    accept(ledger, gone, via="fetch", want_jobs=False)
    assert (known(ledger).deleted, known(ledger).must_fetch) == (True, False)
    # A late delivery from before it went must not bring it back by itself.
    accept(ledger, change(stamp=3, raw=b"late"))
    assert (known(ledger).deleted, known(ledger).must_fetch) == (True, True)
    accept(ledger, fetched(ledger, stamp=6, raw=b"restored"), via="fetch", want_jobs=False)
    assert (known(ledger).raw, known(ledger).deleted, known(ledger).must_fetch) == (b"restored", False, False)


def test_a_poll_that_sees_the_same_again_wakes_nobody(ledger: Ledger) -> None:
    for stamp in (0.0, None):
        id = f"o{stamp}"
        row = change(id, stamp, dedupe=f"poll:{id}")
        assert len(accept(ledger, replace(row, fetched_at=START), via="poll")[0].jobs) == 1
        again = accept(ledger, replace(row, fetched_at=ledger.clock.now()), via="poll")[0]
        assert (again.verdict, again.jobs) == (Verdict.SAME, ())


# -- any order, any repetition -------------------------------------------------------------------------------------

STATES = st.builds(lambda stamp, raw: change("x", stamp, raw), st.integers(0, 2), st.sampled_from([b"a", b"b", b"c"]))
HINTS = st.builds(
    lambda stamp, gone: change("x", stamp, None, deleted=gone, dedupe=f"{gone} {stamp}"),
    st.integers(0, 2),
    st.booleans(),
)
PUSHES = st.one_of(  # pure states half of the time: a hint leaves little to be wrong about
    st.lists(STATES, min_size=1, max_size=4), st.lists(st.one_of(STATES, HINTS), min_size=1, max_size=4)
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Ledger:
    ledger = Ledger.open(kit.sqlite_copy(sqlite_template, tmp_path_factory.mktemp("shared")))
    raw = ledger.db.engine.raw_connection()
    raw.cursor().execute("PRAGMA synchronous=OFF")  # a thousand little commits whose survival is not the matter here
    raw.close()
    return ledger


def delivered(ledger: Ledger, changes: Sequence[Change], rng: random.Random, *, fetchable: bool) -> Record:
    """These changes of one new record, shuffled and repeated: some as the same delivery, some as another one."""
    id = uuid.uuid4().hex
    many = [rng.choice(changes) for _ in range(rng.randrange(3))] + list(changes)
    rng.shuffle(many)
    for one in many:
        again = "" if rng.random() < 0.5 else uuid.uuid4().hex
        accept(
            ledger,
            replace(one, key=Key("shop", "order", id), dedupe=f"{id}:{one.dedupe}:{again}"),
            fetchable=fetchable,
        )
    assert len(ledger.jobs.list(search=f"shop/order/{id}")) == 1, "one record, one job"
    return known(ledger, Key("shop", "order", id))


@given(changes=PUSHES, rng=st.randoms(use_true_random=False))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_source_that_only_pushes_ends_in_the_same_state(
    shared: Ledger, changes: list[Change], rng: random.Random
) -> None:
    ends = {
        (end.stamp, end.raw, end.deleted, end.dirty_at is not None)
        for end in (delivered(shared, changes, rng, fetchable=False) for _ in range(2))
    }
    states = [
        (to_micros(one.stamp), one.deleted, content_hash(one.raw or b""), one.raw)
        for one in changes
        if one.stamp is not None and (one.raw is not None or one.deleted)
    ]
    hinted = any(one.raw is None and not one.deleted for one in changes)
    newest = max(states, key=lambda state: state[:3], default=None)
    expected = (None, None, False, hinted) if newest is None else (newest[0], newest[3], newest[1], hinted)
    assert ends == {expected}


@given(changes=PUSHES, rng=st.randoms(use_true_random=False))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_source_that_can_be_asked_ends_at_the_newest_or_is_asked(
    shared: Ledger, changes: list[Change], rng: random.Random
) -> None:
    states = [(one.stamp, one.raw) for one in changes if one.raw is not None and one.stamp is not None]
    last = max((stamp for stamp, _ in states), default=None)
    newest = {raw for stamp, raw in states if stamp == last}
    for _ in range(2):
        end = delivered(shared, changes, rng, fetchable=True)
        if not end.must_fetch:
            assert last is not None
            assert (end.stamp, {end.raw}) == (to_micros(last), newest), "not asked, and not the only newest state"


# -- many at once --------------------------------------------------------------------------------------------------


def test_eight_threads_bring_the_same_new_record(ledger: Ledger) -> None:
    for round_ in range(5):
        ones = [change(f"r{round_}", float(number), f"state {number}".encode()) for number in range(8)]
        together([lambda one=one: accept(ledger, one) for one in ones])  # type: ignore[misc]
        record = known(ledger, Key("shop", "order", f"r{round_}"))
        assert (record.raw, record.must_fetch) == (b"state 7", False)
        [job] = ledger.jobs.list(search=f"shop/order/r{round_}")
        assert (job.state, job.wanted <= 8) == ("waiting", True)
    assert count(ledger, t.event) == 40


def test_two_meet_on_one_new_record_and_the_older_one_is_judged_against_the_newer(ledger: Ledger) -> None:
    """The first is not committed yet when the second looks, and finds nothing."""
    newer = {"connection": "shop", "kind": "order", "record_id": "1001", "raw": b"newer", "updated_at": 0}
    with ExitStack() as stack, ledger.db.write() as connection:
        connection.execute(sa.insert(t.record).values(stamp=to_micros(START) + 2_000_000, **newer))
        stack.enter_context(beside(lambda: accept(ledger, change(stamp=1, raw=b"older"))))
        wait_until_blocked(ledger)
    assert known(ledger).raw == b"newer"
    assert [event["verdict"] for event in ledger.inbox.events(KEY)] == ["stale"]


def test_pages_with_the_same_orders_in_another_order_do_not_lock_each_other_up(ledger: Ledger) -> None:
    ids = [str(number) for number in range(30)]

    def page(number: int) -> Callable[[], object]:
        order = ids[:]
        random.Random(number).shuffle(order)
        return lambda: accept(ledger, *(change(id, number, f"{id} {number}".encode()) for id in order))

    for start in (0, 10):
        together([page(start + number) for number in range(6)])
    assert count(ledger, t.record) == count(ledger, t.job) == 30
    assert {known(ledger, Key("shop", "order", id)).raw for id in ids} == {f"{id} 15".encode() for id in ids}


def test_what_postgresql_undoes_is_done_again(ledger: Ledger) -> None:
    """Two transactions lock two rows crosswise: one of them is a deadlock's victim, and nobody notices."""
    add(ledger, "1", "2")
    tries: list[str] = []
    meeting = threading.Barrier(2)

    def cross(first: str, second: str) -> Callable[[], None]:
        def work(connection: sa.Connection) -> None:
            tries.append(first)
            for id in (first, second):
                more = sa.update(t.job).where(t.job.c.record_id == id).values(wanted=t.job.c.wanted + 1)
                connection.execute(more)
                if id == first and tries.count(first) == 1 and not ledger.db.is_sqlite:
                    meeting.wait(10)

        return lambda: ledger.db.transact(work)

    together([cross("1", "2"), cross("2", "1")])
    # On a busy machine the victim may meet the other one once more.
    assert len(tries) == 2 if ledger.db.is_sqlite else 3 <= len(tries) <= 5
    assert {view(ledger, job).wanted for job in (1, 2)} == {3}


def test_work_that_meets_too_often_ends_with_an_error(ledger: Ledger) -> None:
    tries: list[int] = []

    def work(_connection: sa.Connection) -> None:
        tries.append(1)
        raise Again

    with pytest.raises(Again):
        ledger.db.transact(work)
    assert len(tries) == 5
