"""What is looked up by several columns is found by its key on both engines, among however many rows there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.keys import Key
from ledger import Ledger
from ledger import tables as t
from ledger.figures import Figures
from ledger.parties import Entry
from ledger.runjobs import RunJobs
from ledger.search import Search
from ledger.statements import any_of
from tests.integration.ledger.kit import accept, change, plans

KEYS = ("shop/order/1", "shop/order/2", "shop/order/3")


def of_number(ledger: Ledger) -> object:
    return Search(ledger.db).records("2")


def of_keys(ledger: Ledger) -> object:
    return RunJobs(ledger.db).of_keys("orders", KEYS)


def totals(ledger: Ledger) -> object:
    return Figures(ledger.db).settled_totals("orders", [Key.parse(key) for key in KEYS])


def people(ledger: Ledger) -> object:
    """The very statement: prepared ones pass by whoever listens."""
    pairs = [("email", "a@x.example"), ("vat", "DE1"), ("phone", "+491")]
    kinds, values = map(list, zip(*pairs, strict=True))
    given = {"b_connection": "crm", "b_kinds": kinds, "b_values": values, "b_pairs": pairs}
    return ledger.db.rows(ledger.parties._lookup._statement, given)  # type: ignore[arg-type]


def goods(ledger: Ledger) -> object:
    return ledger.stock.remove("erp", [("north", "A"), ("south", "B"), ("north", "C")])


def requests(ledger: Ledger) -> object:
    accept(ledger, replace(change("9"), key=Key("shop", "request", "9")))
    return ledger.requests.forget(timedelta(days=90))


@pytest.mark.parametrize(
    ("ask", "table", "key"),
    [
        (of_number, "job", "(flow=? AND connection=? AND kind=? AND record_id=?)"),
        (of_keys, "job", "(flow=? AND connection=? AND kind=? AND record_id=?)"),
        (totals, "job", "(flow=? AND connection=? AND kind=? AND record_id=?)"),
        (requests, "job", "(flow=? AND connection=? AND kind=? AND record_id=?)"),
        (people, "party_index", "(connection=? AND match_kind=? AND value=?)"),
        (goods, "stock_level", "(connection=? AND sku=? AND warehouse=?)"),
    ],
)
def test_it_is_found_by_its_key(ledger: Ledger, ask: Callable[[Ledger], object], table: str, key: str) -> None:
    accept(ledger, *(change(str(number)) for number in range(4)))
    with plans(ledger, table) as found:
        ask(ledger)
    assert not ledger.db.is_sqlite or any(key in plan for plan in found), found


def test_only_whole_rows_are_meant(ledger: Ledger) -> None:
    ledger.parties.replace(
        "crm",
        [],
        [
            Entry("email", "a", "contact", "12x1", ""),
            Entry("phone", "b", "contact", "12x2", ""),
            Entry("email", "b", "contact", "12x3", ""),
        ],
    )
    found = ledger.parties.find("crm", [("email", "a"), ("phone", "b")])
    assert sorted(one.remote_id for one in found) == ["12x1", "12x2"]
    columns = (t.party_index.c.match_kind, t.party_index.c.value)
    rows = ledger.db.rows(t.party_index.select().where(any_of(columns, [("email", "a"), ("phone", "b")])))
    assert sorted(row.remote_id for row in rows) == ["12x1", "12x2"]
    assert ledger.db.rows(t.party_index.select().where(any_of(columns, []))) == []
