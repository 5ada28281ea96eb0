"""Days that an ERP promised, by the names that it has for the order.

Revision: 0025, after 0024. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erp_promise",
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("system", sa.String(32), nullable=False),
        sa.Column("remote_id", sa.String(80), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("promised_on", sa.String(10), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False, server_default=""),
        sa.Column("total", sa.Text(), nullable=False, server_default=""),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flow", "system", "remote_id", "name", name=op.f("pk_erp_promise")),
    )
    op.create_index("ix_erp_promise_name", "erp_promise", ["flow", "name"])
    op.create_index("ix_erp_promise_day", "erp_promise", ["system", "promised_on"])


def downgrade() -> None:
    op.drop_index("ix_erp_promise_day", "erp_promise")
    op.drop_index("ix_erp_promise_name", "erp_promise")
    op.drop_table("erp_promise")
