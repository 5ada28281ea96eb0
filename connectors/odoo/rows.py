"""From rows of Odoo to changes: what else has to be read beside a row, and what the record is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.odoo.client import Client
from connectors.odoo.settings import OdooSettings
from connectors.odoo.sources import (
    ADDRESSES,
    CHILD_FIELDS,
    CHILDREN,
    CUSTOMERS,
    GOODS,
    INVOICE_FIELDS,
    LINE_FIELDS,
    MEMBERS,
    PARTNER_FIELDS,
    PRODUCT_FIELDS,
    SALE_FIELDS,
    STOCK_FIELDS,
    TEAM_FIELDS,
    TEAMS,
    USER_FIELDS,
)
from connectors.odoo.tables import OdooTables
from connectors.polled import change_of, nameless
from connectors.roles import ErpKind
from connectors.walk import Domain, Row, Source
from core.keys import Change
from mapping.odoo import code_of, reference, region_id, rep_code, stock_id

RECORD_FIELDS = {
    "customer": PARTNER_FIELDS,
    "rep": USER_FIELDS,
    "region": TEAM_FIELDS,
    "product": PRODUCT_FIELDS,
    "invoice": INVOICE_FIELDS,
    "sale": SALE_FIELDS,
}
OWNERS = {"stock.move": "product_id", "stock.quant": "product_id", "crm.team.member": "crm_team_id"}
"""Model -> its field with the record that is to be read again."""


@dataclass
class Rows:
    """Reads for one run: what does not change in it is asked once."""

    settings: OdooSettings
    client: Client
    tables: OdooTables
    _beside: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    _owned: frozenset[int] | None = None
    _places: list[Row] | None = None
    _seen: set[int] = field(default_factory=set)

    def fields(self, kind: ErpKind, source: Source) -> Sequence[str]:
        """What is read of a source for this kind, as far as the version and the installed apps have it."""
        if source == CHILDREN:
            return ("parent_id",)
        if source.model in OWNERS:
            return (OWNERS[source.model],)
        return ("default_code",) if kind == "stock" else self._known(source.model, RECORD_FIELDS[kind])

    def _known(self, model: str, names: Sequence[str]) -> tuple[str, ...]:
        known = self.client.fields(model)
        return tuple(name for name in names if name in known)

    def changes(self, kind: ErpKind, source: Source, rows: Sequence[Row], asked_at: datetime) -> list[Change]:
        """The records of these rows. A customer without a number of its own cannot be named: that is said, and kept."""
        if kind == "customer":
            return self._customers(
                self._whole(kind, CUSTOMERS, rows, "parent_id") if source == CHILDREN else rows, asked_at
            )
        if kind == "region":
            whole = self._whole(kind, TEAMS, rows, "crm_team_id") if source == MEMBERS else rows
            found = [(region_id(row), row) for row in self._teams(whole)]
        elif kind == "rep":
            found = [(rep_code(row), row) for row in rows]
        elif kind == "product":
            found = [(code_of(row, "default_code"), row) for row in rows]
        elif kind == "stock":
            ids = [reference(row.get(OWNERS.get(source.model, "id"))) for row in rows]
            levels = self._levels([number for number in ids if number is not None], asked_at)
            found = [(stock_id(level["_warehouse"], code_of(level, "default_code")), level) for level in levels]
        elif kind == "sale":
            found = [(str(row["id"]), row) for row in rows]
        else:
            found = [(str(row["id"]), row) for row in self._invoices(rows)]
        return [change_of(self.settings.name, kind, name, row, asked_at) for name, row in found if name]

    def _whole(self, kind: ErpKind, source: Source, rows: Sequence[Row], owner: str) -> Sequence[Row]:
        """The records to which these rows belong, each once in a run."""
        fresh = self._fresh(reference(row.get(owner)) for row in rows)
        domain: Domain = [["id", "in", fresh], *self.tables.always(source)]
        return self.client.search_read(source.model, domain, self.fields(kind, source)) if fresh else []

    def _fresh(self, numbers: Iterable[int | None]) -> list[int]:
        fresh = [number for number in dict.fromkeys(numbers) if number is not None and number not in self._seen]
        self._seen.update(fresh)
        return fresh

    # -- customers -----------------------------------------------------------------------------------------------------

    def number(self, row: Row) -> str:
        """The number of a customer."""
        return code_of(row, "ref") if self.settings.customer_number == "ref" else str(row["id"])

    def _customers(self, rows: Sequence[Row], asked_at: datetime) -> list[Change]:
        if not rows:
            return []
        ids = [int(row["id"]) for row in rows]
        self._look_up(rows)
        sells, first = self._sells(ids), self._first_of(rows)
        children = self._children(ids)
        changes = []
        for row in rows:
            number, found = self.number(row), int(row["id"])
            inside = {"_number": number, "_is": sells.get(found, ""), "_children": children.get(found, [])}
            whole = {**self._addressed(row), **inside, "_rep": self.user(row)}
            problem = self._problem(found, number, first.get(number, found))
            changes.append(
                nameless(self.settings.name, whole, asked_at, problem)
                if problem
                else change_of(self.settings.name, "customer", number, whole, asked_at)
            )
        return changes

    def _problem(self, id: int, number: str, first: int) -> str:
        if not number:
            return (
                f"Odoo's contact with the id {id} has no Reference, so there is no customer number. What to do: give it one "
                'in Odoo (tab Sales & Purchase), or set customer_number = "id"; it is read again then.'
            )
        if first != id:
            return (
                f"Odoo's contacts with the ids {first} and {id} have the same Reference, and only the first is taken in. "
                "What to do: give the second one another, or merge them in Odoo; it is read again then."
            )
        return ""

    def _first_of(self, rows: Sequence[Row]) -> dict[str, int]:
        """Number -> the contact that has it. Odoo lets several have one: the first counts."""
        numbers = [number for number in dict.fromkeys(map(self.number, rows)) if number]
        first: dict[str, int] = {}
        if self.settings.customer_number == "ref" and numbers:
            domain: Domain = [["ref", "in", spellings(numbers)], *self.tables.always(CUSTOMERS)]
            for page in self.client.listing("res.partner", domain, ["ref"]):
                for row in page:
                    first.setdefault(self.number(row), int(row["id"]))
        return first

    def _children(self, parents: Sequence[int]) -> dict[int, list[Row]]:
        domain: Domain = [["parent_id", "in", list(parents)], ADDRESSES]
        found: dict[int, list[Row]] = {}
        for page in self.client.listing("res.partner", domain, self._known("res.partner", CHILD_FIELDS)):
            self._look_up(page)
            for row in page:
                reps = {"_rep": self.user(row)} if self.settings.ship_to_reps else {}
                found.setdefault(reference(row.get("parent_id")) or 0, []).append({**self._addressed(row), **reps})
        return found

    def _look_up(self, rows: Sequence[Row]) -> None:
        """What these rows refer to, each kind in one request."""
        self._names("res.country", "code", rows, "country_id")
        self._names("res.country.state", "name", rows, "state_id")
        self._names("res.users", "ref", rows, "user_id")

    def _addressed(self, row: Row) -> Row:
        country = self._names("res.country", "code", [row], "country_id").get(reference(row.get("country_id")) or 0, "")
        state = self._names("res.country.state", "name", [row], "state_id").get(reference(row.get("state_id")) or 0, "")
        return {**row, "_country": country, "_state": state}

    def _sells(self, partners: Sequence[int]) -> dict[int, str]:
        """Contacts that are no customers: of our companies, and of our users."""
        domain: Domain = [["partner_id", "in", list(partners)], ["share", "=", False]]
        users = self.client.listing("res.users", domain, ["partner_id"])
        found = {reference(row.get("partner_id")) or 0: "user" for page in users for row in page}
        if self._owned is None:
            rows = self.client.search_read("res.company", [], ["partner_id"])
            self._owned = frozenset(reference(row.get("partner_id")) or 0 for row in rows)
        return {**found, **dict.fromkeys(self._owned & set(partners), "own")}

    # -- reps and regions ----------------------------------------------------------------------------------------------

    def user(self, row: Row) -> Row | None:
        """The salesperson of a row, as far as it takes to say their code."""
        number = reference(row.get("user_id"))
        return self._coded([number])[0] if number is not None else None

    def _coded(self, users: Sequence[int]) -> list[Row | None]:
        refs = self._names("res.users", "ref", [{"user_id": number} for number in users], "user_id")
        return [{"id": number, "ref": refs[number]} if number in refs else None for number in users]

    def _teams(self, rows: Sequence[Row]) -> list[Row]:
        found = []
        for row in rows:
            leader, members = reference(row.get("user_id")), row.get("member_ids")
            serving = [leader] if leader is not None else sorted(members) if isinstance(members, list) else []
            found.append({**row, "_reps": [user for user in self._coded(serving) if user is not None]})
        return found

    def _names(self, model: str, name: str, rows: Sequence[Row], via: str) -> dict[int, str]:
        """Id -> text of one field of the records that these rows refer to, among others; each is asked once in a run."""
        known = self._beside.setdefault((model, name), {})
        ids = {number for row in rows if (number := reference(row.get(via))) is not None} - known.keys()
        if ids:
            for page in self.client.listing(model, [["id", "in", sorted(ids)]], [name]):
                known |= {int(row["id"]): str(row.get(name) or "") for row in page}
        return known

    # -- stock ---------------------------------------------------------------------------------------------------------

    def places(self) -> list[Row]:
        """The warehouses whose stock is read."""
        if self._places is None:
            own: Domain = [["company_id", "=", self.client.company]]
            rows = self.client.search_read("stock.warehouse", own, ["code", "name", "active"])
            wanted = set(self.settings.warehouses)
            found = [row for row in rows if {row.get("code"), row.get("name")} & wanted]
            if len(found) < len(wanted):
                there = ", ".join(map(warehouse_name, rows))
                raise self.client.lacking(
                    "does not have every warehouse that is configured",
                    f"write short names or names of warehouses into `warehouses`; there are {there}",
                )
            self._places = found if wanted else [row for row in rows if row.get("active") in {True, None}]
        return self._places

    def _levels(self, products: Iterable[int], asked_at: datetime) -> list[Row]:
        """Stock of these products in every warehouse, each product once in a run."""
        fresh, levels = self._fresh(products), []
        for place in self.places() if fresh else ():
            # 18 renamed what the context calls it.
            told: dict[str, Any] = {"warehouse": place["id"], "warehouse_id": place["id"]}
            domain: Domain = [["id", "in", fresh], *self.tables.always(GOODS)]
            fields = self._known("product.product", STOCK_FIELDS)
            rows = self.client.search_read("product.product", domain, fields, context=told)
            beside = {"_warehouse": warehouse_name(place), "_read_at": asked_at.isoformat()}
            levels += [{**row, **beside} for row in rows if code_of(row, "default_code")]
        return levels

    # -- invoices ------------------------------------------------------------------------------------------------------

    def _invoices(self, rows: Sequence[Row]) -> list[Row]:
        """Invoices with their customer's number, and with their lines in the order of the page."""
        if not rows:
            return []
        via = "commercial_partner_id"
        refs = self._names("res.partner", "ref", rows, via)
        domain: Domain = [["move_id", "in", [row["id"] for row in rows]], ["display_type", "=", "product"]]
        lines: dict[int, list[Row]] = {}
        for page in self.client.listing("account.move.line", domain, LINE_FIELDS):
            skus = self._names("product.product", "default_code", page, "product_id")
            for line in page:
                sku = skus.get(reference(line.get("product_id")) or 0, "")
                lines.setdefault(reference(line.get("move_id")) or 0, []).append({**line, "_sku": sku})
        found = []
        for row in rows:
            customer = reference(row.get(via)) or 0
            number = self.number({"id": customer, "ref": refs.get(customer)}) if customer else ""
            ordered = sorted(lines.get(row["id"], []), key=lambda line: (line.get("sequence") or 0, line["id"]))
            found.append({**row, "_customer": number, "_lines": ordered})
        return found


def spellings(codes: Sequence[str]) -> list[str]:
    """A code as it may stand in a field: whoever typed it may have left a blank."""
    return [spelt for code in codes for spelt in (code, f"{code} ", f" {code}")]


def warehouse_name(row: Row) -> str:
    """What a warehouse is called in keys: its short name, else its id; without the slash that parts it from the SKU."""
    return code_of(row, "code").replace("/", "-") or f"warehouse-{row.get('id')}"
