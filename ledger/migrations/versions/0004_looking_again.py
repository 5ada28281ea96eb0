"""Links that are looked at again, because the answer to their creation was lost.

Revision: 0004, after 0003. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("link", sa.Column("check_at", sa.BigInteger()))
    op.add_column("link", sa.Column("checks", sa.SmallInteger(), nullable=False, server_default="0"))
    due = sa.text("check_at IS NOT NULL")
    op.create_index("ix_link_check", "link", ["check_at"], sqlite_where=due, postgresql_where=due)


def downgrade() -> None:
    op.drop_index("ix_link_check", "link")
    with op.batch_alter_table("link") as batch:
        batch.drop_column("checks")
        batch.drop_column("check_at")
