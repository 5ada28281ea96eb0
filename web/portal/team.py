"""The card of the default team, for whoever has nobody nearer: made again when the directory or the day has changed."""

from __future__ import annotations

from datetime import date

from mapping.cards import Card, team_card
from mapping.days import day_in
from pipelines.context import Context
from pipelines.repbook import Books


class Teams:
    """One per process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._books = Books(context.ledger)
        self._known: dict[str, tuple[int, date, Card]] = {}

    def card(self, source: str) -> Card:
        """Who serves customers of this ERP connection when nobody nearer does; one indexed read where nothing changed."""
        zone = next((flow.zone for flow in self._context.reps.values() if flow.source == source), "UTC")
        day = day_in(self._context.clock.now(), zone)
        book = self._books.get(source)
        known = self._known.get(source)
        if known is None or known[:2] != (book.version, day):
            known = self._known[source] = (book.version, day, team_card(book.directory, day))
        return known[2]
