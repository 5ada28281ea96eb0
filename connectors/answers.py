"""What a server answered, with its own time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method returned, and the server's time then (whole seconds; None where something before it drops the header)."""

    result: Any
    server_time: datetime | None


def server_time(response: httpx.Response) -> datetime | None:
    """The `Date` header."""
    try:
        moment = parsedate_to_datetime(response.headers.get("date") or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
