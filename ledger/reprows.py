"""What is kept of sales reps, as rows: the words of `ledger.reps`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core.clock import from_micros
from ledger import tables as t

CHUNK: Final = 300
Facts = Mapping[str, Any]
"""JSON: the fields of the canonical model, as far as they are said."""
What = Literal["rep", "agency", "region", "customer", "all"]
Told = Literal["erp", "own"]
"""Who says it: the ERP, or people here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rep, agency or region: what the ERP tells of it and what people entered."""

    source: str
    code: str
    agency: str = ""
    """Of a rep."""
    erp: Facts = field(default_factory=dict)
    own: Facts = field(default_factory=dict)
    owner: str = ""
    """Of a rep: its name in the CRM's owners table, as entered by people."""
    updated_at: datetime | None = None
    updated_by: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """What counts."""
        return {**self.erp, **self.own}


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """A rep is away."""

    rep: str
    first: date
    last: date | None = None
    deputy: str = ""
    agency: str = ""
    id: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """Entered by people, a file or a run. `origin`: hand, csv or run:<number>."""

    subject: str
    subject_id: str
    rep: str
    agency: str = ""
    role: str = "primary"
    rank: int = 0
    first: date | None = None
    last: date | None = None
    origin: str = "hand"
    id: int = 0
    by: str = ""
    instead_of: str = ""
    """Code of the rep whose assignments to this subject are taken over."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Whoever changes this has to look at the customer again. `code`: a rep's code or a region's id."""

    what: Literal["rep", "region"]
    code: str
    agency: str = ""


@dataclass(frozen=True, slots=True)
class StoredCard:
    """What was answered for a customer last."""

    source: str
    customer: str
    name: str
    region: str
    card: str
    """JSON as the portal shows it (mapping.cards); "" where the customer has none."""
    resolution: str
    """JSON: who, why, what was passed over (pipelines.repbook.told)."""
    digest: str
    """Of the card: another one is another card."""
    rep: str
    """Code of the primary rep; "" where nobody serves."""
    agency: str
    seen_on: date | None
    until: date | None
    """The first later day on which the answer may be another one."""
    changed_at: datetime
    """When the card became another one."""
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of one look at a customer; the words are those of `StoredCard`."""

    card: str
    digest: str
    seen_on: date
    until: date | None = None
    resolution: str = ""
    name: str = ""
    region: str = ""
    rep: str = ""
    agency: str = ""


@dataclass(frozen=True, slots=True)
class OrderRep:
    """Whose an imported order is, and why."""

    flow: str
    code: str
    name: str
    owner: str
    by: str
    """placed_by, ship_to, customer, region, team, default or nobody."""
    reason: str


@dataclass(frozen=True, slots=True)
class Owned:
    """Whom we gave a record of the CRM to last, and whom before that."""

    owner: str
    before: str = ""
    age: float = 0.0
    """Seconds since we did."""


def version_name(source: str) -> str:
    """The row of `cursor` that holds the directory's version."""
    return f"reps/{source}/version"


def touched_by(subject: str, subject_id: str) -> tuple[What, str]:
    """What an assignment touches."""
    if subject == "team":
        return "all", ""
    if subject == "region":
        return "region", subject_id
    # A ship-to is written `customer/ship-to`.
    return "customer", subject_id.partition("/")[0] if subject == "ship_to" else subject_id


def concerned(source: str, what: str, column: sa.ColumnElement[str], codes: Sequence[str]) -> sa.Select[tuple[str]]:
    """Customers whose concerns have one of these in this column."""
    table = t.rep_concern
    query = sa.select(table.c.customer).where(table.c.source == source, table.c.what == what, column.in_(codes))
    return query.distinct()


def chunks(values: Sequence[Any]) -> Iterable[Any]:
    """A few hundred at a time."""
    return (list(values[start : start + CHUNK]) for start in range(0, len(values), CHUNK))


def iso(day: date | None) -> str:
    """ISO date; "" for none."""
    return day.isoformat() if day is not None else ""


def day_of(text: str) -> date | None:
    """The date; None for ""."""
    return date.fromisoformat(text) if text else None


def entry_of(row: Row[Any], code: str, agency: str = "", owner: str = "") -> Entry:
    """A row of rep, agency or region."""
    erp, own = (json.loads(text) if text else {} for text in (row.erp, row.own))
    return Entry(row.source, code, agency, erp, own, owner, from_micros(row.updated_at), row.updated_by)


def assignment_of(row: Row[Any]) -> AssignmentRow:
    """A row of rep_assignment."""
    return AssignmentRow(
        row.subject,
        row.subject_id,
        row.rep,
        row.agency,
        row.role,
        row.rank,
        day_of(row.first),
        day_of(row.last),
        row.origin,
        row.id,
        row.created_by,
        row.instead_of,
    )


def assignment_values(source: str, row: AssignmentRow, now: int, by: str) -> dict[str, Any]:
    """The columns of an assignment."""
    return {
        "source": source,
        "subject": row.subject,
        "subject_id": row.subject_id,
        "agency": row.agency,
        "rep": row.rep,
        "role": row.role,
        "rank": row.rank,
        "first": iso(row.first),
        "last": iso(row.last),
        "origin": row.origin,
        "instead_of": row.instead_of,
        "created_at": now,
        "created_by": by[:120],
    }


def card_of(row: Row[Any]) -> StoredCard:
    """A row of rep_card."""
    return StoredCard(
        source=row.source,
        customer=row.customer,
        name=row.name,
        region=row.region,
        card=row.card,
        resolution=row.resolution,
        digest=row.digest,
        rep=row.rep,
        agency=row.agency,
        seen_on=day_of(row.seen_on),
        until=day_of(row.until),
        changed_at=from_micros(row.changed_at),
        updated_at=from_micros(row.updated_at),
    )
