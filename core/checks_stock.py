"""What `[[stock]]` and `[[buyer]]` say of connections and of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.problems import did_you_mean
from core.tomllines import Path as KeyPath

Tables = Iterable[tuple[KeyPath, Mapping[str, Any]]]
Problem = Callable[[KeyPath, str, str], None]
TELLS = ("erp", "crm", "store")
"""Roles of connections that may know how much there is."""


@dataclass(frozen=True, slots=True)
class StockCheck:
    """`connections` and `roles` by name of the connection; `taken`: names of flows. `problem` notes one at a key."""

    connections: Mapping[str, Mapping[str, Any]]
    roles: Mapping[str, str]
    taken: frozenset[str]
    problem: Problem

    def run(self, stocks: Tables, buyers: Tables) -> None:
        """Raw tables: a mistake elsewhere in a section must not hide this."""
        stocks, buyers = list(stocks), list(buyers)
        names = tuple(str(table.get("name")) for _, table in buyers)
        sources: dict[str, str] = {}
        for path, table in stocks:
            self._stock(path, table, names)
            source = str(table.get("source") or "")
            if source and source in sources:
                self.problem(
                    (*path, "source"), f"[[stock]] {sources[source]!r} tells the levels of {source!r} already", ""
                )
            sources.setdefault(source, str(table.get("name")))
        mute = [str(table.get("name")) for _, table in stocks if not table.get("via")]
        for path, table in buyers:
            self._via(path, table)
            if not table.get("via") and mute:
                hint = f"write `via` here, or in [[stock]] {mute[0]}"
                self.problem(path, "no connection carries messages to this buyer", hint)

    def _stock(self, path: KeyPath, table: Mapping[str, Any], buyers: tuple[str, ...]) -> None:
        if table.get("name") in self.taken:
            self.problem((*path, "name"), f"the name {table['name']!r} is taken by a flow", "")
        self._source(path, table.get("source"))
        owner = table.get("owner")
        if isinstance(owner, str) and owner and owner not in buyers:
            hint = did_you_mean(owner, buyers) or (f"there are: {', '.join(buyers)}" if buyers else "add one")
            self.problem((*path, "owner"), f"there is no [[buyer]] named {owner!r}", hint)
        self._via(path, table)

    def _source(self, path: KeyPath, source: object) -> None:
        if not isinstance(source, str) or not source:
            return
        fitting = tuple(name for name, role in self.roles.items() if role in TELLS)
        if source not in self.roles:
            self.problem((*path, "source"), f"there is no connection named {source!r}", did_you_mean(source, fitting))
            return
        if self.roles[source] not in {*TELLS, ""}:
            hint = f"there are: {', '.join(fitting)}" if fitting else "configure one first"
            message = f"the source of [[stock]] must be an ERP, a CRM or a store, and {source!r} is not"
            self.problem((*path, "source"), message, hint)
        kinds = self.connections[source].get("kinds")
        if isinstance(kinds, list) and "stock" not in kinds:
            self.problem((*path, "source"), f"{source!r} is not asked for stock", 'add "stock" to its `kinds`')

    def _via(self, path: KeyPath, table: Mapping[str, Any]) -> None:
        wanted = table.get("via")
        fitting = tuple(name for name, role in self.roles.items() if role == "notifier")
        for name in wanted if isinstance(wanted, list) else ():
            if isinstance(name, str) and self.roles.get(name) not in {"notifier", ""}:
                hint = did_you_mean(name, fitting) or (f"there are: {', '.join(fitting)}" if fitting else "")
                what = f"{name!r} is no notifier" if name in self.roles else f"there is no connection named {name!r}"
                self.problem((*path, "via"), what, hint)
