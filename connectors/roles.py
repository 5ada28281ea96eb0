"""The roles that outside systems play, as small Protocols. A system implements the ones it can play."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from core.keys import Change, Key
from mapping.canonical import Account, Contact, Lead, Party, Probe, SalesOrder

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `orderwire check`: what was looked at, how it stands, and what to do."""

    subject: str
    level: Level
    message: str
    what_to_do: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """An incoming HTTP request as received. Header names are lower case."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing, oldest first. `cursor` is opaque text to go on from once this page's changes are committed."""

    changes: Sequence[Change]
    cursor: str
    total: int | None = None


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

    def schema(self) -> Mapping[str, Any] | None:
        """The documented JSON Schema of deliveries, if the format is ours to define."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell people. `id` is the same whenever the same thing is told again (for the receiver to notice)."""

    id: str
    subject: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same facts for programs."""


@runtime_checkable
class Notifier(Protocol):
    """A way to reach people."""

    name: str

    def send(self, message: Message) -> None:
        """Hand the message over. Raises `RetryLater`, or `Held` that names the address that was refused."""
        ...

    def check(self) -> Sequence[Finding]:
        """Whether a message could be handed over, without sending one."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...


class Tier(StrEnum):
    """How strong a CRM's creation is."""

    UPSERT = "A"  # atomic upsert on a unique key
    REFUSES_DUPLICATES = "B"  # a duplicate create is refused
    NOTHING = "C"  # two creates make two records


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


@dataclass(frozen=True, slots=True)
class Converted:
    """The two records that a lead became."""

    account: Written
    contact: Written


@dataclass(frozen=True, slots=True)
class CrmProduct:
    """A product in the CRM. `taxes` are the tax slots that count for it there (vtiger: tax1, tax2, ...)."""

    id: str
    sku: str
    name: str = ""
    taxes: frozenset[str] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True)
class CrmOrder:
    """One of our orders as the CRM lists it."""

    external_id: str
    ref: Ref
    total: Decimal
    status: str


@dataclass(frozen=True, slots=True)
class OrderRefs:
    """Everything of an order that is a record in the CRM, and the flow's words for the CRM."""

    external_id: str
    account: str
    contact: str
    owner: str
    """Name in the connection's owners table (user or group)."""
    products: Mapping[str, CrmProduct] = field(default_factory=dict)
    """By SKU. A SKU that is missing here is parked: the line goes to `unknown_product` with its text."""
    status: str = ""
    """The CRM's own word, from the flow's table."""
    delivery_method: str = ""
    payment_method: str = ""
    notes: tuple[str, ...] = ()
    """Sentences for the order's description (parked lines, rounding, refunds)."""


@dataclass(frozen=True, slots=True)
class CrmCapabilities:
    """What this CRM, as configured and as `check` found it, can do."""

    converts_leads: bool
    tiers: Mapping[str, Tier] = field(default_factory=dict)
    """By kind: account, contact, lead, order, invoice."""
    lane_kinds: frozenset[str] = frozenset()
    """Kinds whose writes must go one at a time, across processes."""
    moves_stock_on_invoice: bool = False


@dataclass(frozen=True, slots=True)
class PartyPage:
    """Accounts and contacts changed in the CRM, and where to go on."""

    parties: Sequence[Party]
    cursor: str


@runtime_checkable
class Crm(Protocol):
    """Where customers, orders and invoices end up. Finding never writes; creating never looks (the ledger does both)."""

    name: str

    def capabilities(self) -> CrmCapabilities:
        """May call out once, then cached."""
        ...

    def check(self) -> Sequence[Finding]:
        """Login, rights, fields, owners, taxes, decimals. Writes nothing."""
        ...

    def check_order_words(self, refs: OrderRefs, order: SalesOrder) -> None:
        """Before anything is written: owner known, status and other picklist words exist. Raises `Held`."""
        ...

    def has_owner(self, name: str) -> bool:
        """Whether the owners table knows this name."""
        ...

    def parties_since(self, cursor: str | None) -> Iterator[PartyPage]:
        """All accounts and contacts (cursor None), or those changed since, with overlap; safe to read twice."""
        ...

    def find_customer(self, probe: Probe) -> Sequence[Party]:
        """Ask the CRM itself, with as few queries as possible (normally one). Raises when the answer cannot be trusted."""
        ...

    def get_party(self, kind: Literal["account", "contact"], record_id: str) -> Party | None:
        """One account or contact as it is now; None if it is gone."""
        ...

    def find_lead(self, external_id: str) -> Ref | None:
        """An unconverted lead of ours."""
        ...

    def create_lead(self, lead: Lead) -> Written:
        """Create a lead."""
        ...

    def convert_lead(self, lead: Ref, account: Account, contact: Contact) -> Converted:
        """Turn the lead into account and contact, both compared with what was sent."""
        ...

    def create_account(self, account: Account) -> Written:
        """Create an account. Raises `Held` (class "duplicate/conflict") when the CRM refuses the name as taken."""
        ...

    def create_contact(self, contact: Contact, account_id: str) -> Written:
        """Create a contact at an account."""
        ...

    def find_order(self, external_id: str) -> Sequence[Ref]:
        """Orders that carry this external id, oldest first (more than one is a double)."""
        ...

    def orders_since(self, since: datetime) -> Iterator[CrmOrder]:
        """Orders that carry an external id and were created over there since, oldest first; one may come twice."""
        ...

    def create_order(self, order: SalesOrder, refs: OrderRefs) -> Written:
        """Create a sales order whose total equals the order's to the cent."""
        ...

    def update_order(self, ref: Ref, order: SalesOrder, refs: OrderRefs) -> Written:
        """Bring an existing sales order to this state."""
        ...

    def find_invoice(self, external_id: str) -> Sequence[Ref]:
        """Invoices that carry this external id, oldest first."""
        ...

    def create_invoice(self, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Create the invoice of an order, from the order's own lines. `refs.external_id` is the invoice's."""
        ...

    def find_products(self, skus: Sequence[str]) -> Mapping[str, CrmProduct]:
        """Products by SKU; unknown ones are absent. Two products with one SKU: `Held`."""
        ...

    def payload_fingerprint(self, order: SalesOrder, refs: OrderRefs) -> str:
        """A digest of what would be written: equal digests mean nothing to do."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...

    def order_total(self, ref: Ref) -> tuple[Decimal, str] | None:
        """Grand total and status word of an order as the CRM has it now; None if it is gone."""
        ...
