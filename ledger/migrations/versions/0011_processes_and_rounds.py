"""Processes tell that they are there; schedules remember their last rounds and can be paused.

Revision: 0011, after 0010. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "process",
        sa.Column("id", sa.String(80), nullable=False),
        _text("host", 60),
        _number("pid"),
        _text("role", 8),
        _text("version", 40),
        _number("threads"),
        _text("broker", 8),
        _number("lag"),
        _text("working"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
    )
    op.create_table(
        "schedule_run",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        _text("state", 8),
        _number("missed"),
        _text("outcome"),
        sa.PrimaryKeyConstraint("name", "number", name=op.f("pk_schedule_run")),
    )
    with op.batch_alter_table("schedule") as schedule:
        schedule.add_column(sa.Column("due_at", sa.BigInteger(), nullable=True))
        schedule.add_column(_number("missed"))
        schedule.add_column(_number("runs"))
        schedule.add_column(sa.Column("paused_until", sa.BigInteger(), nullable=True))
        schedule.add_column(_text("paused_by", 120))
        schedule.add_column(_text("paused_why"))


def downgrade() -> None:
    with op.batch_alter_table("schedule") as schedule:
        for name in ("paused_why", "paused_by", "paused_until", "runs", "missed", "due_at"):
            schedule.drop_column(name)
    op.drop_table("schedule_run")
    op.drop_table("process")
