"""Create, retrieve, update, revise and delete, with the answers of vtiger 8.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.crm import answers, details, inventory, lineitems, values
from sandbox.crm.errors import ServerCrash, WsError, denied, missing, not_found
from sandbox.crm.inventory import Totals
from sandbox.crm.people import People, User
from sandbox.crm.schema import LINE_COLUMNS, NUMBERED, Field, Module
from sandbox.crm.settings import Switches
from sandbox.crm.store import Line, Row, Store, fold

Json = dict[str, Any]

_SERVER_SET = frozenset({"id", "createdtime", "modifiedtime", "modifiedby", "source"})
_COMPUTED = frozenset({"hdnGrandTotal", "hdnSubTotal", "pre_tax_total", "hdnS_H_Amount", "hdnS_H_Percent", "balance"})
_LINE_EXTRAS = {"image": "", "purchase_cost": "", "margin": ""}
_PRICED = frozenset({"Products", "Services"})
_CREATABLE = frozenset(
    {"Leads", "Accounts", "Contacts", "Potentials", "Products", "Services", "SalesOrder", "Invoice", "ModComments"}
)


class Records:
    """The record operations over one store. `lose_line`: the next creation loses its last line (T5)."""

    def __init__(self, store: Store, people: People, switches: Switches) -> None:
        self.store = store
        self.people = people
        self.switches = switches
        self.lose_line = False

    # --- reading -------------------------------------------------------------------------------------------------

    def retrieve(self, id: str) -> Json:
        if id.startswith("33x"):
            return lineitems.retrieve(self.store, id)
        row = self.row(id)
        out = {**self.present(row), "id": row.id, "label": row.label}
        if row.module.inventory:
            out |= answers.charges_out(row)
            out["LineItems"] = answers.lines_out(self.store, row)
            out["productid"] = row.lines[0].product if row.lines else ""
            out["LineItems_FinalDetails"] = details.after_retrieve(self.store, row)
        elif row.module.name in _PRICED:
            out |= answers.price_out(row)
        return out

    def row(self, id: object) -> Row:
        """The living record of an id, or the error that a missing, deleted or malformed id earns."""
        text = str(id or "")
        prefix, cross, digits = text.partition("x")
        if not cross:
            raise denied("" if prefix.isdigit() else "for id")
        module = self.store.schema.by_prefix.get(prefix)
        if module is None:
            raise denied("for id")
        row = self.store.rows.get(int(digits)) if digits.isdigit() and digits.isascii() else None
        if row is None or row.deleted:
            raise denied()
        if row.module is not module:
            raise WsError("INVALID_ID_ATTRIBUTE", "Id specified is incorrect")
        return row

    def present(self, row: Row) -> Json:
        return answers.present(self.store, self.people, row)

    # --- creating ------------------------------------------------------------------------------------------------

    def create(self, user: User, type_name: str, element: Json) -> Json:
        module = self.store.schema.modules.get(type_name)
        if module is None or (module.name == "Users" and not user.admin):
            raise denied()
        if module.name == "LineItem":
            return lineitems.create(self.store, element)
        if module.name == "ProductTaxes":
            raise not_found()
        if module.name == "Users":
            raise denied("for id")
        if module.name not in _CREATABLE:
            raise denied()
        self._check(module, element, module.mandatory)
        if module.inventory and not element.get("LineItems"):
            raise WsError("MANDATORY_FIELDS_MISSING", "Mandatory Fields Missing..")
        self._refuse_duplicate(module, element, None)
        return self._insert(user, module, element)

    def _insert(self, user: User, module: Module, element: Json) -> Json:
        now = values.now_text()
        fields = {**module.defaults, **self._stored(module, element)}
        fields |= {"createdtime": now, "modifiedtime": now, "modifiedby": user.id, "source": "WEBSERVICE"}
        if module.name == "ModComments":
            fields["creator"] = user.id
            self._touch(fields["related_to"], now)
        row = self.store.add(module, {key: fields[key] for key in module.columns})
        unstored = {name: values.plain_text(element[name]) for name in module.label_fields if element.get(name)}
        self.store.relabel(row, unstored)
        if module.inventory:
            return self._insert_lines(row, element)
        if module.name in _PRICED:
            self._price_in(row, element, created=True)
            return {**self.present(row), "id": row.id, "label": row.label, **answers.price_out(row)}
        return {**self.present(row), "id": row.id, "label": row.label}

    def _insert_lines(self, row: Row, element: Json) -> Json:
        result = self._write_lines(row, element)
        orphan = row.module.name == "Invoice" and row.values["salesorder_id"] and not self.present(row)["salesorder_id"]
        if orphan and self.switches.orphan_invoices:
            self._leave_shell(row)
            raise ServerCrash
        out = self._inventory_answer(row, element, result)
        if row.module.name == "Invoice":
            self.store.change(row, {"balance": row.values["hdnGrandTotal"]})
        return {"id": row.id, **out, "LineItems_FinalDetails": details.after_create(row), "new": True}

    def _touch(self, id: str, now: str) -> None:
        """A comment counts as a change of the record it belongs to."""
        row = self.store.find(id)
        if row is not None:
            self.store.change(row, {"modifiedtime": now})

    def _leave_shell(self, row: Row) -> None:
        """T6: the header is lost, lines and stock movement stay."""
        kept = {name: row.values[name] for name in ("assigned_user_id", "createdtime", "modifiedtime", "modifiedby")}
        label = row.label
        empty = dict.fromkeys(row.module.columns, "")
        self.store.change(row, {**empty, **kept, "source": "WEBSERVICE", "starred": "0"})
        row.label, row.shell = label, True

    # --- changing ------------------------------------------------------------------------------------------------

    def update(self, user: User, element: Json) -> Json:
        if str(element.get("id") or "").startswith("33x"):
            return lineitems.update(self.store, element)
        row = self.row(element.get("id"))
        self._check(row.module, element, row.module.mandatory)
        self._refuse_duplicate(row.module, element, row)
        kept = {name: row.values[name] for name in self._kept(row)}
        fields = {**row.module.defaults, **self._stored(row.module, element), **kept}
        if "region_id" in fields:
            fields["region_id"] = fields["region_id"] or "0"  # A full update turns "no region" into 0.
        return self._change(user, row, element, fields, answer_without_lines=True)

    def revise(self, user: User, element: Json) -> Json:
        if str(element.get("id") or "").startswith("33x"):
            return lineitems.revise(self.store, element)
        row = self.row(element.get("id"))
        sent = tuple(name for name in row.module.mandatory if name in element)
        self._check(row.module, element, sent)
        self._refuse_duplicate(row.module, element, row)
        fields = self._stored(row.module, element)
        if row.module.inventory and element.get("LineItems") and "hdnTaxType" not in element:
            fields["hdnTaxType"] = ""
        return self._change(user, row, element, fields, answer_without_lines=False)

    def _kept(self, row: Row) -> set[str]:
        """What a full update leaves alone: the server's own fields and the totals it computed."""
        computed = _COMPUTED & set(row.module.columns) if row.module.inventory else set()
        number = {NUMBERED[row.module.name][0]} if row.module.name in NUMBERED else set()
        return ({"createdtime", "source", "isconvertedfromlead"} & set(row.module.columns)) | computed | number

    def _change(
        self, user: User, row: Row, element: Json, fields: dict[str, str], *, answer_without_lines: bool
    ) -> Json:
        took = inventory.takes_stock(row)
        before = list(row.lines)
        stamp = {"modifiedtime": values.now_text(), "modifiedby": user.id}
        self.store.change(row, {**fields, **stamp})
        if row.module.inventory:
            return self._change_inventory(row, element, before, took, answer_without_lines=answer_without_lines)
        if row.module.name in _PRICED:
            self._price_in(row, element, created=False)
            return {**self.present(row), "id": row.id, "label": row.label, **answers.price_out(row)}
        return {**self.present(row), "id": row.id, "label": row.label}

    def _change_inventory(
        self, row: Row, element: Json, before: list[Line], took: bool, *, answer_without_lines: bool
    ) -> Json:
        if took:
            inventory.move_stock(self.store, before, +1)
        if element.get("LineItems"):
            self.store.drop_lines(row.lines)
            out = self._inventory_answer(row, element, self._write_lines(row, element))
            out["LineItems_FinalDetails"] = details.after_create(row)
            if answer_without_lines:
                # Seen on the wire: an update that carries lines answers with an empty list, though it stored them.
                out |= {"LineItems": [], **dict.fromkeys(LINE_COLUMNS[1:], ""), **_LINE_EXTRAS}
            return out
        if inventory.takes_stock(row):
            inventory.move_stock(self.store, row.lines, -1)
        first = answers.line_out(self.store, row, row.lines[0]) if row.lines else {}
        out = {**self.present(row), "id": row.id, "label": row.label, "LineItems": answers.lines_out(self.store, row)}
        if answer_without_lines and inventory.CHARGE in element:
            out |= answers.charges_out(row)
        return out | {name: first.get(name, "") for name in LINE_COLUMNS} | _LINE_EXTRAS

    def delete(self, id: str) -> Json:
        row = self.row(id)
        if inventory.takes_stock(row):
            inventory.move_stock(self.store, row.lines, +1)
        self.store.drop_lines(row.lines)
        self.store.delete(row)
        return {"status": "successful"}

    # --- fields --------------------------------------------------------------------------------------------------

    def _check(self, module: Module, element: Json, mandatory: tuple[str, ...]) -> None:
        for name, field in module.fields.items():
            if field.kind == "reference" and element.get(name) not in (None, "") and field.refers_to:
                self._check_reference(field, str(element[name]))
        for name in mandatory:
            if values.plain_text(element.get(name)).strip() == "":
                raise missing(name)

    def _check_reference(self, field: Field, id: str) -> None:
        prefix, _, digits = id.partition("x")
        module = self.store.schema.by_prefix.get(prefix)
        pointed = self.store.rows.get(int(digits)) if digits.isdigit() and digits.isascii() else None
        wrong_record = pointed is not None and module is not None and pointed.module is not module
        if module is None or module.name not in field.refers_to or (wrong_record and not self.people.exists(id)):
            raise WsError("REFERENCE_INVALID", f"Invalid reference specified for {field.name}")

    def _stored(self, module: Module, element: Mapping[str, Any]) -> dict[str, str]:
        """The sent fields as the tables keep them; unknown ones are dropped without a word."""
        number = NUMBERED.get(module.name, ("", ""))[0]
        skip = _SERVER_SET | {number} | (_COMPUTED if module.inventory else set())
        out: dict[str, str] = {}
        for name, value in element.items():
            if name not in module.defaults or name in skip:
                continue
            field = module.fields[name]
            out[name] = self._owner(value) if field.kind == "owner" else values.store(name, field.kind, value)
        if module.name == "SalesOrder":
            out.pop("invoicestatus", None)  # Demanded, echoed, and never kept (seen on the wire).
        return out

    def _owner(self, value: object) -> str:
        """Owners are not validated: "1" becomes 19x1, and an unknown 19x999 comes back as a bare 999."""
        prefix, _, digits = str(value).rpartition("x")
        candidates = (f"{prefix}x{digits}",) if prefix else (f"19x{digits}", f"20x{digits}")
        return next((id for id in candidates if self.people.exists(id)), digits)

    def _refuse_duplicate(self, module: Module, element: Json, own: Row | None) -> None:
        """Equal in all unique fields: only then a second record is refused (seen for one field on the wire)."""
        unique = self.switches.unique_fields(module.name)
        unique = [name for name in unique if name in module.columns]
        if not any(name in element for name in unique):
            return
        kept = own.values if own is not None else {}
        wanted = {
            name: values.store(name, "string", element[name]) if name in element else kept.get(name, "")
            for name in unique
        }
        if not any(wanted.values()):
            return
        others = [row for row in self.store.with_value(module, unique[0], wanted[unique[0]]) if row is not own]
        if any(all(fold(row.values[name]) == fold(wanted[name]) for name in unique) for row in others):
            raise WsError(0, "Duplicate(s) detected!")

    # --- products ------------------------------------------------------------------------------------------------

    def _price_in(self, row: Row, element: Json, *, created: bool) -> None:
        if "unit_price" in element:
            decimals = int(self.switches.currency_decimals or 0)
            self.store.change(row, {"unit_price": values.fixed(values.fixed(element["unit_price"], decimals), 8)})
        sent = {name: values.fixed(element[name], 3) for name in inventory.TAX_NAMES if element.get(name) is not None}
        if created or not self.switches.revise_erases_taxes:
            row.taxes |= sent
        else:
            row.taxes = sent  # T2: what is not sent again is gone.
        if created or "currency_id" in element:
            row.list_price = float(row.values["unit_price"])
        elif "currency1" in element:
            row.list_price = float(values.to_decimal(element["currency1"]))
        elif self.switches.revise_erases_taxes:
            row.list_price = 0.0

    # --- lines ---------------------------------------------------------------------------------------------------

    def _write_lines(self, row: Row, element: Json) -> Totals:
        row.lines = inventory.read_lines(self.store, row, element["LineItems"], row.values["hdnTaxType"])
        if self.lose_line and len(row.lines) > 1:
            self.store.drop_lines([row.lines.pop(0)])  # T5: another process took the same line number.
        row.charges = inventory.read_charges(element)
        decimals = 8 if row.module.name == "Invoice" else 3
        columns = inventory.charge_columns(element, row.charges, decimals)
        result = inventory.totals(self.store, row)
        self.store.change(row, columns | inventory.total_columns(result))
        if inventory.takes_stock(row):
            inventory.move_stock(self.store, row.lines, -1)
        return result

    def _inventory_answer(self, row: Row, element: Json, result: Totals) -> Json:
        """The answer after lines were written: totals as numbers, the product of the head null."""
        out = {**self.present(row), "id": row.id, "label": row.label, **answers.charges_out(row)}
        if row.module.name == "SalesOrder":
            out["invoicestatus"] = values.plain_text(element.get("invoicestatus"))
        out["hdnSubTotal"] = values.number(result.subtotal)
        out["hdnGrandTotal"] = values.number(result.grand)
        out["pre_tax_total"] = values.number(result.pre_tax)
        out["LineItems"] = answers.lines_out(self.store, row)
        out["productid"] = None
        return out
