"""The budget of outward calls: one moment a connection.

Revision: 0003, after 0002. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_state", sa.Column("budget_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("connection_state", "budget_at")
