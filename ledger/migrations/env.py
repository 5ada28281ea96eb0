"""Alembic's entry: one engine, given by `ledger.migrate`. Migrations run beside processes that work (ADR-0007)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, text

from ledger.tables import metadata

LOCK = 7_264_001  # any constant: two processes that start together must not migrate at once


@contextmanager
def alone(connection: Connection, patience: int) -> Iterator[None]:
    """PostgreSQL: nobody else migrates meanwhile, and no lock is waited for longer than `patience` milliseconds: who waits
    for a table keeps everybody waiting who comes later. The lock is the session's; nothing else in the ledger uses such.
    """
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
    connection.execute(text(f"SET lock_timeout = {patience}"))
    connection.commit()
    try:
        yield
    finally:
        connection.invalidate()  # ends the session, and with it the lock and the setting, whatever has happened


def run() -> None:
    """On PostgreSQL a transaction for each migration, so that no table stays locked for the next one's sake. On SQLite one
    for all of them, which is what keeps others out there.
    """
    attributes = context.config.attributes
    options = {"target_metadata": metadata, "on_version_apply": attributes["applied"]}
    engine = attributes["engine"]
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            context.configure(connection=connection, render_as_batch=True, **options)
            context.run_migrations()
        return
    with engine.connect() as connection, alone(connection, attributes["patience"]):
        context.configure(connection=connection, transaction_per_migration=True, **options)
        with context.begin_transaction():
            context.run_migrations()


run()
