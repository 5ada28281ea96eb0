"""Invoices that an ERP wrote, into vtiger: its number, lines and total; later its status and payments alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Final

from connectors.roles import Bill, InvoiceWord, OrderRefs, Ref, Written
from connectors.vtiger.orders import Orders
from core import jsontext
from mapping.canonical import SalesOrder
from mapping.vtiger import Cut, Place, clean_element, invoice_to_vtiger
from mapping.vtiger.order import REQUIRED
from mapping.vtiger.words import BILL_STATUS, invoice_state

SETTING: Final[dict[InvoiceWord, str]] = {"open": "unpaid", "paid": "paid", "credited": "refunded"}
"""Where an invoice stands -> the word of `invoice_statuses` (payment statuses); the others have their own name there."""
HEADER: Final = frozenset({"subject", "invoicestatus", "invoicedate", "duedate", "received"})
"""What follows the ERP without the lines. vtiger reckons `balance` itself (never from what we would send)."""
NOT_REVISED: Final = frozenset({"productid", "assigned_user_id"})
"""Needed only at creation, or given to somebody else by people since."""


class Bills(Orders):
    """The caller holds the lane, as for orders."""

    def state(self, word: str) -> InvoiceWord:
        """The word of `invoicestatus` in the common language."""
        return invoice_state(word, {own: state for state in reversed(BILL_STATUS) if (own := self._own(state))})

    def word(self, state: InvoiceWord) -> str:
        """The word of `invoicestatus` for it."""
        return self._own(state) or BILL_STATUS[state]

    def _own(self, state: InvoiceWord) -> str:
        return self._settings.invoice_statuses.get(SETTING.get(state, state), "")

    def create(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Create the invoice, compare, mend once."""
        element, cuts = self.element(bill, billed, refs, order_ref)
        answer = self._client.create("Invoice", element)
        return self._verified("Invoice", billed, element, cuts, answer)

    def update(
        self, ref: Ref, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref, *, lines: bool
    ) -> Written:
        """Revise: the header alone keeps lines and totals, and the stock that they took."""
        element, cuts = self.element(bill, billed, refs, order_ref)
        number = self._settings.invoice_number_field
        wanted = element.keys() - NOT_REVISED if lines else HEADER | ({number} if number else set())
        element = {name: value for name, value in element.items() if name in wanted}
        cuts = tuple(cut for cut in cuts if cut.field in element or "LineItems" in element)
        answer = self._client.revise("Invoice", {"id": ref.id, **element})
        return self._verified("Invoice", billed, element, cuts, answer)

    def fingerprints(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> tuple[str, str]:
        """Digests of the header and of the rest; calls nobody. Who owns it is people's."""
        place = self._standing_in(self._bill_place(bill, billed, refs, order_ref))
        element = self._filled(bill, billed, place)
        header = {name: value for name, value in element.items() if name in HEADER}
        rest = {name: value for name, value in element.items() if name not in HEADER | NOT_REVISED}
        return jsontext.fingerprint(header), jsontext.fingerprint(rest)

    def element(
        self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref
    ) -> tuple[dict[str, Any], tuple[Cut, ...]]:
        """What creates it."""
        fields = [self._settings.external_field("Invoice"), self._settings.invoice_number_field]
        self._modules.require_fields("Invoice", fields)
        place = self._with_carriers(self._bill_place(bill, billed, refs, order_ref), billed)
        self._modules.require_word("Invoice", "invoicestatus", place.status, table="invoice_statuses")
        return clean_element(self._filled(bill, billed, place), REQUIRED)

    def _bill_place(self, bill: Bill, billed: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Place:
        subject = self._settings.bill_subject.replace("{number}", billed.number).replace("{bill}", bill.number)
        place = self._place(billed, refs, "Invoice", order_ref.id)
        return replace(place, subject=subject, status=self.word(bill.state))

    def _filled(self, bill: Bill, billed: SalesOrder, place: Place) -> dict[str, Any]:
        element = invoice_to_vtiger(billed, place)
        element["invoicedate"] = _day(bill.issued) or element["invoicedate"]
        element["duedate"] = _day(bill.due)
        if bill.received is not None:
            element["received"] = f"{bill.received:f}"
        if self._settings.invoice_number_field:
            element[self._settings.invoice_number_field] = bill.number
        return element


def _day(day: date | None) -> str:
    return day.isoformat() if day is not None else ""
