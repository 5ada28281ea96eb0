"""vtiger in the role of the CRM."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from connectors.http import Http
from connectors.roles import (
    USUAL,
    Bill,
    ChangeKind,
    Comparison,
    Converted,
    CrmCapabilities,
    CrmOrder,
    CrmOrderRow,
    CrmPage,
    CrmProduct,
    CrmRow,
    CustomerNote,
    Difference,
    Finding,
    InvoiceWord,
    Issued,
    OrderRefs,
    OwnedRecord,
    Ownership,
    PartyPage,
    ProductStock,
    RecordKind,
    Ref,
    Shown,
    Stamp,
    StockPage,
    Tier,
    Written,
)
from connectors.vtiger import check, verify
from connectors.vtiger import query as q
from connectors.vtiger.amending import Amendments
from connectors.vtiger.bills import Bills
from connectors.vtiger.canary import Canary
from connectors.vtiger.changes import Changes
from connectors.vtiger.client import Client, Record
from connectors.vtiger.credits import Credits
from connectors.vtiger.describe import Modules
from connectors.vtiger.listing import Listing
from connectors.vtiger.orders import Document, Orders
from connectors.vtiger.owning import OwnersDesk
from connectors.vtiger.parties import Parties, PartyModule
from connectors.vtiger.preview import Preview
from connectors.vtiger.products import Products
from connectors.vtiger.requests import Requests
from connectors.vtiger.settings import Module, VtigerSettings
from connectors.vtiger.standing import MODULE_OF, Standing, amount
from connectors.vtiger.stock import Stock
from core.clock import Clock
from core.errors import Ambiguous, ConfigurationProblem
from mapping.canonical import Account, Contact, Lead, Party, Probe, SalesOrder
from mapping.vtiger import account_to_vtiger, clean_element, contact_to_vtiger, lead_to_vtiger
from mapping.vtiger.party import REQUIRED

PAGES: Final = {
    "order": "SalesOrder", "invoice": "Invoice", "account": "Accounts", "contact": "Contacts", "lead": "Leads",
}  # fmt: skip
PARTY_MODULE: Final[dict[str, PartyModule]] = {"account": "Accounts", "contact": "Contacts"}
NUMBERS: Final = {"Accounts": "account_no", "Contacts": "contact_no", "Leads": "lead_no"}


class VtigerCrm:
    """One vtiger install. Shared between threads; holds one session for all of them."""

    def __init__(self, settings: VtigerSettings, http: Http | None, clock: Clock) -> None:
        if http is None:
            raise ConfigurationProblem("A vtiger connection needs its transport. What to do: report this as a bug.")
        self.name = settings.name
        self.settings = settings
        self._http = http
        self._client = Client(settings, http)
        self._canary = Canary(self._client)
        self._modules = Modules(self._client, clock)
        self._products = Products(settings, self._client, clock, self._canary)
        self._parties = Parties(settings, self._client, self._modules, self._canary)
        self._orders = Orders(settings, self._client, self._modules, self._products, self._ref)
        self._bills = Bills(settings, self._client, self._modules, self._products, self._ref)
        self._credits = Credits(settings, self._client, self._modules, self._products, self._ref)
        self._amendments = Amendments(self._client, self._modules, self._orders)
        self._standing = Standing(settings, self._client, self._modules, self._canary, self._ref)
        self._preview = Preview(settings, self._client, self._credits, self._account_element, self._contact_element)
        self._owners = OwnersDesk(settings, self._client, self._modules, self._canary, self._orders.owner, self._ref)
        self._requests = Requests(self._client, self._modules, self._canary, self._orders.owner, self._ref)
        self._changes = Changes(settings, self._client, self._modules, self._canary, clock, self._ref)
        self._stock = Stock(settings, self._client, self._modules, self._canary, self._changes, clock, self._ref)
        self._converts: bool | None = None
        self._asking = threading.Lock()

    def close(self) -> None:
        """Close the connections. No logout: vtiger 8.2 dies of it, and sessions end by themselves."""
        self._http.close()

    def _ref(self, module: str, record: Record, number: str) -> Ref:
        id = str(record.get("id", ""))
        self._canary.lives(module, id)
        return Ref(id, str(record.get(number) or ""), self._page(module, id))

    def _page(self, module: str, id: str) -> str:
        return f"{self.settings.url}index.php?module={module}&view=Detail&record={q.crmid(id)}"

    def web_page(self, kind: str, record_id: str) -> str:
        """Where people see it."""
        module = PAGES.get(kind)
        return self._page(module, record_id) if module and record_id.partition("x")[2].isdecimal() else ""

    # -- what it can do -----------------------------------------------------------------------------------------------

    def capabilities(self) -> CrmCapabilities:
        return CrmCapabilities(
            converts_leads=self._converts_leads(),
            lane_kinds=frozenset({"order", "invoice", "credit", "stock"}),
            moves_stock_on_invoice=True,
        )

    def creation(self, kind: str) -> Tier:
        module = MODULE_OF.get(kind)
        if module is None or not self.settings.trust_unique:
            return Tier.NOTHING
        refuses = self._modules.get(module).refuses_equal(self.settings.external_field(module))
        return Tier.REFUSES_DUPLICATES if refuses else Tier.NOTHING

    def _converts_leads(self) -> bool:
        """Configured, or found out once per process without writing."""
        if self.settings.convert_leads != "auto":
            return self.settings.convert_leads == "yes"
        with self._asking:
            if self._converts is None:
                self._converts = self._client.lead_conversion_works(self._modules.get("Leads").prefix)
            return self._converts

    def check(self) -> Sequence[Finding]:
        return check.run(
            self.settings, self._client, self._modules, self._products, self._converts_leads, self.creation
        )

    def check_order_words(self, refs: OrderRefs, order: SalesOrder) -> None:
        self._orders.check_words(refs, order)

    def order_word(self, refs: OrderRefs, order: SalesOrder) -> str:
        return self._orders.status(refs, order)

    def has_owner(self, name: str) -> bool:
        return name in self.settings.owners

    # -- customers ----------------------------------------------------------------------------------------------------

    def parties_since(self, cursor: str | None) -> Iterator[PartyPage]:
        return self._parties.since(cursor)

    def find_customer(self, probe: Probe) -> Sequence[Party]:
        return self._parties.find(probe)

    def get_party(self, kind: Literal["account", "contact"], record_id: str) -> Party | None:
        record = self._client.retrieve(record_id)
        return None if record is None else self._parties.party(PARTY_MODULE[kind], record)

    def find_lead(self, external_id: str) -> Ref | None:
        found = self._by_external_id("Leads", external_id, "lead_no")
        return found[0] if found else None

    def create_lead(self, lead: Lead) -> Written:
        names = self._parties.fields("Leads")
        known = self._modules.knows_word("Leads", "leadsource", self.settings.lead_source)
        source = self.settings.lead_source if known else ""
        return self._create("Leads", lead_to_vtiger(lead, self._orders.owner(lead.owner), source, names))

    def create_account(self, account: Account) -> Written:
        return self._create("Accounts", self._account_element(account))

    def create_contact(self, contact: Contact, account_id: str) -> Written:
        return self._create("Contacts", self._contact_element(contact, account_id))

    def _account_element(self, account: Account) -> dict[str, Any]:
        return account_to_vtiger(account, self._orders.owner(account.owner), self._parties.fields("Accounts"))

    def _contact_element(self, contact: Contact, account_id: str) -> dict[str, Any]:
        owner = self._orders.owner(contact.owner)
        return contact_to_vtiger(contact, owner, account_id, self._parties.fields("Contacts"))

    def _create(self, module: Literal["Accounts", "Contacts", "Leads"], raw: Mapping[str, Any]) -> Written:
        self._require_fields(module)
        element, cuts = clean_element(raw, REQUIRED)
        answer = self._client.create(module, element)
        return self._compared(module, element, verify.cut_differences(cuts), answer)

    def _require_fields(self, module: Literal["Accounts", "Contacts", "Leads"]) -> None:
        names = self._parties.fields(module)
        self._modules.require_fields(module, (names.external_id, names.vat, names.erp_number))

    def _compared(
        self,
        module: Literal["Accounts", "Contacts", "Leads"],
        element: Mapping[str, Any],
        before: tuple[Difference, ...],
        answer: Record,
    ) -> Written:
        found = verify.compare_fields(element, answer, frozenset({self.settings.external_field(module)}))
        differences = (*before, *(mismatch.difference() for mismatch in found))
        return Written(self._ref(module, answer, NUMBERS[module]), differences)

    def convert_lead(self, lead: Ref, account: Account, contact: Contact) -> Converted:
        self._require_fields("Accounts")
        self._require_fields("Contacts")
        firm, firm_cuts = clean_element(self._account_element(account), REQUIRED)
        person, person_cuts = clean_element(self._contact_element(contact, ""), REQUIRED)
        made = self._client.convert_lead(
            {
                "leadId": lead.id,
                "assignedTo": firm["assigned_user_id"],
                "transferRelatedRecordsTo": "Contacts",
                "entities": {
                    # Every field is sent again: the lead's own mapping leaves some out (the contact's postcode).
                    "Accounts": {"create": True, "name": "Accounts", **firm},
                    "Contacts": {"create": True, "name": "Contacts", **person},
                },
            }
        )
        person["account_id"] = made.get("Accounts", "")
        return Converted(
            account=self._converted("Accounts", made, firm, verify.cut_differences(firm_cuts)),
            contact=self._converted("Contacts", made, person, verify.cut_differences(person_cuts)),
        )

    def _converted(
        self, module: PartyModule, made: Mapping[str, str], element: Mapping[str, Any], cuts: tuple[Difference, ...]
    ) -> Written:
        """What a lead became, compared with what was sent for it."""
        record = self._client.retrieve(made.get(module, "")) if made.get(module) else None
        if record is None:
            raise Ambiguous(
                f"{self.name} says that it converted the lead, but its {module} record cannot be read. "
                "What to do: nothing, Orderwire looks after a while whether it is there.",
                connection=self.name,
                detail=f"convertlead {module}",
            )
        written = self._compared(module, element, cuts, record)
        key = self.settings.external_field(module)
        if module == "Accounts" and record.get(key) != element.get(key):
            return Written(written.ref, (verify.foreign_account(key, element, record),))
        return written

    # -- whose records are --------------------------------------------------------------------------------------------

    def owned_records(self, account_id: str, kinds: Collection[RecordKind]) -> Sequence[OwnedRecord] | None:
        return self._owners.records(account_id, kinds)

    def assign_owner(self, record: OwnedRecord, owner: str) -> Written:
        return self._owners.assign(record, owner)

    # -- what customers ask for ---------------------------------------------------------------------------------------

    def find_request(self, note: CustomerNote, account_ids: Sequence[str]) -> Sequence[Ref]:
        return self._requests.find(note, account_ids)

    def log_request(self, note: CustomerNote, account_id: str, owner: str) -> Written:
        return self._requests.create(note, account_id, owner)

    # -- orders and invoices ------------------------------------------------------------------------------------------

    def find_order(self, external_id: str) -> Sequence[Ref]:
        return self._by_external_id("SalesOrder", external_id, "salesorder_no")

    def orders_since(self, since: datetime) -> Iterator[CrmOrder]:
        key = self.settings.external_field("SalesOrder")
        columns = ("id", "salesorder_no", key, "hdnGrandTotal", "sostatus", "createdtime")
        listing = Listing(self._client, self._canary, columns, "SalesOrder", "createdtime")
        for rows, _ in listing.walk(f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"):
            for row in rows:
                if row.get(key):
                    ref = self._ref("SalesOrder", row, "salesorder_no")
                    yield CrmOrder(str(row[key]), ref, amount(row.get("hdnGrandTotal")), str(row.get("sostatus", "")))

    def create_order(self, order: SalesOrder, refs: OrderRefs) -> Written:
        return self._orders.create_order(order, refs)

    def update_order(self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> Written:
        return self._orders.update_order(ref, order, refs, ownership)

    def compare(
        self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership, shown: Shown | None
    ) -> Comparison:
        return self._amendments.compare(ref, order, refs, ownership, shown)

    def sending(self, comparison: Comparison, parts: Collection[str]) -> Shown:
        return self._amendments.sending(comparison, parts)

    def amend(
        self,
        ref: Ref,
        order: SalesOrder,
        refs: OrderRefs,
        ownership: Ownership,
        comparison: Comparison,
        parts: Collection[str],
    ) -> Written:
        return self._amendments.amend(ref, order, comparison, parts)

    def all_orders(self, since: datetime) -> Iterator[Sequence[CrmOrderRow]]:
        return self._standing.all_orders(since)

    def stamp_order(self, ref: Ref, external_id: str) -> Written:
        return self._standing.stamp_order(ref, external_id)

    def record_stamp(self, kind: RecordKind, record_id: str) -> Stamp | None:
        return self._standing.record_stamp(kind, record_id)

    def delete(self, kind: RecordKind, record_id: str) -> None:
        self._standing.delete(kind, record_id)

    def find_invoice(self, external_id: str) -> Sequence[Ref]:
        return self._by_external_id("Invoice", external_id, "invoice_no")

    def create_invoice(self, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        return self._orders.create_invoice(order, refs, order_ref)

    def mend_invoice(self, ref: Ref, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        return self._orders.mend_invoice(ref, order, refs, order_ref)

    def invoice_state(self, word: str) -> InvoiceWord:
        return self._bills.state(word)

    def invoice_word(self, order: SalesOrder) -> str:
        return self._orders.invoice_status(order)

    def bill_word(self, state: InvoiceWord) -> str:
        return self._bills.word(state)

    def create_bill(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        return self._bills.create(bill, billed, refs, order_ref)

    def update_bill(
        self, ref: Ref, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref, *, lines: bool
    ) -> Written:
        return self._bills.update(ref, bill, billed, refs, order_ref, lines=lines)

    def bill_fingerprints(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> tuple[str, str]:
        return self._bills.fingerprints(bill, billed, refs, order_ref)

    def issued(self, ref: Ref) -> Issued | None:
        return self._credits.issued(ref)

    def create_credit(self, credit: SalesOrder, refs: OrderRefs, order_ref: Ref, issued: date | None) -> Written:
        return self._credits.create_credit(credit, refs, order_ref, issued)

    def set_invoice_status(self, ref: Ref, status: str) -> Written:
        return self._credits.set_status(ref, status)

    def find_products(self, skus: Sequence[str]) -> Mapping[str, CrmProduct]:
        return self._products.find(skus)

    def payload_fingerprint(self, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> str:
        return self._orders.fingerprint(order, refs, ownership)

    def order_total(self, ref: Ref) -> tuple[Decimal, str] | None:
        columns = ("id", "hdnGrandTotal", "sostatus")
        rows = self._client.query(q.select(columns, "SalesOrder", f"id={q.record_id(ref.id)}"))
        if not rows:
            return None
        return amount(rows[0].get("hdnGrandTotal")), str(rows[0].get("sostatus", ""))

    # -- what people change, and goods --------------------------------------------------------------------------------

    def crm_changes(self, kind: ChangeKind, cursor: str | None) -> Iterator[CrmPage]:
        return self._changes.since(kind, cursor)

    def crm_rows(self, kind: ChangeKind, ids: Sequence[str]) -> Mapping[str, CrmRow]:
        return self._changes.rows(kind, ids)

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        return self._stock.since(cursor)

    def stock_of(self, product_id: str) -> ProductStock | None:
        return self._stock.of(product_id)

    def set_stock(self, before: ProductStock, quantity: Decimal) -> Written:
        return self._stock.set(before, quantity)

    def overtaken(self, before: ProductStock, written: Written, quantity: Decimal, order: Ref) -> Sequence[Difference]:
        return self._stock.overtaken(before, written, quantity, order)

    def invoiced_goods(self, order: Ref) -> Mapping[str, Decimal]:
        return self._stock.invoiced(order)

    # -- for people who look ------------------------------------------------------------------------------------------

    def order_payload(self, order: SalesOrder, refs: OrderRefs) -> Mapping[str, Any]:
        return self._preview.order(order, refs)

    def preview(self, operation: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._preview.of(operation, arguments)

    def standing(self, record_id: str) -> Mapping[str, Any] | None:
        return self._preview.standing(record_id)

    def fixed(self) -> Mapping[str, str]:
        return self._preview.fixed()

    def curl(self, operation: str, method: str, path: str) -> Sequence[str]:
        return self._preview.curl(operation, method, path)

    def _by_external_id(self, module: Module | Document, external_id: str, number: str) -> list[Ref]:
        """Records that carry this very id (vtiger's comparison ignores case), oldest first."""
        key = self.settings.external_field(module)
        rows = self._canary.search(
            ("id", number, key), module, q.equal(key, external_id), lambda row: row.get(key) == external_id
        )
        ours = sorted((row for row in rows if row.get(key) == external_id), key=lambda row: q.crmid(str(row.get("id"))))
        return [self._ref(module, row, number) for row in ours]
