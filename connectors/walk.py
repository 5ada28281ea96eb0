"""Walking through what changed, so that nothing is missed while others write.

One run reads all records of which any part was written at or after `since`, less the overlap; each stage goes by id, so a
record that is written meanwhile stays in its place. What is written behind our back while we read, and what a long
transaction commits later, carries a time that the next run reads again: it begins at the newest time that stood in the
tables when this run began. All these times are the server's own, so its clock and ours may differ as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from connectors.census import IDS_PER_PAGE, Belonging, Census, Counted, Counter, Domain, Range, Row
from core.clock import parse_utc
from core.errors import ConfigurationProblem, OrderwireError
from core.jsontext import dumps, loads

CALM: Final = timedelta(days=1)
"""After so long without a change the place moves on by the server's own clock, less this: what was written last is not read for
ever. The clocks of the server and of its database may differ by as much: more than any wrong time zone."""
MAX_PAGES: Final = 20_000
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Source:
    """One listing. A row of it counts as changed when it, or a row under one of the paths, was created or written."""

    model: str
    paths: tuple[tuple[str, str], ...]
    """Path from the model ("" is itself), and the model there ("" for one that nobody may list by itself)."""
    belongings: tuple[Belonging, ...] = ()
    owner: str = "id"
    """Where the id of the record that rows belong to stands, seen from this model; "" where they are none of this listing's."""
    only: tuple[Any, ...] = ()
    """Clauses that always hold."""
    company: bool = False
    """The records belong to companies, and only those of ours are read."""


class Tables(Counted, Protocol):
    """What a walk asks of a system."""

    def today(self) -> tuple[str, datetime | None]:
        """The server's date where that matters, else ""; and its time (None: it does not tell)."""
        ...

    def newest(self, model: str) -> datetime | None:
        """The newest time in a table, not later than any that is there; None where it has no rows."""
        ...

    def has(self, source: Source, path: str) -> bool:
        """Whether the modules that are active there bring this path."""
        ...

    def always(self, source: Source) -> Domain:
        """The clauses that hold for every row of a source."""
        ...


# -- places --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a run (`running`), or between two. A run reads everything written at or after `since` (less the overlap);
    `mark` is the newest time that stood there when it began: the next run reads from there.
    """

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
        "census": {name: [one.top, one.width, one.counts, one.marks] for name, one in place.census.items()},
    })  # fmt: skip


def from_text(text: str, connection: str) -> Place:
    """Raises ConfigurationProblem for what is no cursor of ours."""
    try:
        value = loads(text)
        if value["v"] != _VERSION:
            raise ValueError(f"version {value['v']}")
        return _place(value)
    except (ValueError, KeyError, TypeError, IndexError):
        raise ConfigurationProblem(
            f"The place up to which {connection} was read cannot be understood. What to do: forget it, then everything is read "
            "again, which does no harm.",
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
            str(name): Census(_whole(top), max(1, _whole(width)), tuple(map(_whole, counts)), tuple(map(_whole, marks)))
            for name, (top, width, counts, marks) in value["census"].items()
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


# -- pages ---------------------------------------------------------------------------------------------------------------


def by_id(
    read: Callable[[int], list[Row]], strange: Callable[[str], OrderwireError], *, after: int = 0, per_page: int
) -> Iterator[list[Row]]:
    """All rows, by id: a page starts behind the last id of the one before, so nothing shifts while others write. `read` gets
    the first rows above an id; `strange` makes the error for rows that are not in that order.
    """
    for _ in range(MAX_PAGES):
        rows = read(after)
        ids = [row.get("id") for row in rows]
        numbers = [found for found in ids if isinstance(found, int) and not isinstance(found, bool)]
        if len(numbers) != len(rows) or numbers != sorted(set(numbers)) or (numbers and numbers[0] <= after):
            raise strange("rows that are not in the order that was asked for")
        yield rows
        if len(rows) < per_page:
            return
        after = numbers[-1]


# -- a run ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """Rows of one request, and where the run stands after them."""

    source: Source
    rows: list[Row]
    place: Place
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind is walked through. `stages`: one after the other; when everything is read, the first alone tells it all.
    `fields`: what is read of a source; `now`: our clock, for when a request began.
    """

    stages: tuple[Source, ...]
    overlap: float
    per_page: int
    fields: Callable[[Source], Sequence[str]]
    now: Callable[[], datetime]


class Walk:
    """One run for one kind; make a new one for every run."""

    def __init__(self, tables: Tables, manner: Manner, place: Place) -> None:
        self._tables, self._manner, self._per_page = tables, manner, manner.per_page
        self._overlap = timedelta(seconds=manner.overlap)
        self.place = place if place.running else self._begin(place)

    @property
    def since(self) -> datetime | None:
        """From when on rows count as changed; None: everything is read."""
        return self.place.since - self._overlap if self.place.since is not None else None

    @property
    def stages(self) -> tuple[Source, ...]:
        """What this run walks through."""
        stages = self._manner.stages
        return stages if self.place.since is not None else stages[:1]

    def steps(self, more: Mapping[str, Sequence[Domain]]) -> Iterator[Step]:
        """The rest of the run; the last step's place is where the next run begins. `more`: by model, further clauses of which one
        makes a row of a stage count as changed.
        """
        asked_at = self._manner.now()
        for number, source in enumerate(self.stages):
            if number < self.place.stage:
                continue
            after = self.place.after if number == self.place.stage else 0
            domain, fields = self._domain(source, more.get(source.model, ())), self._manner.fields(source)
            for rows in self._tables.listing(source.model, domain, fields, after=after, per_page=self._per_page):
                self.place = self._after(number, rows, done=len(rows) < self._per_page)
                yield Step(source, rows, self.place, asked_at)
                asked_at = self._manner.now()

    def _after(self, stage: int, rows: list[Row], *, done: bool) -> Place:
        if not done:
            return replace(self.place, running=True, stage=stage, after=int(rows[-1]["id"]))
        if stage + 1 < len(self.stages):
            return replace(self.place, running=True, stage=stage + 1, after=0)
        place = self.place
        return Place(since=place.mark, day=place.day, census=place.census)

    # -- the beginning of a run ----------------------------------------------------------------------------------------

    def _begin(self, place: Place) -> Place:
        today, server_time = self._tables.today()
        day = today or place.day
        mark = self._mark(place.since, server_time)
        since = place.since - self._overlap if place.since is not None else None
        census, again = self._count(place, since)
        return Place(place.since, mark, True, 0, 0, day, place.day, again, census)

    def _mark(self, since: datetime | None, server_time: datetime | None) -> datetime | None:
        """The newest time in any of the tables; never before `since`, never after the server's own time: one row that is dated
        ahead would hide all changes until that day. Too early a time does no harm: more is read again.
        """
        models = dict.fromkeys(
            model
            for source in self._manner.stages
            for path, model in source.paths
            if model and self._tables.has(source, path)
        )
        calm = server_time - CALM if server_time is not None else None
        times: Iterable[datetime | None] = [since, calm, *(self._tables.newest(model) for model in models)]
        newest = max((moment for moment in times if moment is not None), default=None)
        return newest if newest is None or server_time is None else min(newest, server_time)

    def _count(self, place: Place, since: datetime | None) -> tuple[dict[str, Census], tuple[Range, ...]]:
        census: dict[str, Census] = {}
        again: list[Range] = []
        for source in self._manner.stages:
            for rows in source.belongings:
                if self._tables.has(source, rows.path):
                    census[rows.model], lost = Counter(self._tables, rows).look(place.census.get(rows.model), since)
                    again += [part for part in lost if part not in again]
        return census, tuple(again)

    # -- what is asked -------------------------------------------------------------------------------------------------

    def _domain(self, source: Source, more: Sequence[Domain]) -> Domain:
        only, since = self._tables.always(source), self.since
        if since is None:
            return only
        changed = [
            clause
            for path, _ in source.paths
            if self._tables.has(source, path)
            for clause in self._tables.written_since(path, since)
        ]
        again = [_within(source.owner, part) for part in self.place.again] if source.owner else []
        return [*only, *self._tables.either([*changed, *more, *again])]


def _within(owner: str, part: Range) -> Domain:
    first, end = part
    clause: Domain = [[owner, ">=", first]]
    return clause if end is None else [*clause, [owner, "<", end]]


__all__ = [
    "IDS_PER_PAGE",
    "Belonging",
    "Domain",
    "Manner",
    "Place",
    "Row",
    "Source",
    "Step",
    "Tables",
    "Walk",
    "by_id",
    "from_text",
    "to_text",
]
