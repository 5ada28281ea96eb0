"""Going live: a flow's mode and start, runs and what they say of each record, the review list, where a link comes from.

Revision: 0005, after 0004. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _id(name: str = "id") -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, primary_key=True, autoincrement=True, nullable=False)


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def upgrade() -> None:
    op.add_column("link", _text("origin", 16))
    op.create_table(
        "flow_state",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("start_at", sa.BigInteger()),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        _text("changed_by", 80),
        _text("note"),
        sa.PrimaryKeyConstraint("flow", name=op.f("pk_flow_state")),
    )
    op.create_table(
        "run",
        _id(),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("flow", sa.String(32), nullable=False),
        _text("options"),
        sa.Column("state", sa.String(16), nullable=False),
        _text("cursor"),
        _text("counts"),
        _text("summary"),
        _text("by", 80),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_kind", "run", ["kind", "flow"])
    _items()
    _reviews()
    # Flows that work already go on working: only what is new begins with a rehearsal.
    op.execute(
        "INSERT INTO flow_state (flow, mode, changed_at, note) "
        "SELECT flow, 'live', MAX(updated_at), 'was at work before there were modes' FROM job GROUP BY flow"
    )


def _items() -> None:
    run_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "run_item",
        sa.Column("run_id", run_id, nullable=False),
        sa.Column("key", sa.String(320), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        _text("number", 120),
        _text("amount", 40),
        _text("currency", 3),
        _text("reason"),
        _text("error_class", 40),
        _text("facts"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=op.f("pk_run_item")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_item_run_id_run")),
    )
    op.create_index("ix_run_item_verdict", "run_item", ["run_id", "verdict"])
    op.create_index("ix_run_item_key", "run_item", ["key"])


def _reviews() -> None:
    op.create_table(
        "review",
        _id(),
        sa.Column("target", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key", sa.String(320), nullable=False),
        _text("label"),
        _text("candidates"),
        _text("facts"),
        _text("decision", 16),
        _text("remote_id", 80),
        _text("note"),
        _text("decided_by", 80),
        sa.Column("decided_at", sa.BigInteger()),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_review_run_id_run")),
        sa.UniqueConstraint("target", "kind", "key", name=op.f("uq_review_target_kind_key")),
    )


def downgrade() -> None:
    for table in ("review", "run_item", "run", "flow_state"):
        op.drop_table(table)
    op.drop_column("link", "origin")
