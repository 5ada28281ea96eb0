"""Sales reps in the corners: what people chose, what comes late, what is taken over, and a directory that cannot be read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from connectors.roles import Difference, OwnedRecord, Ref, Written
from core.errors import Held
from ledger.reps import AbsenceRow, AssignmentRow
from pipelines import repcheck, reps
from pipelines.desk import Refused
from pipelines.reassign import Parts, Wanted, fixed
from pipelines.repsheets import take_in
from pipelines.sheets import Line
from tests.integration.pipeline.conftest import Maker
from tests.orders import order
from tests.repworld import OWNERS, RepWorld

ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TODAY = date(2026, 11, 20)


def made(make: Maker, **settings: Any) -> RepWorld:
    mine = RepWorld(make, **settings)
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    return mine


def kinds(mine: RepWorld, day: date = TODAY) -> set[tuple[str, str]]:
    return {(one.kind, one.subject) for one in repcheck.check(mine.ledger, mine.context.reps["reps"], day, None)}


@ONCE
def test_what_an_order_created_is_nobodys_choice_and_follows(make: Maker) -> None:
    mine = made(make, shops={"shop": {}}, orders={"owner": "partners"}, ownership="crm")
    mine.erp.customer("10017", "R7")
    mine.turn()
    assert mine.world.carry(order(1, meta={"erp_number": "10017"})).state == "settled"
    mine.turn()
    (account,) = [row["id"] for row in mine.world.records("Accounts") if row["tickersymbol"] == "10017"]
    assert mine.owner(account) == "R7"

    mine.erp.customer("10017", "R9")
    mine.turn()
    assert mine.owner(account) == "R9"
    assert mine.world.order(1)["assigned_user_id"] == OWNERS["R9"]
    assert {row["assigned_user_id"] for row in mine.world.records("Contacts")} == {OWNERS["R9"]}


@ONCE
def test_whom_people_gave_such_an_account_to_keeps_it(make: Maker) -> None:
    mine = made(make, shops={"shop": {}}, orders={"owner": "partners"}, ownership="crm")
    mine.erp.customer("10017", "R7")
    mine.turn()
    mine.world.carry(order(1, meta={"erp_number": "10017"}))
    (account,) = [row["id"] for row in mine.world.records("Accounts") if row["tickersymbol"] == "10017"]
    mine.person_gives(account, "admin")
    mine.erp.customer("10017", "R9")
    mine.turn()
    assert mine.owner(account) == "admin"


@ONCE
def test_a_region_above_that_comes_late_is_not_missed(make: Maker) -> None:
    mine = made(make)
    mine.erp.region("LOW", parent="HIGH")
    mine.erp.customer("1", region="LOW")
    mine.turn()
    assert mine.shown("1") == []
    mine.erp.region("HIGH", "R7")
    mine.turn()
    assert mine.shown("1") == ["Anna"]


@ONCE
def test_the_owner_that_people_entered_outlives_the_erps_forgetting(make: Maker) -> None:
    mine = made(make)
    mine.turn()
    entry = next(one for one in mine.ledger.reps.reps("erp") if one.code == "R7")
    mine.ledger.reps.put_rep("erp", "R7", None, agency=entry.agency, owner="partners", by="Olga")
    mine.ledger.reps.forget_rep("erp", "R7")
    assert [one.code for one in mine.ledger.reps.reps("erp")] == ["R9"], "nobody says anything of it"
    mine.erp.rep("R7", "Anna B")
    mine.turn()
    assert {one.code: one.owner for one in mine.ledger.reps.reps("erp")} == {"R7": "partners", "R9": ""}
    mine.ledger.reps.put_rep("erp", "R7", None, owner="", by="Olga")
    mine.ledger.reps.forget_rep("erp", "R7")
    assert mine.ledger.db.rows(mine_row("R7")) == []


def mine_row(code: str) -> Any:
    import sqlalchemy as sa

    from ledger import tables as t

    return sa.select(t.rep).where(t.rep.c.code == code)


@ONCE
def test_who_is_gone_has_no_seat(make: Maker) -> None:
    mine = made(make)
    account = mine.account("1")
    mine.erp.customer("1", "R7")
    mine.turn()
    assert mine.ledger.reps.seated_at("reps", account) == "1"
    mine.erp.customer("1", "R7", business="agency")
    mine.turn()
    assert mine.ledger.reps.seated_at("reps", account) == ""


@ONCE
def test_a_reps_own_entry_is_neither_a_customer_nor_a_firm(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("900", business="agency", name="Anna")
    mine.turn()
    assert [one.code for one in mine.ledger.reps.agencies("erp")] == ["900"]
    mine.erp.customer("900", business="rep", name="Anna")
    mine.turn()
    assert mine.ledger.reps.agencies("erp") == []
    assert mine.ledger.reps.card("erp", "900") is None
    assert mine.told("900") == "Anna is a rep, not a customer: it has no card."


@ONCE
def test_a_directory_that_cannot_be_read_holds_no_order(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = made(make, shops={"shop": {}}, orders={"owner": "partners"})
    mine.turn()

    def broken(_source: str) -> Any:
        raise Held("The rep R7 of the rep directory cannot be used. What to do: correct it.")

    monkeypatch.setattr(mine.context.books, "get", broken)
    assert mine.world.carry(order(1)).state == "settled"
    assert mine.world.order(1)["assigned_user_id"] == OWNERS["partners"]
    (kept,) = mine.ledger.reps.orders_rep("shop", "1")
    assert kept.reason == "The rep R7 of the rep directory cannot be used. It is the flow's owner's."


@ONCE
def test_more_customers_than_one_page_are_woken(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.repsync.AT_ONCE", 2)
    mine = made(make)
    for number in range(5):
        mine.erp.customer(str(number))
    mine.turn()
    mine.ledger.reps.add_assignments("erp", [AssignmentRow("team", "", "R9", last=TODAY)])
    mine.turn()
    assert [mine.shown(str(number)) for number in range(5)] == [["Boris"]] * 5
    mine.clock.offset += timedelta(days=1).total_seconds()
    mine.turn()
    assert [mine.shown(str(number)) for number in range(5)] == [[]] * 5


# -- taken over, and checked -------------------------------------------------------------------------------------------


@ONCE
def test_after_a_hand_over_nothing_is_said_of_who_left(make: Maker) -> None:
    mine = made(make)
    mine.erp.rep("R7", "Anna", active=False)
    mine.erp.customer("1", "R7", "X1")
    mine.turn()
    assert {("departed rep still assigned", "R7"), ("code without a person", "X1")} <= kinds(mine)
    rows = [AssignmentRow("customer", "1", "R9", instead_of=old, first=TODAY) for old in ("R7", "X1")]
    mine.ledger.reps.add_assignments("erp", rows)
    mine.turn()
    assert not {kind for kind, _ in kinds(mine)} & {"departed rep still assigned", "code without a person"}


@ONCE
def test_a_hand_over_of_a_ship_to_counts_from_its_day_on(make: Maker) -> None:
    from tests.erps import place

    mine = made(make)
    mine.erp.rep("R7", "Anna", active=False)
    mine.erp.customer("1", "R9", ship_tos=[place("S1")])
    mine.turn()
    tomorrow = TODAY + timedelta(days=1)
    mine.ledger.reps.add_assignments("erp", [AssignmentRow("ship_to", "1/S1", "R7")])
    row = AssignmentRow("ship_to", "1/S1", "R9", instead_of="R7", first=tomorrow)
    mine.ledger.reps.add_assignments("erp", [row])
    mine.turn()
    assert ("departed rep still assigned", "R7") in kinds(mine)
    mine.clock.offset += timedelta(days=1).total_seconds()
    reps.look_again(mine.context, "erp")
    mine.turn()
    assert ("departed rep still assigned", "R7") not in kinds(mine, tomorrow)


@ONCE
def test_a_deputy_whom_nobody_is_is_still_named(make: Maker) -> None:
    mine = made(make)
    mine.erp.customer("1", "R7")
    mine.ledger.reps.add_absences("erp", [AbsenceRow("R7", TODAY, deputy="X9")])
    mine.turn()
    assert ("code without a person", "X9") in kinds(mine)


@ONCE
def test_a_namesake_of_another_firm_keeps_what_is_theirs(make: Maker) -> None:
    mine = made(make)
    mine.ledger.reps.put_agency("erp", "out", {"name": "Out", "own": False})
    mine.ledger.reps.put_rep("erp", "R7", {"name": "Ada"}, agency="out")
    mine.turn()
    rows = [AssignmentRow("customer", "1", "R7"), AssignmentRow("customer", "2", "R7", "out")]
    mine.ledger.reps.add_assignments("erp", rows)
    mine.erp.customer("1")
    mine.erp.customer("2")
    mine.turn()
    flow = mine.context.reps["reps"]
    ours = fixed(mine.context, flow, Wanted("R7", "R9"))
    assert [part.key for part in Parts(mine.context, flow, ours)] == ["customer/1"]
    theirs = fixed(mine.context, flow, Wanted("R7", "R9", old_agency="out"))
    assert [part.key for part in Parts(mine.context, flow, theirs)] == ["customer/2"]

    mine.ledger.reps.put_rep("erp", "Z1", {"name": "Zoe"}, agency="out")
    mine.ledger.reps.put_rep("erp", "Z1", {"name": "Zac"}, agency="in")
    with pytest.raises(Refused, match="in/Z1, out/Z1"):
        fixed(mine.context, flow, Wanted("Z1", "R9"))


# -- tables ------------------------------------------------------------------------------------------------------------


@ONCE
def test_a_table_without_the_agency_means_who_is_there(make: Maker) -> None:
    mine = made(make)
    mine.ledger.reps.put_rep("erp", "Q1", {"name": "Quin"}, agency="out")
    take_in(mine.ledger, "erp", "reps", [Line(2, {"code": "Q1", "owner": "partners"})])
    found = [(one.agency, one.owner) for one in mine.ledger.reps.reps("erp") if one.code == "Q1"]
    assert found == [("out", "partners")]
    take_in(mine.ledger, "erp", "absences", [Line(2, {"rep": "Q1", "first": "2026-11-20"})])
    directory = mine.context.books.get("erp").directory
    (rep,) = [one for one in directory.reps if one.code == "Q1"]
    assert [one.first for one in directory.absences_of(rep)] == [TODAY]


@pytest.mark.parametrize("cell", [{"role": "x" * 41}, {"role": "a\x00b"}, {"rank": "--5"}, {"agency": "x" * 81}])
def test_a_cell_that_the_ledger_has_no_room_for_is_listed(make: Maker, cell: dict[str, str]) -> None:
    mine = made(make)
    good = {"subject": "team", "rep": "R7"}
    done = take_in(mine.ledger, "erp", "assignments", [Line(2, {**good, **cell}), Line(3, good)])
    assert ([number for number, _ in done.bad], done.taken) == ([2], 1)
    assert all("What to do:" in why for _, why in done.bad)


# -- what was not written is not ours ----------------------------------------------------------------------------------


@ONCE
def test_an_owner_that_is_not_kept_leaves_no_mark_on_the_records_behind_it(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = made(make, ownership="erp")
    account = mine.account("1")
    crm = mine.context.crms["crm"]
    records = [
        OwnedRecord("account", Ref(account), "19x1", frozenset({"admin"})),
        OwnedRecord("contact", Ref("12x999"), "19x1", frozenset({"admin"})),
    ]
    refused = Difference("assigned_user_id", "19x7", "19x1", "hold", "The owner was not kept. What to do: see why.")
    monkeypatch.setattr(type(crm), "owned_records", lambda *_: records)
    monkeypatch.setattr(type(crm), "assign_owner", lambda _self, record, _owner: Written(record.ref, (refused,)))
    mine.erp.customer("1", "R7")
    mine.turn()
    assert mine.world.job("erp/customer/1").state == "held"
    assert set(mine.ledger.reps.owned("crm", [account, "12x999"])) == {account}
