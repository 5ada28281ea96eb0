"""Bring the schema to the present version, and tell which it is. Expand, then contract: ADR-0007."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from core.errors import ConfigurationProblem
from ledger import tables as t
from ledger.database import Database

_HERE = Path(__file__).parent / "migrations"
PATIENCE: Final = 500
"""Milliseconds that a migration waits for a table on PostgreSQL: intake waits behind it for so long."""
GIVE_UP: Final = 120.0
"""Seconds of trying again, after pauses, to get the tables it needs."""
_NOT_AVAILABLE: Final = frozenset({"55P03", "40P01"})
"""lock_not_available, deadlock_detected."""
FLOOR: Final = "schema.floor"
"""Name of the row in `cursor` that holds the oldest version whose program works with this schema."""


def config(db: Database, folders: Sequence[Path] = (), patience: int = PATIENCE) -> Config:
    """Alembic's configuration for this database (no ini file, the address never written down). `folders`: where further
    versions are.
    """
    settings = scripts(folders)
    settings.attributes["engine"] = db.engine
    settings.attributes["patience"] = patience
    settings.attributes["applied"] = _note_floor
    return settings


def scripts(folders: Sequence[Path] = ()) -> Config:
    """Where the versions are, without a database."""
    settings = Config()
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    if folders:
        everywhere = "\n".join(str(folder) for folder in (_HERE / "versions", *folders))
        settings.set_main_option("path_separator", "newline")
        settings.set_main_option("version_locations", everywhere.replace("%", "%%"))
    return settings


def upgrade(db: Database, revision: str = "head", *, folders: Sequence[Path] = ()) -> None:
    """Run what is missing; safe to repeat, safe when two processes start at once, and safe while others work: where a table is
    in use for long (PostgreSQL) it lets go and tries again. Raises ConfigurationProblem when it never gets it.
    """
    if revision == "head" and _newer(current(db), head(folders)):
        return
    deadline = time.monotonic() + GIVE_UP
    while True:
        try:
            command.upgrade(config(db, folders), revision)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _NOT_AVAILABLE:
                raise
            if time.monotonic() > deadline:
                raise ConfigurationProblem(
                    "The schema cannot be changed, since somebody keeps a table locked. What to do: end long transactions "
                    "(backups, reports), then run `orderwire db upgrade` again."
                ) from error
        threading.Event().wait(random.uniform(0.5, 2.0))  # noqa: S311 - whoever queued behind us goes first


def _note_floor(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    """After each version: the oldest program that works with the schema as it is now."""
    connection = ctx.connection
    if connection is None or not sa.inspect(connection).has_table(t.cursor.name):
        return  # the first tables were taken away again
    floor = max((_contract(script) for script in _applied(step)), default="")
    connection.execute(sa.delete(t.cursor).where(t.cursor.c.name == FLOOR))
    if floor:
        connection.execute(sa.insert(t.cursor).values(name=FLOOR, value=floor, updated_at=time.time_ns() // 1000))


def _applied(step: MigrationInfo) -> Iterator[Any]:
    return step.revision_map.iterate_revisions(step.destination_revision_ids, "base", inclusive=True)


def _contract(script: Any) -> str:
    return str(getattr(script.module, "contract", ""))


def index_beside(name: str, table: str, columns: Sequence[str], **options: Any) -> None:
    """For a migration of its own: an index on a table that exists, built while others write to it (PostgreSQL). What a try that
    failed has left is removed first. SQLite has nobody beside it.
    """
    context = op.get_context()
    beside = context.autocommit_block() if context.dialect.name == "postgresql" else nullcontext()
    with beside:
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, list(columns), postgresql_concurrently=True, **options)


def current(db: Database) -> str | None:
    """The schema's version; None for an empty database."""
    with db.read() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head(folders: Sequence[Path] = ()) -> str:
    """The version this program needs."""
    found = ScriptDirectory.from_config(scripts(folders)).get_current_head()
    return str(found)


def _newer(present: str | None, known: str) -> bool:
    """Versions are numbers of four digits."""
    return present is not None and present.isdigit() and present > known


def require_file(url: str | sa.URL) -> None:
    """Raise ConfigurationProblem where SQLite's file is not there: opening it would make an empty one, wherever one stands."""
    made = sa.make_url(url)
    on_disk = made.get_backend_name() == "sqlite" and made.database and made.database != ":memory:"
    if on_disk and not Path(str(made.database)).exists():
        raise ConfigurationProblem(
            f"There is no database {made.database} yet. What to do: run `orderwire db upgrade` (`orderwire up` does it by "
            "itself); if there should be one, see [ledger] and the directory you are in."
        )


def require_current(db: Database) -> None:
    """Raise ConfigurationProblem when this program cannot work with the schema: it is older than needed, or newer and has
    taken away what this program uses.
    """
    needed = head()
    with db.read() as connection:
        present = _current(connection)
        if present == needed:
            return
        floor = (
            connection.execute(sa.select(t.cursor.c.value).where(t.cursor.c.name == FLOOR)).scalar()
            if present
            else None
        )
    if not _newer(present, needed):
        raise ConfigurationProblem(
            f"The database's schema is {present or 'empty'}, this program needs {needed}. What to do: run `orderwire db upgrade`."
        )
    if floor is not None and floor > needed:
        raise ConfigurationProblem(
            f"The database's schema is {present} and needs a program of {floor} or later; this one is of {needed}. "
            "What to do: start the newer version of Orderwire."
        )
