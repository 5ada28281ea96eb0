"""Tryton's tables in the words of a walk (connectors.walk): its domains, its times, its date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from connectors.tryton.client import Client
from connectors.walk import Domain, Source
from core.clock import to_micros
from mapping.tryton.wire import moment_of

NEWEST: Final = (("create_date", "DESC NULLS LAST"), ("write_date", "DESC NULLS LAST"))
LAST_ID: Final = [["id", "DESC"]]


class TrytonTables:
    """Reads for one run."""

    nothing: Any = None

    def __init__(self, client: Client) -> None:
        self._client = client
        self.count, self.listing = client.count, client.listing

    def last_id(self, model: str) -> int:
        rows = self._client.search_read(model, [], ["id"], limit=1, order=LAST_ID)
        return int(rows[0]["id"]) if rows else 0

    def reference(self, value: object) -> int | None:
        return value if isinstance(value, int) else None

    def today(self) -> tuple[str, datetime | None]:
        answer = self._client.ask("model.ir.date.today", self._client.context())
        return _day(answer.result), answer.server_time

    def newest(self, model: str) -> datetime | None:
        times = [self._newest(model, *order) for order in NEWEST]
        return max((moment for moment in times if moment is not None), default=None)

    def _newest(self, model: str, stamp: str, order: str) -> datetime | None:
        rows = self._client.search_read(model, [], [stamp], limit=1, order=[[stamp, order]])
        return moment_of(rows[0].get(stamp)) if rows else None

    def has(self, source: Source, path: str) -> bool:
        return not path or path.partition(".")[0] in self._client.fields(source.model)

    def always(self, source: Source) -> Domain:
        company: Domain = [["company", "=", self._client.context()["company"]]] if source.company else []
        return [*source.only, *company]

    def written_since(self, path: str, since: datetime) -> list[Domain]:
        return written_since(path, since)

    def either(self, domains: Sequence[Domain]) -> Domain:
        return [["OR", *domains]]


def written_since(path: str, since: datetime) -> list[Domain]:
    """Clauses, of which one has to hold: a row at this path was created or written at or after this time."""
    prefix = f"{path}." if path else ""
    return [[f"{prefix}{stamp}", ">=", wire_time(since)] for stamp in ("write_date", "create_date")]


def wire_time(moment: datetime) -> dict[str, Any]:
    """As Tryton wants it."""
    second = to_micros(moment) // 1_000_000 * 1_000_000
    return {
        "__class__": "datetime",
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "microsecond": to_micros(moment) - second,
    }


def _day(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return "-".join(f"{value.get(part):02d}" for part in ("year", "month", "day") if isinstance(value.get(part), int))
