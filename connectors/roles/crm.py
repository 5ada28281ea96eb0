"""Where customers, orders and invoices end up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, Protocol, runtime_checkable

from connectors.roles.common import Finding, Ref, Written
from mapping.canonical import Account, Contact, Lead, Party, Probe, SalesOrder


class Tier(StrEnum):
    """How strong a CRM's creation is: what may be done when the answer to one was lost."""

    UPSERT = "A"
    """An atomic upsert on our external id: it is sent again at once, without looking."""
    REFUSES_DUPLICATES = "B"
    """A second record with our external id is refused: look and try again at once."""
    NOTHING = "C"
    """Two creates make two records: wait until the first must have landed, look, then create."""


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
class CrmOrderRow:
    """An order as the CRM lists it, also one that people typed there."""

    ref: Ref
    external_id: str
    """"" where it carries none: nobody has linked it yet."""
    subject: str
    purchase_order: str
    customer_number: str
    account_id: str
    total: Decimal
    """As the CRM has it, not rounded: compare it at the currency's decimals. NaN where it is no number."""
    currency: str
    """ISO code; "" for a currency that the connection's table does not have."""
    status: str
    placed: date | None
    """The order's date as people gave it, where the CRM keeps one."""
    created: datetime
    """When the record was made over there."""
    modified: datetime


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who touched a record over there last, and when (by its own clock, whose resolution may be a second)."""

    created: datetime
    modified: datetime
    by: str = ""
    """The user's id; "" where the CRM does not tell."""
    ours: bool | None = None
    """Whether that is the user we log in as; None where it cannot be told."""


RecordKind = Literal["account", "contact", "lead", "order", "invoice"]


OWNED: Final = frozenset({
    "status", "owner", "contact", "account", "billing", "shipping", "delivery_method", "payment_method", "notes",
    "purchase_order", "subject", "custom", "lines",
})  # fmt: skip
"""The parts of an order that can have an owner. `lines` is all of the money: lines, taxes, shipping, currency."""


ASKED: Final = frozenset({"lines", "billing", "shipping", "delivery_method", "payment_method", "purchase_order"})
"""The parts that belong to whoever changed them, unless configuration says otherwise."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose the parts of an order (words of OWNED) are when it is updated. What is named nowhere is the store's."""

    keep: frozenset[str] = frozenset({"owner"})
    """Never sent: what people made of it over there stays."""
    fill: frozenset[str] = frozenset()
    """Sent only while it is empty over there."""
    ask: frozenset[str] = ASKED
    """Sent while the CRM shows what we wrote; changed on both sides: a person decides. What is kept or filled has no say."""

    def __post_init__(self) -> None:
        if unknown := (self.keep | self.fill | self.ask) - OWNED:
            raise ValueError(f"not parts of an order: {', '.join(sorted(unknown))}")


USUAL: Final = Ownership()
"""The store wins, but whom people gave an order to keeps it."""


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
    zone: str = "UTC"
    """The seller's time zone, by which invoices are dated."""


@dataclass(frozen=True, slots=True)
class CrmCapabilities:
    """What this CRM, as configured and as `check` found it, can do."""

    converts_leads: bool
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

    def creation(self, kind: str) -> Tier:
        """How strong the creation of this kind (account, contact, lead, order, invoice) is as this CRM is set up now; C for
        any other kind and wherever nothing can be told. Found out without writing; may call out, then cached.
        """
        ...

    def check(self) -> Sequence[Finding]:
        """Login, rights, fields, owners, taxes, decimals. Writes nothing."""
        ...

    def check_order_words(self, refs: OrderRefs, order: SalesOrder) -> None:
        """Before anything is written: owner known, status and other picklist words exist. Raises `Held`."""
        ...

    def order_word(self, refs: OrderRefs, order: SalesOrder) -> str:
        """The word for where the order stands that creating or updating it sends. Calls nobody."""
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

    def update_order(self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> Written:
        """Bring an existing sales order to this state, as far as it is the store's."""
        ...

    def all_orders(self, since: datetime) -> Iterator[Sequence[CrmOrderRow]]:
        """Every order created over there since, hand-typed ones too: bounded pages, oldest first, each order once."""
        ...

    def stamp_order(self, ref: Ref, external_id: str) -> Written:
        """Write our external id onto an order that is there, touching nothing else. Raises `Held` (class
        "duplicate/conflict") where it carries another one.
        """
        ...

    def record_stamp(self, kind: RecordKind, record_id: str) -> Stamp | None:
        """When a record was touched last, and by whom; None: it is gone."""
        ...

    def delete(self, kind: RecordKind, record_id: str) -> None:
        """Delete a record; one that is gone is fine. Only for undoing what a run of ours created."""
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

    def payload_fingerprint(self, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> str:
        """A digest of what would be written, without what is kept: equal digests mean nothing to do."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...

    def order_total(self, ref: Ref) -> tuple[Decimal, str] | None:
        """Grand total and status word of an order as the CRM has it now; None if it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class OwnedRecord:
    """A record of the CRM and whose it is."""

    kind: RecordKind
    ref: Ref
    owner: str
    """The CRM's own id of the user or group; "" for nobody."""
    names: frozenset[str] = frozenset()
    """What the connection's owners table calls that one; a table may have several names for it, or none."""
    ours: bool = False
    """It is the user we log in as: whoever imported the record, nobody chose."""


@runtime_checkable
class Owning(Protocol):
    """A CRM in which records belong to users or groups."""

    def owned_records(self, account_id: str, kinds: Collection[RecordKind]) -> Sequence[OwnedRecord] | None:
        """The account, its contacts and its open orders, as far as asked, with their owners. None: the account is gone."""
        ...

    def assign_owner(self, record: OwnedRecord, owner: str) -> Written:
        """Give one record to a user or group, touching nothing else. `owner`: a name in the owners table; raises `Held` for
        another one.
        """
        ...


@dataclass(frozen=True, slots=True)
class CustomerNote:
    """Something a customer asks for, to be put on their account. Plain text, already without what acts in a terminal or page."""

    external_id: str
    title: str
    """One line."""
    text: str
    at: datetime
    """When it was asked for."""


@runtime_checkable
class Noting(Protocol):
    """A CRM that takes activities on accounts. `Crm.creation("request")` says how strong their creation is."""

    def find_request(self, note: CustomerNote, account_ids: Sequence[str]) -> Sequence[Ref]:
        """The activities with this external id on these accounts, oldest first."""
        ...

    def log_request(self, note: CustomerNote, account_id: str, owner: str) -> Written:
        """Create an activity on the account, assigned to this owner (a name in the owners table; raises `Held` for another)."""
        ...
