"""Orders are listed, the newest first, and found by when they changed; alerts of stock that are over by when they ended.

Revision: 0022, after 0021. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger.migrate import index_beside

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    newest = ["placed_at", "flow", "order_key"]
    is_open, over = sa.text("open"), sa.text("closed_at IS NOT NULL")
    index_beside("ix_order_state_placed", "order_state", newest)
    index_beside("ix_order_state_current", "order_state", newest, sqlite_where=is_open, postgresql_where=is_open)
    index_beside("ix_order_state_updated", "order_state", ["updated_at"])
    index_beside("ix_stock_alert_over", "stock_alert", ["closed_at"], sqlite_where=over, postgresql_where=over)


def downgrade() -> None:
    op.drop_index("ix_stock_alert_over", "stock_alert")
    for name in ("updated", "current", "placed"):
        op.drop_index(f"ix_order_state_{name}", "order_state")
