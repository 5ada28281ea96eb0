"""Invoices as the systems that keep them tell them, beside their orders."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text, text

from ledger.tables import Micros, metadata

invoice_state = Table(
    "invoice_state",
    metadata,
    Column("flow", String(32), primary_key=True),
    # The connection whose record it is, a CRM or an ERP, and its id there.
    Column("system", String(32), primary_key=True),
    Column("remote_id", String(80), primary_key=True),
    # One invoice may be for several orders: it stands beside each of them.
    Column("order_key", String(300), primary_key=True),
    Column("origin", String(8), nullable=False),
    Column("number", String(120), nullable=False, server_default=""),
    Column("word", String(120), nullable=False, server_default=""),
    Column("state", String(16), nullable=False, server_default="unknown"),
    Column("credit", Boolean, nullable=False, server_default=text("false")),
    Column("currency", String(3), nullable=False, server_default=""),
    # "" where the system does not tell it.
    Column("total", Text, nullable=False, server_default=""),
    Column("received", Text, nullable=False, server_default=""),
    Column("balance", Text, nullable=False, server_default=""),
    Column("issued", String(10), nullable=False, server_default=""),
    Column("due", String(10), nullable=False, server_default=""),
    # The same bill in the other system: the ERP's record of a CRM's invoice.
    Column("same_as", String(300), nullable=False, server_default=""),
    # When the system itself was seen to say so; none: it is what we wrote.
    Column("seen_at", Micros),
    Column("updated_at", Micros, nullable=False),
    Index("ix_invoice_state_order", "flow", "order_key"),
    Index("ix_invoice_state_remote", "system", "remote_id"),
)

# Bills of an ERP whose order is not known yet, by each name that they may call it by.
invoice_waiting = Table(
    "invoice_waiting",
    metadata,
    Column("flow", String(32), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("system", String(32), primary_key=True),
    Column("remote_id", String(80), primary_key=True),
    Column("since", Micros, nullable=False),
    Index("ix_invoice_waiting_remote", "system", "remote_id"),
)
