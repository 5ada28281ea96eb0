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
from connectors.vtiger.listing import Listing
from connectors.vtiger.settings import VtigerSettings
from core import jsontext
from core.clock import parse_utc
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
            listing = Listing(self._client, self._canary, self.columns(module), module, "modifiedtime")
            for rows, last in listing.walk(start):
                reached[module] = max(last, reached.get(module, ""))
                yield PartyPage([self.party(module, row) for row in rows], jsontext.dumps(reached))


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
