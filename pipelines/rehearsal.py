"""What would happen to an order, found out by the very recipe that carries orders, with nothing written anywhere.

The target is asked as ever, and answers that would come from writes are invented; whatever slips through is refused by
the transport, which asks the guard (`Run.before_write`) before every write.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal, cast

from connectors.http import guarded
from connectors.roles import (
    OWNED,
    USUAL,
    Amending,
    Bill,
    Comparison,
    Crediting,
    Crm,
    CrmCapabilities,
    Issued,
    OrderRefs,
    Ownership,
    ProductStock,
    Ref,
    Shown,
    Written,
)
from core.errors import Held, OrderwireError, RetryLater, Skipped
from core.money import show
from ledger import Ledger
from ledger.jobs import Claim
from ledger.runs import Item
from mapping.canonical import Account, Contact, LineKind, Party, SalesOrder
from pipelines import orders, products
from pipelines.context import Context
from pipelines.overlay import INVENTED, Overlay, OverlayLedger
from pipelines.run import Run

Verdict = Literal["post", "change", "nothing", "hold", "skip", "wait"]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """One write that would happen. `words`: the few facts that people need to recognise it."""

    operation: str
    words: str
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the CRM would have been given; by it the fields are told to those who look (pipelines.changes)."""
    made: str = field(default="", compare=False)
    """The invented id that answered for what would be created."""


@dataclass(slots=True)
class Plan:
    """What would become of one order."""

    key: str
    verdict: Verdict
    number: str = ""
    amount: Decimal = Decimal(0)
    currency: str = ""
    reason: str = ""
    error_class: str = ""
    customer: Literal["", "found", "new", "doubtful"] = ""
    writes: tuple[PlannedWrite, ...] = ()
    calls: int = 0
    """What it costs at least: the questions that were asked, and one for each write."""
    unknown_skus: tuple[str, ...] = ()
    untaxed: tuple[str, ...] = ()
    """SKUs whose product has no tax over there, though the line is taxed."""
    unmapped: tuple[str, ...] = ()
    """Sentences about words without a mapping: methods, statuses, owners."""
    warnings: tuple[str, ...] = ()
    placed: str = ""
    """When the order was placed, ISO 8601."""
    word: str = ""
    """The field of a held order whose word (an owner, a status, a method, a currency) the target does not have."""

    def item(self) -> Item:
        """As a run keeps it."""
        facts: dict[str, Any] = {
            "customer": self.customer,
            "writes": [f"{write.operation}: {write.words}" for write in self.writes],
            "calls": self.calls,
            "unknown_skus": list(self.unknown_skus),
            "untaxed": list(self.untaxed),
            "unmapped": list(self.unmapped),
            "warnings": list(self.warnings),
            "placed": self.placed,
            "word": self.word,
        }
        return Item(
            key=self.key,
            verdict=self.verdict,
            number=self.number,
            amount=str(self.amount),
            currency=self.currency,
            reason=self.reason,
            error_class=self.error_class,
            facts={name: value for name, value in facts.items() if value},
        )


class Rehearsal(Run):
    """A run that reads and never writes, neither over there nor into the ledger's links."""

    def __init__(self, context: Context, claim: Claim, overlay: Overlay | None = None) -> None:
        super().__init__(context, claim)
        overlay = overlay or Overlay(context.ledger)
        self.ledger = cast("Ledger", OverlayLedger(context.ledger, overlay))
        self.planned: list[PlannedWrite] = []
        self.kinds: list[tuple[str, str]] = []
        self._recording = _Recording(super().crm, self.planned, overlay)
        self._crm = cast("Crm", self._recording)

    @property
    def crm(self) -> Crm:
        """The target with its writes left out."""
        return self._crm

    @property
    def rehearsed(self) -> bool:
        """Whatever the flow's mode is."""
        return True

    def warn(self, sentence: str, kind: str) -> None:
        """Kept with its kind, and not counted: nothing has happened."""
        if (kind, sentence) not in self.kinds:
            self.kinds.append((kind, sentence))
            self.warnings.append(sentence)

    def mark_sent(self, links: Sequence[Any]) -> None:
        """Nothing is sent."""

    def plan(self, order: SalesOrder) -> Plan:
        """Carry the order out as far as nothing is written. Raises only what is the connection's fault."""
        plan = Plan(str(order.key), "nothing", order.number, order.total, order.currency)
        plan.placed = order.placed_at.isoformat()
        try:
            with guarded(self):
                outcome = orders.sync_order(self, order)
            plan.verdict, plan.reason = self._verdict(), outcome.message
        except OrderwireError as error:
            _failed(plan, error)
        # What would be posted: less what went back, where that could be found out.
        order = self.order if self.order is not None and self.order.key == order.key else order
        plan.amount = order.total
        self._describe(plan, order)
        return plan

    def _verdict(self) -> Verdict:
        operations = {write.operation for write in self.planned}
        if "create_order" in operations:
            return "post"
        return "change" if operations else "nothing"

    def _describe(self, plan: Plan, order: SalesOrder) -> None:
        operations = {write.operation for write in self.planned}
        if not plan.customer and plan.verdict in {"post", "change", "nothing"}:
            made = operations & {"create_account", "create_contact"}
            plan.customer = "new" if made else "found"
        plan.writes = tuple(self.planned)
        plan.word = plan.word or self._recording.word
        plan.calls = len(self.calls) + len(self.planned)
        plan.warnings = tuple(self.warnings)
        plan.unmapped = tuple(
            sentence for kind, sentence in self.kinds if kind.startswith("unknown") and kind != "unknown sku"
        )
        if plan.verdict != "skip":
            self._products(plan, order)

    def _products(self, plan: Plan, order: SalesOrder) -> None:
        try:
            with guarded(self):
                found = products.resolve(self.context.products, self._crm, order)
        except OrderwireError:
            return  # what is wrong with the products is the plan's reason already
        lines = [line for line in order.lines if line.kind is LineKind.PRODUCT]
        plan.unknown_skus = tuple(dict.fromkeys(line.sku for line in lines if line.sku not in found))
        taxed = [line.sku for line in lines if line.sku in found and line.tax]
        plan.untaxed = tuple(dict.fromkeys(sku for sku in taxed if not found[sku].taxes))


def _failed(plan: Plan, error: OrderwireError) -> None:
    plan.reason, plan.error_class = error.message, error.error_class
    if isinstance(error, Skipped):
        plan.verdict, plan.error_class = "skip", f"rule {error.rule}"
    elif isinstance(error, RetryLater):
        if error.scope == "connection":
            raise error
        plan.verdict, plan.error_class = "wait", error.cause
    elif isinstance(error, Held):
        plan.verdict = "hold"
        if error.field == "customer":
            plan.customer = "doubtful"
        plan.word = error.field if error.field == "placed_by" else ""
    else:
        raise error


class _Recording:
    """A CRM whose writes are noted and answered with invented records; everything else goes to the CRM."""

    def __init__(self, crm: Crm, planned: list[PlannedWrite], overlay: Overlay) -> None:
        self._crm = crm
        self._planned = planned
        self._overlay = overlay
        self.word = ""
        """The field whose word the CRM does not have."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def capabilities(self) -> CrmCapabilities:
        """Not found out: whether leads can be converted is told only by a call that looks like a write."""
        return CrmCapabilities(converts_leads=False)

    def _note(self, operation: str, words: str, **arguments: Any) -> Written:
        made = f"{INVENTED}{next(_numbers)}"
        self._planned.append(PlannedWrite(operation, words, arguments, made))
        return Written(Ref(made))

    def check_order_words(self, refs: OrderRefs, order: SalesOrder) -> None:
        """Remember at which word it ended; a product without tax is told apart from words."""
        try:
            self._crm.check_order_words(refs, order)
        except Held as error:
            if error.field != "sku" and not error.field.startswith("tax"):
                self.word = error.field
            raise

    def create_account(self, account: Account) -> Written:
        return self._note("create_account", account.name, account=account)

    def create_contact(self, contact: Contact, account_id: str) -> Written:
        words = f"{contact.person.full_name} at {account_id}"
        return self._note("create_contact", words, contact=contact, account_id=account_id)

    def create_order(self, order: SalesOrder, refs: OrderRefs) -> Written:
        words = f"{order.number}, {show(order.total, order.currency)}, for {refs.account}"
        return self._note("create_order", words, order=order, refs=refs)

    def update_order(self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> Written:
        words = f"{ref.number or ref.id}: {order.status}, {show(order.total, order.currency)}"
        return self._note("update_order", words, ref=ref, order=order, refs=refs, ownership=ownership)

    def compare(
        self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership, shown: Shown | None
    ) -> Comparison:
        """One that was invented a moment ago is nobody else's: all of it would be written."""
        if ref.id.startswith(INVENTED):
            return Comparison(send=OWNED - ownership.keep)
        return self._amending.compare(ref, order, refs, ownership, shown)

    def sending(self, comparison: Comparison, parts: Collection[str]) -> Shown:
        return self._amending.sending(comparison, parts)

    def amend(
        self,
        ref: Ref,
        order: SalesOrder,
        refs: OrderRefs,
        ownership: Ownership,
        comparison: Comparison,
        parts: Collection[str],
    ) -> Written:
        """An update of these parts; nothing where there are none."""
        if not parts:
            return Written(ref)
        left = Ownership(keep=OWNED - frozenset(parts), fill=ownership.fill & frozenset(parts), ask=frozenset())
        return self.update_order(ref, order, refs, left)

    @property
    def _amending(self) -> Amending:
        return cast("Amending", self._crm)

    def create_invoice(self, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        words = f"{order.number}, {show(order.total, order.currency)}"
        return self._note("create_invoice", words, order=order, refs=refs, order_ref=order_ref)

    def mend_invoice(self, ref: Ref, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Whether anything is to be mended is told by writing alone."""
        return Written(ref)

    def issued(self, ref: Ref) -> Issued | None:
        """What was invented a moment ago is not there to be asked for."""
        return None if ref.id.startswith(INVENTED) else self._crediting.issued(ref)

    def create_credit(self, credit: SalesOrder, refs: OrderRefs, order_ref: Ref, issued: date | None) -> Written:
        words = f"{credit.number}, {show(credit.total, credit.currency)}"
        return self._note("create_credit", words, credit=credit, refs=refs, order_ref=order_ref, issued=issued)

    def set_invoice_status(self, ref: Ref, status: str) -> Written:
        return self._note("set_invoice_status", f"{ref.number or ref.id}: {status}", ref=ref, status=status)

    @property
    def _crediting(self) -> Crediting:
        return cast("Crediting", self._crm)

    def set_stock(self, before: ProductStock, quantity: Decimal) -> Written:
        words = f"{before.sku}: {before.quantity.normalize():f} to {quantity.normalize():f}"
        return self._note("set_stock", words, ref=Ref(before.id, before.sku), quantity=quantity)

    def create_bill(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        words = f"{bill.number}, {show(billed.total, billed.currency)}"
        return self._note("create_bill", words, bill=bill, billed=billed, refs=refs, order_ref=order_ref)

    def update_bill(
        self, ref: Ref, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref, *, lines: bool
    ) -> Written:
        words = f"{ref.number or ref.id}: {bill.state}, {show(billed.total, billed.currency)}"
        given = {"bill": bill, "billed": billed, "refs": refs, "order_ref": order_ref, "lines": lines}
        return self._note("update_bill", words, ref=ref, **given)

    def stamp_order(self, ref: Ref, external_id: str) -> Written:
        return self._note("stamp_order", f"{ref.number or ref.id}: {external_id}", ref=ref, external_id=external_id)

    def delete(self, kind: str, record_id: str) -> None:
        self._note("delete", f"{kind} {record_id}", kind=kind, record_id=record_id)

    def get_party(self, kind: Literal["account", "contact"], record_id: str) -> Party | None:
        """One that was invented a moment ago is there as long as the rehearsal lasts."""
        if record_id.startswith(INVENTED):
            return Party(kind=kind, id=record_id, account_id=self._overlay.parties.account_of(record_id))
        return self._crm.get_party(kind, record_id)
