"""Stock: how much of each article is where, from how much on somebody is told, and what was told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.tables import Id, Micros, metadata

stock_level = Table(
    "stock_level",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connection", String(32), nullable=False),
    Column("warehouse", String(80), nullable=False, server_default=""),
    Column("sku", String(200), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("grp", String(200), nullable=False, server_default=""),
    # Quantities are text, like all that is exact. NULL: the source tells none.
    Column("on_hand", Text, nullable=False),
    Column("available", Text),
    Column("minimum", Text),
    Column("stamp", Micros),
    # When it was first read like this; since then the source has told nothing else.
    Column("read_at", Micros, nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    UniqueConstraint("connection", "sku", "warehouse", name="uq_stock_level"),
)

stock_source = Table(
    "stock_source",
    metadata,
    Column("connection", String(32), primary_key=True),
    # Everything that is kept was true then; NULL: it was never read to the end.
    Column("polled_at", Micros),
    Column("full_at", Micros),
    Column("tried_at", Micros),
    Column("bad", Integer, nullable=False, server_default=text("0")),
    Column("bad_why", Text, nullable=False, server_default=""),
    # Counts the changes of thresholds; `judged` names thresholds and settings by which every level was compared last.
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("judged", String(80), nullable=False, server_default=""),
    # Counts the changes of levels: who has seen this number has seen them.
    Column("changes", BigInteger, nullable=False, server_default=text("0")),
)

stock_threshold = Table(
    "stock_threshold",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connection", String(32), nullable=False),
    Column("scope", String(12), nullable=False),
    # Of a product the article's number, of a group its name; "" for a warehouse.
    Column("subject", String(200), nullable=False, server_default=""),
    # "": every warehouse.
    Column("warehouse", String(80), nullable=False, server_default=""),
    Column("owner", String(32), nullable=False, server_default=""),
    Column("minimum", Text),
    Column("target", Text),
    Column("updated_at", Micros, nullable=False),
    Column("updated_by", String(120), nullable=False, server_default=""),
    UniqueConstraint("connection", "scope", "subject", "warehouse", name="uq_stock_threshold"),
)

_OPEN = text("closed_at IS NULL")
_OVER = text("closed_at IS NOT NULL")

stock_alert = Table(
    "stock_alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("connection", String(32), nullable=False),
    Column("warehouse", String(80), nullable=False, server_default=""),
    Column("sku", String(200), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("owner", String(32), nullable=False, server_default=""),
    Column("minimum", Text, nullable=False),
    Column("target", Text),
    # As it was when the alert opened, and as it is.
    Column("quantity_then", Text, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("opened_at", Micros, nullable=False),
    Column("told_at", Micros),
    Column("closed_at", Micros),
    Column("closed_why", String(16), nullable=False, server_default=""),
    Column("cleared", Boolean, nullable=False, server_default=text("false")),
    # "" none, "date" until then, "delivery" until there is more than `snoozed_below`, the least there was since.
    Column("snooze", String(12), nullable=False, server_default=""),
    Column("snoozed_until", Micros),
    Column("snoozed_below", Text),
    Column("snoozed_by", String(120), nullable=False, server_default=""),
    Index(
        "uq_stock_alert_open",
        "connection",
        "warehouse",
        "sku",
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index("ix_stock_alert_owner", "owner", "opened_at"),
    Index("ix_stock_alert_over", "closed_at", sqlite_where=_OVER, postgresql_where=_OVER),
)

stock_told = Table(
    "stock_told",
    metadata,
    Column("buyer", String(32), primary_key=True),
    Column("told_at", Micros),
    Column("digest_on", String(10), nullable=False, server_default=""),
    Column("digest_at", Micros),
)
