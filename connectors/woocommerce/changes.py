"""From a record's state, pushed or polled, to a Change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from core.clock import parse_utc
from core.jsontext import dumps, fingerprint
from core.keys import Change, Key, content_hash

# Follow from the rest, or differ between two readings of one state. (`price` is total / quantity as a float.)
_VOLATILE: Final = frozenset(
    {"_links", "payment_url", "is_editable", "needs_payment", "needs_processing", "currency_symbol", "version"}
)
_NOT_TEXT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
MODIFIED: Final = "date_modified_gmt"


def content_of(row: Mapping[str, Any]) -> str:
    """A digest of a record that is the same for the same state, however it reached us."""
    kept = {name: value for name, value in row.items() if name not in _VOLATILE}
    items = kept.get("line_items")
    if isinstance(items, list):
        kept["line_items"] = [
            {name: value for name, value in item.items() if name not in {"price", "image"}}
            if isinstance(item, dict)
            else item
            for item in items
        ]
    return fingerprint(kept)


def moment_of(row: Mapping[str, Any], field: str = MODIFIED) -> datetime | None:
    """A UTC time of a record; None where there is none that can be read."""
    value = row.get(field)
    if not isinstance(value, str):
        return None
    try:
        return parse_utc(value)
    except (ValueError, OverflowError):
        return None


def id_of(row: object) -> int | None:
    """A record's id; None where there is none."""
    value = row.get("id") if isinstance(row, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18 else None


def number_of(row: Mapping[str, Any]) -> str:
    """What people call the record."""
    value = row.get("number")
    return _NOT_TEXT.sub("", value).strip()[:100] if isinstance(value, str) else ""


def is_order(row: Mapping[str, Any]) -> bool:
    """Whether this is an order, where nothing else says so."""
    return isinstance(row.get("line_items"), list) and "currency" in row and "total" in row


def may_be_order(row: Mapping[str, Any]) -> bool:
    """Whether what is called an order looks like one. What it lacks is for the mapping to name."""
    return "line_items" in row or "currency" in row or "total" in row


def fetched(connection: str, kind: str, row: object, asked_at: datetime, *, rush: bool = False) -> Change:
    """A row that we asked for ourselves. One without an id keeps its text and says so."""
    raw = dumps(row).encode("utf-8", "replace")
    record_id = id_of(row)
    if record_id is None or not isinstance(row, dict):
        digest = content_hash(raw)
        return Change(
            key=Key(connection, "delivery", digest),
            stamp=None,
            raw=raw,
            dedupe=f"poll:{digest}",
            problem="The store listed something without an id. What to do: show it to the shop's developer.",
            topic="poll",
            fetched_at=asked_at,
        )
    stamp, content = moment_of(row), content_of(row)
    return Change(
        key=Key(connection, kind, str(record_id)),
        stamp=stamp,
        raw=raw,
        dedupe=f"poll:{kind}:{record_id}:{stamp.isoformat() if stamp else '-'}:{content}",
        number=number_of(row),
        topic="poll",
        fetched_at=asked_at,
        deleted=row.get("status") == "trash",
        content=content,
        rush=rush,
    )
