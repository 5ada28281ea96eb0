"""Alembic's entry: one engine, given by `ledger.migrate`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from ledger.tables import metadata

LOCK = 7_264_001  # any constant: two processes that start together must not migrate at once


def run() -> None:
    """Migrate within one transaction, alone."""
    engine = context.config.attributes["engine"]
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # A transaction-scoped lock: it ends with the transaction, and nothing else in the ledger uses such locks.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
        )
        context.run_migrations()


run()
