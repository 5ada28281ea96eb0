"""One case of the matrix: a shop, a fleet, a seed, and the line that is printed of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.harness import oracle
from tests.chaos.harness.fleet import Fleet
from tests.chaos.harness.oracle import Verdict
from tests.chaos.harness.scale import patience
from tests.chaos.harness.shop import Shop

QUIET = 60.0
"""Seconds without a fault within which something settles as long as anything is open."""
COLUMNS = "CHAOS {name}{engine} orders={orders}{figures} {verdict} seconds={seconds:.0f} seed={seed}"


class Case:
    """Keeps the time, settles, judges, and writes the line into the test's report."""

    def __init__(self, name: str, request: pytest.FixtureRequest, seed: int, *, engine: str = "") -> None:
        self.name = name
        self.engine = engine
        self.seed = seed
        self.figures: dict[str, Any] = {}
        self._request = request
        self._began = time.monotonic()

    def settle(self, fleet: Fleet, shop: Shop, *, within: float = QUIET, keep_faults: bool = False) -> Verdict:
        """No fault from now on: wait until nothing moves, then compare. `held` jobs count as unsettled. `within`: seconds
        after the last that settled.
        """
        if not keep_faults:
            fleet.faults_off()
        fleet.supervise()
        shop.sent(within)
        while_it_goes_on(fleet, lambda: fleet.supervise() is not None and not fleet.jobs.moving(), within)
        found = oracle.verdict(shop.newest(), oracle.crm_state(fleet.crm_url))
        found.unsettled = fleet.jobs.open()
        if found.unsettled:
            found.why += fleet.jobs.examples()
        if shop.abandoned:
            found.unsettled += len(shop.abandoned)
            found.why.append(f"{len(shop.abandoned)} deliveries were never taken")
        return found

    def line(self, orders: int, found: Verdict, **figures: Any) -> str:
        """Write the line: it is printed at the end whether the test passes or fails."""
        all_figures = {**self.figures, **figures}
        text = COLUMNS.format(
            name=self.name,
            engine=f" engine={self.engine}" if self.engine else "",
            orders=orders,
            figures="".join(f" {key}={value}" for key, value in all_figures.items()),
            verdict=" ".join(f"{key}={value}" for key, value in found.columns().items()),
            seconds=time.monotonic() - self._began,
            seed=self.seed,
        )
        self._request.node.user_properties.append(("chaos", text))
        print(text)  # noqa: T201 - shown by pytest -s and when the test fails
        return text

    def passes(self, orders: int, found: Verdict, **figures: Any) -> None:
        """Write the line, and fail unless every column is 0."""
        text = self.line(orders, found, **figures)
        assert found.clean, "\n".join([text, *found.why[:20], f"run again with ORDERWIRE_SEED={self.seed}"])


def wait(condition: Callable[[], bool], within: float, *, every: float = 0.1) -> bool:
    """Until it holds; False when it does not in time (nightly there is more to do, and more time)."""
    deadline = time.monotonic() + patience(within)
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def while_it_goes_on(fleet: Fleet, condition: Callable[[], bool], within: float = QUIET) -> bool:
    """Until it holds; False when for so many seconds nothing more has settled: a slow machine is no standstill."""
    settled, since = -1, time.monotonic()
    while not condition():
        count = fleet.jobs.counts().get("settled", 0)
        if count > settled:
            settled, since = count, time.monotonic()
        if time.monotonic() - since > patience(within):
            return False
        time.sleep(0.2)
    return True
