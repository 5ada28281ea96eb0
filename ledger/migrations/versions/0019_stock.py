"""Stock levels, thresholds, and who was told.

Revision: 0019, after 0018. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
