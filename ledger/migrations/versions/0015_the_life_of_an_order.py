"""How far each order has come, and what it holds of each article.

Revision: 0015, after 0014. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def _micros(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "order_state",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("target", sa.String(32), nullable=False),
        _text("remote_id", 80),
        _text("number", 120),
        _text("account", 80),
        _text("owner", 120),
        _text("status", 16),
        _text("payment", 16),
        _text("currency", 3),
        _text("total", default="0"),
        _text("language", 16),
        _text("method", 120),
        sa.Column("rush", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("open", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        _micros("placed_at", nullable=False),
        _micros("paid_at"),
        _micros("shipped_at"),
        _micros("delivered_at"),
        _text("promised_on", 10),
        _text("crm_status", 120),
        _micros("crm_seen_at"),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        _micros("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("flow", "order_key", name=op.f("pk_order_state")),
    )
    op.create_index("ix_order_state_remote", "order_state", ["target", "remote_id"])
    is_open = sa.text("open")
    op.create_index(
        "ix_order_state_open", "order_state", ["flow", "promised_on"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_table(
        "order_line",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False, autoincrement=False),
        _text("sku", 200),
        _text("name"),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("net", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "order_key", "place", name=op.f("pk_order_line")),
    )
    op.create_index("ix_order_line_sku", "order_line", ["sku"])


def downgrade() -> None:
    op.drop_table("order_line")
    op.drop_table("order_state")
