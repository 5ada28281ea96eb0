"""Invoices as CRM and ERP tell them, beside their orders.

Revision: 0017, after 0016. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def upgrade() -> None:
    op.create_table(
        "invoice_state",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("system", sa.String(32), nullable=False),
        sa.Column("remote_id", sa.String(80), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("origin", sa.String(8), nullable=False),
        _text("number", 120),
        _text("word", 120),
        _text("state", 16, "unknown"),
        sa.Column("credit", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _text("currency", 3),
        _text("total"),
        _text("received"),
        _text("balance"),
        _text("issued", 10),
        _text("due", 10),
        _text("same_as", 300),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "system", "remote_id", "order_key", name=op.f("pk_invoice_state")),
    )
    op.create_index("ix_invoice_state_order", "invoice_state", ["flow", "order_key"])
    op.create_index("ix_invoice_state_remote", "invoice_state", ["system", "remote_id"])
    op.create_table(
        "invoice_waiting",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("system", sa.String(32), nullable=False),
        sa.Column("remote_id", sa.String(80), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "name", "system", "remote_id", name=op.f("pk_invoice_waiting")),
    )
    op.create_index("ix_invoice_waiting_remote", "invoice_waiting", ["system", "remote_id"])


def downgrade() -> None:
    op.drop_table("invoice_waiting")
    op.drop_table("invoice_state")
