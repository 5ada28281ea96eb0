"""Promised days, and whom we told that one is at risk.

Revision: 0021, after 0020. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watch",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("promised_on", sa.String(10), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("ship_by", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger()),
        sa.Column("told", sa.String(16), nullable=False, server_default=""),
        sa.Column("task", sa.String(80), nullable=False, server_default=""),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "order_key", name=op.f("pk_watch")),
    )
    looked_at = sa.text("look_at IS NOT NULL")
    op.create_index("ix_watch_look", "watch", ["look_at"], sqlite_where=looked_at, postgresql_where=looked_at)
    is_open = sa.text("level IN ('at_risk', 'late')")
    op.create_index(
        "ix_watch_open", "watch", ["due", "flow", "order_key"], sqlite_where=is_open, postgresql_where=is_open
    )


def downgrade() -> None:
    op.drop_table("watch")
