"""How much came and was carried in each hour, counted once and not by every page.

Revision: 0007, after 0006. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pulse",
        sa.Column("connection", sa.String(32), nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "what", "hour", name=op.f("pk_pulse")),
    )
    op.create_index("ix_pulse_hour", "pulse", ["hour"])


def downgrade() -> None:
    op.drop_table("pulse")
