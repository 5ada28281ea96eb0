"""Messages to people: one row each for ever, and what is attached to them for a while; what stands on papers."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text, text

from ledger.tables import Micros, metadata

message = Table(
    "message",
    metadata,
    Column("id", String(32), primary_key=True),
    # For ever: whoever wants the same message again, wants nothing.
    Column("key", String(500), nullable=False, unique=True),
    Column("flow", String(32), nullable=False),
    Column("via", String(32), nullable=False),
    Column("address", String(320), nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False, server_default=""),
    Column("text", Text, nullable=False, server_default=""),
    Column("language", String(16), nullable=False, server_default=""),
    Column("concern", String(300), nullable=False, server_default=""),
    Column("crm", String(32), nullable=False, server_default=""),
    Column("account", String(80), nullable=False, server_default=""),
    # wanted -> sending -> sent; doubtful: it was being sent when we lost sight of it.
    Column("state", String(16), nullable=False, server_default="wanted"),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("created_at", Micros, nullable=False),
    Column("not_before", Micros),
    Column("sent_at", Micros),
    # When its text, its address and its attachments were emptied.
    Column("emptied_at", Micros),
    # Of what was handed over last: subject, text and attachments. It stays.
    Column("digest", LargeBinary(32)),
    Index("ix_message_concern", "concern", sqlite_where=text("concern <> ''"), postgresql_where=text("concern <> ''")),
    Index(
        "ix_message_kept",
        "created_at",
        sqlite_where=text("emptied_at IS NULL"),
        postgresql_where=text("emptied_at IS NULL"),
    ),
)

message_part = Table(
    "message_part",
    metadata,
    Column("message", String(32), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("media_type", String(120), nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

paper = Table(
    "paper",
    metadata,
    # That of the message that carries it.
    Column("key", String(500), primary_key=True),
    Column("flow", String(32), nullable=False),
    Column("order_key", String(300), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", String(120), nullable=False, server_default=""),
    Column("language", String(16), nullable=False),
    Column("issued_at", Micros, nullable=False),
    # The order as it was then; opaque here.
    Column("body", LargeBinary, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    # When the body was emptied.
    Column("emptied_at", Micros),
    Index("ix_paper_order", "order_key"),
    Index(
        "ix_paper_kept",
        "issued_at",
        sqlite_where=text("emptied_at IS NULL"),
        postgresql_where=text("emptied_at IS NULL"),
    ),
)
