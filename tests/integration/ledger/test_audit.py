"""The audit: in order, complete, and nothing of it can be changed unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ledger import Ledger
from ledger import tables as t


def fill(ledger: Ledger, count: int = 6) -> None:
    for n in range(count):
        ledger.audit.note("Anna", "job.skip", f"job/{n}", {"reason": f"Überzählig {n}", "n": n}, "192.0.2.1")


def test_what_is_noted_is_read_as_it_was(ledger: Ledger) -> None:
    number = ledger.audit.note("Anna\x00", "x" * 300, "job/1\ud800", {"b": [1, None], "a": "é🙂\u202e"}, "192.0.2.1")
    [note] = ledger.audit.list()
    assert (note.id, note.actor, note.action, note.subject) == (number, "Anna", "x" * 60, "job/1?")
    assert note.facts == {"b": [1, None], "a": "é🙂\u202e"}
    assert note.ip == "192.0.2.1"
    assert ledger.audit.verify().intact


def test_facts_that_are_endless_are_not_kept(ledger: Ledger) -> None:
    ledger.audit.note("Anna", "a", "s", {"text": "x" * 200_000})
    assert ledger.audit.list()[0].facts == {"too long to keep": 200_012}


def test_an_untouched_chain_is_intact_and_names_its_last_link(ledger: Ledger) -> None:
    assert ledger.audit.verify().count == 0
    fill(ledger)
    verdict = ledger.audit.verify()
    assert (verdict.intact, verdict.count, verdict.last) == (True, 6, 6)
    fill(ledger)
    assert ledger.audit.verify((verdict.last, verdict.hash)).intact


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "Bert"},
        {"action": "job.retry"},
        {"subject": "job/9"},
        {"facts": "{}"},
        {"ip": ""},
        {"at": 1},
        {"hash": "0" * 64},
        {"previous": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("row", [1, 3, 6])
def test_a_changed_row_is_found(ledger: Ledger, row: int, change: dict[str, object]) -> None:
    fill(ledger)
    ledger.db.execute(sa.update(t.audit).where(t.audit.c.id == row).values(**change))
    verdict = ledger.audit.verify()
    assert not verdict.intact
    assert str(row) in verdict.problem


@pytest.mark.parametrize("row", [1, 3, 6])
def test_a_row_that_was_taken_out_is_found(ledger: Ledger, row: int) -> None:
    fill(ledger)
    ledger.db.execute(sa.delete(t.audit).where(t.audit.c.id == row))
    assert "taken out" in ledger.audit.verify().problem


def test_an_audit_that_was_emptied_is_found(ledger: Ledger) -> None:
    fill(ledger)
    ledger.db.execute(sa.delete(t.audit))
    assert not ledger.audit.verify().intact
    ledger.db.execute(sa.delete(t.audit_head))
    assert ledger.audit.verify().intact, "nothing is left to tell it by ..."
    assert not ledger.audit.verify((6, "x")).intact, "... but what was kept elsewhere"


def test_a_chain_that_was_computed_anew_is_found_by_what_was_kept_elsewhere(ledger: Ledger) -> None:
    fill(ledger)
    before = ledger.audit.verify()
    ledger.db.execute(sa.delete(t.audit))
    ledger.db.execute(sa.delete(t.audit_head))
    fill(ledger, 9)
    assert ledger.audit.verify().intact
    assert "rewritten" in ledger.audit.verify((before.last, before.hash)).problem


def test_many_at_once_make_one_chain(open_ledger: Callable[..., Ledger]) -> None:
    """Threads and processes (here: two ledgers) append together; nobody forks the chain, nobody is lost."""
    ledgers = [open_ledger(), open_ledger()]
    start = Barrier(8)

    def append(ledger: Ledger, who: str) -> None:
        start.wait()
        for n in range(10):
            ledger.audit.note(who, "test", str(n), {})

    threads = [Thread(target=append, args=(ledgers[n % 2], f"thread {n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = ledgers[0].audit.verify()
    assert (verdict.intact, verdict.count, verdict.last) == (True, 80, 80)


def test_what_is_undone_was_not_noted(ledger: Ledger) -> None:
    fill(ledger, 1)

    def work(connection: Connection) -> None:
        ledger.audit.append(connection, "Anna", "test", "s", {})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.db.transact(work)
    fill(ledger, 1)
    assert ledger.audit.verify().count == 2
    assert ledger.audit.verify().intact
