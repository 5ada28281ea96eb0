"""Papers whose text is still kept are found by their day, and orders that are not paid among all that are.

Revision: 0026, after 0025. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger.migrate import index_beside

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kept, unpaid = sa.text("emptied_at IS NULL"), sa.text("payment = 'unpaid'")
    index_beside("ix_paper_kept", "paper", ["issued_at"], sqlite_where=kept, postgresql_where=kept)
    newest = ["placed_at", "flow", "order_key"]
    index_beside("ix_order_state_unpaid", "order_state", newest, sqlite_where=unpaid, postgresql_where=unpaid)


def downgrade() -> None:
    op.drop_index("ix_order_state_unpaid", "order_state")
    op.drop_index("ix_paper_kept", "paper")
