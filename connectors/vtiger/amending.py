"""An order that changed: what vtiger shows against what we wrote there and what the store says now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from connectors.roles import Comparison, Conflict, OrderRefs, Ownership, Ref, Shown, Written
from connectors.vtiger import ownership as own
from connectors.vtiger import sides
from connectors.vtiger.client import Client, Record
from connectors.vtiger.describe import Modules
from connectors.vtiger.echo import Echo
from connectors.vtiger.orders import Orders
from mapping.canonical import SalesOrder
from mapping.vtiger import OrderFields

STATUS: Final = "status"
"""The store's, but moved on by people: it is written where the store has changed it, never because of something else."""


class Amendments:
    """Reads orders and revises those parts that are to be written. The caller holds the lane."""

    def __init__(self, client: Client, modules: Modules, orders: Orders) -> None:
        self._client = client
        self._modules = modules
        self._orders = orders

    def compare(
        self, ref: Ref, order: SalesOrder, refs: OrderRefs, ownership: Ownership, shown: Shown | None
    ) -> Comparison:
        """One call: the order with its lines, and who touched it last."""
        record = self._orders.there(ref)
        element, cuts, fields = self._orders.state_element(order, refs, ownership)
        stores = sides.asked(element, order)
        echo = Echo.of(shown)
        sending = (shown or {}).get("sending") or {}
        names = dict.fromkeys((*stores, *echo.asked, *echo.wrote, *sending.get("asked", {})))
        parts = _parts(names, order, fields)
        theirs = sides.there(record, {name for names in parts.values() for name in names}, order)
        self._resolve(echo, sending, parts, theirs, stores, record)
        found = _Found(echo, parts, theirs, stores, ownership)
        filled = own.filled(element, order, fields, ownership, record) if ownership.fill else frozenset[str]()
        send = found.send | {
            part
            for part in ownership.fill
            if any(
                n not in filled and not sides.same(n, stores[n], theirs[n]) for n in parts.get(part, ()) if n in element
            )
        }
        return Comparison(
            differ=found.differ,
            there=found.touched,
            store=found.changed,
            send=send,
            conflicts=tuple(self._conflict(part, found, refs) for part in sorted(found.conflicts)),
            word=str(record.get("sostatus") or ""),
            state={
                "echo": echo, "element": element, "cuts": cuts, "parts": parts, "stores": stores, "out": filled,
                "compared": [p for p in parts if p not in ownership.keep | ownership.fill],
            },
        )  # fmt: skip

    def _resolve(
        self,
        echo: Echo,
        sending: Mapping[str, Any],
        parts: Mapping[str, list[str]],
        theirs: Mapping[str, Any],
        stores: Mapping[str, Any],
        record: Record,
    ) -> None:
        """Make up for what is not known: an order from before anything was kept, and a write whose fate is open."""
        sent = sending.get("asked", {})
        for part, names in parts.items():
            if part in sending.get("parts", ()):
                if all(sides.same(name, sent.get(name, ""), theirs[name]) for name in names):
                    echo.landed(names, sent)
                    continue
                if echo.known and all(sides.same(name, echo.base(name), theirs[name]) for name in names):
                    continue  # it never arrived
                if self._touched_by_us(record):
                    echo.ours(names, theirs)  # it arrived, but not whole
                    continue
            if not echo.known:
                if self._touched_by_us(record):
                    echo.ours(names, theirs)
                else:
                    echo.foreign(names)

    def _touched_by_us(self, record: Record) -> bool:
        """Whether the last who changed the record is the user we log in as; False where vtiger does not tell."""
        by, us = str(record.get("modifiedby") or ""), str(self._client.login().get("userId") or "")
        return bool(by and us) and by == us

    def _conflict(self, part: str, found: _Found, refs: OrderRefs) -> Conflict:
        names = found.parts[part]
        base = {name: found.echo.base(name) for name in names}
        labels = self._modules.get("SalesOrder").fields
        article = {product.id: f"{sku} {product.name}".strip() for sku, product in refs.products.items()}

        def label(name: str) -> str:
            info = labels.get(name)
            return info.label if info is not None and info.label else name

        return Conflict(
            part,
            sides.digest(found.theirs, names),
            sides.digest(found.stores, names),
            sides.disagreements(names, base, found.theirs, found.stores, label, article),
        )

    def sending(self, comparison: Comparison, parts: Collection[str]) -> Shown:
        """What was kept, and these parts as under way."""
        state = comparison.state
        echo: Echo = state["echo"]
        names = [name for part in parts for name in state["parts"].get(part, ())]
        under_way = {"parts": sorted(parts), "asked": {name: state["stores"].get(name, "") for name in names}}
        return {**echo.kept(), "sending": under_way}

    def amend(
        self,
        ref: Ref,
        order: SalesOrder,
        comparison: Comparison,
        parts: Collection[str],
    ) -> Written:
        """Revise with the fields of these parts; with lines, all that a revise with lines resets goes along."""
        state = comparison.state
        echo: Echo = state["echo"]
        names = {name for part in parts for name in state["parts"].get(part, ())} - state["out"]
        left = [name for part in state["compared"] if part not in parts for name in state["parts"][part]]
        written = Written(ref)
        if names & state["element"].keys():
            written = self._orders.revise_fields(ref, order, state["element"], state["cuts"], names)
        echo.followed(left, state["stores"])
        shown = written.shown or {"asked": {}, "wrote": {}}
        for name in names:
            echo.asked[name] = shown["asked"].get(name, "")
            echo.wrote.pop(name, None)
        echo.wrote |= shown["wrote"]
        return Written(ref, written.differences, echo.kept())


class _Found:
    """Which parts differ, and through whom (pure)."""

    def __init__(
        self,
        echo: Echo,
        parts: Mapping[str, list[str]],
        theirs: Mapping[str, Any],
        stores: Mapping[str, Any],
        ownership: Ownership,
    ) -> None:
        self.echo, self.parts, self.theirs, self.stores = echo, parts, theirs, stores
        mine = [part for part in parts if part not in ownership.keep | ownership.fill]
        self.differ = frozenset(part for part in mine if not all(map(self._same, parts[part])))
        self.touched = frozenset(part for part in mine if any(map(self._touched, parts[part])))
        self.changed = frozenset(part for part in mine if any(echo.unlike(name, stores) for name in parts[part]))
        asked = self.differ & ownership.ask
        self.conflicts = asked & self.touched & self.changed
        ours = self.differ - ownership.ask
        moved_on = {STATUS} if STATUS not in self.changed else set[str]()
        self.send = ((asked & self.changed) - self.conflicts) | ((ours & (self.touched | self.changed)) - moved_on)

    def _same(self, name: str) -> bool:
        return sides.same(name, self.stores.get(name), self.theirs[name])

    def _touched(self, name: str) -> bool:
        base = self.echo.base(name)
        return not self._same(name) if base is None else not sides.same(name, base, self.theirs[name])


def _parts(state: Iterable[str], order: SalesOrder, fields: OrderFields) -> dict[str, list[str]]:
    """The fields of each part; "" for the external id. Total and lines stand together."""
    parts: dict[str, list[str]] = {}
    for name in state:
        part = "lines" if name == sides.TOTAL else own.part_of(name, order, fields)
        if part or name == fields.external_id:
            parts.setdefault(part, []).append(name)
    return parts
