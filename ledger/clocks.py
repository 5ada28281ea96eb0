"""The ledger's time, for whoever compares moments with those in the ledger (a fetch began, a record became dirty)."""

from __future__ import annotations

from datetime import datetime

from core.clock import Clock, from_micros
from ledger.database import Database


class DatabaseClock(Clock):
    """The database's clock, which all processes share."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def now(self) -> datetime:
        """The database's present, aware UTC."""
        return from_micros(self._db.micros())
