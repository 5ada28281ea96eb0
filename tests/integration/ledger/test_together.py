"""Deliveries that come together: each is kept, or fails, by itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from core.keys import Change, Key
from ledger import Ledger
from ledger import tables as t
from ledger.inbox import Accepted, Arrival, Route, Verdict

ROUTE = Route("orders", "crm")


def change(id: str, content: str = "a", *, connection: str = "shop", dedupe: str = "") -> Change:
    return Change(Key(connection, "order", id), stamp=None, raw=content.encode(), dedupe=dedupe or f"{id}:{content}")


def routes(_key: Key) -> Sequence[Route]:
    return (ROUTE,)


def kept(found: list[Accepted] | Exception) -> Accepted:
    assert not isinstance(found, Exception), found
    return found[0]


def test_each_fails_by_itself(ledger: Ledger) -> None:
    """A route that cannot be told, a row that the database refuses: the neighbours are kept, and nothing of these."""

    def wanted(key: Key) -> Sequence[Route]:
        if key.id == "3":
            raise LookupError("no routes for this one")
        return (Route("orders", None if key.id == "5" else "crm"),)  # type: ignore[arg-type]

    arrivals = [Arrival([change(str(id))]) for id in range(1, 8)]
    found = ledger.inbox.accept_each(arrivals, wanted)
    assert isinstance(found[2], LookupError)
    assert isinstance(found[4], sa.exc.IntegrityError)
    assert [kept(one).verdict for n, one in enumerate(found) if n not in {2, 4}] == [Verdict.NEWEST] * 5
    for table in (t.event, t.record, t.job):
        rows = ledger.db.rows(sa.select(table.c.record_id))
        assert {row.record_id for row in rows} == {"1", "2", "4", "6", "7"}, table.name


def test_what_comes_together_means_what_it_means_one_by_one(ledger: Ledger) -> None:
    """A new order, the same delivery again, its next state, another flow's order, a state without routes."""
    several = (ROUTE, Route("copies", "erp"))
    script = [change("1"), change("1"), change("1", "b"), change("2"), change("3")]

    def wanted(key: Key) -> Sequence[Route]:
        return {"1": (ROUTE,), "2": several, "3": ()}[key.id]

    together = [kept(one) for one in ledger.inbox.accept_each([Arrival([one]) for one in script], wanted)]
    one_by_one = [
        ledger.inbox.accept([Change(Key("other", "order", one.key.id), None, one.raw, one.dedupe)], wanted)[0]
        for one in script
    ]
    assert [one.verdict for one in together] == [one.verdict for one in one_by_one]
    assert [len(one.jobs) for one in together] == [len(one.jobs) for one in one_by_one]
    for table in (t.event, t.record, t.job):
        leave = {
            "id",
            "connection",
            "event_id",
            "correlation",
            "received_at",
            "updated_at",
            "created_at",
            "due_at",
            "dirty_at",
        }
        columns = [column for column in table.c if column.name not in leave]
        rows = {
            name: ledger.db.rows(sa.select(*columns).where(table.c.connection == name).order_by(*columns))
            for name in ("shop", "other")
        }
        assert rows["shop"] == rows["other"], table.name
        assert rows["shop"]


def test_an_order_that_is_new_twice_at_once_is_kept_once(ledger: Ledger) -> None:
    """Two states of the same new record from many threads: one job, one record, every delivery an event."""
    threads = 8
    for id in range(10):
        barrier = threading.Barrier(threads)

        def take(number: int, id: int = id, barrier: threading.Barrier = barrier) -> Accepted:
            barrier.wait()
            return kept(ledger.inbox.accept_each([Arrival([change(str(id), f"state {number}")])], routes)[0])

        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(take, range(threads)))
        jobs = {job for one in found for job in one.jobs}
        assert len(jobs) == 1
        [job] = ledger.db.rows(sa.select(t.job).where(t.job.c.record_id == str(id)))
        assert job.wanted == sum(len(one.jobs) for one in found)
        assert len(ledger.db.rows(sa.select(t.event.c.id).where(t.event.c.record_id == str(id)))) == threads
        assert sum(one.verdict is Verdict.NEWEST for one in found) >= 1


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_known_order_takes_the_careful_way(ledger: Ledger) -> None:
    """Nothing of the one statement stays behind when the record is known."""
    first = kept(ledger.inbox.accept_each([Arrival([change("1")])], routes)[0])
    second = kept(ledger.inbox.accept_each([Arrival([change("1", "b")], fetchable=False)], routes)[0])
    assert (first.verdict, second.verdict) == (Verdict.NEWEST, Verdict.NEWEST)
    [record] = ledger.db.rows(sa.select(t.record))
    assert (bytes(record.raw), record.version, record.event_id) == (b"b", 2, second.event_id)
    [job] = ledger.db.rows(sa.select(t.job))
    assert (job.wanted, job.id) == (2, first.jobs[0])
