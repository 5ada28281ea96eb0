"""What an order is beyond its job: how far it has come, and what it holds of each article."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from ledger.tables import Micros, metadata

order_state = Table(
    "order_state",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("order_key", String(300), primary_key=True),
    Column("target", String(32), nullable=False),
    Column("remote_id", String(80), nullable=False, server_default=""),
    Column("number", String(120), nullable=False, server_default=""),
    Column("account", String(80), nullable=False, server_default=""),
    Column("owner", String(120), nullable=False, server_default=""),
    Column("status", String(16), nullable=False, server_default=""),
    Column("payment", String(16), nullable=False, server_default=""),
    Column("currency", String(3), nullable=False, server_default=""),
    Column("total", Text, nullable=False, server_default="0"),
    Column("language", String(16), nullable=False, server_default=""),
    Column("method", String(120), nullable=False, server_default=""),
    Column("rush", Boolean, nullable=False, server_default=text("false")),
    # Open: neither delivered nor called off: its goods are still to leave.
    Column("open", Boolean, nullable=False, server_default=text("true")),
    Column("placed_at", Micros, nullable=False),
    Column("paid_at", Micros),
    Column("shipped_at", Micros),
    Column("delivered_at", Micros),
    Column("promised_on", String(10), nullable=False, server_default=""),
    # The CRM's own word for where the order stands, as we wrote or saw it last.
    Column("crm_status", String(120), nullable=False, server_default=""),
    Column("crm_seen_at", Micros),
    Column("digest", LargeBinary(16), nullable=False),
    Column("updated_at", Micros, nullable=False),
    Index("ix_order_state_remote", "target", "remote_id"),
    Index("ix_order_state_updated", "updated_at"),
    Index("ix_order_state_placed", "placed_at", "flow", "order_key"),
    Index(
        "ix_order_state_current",
        "placed_at",
        "flow",
        "order_key",
        sqlite_where=text("open"),
        postgresql_where=text("open"),
    ),
    Index(
        "ix_order_state_unpaid",
        "placed_at",
        "flow",
        "order_key",
        sqlite_where=text("payment = 'unpaid'"),
        postgresql_where=text("payment = 'unpaid'"),
    ),
    Index(
        "ix_order_state_open",
        "flow",
        "promised_on",
        sqlite_where=text("open"),
        postgresql_where=text("open"),
    ),
)

order_line = Table(
    "order_line",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("order_key", String(300), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("sku", String(200), nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("quantity", Text, nullable=False),
    Column("net", Text, nullable=False),
    Index("ix_order_line_sku", "sku"),
)
