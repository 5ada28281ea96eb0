"""One search box over jobs and orders: bare text is any number or id that people have, qualifiers narrow down.

`1001`, `shop/order/1001`, `SO17`, `state:held flow:shop-orders error:"rate limit" since:2h`. Everything that is asked of the
database is answered by an index, or by the newest `WITHIN` jobs: a page never waits for a walk through a million rows.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import sqlalchemy as sa

from core.clock import from_micros, parse_utc, to_micros
from core.keys import Key
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.jobs import STATES, JobView, view_of

PAGE: Final = 50
COUNTED: Final = 1000
"""Counts above this are shown as "1,000+": nobody reads more, and counting a million rows takes seconds."""
WITHIN: Final = 50_000
"""Where no index answers (a flow, a class of error), so many of the newest jobs are looked at."""
MOST_PLACES: Final = 500
LARGEST_ID: Final = 2**63 - 1
LONGEST: Final = 300
_TOKEN: Final = re.compile(r'([A-Za-z]{1,12}):"([^"]*)"?|([A-Za-z]{1,12}):(\S*)|"([^"]*)"?|(\S+)')
_SPAN: Final = re.compile(r"(\d{1,6})(m|h|d|w)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NOT_TEXT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
PLACES_AGE: Final = 10.0
"""Seconds that the list of flows and connections with jobs is good for."""
QUALIFIERS: Final = ("state", "flow", "error", "since", "order")


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for. `text`: numbers or ids; `problems`: what could not be understood, in sentences."""

    text: str = ""
    state: str = ""
    flow: str = ""
    error: str = ""
    since: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def narrowed(self) -> bool:
        """Whether anything is asked beyond "the newest"."""
        return bool(self.text or self.state or self.flow or self.error or self.since)


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


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found. `why`: what matched (number, id, key, or the CRM's number)."""

    key: Key
    number: str
    why: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery with its body."""

    id: int
    key: Key
    raw: bytes | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution. `waited`: seconds since the one before ended, None for the first one."""

    started_at: datetime
    ended_at: datetime
    waited: float | None
    outcome: str
    error_class: str
    message: str
    worker: str
    correlation: str
    calls: Sequence[Mapping[str, Any]]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max((self.ended_at - self.started_at).total_seconds(), 0.0)


def _attempt(row: Any, before: Any) -> Attempt:
    return Attempt(
        started_at=from_micros(row.started_at),
        ended_at=from_micros(row.ended_at),
        waited=None if before is None else max(row.started_at - before.ended_at, 0) / SECOND,
        outcome=row.outcome,
        error_class=row.error_class,
        message=row.message,
        worker=row.worker,
        correlation=row.correlation,
        calls=json.loads(row.calls) if row.calls else (),
    )


def parse(text: str, now: datetime | None = None) -> Query:
    """The box's text (pure; never raises). What looks like a qualifier and is none is text like any other."""
    query, words = Query(), list[str]()
    for match in _TOKEN.finditer(_NOT_TEXT.sub(" ", text)[:LONGEST]):
        name = (match[1] or match[3] or "").lower()
        value = (match[2] if match[1] else match[4] if match[3] else match[5] or match[6]) or ""
        if name == "order":
            words.append(value)
        elif name in QUALIFIERS:
            query = narrow(query, name, value, now)
        else:
            words.append(match[0] if name else value)
    return replace(query, text=" ".join(word for word in words if word).strip())


def narrow(query: Query, name: str, value: str, now: datetime | None = None) -> Query:
    """The query with one qualifier more; an empty value asks for nothing."""
    value = _NOT_TEXT.sub(" ", value).strip()[:LONGEST]
    if not value:
        return query
    if name == "state":
        if value.lower() in STATES:
            return replace(query, state=value.lower())
        return _with_problem(query, f"There is no state {value!r}: use one of {', '.join(STATES)}.")
    if name == "since":
        moment = since(value, now or datetime.now(UTC))
        if moment is None:
            return _with_problem(query, f"{value!r} is no time: use 30m, 2h, 3d or a day like 2026-03-01.")
        return replace(query, since=moment)
    return replace(query, flow=value) if name == "flow" else replace(query, error=value)


def _with_problem(query: Query, sentence: str) -> Query:
    return replace(query, problems=(*query.problems, sentence))


def since(text: str, now: datetime) -> datetime | None:
    """`2h` before now, or a day or time; None for anything else (pure)."""
    span = _SPAN.fullmatch(text.lower())
    try:
        if span:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        return parse_utc(text)
    except (ValueError, OverflowError):
        return None


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


class Search:
    """Reading only."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._known: tuple[float, list[tuple[str, str, str]]] = (0.0, [])

    # -- jobs ------------------------------------------------------------------------------------------------------

    def jobs(self, query: Query, *, after: str = "", limit: int = PAGE) -> Listing:
        """Jobs that match: held ones first where no state is asked for, then the newest. `after`: where the page before
        ended.
        """
        if query.text:
            return Listing(self._by_text(query, limit))
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
        statement = sa.select(t.job).where(job.state == state, *self._narrowing(query))
        if cursor.moment is not None:
            before = (job.updated_at < cursor.moment) | ((job.updated_at == cursor.moment) & (job.id < cursor.id))
            statement = statement.where(job.updated_at <= cursor.moment, before)
        partial = bool(query.flow or query.error)
        if partial:
            statement = statement.where(job.updated_at >= self._horizon(state))
        rows = self.db.rows(statement.order_by(job.updated_at.desc(), job.id.desc()).limit(limit + 1))
        more = f"s.{rows[limit - 1].updated_at}.{rows[limit - 1].id}" if len(rows) > limit else ""
        return Listing([view_of(row) for row in rows[:limit]], more, partial=partial and self._large(state))

    def _others(self, query: Query, cursor: _Cursor, limit: int) -> Listing:
        """All but the held ones, the newest first."""
        job = t.job.c
        statement = sa.select(t.job).where(job.state != "held", *self._narrowing(query))
        if cursor.id:
            statement = statement.where(job.id < cursor.id)
        partial = bool(query.flow or query.error or query.since)
        if partial:
            statement = statement.where(job.id > self._newest_id() - WITHIN)
        rows = self.db.rows(statement.order_by(job.id.desc()).limit(limit + 1))
        more = f"o.{rows[limit - 1].id}" if len(rows) > limit else ""
        return Listing([view_of(row) for row in rows[:limit]], more, partial=partial and self._newest_id() > WITHIN)

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
        """When the last of the newest `WITHIN` jobs of this state changed."""
        query = sa.select(t.job.c.updated_at).where(t.job.c.state == state)
        rows = self.db.rows(query.order_by(t.job.c.updated_at.desc()).offset(WITHIN).limit(1))
        return int(rows[0].updated_at) if rows else 0

    def _large(self, state: str) -> bool:
        return self._horizon(state) > 0

    def _by_text(self, query: Query, limit: int) -> list[JobView]:
        """The jobs of every record that this text names, and the job of this number itself where nothing else has it."""
        hits = self.records(query.text)
        found = {job.id: job for hit in hits for job in self.of_record(hit.key)}
        wanted = [
            job
            for job in found.values()
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
                    sa.select(sa.literal(1).label("one")).where(t.job.c.state == state).limit(COUNTED + 1).subquery()
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

    # -- one job -------------------------------------------------------------------------------------------------------

    def attempts(self, job_id: int, limit: int = 30) -> tuple[list[Attempt], int]:
        """Its last executions, the newest first, and how many there are in all (up to 1,000)."""
        mine = t.attempt.c.job_id == job_id
        rows = self.db.rows(sa.select(t.attempt).where(mine).order_by(t.attempt.c.token.desc()).limit(limit + 1))
        some = sa.select(sa.literal(1).label("one")).where(mine).limit(COUNTED).subquery()
        number = int(self.db.rows(sa.select(sa.func.count().label("n")).select_from(some))[0].n)
        pairs = zip(rows, [*rows[1:], None], strict=False)
        return [_attempt(row, before) for row, before in pairs][:limit], number

    def event(self, event_id: int) -> Event | None:
        """One delivery, as it was received."""
        if not 0 < event_id <= LARGEST_ID:
            return None
        rows = self.db.rows(sa.select(t.event).where(t.event.c.id == event_id))
        if not rows:
            return None
        row = rows[0]
        return Event(row.id, Key(row.connection, row.kind, row.record_id), row.raw, from_micros(row.received_at))

    # -- records ---------------------------------------------------------------------------------------------------

    def records(self, text: str, limit: int = 20) -> list[Hit]:
        """Records that people call by this text: an order number, the store's id, a key, the number of what was made of it in
        a target system.
        """
        text = _NOT_TEXT.sub("", text).strip().lstrip("#")
        if not text or len(text) > LONGEST:
            return []
        found = self._of_key(text) or [*self._of_number(text, limit), *self._of_target(text, limit)]
        return list(dict.fromkeys(found))[:limit]

    def _of_key(self, text: str) -> list[Hit]:
        try:
            key = Key.parse(text)
        except ValueError:
            return []
        jobs = self.of_record(key)
        if jobs:
            return [Hit(key, jobs[0].number, "key")]
        rows = self.db.rows(
            sa.select(t.record.c.number).where(
                t.record.c.connection == key.connection, t.record.c.kind == key.kind, t.record.c.record_id == key.id
            )
        )
        return [Hit(key, rows[0].number, "key")] if rows else []

    def _of_number(self, text: str, limit: int) -> list[Hit]:
        """By number (of record or job) and by the store's id: three looks into indexes, in one question."""
        names = ("connection", "kind", "record_id", "number")
        job = t.job.c
        parts = [
            sa.select(*(t.record.c[name] for name in names)).where(t.record.c.number == text),
            sa.select(*(job[name] for name in names)).where(job.number == text),
            sa.select(*(job[name] for name in names)).where(self._ids([text])),
        ]
        rows = [(row, part is parts[2]) for part in parts for row in self.db.rows(part.limit(limit))]
        found: dict[Key, Hit] = {}
        for row, by_id in rows:
            key = Key(row.connection, row.kind, row.record_id)
            if key not in found or (row.number and not found[key].number):
                found[key] = Hit(key, row.number, "id" if by_id and row.number != text else "number")
        return list(found.values())

    def _of_target(self, text: str, limit: int) -> list[Hit]:
        """By the number that the order or invoice has over there."""
        query = (
            sa.select(t.link.c.key).where(t.link.c.remote_number == text, sa.text("remote_number <> ''")).limit(limit)
        )
        found = []
        for row in self.db.rows(query):
            key = record_key(row.key)
            jobs = self.of_record(key) if key is not None else []
            if key is not None and jobs:
                found.append(Hit(key, jobs[0].number, "target"))
        return found

    def of_record(self, key: Key) -> list[JobView]:
        """Every job of one record, over all flows."""
        job = t.job.c
        query = sa.select(t.job).where(job.connection == key.connection, job.kind == key.kind, self._ids([key.id]))
        return [view_of(row) for row in self.db.rows(query.order_by(job.id).limit(100))]

    def _ids(self, ids: Sequence[str]) -> sa.ColumnElement[bool]:
        """Jobs of records with these ids. The unique key of jobs begins with the flow: naming the few places where jobs are
        makes it answer, and spares an index on the busiest table.
        """
        job = t.job.c
        wanted = [(*place, id) for place in self._places() for id in ids]
        return sa.tuple_(job.flow, job.connection, job.kind, job.record_id).in_(wanted)

    def _places(self) -> list[tuple[str, str, str]]:
        """Every (flow, connection, kind) that jobs have, found by skipping from one to the next in the unique key."""
        read_at, places = self._known
        if time.monotonic() - read_at < PLACES_AGE and places:
            return places
        job, found = t.job.c, list[tuple[str, str, str]]()
        columns = (job.flow, job.connection, job.kind)
        query = sa.select(*columns).order_by(*columns).limit(1)
        rows = self.db.rows(query)
        while rows and len(found) < MOST_PLACES:
            found.append(tuple(rows[0]))
            rows = self.db.rows(query.where(sa.tuple_(*columns) > sa.tuple_(*(sa.literal(x) for x in found[-1]))))
        self._known = (time.monotonic(), found)
        return found


def record_key(key: str) -> Key | None:
    """The record that a link's key names; None for a customer's identity (`email/...`)."""
    try:
        return Key.parse(key)
    except ValueError:
        return None


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


def as_params(query: Query, **more: Any) -> dict[str, str]:
    """The query as parameters of an address, so that it can be kept and sent to somebody."""
    found = {
        "q": query.text,
        "state": query.state,
        "flow": query.flow,
        "error": query.error,
        "since": query.since.isoformat(timespec="seconds") if query.since else "",
        **{name: str(value) for name, value in more.items() if value},
    }
    return {name: value for name, value in found.items() if value}
