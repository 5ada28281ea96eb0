"""Alerts: one open row a cause.

Revision: 0002, after 0001. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False, server_default=""),
        sa.Column("count", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("closing", sa.Text(), nullable=False, server_default=""),
        sa.Column("told_open_at", sa.BigInteger()),
        sa.Column("told_close_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_alert_open", "alert", ["cause"], unique=True, sqlite_where=still_open, postgresql_where=still_open
    )
    op.create_index("ix_alert_opened", "alert", ["opened_at"])


def downgrade() -> None:
    op.drop_table("alert")
