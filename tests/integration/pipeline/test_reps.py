"""Sales reps from an ERP to cards and to the CRM's owners."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from core.errors import Held
from core.keys import Key
from ledger.reps import AbsenceRow, AssignmentRow
from mapping.canonical import RepAssignment
from pipelines import erppolling, reps
from tests.erps import place
from tests.integration.pipeline.conftest import Maker
from tests.repworld import OWNERS, DatedClock, RepWorld


@pytest.fixture
def mine(make: Maker) -> RepWorld:
    return RepWorld(make)


def from_to(rep: str, first: str | None, last: str | None, **more: Any) -> RepAssignment:
    return RepAssignment.model_validate(
        {"subject": "customer", "subject_id": "10017", "rep": rep, "first": first, "last": last, **more}
    )


# -- the way -----------------------------------------------------------------------------------------------------------


def test_a_customers_rep_is_on_its_card_and_owns_its_account(mine: RepWorld) -> None:
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna Rossi", email="anna@firm.example")
    mine.erp.customer("10017", "R7")

    mine.turn()

    assert mine.shown("10017") == ["Anna Rossi"]
    assert mine.owner(account) == "R7"
    job = mine.world.job("erp/customer/10017")
    assert (job.state, job.queue, job.flow, job.number) == ("settled", "sync", "reps", "10017")
    assert "R7 is primary of customer 10017" in job.reason
    assert "1 account given to R7" in job.reason


def test_contacts_and_open_orders_follow_what_is_over_does_not(mine: RepWorld) -> None:
    made = mine.world.seed(
        accounts=[{"accountname": "Blue", "tickersymbol": "10017"}, {"accountname": "Red", "tickersymbol": "10018"}],
        contacts=[{"lastname": "Mine", "account_id": "@Blue"}, {"lastname": "Theirs", "account_id": "@Red"}],
        products=[{"productname": "Thing", "productcode": "T1", "unit_price": "1"}],
        salesorders=[
            {"subject": name, "account_id": "@Blue", "sostatus": status, **ORDER} for name, status in STATUSES.items()
        ],
    )
    mine.erp.rep("R7")
    mine.erp.customer("10017", "R7")

    mine.turn()

    assert mine.owner(made["contacts"]["Mine"], "Contacts") == "R7"
    assert mine.owner(made["contacts"]["Theirs"], "Contacts") == "admin"
    orders = {name: mine.owner(id, "SalesOrder") for name, id in made["salesorders"].items()}
    assert orders == {"open": "R7", "approved": "R7", "done": "admin", "dead": "admin"}
    assert "1 account, 1 contact and 2 orders given to R7" in mine.told("10017")


STATUSES = {"open": "Created", "approved": "Approved", "done": "Delivered", "dead": "Cancelled"}
ORDER = {
    "invoicestatus": "Created",
    "bill_street": "Way 1",
    "ship_street": "Way 1",
    "currency_id": "21x1",
    "productid": "@T1",
    "LineItems": [{"productid": "@T1", "quantity": "1", "listprice": "1"}],
}


def test_a_rep_that_changes_is_followed_by_card_and_owner(mine: RepWorld) -> None:
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("10017", "R7")
    mine.turn()
    first = mine.card("10017")

    mine.erp.customer("10017", "R9")
    mine.turn()

    assert mine.shown("10017") == ["Boris"]
    assert mine.owner(account) == "R9"
    assert mine.card("10017").digest != first.digest
    assert mine.card("10017").changed_at > first.changed_at


def test_a_dated_assignment_changes_sides_at_its_date_in_the_flows_zone(make: Maker) -> None:
    mine = RepWorld(make, zone="Asia/Tokyo", clock=DatedClock(date(2026, 11, 30)))
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("10017", from_to("R7", None, "2026-11-30"), from_to("R9", "2026-12-01", None))
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Anna"], "R7")
    assert mine.card("10017").until == date(2026, 12, 1)

    mine.clock.skip(2.9 * 3600)  # 14:54 UTC, 23:54 in Tokyo
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Anna"], "R7")

    mine.clock.skip(0.2 * 3600)  # after midnight there, in the afternoon by UTC
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Boris"], "R9")
    assert mine.card("10017").until is None


def test_an_absence_falls_to_the_deputy_and_back(mine: RepWorld) -> None:
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("10017", "R7")
    mine.turn()

    away = AbsenceRow(rep="R7", first=date(2026, 11, 20), last=date(2026, 11, 22), deputy="R9")
    mine.ledger.reps.add_absences("erp", [away], by="page")
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Boris"], "R9")

    mine.clock.skip(3 * 86_400)
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Anna"], "R7")


def test_whoever_leaves_is_replaced_for_every_customer_and_only_concerned_ones_are_looked_at(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("1", "R7", "R9")
    mine.erp.customer("2", "R9")
    mine.turn()
    before = mine.world.job("erp/customer/2")

    mine.erp.rep("R7", "Anna", active=False)
    mine.turn()

    assert mine.shown("1") == ["Boris"]
    assert mine.world.job("erp/customer/2").wanted == before.wanted
    assert any("has left" in one for one in json.loads(mine.card("1").resolution)["passed"])


def test_a_region_that_gets_a_rep_or_moves_wakes_its_customers(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.region("EAST", parent="ALL")
    mine.erp.region("ALL")
    mine.erp.customer("1", region="EAST")
    mine.erp.customer("2", ship_tos=[place("A", "EAST")])
    mine.turn()
    assert mine.shown("1") == []

    mine.erp.region("ALL", "R7")
    mine.turn()
    assert mine.shown("1") == ["Anna"]

    mine.erp.region("WEST", "R9")
    mine.erp.region("EAST", parent="WEST")
    mine.turn()
    assert mine.shown("1") == ["Boris"]
    assert mine.world.job("erp/customer/2").wanted > 1, "a ship-to of it is there"


def test_what_people_enter_here_counts_beside_the_erp(mine: RepWorld) -> None:
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017")
    mine.turn()
    assert mine.shown("10017") == []

    team = AssignmentRow("team", "", "R9")
    mine.ledger.reps.put_rep("erp", "R9", {"name": "Boris"}, by="page")
    mine.ledger.reps.add_assignments("erp", [team], by="page")
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Boris"], "R9")

    (own,) = mine.ledger.reps.add_assignments("erp", [AssignmentRow("customer", "10017", "R7")], by="page")
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Anna"], "R7")

    mine.ledger.reps.remove_assignments("erp", [own])
    mine.turn()
    assert (mine.shown("10017"), mine.owner(account)) == (["Boris"], "R9")


def test_what_people_say_of_a_rep_wins_whatever_comes_first(mine: RepWorld) -> None:
    mine.ledger.reps.put_rep("erp", "R7", {"phone": "+49 30 1"}, by="page")
    mine.erp.rep("R7", "Anna", phone="+49 30 999", email="anna@firm.example")
    mine.erp.customer("1", "R7")
    mine.turn()
    (shown,) = json.loads(mine.card("1").card)["reps"]
    assert (shown["name"], shown["email"], shown["phone"]) == ("Anna", "anna@firm.example", "+49 30 1")

    mine.ledger.reps.put_rep("erp", "R7", None, by="page")
    mine.turn()
    (shown,) = json.loads(mine.card("1").card)["reps"]
    assert shown["phone"] == "+49 30 999"


# -- the CRM -----------------------------------------------------------------------------------------------------------


def test_without_an_account_there_is_a_card_and_the_owner_follows_when_the_account_comes(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017", "R7")
    mine.turn()
    assert mine.shown("10017") == ["Anna"]
    assert "no account in crm yet" in mine.told("10017")

    account = mine.account("10017")
    mine.turn()
    assert mine.owner(account) == "R7"


def test_an_account_that_an_order_linked_is_the_customers(mine: RepWorld) -> None:
    account = mine.account("10017", tickersymbol="")
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("k-10017", "R7")
    mine.turn()

    mine.ledger.links.adopt("crm", "customer", ["erp/K-10017"], account, refs={"account": account})
    mine.turn()
    assert mine.owner(account) == "R7"


def test_two_accounts_with_one_number_are_held(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017", "R7")
    mine.turn()
    mine.account("10017")
    mine.account("10017", accountname="The other")
    mine.turn()
    job = mine.world.job("erp/customer/10017")
    assert (job.state, job.field) == ("held", "customer")
    assert mine.shown("10017") == ["Anna"], "the card does not wait for the CRM"
    mine.turn()
    assert mine.world.job("erp/customer/10017").state == "held"


@pytest.mark.parametrize("ownership", ["erp", "crm", "empty"])
def test_who_wins_where_a_person_chose_another_owner(make: Maker, ownership: str) -> None:
    mine = RepWorld(make, ownership=ownership, nobody=["admin"])
    chosen, free, imported = (
        mine.account("1", assigned_user_id=OWNERS["partners"]),
        mine.account("2"),
        mine.account("3", assigned_user_id=OWNERS["us"]),
    )
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    for number in "123":
        mine.erp.customer(number, "R7")
    mine.turn()
    assert mine.owner(chosen) == ("R7" if ownership == "erp" else "partners")
    assert (mine.owner(free), mine.owner(imported)) == ("R7", "R7")
    if ownership != "erp":
        assert "1 left to whom people chose there" in mine.told("1")

    for number in "123":
        mine.erp.customer(number, "R9")
    mine.turn()
    assert mine.owner(free) == {"erp": "R9", "crm": "R9", "empty": "R7"}[ownership], "what we gave away follows"

    mine.person_gives(free, "partners")
    for number in "123":
        mine.erp.customer(number, "R7")
    mine.clock.skip(200)
    mine.turn()
    assert mine.owner(free) == {"erp": "R7", "crm": "partners", "empty": "partners"}[ownership]


def test_our_own_write_is_not_repeated(mine: RepWorld) -> None:
    mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017", "R7")
    mine.turn()
    mine.world.forget_calls()

    mine.world.fill_index()  # the CRM tells that the account changed: it was we
    mine.erp.customer("10017", "R7", name="Another name")
    mine.turn()
    assert mine.world.writes() == 0
    assert "all is R7's already" in mine.told("10017")


def test_a_rep_with_a_name_in_the_crm_of_its_own_and_one_with_none(make: Maker) -> None:
    mine = RepWorld(make, owner="partners")
    first, second = mine.account("1"), mine.account("2")
    mine.erp.rep("X1", "Anna")
    mine.erp.rep("X2", "Boris")
    mine.erp.customer("1", "X1")
    mine.erp.customer("2", "X2")
    mine.ledger.reps.put_rep("erp", "X1", {}, owner="R7", by="page")
    mine.turn()
    assert (mine.owner(first), mine.owner(second)) == ("R7", "partners")

    mine.ledger.reps.put_rep("erp", "X1", {}, owner="Nobody known", by="page")
    mine.turn()
    job = mine.world.job("erp/customer/1")
    assert (job.state, job.field) == ("held", "owner")
    assert "add Nobody known to the owners" in job.reason


def test_without_a_name_and_without_the_flows_owner_it_stays_and_is_said(mine: RepWorld) -> None:
    account = mine.account("1")
    mine.erp.rep("X1", "Anna")
    mine.erp.customer("1", "X1")
    mine.turn()
    job = mine.world.job("erp/customer/1")
    assert (job.state, mine.owner(account)) == ("settled", "admin")
    assert any("X1" in warning for warning in job.warnings)


def test_a_write_that_lands_late_does_not_undo_the_next_one(make: Maker) -> None:
    mine = RepWorld(make)
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("10017", "R7")
    mine.world.faults(late_after_s=3600, script=[{"fault": "late_commit", "operation": "revise", "times": 1}])
    erppolling.poll(mine.context, "erp")
    mine.world.drain()
    assert mine.world.struck() == {"late_commit": 1}
    assert mine.world.job("erp/customer/10017").state == "waiting"

    mine.erp.customer("10017", "R9")  # and meanwhile the rep changes
    erppolling.poll(mine.context, "erp")
    mine.world.drain()
    assert mine.owner(account) != "R9", "what was sent before may still land"

    make.land()
    mine.world.finish()
    assert mine.owner(account) == "R9"


def test_in_rehearsal_nothing_is_written_and_going_live_gives(make: Maker) -> None:
    mine = RepWorld(make, live=False)
    account = mine.account("10017")
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017", "R7")
    mine.turn()
    assert mine.owner(account) == "admin"
    assert mine.shown("10017") == ["Anna"]
    job = mine.world.job("erp/customer/10017")
    assert (job.state, job.error_class) == ("waiting", "rehearsal")
    assert "1 account would be given to R7" in job.reason

    mine.ledger.flows.set("reps", "live")
    assert mine.ledger.flows.wake_rehearsed("reps") == 1
    mine.turn()
    assert mine.owner(account) == "R7"


def test_a_flow_without_a_crm_keeps_cards_alone(make: Maker) -> None:
    mine = RepWorld(make, target="", live=False)
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("10017", "R7")
    mine.turn()
    assert mine.world.job("erp/customer/10017").state == "settled"
    assert mine.shown("10017") == ["Anna"]


# -- the ERP -----------------------------------------------------------------------------------------------------------


def test_each_kind_is_read_on_from_its_own_cursor_and_raw_is_kept(mine: RepWorld) -> None:
    mine.erp.page = 2
    for number in range(5):
        mine.erp.customer(str(number), "R7")
    mine.erp.rep("R7", "Anna")
    assert erppolling.poll(mine.context, "erp") == 6
    assert erppolling.poll(mine.context, "erp") == 0
    assert {name: mine.ledger.cursors.get(f"erp/{name}") for name in ("rep", "region", "customer")} == dict.fromkeys(
        ("rep", "region", "customer"), "6"
    )
    record = mine.ledger.inbox.record(Key("erp", "customer", "4"))
    assert record is not None
    assert json.loads(record.raw or b"")["name"] == "Customer 4"


def test_a_firm_that_sells_is_an_agency_and_nobodys_customer(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.customer("900", "R7", business="agency", name="Outside Ltd")
    mine.erp.customer("901", business="own", name="We")
    mine.turn()
    assert mine.ledger.reps.card("erp", "900") is None
    agencies = {agency.code: agency.own for agency in mine.context.books.get("erp").directory.agencies}
    assert agencies == {"900": False, "901": True}

    mine.erp.customer("900", "R7", name="Outside Ltd")
    mine.turn()
    assert mine.shown("900") == ["Anna"]
    assert [agency.code for agency in mine.context.books.get("erp").directory.agencies] == ["901"]


def test_what_the_erp_deleted_is_found_by_night(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna")
    mine.erp.rep("R9", "Boris")
    mine.erp.customer("1", "R7", "R9")
    mine.erp.customer("2", "R9")
    mine.turn()

    mine.erp.drop("rep", "R7")
    mine.erp.drop("customer", "2")
    assert erppolling.compare(mine.context, "erp") == 2
    mine.turn()

    assert mine.shown("1") == ["Boris"]
    assert mine.ledger.reps.card("erp", "2") is None
    assert "has this customer no more" in mine.told("2")
    assert erppolling.compare(mine.context, "erp") == 0

    mine.erp.customer("2", "R9")
    mine.turn()
    assert mine.shown("2") == ["Boris"]


def test_a_list_that_lacks_too_much_is_not_believed(mine: RepWorld) -> None:
    for number in range(40):
        mine.erp.customer(str(number), "R7")
    mine.erp.rep("R7", "Anna")
    mine.turn()
    for number in range(30):
        mine.erp.drop("customer", str(number))
    with pytest.raises(Held, match="30 of 40"):
        erppolling.compare(mine.context, "erp")
    assert mine.shown("3") == ["Anna"]
    assert erppolling.compare(mine.context, "erp", anyway=True) == 30
    mine.turn()
    assert mine.ledger.reps.card("erp", "3") is None


def test_a_rep_that_moves_to_another_agency_is_one_rep(mine: RepWorld) -> None:
    mine.erp.rep("R7", "Anna", agency="900")
    mine.erp.customer("1", "R7")
    mine.turn()
    mine.erp.rep("R7", "Anna", agency="901")
    mine.turn()
    assert [(entry.agency, entry.code) for entry in mine.ledger.reps.reps("erp")] == [("901", "R7")]
    assert mine.card("1").agency == "901"


def test_a_directory_that_changes_in_the_middle_of_a_look_is_looked_at_again(mine: RepWorld) -> None:
    """The change is committed after the look has read the directory and before it keeps its card: nobody's concern knows it."""
    mine.erp.customer("1", "R7")
    erppolling.poll(mine.context, "erp")
    books, moments = mine.context.books, [False, True]  # the second: agencies are looked at first

    class Late:
        def get(self, source: str) -> Any:
            book = books.get(source)
            if moments and moments.pop(0):
                mine.ledger.reps.put_rep("erp", "R7", {"name": "Anna"}, by="page")
                reps.look_again(mine.context, "erp")  # nothing to wake yet
            return book

    mine.context.books = Late()
    mine.world.drain()
    assert not moments
    assert mine.shown("1") == ["Anna"]


def test_a_thousand_customers_are_woken_in_a_handful_of_statements(mine: RepWorld, statements: Iterator[int]) -> None:
    mine.erp.rep("R7", "Anna")
    for number in range(60):
        mine.erp.customer(str(number), "R7")
    mine.turn()
    mine.ledger.reps.put_rep("erp", "R7", {"name": "Anna B."}, by="page")
    next(statements)
    reps.look_again(mine.context, "erp")
    assert next(statements) < 20
    counts = mine.ledger.jobs.counts()
    assert counts["waiting"] == 60


@pytest.fixture
def statements(mine: RepWorld) -> Iterator[Iterator[int]]:
    """Counts what Core sends to the database since the last look."""
    import sqlalchemy as sa

    counted = 0

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1

    def looks() -> Iterator[int]:
        nonlocal counted
        while True:
            found, counted = counted, 0
            yield found

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", count)
    yield looks()
    sa.event.remove(sa.engine.Engine, "before_cursor_execute", count)
