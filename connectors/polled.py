"""From a row that we asked for ourselves to a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from connectors.roles import BadLevel, ErpKind, Page, StockPage
from core.errors import Held
from core.jsontext import dumps, fingerprint
from core.keys import Change, Key, content_hash
from mapping.canonical import StockLevel

NOT_CONTENT: Final = frozenset({"write_date", "create_date", "_read_at"})
"""When something was written or read is not what it says."""


def content_of(value: Any) -> Any:
    """The same without what differs between two readings of one state."""
    if isinstance(value, Mapping):
        return {name: content_of(inner) for name, inner in value.items() if name not in NOT_CONTENT}
    return [content_of(inner) for inner in value] if isinstance(value, list) else value


def change_of(connection: str, kind: ErpKind, name: str, row: Mapping[str, Any], asked_at: datetime) -> Change:
    """The state of a record. Without a stamp: these systems keep times of rows, not of records, and the newest of them may even
    fall when a row is deleted.
    """
    content = fingerprint(content_of(row))
    return Change(
        key=Key(connection, kind, name),
        stamp=None,
        raw=dumps(row).encode("utf-8", "replace"),
        dedupe=f"poll:{kind}:{name}:{content}",
        number=name,
        topic="poll",
        fetched_at=asked_at,
        content=content,
    )


def nameless(connection: str, row: Mapping[str, Any], asked_at: datetime, problem: str) -> Change:
    """A row of which nobody can say what it is called: kept with its problem."""
    digest = content_hash(dumps(content_of(row)).encode("utf-8", "replace"))
    return Change(
        key=Key(connection, "delivery", digest),
        stamp=None,
        raw=dumps(row).encode("utf-8", "replace"),
        dedupe=f"poll:{digest}",
        problem=problem,
        topic="poll",
        fetched_at=asked_at,
    )


def stock_page(page: Page, level: Callable[[Key, bytes], StockLevel]) -> StockPage:
    """A page of changes of stock as levels. One that cannot be read stops no other."""
    levels: list[StockLevel] = []
    gone: list[str] = []
    bad: list[BadLevel] = []
    for change in page.changes:
        if change.deleted:
            gone.append(change.key.id)
        elif change.raw is not None:
            try:
                levels.append(level(change.key, change.raw))
            except Held as error:
                bad.append(BadLevel(change.key.id, error.message))
    return StockPage(levels, page.cursor, gone, bad)
