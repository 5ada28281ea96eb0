"""Exactly one system takes the goods of an order off the stock: whatever would take them off twice, or never, is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.tomllines import Path as KeyPath

Tables = Sequence[tuple[KeyPath, Mapping[str, Any]]]
KEY: Final = "write_off"
DEDUCTS: Final = ("status", "invoice")


@dataclass(frozen=True, slots=True)
class Masters:
    """Reads the raw tables, as they were written. `roles` by connection; `movers`: connections that take the goods of an invoice
    off by themselves.
    """

    roles: Mapping[str, str]
    movers: frozenset[str]
    problem: Callable[[KeyPath, str, str], None]

    def check(self, stocks: Tables, flows: Tables) -> None:
        """Tell every problem."""
        for path, stock in stocks:
            source, way = str(stock.get("source", "")), str(stock.get(KEY, ""))
            if self.roles.get(source) in {"erp", "store"} and way in DEDUCTS:
                self._not_ours(path, source)
            elif self.roles.get(source) == "crm":
                self._crm(path, source, way, [flow for _, flow in flows if flow.get("target") == source])
        self._one(stocks, [flow for _, flow in flows])

    def _not_ours(self, path: KeyPath, source: str) -> None:
        self.problem(
            (*path, KEY),
            f"{source!r} keeps its stock itself and lowers it by its own orders: goods would leave it twice",
            f"leave `{KEY}` out; only a CRM's stock is written",
        )

    def _crm(self, path: KeyPath, source: str, way: str, flows: list[Mapping[str, Any]]) -> None:
        invoicing = [flow for flow in flows if _invoices(flow)]
        moves = source in self.movers
        if way in {"status", "never"} and moves and invoicing:
            twice = "goods would leave its stock twice" if way == "status" else "goods leave its stock all the same"
            self.problem(
                (*path, KEY),
                f"{source!r} takes the goods of an invoice off by itself, and the flow {_name(invoicing[0])} makes invoices: "
                f"{twice}",
                f'write {KEY} = "invoice" or leave it out, or let the flow make no invoices (invoices = "never")',
            )
        if way == "invoice" and not moves:
            hint = f'write {KEY} = "status"'
            self.problem((*path, KEY), f"{source!r} takes nothing off for an invoice: goods would never leave", hint)
        elif way == "invoice" and (without := [flow for flow in flows if not _invoices(flow)]):
            self.problem(
                (*path, KEY),
                f"the flow {_name(without[0])} makes no invoices: the goods of its orders would never leave",
                f"leave `{KEY}` out (each flow then takes its own way), or let the flow make invoices",
            )

    def _one(self, stocks: Tables, flows: list[Mapping[str, Any]]) -> None:
        """Two systems that both lower their stock for the orders of one store."""
        first: dict[str, str] = {}
        for path, stock in sorted(stocks, key=lambda one: self.roles.get(str(one[1].get("source"))) == "crm"):
            source = str(stock.get("source", ""))
            role = self.roles.get(source)
            deducts = role == "crm" and any(self._way(stock, flow) in DEDUCTS for flow in self._into(source, flows))
            if role in {"erp", "store"}:
                for flow in flows:
                    if role == "erp" or flow.get("source") == source:
                        first.setdefault(str(flow.get("source")), source)
            if not deducts:
                continue
            for flow in self._into(source, flows):
                store = str(flow.get("source"))
                other = first.setdefault(store, source)
                if other != source:
                    self.problem(
                        (*path, KEY if KEY in stock else "source"),
                        f"{other!r} and {source!r} would both take the goods of the orders from {store!r} off: one system "
                        "keeps the stock",
                        self._advice(source, flows),
                    )
                    break

    def _advice(self, source: str, flows: list[Mapping[str, Any]]) -> str:
        invoicing = [flow for flow in self._into(source, flows) if _invoices(flow)]
        if invoicing and source in self.movers:
            return f"remove this [[stock]]: the levels of {source!r} are not the ones that count; or the other one"
        return f'write {KEY} = "never" here: its levels are then only watched; or remove the other [[stock]]'

    @staticmethod
    def _into(source: str, flows: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        return (flow for flow in flows if flow.get("target") == source)

    def _way(self, stock: Mapping[str, Any], flow: Mapping[str, Any]) -> str:
        """As `pipelines.writeoff.way_of`."""
        return str(stock.get(KEY) or ("invoice" if _invoices(flow) else "status"))


def _invoices(flow: Mapping[str, Any]) -> bool:
    return str(flow.get("invoices", "never")) != "never"


def _name(flow: Mapping[str, Any]) -> str:
    return repr(str(flow.get("name", "")))
