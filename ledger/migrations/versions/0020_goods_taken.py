"""Goods taken off the stock for orders, each once.

Revision: 0020, after 0019. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
