"""A year of history, 1,200 accounts, 500 orders typed by hand: going live doubles nothing and touches nothing old."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.conftest import engine_of
from tests.going_live import before, company, judged, live
from tests.scenario import FULL

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(600)
def test_a_company_goes_live(database_url: str, seed: int, record_property: Callable[[str, object], None]) -> None:
    with company(database_url, seed, FULL) as one:
        before(one)
        found = judged(one)
        assert found["missed"] <= FULL.typed * 0.01, found
        live(one)
        assert judged(one) == found
        times = " ".join(f"{what}_s={seconds}" for what, seconds in one.seconds.items())
        counts = f"orders={FULL.orders} typed={FULL.typed} linked={found['linked']} listed={found['listed']}"
        line = (
            f"GOING LIVE engine={engine_of(database_url)} {counts} missed={found['missed']} wrong=0 {times} seed={seed}"
        )
        record_property("chaos", line)
