"""Memory over a long, even load: nightly only (ORDERWIRE_CHAOS=nightly; ORDERWIRE_SOAK_MINUTES for less)."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.case import wait
from tests.chaos.harness.fleet import Fleet, Plan
from tests.chaos.harness.scale import NIGHTLY
from tests.chaos.harness.shop import Orders, Version

pytestmark = pytest.mark.chaos

MINUTES = float(os.environ.get("ORDERWIRE_SOAK_MINUTES", "30"))
PER_SECOND = 20
CUSTOMERS, LIVING = 100, 200
WARM_UP = 1 / 3
"""Part of the run that is not judged: caches fill, and threads are begun, once."""
EVERY, BLOCK = 1.0, 15
"""Seconds between two looks; so many of them make one point, their median."""
MOST_MB_AN_HOUR = 1.0
Z = 1.645
"""90 of 100 intervals hold the true slope."""


def anonymous_mb(fleet: Fleet) -> float:
    """What the product's processes have allocated; files that the kernel keeps for them do not count."""
    kilobytes = 0
    for name in fleet.names:
        for line in Path(f"/proc/{fleet.children[name].pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def trend(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Slope by Theil and Sen (the median of all pairs' slopes, which no single jump can bend), and its interval."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2))
    count, pairs = len(points), len(slopes)
    spread = Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = max(int((pairs - spread) / 2), 0), min(math.ceil((pairs + spread) / 2), pairs - 1)
    return statistics.median(slopes), slopes[low], slopes[high]


def sales(orders: Orders) -> list[Version]:
    """Every tenth a new order, the others the next states of those that live."""
    made, living = [], [orders.new(number + 1) for number in range(LIVING)]
    made += living
    while len(made) < MINUTES * 60 * PER_SECOND:
        place = orders.dice.randrange(LIVING)
        old = living[place]
        if orders.dice.random() < 0.1:
            living[place] = orders.new(orders.dice.randint(1, CUSTOMERS))
        else:
            living[place] = orders.version(old.id, old.number + 1, old.customer)
        made.append(living[place])
    return made


@pytest.mark.timeout(MINUTES * 60 + 600)
@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_soak(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("soak", engine=engine)
    coming = sales(Orders(seed))
    samples: list[tuple[float, float]] = []
    with (
        installation(database_url, Plan(workers=0 if engine == "sqlite" else 1)) as fleet,
        selling(fleet) as shop,
    ):
        began = time.monotonic()
        looked = 0.0
        for number, version in enumerate(coming):
            time.sleep(max(began + number / PER_SECOND - time.monotonic(), 0))
            shop.send([version])
            passed = time.monotonic() - began
            if passed - looked >= EVERY:
                looked = passed
                samples.append((passed / 3600, anonymous_mb(fleet)))
        behind = shop.pending + fleet.jobs.moving()
        shop.sent(60)
        found = this.settle(fleet, shop)
        wait(lambda: not fleet.jobs.moving(), 60)
        kept = samples[int(len(samples) * WARM_UP) :]
        points = [
            (statistics.median(x for x, _ in block), statistics.median(y for _, y in block))
            for block in (kept[start : start + BLOCK] for start in range(0, len(kept) - BLOCK + 1, BLOCK))
        ]
        slope, low, high = trend(points)
        this.passes(
            len({version.id for version in coming}),
            found,
            events=len(coming),
            behind=behind,
            mb=round(points[-1][1]),
            mb_per_hour=f"{slope:.2f}",
            interval=f"{low:.2f}..{high:.2f}",
        )
        assert not fleet.ended, fleet.ended
        text = " ".join(f"{y:.1f}" for _, y in points)
        assert slope < MOST_MB_AN_HOUR, f"MB every {BLOCK * EVERY:.0f} s: {text}"


if not NIGHTLY:
    del test_soak  # not skipped: under CI what is skipped counts as failed
