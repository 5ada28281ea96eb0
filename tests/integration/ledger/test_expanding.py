"""Expand, then contract (ADR-0007): what an old program writes still fits, and who may work with which schema."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from core.errors import ConfigurationProblem
from ledger import migrate
from ledger import tables as t
from ledger.database import Database

VERSIONS = [script.revision for script in ScriptDirectory.from_config(migrate.scripts()).walk_revisions()][::-1]
VERSION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {after!r}
{more}

def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
"""


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "versions"
    made.mkdir()
    return made


def write(folder: Path, revision: str, after: str, upgrade: str, *, downgrade: str = "pass", more: str = "") -> None:
    text = VERSION.format(revision=revision, after=after, upgrade=upgrade, downgrade=downgrade, more=more)
    (folder / f"{revision}_made_up.py").write_text(text)


def least(table: sa.Table, number: int, db: Database) -> dict[str, Any]:
    """A row with nothing but what the old schema insisted on. SQLite numbers rows by itself, PostgreSQL where it was told."""
    values: dict[str, Any] = {}
    for column in table.columns:
        numbered = db.is_sqlite and column.name == "id" and isinstance(column.type, sa.Integer)
        if column.nullable or column.server_default is not None or numbered:
            continue
        values[column.name] = number if isinstance(column.type, sa.Integer | sa.BigInteger) else f"{number}"
        if isinstance(column.type, sa.Boolean):
            values[column.name] = False
        if isinstance(column.type, sa.LargeBinary):
            values[column.name] = b"%d" % number
    return values


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(VERSIONS)))
def test_what_the_program_before_writes_still_fits(before: str, after: str, db: Database) -> None:
    """Insert, update, select and delete with the columns of the schema before, over the schema after."""
    contracts: dict[str, str | None] = {
        script.revision: getattr(script.module, "contract", None)
        for script in ScriptDirectory.from_config(migrate.scripts()).walk_revisions()
    }
    contract = contracts[after]
    assert contract is None or contract <= before, "the program before must be able to do without"
    migrate.upgrade(db, before)
    old = sa.MetaData()
    old.reflect(db.engine)
    migrate.upgrade(db, after)
    tables = [table for table in old.sorted_tables if table.name not in {"alembic_version", "attempt"}]
    with db.write() as connection:
        job = connection.execute(
            old.tables["job"].insert().values(least(old.tables["job"], 0, db))
        ).inserted_primary_key
        assert job is not None
        attempt = {**least(old.tables["attempt"], 1, db), "job_id": job[0]}
        for table, row in [*((table, least(table, 1, db)) for table in tables), (old.tables["attempt"], attempt)]:
            connection.execute(table.insert().values(row))
            where = sa.and_(*(table.c[name] == value for name, value in row.items()))
            assert connection.execute(table.update().where(where).values(row)).rowcount == 1, table.name
            assert len(connection.execute(sa.select(table).where(where)).all()) == 1, table.name
        assert connection.execute(old.tables["attempt"].delete()).rowcount == 1


def test_a_newer_schema_that_only_grew_is_good_enough(db: Database, folder: Path) -> None:
    write(folder, "9001", migrate.head(), "op.add_column('job', sa.Column('weight', sa.Integer()))")
    migrate.upgrade(db, folders=(folder,))
    assert migrate.current(db) == "9001"
    migrate.upgrade(db)  # as `up` of the program before does at its start: there is nothing for it to do
    migrate.require_current(db)


def test_an_index_that_is_built_concurrently_survives_a_failed_try(db: Database, folder: Path) -> None:
    """As ADR-0007 wants it written, on both engines."""
    migrate.upgrade(db)
    db.execute(sa.text("CREATE INDEX ix_job_made_up ON job (updated_at)"))  # what a failed try may leave
    step = "migrate.index_beside('ix_job_made_up', 'job', ['created_at'])"
    write(folder, "9001", migrate.head(), step, more="from ledger import migrate")
    migrate.upgrade(db, folders=(folder,))
    assert migrate.current(db) == "9001"
    [index] = [one for one in sa.inspect(db.engine).get_indexes("job") if one["name"] == "ix_job_made_up"]
    assert index["column_names"] == ["created_at"]


def test_an_older_schema_is_not(db: Database) -> None:
    migrate.upgrade(db, "0001")
    with pytest.raises(ConfigurationProblem, match="orderwire db upgrade"):
        migrate.require_current(db)


def test_a_schema_that_took_something_away_says_who_may_work(db: Database, folder: Path) -> None:
    head = migrate.head()
    write(folder, "9001", head, "op.add_column('job', sa.Column('weight', sa.Integer()))")
    down = "op.add_column('job', sa.Column('field', sa.Text()))"
    write(folder, "9002", "9001", "op.drop_column('job', 'field')", downgrade=down, more="contract = '9001'")
    write(folder, "9003", "9002", "op.add_column('job', sa.Column('height', sa.Integer()))")
    migrate.upgrade(db, folders=(folder,))
    with pytest.raises(ConfigurationProblem, match="needs a program of 9001 or later"):
        migrate.require_current(db)
    command.downgrade(migrate.config(db, (folder,)), "9001")
    migrate.require_current(db)


def test_who_may_work_is_no_question_when_nothing_this_program_needs_went(db: Database, folder: Path) -> None:
    head = migrate.head()
    write(folder, "9001", head, "op.drop_index('ix_job_number', 'job')", more=f"contract = {head!r}")
    migrate.upgrade(db, folders=(folder,))
    migrate.require_current(db)
    assert db.rows(sa.select(t.cursor.c.value).where(t.cursor.c.name == migrate.FLOOR)) == [(head,)]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_migration_that_waits_lets_others_through(db: Database, folder: Path) -> None:
    """Somebody reads jobs in a long transaction. The migration waits for them, and intake behind it, but never for long."""
    migrate.upgrade(db)
    write(folder, "9001", migrate.head(), "op.add_column('job', sa.Column('weight', sa.Integer()))")
    upgrading = threading.Thread(target=migrate.upgrade, args=(db,), kwargs={"folders": (folder,)})
    longest, behind = 0.0, migrate.PATIENCE / 2000
    with db.engine.connect() as report:
        report.execute(sa.select(sa.func.count()).select_from(t.job))
        upgrading.start()
        until = time.monotonic() + 90
        while longest <= behind and time.monotonic() < until:
            began = time.monotonic()
            assert db.rows(sa.select(t.job.c.id)) == []  # while the report goes on: it was let through
            longest = max(longest, time.monotonic() - began)
        assert upgrading.is_alive(), "it did not wait for the report"
    upgrading.join(120)
    assert migrate.current(db) == "9001"
    assert longest > behind, "nobody stood behind it"


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_table_that_is_never_free_is_told(db: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.upgrade(db)
    write(folder, "9001", migrate.head(), "op.add_column('job', sa.Column('weight', sa.Integer()))")
    monkeypatch.setattr(migrate, "GIVE_UP", 1.0)
    with db.engine.connect() as report:
        report.execute(sa.select(sa.func.count()).select_from(t.job))
        with pytest.raises(ConfigurationProblem, match="What to do: end long transactions"):
            migrate.upgrade(db, folders=(folder,))
    assert migrate.current(db) == migrate.head()
    migrate.upgrade(db, folders=(folder,))
