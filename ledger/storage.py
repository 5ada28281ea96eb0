"""What the ledger stands on: which engine, how large, which version of the schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from ledger import migrate
from ledger.database import Database


@dataclass(frozen=True, slots=True)
class Storage:
    """`size`: bytes on disk, None where it cannot be said; `schema` and `needed`: versions of the migrations."""

    engine: Literal["SQLite", "PostgreSQL"]
    version: str
    size: int | None
    schema: str
    needed: str


def storage(db: Database) -> Storage:
    """As it is now."""
    schema, needed = migrate.current(db) or "", migrate.head()
    if db.is_sqlite:
        version = str(db.rows(sa.text("SELECT sqlite_version() AS it"))[0].it)
        return Storage("SQLite", version, _files(db.engine.url.database), schema, needed)
    version = str(db.rows(sa.text("SHOW server_version"))[0][0])
    size = int(db.rows(sa.text("SELECT pg_database_size(current_database()) AS it"))[0].it)
    return Storage("PostgreSQL", version, size, schema, needed)


def _files(database: str | None) -> int | None:
    """The file and its write-ahead log together."""
    if not database or database == ":memory:":
        return None
    found = [Path(f"{database}{ending}") for ending in ("", "-wal")]
    return sum(file.stat().st_size for file in found if file.exists())
