"""Times as a browser's field gives them: without a zone, which a hidden field tells in minutes east of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone


def moment(text: str, offset: str) -> datetime:
    """`2026-03-01T08:00` in the reader's zone; UTC where a browser without script says none. Raises ValueError, OverflowError."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=_zone(offset))).astimezone(UTC)


def _zone(offset: str) -> timezone:
    digits = offset.removeprefix("-")
    minutes = int(offset) if digits.isascii() and digits.isdigit() and len(digits) < 5 else 0
    return timezone(timedelta(minutes=minutes)) if abs(minutes) < 1440 else UTC
