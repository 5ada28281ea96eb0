"""Expand, then contract (ADR-0007): what a migration may do while the program before it still works, by rules on its script."""

from __future__ import annotations

import io
from types import ModuleType, SimpleNamespace
from typing import Any, Self, cast

import pytest
import sqlalchemy as sa
from alembic.operations import Operations, ops
from alembic.operations.base import BatchOperations
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger import migrate


class Batch(BatchOperations):
    """`with op.batch_alter_table(...) as batch`, which only notes what is wanted."""

    def __init__(self, wanted: list[ops.MigrateOperation], table_name: str) -> None:
        self._wanted = wanted
        self.impl = cast("BatchOperationsImpl", SimpleNamespace(table_name=table_name, schema=None))

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self._wanted.append(operation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def recorded(script: ModuleType, dialect: str) -> list[ops.MigrateOperation]:
    """What the script wants done; nothing is done."""
    wanted: list[ops.MigrateOperation] = []
    options = {"as_sql": True, "output_buffer": io.StringIO(), "transaction_per_migration": True}
    context = MigrationContext.configure(dialect_name=dialect, opts=options)
    with Operations.context(context) as operations, context.begin_transaction(_per_migration=True):
        operations.invoke = wanted.append  # type: ignore[method-assign, assignment]
        operations.batch_alter_table = lambda name, **_: Batch(wanted, name)  # type: ignore[method-assign, assignment]
        script.upgrade()
    return wanted


def offences(script: ModuleType, dialect: str = "postgresql") -> list[str]:
    """What the program before would not survive, or what keeps a table locked for long."""
    wanted = recorded(script, dialect)
    made = {op.table_name for op in wanted if isinstance(op, ops.CreateTableOp)}
    added = {(op.table_name, op.column.name) for op in wanted if isinstance(op, ops.AddColumnOp)}
    concurrent = {
        str(op.index_name)
        for op in wanted
        if isinstance(op, ops.CreateIndexOp) and op.kw.get("postgresql_concurrently")
    }
    found = []
    for op in wanted:
        if concurrent and _repeatable(op, concurrent):
            continue
        if concurrent:
            found.append("an index that is built concurrently stands alone: what fails halfway is begun again")
        if isinstance(op, ops.CreateTableOp) or getattr(op, "table_name", None) in made:
            continue
        if isinstance(op, ops.AddColumnOp):
            found += [f"{op.table_name}.{op.column.name}: {why}" for why in _column(op.column)]
        elif isinstance(op, ops.CreateIndexOp):
            found += [f"{op.index_name}: {why}" for why in _index(op, added)]
        elif isinstance(op, ops.ExecuteSQLOp):
            if str(op.sqltext).split(maxsplit=1)[0].upper() not in {"INSERT", "UPDATE"}:
                found.append(f"statement: {op.sqltext}")
        else:
            found.append(f"{type(op).__name__} of {getattr(op, 'table_name', '?')}")
    return found


def _repeatable(op: ops.MigrateOperation, concurrent: set[str]) -> bool:
    """A concurrent index, or the removal of what a failed try left of it."""
    if isinstance(op, ops.DropIndexOp):
        return str(op.index_name) in concurrent and bool(op.if_exists)
    return isinstance(op, ops.CreateIndexOp) and str(op.index_name) in concurrent and not op.unique


def _column(column: sa.Column[Any]) -> list[str]:
    """Old programs do not fill it in; PostgreSQL must not write the whole table anew for it."""
    found = []
    default = column.server_default
    if not column.nullable and default is None:
        found.append("they cannot leave it out")
    if default is not None and "(" in str(getattr(default, "arg", "(")):
        found.append("its default is computed for each row under a lock")
    if column.foreign_keys or column.unique:
        found.append("it may refuse what they write")
    return found


def _index(op: ops.CreateIndexOp, added: set[tuple[str, str]]) -> list[str]:
    found = []
    if op.unique:
        found.append("it may refuse what they write")
    # An index whose condition is about a column that is new here has no entries yet: one quick look at the table. Where it asks
    # for those that are NULL, it has every row there is.
    condition = str(op.kw.get("postgresql_where", ""))
    empty = any(table == op.table_name and name in condition.split() for table, name in added)
    if not empty or "IS NULL" in condition.upper():
        found.append("it locks the table as long as it is built")
    return found


SCRIPTS = [script for script in ScriptDirectory.from_config(migrate.scripts()).walk_revisions() if script.down_revision]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.revision)
def test_every_version_expands_or_says_that_it_does_not(script: Any, dialect: str) -> None:
    contract = getattr(script.module, "contract", None)
    if contract is None:
        assert offences(script.module, dialect) == [], "ADR-0007: expand now, contract a release later"
        return
    assert contract.isdigit(), "`contract` names the oldest version whose program works with this schema"
    assert contract < script.revision, "a program must be able to leave it alone before it goes"


def test_there_is_something_to_check_and_versions_can_be_compared() -> None:
    revisions = [script.revision for script in SCRIPTS]
    assert len(revisions) >= 1
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions), "require_current compares them"


def script(body: str) -> ModuleType:
    made = ModuleType("script")
    source = "import sqlalchemy as sa\nfrom alembic import op\ndef upgrade():\n    " + body.replace("\n", "\n    ")
    exec(compile(source, "script", "exec"), made.__dict__)  # noqa: S102
    return made


@pytest.mark.parametrize(
    "body",
    [
        "op.drop_column('job', 'field')",
        "with op.batch_alter_table('job') as batch:\n    batch.drop_column('field')",
        "op.alter_column('job', 'field', new_column_name='feld')",
        "op.alter_column('job', 'due_at', nullable=True)",
        "op.rename_table('job', 'task')",
        "op.drop_table('lane')",
        "op.drop_index('ix_job_due', 'job')",
        "op.add_column('job', sa.Column('x', sa.Integer(), nullable=False))",
        "op.add_column('job', sa.Column('x', sa.Integer(), server_default=sa.func.random()))",
        "op.add_column('job', sa.Column('x', sa.Integer(), sa.ForeignKey('job.id')))",
        "op.create_index('ix_job_x', 'job', ['x'])",
        "op.create_index('ix_job_x', 'job', ['x'], unique=True, postgresql_concurrently=True)",
        "op.add_column('job', sa.Column('x', sa.Integer()))\nop.create_index('ix_job_x', 'job', ['y'], postgresql_where=sa.text('x IS NULL'))",
        "op.add_column('job', sa.Column('x', sa.Integer()))\nop.create_index('ix_job_x', 'job', ['x'], postgresql_concurrently=True)",
        "op.drop_index('ix_job_due', 'job', if_exists=True)\nop.create_index('ix_job_x', 'job', ['x'], postgresql_concurrently=True)",
        "op.create_unique_constraint('uq_job_x', 'job', ['x'])",
        "op.create_check_constraint('ck_job_x', 'job', 'x > 0')",
        "op.execute('DELETE FROM job')",
        "op.execute('ALTER TABLE job RENAME TO task')",
    ],
)
def test_what_breaks_the_program_before_is_noticed(body: str) -> None:
    assert offences(script(body))


@pytest.mark.parametrize(
    "body",
    [
        "op.create_table('remark', sa.Column('id', sa.Integer(), primary_key=True))\nop.create_index('ix_remark', 'remark', ['id'], unique=True)",
        "op.add_column('job', sa.Column('x', sa.Integer()))",
        "op.add_column('job', sa.Column('x', sa.Integer(), nullable=False, server_default='0'))",
        "with op.batch_alter_table('job') as batch:\n    batch.add_column(sa.Column('x', sa.Integer()))",
        "from ledger import migrate\nmigrate.index_beside('ix_job_x', 'job', ['x'])",
        "op.execute(\"UPDATE job SET field = '' WHERE field IS NULL\")",
    ],
)
def test_what_only_grows_is_fine(body: str) -> None:
    assert offences(script(body)) == []
