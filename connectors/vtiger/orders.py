"""Sales orders and invoices into vtiger: built, written, compared, mended once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal

from connectors.roles import USUAL, OrderRefs, Ownership, Ref, Written
from connectors.vtiger import echo, verify
from connectors.vtiger import ownership as own
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.products import Products
from connectors.vtiger.settings import VtigerSettings
from core import jsontext
from core.errors import Held
from mapping.canonical import LineKind, OrderStatus, PaymentStatus, SalesOrder
from mapping.vtiger import Cut, Item, OrderFields, Place, clean_element, invoice_to_vtiger, order_to_vtiger
from mapping.vtiger.order import NOT_RESENT, REQUIRED
from mapping.vtiger.words import INVOICE_STATUS, ORDER_STATUS

Document = Literal["SalesOrder", "Invoice"]
AT_CREATION: Final = frozenset({"productid", "invoicestatus"})
"""Demanded when an order is created, and in the way when it is revised."""
NUMBER: Final[dict[Document, str]] = {"SalesOrder": "salesorder_no", "Invoice": "invoice_no"}


class Orders:
    """Writing inventory records. The caller holds the lane: vtiger loses lines of records created at the same time."""

    def __init__(
        self,
        settings: VtigerSettings,
        client: Client,
        modules: Modules,
        products: Products,
        ref: Callable[[str, Record, str], Ref],
    ) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._products = products
        self._ref = ref

    # -- before anything is written -----------------------------------------------------------------------------------

    def owner(self, name: str) -> str:
        """The web service id of an owner; raises Held for one that the table does not have."""
        id = self._settings.owners.get(name)
        if id is None:
            who = f'"{name}" is not in' if name else "no owner is named, and nobody is taken instead; see"
            raise Held(
                f"Owner: {who} the owners table of {self._settings.name}. "
                f'What to do: add a line like "{name or "Name"}" = "19x5" to owners of the connection, then retry.',
                error_class="missing reference",
                field="assigned_user_id",
            )
        return id

    def check_words(self, refs: OrderRefs, order: SalesOrder) -> None:
        """Owner, currency, picklist words and fields, then a product for each line."""
        settings = self._settings
        self.owner(refs.owner)
        self._currency(order)
        names = [settings.external_field("SalesOrder"), settings.purchase_order_field if order.purchase_order else ""]
        names += [settings.delivery_field if refs.delivery_method else "", settings.payment_field]
        self._modules.require_fields("SalesOrder", [*names, *(field for field, _ in order.custom)])
        require = self._modules.require_word
        require("SalesOrder", "sostatus", self.status(refs, order), table="the status table")
        if settings.delivery_field:
            require("SalesOrder", settings.delivery_field, refs.delivery_method, table="the delivery table")
        if settings.payment_field:
            require("SalesOrder", settings.payment_field, refs.payment_method, table="the payment table")
        place = self._place(order, refs, "SalesOrder")
        # A line that no product can carry, or whose product has no tax, is held now: not when its customer has been made
        # already, and not only on the day after a rehearsal that said all is well.
        order_to_vtiger(order, self._with_carriers(place, order))

    def status(self, refs: OrderRefs, order: SalesOrder) -> str:
        """The flow's word, else the connection's, else the built-in one."""
        own = self._settings.statuses.get(order.status.value)
        return refs.status or own or ORDER_STATUS.get(order.status, ORDER_STATUS[OrderStatus.UNKNOWN])

    def invoice_status(self, order: SalesOrder) -> str:
        """The connection's word for how the order is paid, else the built-in one."""
        own = self._settings.invoice_statuses.get(order.payment_status.value)
        return own or INVOICE_STATUS.get(order.payment_status, INVOICE_STATUS[PaymentStatus.UNKNOWN])

    def _currency(self, order: SalesOrder) -> str:
        id = self._settings.currencies.get(order.currency)
        if id is None:
            raise Held(
                f"The order is in {order.currency}, which is not in the currencies table of {self._settings.name}. "
                f'What to do: add it in vtiger, and {order.currency} = "21x1" (its id) to currencies, then retry.',
                error_class="missing reference",
                field="currency_id",
            )
        return id

    # -- building -----------------------------------------------------------------------------------------------------

    def _place(self, order: SalesOrder, refs: OrderRefs, kind: Document, sales_order: str = "") -> Place:
        settings = self._settings
        invoice = kind == "Invoice"
        subject = settings.invoice_subject if invoice else settings.order_subject
        purchase_order = settings.purchase_order_field
        if invoice and not self._modules.present("Invoice", (purchase_order,)):
            purchase_order = ""
        return Place(
            external_id=refs.external_id,
            account=refs.account,
            contact=refs.contact,
            owner=self.owner(refs.owner),
            currency=self._currency(order),
            conversion_rate=settings.conversion_rates.get(order.currency, Decimal(1)),
            subject=subject.replace("{number}", order.number),
            status=self.invoice_status(order) if invoice else self.status(refs, order),
            delivery=refs.delivery_method,
            payment=refs.payment_method,
            items={sku: Item(product.id, product.taxes) for sku, product in refs.products.items()},
            notes=refs.notes,
            fields=OrderFields(
                external_id=settings.external_field(kind),
                purchase_order=purchase_order,
                delivery=settings.delivery_field,
                payment=settings.payment_field,
                tax_slots=settings.tax_slots,
                shipping_tax=settings.shipping_tax,
            ),
            sales_order=sales_order,
            zone=refs.zone,
        )

    def _with_carriers(self, place: Place, order: SalesOrder) -> Place:
        """The place with the products for parked lines and fees, asked for only where the order needs one."""
        if _plain(place, order):
            return place
        special = self._products.special()
        unknown = special.get(self._settings.unknown_product)
        fee = special.get(self._settings.fee_product)
        return replace(
            place,
            unknown=Item(unknown.id, unknown.taxes) if unknown is not None else None,
            fee=Item(fee.id, fee.taxes) if fee is not None else None,
        )

    def fingerprint(self, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> str:
        """A digest of what `create` or `update` would send; calls nobody. Carrying products stand for themselves.

        What is kept has no part in it: a reassignment in the CRM stays, and no other owner in the store undoes it.
        """
        place = own.without_kept_words(self._standing_in(self._place(order, refs, "SalesOrder")), ownership)
        element = order_to_vtiger(order, place)
        kept = own.kept(element, order, place.fields, ownership)
        return jsontext.fingerprint({name: value for name, value in element.items() if name not in kept})

    def _standing_in(self, place: Place) -> Place:
        """The place with products that can carry anything, for elements whose lines are not sent."""
        slots = frozenset(self._settings.tax_slots)
        items = {sku: Item(item.id, slots) for sku, item in place.items.items()}
        return replace(place, unknown=Item("unknown", slots), fee=Item("fee", slots), items=items)

    def element_without_asking(self, order: SalesOrder, refs: OrderRefs) -> dict[str, Any]:
        """What `order_element` makes where every product is known; calls nobody."""
        place = self._standing_in(self._place(order, refs, "SalesOrder"))
        return clean_element(order_to_vtiger(order, place), REQUIRED)[0]

    def order_element(self, order: SalesOrder, refs: OrderRefs) -> tuple[dict[str, Any], tuple[Cut, ...]]:
        """What creates an order."""
        place = self._with_carriers(self._place(order, refs, "SalesOrder"), order)
        return clean_element(order_to_vtiger(order, place), REQUIRED)

    def invoice_element(
        self, order: SalesOrder, refs: OrderRefs, order_ref: Ref
    ) -> tuple[dict[str, Any], tuple[Cut, ...]]:
        """What creates the invoice of an order."""
        self._modules.require_fields("Invoice", [self._settings.external_field("Invoice")])
        place = self._with_carriers(self._place(order, refs, "Invoice", order_ref.id), order)
        self._modules.require_word("Invoice", "invoicestatus", place.status, table="invoice_statuses")
        return clean_element(invoice_to_vtiger(order, place), REQUIRED)

    def revision_element(
        self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership
    ) -> tuple[dict[str, Any], tuple[Cut, ...]]:
        """What revises an order."""
        element, cuts, fields = self.state_element(order, refs, ownership)
        out = own.kept(element, order, fields, ownership)
        if ownership.fill:
            out |= own.filled(element, order, fields, ownership, self.there(ref))
        return _only(element, cuts, element.keys() - out)

    def state_element(
        self, order: SalesOrder, refs: OrderRefs, ownership: Ownership
    ) -> tuple[dict[str, Any], tuple[Cut, ...], OrderFields]:
        """How an order that is there should stand, whatever of it is sent, and which fields carry what."""
        place = own.without_kept_words(self._place(order, refs, "SalesOrder"), ownership)
        lines_stay = "lines" in ownership.keep
        place = self._standing_in(place) if lines_stay else self._with_carriers(place, order)
        element, cuts = clean_element(order_to_vtiger(order, place), REQUIRED)
        return {name: value for name, value in element.items() if name not in AT_CREATION}, cuts, place.fields

    # -- writing ------------------------------------------------------------------------------------------------------

    def create_order(self, order: SalesOrder, refs: OrderRefs) -> Written:
        """Create, compare, mend once."""
        element, cuts = self.order_element(order, refs)
        answer = self._client.create("SalesOrder", element)
        return self._verified("SalesOrder", order, element, cuts, answer)

    def create_invoice(self, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Create the invoice of an order that is known to exist: else vtiger leaves a shell and moves stock."""
        element, cuts = self.invoice_element(order, refs, order_ref)
        answer = self._client.create("Invoice", element)
        return self._verified("Invoice", order, element, cuts, answer)

    def mend_invoice(self, ref: Ref, order: SalesOrder, refs: OrderRefs, order_ref: Ref) -> Written:
        """Compare an invoice whose creation nobody saw the end of; lost lines and a wrong total are written once more. Its
        status stays: people may have moved it on.
        """
        element, cuts = self.invoice_element(order, refs, order_ref)
        return self._verified("Invoice", order, element, cuts, self.there(ref), ignore=NOT_RESENT)

    def update_order(self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership = USUAL) -> Written:
        """Revise with every line and every header field that a revise resets, or with the header alone where the lines
        are the CRM's: vtiger keeps lines and totals then.
        """
        element, cuts = self.revision_element(ref, order, refs, ownership)
        return self._revised(ref, order, element, cuts)

    def revise_fields(
        self, ref: Ref, order: SalesOrder, element: Mapping[str, Any], cuts: tuple[Cut, ...], names: Collection[str]
    ) -> Written:
        """Bring these fields of an element to an order, and no other one."""
        return self._revised(ref, order, *_only(element, cuts, names))

    def _revised(self, ref: Ref, order: SalesOrder, element: dict[str, Any], cuts: tuple[Cut, ...]) -> Written:
        answer = self._client.revise("SalesOrder", {"id": ref.id, **element})
        return self._verified("SalesOrder", order, element, cuts, answer)

    def there(self, ref: Ref) -> Record:
        """The order as vtiger has it. Raises Held for one that is gone."""
        record = self._client.retrieve(ref.id)
        if record is None:
            raise Held(
                f"{ref.number or ref.id} is not in {self._settings.name} any more (or hidden from our user). What to do: see "
                "whether it is still in vtiger; restore it from the bin, then retry.",
                error_class="missing reference",
            )
        return record

    def _verified(
        self,
        module: Document,
        order: SalesOrder,
        element: dict[str, Any],
        cuts: tuple[Cut, ...],
        answer: Record,
        *,
        ignore: frozenset[str] = frozenset(),
    ) -> Written:
        """What was kept, against what was sent. Lost lines and wrong totals are written once more."""
        found = self._mismatches(module, order, element, answer, ignore)
        ref = self._ref(module, answer, NUMBER[module])
        differences = [m.difference() for m in found if m.fix != "repair"]
        broken = [m for m in found if m.fix == "repair"]
        if broken:
            answer = self._client.revise(module, _revision(element, ref.id))
            ignore |= NOT_RESENT
            left = [m for m in self._mismatches(module, order, element, answer, ignore) if m.fix == "repair"]
            differences += [m.difference() for m in left] or [m.difference(repaired=True) for m in broken]
        shown = echo.written(element, answer, differences, order) if module == "SalesOrder" else None
        return Written(ref, (*verify.cut_differences(cuts), *differences), shown)

    def _mismatches(
        self,
        module: Document,
        order: SalesOrder,
        element: Mapping[str, Any],
        answer: Record,
        ignore: frozenset[str],
    ) -> list[verify.Mismatch]:
        keys = frozenset({self._settings.external_field(module)})
        header = verify.compare_fields(element, answer, keys, ignore)
        if "LineItems" not in element:
            return header
        return [
            *header,
            *verify.compare_lines(element["LineItems"], answer),
            *verify.compare_total(order.total, order.currency, answer),
        ]


def _plain(place: Place, order: SalesOrder) -> bool:
    """Every line has a product of its own, and nothing else needs one."""
    plain = all(line.kind is LineKind.PRODUCT and line.sku in place.items for line in order.lines)
    return plain and bool(order.lines) and order.shipping_net >= 0


def _revision(element: Mapping[str, Any], id: str) -> dict[str, Any]:
    """What a revise sends: it replaces all lines, and resets tax mode and shipping unless they are sent again."""
    revision = {name: value for name, value in element.items() if name not in NOT_RESENT}
    return {"id": id, **revision}


def _only(
    element: Mapping[str, Any], cuts: tuple[Cut, ...], names: Collection[str]
) -> tuple[dict[str, Any], tuple[Cut, ...]]:
    """These fields of an element, and what was cut from them."""
    left = {name: value for name, value in element.items() if name in names}
    return left, tuple(cut for cut in cuts if cut.field in left or ("LineItems" in left and _of_line(cut)))


def _of_line(cut: Cut) -> bool:
    return cut.field.startswith("line ")
