"""The matrix of docs/reliability.md, rows R1 to R8: workers, web and databases are killed, frozen and taken away."""

from __future__ import annotations

import random
import time

import pytest

from tests.chaos.conftest import MakeCase, MakeFleet, engine_of, selling
from tests.chaos.harness.fleet import Fleet, Plan
from tests.chaos.harness.scale import scale
from tests.chaos.harness.shop import Orders

pytestmark = pytest.mark.chaos


def plan_for(engine: str, **over: object) -> Plan:
    """SQLite: everything in one process. PostgreSQL: web and two workers."""
    return Plan(workers=0 if engine == "sqlite" else 2, **over)  # type: ignore[arg-type]


# -- R1 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(280)
@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_r1_workers_are_killed_at_random(database_url: str, installation: MakeFleet, case: MakeCase, seed: int) -> None:
    engine = engine_of(database_url)
    this = case("R1", engine=engine)
    orders, kills = scale(2000, 10_000), scale(40, 200)
    dice = random.Random(seed)
    versions = Orders(seed).mixed(orders, customers=orders // 4)
    versions += dice.sample(versions, len(versions) // 5)  # every fifth comes twice
    shares = [versions[n::kills] for n in range(kills)]
    with installation(database_url, plan_for(engine, php=7)) as fleet, selling(fleet) as shop:
        fleet.faults_on(seed)
        for share in shares:
            shop.send(share)
            time.sleep(dice.uniform(0.3, 1.2))
            fleet.restart(dice.choice(fleet.workers))
        shop.sent(120)
        found = this.settle(fleet, shop)
        this.passes(orders, found, kills=kills)
