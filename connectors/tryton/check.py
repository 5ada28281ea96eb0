"""What `orderwire check` looks at in Tryton. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connectors.findings import clocks, encryption, looked, problem, warehouses
from connectors.roles import Finding
from connectors.tryton.client import Client
from connectors.tryton.rows import Rows, warehouse_name
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.sources import NEEDS, READS
from connectors.walk import Domain, Row
from core.clock import Clock
from core.errors import OrderwireError

PROVEN: Final = "8.2"
GROUPS: Final = {
    "stock.move": "Stock",
    "account.invoice": "Accounting",
    "account.invoice.line": "Accounting",
    "sale.sale": "Sales",
}
"""Model -> the group whose users may read it in an unchanged Tryton; the others may be read by every user."""
CLICKS: Final = "in Tryton open Administration > Users > Users, the user, tab Access Permissions"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the looks below share."""

    settings: TrytonSettings
    client: Client
    rows: Rows
    preferences: Row
    modules: dict[str, str]
    server_time: datetime | None
    clock: Clock

    def wants(self, kind: str) -> bool:
        """Whether this kind is read, and can be."""
        return kind in self.settings.kinds and not set(NEEDS[kind]) - set(self.modules)


def run(settings: TrytonSettings, client: Client, rows: Rows, clock: Clock) -> list[Finding]:
    """All findings, in the order in which a person would mend them. Without a login there is only one."""
    try:
        answer = client.ask("model.res.user.get_preferences", True, {})
        preferences = answer.result if isinstance(answer.result, dict) else {}
        modules = _activated(client)
    except OrderwireError as error:
        return [problem("login", error)]
    look = Inspection(settings, client, rows, preferences, modules, answer.server_time, clock)
    parts = (
        _login,
        _encryption,
        _version,
        _modules,
        _rights,
        _company,
        _clock,
        _warehouses,
        _agents,
        _customers,
        _articles,
    )
    return looked(parts, look)


def _activated(client: Client) -> dict[str, str]:
    """Active modules and their versions. Asked without a company, which a user may lack."""
    rows = client.call(
        "model.ir.module.search_read", [["state", "=", "activated"]], 0, 1_000, None, ["name", "version"], {}
    )
    return {
        str(row["name"]): str(row.get("version") or "") for row in rows if isinstance(row, dict) and row.get("name")
    }


def _login(look: Inspection) -> Iterator[Finding]:
    groups = look.preferences.get("groups")
    yield Finding("login", "ok", f"{look.settings.url} can be reached; logged in as {look.settings.username}.")
    if not groups:
        yield Finding(
            "groups", "warning",
            f"{look.settings.username} is in no groups, as every user is at first: it sees parties, agents and products alone.",
            f"{CLICKS}, Groups: add {', '.join(sorted(set(GROUPS.values())))}",
        )  # fmt: skip


def _encryption(look: Inspection) -> Iterator[Finding]:
    yield from encryption("Tryton", look.settings.url, "password")


def _version(look: Inspection) -> Iterator[Finding]:
    version = look.modules.get("party", "")
    if version.rpartition(".")[0] == PROVEN:
        yield Finding("version", "ok", f"Tryton {version}.")
        return
    yield Finding(
        "version", "warning", f'Tryton "{version or "of unknown version"}" is not the one this is proven with ({PROVEN}).',
        "try it on a copy of the database first.",
    )  # fmt: skip


def _modules(look: Inspection) -> Iterator[Finding]:
    wanted = dict.fromkeys(module for kind in look.settings.kinds for module in NEEDS[kind])
    missing = [module for module in wanted if module not in look.modules]
    for module in missing:
        kinds = [kind for kind in look.settings.kinds if module in NEEDS[kind]]
        yield Finding(
            module, "problem", f"The module {module} is not active, so Tryton cannot tell {', '.join(kinds)}.",
            f"activate it in Administration > Modules, or leave {', '.join(kinds)} out of `kinds`",
        )  # fmt: skip
    if not missing:
        yield Finding("modules", "ok", f"All that is needed is active: {', '.join(wanted)}.")


def _rights(look: Inspection) -> Iterator[Finding]:
    wanted = dict.fromkeys(model for kind in look.settings.kinds if look.wants(kind) for model in READS[kind])
    if look.wants("invoice") and "sale" in look.modules:
        wanted["sale.sale"] = None
    access = look.client.call("model.ir.model.access.get_access", list(wanted), {})
    for model in wanted:
        may = access.get(model) if isinstance(access, dict) else None
        if isinstance(may, dict) and may.get("read"):
            continue
        group = GROUPS.get(model)
        advice = f"add the group {group}" if group else f"add a group that may read {model}"
        yield Finding(
            model, "problem", f"{look.settings.username} may not read {model}.", f"{CLICKS}, Groups: {advice}"
        )


def _company(look: Inspection) -> Iterator[Finding]:
    company, own = look.client.context()["company"], look.preferences.get("company")
    rows = look.client.search_read("company.company", [["id", "=", company]], ["rec_name", "currency.code"])
    name = rows[0].get("rec_name") if rows else company
    if company != own:
        yield Finding(
            "company", "problem", f"The user's own company is not {name}: stock and rules follow the user's own.",
            f"{CLICKS}: make {name} its company; or leave `company` out of this connection",
        )  # fmt: skip
        return
    yield Finding("company", "ok", f"Read for {name}.")


def _clock(look: Inspection) -> Iterator[Finding]:
    yield from clocks("Tryton", look.server_time, look.clock.now())


def _warehouses(look: Inspection) -> Iterator[Finding]:
    if look.wants("stock"):
        yield warehouses(map(warehouse_name, look.rows.places()))


def _agents(look: Inspection) -> Iterator[Finding]:
    if not look.wants("customer"):
        return
    without: Domain = [["agents.agent.party.code", "=", None], ["agents", "!=", None]]
    count = look.client.count("party.party", without)
    if count:
        yield Finding(
            "rep codes", "warning", f"{count} customers have agents whose party has no code: such a rep is named by its id.",
            "give the parties of these agents a code (Parties > Parties)",
        )  # fmt: skip
    else:
        yield Finding("rep codes", "ok", "Every agent of a customer has a code.")


def _customers(look: Inspection) -> Iterator[Finding]:
    if not look.wants("customer"):
        return
    count = look.client.count("party.party", [["code", "=", None]])
    if count:
        message = f"{count} parties have no code: without a customer number they cannot be taken in."
        yield Finding("customers", "warning", message, "give them a code (Parties > Parties)")


def _articles(look: Inspection) -> Iterator[Finding]:
    if not look.wants("product") and not look.wants("stock"):
        return
    count = look.client.count("product.product", [["code", "=", None], ["active", "=", True]])
    if count:
        message = f"{count} active products have no code: without an article number they are left out."
        yield Finding("products", "warning", message, "give those that are sold a code (Products > Variants)")
