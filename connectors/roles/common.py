"""What every role uses: findings, pages of changes, records over there and what a write led to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from core.keys import Change

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `orderwire check`: what was looked at, how it stands, and what to do."""

    subject: str
    level: Level
    message: str
    what_to_do: str = ""


@runtime_checkable
class Addressed(Protocol):
    """A system whose records people open in a browser."""

    def web_page(self, kind: str, record_id: str) -> str:
        """Address of this record's page, found without asking the system; "" where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing, oldest first. `cursor` is opaque text to go on from once this page's changes are committed."""

    changes: Sequence[Change]
    cursor: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A record over there. `number` is what people call it there, `url` opens it in a browser."""

    id: str
    number: str = ""
    url: str = ""


Action = Literal["repaired", "warn", "hold"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that was sent and not kept. Values are shown to operators: never personal data beyond the field itself."""

    field: str
    sent: str
    got: str
    action: Action
    message: str
    """A sentence for the operator."""
    missing: bool = False
    """The field refers to a record, and there is none."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write led to: the record, and every field that did not arrive as sent."""

    ref: Ref
    differences: tuple[Difference, ...] = ()
    shown: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """Of an order: what is to be kept with its link (connectors.roles.amending); None: nothing new."""
    at: datetime | None = field(default=None, compare=False)
    """When it was written by the target's own clock, where it tells."""
