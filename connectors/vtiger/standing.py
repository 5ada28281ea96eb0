"""Orders and other records that stand in vtiger already: all of them listed, one marked as ours, one taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from connectors.roles import CrmOrderRow, Difference, RecordKind, Ref, Stamp, Written
from connectors.vtiger import query as q
from connectors.vtiger import verify
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.listing import WholeListing
from connectors.vtiger.settings import Module, VtigerSettings
from core.clock import parse_utc
from core.errors import Held

MODULE_OF: Final[dict[str, Module]] = {
    "account": "Accounts",
    "contact": "Contacts",
    "lead": "Leads",
    "order": "SalesOrder",
    "invoice": "Invoice",
    "credit": "Invoice",
}
CUSTOMER_NUMBER: Final = "customerno"
COLUMNS: Final = (
    "id", "salesorder_no", "subject", "account_id", "currency_id", "hdnGrandTotal", "sostatus", "createdtime", "modifiedtime",
)  # fmt: skip
"""Of the header only: a column of a line would join the lines, and LIMIT would count those."""


class Standing:
    """What going live does beside running systems."""

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        modules: Modules,
        canary: Canary,
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._canary = canary
        self._ref = ref

    # -- all orders ---------------------------------------------------------------------------------------------------

    def all_orders(self, since: datetime) -> Iterator[Sequence[CrmOrderRow]]:
        """Pages of at most 100."""
        settings = self._settings
        names = (settings.external_field("SalesOrder"), settings.purchase_order_field, settings.order_date_field)
        # The field of the external id may not be there yet: this listing is also for the rehearsal.
        have = self._modules.present("SalesOrder", filter(None, (*names, CUSTOMER_NUMBER)))
        listing = WholeListing(self._client, self._canary, (*COLUMNS, *have), "SalesOrder", "createdtime")
        for rows in listing.each(f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"):
            yield [self._row(row, *names) for row in rows]

    def _row(self, row: Record, external: str, purchase_order: str, placed: str) -> CrmOrderRow:
        return CrmOrderRow(
            ref=self._ref("SalesOrder", row, "salesorder_no"),
            external_id=_text(row, external),
            subject=_text(row, "subject"),
            purchase_order=_text(row, purchase_order),
            customer_number=_text(row, CUSTOMER_NUMBER),
            account_id=_text(row, "account_id"),
            total=amount(row.get("hdnGrandTotal")),
            currency=self._settings.currency_of(_text(row, "currency_id")),
            status=_text(row, "sostatus"),
            placed=_day(_text(row, placed)),
            created=parse_utc(_text(row, "createdtime")),
            modified=parse_utc(_text(row, "modifiedtime")),
        )

    # -- marking an order as ours -------------------------------------------------------------------------------------

    def stamp_order(self, ref: Ref, external_id: str) -> Written:
        """Reads, then revises this one field. Lines and total must be what they were."""
        key = self._settings.external_field("SalesOrder")
        self._modules.require_fields("SalesOrder", [key])
        before = self._client.retrieve(ref.id)
        if before is None:
            raise Held(
                f"{ref.number or ref.id} is not in {self._settings.name} any more (or hidden from our user). "
                "What to do: see whether it was deleted there on purpose, then adopt again.",
                error_class="missing reference",
            )
        there = _text(before, key)
        if there == external_id:
            return Written(self._ref("SalesOrder", before, "salesorder_no"))
        if there:
            raise Held(
                f"{ref.number or ref.id} in {self._settings.name} carries another external id already, it belongs to another "
                "order. What to do: compare the two orders; empty the field there if its id is wrong, then adopt again.",
                error_class="duplicate/conflict",
                field=key,
            )
        element = {"id": ref.id, key: external_id}
        after = self._client.revise("SalesOrder", element)
        differences = [found.difference() for found in verify.compare_fields(element, after, frozenset({key}))]
        return Written(self._ref("SalesOrder", after, "salesorder_no"), (*differences, *disturbed(before, after)))

    # -- taking back --------------------------------------------------------------------------------------------------

    def record_stamp(self, kind: RecordKind, record_id: str) -> Stamp | None:
        """By retrieve: it finds converted leads too, and its "no" is an answer where an empty query may be a failure."""
        self._of_kind(kind, record_id)
        record = self._client.retrieve(record_id)
        if record is None:
            return None
        by, ours = _text(record, "modifiedby"), _text(self._client.login(), "userId")
        return Stamp(
            created=parse_utc(_text(record, "createdtime")),
            modified=parse_utc(_text(record, "modifiedtime")),
            by=by,
            ours=by == ours if by and ours else None,
        )

    def delete(self, kind: RecordKind, record_id: str) -> None:
        """Into vtiger's recycle bin. Deleting an invoice gives the stock back that it took."""
        self._of_kind(kind, record_id)
        self._client.delete(MODULE_OF[kind], record_id)

    def _of_kind(self, kind: RecordKind, record_id: str) -> None:
        """An id names its module by its prefix: what a mixed-up id would hit is never touched."""
        prefix = self._modules.get(MODULE_OF[kind]).prefix
        if not q.is_record_id(record_id) or record_id.partition("x")[0] != prefix:
            raise Held(
                f"{record_id} is no id of {MODULE_OF[kind]} in {self._settings.name}, nothing was done. "
                "What to do: see whether the ledger belongs to another install of the CRM.",
                error_class="missing reference",
            )


def disturbed(before: Record, after: Record) -> Iterator[Difference]:
    """What a change of the header has done to lines and total: it must be nothing."""
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("LineItems", f"{_lines(before)} lines", f"{_lines(after)} lines"),
        ("hdnGrandTotal", before.get("hdnGrandTotal"), after.get("hdnGrandTotal")),
    )
    for name, was, now in pairs:
        if was != now and not (name == "hdnGrandTotal" and verify.same_number(str(was or ""), str(now or ""))):
            message = (
                "vtiger changed the order's lines or total while only its header was written. "
                "What to do: compare the order with its history in vtiger, and correct it there."
            )
            yield Difference(name, str(was), str(now), "hold", message)


def amount(value: object) -> Decimal:
    """A total as listed; NaN where it is none, which equals nothing."""
    try:
        return Decimal(str(value or "0"))
    except InvalidOperation:
        return Decimal("NaN")


def _lines(record: Record) -> int:
    lines = record.get("LineItems")
    return len(lines) if isinstance(lines, list) else 0


def _text(row: Record, name: str) -> str:
    return str(row.get(name) or "")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
