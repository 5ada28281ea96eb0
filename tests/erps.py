"""An ERP for tests: what it has in memory, everything that changed in a log, speaking the role `Erp` and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.roles import ErpKind, Finding, Page
from core.errors import NotThere
from core.keys import Change, Key
from mapping.canonical import (
    ErpCustomer,
    ErpInvoice,
    ErpProduct,
    ErpSale,
    Region,
    RepAssignment,
    SalesRep,
    ShipTo,
    StockLevel,
)

BEGUN = datetime(2026, 11, 1, tzinfo=UTC)


class Erp:
    """Customers, reps and regions. `told`: how many pages were asked for; `page`: records of one."""

    def __init__(self, name: str = "erp", page: int = 100) -> None:
        self.name = name
        self.kinds: frozenset[ErpKind] = frozenset({"customer", "rep", "region"})
        self.page = page
        self.told = 0
        self._there: dict[tuple[str, str], dict[str, Any]] = {}
        self._log: list[tuple[str, str]] = []

    # -- what people do in it ------------------------------------------------------------------------------------------

    def put(self, kind: str, id: str, **facts: Any) -> None:
        """Write a record."""
        self._there[kind, id] = facts
        self._log.append((kind, id))

    def drop(self, kind: str, id: str) -> None:
        """Delete a record: that is no change that anybody is told of."""
        del self._there[kind, id]

    def rep(self, code: str, name: str = "", **facts: Any) -> None:
        self.put("rep", code, name=name or f"Rep {code}", **facts)

    def customer(self, number: str, *reps: str | RepAssignment, **facts: Any) -> None:
        """`reps`: codes, the primary first."""
        made = [
            one
            if isinstance(one, RepAssignment)
            else RepAssignment(subject="customer", subject_id=number, rep=one, rank=rank)
            for rank, one in enumerate(reps)
        ]
        places = [place.model_dump(mode="json") for place in facts.pop("ship_tos", ())]
        facts = {"name": f"Customer {number}", **facts, "ship_tos": places}
        self.put("customer", number, assignments=[one.model_dump(mode="json") for one in made], **facts)

    def region(self, id: str, *reps: str, parent: str = "") -> None:
        made = [RepAssignment(subject="region", subject_id=id, rep=rep, rank=rank) for rank, rep in enumerate(reps)]
        self.put("region", id, name=id, parent=parent, assignments=[one.model_dump(mode="json") for one in made])

    # -- the role ------------------------------------------------------------------------------------------------------

    def changes_since(self, kind: ErpKind, cursor: str | None) -> Iterator[Page]:
        start = int(cursor or 0)
        while start < len(self._log):
            self.told += 1
            rows = self._log[start : start + self.page]
            at = start
            start += len(rows)
            yield Page(
                [
                    self._change(Key(self.name, *one), at + n)
                    for n, one in enumerate(rows)
                    if one[0] == kind and one in self._there
                ],
                str(start),
            )

    def _change(self, key: Key, place: int) -> Change:
        raw = json.dumps(self._there[key.kind, key.id], sort_keys=True).encode()
        stamp = BEGUN + timedelta(milliseconds=place)
        return Change(key, stamp, raw, f"{key}:{place}", number=key.id)

    def ids(self, kind: ErpKind) -> Iterator[Sequence[str]]:
        found = sorted(id for one, id in self._there if one == kind)
        for start in range(0, len(found), self.page):
            yield found[start : start + self.page]

    def fetch(self, key: Key) -> Change:
        if (key.kind, key.id) not in self._there:
            raise NotThere(f"{key} is not there. What to do: nothing.")
        places = [place for place, one in enumerate(self._log) if one == (key.kind, key.id)]
        return self._change(key, places[-1])

    def customer_of(self, key: Key, raw: bytes) -> ErpCustomer:
        return ErpCustomer.model_validate({**json.loads(raw), "key": key})

    def rep_of(self, key: Key, raw: bytes) -> SalesRep:
        return SalesRep.model_validate({**json.loads(raw), "key": key})

    def region_of(self, key: Key, raw: bytes) -> Region:
        return Region.model_validate({**json.loads(raw), "key": key})

    def product(self, key: Key, raw: bytes) -> ErpProduct:
        raise NotImplementedError

    def stock(self, key: Key, raw: bytes) -> StockLevel:
        raise NotImplementedError

    def invoice(self, key: Key, raw: bytes) -> ErpInvoice:
        return ErpInvoice.model_validate({**json.loads(raw), "key": key})

    def sale(self, key: Key, raw: bytes) -> ErpSale:
        return ErpSale.model_validate({**json.loads(raw), "key": key})

    def check(self) -> Sequence[Finding]:
        return ()

    def close(self) -> None:
        """Nothing is open."""


class AsRole:
    """The stand-in behind the names of the role, which a test's own verbs take."""

    def __init__(self, erp: Erp) -> None:
        self._erp = erp
        self.customer = erp.customer_of
        self.rep = erp.rep_of
        self.region = erp.region_of
        self.sale = erp.sale  # not by __getattr__: roles are looked for on the object itself

    def __getattr__(self, name: str) -> Any:
        return getattr(self._erp, name)


def place(number: str, region: str = "") -> ShipTo:
    return ShipTo(number=number, region=region)
