"""Files that an ERP drops: which were read, what each row looked like, and what is about to be taken in.

Revision: 0013, after 0012. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Keys are compared a million times a file: by their bytes, not by a language's rules.
KEY = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "feed_file",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("connection", sa.String(32), nullable=False),
        _text("source", 20),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        _text("series", 80),
        _text("kind", 16),
        _text("mode", 4),
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("modified", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("state", sa.String(16), nullable=False),
        _number("token"),
        *(_number(name) for name in ("rows", "same", "changed", "added", "removed", "bad")),
        sa.Column("staged", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _text("message"),
        _text("decided_by", 120),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_file")),
        sa.UniqueConstraint("connection", "name", "sequence", name=op.f("uq_feed_file_connection_name_sequence")),
    )
    op.create_index("ix_feed_file_sequence", "feed_file", ["connection", "source", "sequence"])
    op.create_table(
        "feed_row",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("connection", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_row")),
        sa.UniqueConstraint("connection", "kind", "key", name=op.f("uq_feed_row_connection_kind_key")),
    )
    op.create_table(
        "feed_stage",
        sa.Column("file_id", ID, nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["feed_file.id"], name=op.f("fk_feed_stage_file_id_feed_file")),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_feed_stage")),
        sa.UniqueConstraint("file_id", "key", name=op.f("uq_feed_stage_file_id_key")),
    )
    op.create_table(
        "feed_bad",
        sa.Column("file_id", ID, nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("key", 200),
        _text("reason"),
        sa.ForeignKeyConstraint(["file_id"], ["feed_file.id"], name=op.f("fk_feed_bad_file_id_feed_file")),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_feed_bad")),
    )


def downgrade() -> None:
    for name in ("feed_bad", "feed_stage", "feed_row", "feed_file"):
        op.drop_table(name)
