"""What stores were told of how much may be sold."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, UniqueConstraint, text

from ledger.tables import Id, Micros, metadata

_DOUBTFUL = text("problem = 'doubtful'")

stock_offer = Table(
    "stock_offer",
    metadata,
    Column("id", Id, primary_key=True),
    # Whose levels they are.
    Column("source", String(32), nullable=False),
    Column("store", String(32), nullable=False),
    Column("sku", String(200), nullable=False),
    # What the store has from us, and since when; NULL: nothing yet.
    Column("quantity", BigInteger),
    Column("at", Micros),
    # "" none; doubtful: sent, and nobody said what became of it; unknown, unkept, refused: as connectors.roles.ShelfProblem.
    Column("problem", String(10), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    # With a problem: what was to be told, and when that was tried.
    Column("tried", BigInteger),
    Column("tried_at", Micros),
    UniqueConstraint("store", "source", "sku", name="uq_stock_offer"),
    Index("ix_stock_offer_doubtful", "store", "tried_at", sqlite_where=_DOUBTFUL, postgresql_where=_DOUBTFUL),
)

stock_offering = Table(
    "stock_offering",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("store", String(32), primary_key=True),
    # Names the levels and settings by which every article was compared last, and when that was.
    Column("mark", String(80), nullable=False, server_default=""),
    Column("scanned_at", Micros),
    # Orders that changed since are looked at again.
    Column("orders_at", Micros),
    # Why nothing is told at present; not before `retry_at` again.
    Column("problem", Text, nullable=False, server_default=""),
    Column("problem_at", Micros),
    Column("retry_at", Micros),
)
