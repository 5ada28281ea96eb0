"""Whose an imported order is, with the reason, where a flow of sales reps feeds the same CRM."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from core.keys import Key
from ledger.reps import AbsenceRow, AssignmentRow, OrderRep
from mapping.canonical import RepAssignment
from pipelines import explaining
from tests.integration.pipeline.conftest import Maker
from tests.orders import order
from tests.repworld import OWNERS, RepWorld

NAME = {id: name for name, id in OWNERS.items()}


def made(make: Maker, **orders: Any) -> RepWorld:
    mine = RepWorld(make, shops={"shop": {}}, orders={"owner": "partners", **orders})
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    return mine


def carried(mine: RepWorld, id: int, **over: Any) -> tuple[str, OrderRep | None]:
    """The owner in the CRM, and what is kept."""
    job = mine.world.carry(order(id, **over))
    assert job.state == "settled", job.reason
    kept = mine.ledger.reps.orders_rep("shop", str(id))
    return NAME[mine.world.order(id)["assigned_user_id"]], kept[0] if kept else None


def test_the_customers_primary(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("10017", "R9", "R7")
    mine.turn()
    owner, rep = carried(mine, 1, meta={"erp_number": "10017"})
    assert owner == "R9"
    assert rep == OrderRep("shop-orders", "R9", "Boris", "R9", "customer", "R9 is primary of customer 10017.")
    (account,) = [row for row in mine.world.records("Accounts") if row["tickersymbol"] == "10017"]
    assert account["assigned_user_id"] == OWNERS["R9"], "who is new belongs to the same"


def test_who_placed_it_comes_first_as_long_as_they_are_there(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("10017", "R9")
    mine.turn()
    owner, rep = carried(mine, 1, meta={"erp_number": "10017", "placed_by": "R7"})
    assert (owner, rep.by if rep else "", rep.name if rep else "") == ("R7", "placed_by", "Anna")

    mine.erp.rep("R7", "Anna", active=False)
    mine.turn()
    owner, rep = carried(mine, 2, meta={"erp_number": "10017", "placed_by": "R7"})
    assert (owner, rep.by if rep else "") == ("R9", "customer")


def test_the_territory_then_the_team_then_the_flows_owner(make: Maker) -> None:
    mine = made(make)
    mine.erp.region("EAST", "R7")
    mine.erp.customer("1", region="EAST")
    mine.erp.customer("2")
    mine.turn()
    assert [carried(mine, 1, meta={"erp_number": "1"})[0]] == ["R7"]
    owner, rep = carried(mine, 2, meta={"erp_number": "2"})
    assert (owner, rep.by if rep else "") == ("partners", "default")
    assert rep is not None
    assert "Nobody serves" in rep.reason

    mine.ledger.reps.add_assignments("erp", [AssignmentRow("team", "", "R9")])
    owner, rep = carried(mine, 3, meta={"erp_number": "2"})
    assert (owner, rep.by if rep else "") == ("R9", "team")
    owner, rep = carried(mine, 4, meta={"erp_number": "unknown"})
    assert (owner, rep.by if rep else "") == ("partners", "default")


def test_a_customer_without_a_number_is_known_by_its_account(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("10017", "R9")
    mine.turn()
    carried(mine, 1, meta={"erp_number": "10017"})
    mine.turn()
    owner, rep = carried(mine, 2)
    assert (owner, rep.by if rep else "") == ("R9", "customer")


def test_the_day_of_the_order_decides(make: Maker) -> None:
    mine = made(make)
    old = RepAssignment(subject="customer", subject_id="1", rep="R7", last=date(2026, 11, 19))
    new = RepAssignment(subject="customer", subject_id="1", rep="R9", first=date(2026, 11, 20))
    mine.erp.customer("1", old, new)
    mine.turn()
    earlier = {"date_created_gmt": "2026-11-19T23:59:00", "meta": {"erp_number": "1"}}
    assert carried(mine, 1, **earlier)[0] == "R7"
    assert carried(mine, 2, meta={"erp_number": "1"})[0] == "R9"


def test_a_deputy_who_has_no_name_in_the_crm_holds_no_order(make: Maker) -> None:
    mine = made(make)
    mine.erp.rep("X1", "Nobody there")
    mine.erp.customer("1", "R7")
    mine.turn()
    mine.ledger.reps.add_absences("erp", [AbsenceRow("R7", date(2026, 11, 20), None, "X1")])
    owner, rep = carried(mine, 1, meta={"erp_number": "1"})
    assert (owner, rep.by if rep else "") == ("partners", "default")
    assert rep is not None
    assert "X1 has no name in the owners table of crm" in rep.reason


def test_a_fixed_owner_stays_fixed_and_a_name_that_nobody_knows_is_held(make: Maker) -> None:
    mine = made(make, owner_by="fixed")
    mine.erp.customer("1", "R7")
    mine.turn()
    assert carried(mine, 1, meta={"erp_number": "1"}) == ("partners", None)


def test_a_placer_whom_nobody_knows_is_held_as_ever(make: Maker) -> None:
    mine = made(make)
    job = mine.world.carry(order(1, meta={"placed_by": "stranger"}))
    assert (job.state, job.field) == ("held", "placed_by")


def test_an_update_that_leaves_the_owner_leaves_the_reason(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("1", "R7")
    mine.turn()
    carried(mine, 1, meta={"erp_number": "1"})
    mine.erp.customer("1", "R9")
    mine.turn()
    changed = order(1, meta={"erp_number": "1"}, modified="2026-11-20T12:00:00", status="completed")
    mine.world.carry(changed)
    (rep,) = mine.ledger.reps.orders_rep("shop", "1")
    assert rep.code == "R7"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_field_explained_tells_the_rep(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("1", "R7")
    mine.turn()
    carried(mine, 1, meta={"erp_number": "1"})
    job = mine.world.job("shop/order/1")
    record = mine.ledger.inbox.record(Key("shop", "order", "1"))
    assert record is not None
    found = explaining.explained(mine.context, job, record.raw, [])
    assert found.rep is not None
    assert (found.rep.name, found.rep.reason) == ("Anna", "R7 is primary of customer 1.")
    (owner,) = [row for row in found.sent if row.name == "assigned_user_id"]
    assert owner.value == OWNERS["R7"]
    assert not found.missing
