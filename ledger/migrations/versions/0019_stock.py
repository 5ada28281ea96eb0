"""Stock levels, thresholds, and who was told.

Revision: 0019, after 0018. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def _micros(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, nullable=False)


def _name(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "stock_level",
        _id(),
        _name("connection", 32),
        _text("warehouse", 80),
        _name("sku", 200),
        _text("name"),
        _text("grp", 200),
        sa.Column("on_hand", sa.Text(), nullable=False),
        sa.Column("available", sa.Text()),
        sa.Column("minimum", sa.Text()),
        _micros("stamp"),
        _micros("read_at", nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_level")),
        sa.UniqueConstraint("connection", "sku", "warehouse", name="uq_stock_level"),
    )
    op.create_table(
        "stock_source",
        _name("connection", 32),
        _micros("polled_at"),
        _micros("full_at"),
        _micros("tried_at"),
        sa.Column("bad", sa.Integer(), nullable=False, server_default="0"),
        _text("bad_why"),
        sa.Column("revision", sa.Integer(), nullable=False, server_default="0"),
        _text("judged", 80),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_stock_source")),
    )
    op.create_table(
        "stock_threshold",
        _id(),
        _name("connection", 32),
        _name("scope", 12),
        _text("subject", 200),
        _text("warehouse", 80),
        _text("owner", 32),
        sa.Column("minimum", sa.Text()),
        sa.Column("target", sa.Text()),
        _micros("updated_at", nullable=False),
        _text("updated_by", 120),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_threshold")),
        sa.UniqueConstraint("connection", "scope", "subject", "warehouse", name="uq_stock_threshold"),
    )
    _alerts()
    op.create_table(
        "stock_told",
        _name("buyer", 32),
        _micros("told_at"),
        _text("digest_on", 10),
        _micros("digest_at"),
        sa.PrimaryKeyConstraint("buyer", name=op.f("pk_stock_told")),
    )


def _alerts() -> None:
    op.create_table(
        "stock_alert",
        _id(),
        _name("connection", 32),
        _text("warehouse", 80),
        _name("sku", 200),
        _text("name"),
        _text("owner", 32),
        sa.Column("minimum", sa.Text(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("quantity_then", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        _micros("opened_at", nullable=False),
        _micros("told_at"),
        _micros("closed_at"),
        _text("closed_why", 16),
        sa.Column("cleared", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _text("snooze", 12),
        _micros("snoozed_until"),
        sa.Column("snoozed_below", sa.Text()),
        _text("snoozed_by", 120),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_alert")),
    )
    still = sa.text("closed_at IS NULL")
    item = ["connection", "warehouse", "sku"]
    op.create_index("uq_stock_alert_open", "stock_alert", item, unique=True, sqlite_where=still, postgresql_where=still)
    op.create_index("ix_stock_alert_owner", "stock_alert", ["owner", "opened_at"])


def downgrade() -> None:
    for table in ("stock_told", "stock_alert", "stock_threshold", "stock_source", "stock_level"):
        op.drop_table(table)
