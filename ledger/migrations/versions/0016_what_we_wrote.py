"""What we wrote into the CRM last, and what people decided where the CRM shows something else.

Revision: 0016, after 0015. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
