"""What we wrote into the CRM last, and what people decided where the CRM shows something else.

Revision: 0016, after 0015. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shown",
        sa.Column("link_id", ID, nullable=False, autoincrement=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("payload_hash", sa.String(64), nullable=False, server_default=""),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_shown_link_id_link"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_shown")),
    )
    op.create_table(
        "disagreement",
        sa.Column("id", ID, nullable=False),
        sa.Column("link_id", ID, nullable=False),
        sa.Column("part", sa.String(32), nullable=False),
        sa.Column("theirs", sa.String(64), nullable=False),
        sa.Column("stores", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("choice", sa.String(8), nullable=False, server_default=""),
        sa.Column("decided_by", sa.String(120), nullable=False, server_default=""),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_id"], ["link.id"], name=op.f("fk_disagreement_link_id_link"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disagreement")),
        sa.UniqueConstraint(
            "link_id", "part", "theirs", "stores", name=op.f("uq_disagreement_link_id_part_theirs_stores")
        ),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("disagreement")
    op.drop_table("shown")
