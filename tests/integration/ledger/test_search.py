"""Finding jobs: by the customer's address, and where jobs are, without walking through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from core.emails import email_mark
from ledger import Ledger
from ledger import tables as t
from ledger.jobs import Outcome
from ledger.query import Query
from ledger.search import Search
from tests.integration.ledger.kit import accept, add, change, route


@pytest.fixture
def books(database_url: str) -> Iterator[Ledger]:
    with closing(Ledger.open(database_url)) as opened:
        yield opened


def carried(books: Ledger, number: str, email: str) -> None:
    add(books, number)
    claim = books.jobs.claim("w")
    assert claim is not None
    books.jobs.settle(claim, Outcome("settled", amount="1.00", currency="EUR", customer=email_mark(email)))


def test_orders_are_found_by_their_customers_address(books: Ledger) -> None:
    carried(books, "1", "Ada@Office.example")
    carried(books, "2", "bert@office.example")
    carried(books, "3", "ada@office.example")
    carried(books, "4", "")
    look = Search(books.db)
    for text in ("ada@office.example", " ADA@office.EXAMPLE ", "mailto:ada@office.example"):
        assert [(hit.key.id, hit.why) for hit in look.records(text)] == [("3", "customer"), ("1", "customer")]
    assert [job.key for job in look.jobs(Query("ada@office.example")).jobs] == ["shop/order/3", "shop/order/1"]
    assert look.jobs(Query("ada@office.example", state="held")).jobs == []
    assert look.records("nobody@office.example") == []
    assert look.records("@") == []


def test_the_address_itself_is_kept_nowhere(books: Ledger) -> None:
    carried(books, "1", "ada@office.example")
    (row,) = books.db.rows(sa.select(t.job))
    assert len(row.customer) == 32
    assert not [value for value in row if "ada@" in str(value)]


def test_an_outcome_that_knows_no_address_takes_none_away(books: Ledger) -> None:
    carried(books, "1", "ada@office.example")
    accept(books, change("1", stamp=1))
    claim = books.jobs.claim("w")
    assert claim is not None
    books.jobs.settle(claim, Outcome("retry", "later", seconds=1.0))
    assert [hit.key.id for hit in Search(books.db).records("ada@office.example")] == ["1"]


def test_every_place_where_jobs_are_is_known(books: Ledger) -> None:
    look = Search(books.db)
    assert look.places() == []
    wanted = set()
    for n, (flow, shop, kind) in enumerate(
        (flow, shop, kind)
        for flow in ("a", "b", "c")
        for shop in ("s", "t")
        for kind in ("k", "l")
        if flow + shop != "bs"
    ):
        for again in range(3):
            made = change(f"{n}-{again}", connection=shop, kind=kind)
            accept(books, made, routes=route(flow=flow))
        wanted.add((flow, shop, kind))
    assert set(look.places()) == wanted
    assert len(look.places()) == len(wanted)


def test_a_flow_without_jobs_is_told_at_once_and_a_new_one_as_well(books: Ledger) -> None:
    look = Search(books.db)
    add(books, "1", flow="orders")
    assert len(look.jobs(Query(flow="orders")).jobs) == 1
    assert look.jobs(Query(flow="others")).jobs == []
    add(books, "2", flow="others")
    assert len(look.jobs(Query(flow="others")).jobs) == 1, "what is remembered of places hides no job"
