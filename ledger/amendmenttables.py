"""What we wrote into the CRM last, and where both sides changed an order since."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table, UniqueConstraint

from ledger.tables import Id, Micros, metadata

# One row a link of an order. What is kept is the connector's own; it goes where its link goes.
shown = Table(
    "shown",
    metadata,
    Column("link_id", Id, ForeignKey("link.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    # The link's, when this was kept: a version that knows nothing of this table changes the link alone.
    Column("payload_hash", String(64), nullable=False, server_default=""),
    Column("written_at", Micros, nullable=False),
)

# One row a pair of sides: the same two values ask the same question, and have the same answer.
disagreement = Table(
    "disagreement",
    metadata,
    Column("id", Id, primary_key=True),
    Column("link_id", Id, ForeignKey("link.id", ondelete="CASCADE"), nullable=False),
    Column("part", String(32), nullable=False),
    Column("theirs", String(64), nullable=False),
    Column("stores", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    # "": nobody has decided yet; theirs: it stays; store: it is written over.
    Column("choice", String(8), nullable=False, server_default=""),
    Column("decided_by", String(120), nullable=False, server_default=""),
    Column("decided_at", Micros),
    Column("seen_at", Micros, nullable=False),
    UniqueConstraint("link_id", "part", "theirs", "stores"),
    sqlite_autoincrement=True,  # a page that is still open must not answer another question by an old number
)
