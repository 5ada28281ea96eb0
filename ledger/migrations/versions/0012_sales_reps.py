"""Sales reps: the directory, who serves whom, cards, and who has to be looked at again.

Revision: 0012, after 0011. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int = 0, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default=default)


def _part(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _at(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _version() -> sa.Column[int]:
    return sa.Column("version", sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    _directory()
    _cards()
    _targets()


def _directory() -> None:
    op.create_table(
        "agency",
        _part("source", 32),
        _part("code", 80),
        _text("erp"),
        _text("own"),
        _at("updated_at"),
        _text("updated_by", 120),
        sa.PrimaryKeyConstraint("source", "code", name=op.f("pk_agency")),
    )
    op.create_table(
        "rep",
        _part("source", 32),
        _part("agency", 80),
        _part("code", 80),
        _text("erp"),
        _text("own"),
        _text("owner", 120),
        _text("record_id", 200),
        _at("updated_at"),
        _text("updated_by", 120),
        sa.PrimaryKeyConstraint("source", "agency", "code", name=op.f("pk_rep")),
    )
    op.create_index("ix_rep_record", "rep", ["source", "record_id"])
    op.create_table(
        "region",
        _part("source", 32),
        _part("id", 80),
        _text("erp"),
        _text("own"),
        _at("updated_at"),
        _text("updated_by", 120),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_region")),
    )
    op.create_table(
        "rep_absence",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        _part("source", 32),
        _text("agency", 80),
        _part("rep", 80),
        _part("first", 10),
        _text("last", 10),
        _text("deputy", 80),
        _at("created_at"),
        _text("created_by", 120),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rep_absence")),
    )
    op.create_index("ix_rep_absence_rep", "rep_absence", ["source", "rep"])
    op.create_table(
        "rep_assignment",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        _part("source", 32),
        _part("subject", 16),
        _text("subject_id", 200),
        _text("agency", 80),
        _part("rep", 80),
        _text("role", 40, "primary"),
        sa.Column("rank", sa.Integer(), nullable=False, server_default="0"),
        _text("first", 10),
        _text("last", 10),
        _text("origin", 40, "hand"),
        _text("instead_of", 80),
        _at("created_at"),
        _text("created_by", 120),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rep_assignment")),
    )
    op.create_index("ix_rep_assignment_origin", "rep_assignment", ["origin"])
    op.create_index("ix_rep_assignment_rep", "rep_assignment", ["source", "rep"])
    op.create_index("ix_rep_assignment_subject", "rep_assignment", ["source", "subject", "subject_id"])


def _cards() -> None:
    op.create_table(
        "rep_card",
        _part("source", 32),
        _part("customer", 200),
        _text("name"),
        _text("region", 80),
        _text("card"),
        _text("resolution"),
        _text("digest", 64),
        _text("rep", 80),
        _text("agency", 80),
        _text("seen_on", 10),
        _version(),
        _text("until", 10),
        _at("changed_at"),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("source", "customer", name=op.f("pk_rep_card")),
    )
    op.create_index("ix_rep_card_rep", "rep_card", ["source", "rep"])
    op.create_index(
        "ix_rep_card_until",
        "rep_card",
        ["source", "until"],
        sqlite_where=sa.text("until <> ''"),
        postgresql_where=sa.text("until <> ''"),
    )
    op.create_table(
        "rep_concern",
        _part("source", 32),
        _part("what", 8),
        _part("code", 80),
        _text("agency", 80),
        _part("customer", 200),
        sa.PrimaryKeyConstraint("source", "what", "code", "agency", "customer", name=op.f("pk_rep_concern")),
    )
    op.create_index("ix_rep_concern_customer", "rep_concern", ["source", "customer"])
    op.create_table(
        "rep_touched",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        _part("source", 32),
        _part("what", 8),
        _text("code", 200),
        _version(),
        _at("at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rep_touched")),
    )
    op.create_index("ix_rep_touched_source", "rep_touched", ["source", "id"])


def _targets() -> None:
    op.create_table(
        "rep_seat",
        _part("flow", 32),
        _part("customer", 200),
        _text("identity", 250),
        _text("account", 80),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("flow", "customer", name=op.f("pk_rep_seat")),
    )
    op.create_index("ix_rep_seat_account", "rep_seat", ["flow", "account"])
    op.create_index(
        "ix_rep_seat_waiting",
        "rep_seat",
        ["flow", "identity"],
        sqlite_where=sa.text("account = ''"),
        postgresql_where=sa.text("account = ''"),
    )
    op.create_table(
        "rep_owner",
        _part("target", 32),
        _part("remote_id", 80),
        _part("owner", 120),
        _text("before", 120),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("target", "remote_id", name=op.f("pk_rep_owner")),
    )
    op.create_table(
        "order_rep",
        _part("flow", 32),
        _part("connection", 32),
        _part("record_id", 200),
        _text("code", 80),
        _text("name"),
        _text("owner", 120),
        _text("by", 16),
        _text("reason"),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("flow", "connection", "record_id", name=op.f("pk_order_rep")),
    )


def downgrade() -> None:
    for table in (
        "order_rep",
        "rep_owner",
        "rep_seat",
        "rep_touched",
        "rep_concern",
        "rep_card",
        "rep_assignment",
        "rep_absence",
        "region",
        "rep",
        "agency",
    ):
        op.drop_table(table)
