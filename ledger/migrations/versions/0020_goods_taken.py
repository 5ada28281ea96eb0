"""Goods taken off the stock for orders, each once.

Revision: 0020, after 0019. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def _micros(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "goods_taken",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("product_id", sa.String(80), nullable=False),
        sa.Column("target", sa.String(32), nullable=False),
        _text("sku", 200),
        _text("taken", default="0"),
        _text("state", 10, default="done"),
        _text("wanted", default="0"),
        _text("before"),
        _text("after"),
        _micros("modified"),
        _text("seen"),
        _micros("hold_until"),
        _micros("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("flow", "order_key", "product_id", name=op.f("pk_goods_taken")),
    )
    unsettled = sa.text("state = 'intended'")
    op.create_index(
        "ix_goods_taken_unsettled",
        "goods_taken",
        ["target", "product_id"],
        sqlite_where=unsettled,
        postgresql_where=unsettled,
    )


def downgrade() -> None:
    op.drop_table("goods_taken")
