"""What portals were told, in which files, and what customers asked for.

Revision: 0014, after 0013. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "publication",
        sa.Column("portal", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(200), nullable=False),
        _text("wanted", 64),
        _text("told", 64),
        _text("card", 64),
        _text("staged", 64),
        _number("file"),
        _number("version"),
        sa.Column("gone", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("wanted_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("portal", "source", "customer", name=op.f("pk_publication")),
    )
    differs = sa.text("wanted <> told")
    op.create_index(
        "ix_publication_untold",
        "publication",
        ["portal", "source", "customer"],
        sqlite_where=differs,
        postgresql_where=differs,
    )
    op.create_index(
        "ix_publication_file",
        "publication",
        ["portal", "file"],
        sqlite_where=sa.text("file > 0"),
        postgresql_where=sa.text("file > 0"),
    )
    op.create_table(
        "portal_contact",
        sa.Column("portal", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("contact", sa.String(200), nullable=False),
        _text("told", 64),
        _text("staged", 64),
        _number("file"),
        sa.PrimaryKeyConstraint("portal", "source", "contact", name=op.f("pk_portal_contact")),
    )
    op.create_table(
        "portal_file",
        sa.Column("portal", sa.String(32), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        _number("rows"),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("portal", "sequence", name=op.f("pk_portal_file")),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        _text("text"),
        _text("phone", 60),
        _text("mark", 64),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
        sa.UniqueConstraint("source", "customer", "number", name=op.f("uq_request_source_customer_number")),
    )


def downgrade() -> None:
    for table in ("request", "portal_file", "portal_contact", "publication"):
        op.drop_table(table)
