"""The two engines behind one small face: a write transaction, a read, and the database's own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, CursorResult, Engine, make_url
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.sql.base import Executable

from core.clock import Clock, from_micros, to_micros

SECOND: Final = 1_000_000
CLOCK_AGE: Final = 30.0

Insert = postgresql.Insert | sqlite.Insert


class Database:
    """SQLite: one writer connection under a lock, readers beside it (WAL). PostgreSQL: a pool."""

    def __init__(self, url: str | URL, *, pool_size: int = 12, clock: Clock | None = None) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = clock
        self._lock = threading.RLock()
        self._clock_base = 0
        self._read_at = -2 * CLOCK_AGE
        if self.is_sqlite:
            self._open_sqlite(pool_size)
        else:
            self._open_postgresql(pool_size)
        self.now = self._now_expression()

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open_sqlite(self, pool_size: int) -> None:
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        arguments = {"check_same_thread": False, "isolation_level": None, "timeout": 15.0}
        self._writer = sa.create_engine(self.url, poolclass=StaticPool, connect_args=arguments)
        self._reader = sa.create_engine(
            self.url, poolclass=QueuePool, pool_size=pool_size, max_overflow=20, connect_args=arguments
        )
        sa_event.listen(self._writer, "connect", _prepare_writer)
        sa_event.listen(self._writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        sa_event.listen(self._reader, "connect", _prepare_reader)

    def _open_postgresql(self, pool_size: int) -> None:
        self._writer = sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=10,
            pool_recycle=1800,
            connect_args={"connect_timeout": 5, "options": "-c synchronous_commit=on -c lock_timeout=15s"},
        )
        self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Give back every connection."""
        self._writer.dispose()
        if self.is_sqlite:
            self._reader.dispose()

    # -- time ------------------------------------------------------------------------------------------------------

    def _now_expression(self) -> sa.ColumnElement[int]:
        """The present in microseconds: PostgreSQL's own clock, so that machines need not agree; on SQLite (one machine)
        or with an injected clock the process's, bound anew at each execution.
        """
        if self.is_sqlite or self.clock is not None:
            return sa.bindparam("now", callable_=self.micros, type_=sa.BigInteger)
        return sa.literal_column("(extract(epoch from statement_timestamp()) * 1000000)::bigint", sa.BigInteger)

    def micros(self) -> int:
        """The database's clock as this process knows it: read anew every half minute, so that hosts whose clocks differ
        still agree. On SQLite (one machine) or with an injected clock, that clock.
        """
        if self.is_sqlite or self.clock is not None:
            return to_micros((self.clock or Clock()).now())
        age = time.monotonic() - self._read_at
        if age > CLOCK_AGE:
            with self._reader.connect() as connection:
                began = time.monotonic()
                self._clock_base = int(connection.execute(sa.select(self.now)).scalar_one())
            self._read_at, age = began, time.monotonic() - began
        return self._clock_base + int(age * SECOND)

    # -- working ---------------------------------------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One short transaction. Never call out to another system within."""
        if not self.is_sqlite:
            with self._writer.begin() as connection:
                yield connection
            return
        with self._lock, self._writer.begin() as connection:
            yield connection

    def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> list[sa.Row[Any]]:
        """A single writing statement as a transaction of its own; its RETURNING rows (PostgreSQL: one round trip)."""
        if self.is_sqlite:
            with self._lock, self._writer.begin() as connection:
                return _rows(connection.execute(statement, parameters))
        with self._reader.connect() as connection:
            return _rows(connection.execute(statement, parameters))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Reading only: what was committed before."""
        with self._reader.connect() as connection:
            yield connection

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> list[sa.Row[Any]]:
        """All rows of one query."""
        with self._reader.connect() as connection:
            return _rows(connection.execute(statement, parameters))

    def insert(self, table: sa.Table) -> Insert:
        """The dialect's INSERT, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def lock_rows(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """FOR UPDATE where there is such a thing (SQLite's single writer needs none)."""
        return query if self.is_sqlite else query.with_for_update()

    @property
    def engine(self) -> Engine:
        """For migrations."""
        return self._writer


def _rows(result: CursorResult[Any]) -> list[sa.Row[Any]]:
    return list(result.fetchall()) if result.returns_rows else []


def _prepare_writer(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=15000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_reader(connection: Any, _record: object) -> None:
    # Only the writer checkpoints: several checkpointing connections hit the WAL-reset bug of SQLite < 3.51.3.
    cursor = connection.cursor()
    for pragma in ("query_only=ON", "busy_timeout=15000", "wal_autocheckpoint=0"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class DatabaseClock(Clock):
    """The ledger's time, for whoever compares moments with those in the ledger (a fetch began, a record became dirty)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def now(self) -> datetime:
        """The database's present, aware UTC."""
        return from_micros(self._db.micros())
