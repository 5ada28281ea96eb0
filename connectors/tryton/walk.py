"""Walking through what changed, so that nothing is missed while others write.

One run reads all records of which any part was written at or after `since`, less the overlap; each stage goes by id, so a
record that is written meanwhile stays in its place. What is written behind our back while we read, and what a long
transaction commits later, carries a time that the next run reads again: it begins at the newest time that stood in the
tables when this run began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.tryton.census import Counter, written_since
from connectors.tryton.client import Client, Domain, Row
from connectors.tryton.cursor import Census, Place, Range
from connectors.tryton.sources import STAGES, Source
from mapping.tryton.wire import moment_of

CALM: Final = timedelta(days=1)
"""After so long without a change the place moves on by the server's own clock, less this: what was written last is not read for
ever. The clocks of the server and of its database may differ by as much: more than any wrong time zone."""
NEWEST: Final = (("create_date", "DESC NULLS LAST"), ("write_date", "DESC NULLS LAST"))


@dataclass(frozen=True, slots=True)
class Step:
    """Rows of one request, and where the run stands after them."""

    source: Source
    rows: list[Row]
    place: Place
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind is walked through. `fields`: what is read of a source; `now`: our clock, for when a request began."""

    kind: str
    overlap: float
    per_page: int
    fields: Callable[[Source], Sequence[str]]
    now: Callable[[], datetime]


class Walk:
    """One run for one kind; make a new one for every run."""

    def __init__(self, client: Client, manner: Manner, place: Place) -> None:
        self._client, self._manner, self._kind, self._per_page = client, manner, manner.kind, manner.per_page
        self._overlap = timedelta(seconds=manner.overlap)
        self.place = place if place.running else self._begin(place)

    @property
    def since(self) -> datetime | None:
        """From when on rows count as changed; None: everything is read."""
        return self.place.since - self._overlap if self.place.since is not None else None

    @property
    def stages(self) -> tuple[Source, ...]:
        """What this run walks through."""
        stages = STAGES[self._kind]
        return stages if self.place.since is not None else stages[:1]

    def steps(self, more: Mapping[str, Sequence[Domain]]) -> Iterator[Step]:
        """The rest of the run; the last step's place is where the next run begins. `more`: by model, further clauses of which one
        makes a row count as changed.
        """
        asked_at = self._manner.now()
        for number, source in enumerate(self.stages):
            if number < self.place.stage:
                continue
            after = self.place.after if number == self.place.stage else 0
            domain, fields = self._domain(source, more.get(source.model, ())), self._manner.fields(source)
            for rows in self._client.listing(source.model, domain, fields, after=after, per_page=self._per_page):
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
        answer = self._client.ask("model.ir.date.today", self._client.context())
        day = _day(answer.result) or place.day
        mark = self._mark(place.since, answer.server_time)
        since = place.since - self._overlap if place.since is not None else None
        census, again = self._count(place, since)
        return Place(place.since, mark, True, 0, 0, day, place.day, again, census)

    def _mark(self, since: datetime | None, server_time: datetime | None) -> datetime | None:
        """The newest time in any of the tables; never before `since`, never after the server's own time: one row that is dated
        ahead would hide all changes until that day. Too early a time does no harm: more is read again.
        """
        models = dict.fromkeys(
            model for source in STAGES[self._kind] for path, model in source.paths if model and self._has(source, path)
        )
        calm = server_time - CALM if server_time is not None else None
        times = [since, calm, *(self._newest(model, *order) for model in models for order in NEWEST)]
        newest = max((moment for moment in times if moment is not None), default=None)
        return newest if newest is None or server_time is None else min(newest, server_time)

    def _newest(self, model: str, stamp: str, order: str) -> datetime | None:
        rows = self._client.search_read(model, [], [stamp], limit=1, order=[[stamp, order]])
        return moment_of(rows[0].get(stamp)) if rows else None

    def _count(self, place: Place, since: datetime | None) -> tuple[dict[str, Census], tuple[Range, ...]]:
        census: dict[str, Census] = {}
        again: list[Range] = []
        for source in STAGES[self._kind]:
            for model, field, owner in source.belongings:
                if model == "commission.agent.selection" and not self._has(source, "agents"):
                    continue
                census[model], lost = Counter(self._client, model, field, owner).look(place.census.get(model), since)
                again += [part for part in lost if part not in again]
        return census, tuple(again)

    @staticmethod
    def day_of(client: Client) -> str:
        """The server's date."""
        return _day(client.call("model.ir.date.today", client.context())) or ""

    # -- what is asked -------------------------------------------------------------------------------------------------

    def _has(self, source: Source, path: str) -> bool:
        """Whether the modules that are active there bring this field."""
        return not path or path.partition(".")[0] in self._client.fields(source.model)

    def _domain(self, source: Source, more: Sequence[Domain]) -> Domain:
        only = always(source, self._client.context())
        since = self.since
        if since is None:
            return only
        changed = [
            clause for path, _ in source.paths if self._has(source, path) for clause in written_since(path, since)
        ]
        return [*only, ["OR", *changed, *more, *(_within(source.owner, part) for part in self.place.again)]]


def always(source: Source, context: Row) -> Domain:
    """The clauses that hold for every row of a source."""
    company: Domain = [["company", "=", context["company"]]] if source.company else []
    return [*([list(source.only)] if source.only else []), *company]


def _within(owner: str, part: Range) -> Domain:
    first, end = part
    clause: Domain = [[owner, ">=", first]]
    return clause if end is None else [*clause, [owner, "<", end]]


def _day(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return "-".join(f"{value.get(part):02d}" for part in ("year", "month", "day") if isinstance(value.get(part), int))
