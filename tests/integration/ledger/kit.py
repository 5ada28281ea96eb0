"""What the tests of the ledger and of the engine share: migrated databases, changes, time that passes, threads that meet."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from core.keys import Change, Key, content_hash
from ledger import Ledger, migrate
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import Accepted, Route, Routes
from ledger.jobs import Claim, JobView
from tests.servers import PostgresServer

T = TypeVar("T")
START = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)

_MOMENTS = {
    t.job: ("due_at", "lease_until", "created_at", "updated_at"),
    t.link: ("hold_until", "sent_at"),
    t.lane: ("lease_until",),
    t.schedule: ("next_at", "running_until"),
    t.connection_state: ("blocked_until", "paused_until", "blocked_since"),
}


# -- databases -----------------------------------------------------------------------------------------------------


def sqlite_template(folder: Path) -> Path:
    """A migrated SQLite file that is only ever copied."""
    file = folder / "template.sqlite"
    db = Database(f"sqlite:///{file}")
    migrate.upgrade(db)
    db.close()
    return file


def sqlite_copy(template: Path, folder: Path) -> str:
    file = folder / "orderwire.sqlite"
    shutil.copyfile(template, file)
    return f"sqlite:///{file}"


@contextmanager
def postgres_template(server: PostgresServer) -> Iterator[str]:
    """A migrated PostgreSQL database for many tests; each empties it first."""
    with server.fresh_database() as url:
        db = Database(url)
        migrate.upgrade(db)
        db.close()
        yield url


_EMPTY = """
DO $$
DECLARE one record;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
    SET LOCAL session_replication_role = replica;  -- no foreign key is asked: all rows go
    FOR one IN
        SELECT oid::regclass AS name, pg_relation_size(oid) AS bytes FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP
        IF one.bytes > 1000000 THEN
            EXECUTE format('TRUNCATE %s CASCADE', one.name);
        ELSIF one.bytes > 0 THEN
            EXECUTE format('DELETE FROM %s', one.name);
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
        WHERE schemaname = 'public' AND last_value IS NOT NULL;
END $$
"""
"""Only what was filled is emptied, and by DELETE as long as it is small: TRUNCATE makes new files for each table and index."""


def emptied(url: str) -> str:
    """As a new one: without rows, numbers from one on, and nobody of the test before still connected."""
    with psycopg.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    ) as connection:
        connection.execute(_EMPTY)
        # A test may have pretended another version.
        connection.execute("UPDATE alembic_version SET version_num = %s", [_head()])
    return url


@cache
def _head() -> str:
    return migrate.head()  # reads all migrations


# -- changes and jobs ----------------------------------------------------------------------------------------------


def change(id: str = "1001", stamp: float | None = 0.0, raw: bytes | None = b'{"id": 1001}', **more: Any) -> Change:
    """An order of `shop` in the state of `stamp` seconds after START."""
    made = Change(
        key=Key(more.pop("connection", "shop"), more.pop("kind", "order"), id),
        stamp=None if stamp is None else START + timedelta(seconds=stamp),
        raw=raw,
        dedupe="",
        number=more.pop("number", id),
        **{name: value for name, value in more.items() if name != "dedupe"},
    )
    return replace(made, dedupe=more.get("dedupe", f"{made.key}:{stamp}:{content_hash(raw or b'')}"))


def route(queue: Any = "live", target: str = "crm", flow: str = "orders") -> Routes:
    return lambda _key: (Route(flow, target, queue),)


def accept(ledger: Ledger, *changes: Change, routes: Routes | None = None, **more: Any) -> list[Accepted]:
    return ledger.inbox.accept(changes, routes or route(), **more)


def add(ledger: Ledger, *ids: str, **how: Any) -> list[int]:
    """Jobs for these orders; their ids."""
    return [accept(ledger, change(id), routes=route(**how))[0].jobs[0] for id in ids]


def claimed(ledger: Ledger, id: str = "1001", worker: str = "w") -> Claim:
    """A job for this order, claimed."""
    add(ledger, id)
    claim = ledger.jobs.claim(worker)
    assert claim is not None
    assert claim.key.id == id
    return claim


def view(ledger: Ledger, job: int | Claim) -> JobView:
    found = ledger.jobs.get(job.id if isinstance(job, Claim) else job)
    assert found is not None
    return found


def outcomes(ledger: Ledger, job: int | Claim) -> list[str]:
    return [row["outcome"] for row in ledger.jobs.attempts(job.id if isinstance(job, Claim) else job)]


def column(ledger: Ledger, column: sa.Column[Any], where: sa.ColumnElement[bool] | None = None) -> Any:
    query = sa.select(column) if where is None else sa.select(column).where(where)
    rows = ledger.db.rows(query)
    assert len(rows) == 1
    return rows[0][0]


def count(ledger: Ledger, table: sa.Table) -> int:
    return int(ledger.db.rows(sa.select(sa.func.count()).select_from(table))[0][0])


# -- time ----------------------------------------------------------------------------------------------------------


def later(ledger: Ledger, seconds: float) -> None:
    """Time passes for everything in the database: every moment there moves into the past. Nobody sleeps."""
    with ledger.db.write() as connection:
        for table, names in _MOMENTS.items():
            moved = {name: table.c[name] - int(seconds * SECOND) for name in names}
            connection.execute(sa.update(table).values(moved))


def due_in(ledger: Ledger, job: int | Claim) -> float:
    """Seconds until the job is due, by the database's own clock."""
    id = job.id if isinstance(job, Claim) else job
    row = ledger.db.rows(sa.select(t.job.c.due_at, ledger.db.now.label("now")).where(t.job.c.id == id))[0]
    return float(row.due_at - row.now) / SECOND


def until(fact: Callable[[], object], within: float = 90.0, what: str = "") -> None:
    """Look again and again; fails when it does not become true."""
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, what or "it did not become true in time"
        time.sleep(0.005)


def counting(patch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """The calls of this method, which goes on doing what it does."""
    real, calls = getattr(owner, name), []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return real(*args, **options)

    patch.setattr(owner, name, counted)
    return calls


@contextmanager
def plans(ledger: Ledger, table: str) -> Iterator[list[str]]:
    """How SQLite finds its rows in each statement about this table, known at the end; on PostgreSQL nothing: what it chooses for
    a few rows tells nothing.
    """
    asked: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if re.search(rf"\b{table}\b", statement):
            asked.append((statement, given))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)
    with closing(ledger.db.engine.raw_connection()) as raw:
        for statement, given in asked if ledger.db.is_sqlite else ():
            cursor = raw.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given)
            found.append("; ".join(row[3] for row in cursor.fetchall()))


# -- threads -------------------------------------------------------------------------------------------------------


def together(works: Sequence[Callable[[], T]], within: float = 120.0) -> list[T]:
    """Run all of them at the same time; their answers in order. The first error of any of them is raised."""
    gate = threading.Barrier(len(works))
    answers: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int, work: Callable[[], T]) -> None:
        try:
            gate.wait(within)
            answers[number] = work()
        except BaseException as error:  # noqa: BLE001 - raised below, where the test sees it
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.01))
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "somebody is stuck"
    return [answers[number] for number in range(len(works))]


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """`work` in a thread of its own; afterwards it must have ended without an error."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(120)
    if errors:
        raise errors[0]
    assert not thread.is_alive(), "it is stuck"


def stuck_on_a_lock(ledger: Ledger) -> bool:
    """PostgreSQL: somebody waits for somebody else's row."""
    engine = sa.create_engine(ledger.db.url)
    with engine.connect() as connection:
        waiting = connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        ).scalar_one()
    engine.dispose()
    return bool(waiting)


def wait_until_blocked(ledger: Ledger) -> None:
    """Until a thread beside us waits for the transaction that we are in. (SQLite: it waits for the one writer.)"""
    if ledger.db.is_sqlite:
        time.sleep(0.05)
    else:
        until(lambda: stuck_on_a_lock(ledger), what="nobody waits for our transaction")


def migrated(request: pytest.FixtureRequest, folder: Path) -> str:
    """A migrated and empty database of the engine `request.param`: migrating for every test would take most of its time."""
    if request.param == "sqlite":
        return sqlite_copy(request.getfixturevalue("sqlite_template"), folder)
    return emptied(request.getfixturevalue("postgres_template"))
