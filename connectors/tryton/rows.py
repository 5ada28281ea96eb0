"""From rows of Tryton to changes: what else has to be read beside a row, and what the record is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from connectors.polled import change_of, nameless
from connectors.roles import ErpKind
from connectors.tryton.client import Client
from connectors.tryton.sources import (
    ADDRESS_USE,
    CUSTOMER_FIELDS,
    INVOICE_FIELDS,
    PARTY_FIELDS,
    PRODUCT_FIELDS,
    SALE_FIELDS,
    STOCK_FIELDS,
)
from connectors.walk import Row, Source
from core.keys import Change
from mapping.tryton import code_of, rep_code, stock_id

_FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "product": PRODUCT_FIELDS,
    "invoice": INVOICE_FIELDS,
    "sale": SALE_FIELDS,
}


@dataclass
class Rows:
    """Reads for one run: what does not change in it is asked once."""

    connection: str
    client: Client
    warehouses: Sequence[str] = ()
    promised: str = "first"
    """Which of the days that Tryton keeps (TrytonSettings.promised)."""
    _owned: frozenset[int] | None = None
    _currency: str | None = None
    _lead_time: list[Any] | None = None
    _places: list[Row] | None = None
    _seen: set[int] = field(default_factory=set)

    @property
    def company(self) -> int:
        """The id of the company that is read."""
        found: int = self.client.context()["company"]
        return found

    def fields(self, kind: ErpKind, source: Source) -> Sequence[str]:
        """What is read of a source for this kind, as far as the active modules have it."""
        if source.model == "stock.move":
            return ("product",)
        if kind == "stock":
            return ("code",)
        if kind == "rep":
            return tuple(f"party.{name}" for name in self._known("party.party", PARTY_FIELDS))
        if kind == "customer":
            use = tuple(f"addresses.{name}" for name in self._known("party.address", ADDRESS_USE))
            return (*self._known("party.party", CUSTOMER_FIELDS), *use)
        return self._known(source.model, _FIELDS[kind])

    def _known(self, model: str, names: Sequence[str]) -> tuple[str, ...]:
        known = self.client.fields(model)
        return tuple(name for name in names if name.partition(".")[0] in known)

    def changes(self, kind: ErpKind, source: Source, rows: Sequence[Row], day: str, asked_at: datetime) -> list[Change]:
        """The records of these rows. A customer without a number cannot be named: that is said, and kept."""
        if kind == "customer":
            found = [(code_of(row), row) for row in self._customers(rows)]
        elif kind == "rep":
            found = [(rep_code(row), row) for row in self._reps(rows)]
        elif kind == "product":
            found = [(code_of(row), {**row, "_currency": self._money()}) for row in rows if code_of(row)]
        elif kind == "stock":
            named = "product" if source.model == "stock.move" else "id"
            ids = [row[named] for row in rows if isinstance(row.get(named), int)]
            found = [
                (stock_id(level["_warehouse"], code_of(level)), level) for level in self._levels(ids, day, asked_at)
            ]
        elif kind == "sale":
            found = [(str(row["id"]), row) for row in self._sales(rows)]
        else:
            found = [(str(row["id"]), row) for row in rows]
        return [self._change(kind, name, row, asked_at) for name, row in found]

    def _change(self, kind: ErpKind, name: str, row: Row, asked_at: datetime) -> Change:
        if name:
            return change_of(self.connection, kind, name, row, asked_at)
        problem = (
            f"Tryton's party with the id {row.get('id')} has no code, so there is no customer number. "
            "What to do: give it a code in Tryton; it is read again then."
        )
        return nameless(self.connection, row, asked_at, problem)

    # -- what is read beside the rows ----------------------------------------------------------------------------------

    def _customers(self, rows: Sequence[Row]) -> list[Row]:
        own, agents = self._companies(), self._agents([row["id"] for row in rows])
        sells = {row["id"]: "own" if row["id"] in own else "agent" if row["id"] in agents else "" for row in rows}
        return [{**row, "_company": self.company, "_is": sells[row["id"]]} for row in rows]

    def _companies(self) -> frozenset[int]:
        """The parties that are companies of this database."""
        if self._owned is None:
            rows = self.client.search_read("company.company", [], ["party"])
            self._owned = frozenset(row["party"] for row in rows if isinstance(row.get("party"), int))
        return self._owned

    def _agents(self, parties: Sequence[int]) -> dict[int, list[Row]]:
        """Party -> the agents of our company that it is."""
        if not parties or "agents" not in self.client.fields("party.party"):
            return {}
        domain = [["party", "in", list(parties)], ["type_", "=", "agent"], ["company", "=", self.company]]
        found: dict[int, list[Row]] = {}
        for page in self.client.listing("commission.agent", domain, ["party", "active", "write_date", "create_date"]):
            for row in page:
                found.setdefault(row["party"], []).append(row)
        return found

    def _reps(self, rows: Sequence[Row]) -> list[Row]:
        parties = {row["party."]["id"]: row["party."] for row in rows if isinstance(row.get("party."), dict)}
        agents = self._agents(list(parties))
        return [{**party, "_agents": agents.get(number, [])} for number, party in parties.items()]

    def _money(self) -> str:
        if self._currency is None:
            rows = self.client.search_read("company.company", [["id", "=", self.company]], ["currency.code"])
            code = (rows[0].get("currency.") or {}).get("code") if rows else None
            self._currency = code if isinstance(code, str) else ""
        return self._currency

    def _sales(self, rows: Sequence[Row]) -> list[Row]:
        """Sales with what decides which of their days is a promise: `_lead_time` is that of articles without their own."""
        if rows and self._lead_time is None:
            found = self.client.search_read("product.configuration", [], ["default_lead_time"])
            self._lead_time = [row.get("default_lead_time") for row in found[:1]]
        lead_time = next(iter(self._lead_time or ()), None)
        return [{**row, "_promised": self.promised, "_lead_time": lead_time} for row in rows]

    # -- stock ---------------------------------------------------------------------------------------------------------

    def places(self) -> list[Row]:
        """The warehouses whose stock is read."""
        if self._places is None:
            rows = self.client.search_read("stock.location", [["type", "=", "warehouse"]], ["code", "name", "active"])
            wanted = set(self.warehouses)
            found = [row for row in rows if {row.get("code"), row.get("name")} & wanted]
            if len(found) < len(wanted):
                raise self.client.lacking(
                    "does not have every warehouse that is configured",
                    f"write codes or names of warehouses into `warehouses`; there are {', '.join(map(warehouse_name, rows))}",
                )
            self._places = found if wanted else [row for row in rows if row.get("active") in {True, None}]
        return self._places

    def _levels(self, products: Iterable[int], day: str, asked_at: datetime) -> list[Row]:
        """Stock of these products in every warehouse, each product once in a run."""
        fresh = [number for number in dict.fromkeys(products) if number not in self._seen]
        self._seen.update(fresh)
        levels: list[Row] = []
        for place in self.places() if fresh else ():
            told = {"locations": [place["id"]], "stock_date_end": wire_day(day)}
            domain = [["id", "in", fresh], ["type", "=", "goods"]]
            rows = self.client.search_read("product.product", domain, STOCK_FIELDS, context=told)
            beside = {"_warehouse": warehouse_name(place), "_read_at": asked_at.isoformat()}
            levels += [{**row, **beside} for row in rows if code_of(row)]
        return levels


def warehouse_name(row: Row) -> str:
    """What a warehouse is called in keys: its code, else its id; without the slash that parts it from the SKU."""
    return code_of(row).replace("/", "-") or f"location-{row.get('id')}"


def wire_day(text: str) -> dict[str, Any]:
    """A date as Tryton wants it."""
    year, month, day = text.split("-")
    return {"__class__": "date", "year": int(year), "month": int(month), "day": int(day)}
