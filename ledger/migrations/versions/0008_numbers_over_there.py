"""Find an order by the number that it has in the target system.

Revision: 0008, after 0007. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger import migrate

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.text("remote_number <> ''")
    migrate.index_beside("ix_link_number", "link", ["remote_number"], sqlite_where=named, postgresql_where=named)


def downgrade() -> None:
    op.drop_index("ix_link_number", "link")
