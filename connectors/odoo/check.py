"""What `orderwire check` looks at in Odoo. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connectors.findings import clocks, encryption, looked, problem, warehouses
from connectors.odoo.client import Client
from connectors.odoo.protocol import JSON2_SINCE, Way
from connectors.odoo.rows import Rows, warehouse_name
from connectors.odoo.settings import OdooSettings
from connectors.odoo.sources import APPS, CUSTOMERS, PRODUCTS, READS
from connectors.roles import Finding
from connectors.walk import Domain
from core.clock import Clock
from core.errors import OrderwireError, RetryLater

OLDEST: Final = 16
PROVEN: Final = (18, 19)
RIGHTS: Final = {
    "account.": "Invoicing: at least Billing, or Read-only where it is offered",
    "stock.": "Inventory: User",
    "crm.": "Sales: User, All Documents",
    "sale.": "Sales: User, All Documents",
    "product.": "Sales: User, or Inventory: User",
    "res.": "the user type Internal User",
}
"""Beginning of a model's name -> the right that lets a user read it in an unchanged Odoo."""
CLICKS: Final = "in Odoo open Settings > Users & Companies > Users, the user, tab Access Rights"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the looks below share."""

    settings: OdooSettings
    client: Client
    rows: Rows
    way: Way
    server_time: datetime | None
    clock: Clock
    faults: dict[str, RetryLater]
    """Models that cannot be read, and why."""

    def wants(self, kind: str) -> bool:
        """Whether this kind is read, and can be."""
        return kind in self.settings.kinds and not set(READS[kind]) & self.faults.keys()


def run(settings: OdooSettings, client: Client, rows: Rows, clock: Clock) -> list[Finding]:
    """All findings, in the order in which a person would mend them. Without a login there is only one."""
    try:
        way = client.choose()
        answer = client.ask("res.users", "context_get")
        client.context()
        faults = _faults(settings, client)
    except OrderwireError as error:
        return [problem("login", error)]
    look = Inspection(settings, client, rows, way, answer.server_time, clock, faults)
    parts = (
        _login,
        _encryption,
        _version,
        _rights,
        _company,
        _clock,
        _warehouses,
        _salespeople,
        _customers,
        _articles,
    )
    return looked(parts, look)


def _faults(settings: OdooSettings, client: Client) -> dict[str, RetryLater]:
    """Every model is asked for one row: what says whether we may read it differs between versions, and this does not."""
    faults: dict[str, RetryLater] = {}
    for model in dict.fromkeys(model for kind in settings.kinds for model in READS[kind]):
        try:
            client.search_read(model, [], ["id"], limit=1)
        except RetryLater as error:
            if error.cause not in {"auth", "configuration"}:
                raise
            faults[model] = error
    return faults


def _login(look: Inspection) -> Iterator[Finding]:
    yield Finding("login", "ok", f"{look.settings.url} can be reached; logged in as {look.settings.username}.")


def _encryption(look: Inspection) -> Iterator[Finding]:
    yield from encryption("Odoo", look.settings.url, "API key")


def _version(look: Inspection) -> Iterator[Finding]:
    way = look.way
    told = f"Odoo {way.version or 'of unknown version'} over {'JSON-2' if way.protocol == 'json2' else 'JSON-RPC'}"
    if way.major and way.major < OLDEST:
        message = f"{told}: this connector reads {OLDEST} and later."
        yield Finding("version", "problem", message, "update Odoo")
    elif way.protocol == "jsonrpc" and way.major >= JSON2_SINCE:
        advice = 'leave `protocol` out of this connection, or set it to "json2".'
        yield Finding("version", "warning", f"{told}, which Odoo is about to remove.", advice)
    elif way.major in PROVEN:
        yield Finding("version", "ok", f"{told}.")
    else:
        advice = "try it on a copy of the database first."
        proven = " and ".join(map(str, PROVEN))
        yield Finding("version", "warning", f"{told} is not what this is proven with ({proven}).", advice)


def _rights(look: Inspection) -> Iterator[Finding]:
    for model, error in look.faults.items():
        kinds = ", ".join(kind for kind in look.settings.kinds if model in READS[kind])
        if error.cause == "auth":
            right = next(right for start, right in RIGHTS.items() if model.startswith(start))
            message = f"{look.settings.username} may not read {model}, so Odoo cannot tell {kinds}."
            yield Finding(model, "problem", message, f"{CLICKS}: give it {right}; or leave {kinds} out of `kinds`")
        else:
            app = next((app for start, app in APPS.items() if model.startswith(start)), "that brings it")
            message = f"There is no {model}, so Odoo cannot tell {kinds}."
            yield Finding(model, "problem", message, f"install the app {app}, or leave {kinds} out of `kinds`")
    if not look.faults:
        yield Finding("rights", "ok", "Everything that is read may be read.")


def _company(look: Inspection) -> Iterator[Finding]:
    rows = look.client.search_read("res.company", [["id", "=", look.client.company]], ["name"])
    yield Finding("company", "ok", f"Read for {rows[0].get('name') if rows else look.client.company}.")


def _clock(look: Inspection) -> Iterator[Finding]:
    yield from clocks("Odoo", look.server_time, look.clock.now())


def _warehouses(look: Inspection) -> Iterator[Finding]:
    if look.wants("stock"):
        yield warehouses(map(warehouse_name, look.rows.places()))


def _salespeople(look: Inspection) -> Iterator[Finding]:
    if not look.wants("customer"):
        return
    without: Domain = [["user_id", "!=", False], ["user_id.partner_id.ref", "=", False]]
    count = look.client.count("res.partner", [*without, *look.rows.tables.always(CUSTOMERS)])
    if count:
        yield Finding(
            "rep codes", "warning",
            f"{count} customers have a salesperson whose contact has no Reference: such a rep is named by its id.",
            "give the contacts of these users a Reference (Contacts, the person, tab Sales & Purchase)",
        )  # fmt: skip
    else:
        yield Finding("rep codes", "ok", "Every salesperson of a customer has a code.")


def _customers(look: Inspection) -> Iterator[Finding]:
    if not look.wants("customer") or look.settings.customer_number == "id":
        return
    count = look.client.count("res.partner", [["ref", "=", False], *look.rows.tables.always(CUSTOMERS)])
    if count:
        message = f"{count} customers have no Reference: without a customer number they cannot be taken in."
        advice = 'give them a Reference (Contacts, tab Sales & Purchase), or set customer_number = "id"'
        yield Finding("customers", "warning", message, advice)


def _articles(look: Inspection) -> Iterator[Finding]:
    if not look.wants("product") and not look.wants("stock"):
        return
    without: Domain = [["default_code", "=", False], ["active", "=", True]]
    count = look.client.count("product.product", [*without, *look.rows.tables.always(PRODUCTS)])
    if count:
        message = f"{count} active products have no Internal Reference: without an article number they are left out."
        yield Finding("products", "warning", message, "give those that are sold an Internal Reference")
