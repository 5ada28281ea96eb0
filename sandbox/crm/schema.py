"""The modules and fields of the stand-in CRM, read from the `describe` answers of a real vtiger 8.2.

The answers lie in `describes/` as recorded. The custom field `cf_external_id` is added to the modules where an
administrator adds it, and can be left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.crm import values

FOLDER = Path(__file__).parent / "describes"
CUSTOM_FIELD = "cf_external_id"
CUSTOM_FIELD_MODULES = frozenset({"Contacts", "Accounts", "Leads", "Products", "SalesOrder", "Invoice"})
INVENTORY = frozenset({"SalesOrder", "Invoice"})
LINE_COLUMNS = (
    "productid",
    "quantity",
    "listprice",
    "comment",
    "discount_amount",
    "discount_percent",
    "tax1",
    "tax2",
    "tax3",
)
"""Columns of the line items that `describe` lists among the header fields of SalesOrder and Invoice."""

NUMBERED = {
    "Leads": ("lead_no", "LEA"),
    "Accounts": ("account_no", "ACC"),
    "Contacts": ("contact_no", "CON"),
    "Potentials": ("potential_no", "POT"),
    "Products": ("product_no", "PRO"),
    "Services": ("service_no", "SER"),
    "SalesOrder": ("salesorder_no", "SO"),
    "Invoice": ("invoice_no", "INV"),
}
"""The server numbers these records itself."""

PREFIXES = {"Users": "19", "Groups": "20", "Currency": "21", "LineItem": "33", "Tax": "34"}
_NOT_IN_TABLES = frozenset({"currency1"})
_NUMERIC = frozenset({"currency", "double", "integer", "boolean"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, the type word of `describe`, and where a reference may point."""

    name: str
    kind: str
    mandatory: bool
    refers_to: tuple[str, ...]

    @property
    def numeric(self) -> bool:
        return self.kind in _NUMERIC


@dataclass(frozen=True, slots=True)
class Module:
    """One module. `columns` are the stored fields in the order of `describe`; `defaults` their values when not sent."""

    name: str
    prefix: str
    describe: dict[str, Any]
    fields: dict[str, Field]
    columns: tuple[str, ...]
    references: tuple[str, ...]
    mandatory: tuple[str, ...]
    label_fields: tuple[str, ...]
    defaults: dict[str, str]

    @property
    def inventory(self) -> bool:
        return self.name in INVENTORY

    def queryable(self, column: str) -> bool:
        return column == "id" or column in self.fields


class Schema:
    """All modules by name and by id prefix. `custom_field=False` is an install without the external-id field."""

    def __init__(self, *, custom_field: bool = True) -> None:
        self.custom_field = custom_field
        self.list_types: dict[str, Any] = json.loads((FOLDER / "listtypes.json").read_text("utf-8"))
        self.modules: dict[str, Module] = {}
        for path in sorted(FOLDER.glob("[A-Z]*.json")):
            module = _module(json.loads(path.read_text("utf-8")), custom_field=custom_field)
            self.modules[module.name] = module
        self.by_prefix = {module.prefix: module for module in self.modules.values()}


@cache
def schema(*, custom_field: bool) -> Schema:
    """Read once for all stand-ins of a process: nobody changes it."""
    return Schema(custom_field=custom_field)


def _module(described: dict[str, Any], *, custom_field: bool) -> Module:
    name = described["name"]
    if custom_field and name in CUSTOM_FIELD_MODULES:
        described["fields"].insert(-1, _external_id())
    fields = {item["name"]: _field(item) for item in described["fields"] if _in_table(name, item["name"])}
    line_columns = set(LINE_COLUMNS) if name in INVENTORY else set()
    columns = tuple(key for key in fields if key != "id" and key not in line_columns)
    labels = described.get("labelFields") or ""
    return Module(
        name=name,
        prefix=described.get("idPrefix") or PREFIXES.get(name, ""),
        describe=described,
        fields=fields,
        columns=columns,
        references=tuple(key for key in columns if fields[key].kind == "reference" and fields[key].refers_to),
        mandatory=tuple(item.name for item in fields.values() if item.mandatory),
        label_fields=tuple(part for part in labels.split(",") if part),
        defaults={key: _default(name, fields[key]) for key in columns},
    )


def _in_table(module: str, name: str) -> bool:
    """Product taxes and shipping charges are described, but are no columns of the module's own tables."""
    if module in {"Products", "Services"} and name in {"tax1", "tax2", "tax3"}:
        return False
    return name not in _NOT_IN_TABLES and not name.startswith("shipping_&_handling")


def _field(item: dict[str, Any]) -> Field:
    kind = item["type"]
    return Field(item["name"], kind["name"], bool(item["mandatory"]), tuple(kind.get("refersTo") or ()))


def _default(module: str, field: Field) -> str:
    if module == "Invoice" and field.name == "hdnS_H_Percent":
        return "0.00000000"
    return "WEBSERVICE" if field.name == "source" else values.empty(field.name, field.kind)


def _external_id() -> dict[str, Any]:
    return {
        "name": CUSTOM_FIELD,
        "label": "External ID",
        "mandatory": False,
        "type": {"name": "string"},
        "isunique": False,
        "nullable": True,
        "editable": True,
        "default": "",
    }
