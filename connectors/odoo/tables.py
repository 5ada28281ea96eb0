"""Odoo's tables in the words of a walk (connectors.walk): its domains, and its times.

The database keeps microseconds, and Odoo tells whole seconds: the newest time that it tells is never later than the row's. With
`>=` the whole second is read again, however many rows it has; `>` would lose the rest of it (19), or read it for ever (18).
Pages go by id, so rows of one second need no order among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from connectors.odoo.client import Client
from connectors.odoo.sources import CUSTOMERS, GOODS
from connectors.walk import Domain, Source
from mapping.odoo import reference
from mapping.odoo.wire import moment_of

SHARED: Final = frozenset({"res.partner", "product.product", "crm.team"})
"""Their records belong to one company or to all."""
OPERATORS: Final = ("|", "&", "!")


class OdooTables:
    """Reads for one run."""

    nothing: Any = False

    def __init__(self, client: Client) -> None:
        self._client = client
        self.count, self.listing = client.count, client.listing

    def last_id(self, model: str) -> int:
        rows = self._client.search_read(model, [], ["id"], limit=1, order="id desc")
        return int(rows[0]["id"]) if rows else 0

    def reference(self, value: object) -> int | None:
        return reference(value)

    def today(self) -> tuple[str, datetime | None]:
        return "", self._client.ask("res.users", "context_get").server_time

    def newest(self, model: str) -> datetime | None:
        known = [["write_date", "!=", False]]
        rows = self._client.search_read(model, known, ["write_date"], limit=1, order="write_date desc, id desc")
        return moment_of(rows[0].get("write_date")) if rows else None

    def has(self, source: Source, path: str) -> bool:
        return not path or path.partition(".")[0] in self._client.fields(source.model)

    def always(self, source: Source) -> Domain:
        return [*source.only, *self._kept(source), *(self._company(source.model) if source.company else [])]

    def _kept(self, source: Source) -> Domain:
        known = self._client.fields(source.model) if source in (CUSTOMERS, GOODS) else frozenset()
        if source == CUSTOMERS:
            sold: Domain = ["customer_rank", ">", 0] if "customer_rank" in known else ["user_id", "!=", False]
            return ["|", ["is_company", "=", True], ["parent_id", "=", False], "|", ["ref", "!=", False], sold]
        if source == GOODS:  # 18 split "storable" from the type
            return [["is_storable", "=", True] if "is_storable" in known else ["type", "=", "product"]]
        return []

    def _company(self, model: str) -> Domain:
        company = self._client.company
        if model == "res.users":
            return [["company_ids", "in", [company]]]
        return [["company_id", "in", [company, False]] if model in SHARED else ["company_id", "=", company]]

    def written_since(self, path: str, since: datetime) -> list[Domain]:
        """A new row is written when it is created."""
        return [[f"{path}.write_date" if path else "write_date", ">=", wire_time(since)]]

    def either(self, domains: Sequence[Domain]) -> Domain:
        terms = [_one(domain) for domain in domains]
        return [*["|"] * (len(terms) - 1), *(part for term in terms for part in term)]


def _one(domain: Domain) -> Domain:
    """A clause, or clauses that all have to hold, as one term."""
    if isinstance(domain[0], str) and domain[0] not in OPERATORS:
        return [domain]
    return [*["&"] * (len(domain) - 1), *domain]


def wire_time(moment: datetime) -> str:
    """As Odoo wants it, in whole seconds: never later than it was."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
