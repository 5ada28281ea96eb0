"""Statements of the hot path: compiled once, then run on the driver's own connection (docs: benchmarks/README.md).

SQLAlchemy's Core costs more per execution than SQLite itself. What the hot path runs a dozen times an order is therefore
compiled at its first use and given to the driver as text with named parameters. Errors and transactions stay
SQLAlchemy's: a statement runs within the transaction of the `Connection` it is given.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError, StatementError

Parameters = Mapping[str, Any]


class Found:
    """The rows of one execution, all fetched. Rows are named tuples."""

    __slots__ = ("rows",)

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def first(self) -> Any | None:
        """The first row, or None."""
        return self.rows[0] if self.rows else None

    def scalar(self) -> Any | None:
        """The first column of the first row, or None."""
        return self.rows[0][0] if self.rows else None


class Prepared:
    """One statement of Core for one engine. Safe to share between threads."""

    def __init__(self, statement: sa.ClauseElement, dialect: Dialect, gone: Callable[[], None]) -> None:
        """`gone` is told when a connection turned out to be broken."""
        self._statement = statement
        self._dialect = dialect
        self._gone = gone
        self._shapes: dict[tuple[object, ...], _Shape] = {}

    def on(self, connection: Connection, parameters: Parameters) -> Found:
        """Run it within this connection's transaction. Raises SQLAlchemy's DBAPIError and its kinds."""
        try:
            return self.run(connection.connection.driver_connection, parameters)
        except DBAPIError as error:
            if error.connection_invalidated:
                connection.invalidate(error.orig)
            raise

    def run(self, driver: Any, parameters: Parameters) -> Found:
        """Run it on the driver's connection. Raises SQLAlchemy's DBAPIError and its kinds."""
        key = tuple([(name, len(value)) if type(value) is list else name for name, value in parameters.items()])
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _Shape(self._statement, self._dialect, parameters)
        cursor = driver.cursor()
        try:
            cursor.execute(shape.text, shape.bind(parameters))
            return Found(shape.rows(cursor))
        except self._dialect.loaded_dbapi.Error as error:
            raise self._translated(shape, error, driver, cursor) from error
        finally:
            cursor.close()

    def _translated(self, shape: _Shape, error: Any, driver: Any, cursor: Any) -> BaseException:
        """The driver's error as SQLAlchemy's, without any value."""
        gone = self._dialect.is_disconnect(error, driver, cursor)
        if gone:
            self._gone()
        base = cast("type[Exception]", self._dialect.loaded_dbapi.Error)
        translated: BaseException = DBAPIError.instance(
            shape.text, None, error, base, hide_parameters=True, connection_invalidated=gone, dialect=self._dialect
        )
        return translated


class _Shape:
    """The statement for parameters of these names and, of lists, these lengths."""

    def __init__(self, statement: sa.ClauseElement, dialect: Dialect, parameters: Parameters) -> None:
        if dialect.name == "sqlite":
            dialect = sqlite.dialect(paramstyle="named")  # SQLAlchemy's own choice is by position
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(parameters))
        expanded = compiled.construct_expanded_state(dict(parameters))
        self.text: str = expanded.statement
        self._lists = {name: list(names) for name, names in expanded.parameter_expansion.items()}
        self._fixed: dict[str, Any] = {}
        self._asked: list[tuple[str, Callable[[], Any]]] = []
        for bind, name in compiled.bind_names.items():
            if bind.callable is not None:
                self._asked.append((name, bind.callable))
            elif name not in parameters:
                if bind.required:
                    raise StatementError(f"the parameter {name} is missing", expanded.statement, None, None)
                self._fixed[name] = bind.value
        self._row: Callable[[Sequence[Any]], Any] | None = None

    def bind(self, parameters: Parameters) -> dict[str, Any]:
        bound = {**self._fixed, **parameters}
        for name, ask in self._asked:
            bound[name] = ask()
        for name, names in self._lists.items():
            values = bound.pop(name)
            if values and isinstance(values[0], tuple):
                values = [part for value in values for part in value]
            bound.update(zip(names, values, strict=True))
        return bound

    def rows(self, cursor: Any) -> list[Any]:
        if cursor.description is None:
            return []
        if self._row is None:
            names = [column[0] for column in cursor.description]
            row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - the statement's fields
            self._row = row._make
        return list(map(self._row, cursor.fetchall()))
