"""Messages to people, each once.

Revision: 0018, after 0017. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
