"""Where customers see who serves them: a system that is told of their cards, one by one or in numbered files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from connectors.roles.common import Finding
from mapping.canonical import Agency, ErpCustomer, SalesRep
from mapping.cards import Card

FileKind = Literal["customers", "contacts"]
FileMode = Literal["full", "net"]


@dataclass(frozen=True, slots=True)
class Publication:
    """What a portal is told of one customer. The card holds only what may leave the house."""

    source: str
    """Connection of the ERP whose customer this is."""
    customer: ErpCustomer
    card: Card
    gone: bool = False
    """The customer is not there any more, or no customer any more."""


@dataclass(frozen=True, slots=True)
class RepContact:
    """A rep as a portal keeps people: the contact of a business."""

    rep: SalesRep
    agency: Agency | None = None
    """None: the own company, where the directory has no entry for it."""


@dataclass(frozen=True, slots=True)
class PortalFile:
    """One file of a portal that takes numbered files. `mark` is this very file's own: another one of the same number that
    was made elsewhere (a ledger set back to an older backup) is told apart by it.
    """

    sequence: int
    kind: FileKind
    mode: FileMode
    mark: str


class Portal(Protocol):
    """Where cards are shown. `CardPortal` and `FilePortal` say how it is told."""

    name: str

    def digest(self, publication: Publication) -> str:
        """Of everything that would be sent: equal digests mean nothing to do. At most 64 characters. Pure."""
        ...

    def check(self) -> Sequence[Finding]:
        """Whether cards could be handed over, without handing one over."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...


@runtime_checkable
class CardPortal(Portal, Protocol):
    """Takes the cards one by one. Telling twice is harmless: the later one counts, and `id` tells the receiver."""

    def publish(self, publication: Publication, *, id: str, version: int) -> None:
        """Hand one card over. A write. `id` is the same whenever the same state is told again; `version` grows with every
        state of this customer, so that a late one is seen to be late. Raises `RetryLater`, `Ambiguous`, `Held`.
        """
        ...


@runtime_checkable
class FilePortal(Portal, Protocol):
    """Takes numbered files, processed in the order of their numbers. A file is staged where the portal does not look, then
    released: that it is staged no more proves that it was released, also when the portal has taken it since.
    """

    first: int
    """The number of the first file ever."""
    gather: float
    """Seconds between two `net` files at least: what changes meanwhile comes in one."""

    def contact_digest(self, contact: RepContact) -> str:
        """As `digest`, for a rep. Pure."""
        ...

    def stage_customers(self, file: PortalFile, rows: Iterable[Publication]) -> int:
        """Write the file aside, durably, over an earlier try of it; how many rows. Raises `Held` where the number was used
        before by another file.
        """
        ...

    def stage_contacts(self, file: PortalFile, rows: Iterable[RepContact]) -> int:
        """The same for reps."""
        ...

    def release(self, file: PortalFile) -> bool:
        """Give a staged file to the portal, durably; False when it had been given before. Raises `Held` where a file of that
        name lies there, which is never overwritten.
        """
        ...
