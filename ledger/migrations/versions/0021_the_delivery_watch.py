"""Promised days, and whom we told that one is at risk.

Revision: 0021, after 0020. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
