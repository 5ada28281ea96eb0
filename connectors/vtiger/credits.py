"""Credit notes in vtiger, and invoices that are taken back: vtiger has no record of its own for either.

A credit note is an invoice with negative lines on the product of fees and the status "Credit Invoice"; so it moves no goods.
The status "Cancel" takes an invoice back: vtiger returns the stock that it took, and takes it again when the status changes
once more (seen on the wire).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from connectors.roles import Issued, OrderRefs, Ref, Written
from connectors.vtiger import query as q
from connectors.vtiger import verify
from connectors.vtiger.bills import Bills
from connectors.vtiger.orders import NUMBER
from connectors.vtiger.standing import amount
from mapping.canonical import SalesOrder
from mapping.vtiger import Cut, clean_element, invoice_to_vtiger
from mapping.vtiger.order import REQUIRED


class Credits(Bills):
    """The caller holds the lane, as for orders."""

    def issued(self, ref: Ref) -> Issued | None:
        """Its total and word now."""
        columns = ("id", "hdnGrandTotal", "invoicestatus")
        rows = self._client.query(q.select(columns, "Invoice", f"id={q.record_id(ref.id)}"))
        if not rows:
            return None
        return Issued(amount(rows[0].get("hdnGrandTotal")), str(rows[0].get("invoicestatus") or ""))

    def create_credit(self, credit: SalesOrder, refs: OrderRefs, order_ref: Ref, issued: date | None) -> Written:
        """Create, compare, mend once."""
        element, cuts = self.credit_element(credit, refs, order_ref, issued)
        answer = self._client.create("Invoice", element)
        return self._verified("Invoice", credit, element, cuts, answer)

    def credit_element(
        self, credit: SalesOrder, refs: OrderRefs, order_ref: Ref, issued: date | None
    ) -> tuple[dict[str, Any], tuple[Cut, ...]]:
        """What creates it."""
        self._modules.require_fields("Invoice", [self._settings.external_field("Invoice")])
        subject = self._settings.credit_subject.replace("{number}", credit.number)
        place = replace(
            self._place(credit, refs, "Invoice", order_ref.id), subject=subject, status=self.word("credited")
        )
        self._modules.require_word("Invoice", "invoicestatus", place.status, table="invoice_statuses")
        element = invoice_to_vtiger(credit, self._with_carriers(place, credit))
        if issued is not None:
            element["invoicedate"] = issued.isoformat()
        return clean_element(element, REQUIRED)

    def set_status(self, ref: Ref, status: str) -> Written:
        """A header field alone: vtiger keeps lines and totals, and moves the stock as the two words want it."""
        self._modules.require_word("Invoice", "invoicestatus", status, table="invoice_statuses")
        element = {"invoicestatus": status}
        answer = self._client.revise("Invoice", {"id": ref.id, **element})
        found = verify.compare_fields(element, answer, frozenset())
        return Written(self._ref("Invoice", answer, NUMBER["Invoice"]), tuple(one.difference() for one in found))
