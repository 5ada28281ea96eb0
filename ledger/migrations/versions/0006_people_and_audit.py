"""People who use the dashboard, their sessions, one-time links and API tokens, and the audit.

Revision: 0006, after 0005. Expands only: the version before works on with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True, autoincrement=True, nullable=False)


def _text(name: str, length: int = 0) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False, server_default="")


def _at(name: str, *, always: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=not always)


def _of_person(table: str, *, always: bool = True) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    key = sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f(f"fk_{table}_person_id_person"))
    return sa.Column("person_id", _ID, nullable=not always), key


def upgrade() -> None:
    op.create_table(
        "person",
        _id(),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("folded", sa.String(60), nullable=False),
        _text("email", 250),
        _text("password"),
        _at("password_at", always=False),
        sa.Column("role", sa.String(16), nullable=False),
        _at("disabled_at", always=False),
        _at("created_at"),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("folded", name=op.f("uq_person_folded")),
    )
    given = sa.text("email <> ''")
    op.create_index("uq_person_email", "person", ["email"], unique=True, sqlite_where=given, postgresql_where=given)
    op.create_table(
        "session",
        sa.Column("hash", sa.String(64), nullable=False),
        *_of_person("session"),
        _at("created_at"),
        _at("seen_at"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_person", "session", ["person_id"])
    _links_and_tokens()
    _audit()


def _links_and_tokens() -> None:
    op.create_table(
        "one_time_link",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        *_of_person("one_time_link", always=False),
        _text("created_by", 120),
        _at("created_at"),
        _at("expires_at"),
        _at("used_at", always=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_one_time_link")),
    )
    op.create_index("ix_one_time_link_person", "one_time_link", ["person_id"])
    op.create_table(
        "api_token",
        _id(),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        *_of_person("api_token"),
        sa.Column("scopes", sa.String(120), nullable=False),
        _at("created_at"),
        _at("expires_at", always=False),
        _at("used_at", always=False),
        _at("revoked_at", always=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_token_hash")),
    )
    op.create_index("ix_api_token_person", "api_token", ["person_id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ID, primary_key=True, autoincrement=False, nullable=False),
        _at("at"),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        _text("subject", 200),
        _text("facts"),
        _text("ip", 64),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    for column in ("actor", "action", "subject"):
        op.create_index(f"ix_audit_{column}", "audit", [column, "id"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False, nullable=False, server_default="1"),
        sa.Column("last", _ID, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )


def downgrade() -> None:
    for table in ("audit_head", "audit", "api_token", "one_time_link", "session", "person"):
        op.drop_table(table)
