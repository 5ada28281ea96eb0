"""Accounts and contacts out of vtiger: paging that loses nobody, and the one question for a customer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal

from connectors.roles import PartyPage
from connectors.vtiger import query as q
from connectors.vtiger.canary import Canary
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.settings import VtigerSettings
from core import jsontext
from core.clock import parse_utc
from core.errors import RetryLater
from mapping.canonical import Party, Probe
from mapping.vtiger import PartyFields, account_from_vtiger, clean, contact_from_vtiger
from mapping.vtiger.party import ACCOUNT_COLUMNS, ACCOUNT_EXTRAS, CONTACT_COLUMNS, CONTACT_EXTRAS

PartyModule = Literal["Accounts", "Contacts"]
PARTY_MODULES: Final[tuple[PartyModule, ...]] = ("Accounts", "Contacts")
ALIKE: Final = 20
"""So many candidates are enough for a person to choose from."""


class Parties:
    """Reading customers; writes nothing."""

    def __init__(self, settings: VtigerSettings, client: Client, modules: Modules, canary: Canary) -> None:
        self._settings = settings
        self._client = client
        self._modules = modules
        self._canary = canary

    def fields(self, module: PartyModule | Literal["Leads"]) -> PartyFields:
        """How this install calls the fields of a module."""
        settings = self._settings
        if module != "Accounts":
            return PartyFields(settings.external_field(module))
        return PartyFields(settings.external_field(module), settings.vat_field, settings.erp_number_field)

    def columns(self, module: PartyModule) -> tuple[str, ...]:
        """What is asked for, as far as the API user may see it: a hidden column would make vtiger deny the query."""
        account = module == "Accounts"
        base, extras = (ACCOUNT_COLUMNS, ACCOUNT_EXTRAS) if account else (CONTACT_COLUMNS, CONTACT_EXTRAS)
        names = self.fields(module)
        own = tuple(name for name in (names.external_id, names.vat, names.erp_number) if name)
        self._modules.require_fields(module, own)
        return base + own + self._modules.present(module, extras)

    def party(self, module: PartyModule, row: Record) -> Party:
        """A row as Party."""
        mapped = account_from_vtiger if module == "Accounts" else contact_from_vtiger
        return mapped(row, self.fields(module))

    # -- one customer -------------------------------------------------------------------------------------------------

    def find(self, probe: Probe) -> list[Party]:
        """Contacts by e-mail or external id in one query; accounts in a second one only where the probe asks for them:
        by VAT number, ERP number or name (and then by external id too), or by external id alone.
        """
        names = self.fields("Accounts")
        contacts = self._where(
            (self.fields("Contacts").external_id, probe.external_id),
            ("email", probe.email),
        )
        wanted = (
            (names.vat, probe.vat_number),
            (names.erp_number, probe.erp_number),
            ("accountname", probe.account_name),
        )
        accounts = self._where(*wanted)
        if probe.external_id and (accounts or not probe.email):
            accounts = self._where((names.external_id, probe.external_id), *wanted)
        return self._search("Contacts", contacts, probe) + self._search("Accounts", accounts, probe)

    @staticmethod
    def _where(*pairs: tuple[str, str]) -> str:
        """OR of what is given; vtiger's language has no parentheses, and needs none here."""
        clauses = []
        for field, value in pairs:
            if field and value.strip():
                try:
                    clauses.append(q.equal(field, value.strip()))
                except ValueError:  # nothing is left of it that vtiger could have stored
                    continue
        return " OR ".join(clauses)

    def _search(self, module: PartyModule, where: str, probe: Probe) -> list[Party]:
        if not where:
            return []
        rows = self._canary.search(
            self.columns(module), module, where, lambda row: self._fits(module, row, probe), limit=str(ALIKE + 1)
        )
        return [self.party(module, row) for row in rows]

    def _fits(self, module: PartyModule, row: Record, probe: Probe) -> bool:
        """Whether a row is what the probe asks for (the canary rides along with every question)."""
        names = self.fields(module)
        asked = (
            (names.external_id, probe.external_id),
            ("email", probe.email if module == "Contacts" else ""),
            (names.vat, probe.vat_number),
            (names.erp_number, probe.erp_number),
            ("accountname", probe.account_name),
        )
        return any(
            field and value.strip() and str(row.get(field, "")).casefold() == clean(value.strip()).casefold()
            for field, value in asked
        )

    # -- all customers ------------------------------------------------------------------------------------------------

    def since(self, cursor: str | None) -> Iterator[PartyPage]:
        """Pages of accounts, then contacts, oldest modification first.

        The cursor is JSON: module -> last modification seen, as vtiger writes it. A module without one is read in full.
        """
        reached = _positions(cursor)
        for module in PARTY_MODULES:
            start = _back(reached[module], self._settings.overlap) if module in reached else ""
            for rows, last in self._walk(module, start):
                reached[module] = max(last, reached.get(module, ""))
                yield PartyPage([self.party(module, row) for row in rows], jsontext.dumps(reached))

    def _walk(self, module: PartyModule, start: str) -> Iterator[tuple[list[Record], str]]:
        """Rows modified at `start` or later, and how far each page reaches.

        No offsets: a record that is modified meanwhile moves to the end, the others move up, an offset would skip one.
        Each page starts at the second where the one before ended; a second with more rows than a page is walked by id.
        """
        columns = self.columns(module)
        at, where = start, f"modifiedtime >= {q.moment(start)}" if start else ""
        while True:
            rows = self._page(columns, module, where, "modifiedtime, id")
            if not rows and not where:
                self._canary.witness(module)  # believed, an empty index would double every customer
            if not rows:
                return
            first, last = (self._time(row, module) for row in (rows[0], rows[-1]))
            if not at <= first <= last:
                raise self._unordered(module)
            yield rows, last
            if len(rows) < q.PAGE:
                return
            where = f"modifiedtime >= {q.moment(last)}"
            if first == last:
                yield from self._rest_of_second(columns, module, last, str(rows[-1].get("id")))
                where = f"modifiedtime > {q.moment(last)}"
            at = last

    def _rest_of_second(
        self, columns: tuple[str, ...], module: PartyModule, second: str, id: str
    ) -> Iterator[tuple[list[Record], str]]:
        """More than a page was modified in this very second (an import): on by id."""
        while True:
            rows = self._page(columns, module, f"modifiedtime = {q.moment(second)} AND id > {q.record_id(id)}", "id")
            if rows:
                yield rows, second
            if len(rows) < q.PAGE:
                return
            if q.crmid(str(rows[-1].get("id"))) <= q.crmid(id):
                raise self._unordered(module)
            id = str(rows[-1].get("id"))

    def _page(self, columns: tuple[str, ...], module: PartyModule, where: str, order: str) -> list[Record]:
        return self._client.query(q.select(columns, module, where, order, f"0,{q.PAGE}"))

    def _time(self, row: Record, module: PartyModule) -> str:
        time = str(row.get("modifiedtime"))
        try:
            q.moment(time)
        except ValueError:
            raise self._unordered(module) from None
        return time

    def _unordered(self, where: object) -> RetryLater:
        return RetryLater(
            f"{self._settings.name} lists its records in no order. What to do: report this with vtiger's version.",
            seconds=300,
            connection=self._settings.name,
            cause="remote 5xx",
            detail=f"listing not ordered at {where}",
        )


def _positions(cursor: str | None) -> dict[str, str]:
    """What a cursor says; an unreadable one says nothing, and everything is read again."""
    if not cursor:
        return {}
    try:
        value = jsontext.loads(cursor)
    except ValueError:
        return {}
    reached: dict[str, str] = {}
    for module in PARTY_MODULES if isinstance(value, dict) else ():
        try:
            q.moment(str(value.get(module)))
        except ValueError:
            continue
        reached[module] = str(value[module])
    return reached


def _back(time: str, seconds: float) -> str:
    return f"{parse_utc(time) - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
