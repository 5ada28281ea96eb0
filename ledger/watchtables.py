"""What was promised, and how each promise stands."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, text

from ledger.tables import Micros, metadata

_OPEN = text("level IN ('at_risk', 'late')")
_LOOKED_AT = text("look_at IS NOT NULL")

watch = Table(
    "watch",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("order_key", String(300), primary_key=True),
    Column("promised_on", String(10), nullable=False),
    # The store, the ERP, or a rule of the flow.
    Column("source", String(8), nullable=False),
    Column("ship_by", Micros, nullable=False),
    Column("due", Micros, nullable=False),
    # mapping.promises.Level, and since when it stands so.
    Column("level", String(16), nullable=False),
    Column("since", Micros, nullable=False),
    # When time alone may change it.
    Column("look_at", Micros),
    # The level of which the rep was told last, and the note that was written into the CRM.
    Column("told", String(16), nullable=False, server_default=""),
    Column("task", String(80), nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Index("ix_watch_look", "look_at", sqlite_where=_LOOKED_AT, postgresql_where=_LOOKED_AT),
    Index("ix_watch_open", "due", "flow", "order_key", sqlite_where=_OPEN, postgresql_where=_OPEN),
)
