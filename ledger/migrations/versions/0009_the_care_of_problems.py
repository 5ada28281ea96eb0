"""Who takes care of a problem, what was said of it, and when it was open and how it ended.

Revision: 0009, after 0008. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True, autoincrement=True, nullable=False)


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _at(name: str, *, always: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=not always)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "care",
        sa.Column("problem", sa.String(16), nullable=False),
        sa.Column("assignee_id", _ID, nullable=True),
        _at("snoozed_until", always=False),
        _at("snoozed_at", always=False),
        _text("snoozed_by", 120),
        _number("snoozed_count"),
        _number("snoozed_grade"),
        _at("acknowledged_since", always=False),
        _at("acknowledged_at", always=False),
        _text("acknowledged_by", 120),
        _text("acknowledged_why"),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("problem", name=op.f("pk_care")),
        sa.ForeignKeyConstraint(["assignee_id"], ["person.id"], name=op.f("fk_care_assignee_id_person")),
    )
    op.create_table(
        "remark",
        _id(),
        sa.Column("problem", sa.String(16), nullable=False),
        _at("at"),
        _text("by", 120),
        _text("text"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remark")),
    )
    op.create_index("ix_remark_problem", "remark", ["problem", "id"])
    _spells()


def _spells() -> None:
    op.create_table(
        "spell",
        _id(),
        sa.Column("problem", sa.String(16), nullable=False),
        _text("flow", 32),
        _text("target", 32),
        _text("error_class", 40),
        _text("message"),
        _number("most"),
        _text("amounts"),
        sa.Column("customers", sa.Integer(), nullable=True),
        _number("customers_of"),
        _text("jobs"),
        _at("opened_at"),
        _at("seen_at"),
        _at("ended_at", always=False),
        _text("ending", 16),
        _text("ended_by", 120),
        _text("ended_why"),
        sa.Column("run_id", _ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spell")),
    )
    still = sa.text("ended_at IS NULL")
    op.create_index("uq_spell_open", "spell", ["problem"], unique=True, sqlite_where=still, postgresql_where=still)
    op.create_index("ix_spell_problem", "spell", ["problem", "id"])
    op.create_index("ix_spell_ended", "spell", ["ended_at"])


def downgrade() -> None:
    op.drop_table("spell")
    op.drop_table("remark")
    op.drop_table("care")
