"""The whole way of going live, small; tests/chaos plays it with a year of 8,000 orders."""

from __future__ import annotations

from tests.going_live import before, company, judged, live
from tests.scenario import Sizes

TINY = Sizes(orders=400, accounts=120, typed=80, others=8)


def test_a_small_company_goes_live(database_url: str, seed: int) -> None:
    with company(database_url, seed, TINY) as one:
        before(one)
        found = judged(one)
        assert found["missed"] <= TINY.typed * 0.02, found
        assert found["linked"] >= TINY.typed * 0.7, found
        live(one)
        assert judged(one) == found
