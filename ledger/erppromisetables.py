"""What an ERP promised, by the names that it has for the order."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from ledger.tables import Micros, metadata

erp_promise = Table(
    "erp_promise",
    metadata,
    Column("flow", String(32), primary_key=True),
    # The ERP's connection, and the sale's id there.
    Column("system", String(32), primary_key=True),
    Column("remote_id", String(80), primary_key=True),
    # What the sale may call the order by; `own`: by the ERP's own number, which counts only where the sums are the same.
    Column("name", String(120), primary_key=True),
    Column("own", Boolean, nullable=False),
    Column("promised_on", String(10), nullable=False),
    Column("currency", String(3), nullable=False, server_default=""),
    # "" where the ERP does not tell it.
    Column("total", Text, nullable=False, server_default=""),
    Column("updated_at", Micros, nullable=False),
    Index("ix_erp_promise_name", "flow", "name"),
    Index("ix_erp_promise_day", "system", "promised_on"),
)
