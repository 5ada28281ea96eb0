"""Tryton in the role of an ERP (connectors.roles.Erp). Of Tryton's records it writes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from connectors.polled import stock_page
from connectors.roles import ErpKind, Finding, Page, StockPage
from connectors.tryton import check
from connectors.tryton.client import Client
from connectors.tryton.rows import Rows, warehouse_name, wire_day
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.sources import GOODS, REPS, STAGES
from connectors.tryton.tables import TrytonTables
from connectors.walk import Domain, Manner, Place, Row, Source, Walk, from_text, to_text
from core.clock import Clock
from core.errors import ConfigurationProblem, NotThere
from core.keys import Change, Key
from mapping.canonical import ErpCustomer, ErpInvoice, ErpProduct, ErpSale, Region, SalesRep, StockLevel
from mapping.tryton import (
    code_of,
    customer_from_tryton,
    invoice_from_tryton,
    product_from_tryton,
    rep_code,
    rep_from_tryton,
    sale_from_tryton,
    stock_from_tryton,
    stock_id,
    stored,
)

BY_ID: Final = frozenset({"invoice", "sale"})
"""Kinds that are called by their id: a draft has no number."""
NUMBERED: Final[Domain] = [["code", "!=", None]]


class Tryton:
    """An ERP. Safe to share between threads."""

    def __init__(self, settings: TrytonSettings, client: Client, clock: Clock) -> None:
        self.name = settings.name
        self.kinds: frozenset[ErpKind] = frozenset(settings.kinds)
        self._settings = settings
        self._client = client
        self._tables = TrytonTables(client)
        self._clock = clock

    def close(self) -> None:
        self._client.http.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    def changes_since(self, kind: ErpKind, cursor: str | None) -> Iterator[Page]:
        self._told(kind)
        rows = self._rows()
        settings, now = self._settings, self._clock.now
        manner = Manner(STAGES[kind], settings.overlap, settings.per_page, lambda one: rows.fields(kind, one), now)
        walk = Walk(self._tables, manner, from_text(cursor, self.name) if cursor else Place())
        day = walk.place.day
        for step in walk.steps(self._more(kind, walk)):
            yield Page(rows.changes(kind, step.source, step.rows, day, step.asked_at), to_text(step.place))

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        for page in self.changes_since("stock", cursor):
            yield stock_page(page, self.stock)

    def ids(self, kind: ErpKind) -> Iterator[Sequence[str]]:
        self._told(kind)
        if kind in BY_ID:
            return self._listed(STAGES[kind][0], "id", lambda row: [str(row["id"])])
        if kind == "rep":
            return self._listed(REPS, "party.code", lambda row: [rep_code(row.get("party."))])
        if kind == "stock":
            places = [warehouse_name(place) for place in self._rows().places()]
            return self._listed(
                GOODS, "code", lambda row: [stock_id(place, code_of(row)) for place in places] if code_of(row) else []
            )
        return self._listed(STAGES[kind][0], "code", lambda row: [code_of(row)])

    def fetch(self, key: Key) -> Change:
        kind = cast("ErpKind", key.kind)
        if key.kind not in self.kinds:
            raise self._not_there(key)
        rows, asked_at = self._rows(), self._clock.now()
        source = STAGES[kind][0]
        domain: Domain = [*self._of(key), *self._tables.always(source)]
        day = self._tables.today()[0] if kind == "stock" else ""
        found = self._client.search_read(source.model, domain, rows.fields(kind, source), limit=self._settings.per_page)
        for change in rows.changes(kind, source, found, day, asked_at):
            if change.key == key:
                return change
        raise self._not_there(key)

    def _of(self, key: Key) -> Domain:
        """The domain that finds a record by what it is called."""
        if key.kind in BY_ID:
            return [["id", "=", int(key.id) if key.id.isascii() and key.id.isdigit() and len(key.id) < 18 else -1]]
        if key.kind == "rep":
            number = key.id.removeprefix("party-")
            if number != key.id and number.isascii() and number.isdigit() and len(number) < 18:
                return [["OR", ["party.code", "=", key.id], ["party", "=", int(number)]]]
            return [["party.code", "=", key.id]]
        if key.kind == "stock":
            return [["code", "=", key.id.partition("/")[2]]]
        return [["code", "=", key.id]]

    def _listed(self, source: Source, name: str, ids: Callable[[Row], list[str]]) -> Iterator[Sequence[str]]:
        told: set[str] = set()
        for page in self._client.listing(source.model, self._tables.always(source), [name]):
            fresh = [found for row in page for found in dict.fromkeys(ids(row)) if found and found not in told]
            if source is REPS:  # several agents may be one party
                told.update(fresh)
            yield list(dict.fromkeys(fresh))

    def _more(self, kind: ErpKind, walk: Walk) -> dict[str, list[Domain]]:
        """What makes a row changed although no row of it was written."""
        since, place = walk.since, walk.place
        if since is None:
            return {}
        if kind == "customer" and "agents" in self._client.fields("party.party"):
            return {
                "party.party": [
                    ["id", "in", self._became_agents(self._tables.either(self._tables.written_since("", since)))]
                ]
            }
        if kind == "stock" and place.day_before and place.day_before != place.day:
            # With a new day some planned moves fall due, and others are not waited for any more.
            days = [wire_day(place.day_before), wire_day(place.day)]
            passed: list[Domain] = [
                [[name, ">=", days[0]], [name, "<=", days[1]]] for name in ("planned_date", "effective_date")
            ]
            return {"stock.move": passed}
        return {}

    def _became_agents(self, changed: Domain) -> list[int]:
        pages = self._client.listing("commission.agent", changed, ["party"])
        return sorted({row["party"] for page in pages for row in page if isinstance(row.get("party"), int)})

    def _rows(self) -> Rows:
        return Rows(self.name, self._client, self._settings.warehouses, self._settings.promised)

    def _told(self, kind: str) -> None:
        if kind not in self.kinds:
            raise ConfigurationProblem(
                f"{self.name} is not asked for {kind}. What to do: add it to `kinds` of this connection if Tryton is to tell it."
            )

    def _not_there(self, key: Key) -> NotThere:
        return NotThere(f"{self.name} does not have {key.kind} {key.id}. What to do: see whether it was deleted there.")

    # -- mapping -------------------------------------------------------------------------------------------------------

    def customer(self, key: Key, raw: bytes) -> ErpCustomer:
        return customer_from_tryton(key, stored(raw))

    def rep(self, key: Key, raw: bytes) -> SalesRep:
        return rep_from_tryton(key, stored(raw))

    def region(self, key: Key, raw: bytes) -> Region:
        raise ConfigurationProblem("Tryton knows no sales regions. What to do: report this as a bug.")

    def product(self, key: Key, raw: bytes) -> ErpProduct:
        return product_from_tryton(key, stored(raw))

    def stock(self, key: Key, raw: bytes) -> StockLevel:
        return stock_from_tryton(key, stored(raw))

    def invoice(self, key: Key, raw: bytes) -> ErpInvoice:
        return invoice_from_tryton(key, stored(raw))

    def sale(self, key: Key, raw: bytes) -> ErpSale:
        return sale_from_tryton(key, stored(raw))

    # -- looking after it ----------------------------------------------------------------------------------------------

    def check(self) -> Sequence[Finding]:
        return check.run(self._settings, self._client, self._rows(), self._clock)
