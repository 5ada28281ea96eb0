"""Messages to people, each once, and what stands on papers.

Revision: 0018, after 0017. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(500), nullable=False),
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("via", sa.String(32), nullable=False),
        _text("address", 320),
        _text("name"),
        _text("subject"),
        _text("text"),
        _text("language", 16),
        _text("concern", 300),
        _text("crm", 32),
        _text("account", 80),
        _text("state", 16, "wanted"),
        sa.Column("token", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("emptied_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("key", name=op.f("uq_message_key")),
    )
    concerns, kept = sa.text("concern <> ''"), sa.text("emptied_at IS NULL")
    op.create_index("ix_message_concern", "message", ["concern"], sqlite_where=concerns, postgresql_where=concerns)
    op.create_index("ix_message_kept", "message", ["created_at"], sqlite_where=kept, postgresql_where=kept)
    op.create_table(
        "message_part",
        sa.Column("message", sa.String(32), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.String(120), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message", "place", name=op.f("pk_message_part")),
    )
    op.create_table(
        "paper",
        sa.Column("key", sa.String(500), nullable=False),
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("order_key", sa.String(300), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        _text("number", 120),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_paper")),
    )
    op.create_index("ix_paper_order", "paper", ["order_key"])


def downgrade() -> None:
    op.drop_table("paper")
    op.drop_table("message_part")
    op.drop_table("message")
