"""Files that an ERP drops become cards: from KS_CUSTOMERS, KS_CONTACTS and KS_REGIONS to whom the customer sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigurationProblem
from pipelines import erppolling
from tests.drops import Drops, customer, rep
from tests.repworld import RepWorld


@pytest.fixture
def drops(tmp_path: Path) -> Drops:
    return Drops(tmp_path / "drop")


@pytest.fixture
def reps(make: Any, drops: Drops) -> RepWorld:
    world = RepWorld(make, target="")
    world.context.erps = {"erp": drops.erp(settle=0)}
    return world


def test_rep_codes_in_a_file_become_people_on_a_card(reps: RepWorld, drops: Drops) -> None:
    drops.drop("KS_REGIONS", [{"id": "N", "name": "North", "reps": "R3"}], "FULL")
    drops.drop("KS_CUSTOMERS", [customer(1, reps="R2,R1"), customer(2, reps="", region="N"), customer(3)], "FULL")
    drops.drop("KS_CONTACTS", [rep(f"R{n}") for n in (1, 2, 3)], "FULL")
    reps.turn()
    assert reps.shown("C1") == ["Rep R2", "Rep R1"]
    assert reps.shown("C2") == ["Rep R3"]
    drops.drop("KS_CUSTOMERS", [customer(1, reps="R1"), customer(3, deleted="D")])
    drops.drop("KS_CONTACTS", [rep("R3", name="Rep R3 Renamed")])
    reps.turn()
    assert reps.shown("C1") == ["Rep R1"]
    assert reps.shown("C2") == ["Rep R3 Renamed"]
    assert reps.ledger.reps.card("erp", "C3") is None


def test_a_file_that_stops_stops_nobody_else(reps: RepWorld, drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(n) for n in range(10)], "FULL")
    drops.drop("KS_CONTACTS", [rep("R1")], "FULL")
    reps.turn()
    drops.drop("KS_CUSTOMERS", [customer(1)], "FULL")
    reps.turn()
    assert reps.shown("C9") == ["Rep R1"]
    assert reps.ledger.alerts.opened("feed/erp")


def test_by_night_nothing_is_compared_twice(reps: RepWorld, drops: Drops) -> None:
    """A FULL says itself what is gone; who asks the place anew would read millions of rows."""
    drops.drop("KS_CUSTOMERS", [customer(1)], "FULL")
    reps.turn()
    reps.context.erps["erp"].ids = lambda kind: pytest.fail("asked")
    assert erppolling.compare(reps.context, "erp") == 0


def test_a_place_of_two_sources_is_said(reps: RepWorld, drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)], "FULL")
    Drops(drops.folder, "XX").drop("KS_CUSTOMERS", [customer(2)], "FULL")
    with pytest.raises(ConfigurationProblem, match="several sources"):
        reps.turn()
