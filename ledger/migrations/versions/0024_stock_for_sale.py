"""Stores are told how much may be sold: what each was told last, and what shows that it has changed.

Revision: 0024, after 0023. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "stock_offer",
        sa.Column("id", _ID, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("store", sa.String(32), nullable=False),
        sa.Column("sku", sa.String(200), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(10), nullable=False, server_default=""),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("tried", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_offer")),
        sa.UniqueConstraint("store", "source", "sku", name="uq_stock_offer"),
    )
    doubtful = sa.text("problem = 'doubtful'")
    op.create_index(
        "ix_stock_offer_doubtful",
        "stock_offer",
        ["store", "tried_at"],
        sqlite_where=doubtful,
        postgresql_where=doubtful,
    )
    op.create_table(
        "stock_offering",
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("store", sa.String(32), nullable=False),
        sa.Column("mark", sa.String(80), nullable=False, server_default=""),
        sa.Column("scanned_at", sa.BigInteger(), nullable=True),
        sa.Column("orders_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False, server_default=""),
        sa.Column("problem_at", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("source", "store", name=op.f("pk_stock_offering")),
    )
    op.add_column("stock_source", sa.Column("changes", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("stock_source", "changes")
    op.drop_table("stock_offering")
    op.drop_table("stock_offer")
