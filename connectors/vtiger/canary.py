"""An empty answer counts only if a record that is known to exist is found in the same breath.

vtiger swallows SQL errors and then says success with nothing found (seen on the wire); so may a database that is being
restored, or a view that lost its rights. Believed, each such answer would create a double.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from connectors.vtiger import query as q
from connectors.vtiger.client import Client, Record
from core.errors import RetryLater

ALWAYS_THERE = "Tax"
"""A table that no install is without (its default taxes): asked where a whole module is empty."""


class Canary:
    """Remembers one living record per module, and asks for it together with whatever may not exist."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def search(
        self,
        columns: Sequence[str],
        module: str,
        where: str,
        fits: Callable[[Record], bool],
        *,
        order: str = "id",
        limit: str = "",
    ) -> list[Record]:
        """Rows for `where` (alternatives only, no AND), never empty by a lie. `fits` tells whether the canary itself is one.

        One call where a canary is known; it rides along as a further alternative.
        """
        known = self._known.get(module)
        if known is not None:
            rows = self._client.query(q.select(columns, module, f"{where} OR id={q.record_id(known)}", order, limit))
            if any(row.get("id") == known for row in rows):
                return [row for row in rows if row.get("id") != known or fits(row)]
            self._forget(module, known)  # deleted by somebody, or the whole answer is a lie: ask again without it
        rows = self._client.query(q.select(columns, module, where, order, limit))
        if rows:
            self.lives(module, str(rows[0].get("id")))
        else:
            self.witness(module)
        return rows

    def witness(self, module: str) -> None:
        """Raise RetryLater unless some record is found now: what was found empty a moment ago may be believed."""
        rows = self._client.query(q.select(("id",), module, limit="1"))
        if rows:
            self.lives(module, str(rows[0].get("id")))
        elif not self._client.query(q.select(("id",), ALWAYS_THERE, limit="1")):
            name = self._client.settings.name
            raise RetryLater(
                f"{name} answers every question with nothing, even for what is certainly there. "
                f"What to do: see whether {name} and its database are whole; it is tried again by itself.",
                seconds=10,
                scope="connection",
                connection=name,
                cause="remote 5xx",
                detail=f"canary of {module} is missing",
            )

    def lives(self, module: str, id: str) -> None:
        """This record was seen or made just now."""
        if q.is_record_id(id):
            with self._lock:
                self._known[module] = id

    def _forget(self, module: str, id: str) -> None:
        with self._lock:
            if self._known.get(module) == id:
                del self._known[module]
