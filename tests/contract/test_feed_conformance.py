"""Dropped files keep to what every ERP keeps to, as far as files that lie in a place can tell it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.feed import FileErp
from connectors.roles import Erp, ErpKind, Feed
from core.errors import ConfigurationProblem, RetryLater
from tests.contract.erp_conformance import ErpConformance
from tests.drops import Drops, customer, rep

APIS: dict[str, str] = {
    "customer": "KS_CUSTOMERS",
    "rep": "KS_CONTACTS",
    "region": "KS_REGIONS",
    "stock": "KS_INVENTORY",
    "invoice": "KS_INVOICES",
}


def row(kind: str, place: int, /, **more: str) -> dict[str, str]:
    """A record of this kind."""
    made: dict[str, dict[str, str]] = {
        "customer": customer(place),
        "rep": rep(f"R{place}"),
        "region": {"id": f"N{place}", "name": f"Region {place}", "reps": "R1,R2"},
        "stock": {"sku": f"S{place}", "on_hand": "5.50", "available": "4", "warehouse": "WH"},
        "invoice": {
            "id": f"I{place}", "number": f"2026-{place}", "customer": "C1", "status": "O", "issued": "2026-11-20",
            "currency": "EUR", "net": "100.00", "tax": "19.00", "total": "119.00",
        },
    }  # fmt: skip
    return {**made[kind], **more}


CHANGED: dict[str, dict[str, str]] = {
    "customer": {"reps": "R2"},
    "rep": {"phone": "+49 30 1"},
    "region": {"parent": "N1"},
    "stock": {"on_hand": "7"},
    "invoice": {"status": "C"},
}
IDS: dict[str, str] = {"customer": "C{}", "rep": "R{}", "region": "N{}", "stock": "WH/S{}", "invoice": "I{}"}


class TestFeed(ErpConformance):
    drops: Drops
    made: Iterator[int]

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.drops = Drops(tmp_path / "drop")
        self.made = itertools.count(100)

    def build(self) -> Erp:
        for kind, api in APIS.items():
            self.drops.drop(api, [row(kind, number) for number in range(5)], "FULL")
        return self.drops.erp(per_page=2)

    def touch(self, kind: ErpKind) -> str:
        # Each time another text: the second change of a record is one too.
        number = next(self.made)
        name = {"customer": "name", "rep": "position", "region": "name", "stock": "available", "invoice": "number"}[
            kind
        ]
        self.drops.drop(APIS[kind], [row(kind, 1, **{**CHANGED[kind], name: str(number)})])
        return IDS[kind].format(1)

    def add(self, kind: ErpKind) -> str:
        number = next(self.made)
        self.drops.drop(APIS[kind], [row(kind, number)])
        return IDS[kind].format(number)

    def remove(self, kind: ErpKind) -> str:
        self.drops.drop(APIS[kind], [row(kind, 2, deleted="D")])
        return IDS[kind].format(2)

    # ------------------------------------------------------------------------------------------- what files do besides

    def test_is_a_feed(self, erp: Erp) -> None:
        assert isinstance(erp, Feed)

    def test_what_a_full_does_not_have_is_not_there(self, erp: Erp) -> None:
        self.drops.drop("KS_CUSTOMERS", [row("customer", 3)], "FULL")
        assert list(itertools.chain.from_iterable(erp.ids("customer"))) == ["C3"]

    def test_a_stock_row_that_cannot_be_read_is_told_as_such(self) -> None:
        """Its level is not gone: the row is there."""
        self.drops.drop("KS_INVENTORY", [row("stock", 1), row("stock", 2, on_hand="many")], "FULL")
        (file,) = self.drops.folder.iterdir()
        whole = file.read_bytes()
        wide = whole.splitlines()[0].replace(b"S1", b"S3") + b"\tmore\r\n"
        self.drops.put(file.name, whole + wide)
        pages = list(self.drops.erp().stock_since(None))
        assert [level.sku for page in pages for level in page.levels] == ["S1"]
        found = sorted((one.id, one.reason.partition(" = ")[0]) for page in pages for one in page.bad)
        assert [id for id, _ in found] == ["WH/S2", "WH/S3"]
        assert "a value seems to contain what parts columns" in found[1][1]

    def test_a_place_that_is_away_is_waited_for(self) -> None:
        erp = self.drops.erp(folder=str(self.drops.folder / "away"))
        with pytest.raises(RetryLater, match=r"The folder of erp cannot be read .*What to do: ") as caught:
            erp.dropped()
        assert caught.value.scope == "connection"
        assert next(finding.level for finding in erp.check()) == "problem"

    def test_two_sources_in_one_place(self, erp: FileErp) -> None:
        other = Drops(self.drops.folder, "XX")
        other.drop("KS_CUSTOMERS", [row("customer", 1)])
        with pytest.raises(ConfigurationProblem, match="DT, XX"):
            erp.dropped()
        chosen: Any = self.drops.erp(source="XX")
        assert [file.source for file in chosen.dropped()] == ["XX"]
