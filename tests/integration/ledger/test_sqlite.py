"""SQLite as it was designed: one durable writer, readers that only read, and `kill -9` that loses nothing acknowledged."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from core.keys import Key
from ledger import Ledger
from ledger import tables as t
from ledger.database import Database
from ledger.inbox import Route
from tests.integration.ledger import kit
from tests.integration.ledger.kit import accept, add, change, count, together

ROOT = Path(__file__).resolve().parents[3]
KILLS = 20


@pytest.fixture
def ledger(sqlite_template: Path, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(kit.sqlite_copy(sqlite_template, tmp_path))
    yield opened
    opened.close()


def pragmas(connection: sa.Connection, *names: str) -> dict[str, object]:
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def test_the_writer_is_durable_and_the_readers_only_read(ledger: Ledger) -> None:
    add(ledger, "1")
    with ledger.db.write() as connection:
        assert pragmas(connection, "journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only") == {
            "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15000, "query_only": 0,
        }  # fmt: skip
        assert pragmas(connection, "wal_autocheckpoint")["wal_autocheckpoint"], "the writer checkpoints"
    for _ in range(2):
        with ledger.db.read() as one, ledger.db.read() as another:
            for connection in (one, another):
                assert pragmas(connection, "query_only", "busy_timeout", "wal_autocheckpoint") == {
                    "query_only": 1, "busy_timeout": 15000, "wal_autocheckpoint": 0,
                }  # fmt: skip


def test_a_reader_cannot_write(ledger: Ledger) -> None:
    add(ledger, "1")
    for statement in ("UPDATE job SET state = 'held'", "DELETE FROM event", "CREATE TABLE x (y)", "DROP TABLE lane"):
        with ledger.db.read() as connection, pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql(statement)
    assert count(ledger, t.event) == count(ledger, t.job) == 1


def test_foreign_keys_hold(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError), ledger.db.write() as connection:
        connection.execute(
            sa.insert(t.attempt).values(
                job_id=99, generation=1, token=1, worker="w", started_at=1, ended_at=1, outcome="settled"
            )
        )


def test_readers_do_not_wait_for_a_writer(ledger: Ledger) -> None:
    add(ledger, "1")
    with ledger.db.write() as connection:
        connection.execute(sa.update(t.job).values(state="held"))
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.append(ledger.jobs.list()[0].state))
        reader.start()
        reader.join(60)
        assert seen == ["waiting"], "what was committed before"
    assert ledger.jobs.list()[0].state == "held"


def test_an_undone_transaction_leaves_the_writer_usable(ledger: Ledger) -> None:
    for _ in range(3):
        with pytest.raises(IntegrityError), ledger.db.write() as connection:
            connection.execute(sa.insert(t.cursor), [{"name": "x", "value": "y", "updated_at": 1}] * 2)
    assert count(ledger, t.cursor) == 0
    add(ledger, "1")


def test_one_threads_failure_undoes_nothing_of_the_others(ledger: Ledger) -> None:
    """Threads that wait for the writer may share a commit; each stands or falls alone."""

    def broken(key: Key) -> tuple[Route, ...]:
        if key.id.startswith("z"):
            raise LookupError("no such flow")
        return (Route("orders", "crm"),)

    def deliver(number: int) -> str:
        try:
            # The first change of a refused pair is written already when the second one fails.
            second = [change(f"z{number}")] if number % 3 == 0 else []
            accept(ledger, change(f"o{number}"), *second, routes=broken)
        except LookupError:
            return "refused"
        return "kept"

    with ledger.db.write():  # they queue meanwhile
        answers: list[list[str]] = []
        crowd = threading.Thread(
            target=lambda: answers.append(together([lambda n=n: deliver(n) for n in range(30)]))  # type: ignore[misc]
        )
        crowd.start()
        time.sleep(0.2)
        assert answers == []
    crowd.join(120)
    assert answers == [["refused" if number % 3 == 0 else "kept" for number in range(30)]]
    assert count(ledger, t.event) == count(ledger, t.record) == count(ledger, t.job) == 20


def test_nobody_is_told_before_the_commit(ledger: Ledger) -> None:
    """A commit fails (here by a key that is checked only then): everybody who shared it hears of it."""
    orphan = sa.insert(t.attempt).values(
        job_id=99, generation=1, token=1, worker="w", started_at=1, ended_at=1, outcome="settled"
    )

    def poison(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.execute(orphan)

    def deliver(number: int) -> str:
        try:
            if number == 4:
                ledger.db.transact(poison)
            accept(ledger, change(f"o{number}"))
        except IntegrityError:
            return "not taken"
        return "taken"

    with ledger.db.write():  # they queue meanwhile
        answers: list[list[str]] = []
        crowd = threading.Thread(
            target=lambda: answers.append(together([lambda n=n: deliver(n) for n in range(9)]))  # type: ignore[misc]
        )
        crowd.start()
        time.sleep(0.3)
    crowd.join(120)
    taken = {f"o{number}" for number, answer in enumerate(answers[0]) if answer == "taken"}
    kept = {row.record_id for row in ledger.db.rows(sa.select(t.event.c.record_id))}
    assert taken == kept, "told and kept are the same"
    assert len(taken) <= 5, "most of them shared that commit"
    assert count(ledger, t.attempt) == 0
    add(ledger, "afterwards")


def test_no_order_in_the_text_of_an_error(ledger: Ledger) -> None:
    with pytest.raises(sa.exc.StatementError) as refused:
        accept(ledger, change("1", raw=b"Jane Doe, 4 Privet Drive", number=object()))
    assert "Privet" not in str(refused.value)


# -- kill -9 -------------------------------------------------------------------------------------------------------

# Forks a writer for each line it reads, lets it write for so many seconds after its first acknowledgement, and kills it.
NURSERY = """
import os, select, signal, sys, threading, time
from tests.integration.ledger.kit import accept, change
from core.keys import Key
from ledger import Ledger
for line in sys.stdin:
    url, number, seconds = line.split()
    alive, first = os.pipe()
    child = os.fork()
    if child == 0:
        ledger = Ledger.open(url)
        def write(thread):
            for n in range(100000):
                name = f"{number}-{thread}-{n}"
                accept(ledger, change(name, raw=name.encode() * 50))
                os.write(1, f"{name}\\n".encode())
                os.write(first, b".") if n == 0 else None
        for thread in range(3):
            threading.Thread(target=write, args=(thread,)).start()
        write(3)
    select.select([alive], [], [], 10)
    time.sleep(float(seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(alive), os.close(first)
    os.write(1, b"killed\\n")
"""


def test_kill_nine_loses_nothing_that_was_acknowledged(ledger: Ledger, seed: int) -> None:
    rng = random.Random(seed)
    url = str(ledger.db.url)
    file = ledger.db.url.database
    assert file is not None
    acknowledged: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for number in range(KILLS):
            nursery.stdin.write(f"{url} {number} {rng.uniform(0.0, 0.06):.3f}\n")
            nursery.stdin.flush()
            for line in nursery.stdout:
                if line == "killed\n":
                    break
                acknowledged.add(line.strip())
            connection = sqlite3.connect(file)
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            kept = {row[0] for row in connection.execute("SELECT record_id FROM event")}
            jobs = {row[0] for row in connection.execute("SELECT record_id FROM job")}
            records = {row[0] for row in connection.execute("SELECT record_id FROM record")}
            connection.close()
            assert acknowledged <= kept, f"lost: {sorted(acknowledged - kept)[:5]}"
            assert kept == jobs == records, "an event without its record or its job"
        nursery.stdin.close()
    assert len(acknowledged) > KILLS, "they hardly wrote anything: the kills prove nothing"
    assert nursery.returncode == 0


def test_a_ledger_that_is_closed_while_others_write_ends_them_with_an_error(tmp_path: Path) -> None:
    """Not with the process: the driver does not survive a connection that is closed under a statement."""
    for place in range(20):
        db = Database(f"sqlite:///{tmp_path}/{place}.sqlite")
        db.execute(sa.text("CREATE TABLE thing (n INTEGER)"))
        ended: list[BaseException] = []

        def write(db: Database = db, ended: list[BaseException] = ended) -> None:
            try:
                for n in range(10_000):
                    db.transact(lambda connection, n=n: connection.execute(sa.text(f"INSERT INTO thing VALUES ({n})")))  # type: ignore[misc]  # noqa: S608
            except sa.exc.SQLAlchemyError as error:
                ended.append(error)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        db.close()
        for thread in threads:
            thread.join(120)
        assert len(ended) == 4
