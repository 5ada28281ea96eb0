"""Where a reading stands, as the opaque text of a cursor.

A run reads everything written at or after `since` (less the overlap) in stages, each by id. `mark` is the newest time that
the server had written when the run began: the next run reads from there. Both are the server's own times, so its clock and
ours may differ as they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from core.clock import parse_utc
from core.errors import ConfigurationProblem
from core.jsontext import dumps, loads

_VERSION: Final = 1
Range = tuple[int, int | None]
"""Ids from (included) to (excluded; None: no end)."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many rows a table had, by where the id of the record they belong to lies: in parts of `width` ids from 1 on, the last
    without an end. Rows with an id above `top` were not counted.
    """

    top: int
    width: int
    counts: tuple[int, ...]

    def part(self, owner: int) -> int:
        """In which part a record lies."""
        return max(0, min((owner - 1) // self.width, len(self.counts) - 1))

    def range(self, part: int) -> Range:
        """The ids of this part."""
        first = 1 + self.width * part
        return first, None if part == len(self.counts) - 1 else first + self.width

    def counting(self, top: int, owners: Iterable[int]) -> Census:
        """The same with further rows, which belong to these."""
        counts = list(self.counts)
        for owner in owners:
            counts[self.part(owner)] += 1
        return Census(top, self.width, tuple(counts))


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a run (`running`), or between two."""

    since: datetime | None = None
    """None: everything is read."""
    mark: datetime | None = None
    running: bool = False
    stage: int = 0
    after: int = 0
    day: str = ""
    """The server's date for which stock was read last."""
    day_before: str = ""
    """The one before that, while a run is under way."""
    again: tuple[Range, ...] = ()
    """What lost rows: read again whole in this run."""
    census: Mapping[str, Census] = field(default_factory=dict)


def to_text(place: Place) -> str:
    """The cursor."""
    return dumps({
        "v": _VERSION,
        "since": _time(place.since),
        "mark": _time(place.mark),
        "at": [place.stage, place.after] if place.running else None,
        "day": [place.day, place.day_before],
        "again": place.again,
        "census": {name: [one.top, one.width, one.counts] for name, one in place.census.items()},
    })  # fmt: skip


def from_text(text: str) -> Place:
    """Raises ConfigurationProblem for what is no cursor of this connector."""
    try:
        value = loads(text)
        if value["v"] != _VERSION:
            raise ValueError(f"version {value['v']}")
        return _place(value)
    except (ValueError, KeyError, TypeError, IndexError):
        raise ConfigurationProblem(
            "The place up to which Tryton was read cannot be understood. What to do: forget it, then everything is read again, "
            "which does no harm.",
            detail=text[:80],
        ) from None


def _place(value: Any) -> Place:
    at = value["at"]
    return Place(
        since=_moment(value["since"]),
        mark=_moment(value["mark"]),
        running=at is not None,
        stage=_whole(at[0]) if at is not None else 0,
        after=_whole(at[1]) if at is not None else 0,
        day=str(value["day"][0]),
        day_before=str(value["day"][1]),
        again=tuple((_whole(first), None if last is None else _whole(last)) for first, last in value["again"]),
        census={
            str(name): Census(_whole(top), max(1, _whole(width)), tuple(map(_whole, counts)))
            for name, (top, width, counts) in value["census"].items()
            if counts
        },
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError("not a time")
    return parse_utc(text)
