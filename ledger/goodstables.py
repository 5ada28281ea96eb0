"""Goods that were taken off a CRM's stock for orders, and what is on its way of it."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text, text

from ledger.tables import Micros, metadata

goods_taken = Table(
    "goods_taken",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("order_key", String(300), primary_key=True),
    # The CRM's product.
    Column("product_id", String(80), primary_key=True),
    Column("target", String(32), nullable=False),
    Column("sku", String(200), nullable=False, server_default=""),
    # How many are off the stock for this order, as far as that is certain.
    Column("taken", Text, nullable=False, server_default="0"),
    # done; intended: `wanted` may be off the stock already; doubtful: nobody can tell whether it is.
    Column("state", String(10), nullable=False, server_default="done"),
    # The last movement: how many were to be off, and the stock before and after it.
    Column("wanted", Text, nullable=False, server_default="0"),
    Column("before", Text, nullable=False, server_default=""),
    Column("after", Text, nullable=False, server_default=""),
    # The product's own time when `before` was read.
    Column("modified", Micros),
    # What the stock was when nobody could tell.
    Column("seen", Text, nullable=False, server_default=""),
    # An intended movement may still land until then.
    Column("hold_until", Micros),
    Column("updated_at", Micros, nullable=False),
    Index(
        "ix_goods_taken_unsettled",
        "target",
        "product_id",
        sqlite_where=text("state = 'intended'"),
        postgresql_where=text("state = 'intended'"),
    ),
)
