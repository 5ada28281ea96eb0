"""Odoo in the role of an ERP (connectors.roles.Erp). Of Odoo's records it writes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from connectors.odoo import check
from connectors.odoo.client import Client
from connectors.odoo.rows import Rows, spellings, warehouse_name
from connectors.odoo.settings import OdooSettings
from connectors.odoo.sources import STAGES
from connectors.odoo.tables import OdooTables
from connectors.polled import stock_page
from connectors.roles import ErpKind, Finding, Page, StockPage
from connectors.walk import Domain, Manner, Place, Row, Walk, from_text, to_text
from core.clock import Clock
from core.errors import ConfigurationProblem, NotThere
from core.keys import Change, Key
from mapping.canonical import ErpCustomer, ErpInvoice, ErpProduct, ErpSale, Region, SalesRep, StockLevel
from mapping.odoo import (
    code_of,
    customer_from_odoo,
    invoice_from_odoo,
    product_from_odoo,
    region_from_odoo,
    region_id,
    rep_code,
    rep_from_odoo,
    sale_from_odoo,
    stock_from_odoo,
    stock_id,
    stored,
)
from mapping.reading import clean

NAMED: Final = {"customer": "ref", "rep": "ref", "product": "default_code", "stock": "default_code"}
"""Kind -> the field with its code; the others are called by their id."""
PREFIX: Final = {"rep": "user-", "region": "team-"}
"""What stands before an id in a name."""


class Odoo:
    """An ERP. Safe to share between threads."""

    def __init__(self, settings: OdooSettings, client: Client, clock: Clock) -> None:
        self.name = settings.name
        self.kinds: frozenset[ErpKind] = frozenset(settings.kinds)
        self._settings = settings
        self._client = client
        self._tables = OdooTables(client)
        self._clock = clock

    def close(self) -> None:
        self._client.http.close()

    # -- reading -------------------------------------------------------------------------------------------------------

    def changes_since(self, kind: ErpKind, cursor: str | None) -> Iterator[Page]:
        self._told(kind)
        rows, settings = self._rows(), self._settings
        manner = Manner(
            STAGES[kind], settings.overlap, settings.per_page, lambda one: rows.fields(kind, one), self._clock.now
        )
        walk = Walk(self._tables, manner, from_text(cursor, self.name) if cursor else Place())
        for step in walk.steps(self._more(kind, walk)):
            yield Page(rows.changes(kind, step.source, step.rows, step.asked_at), to_text(step.place))

    def _more(self, kind: ErpKind, walk: Walk) -> dict[str, list[Domain]]:
        """What makes a row changed although no row of it was written: another code of its rep, or that it became a user."""
        if walk.since is None or kind not in {"customer", "region"}:
            return {}
        written = [clause for path in ("", "partner_id") for clause in self._tables.written_since(path, walk.since)]
        pages = self._client.listing("res.users", self._tables.either(written), ["partner_id"])
        users = [row for page in pages for row in page]
        if not users:
            return {}
        ids = [row["id"] for row in users]
        if kind == "region":
            return {"crm.team": [["user_id", "in", ids], ["member_ids", "in", ids]]}
        partners = [number for row in users if (number := self._tables.reference(row.get("partner_id"))) is not None]
        return {"res.partner": [["user_id", "in", ids], ["id", "in", partners]]}

    def stock_since(self, cursor: str | None) -> Iterator[StockPage]:
        for page in self.changes_since("stock", cursor):
            yield stock_page(page, self.stock)

    def ids(self, kind: ErpKind) -> Iterator[Sequence[str]]:
        self._told(kind)
        rows = self._rows()
        if kind == "stock":
            places = [warehouse_name(place) for place in rows.places()]
            return self._listed(
                kind,
                lambda row: (
                    [stock_id(place, code) for place in places] if (code := code_of(row, "default_code")) else []
                ),
            )
        name: dict[str, Callable[[Row], str]] = {
            "customer": rows.number,
            "rep": rep_code,
            "region": region_id,
            "product": lambda row: code_of(row, "default_code"),
            "invoice": lambda row: str(row["id"]),
            "sale": lambda row: str(row["id"]),
        }
        return self._listed(kind, lambda row: [name[kind](row)])

    def _listed(self, kind: ErpKind, names: Callable[[Row], list[str]]) -> Iterator[Sequence[str]]:
        """Each once: Odoo lets several records have one code."""
        source, told = STAGES[kind][0], set[str]()
        for page in self._client.listing(source.model, self._tables.always(source), [NAMED.get(kind, "id")]):
            fresh = [name for row in page for name in names(row) if name and name not in told]
            told.update(fresh)
            yield list(dict.fromkeys(fresh))

    def fetch(self, key: Key) -> Change:
        kind = cast("ErpKind", key.kind)
        domain = self._of(key) if key.kind in self.kinds else None
        if domain is None:
            raise self._not_there(key)
        rows, asked_at, source = self._rows(), self._clock.now(), STAGES[kind][0]
        domain = [*domain, *self._tables.always(source)]
        found = self._client.search_read(source.model, domain, rows.fields(kind, source), limit=self._settings.per_page)
        for change in rows.changes(kind, source, found, asked_at):
            if change.key == key:
                return change
        raise self._not_there(key)

    def _of(self, key: Key) -> Domain | None:
        """The domain that finds a record by what it is called; None for what nothing can be called."""
        number = key.id.removeprefix(PREFIX.get(key.kind, ""))
        numbered = number.isascii() and number.isdigit() and len(number) < 11 and int(number) < 2**31
        by_id: Domain | None = [["id", "=", int(number)]] if numbered else None
        if key.kind not in NAMED or (key.kind == "customer" and self._settings.customer_number == "id"):
            return by_id if key.id == f"{PREFIX.get(key.kind, '')}{number}" else None
        code = key.id.partition("/")[2] if key.kind == "stock" else key.id
        if not code.strip() or clean(code) != code or not code.isprintable():
            return None
        if key.kind == "rep" and by_id is not None and number != key.id:
            return ["|", *by_id, ["ref", "in", spellings([code])]]
        return [[NAMED[key.kind], "in", spellings([code])]]

    def _rows(self) -> Rows:
        return Rows(self._settings, self._client, self._tables)

    def _told(self, kind: str) -> None:
        if kind not in self.kinds:
            raise ConfigurationProblem(
                f"{self.name} is not asked for {kind}. What to do: add it to `kinds` of this connection if Odoo is to tell it."
            )

    def _not_there(self, key: Key) -> NotThere:
        return NotThere(f"{self.name} does not have {key.kind} {key.id}. What to do: see whether it was deleted there.")

    # -- mapping -------------------------------------------------------------------------------------------------------

    def customer(self, key: Key, raw: bytes) -> ErpCustomer:
        return customer_from_odoo(key, stored(raw))

    def rep(self, key: Key, raw: bytes) -> SalesRep:
        return rep_from_odoo(key, stored(raw))

    def region(self, key: Key, raw: bytes) -> Region:
        return region_from_odoo(key, stored(raw))

    def product(self, key: Key, raw: bytes) -> ErpProduct:
        return product_from_odoo(key, stored(raw))

    def stock(self, key: Key, raw: bytes) -> StockLevel:
        return stock_from_odoo(key, stored(raw))

    def invoice(self, key: Key, raw: bytes) -> ErpInvoice:
        return invoice_from_odoo(key, stored(raw))

    def sale(self, key: Key, raw: bytes) -> ErpSale:
        return sale_from_odoo(key, stored(raw))

    # -- looking after it ----------------------------------------------------------------------------------------------

    def check(self) -> Sequence[Finding]:
        return check.run(self._settings, self._client, self._rows(), self._clock)
