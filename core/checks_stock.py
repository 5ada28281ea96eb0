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
    shops: frozenset[str] = frozenset()
    """Connections that can be told how much may be sold."""

    def run(self, stocks: Tables, buyers: Tables, flows: Tables = ()) -> None:
        """Raw tables: a mistake elsewhere in a section must not hide this."""
        stocks, buyers = list(stocks), list(buyers)
        self._for_sale(stocks, list(flows))
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

    def _for_sale(self, stocks: list[tuple[KeyPath, Mapping[str, Any]]], flows: list[tuple[KeyPath, Any]]) -> None:
        """Each store has one master, which is itself told by nobody, and whose goods leave."""
        masters: dict[str, str] = {}
        sources = {str(table.get("source")): str(table.get("name")) for _, table in stocks}
        for path, table in stocks:
            wanted = table.get("publish")
            stores = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list) else []
            if stores:
                self._may_publish(path, table)
            for store in stores:
                where, own = (*path, "publish"), str(table.get("name"))
                fits = self._is_shop(where, store)
                if store in masters:
                    self.problem(where, f"[[stock]] {masters[store]!r} tells {store!r} what may be sold already", "")
                elif store in sources and fits:
                    hint = f"take {store!r} out of `publish`, or remove [[stock]] {sources[store]!r}"
                    message = f"{store!r} is the source of [[stock]] {sources[store]!r}: one system keeps the stock"
                    self.problem(where, message, hint)
                elif fits and not table.get("counts_orders") and not self._sold(store, str(table.get("source")), flows):
                    hint = "add the [[flow]], or write counts_orders = true if the source is given these orders at once"
                    into = f" to {table.get('source')!r}" if self.roles.get(str(table.get("source"))) == "crm" else ""
                    message = f"no [[flow]] brings the orders of {store!r}{into}: nobody knows what it sold"
                    self.problem(where, message, hint)
                masters.setdefault(store, own)

    def _sold(self, store: str, source: str, flows: list[tuple[KeyPath, Any]]) -> bool:
        """Whether what the store sells is known here; a CRM's stock falls by the orders that it has."""
        here = [flow for _, flow in flows if flow.get("source") == store]
        return any(self.roles.get(source) != "crm" or flow.get("target") == source for flow in here)

    def _is_shop(self, path: KeyPath, store: str) -> bool:
        fitting = tuple(sorted(self.shops))
        hint = did_you_mean(store, fitting) or (f"there are: {', '.join(fitting)}" if fitting else "")
        if store not in self.roles:
            self.problem(path, f"there is no connection named {store!r}", hint)
        elif store not in self.shops and self.roles[store]:
            self.problem(path, f"{store!r} cannot be told how much may be sold", hint)
        return store in self.shops

    def _may_publish(self, path: KeyPath, table: Mapping[str, Any]) -> None:
        source = str(table.get("source") or "")
        role = self.roles.get(source)
        if role == "store":
            message = f"{source!r} is a store: what others sell never leaves its stock"
            self.problem((*path, "publish"), message, "only the levels of an ERP or a CRM can be told to stores")
        elif role == "crm" and table.get("write_off") == "never":
            message = f"goods never leave the stock of {source!r}: what was sold would be offered again"
            self.problem((*path, "publish"), message, "let `write_off` say how they leave, or publish nothing")

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
