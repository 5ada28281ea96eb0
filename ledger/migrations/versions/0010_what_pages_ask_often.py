"""An order is found by its customer's e-mail address; orders of each hour are counted once, for weeks.

Revision: 0010, after 0009. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("customer", sa.String(32), nullable=False, server_default=""))
    named = sa.text("customer <> ''")
    op.create_index("ix_job_customer", "job", ["customer"], sqlite_where=named, postgresql_where=named)
    op.create_table(
        "arrival",
        sa.Column("connection", sa.String(32), nullable=False),
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "hour", name=op.f("pk_arrival")),
    )


def downgrade() -> None:
    op.drop_table("arrival")
    op.drop_index("ix_job_customer", "job")
    with op.batch_alter_table("job") as batch:
        batch.drop_column("customer")
