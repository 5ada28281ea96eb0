"""What stands on papers is forgotten after a time, and so are alerts of stock that are over; a letter's hash stays.

Revision: 0023, after 0022. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("digest", sa.LargeBinary(32), nullable=True))
    op.add_column("paper", sa.Column("emptied_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("paper", "emptied_at")
    op.drop_column("message", "digest")
