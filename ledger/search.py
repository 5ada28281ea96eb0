"""Jobs and records as people look for them: by state, flow, class of error, or by any number, id or address they have.

Everything that is asked of the database is answered by an index, or by the newest `WITHIN` jobs: a page never waits for a walk
through a million rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final

import sqlalchemy as sa

from core.clock import to_micros
from ledger import tables as t
from ledger.history import COUNTED, LARGEST_ID, Attempt, Event, History
from ledger.jobs import STATES, JobView, view_of
from ledger.query import LONGEST, QUALIFIERS, Query, as_params, narrow, parse, since
from ledger.records import Hit, Records, record_key

__all__ = [
    "COUNTED",
    "LARGEST_ID",
    "LONGEST",
    "PAGE",
    "QUALIFIERS",
    "WITHIN",
    "Attempt",
    "Event",
    "Hit",
    "Listing",
    "Member",
    "Query",
    "Search",
    "as_params",
    "member",
    "money_of",
    "narrow",
    "parse",
    "record_key",
    "since",
]

PAGE: Final = 50
WITHIN: Final = 50_000
"""Where no index answers (a flow, a class of error), so many of the newest jobs are looked at."""
NEWEST: Final = 60.0
"""Seconds that is remembered from where on they are the newest."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of jobs. `after`: the cursor of the next page, "" for none; `partial`: only the newest jobs were looked at."""

    jobs: Sequence[JobView]
    after: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One job of a bulk action."""

    id: int
    number: str = ""
    amount: str = ""
    currency: str = ""


def money_of(members: Sequence[Member] | Sequence[JobView]) -> dict[str, Decimal]:
    """Amounts by currency, exact."""
    found: dict[str, Decimal] = {}
    for one in members:
        if one.currency and one.amount:
            try:
                found[one.currency] = found.get(one.currency, Decimal(0)) + Decimal(one.amount)
            except InvalidOperation:
                continue
    return dict(sorted(found.items()))


class Search(Records, History):
    """Reading only."""

    # -- jobs ------------------------------------------------------------------------------------------------------

    def jobs(self, query: Query, *, after: str = "", limit: int = PAGE) -> Listing:
        """Jobs that match: held ones first where no state is asked for, then the newest. `after`: where the page before
        ended.
        """
        if query.text:
            return Listing(self._by_text(query, limit))
        if query.flow and not self.has_jobs(query.flow):
            return Listing([])
        cursor = _Cursor.parse(after)
        if query.state:
            return self._in_state(query, query.state, cursor, limit)
        if cursor.phase == "o":
            return self._others(query, cursor, limit)
        held = self._in_state(query, "held", cursor, limit)
        if held.after or len(held.jobs) == limit:
            return replace(held, after=held.after or "o")
        others = self._others(query, _Cursor("o"), limit - len(held.jobs))
        return Listing([*held.jobs, *others.jobs], others.after, partial=others.partial)

    def _in_state(self, query: Query, state: str, cursor: _Cursor, limit: int) -> Listing:
        """The last changed first."""
        job = t.job.c
        statement = sa.select(t.job).where(job.state == _written(state), *self._narrowing(query))
        if cursor.moment is not None:
            before = (job.updated_at < cursor.moment) | ((job.updated_at == cursor.moment) & (job.id < cursor.id))
            statement = statement.where(job.updated_at <= cursor.moment, before)
        horizon = 0
        if query.flow or query.error:
            horizon = self.kept(f"horizon/{state}", lambda: self._horizon(state), age=NEWEST)
            statement = statement.where(job.updated_at >= horizon)
        rows = self.db.rows(statement.order_by(job.updated_at.desc(), job.id.desc()).limit(limit + 1))
        more = f"s.{rows[limit - 1].updated_at}.{rows[limit - 1].id}" if len(rows) > limit else ""
        return Listing([view_of(row) for row in rows[:limit]], more, partial=horizon > 0)

    def _others(self, query: Query, cursor: _Cursor, limit: int) -> Listing:
        """All but the held ones, the newest first."""
        job = t.job.c
        statement = sa.select(t.job).where(job.state != "held", *self._narrowing(query))
        if cursor.id:
            statement = statement.where(job.id < cursor.id)
        horizon = 0
        if query.flow or query.error or query.since:
            horizon = max(self._newest_id() - WITHIN, 0)
            statement = statement.where(job.id > horizon)
        rows = self.db.rows(statement.order_by(job.id.desc()).limit(limit + 1))
        more = f"o.{rows[limit - 1].id}" if len(rows) > limit else ""
        return Listing([view_of(row) for row in rows[:limit]], more, partial=horizon > 0)

    def _narrowing(self, query: Query) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        if query.flow:
            found.append(t.job.c.flow == query.flow)
        if query.error:
            found.append(t.job.c.error_class == query.error)
        if query.since:
            found.append(t.job.c.updated_at >= to_micros(query.since))
        return found

    def _newest_id(self) -> int:
        return int(self.db.rows(sa.select(sa.func.max(t.job.c.id).label("id")))[0].id or 0)

    def _horizon(self, state: str) -> int:
        """When the last of the newest `WITHIN` jobs of this state changed; 0: there are not so many."""
        query = sa.select(t.job.c.updated_at).where(t.job.c.state == _written(state))
        rows = self.db.rows(query.order_by(t.job.c.updated_at.desc()).offset(WITHIN).limit(1))
        return int(rows[0].updated_at) if rows else 0

    def _by_text(self, query: Query, limit: int) -> list[JobView]:
        """The jobs of every record that this text names, and the job of this number itself where nothing else has it."""
        wanted = [
            job
            for job in self._of_records([hit.key for hit in self.records(query.text)])
            if (not query.state or job.state == query.state)
            and (not query.flow or job.flow == query.flow)
            and (not query.error or job.error_class == query.error)
            and (query.since is None or job.updated_at >= query.since)
        ]
        return sorted(wanted, key=lambda job: (job.state != "held", -job.id))[:limit]

    def counts(self, states: Sequence[str] = STATES) -> dict[str, int]:
        """Jobs by state, at most `COUNTED` + 1 each."""
        parts = [
            sa.select(
                sa.literal(state).label("state"),
                sa.select(sa.func.count())
                .select_from(
                    sa.select(sa.literal(1).label("one"))
                    .where(t.job.c.state == _written(state))
                    .limit(COUNTED + 1)
                    .subquery()
                )
                .scalar_subquery()
                .label("number"),
            )
            for state in states
        ]
        return {row.state: int(row.number) for row in self.db.rows(sa.union_all(*parts))}

    def members(self, query: Query, limit: int) -> list[Member]:
        """Jobs that match and failed (held, or waiting after an error), for a bulk action."""
        states = [query.state] if query.state else ["held", "waiting"]
        found: list[Member] = []
        for state in states:
            asked, after = replace(query, state=state), ""
            while len(found) < limit:
                page = self.jobs(asked, after=after, limit=min(500, limit - len(found)))
                found += [member(job) for job in page.jobs if job.state == "held" or job.error_class]
                after = page.after
                if not after:
                    break
        return found[:limit]

    def by_ids(self, ids: Sequence[int]) -> list[JobView]:
        """These jobs, in this order."""
        rows = self.db.rows(sa.select(t.job).where(t.job.c.id.in_(list(ids))))
        found = {row.id: view_of(row) for row in rows}
        return [found[id] for id in ids if id in found]


def _written(state: str) -> sa.ColumnElement[str]:
    """The state as a part of the statement: a plan for any state (PostgreSQL) could not know how few have this one."""
    if state not in STATES:
        raise ValueError(state)
    return sa.literal_column(f"'{state}'")


def member(job: JobView) -> Member:
    """The job as a part of a bulk action."""
    return Member(job.id, job.number, job.amount, job.currency)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page ended: `s.<moment>.<id>` within a state, `o.<id>` among the others; anything else is the beginning."""

    phase: str = "s"
    moment: int | None = None
    id: int = 0

    @classmethod
    def parse(cls, text: str) -> _Cursor:
        phase, _, rest = text.partition(".")
        numbers = [int(part) for part in rest.split(".") if part.isascii() and part.isdecimal() and len(part) < 19]
        if phase == "s" and len(numbers) == 2:
            return cls("s", numbers[0], numbers[1])
        if phase == "o":
            return cls("o", None, numbers[0] if len(numbers) == 1 else 0)
        return cls()
