"""Problems are remembered between looks: whatever happens, a process that has looked all the time tells what a new one tells."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

import ledger.failing
from ledger import Ledger
from ledger import tables as t
from ledger.database import Database
from ledger.failing import OUTAGE
from ledger.jobs import Outcome
from ledger.problems import Problem, Problems
from tests.integration.ledger.kit import accept, add, change, route

CAUSES = (("money", "The total 1.{n} differs."), ("missing reference", "The owner 'a{n}' is unknown."), ("crash", ""))


@pytest.fixture
def books(database_url: str) -> Iterator[Ledger]:
    with closing(Ledger.open(database_url)) as opened:
        yield opened


def fresh(url: str) -> list[Problem]:
    with closing(Database(url)) as db:
        return Problems(db).open()


def end(books: Ledger, outcome: Outcome) -> None:
    claim = books.jobs.claim("w")
    if claim is not None:
        books.jobs.settle(claim, outcome)


def something(books: Ledger, dice: random.Random, n: int) -> None:
    """What may happen to jobs."""
    error, message = dice.choice(CAUSES)
    failed = Outcome("held", message.format(n=n), error, amount=f"{n}.10", currency="EUR")
    job = dice.randrange(1, 30)
    match dice.randrange(11):
        case 0 | 1:
            flow = dice.choice(("orders", "others"))
            accept(books, change(str(job), stamp=n), routes=route(flow=flow, target=dice.choice(("crm", "erp"))))
        case 2 | 3:
            end(books, failed)
        case 4:
            end(books, replace(failed, kind="retry", seconds=dice.choice((0.0, 3600.0))))
        case 5:
            end(books, Outcome("retry", "later", error_class=dice.choice(("busy", "rehearsal")), seconds=3600))
        case 6:
            end(books, Outcome("settled"))
        case 7:
            books.jobs.retry(job)
        case 8:
            books.jobs.skip(job, "no")
        case 9:
            claim = books.jobs.claim("w")
            if claim is not None and dice.random() < 0.5:
                books.jobs.release(claim)
        case 10:
            target = dice.choice(("crm", "erp"))
            if dice.random() < 0.5:
                books.states.block(target, 0.0, error_class="timeout", reason=f"away {n}")
            else:
                books.states.succeeded(target)


@pytest.mark.parametrize("seed", range(2))
def test_who_has_looked_all_the_time_tells_what_a_new_one_tells(books: Ledger, database_url: str, seed: int) -> None:
    dice = random.Random(seed)
    add(books, *(str(n) for n in range(1, 12)))
    told, outages = 0, 0
    for n in range(30):
        for _ in range(dice.randrange(1, 6)):
            something(books, dice, n)
        known = Problems(books.db).open()
        assert known == fresh(database_url)
        for one in known:
            found = Problems(books.db).get(one.id)
            assert found is not None
            problem, members = found
            assert problem == one
            assert len(members) == one.count
            assert [member.id for member in members] == sorted(member.id for member in members)
        told += len(known)
        outages += any(one.error_class == OUTAGE for one in known)
    assert told > 30
    assert 0 < outages < 30
    assert Problems(books.db).get("0" * 16) is None


def test_a_look_reads_only_what_is_new(books: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for id in add(books, *(str(n) for n in range(20))):
        end(books, Outcome("held", f"Order {id} is wrong.", error_class="money", amount="1.00", currency="EUR"))
    failing = books.db.shared(ledger.failing.Failing)
    read: list[int] = []
    original = failing._read

    def noted(ids: Sequence[int]) -> list[ledger.failing._Job]:
        read.extend(ids)
        return original(ids)

    monkeypatch.setattr(failing, "_read", noted)
    (problem,) = Problems(books.db).open()
    assert (problem.count, problem.amounts) == (20, {"EUR": Decimal("20.00")})
    assert len(read) == 20
    books.jobs.retry(3)
    (problem,) = Problems(books.db).open()
    assert problem.count == 19
    end(books, Outcome("held", "Order 3 is wrong.", error_class="money"))
    (problem,) = Problems(books.db).open()
    assert (problem.count, problem.unknown) == (20, 0), "its amount is kept from before"
    assert read[20:] == [3, 3], "once as it waits, once as it is held again"


def test_more_than_are_looked_at_are_said_to_be_at_least_so_many(
    books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.failing, "LOOKED_AT", 5)
    for id in add(books, *(str(n) for n in range(6))):
        end(books, Outcome("held", f"Order {id} is wrong.", error_class="money"))
    (problem,) = Problems(books.db).open()
    assert (problem.count, problem.capped) == (5, True)
    assert [job for job, _ in problem.samples] == [6, 5, 4, 3, 2]
    books.jobs.skip(6, "no")
    (problem,) = Problems(books.db).open()
    assert (problem.count, problem.capped) == (5, False)


def test_what_waits_for_going_live_pushes_no_problem_out(books: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.failing, "LOOKED_AT", 3)
    add(books, "1")
    end(books, Outcome("retry", "The CRM does not answer.", error_class="timeout/transient", seconds=3600))
    for number in range(2, 8):
        add(books, str(number))
        end(books, Outcome("retry", "Rehearsed.", error_class="rehearsal", seconds=3600))
    (problem,) = Problems(books.db).open()
    assert (problem.count, problem.capped) == (1, False)


def test_many_who_ask_at_once_are_told_the_same(books: Ledger) -> None:
    for id in add(books, *(str(n) for n in range(20))):
        end(books, Outcome("held", f"Order {id} is wrong.", error_class="money", amount="1.00", currency="EUR"))
    told: list[list[Problem]] = []

    def ask() -> None:
        told.extend(Problems(books.db).open() for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for id in range(1, 11):
        books.jobs.skip(id, "no")
    for thread in threads:
        thread.join()
    assert all(problems and 10 <= problems[0].count <= 20 for problems in told)
    assert Problems(books.db).open()[0].count == 10


def test_a_look_that_fails_leaves_nothing_halfway(books: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(books, "1", "2")
    end(books, Outcome("held", "It is wrong.", error_class="money"))
    assert Problems(books.db).open()[0].count == 1
    end(books, Outcome("held", "It is wrong.", error_class="money"))
    failing = books.db.shared(ledger.failing.Failing)

    def away(_ids: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("away"))

    with monkeypatch.context() as broken:
        broken.setattr(failing, "_read", away)
        with pytest.raises(sa.exc.OperationalError):
            Problems(books.db).open()
    assert Problems(books.db).open()[0].count == 2


def test_the_list_is_answered_by_an_index(books: Ledger) -> None:
    """No row of a healthy job is read for it (SQLite tells how it would go about it)."""
    if not books.db.is_sqlite:
        return
    query = ledger.failing._listed("held").compile(books.db.engine, compile_kwargs={"literal_binds": True})
    with books.db.read() as connection:
        plan = " ".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
    assert "COVERING INDEX ix_job_state" in plan
    assert t.job.name in plan
