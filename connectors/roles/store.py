"""A source of web orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from connectors.roles.common import Finding, Page
from core.keys import Change, Key
from mapping.canonical import SalesOrder


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that would be written to a store so that it delivers to us again."""

    subject: str
    message: str
    """What would be done."""
    step: Mapping[str, Any]
    """How, in the store's own words; holds no secret."""


Numbering = Literal["sequential", "free", "auto"]
"""How order numbers run: one after the other (a missing one is a missing order); as they like; auto: as they look."""


@dataclass(frozen=True, slots=True)
class Request:
    """An incoming HTTP request as received. Header names are lower case."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@runtime_checkable
class Store(Protocol):
    """A source of web orders."""

    name: str
    pollable: bool
    """`changes_since` and `fetch` work (an order form has nothing to ask)."""

    def receive(self, request: Request) -> Sequence[Change]:
        """Verify a delivery over its raw bytes and take out key, stamp and raw. No mapping. Raises `Rejected`.

        An empty sequence is a genuine delivery that says nothing (a ping).
        """
        ...

    def accepts_deliveries(self) -> bool:
        """False without a secret: the endpoint does not exist (404)."""
        ...

    def changes_since(self, cursor: str | None, *, until: datetime | None = None) -> Iterator[Page]:
        """Orders changed since the cursor (None: from now minus the configured look-back), oldest modification first."""
        ...

    def orders_between(self, since: datetime, until: datetime) -> Iterator[Page]:
        """Orders *placed* in the half-open interval, oldest first, any status: for backfill."""
        ...

    def fetch(self, key: Key) -> Change:
        """The record's present state. Raises `NotThere`."""
        ...

    def find_by_number(self, number: str) -> Change | None:
        """The order that people call `number`."""
        ...

    def order(self, key: Key, raw: bytes) -> SalesOrder:
        """Map raw to canonical; raises `Held` with the field at fault."""
        ...

    def check(self) -> Sequence[Finding]:
        """Address, credentials, rights, clock, webhooks. Writes nothing."""
        ...

    def webhook_status(self) -> Sequence[Finding]:
        """Whether the store's webhooks are there and alive."""
        ...

    def repairs(self, *, renew_secret: bool = False) -> Sequence[Repair]:
        """What would bring its webhooks back to us; reads only. `renew_secret`: also give our secret to those that live."""
        ...

    def repair(self, repair: Repair) -> Finding:
        """Carry one out, and how it stands then. A write: needs a guard. Raises `ConfigurationProblem` without the right."""
        ...

    def numbering(self, key: Key, number: str) -> Numbering:
        """How the number of this order came about."""
        ...

    def schema(self) -> Mapping[str, Any] | None:
        """The documented JSON Schema of deliveries, if the format is ours to define."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...
