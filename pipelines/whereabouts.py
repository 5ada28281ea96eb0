"""Where one order is: in its store, in every target, with all that came in and everything that was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.roles import Addressed
from core.keys import Key
from ledger.inbox import Record
from ledger.jobs import JobView
from ledger.links import Link
from ledger.search import Search
from pipelines.context import Context

KINDS = ("order", "invoice")
"""Kinds of links that carry the order's own key."""


@dataclass(frozen=True, slots=True)
class Place:
    """A record over there. `url` opens it in a browser, "" where nobody can tell."""

    target: str
    kind: str
    state: str
    number: str
    remote_id: str
    origin: str
    url: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """One order everywhere. `record`: None when only its job is known; `url` opens it in its store."""

    key: Key
    number: str
    record: Record | None
    url: str
    jobs: Sequence[JobView]
    places: Sequence[Place]
    events: Sequence[Mapping[str, Any]]


def of(context: Context, search: Search, key: Key) -> Whereabouts:
    """Everything we know of this record."""
    record = context.ledger.inbox.record(key)
    jobs = search.of_record(key)
    targets = {*context.crms, *(job.target for job in jobs)}
    number = (record.number if record else "") or next((job.number for job in jobs if job.number), "")
    return Whereabouts(
        key=key,
        number=number or key.id,
        record=record,
        url=address(context.stores.get(key.connection), key.kind, key.id),
        jobs=jobs,
        places=places(context, key, sorted(targets)),
        events=list(reversed(context.ledger.inbox.events(key))),
    )


def places(context: Context, key: Key, targets: Sequence[str]) -> list[Place]:
    """What the order became in each of these systems."""
    found: list[Place] = []
    for target in targets:
        for kind in KINDS:
            link = context.ledger.links.get(target, kind, str(key))
            if link is not None:
                found.append(_place(context, link))
    return found


def _place(context: Context, link: Link) -> Place:
    url = address(context.crms.get(link.target), link.kind, link.remote_id) if link.linked else ""
    return Place(link.target, link.kind, link.state, link.remote_number, link.remote_id, link.origin, url)


def address(system: object, kind: str, record_id: str) -> str:
    """Where a person opens this record; only http and https, whatever a connector says."""
    if not isinstance(system, Addressed) or not record_id:
        return ""
    url = system.web_page(kind, record_id)
    return url if url.startswith(("https://", "http://")) else ""
