"""The schema: from nothing to the present on both engines, once, however many start at the same time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.errors import ConfigurationProblem
from ledger import migrate
from ledger import tables as t
from ledger.database import Database

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Really empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'orderwire.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


def schema(db: Database) -> dict[str, set[str]]:
    """Every index and unique constraint with its columns and its condition, folded to be comparable."""
    found: dict[str, set[str]] = {}
    with db.engine.connect() as connection:
        inspector = sa.inspect(connection)
        for table in inspector.get_table_names():
            indexes = {
                f"{index['name']} {index['column_names']} {index['unique']} {_where(index)}"
                for index in inspector.get_indexes(table)
                if not index.get("duplicates_constraint")
            }
            unique = {f"{one['name']} {one['column_names']}" for one in inspector.get_unique_constraints(table)}
            columns = {f"{one['name']} {one['nullable']}" for one in inspector.get_columns(table)}
            found[table] = indexes | unique | columns
    return found


def _where(index: object) -> str:
    options: dict[str, object] = index.get("dialect_options", {})  # type: ignore[attr-defined]
    text = str(next((value for name, value in options.items() if name.endswith("_where")), ""))
    return "".join(text.replace("::text", "").replace("(", "").replace(")", "").split())


def test_from_nothing_to_the_tables_of_the_program(db: Database, database_url: str, tmp_path: Path) -> None:
    assert migrate.current(db) is None
    with pytest.raises(ConfigurationProblem, match="orderwire db upgrade"):
        migrate.require_current(db)
    migrate.upgrade(db)
    migrate.require_current(db)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, t.metadata) == []
    migrated = schema(db)
    assert migrated.pop("alembic_version")
    with db.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
        t.metadata.drop_all(connection)
        t.metadata.create_all(connection)
    assert migrated == schema(db), "indexes and their conditions too"


def test_what_the_tables_leave_out_is_filled_in_alike(db: Database) -> None:
    """The defaults that the statements rely on are the database's own, on both engines."""
    migrate.upgrade(db)
    key = {"connection": "s", "kind": "order", "record_id": "1"}
    with db.write() as connection:
        connection.execute(sa.insert(t.record).values(**key, updated_at=1))
        connection.execute(
            sa.text(
                "INSERT INTO job (flow, connection, kind, record_id, target, queue, rank, state, due_at, created_at, updated_at)"
                " VALUES ('f', 's', 'order', '1', 'crm', 'live', 0, 'waiting', 1, 1, 1)"
            )
        )
    [record] = db.rows(sa.select(t.record))
    [job] = db.rows(sa.select(t.job))
    assert (record.deleted, record.version, record.content) == (False, 1, "")
    assert (job.alone, job.wanted, job.token, job.failures, job.reason) == (False, 1, 0, 0, "")


def test_a_second_upgrade_changes_nothing(db: Database) -> None:
    migrate.upgrade(db)
    with db.write() as connection:
        connection.execute(sa.insert(t.cursor).values(name="c", value="v", updated_at=1))
    before = schema(db)
    migrate.upgrade(db)
    assert schema(db) == before
    assert migrate.current(db) == migrate.head()
    assert len(db.rows(sa.select(t.cursor))) == 1


# Forks two, each of which has nothing open yet, and lets them start at the same moment.
TWO = """
import os, sys
from ledger import migrate
from ledger.database import Database
start, go = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.close(go)
        os.read(start, 1)  # until the other end is closed
        db = Database(sys.argv[1])
        migrate.upgrade(db)
        migrate.require_current(db)
        db.close()
        os._exit(0)
os.close(go)
sys.exit(sum(os.wait()[1] for _ in range(2)))
"""


def test_two_processes_that_start_at_once_upgrade_once(database_url: str, db: Database) -> None:
    said = subprocess.run(
        [sys.executable, "-c", TWO, database_url], cwd=ROOT, timeout=50, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    migrate.require_current(db)


def test_back_and_forth(db: Database) -> None:
    migrate.upgrade(db)
    before = schema(db)
    command.downgrade(migrate.config(db), "base")
    assert set(schema(db)) == {"alembic_version"}
    migrate.upgrade(db)
    assert schema(db) == before
