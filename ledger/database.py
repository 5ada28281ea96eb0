"""The two engines behind one small face: a write transaction, a read, and the database's own clock."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool, StaticPool
from sqlalchemy.sql.base import Executable

from core.clock import Clock, to_micros
from ledger.prepared import Prepared

SECOND: Final = 1_000_000
CONNECT_SECONDS: Final = 5
CLOCK_AGE: Final = 30.0
READINGS: Final = 5
MEETINGS: Final = 5
GROUP: Final = 32
"""At most so many transactions share one commit (SQLite)."""
_MET: Final = frozenset({"40P01", "40001"})
"""deadlock_detected, serialization_failure: PostgreSQL undid everything, so that it can be done again."""

T = TypeVar("T")

Insert = postgresql.Insert | sqlite.Insert


class Again(Exception):
    """Two transactions met on the same new row: ours is undone and repeated. Only raised by the work of `transact`."""


class Database:
    """SQLite: one writer connection under a lock, readers beside it (WAL). PostgreSQL: a pool."""

    def __init__(self, url: str | URL, *, pool_size: int = 12, clock: Clock | None = None) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock = clock
        self._lock = threading.RLock()
        self._queue: deque[_Item] = deque()
        self._common: Connection | None = None
        self._closed = False
        self._asking = threading.Lock()
        self._reading: tuple[int, float] | None = None
        self._sharing = threading.RLock()
        self._shared: dict[Any, Any] = {}
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
        # hide_parameters: what is written are people's orders; an error's text goes to the log.
        self._writer = sa.create_engine(self.url, poolclass=StaticPool, connect_args=arguments, hide_parameters=True)
        self._reader = sa.create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=20,
            connect_args=arguments,
            hide_parameters=True,
        )
        sa_event.listen(self._writer, "connect", _prepare_writer)
        sa_event.listen(self._writer, "begin", _begin_immediate)
        sa_event.listen(self._reader, "connect", _prepare_reader)

    def _open_postgresql(self, pool_size: int) -> None:
        # The URL's own `?connect_timeout=` stands: some networks need longer.
        given = {} if "connect_timeout" in self.url.query else {"connect_timeout": CONNECT_SECONDS}
        self._writer = sa.create_engine(
            self.url,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=4,
            pool_timeout=10,
            pool_recycle=1800,
            connect_args=given | {"options": "-c synchronous_commit=on -c lock_timeout=15s"},
        )
        self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Give back every connection."""
        with self._lock:
            # Under the lock, and for good: SQLite's driver does not survive a connection closed under a statement.
            self._closed = True
            if self._common is not None:
                self._common.close()
                self._common = None
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
        still agree; not ahead of it. On SQLite (one machine) or with an injected clock, that clock.
        """
        if self.is_sqlite or self.clock is not None:
            return to_micros((self.clock or Clock()).now())
        reading = self._reading
        if reading is None or time.monotonic() - reading[1] > CLOCK_AGE:
            reading = self._read_clock(reading)
        return reading[0] + int((time.monotonic() - reading[1]) * SECOND)

    def _read_clock(self, known: tuple[int, float] | None) -> tuple[int, float]:
        # One thread asks, the others go on with what is known: nobody who holds a connection waits for a second one.
        if not self._asking.acquire(blocking=known is None) and known is not None:
            return known
        try:
            if self._reading is not None and self._reading is not known:
                return self._reading  # somebody else asked meanwhile
            with self._reader.connect() as connection:
                # Each reading lags by its answer's way; the one that lags least counts, so that what another statement
                # stamps by the database's own clock is not in this process's future.
                readings = [self._ask_clock(connection) for _ in range(READINGS)]
            reading = max(readings, key=lambda one: one[0] - one[1] * SECOND)
        except SQLAlchemyError:
            if known is None:
                raise
            # The database is away: what is known stays good, and nobody asks again for a while.
            now = time.monotonic()
            reading = (known[0] + int((now - known[1]) * SECOND), now)
        finally:
            self._asking.release()
        self._reading = reading
        return reading

    def _ask_clock(self, connection: Connection) -> tuple[int, float]:
        base = int(connection.execute(sa.select(self.now)).scalar_one())
        return base, time.monotonic()

    # -- working ---------------------------------------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One short transaction. Never call out to another system within."""
        if not self.is_sqlite:
            self.micros()  # if the clock is to be read anew, then before this thread holds a connection
            with self._writer.begin() as connection:
                yield connection
            return
        with self._lock, self._writer.begin() as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """`work` as one short transaction, repeated from its start when PostgreSQL undid it because two transactions met on
        the same rows in a different order. On SQLite the work of threads that wait for one another shares one commit.
        """
        return _repeated(lambda: self._grouped(work) if self.is_sqlite else self._once(work))

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self.write() as connection:
            return work(connection)

    def execute(self, statement: Executable | Prepared, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """A single writing statement as a transaction of its own; its RETURNING rows (PostgreSQL: one round trip)."""
        if self.is_sqlite:
            return self._grouped(lambda connection: _run(connection, statement, parameters))
        return _repeated(lambda: self.rows(statement, parameters))

    def transact_each(self, works: Sequence[Callable[[Connection], T]]) -> list[T | Exception]:
        """Many short transactions of one thread. On SQLite they share a commit; each that fails, fails alone."""
        if not self.is_sqlite:
            return [_caught(lambda work=work: self.transact(work)) for work in works]  # type: ignore[misc]
        items = self._wait_for_writer(works)
        for item in items:
            if item.error is not None and not isinstance(item.error, Exception):
                raise item.error
        return [item.value if item.error is None else item.error for item in items]  # type: ignore[misc]

    def _grouped(self, work: Callable[[Connection], T]) -> T:
        [item] = self._wait_for_writer([work])
        if item.error is not None:
            raise item.error
        return item.value  # type: ignore[no-any-return]

    def _wait_for_writer(self, works: Sequence[Callable[[Connection], Any]]) -> list[_Item]:
        """Queue for the one writer. Whoever gets it does all that waits, in one transaction with a savepoint each, and
        commits once: under load that spares most of the disk's waits. Nobody returns before the commit.
        """
        items = [_Item(work) for work in works]
        self._queue.extend(items)
        with self._lock:
            while not all(item.done for item in items):
                self._commit_together([self._queue.popleft() for _ in range(min(len(self._queue), GROUP))])
        return items

    def _commit_together(self, items: list[_Item]) -> None:
        try:
            if self._closed:
                raise sa.exc.ResourceClosedError("This process has closed its ledger.")
            if self._common is None:
                self._common = self._writer.connect().execution_options(**{_COMMON: True})
            driver: Any = self._common.connection.driver_connection
            driver.execute("BEGIN IMMEDIATE")
            try:
                self._do_each(items, driver, self._common)
                driver.execute("COMMIT")
            except BaseException:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise
        except BaseException as error:
            for item in items:
                item.error = item.error or _translated(error)
            if not isinstance(error, Exception):
                raise
        finally:
            for item in items:
                item.done = True

    @staticmethod
    def _do_each(items: list[_Item], driver: Any, connection: Connection) -> None:
        if len(items) == 1:
            items[0].value = items[0].work(connection)
            return
        for item in items:
            driver.execute("SAVEPOINT item")
            try:
                item.value = item.work(connection)
            except Exception as error:  # noqa: BLE001 - raised again in the thread whose work it is
                item.error = error
                driver.execute("ROLLBACK TO item")
            driver.execute("RELEASE item")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Reading only: what was committed before."""
        with self._reader.connect() as connection:
            yield connection

    def rows(self, statement: Executable | Prepared, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of one query."""
        if isinstance(statement, Prepared):
            return self._straight(statement, parameters or {})
        with self._reader.connect() as connection:
            return _run(connection, statement, parameters)

    def _straight(self, statement: Prepared, parameters: Mapping[str, Any]) -> list[Any]:
        """On a connection of the pool, each statement committed by itself: one round trip."""
        if self.is_sqlite:
            pooled = self._reader.raw_connection()
        else:
            pooled = self._connected()
            pooled.driver_connection.autocommit = True  # type: ignore[union-attr]
        try:
            return statement.run(pooled.driver_connection, parameters).rows
        except DBAPIError as error:
            if error.connection_invalidated:
                pooled.invalidate(error.orig)
            raise
        finally:
            if not self.is_sqlite and pooled.is_valid:
                pooled.driver_connection.autocommit = False  # type: ignore[union-attr]
            pooled.close()

    def _connected(self) -> PoolProxiedConnection:
        """A connection of the pool. A server that is away is told as everywhere else: what is raw raises the driver's own."""
        driver: Any = self._writer.dialect.loaded_dbapi
        try:
            return self._writer.raw_connection()
        except driver.Error as error:
            raise OperationalError("connect", {}, error, hide_parameters=True) from error

    def prepare(self, statement: sa.ClauseElement) -> Prepared:
        """A statement of the hot path, compiled once; for `execute`, `rows`, or `.on(connection, ...)` in a transaction."""
        return Prepared(statement, self._writer.dialect, self._forget_connections)

    def _forget_connections(self) -> None:
        """One was broken: the server was away, so the others in the pool are too. Those in use end by themselves."""
        if not self.is_sqlite:
            self._writer.dispose(close=False)

    def insert(self, table: sa.Table) -> Insert:
        """The dialect's INSERT, which knows ON CONFLICT."""
        return _insert(table, is_sqlite=self.is_sqlite)

    def lock_rows(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """FOR UPDATE where there is such a thing (SQLite's single writer needs none)."""
        return query if self.is_sqlite else query.with_for_update()

    def shared(self, make: Callable[[Database], T]) -> T:
        """The one of this kind that all who use this database in this process share: what it remembers, all know."""
        with self._sharing:
            if make not in self._shared:
                self._shared[make] = make(self)
            found: T = self._shared[make]
        return found

    @property
    def engine(self) -> Engine:
        """For migrations."""
        return self._writer


@cache
def _insert(table: sa.Table, *, is_sqlite: bool) -> Insert:
    insert: Insert = sqlite.insert(table) if is_sqlite else postgresql.insert(table)
    _ = insert.excluded  # a copy of every column: reckoned once a table instead of once a statement
    return insert


def _repeated(once: Callable[[], T]) -> T:
    for _ in range(MEETINGS - 1):
        try:
            return once()
        except Again:
            continue
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _MET:
                raise
    return once()


def _caught(once: Callable[[], T]) -> T | Exception:
    try:
        return once()
    except Exception as error:  # noqa: BLE001 - the caller looks at each
        return error


def _run(connection: Connection, statement: Executable | Prepared, parameters: Mapping[str, Any] | None) -> list[Any]:
    if isinstance(statement, Prepared):
        return statement.on(connection, parameters or {}).rows
    result = connection.execute(statement, parameters)
    return list(result.fetchall()) if result.returns_rows else []


class _Item:
    """One thread's work, waiting for the writer."""

    __slots__ = ("done", "error", "value", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False


def _translated(error: BaseException) -> BaseException:
    """What the driver raised at BEGIN or COMMIT, as SQLAlchemy's kind of error."""
    if not isinstance(error, sqlite3.Error):
        return error
    translated: BaseException = DBAPIError.instance("COMMIT", None, error, sqlite3.Error, hide_parameters=True)
    return translated


_COMMON: Final = "orderwire_common"


def _begin_immediate(connection: Connection) -> None:
    # The common connection's transactions are begun and ended by hand (`_commit_together`).
    if not connection.get_execution_options().get(_COMMON):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


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
