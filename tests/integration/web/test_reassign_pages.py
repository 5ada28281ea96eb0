"""Reassigning on pages: a look, a run that is stopped, gone on with and taken back; and the card as the customer sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from ledger.reps import AssignmentRow
from ledger.runs import RunView
from mapping.canonical import RepAssignment
from pipelines import carrier, reassign
from pipelines.carrier import READING, WRITING
from tests.erps import place
from tests.integration.pipeline.conftest import Maker
from tests.people import logged_in
from tests.portal import bearer, portal_settings
from tests.repworld import RepWorld

TODAY = date(2026, 11, 20)
LATER = date(2026, 12, 1)


@pytest.fixture
def mine(database_url: str) -> Iterator[RepWorld]:
    with ExitStack() as stack:
        made = RepWorld(Maker(database_url, stack))
        made.context.portals = {"shop": portal_settings()}
        yield made


@pytest.fixture
def people(mine: RepWorld) -> RepWorld:
    """Two reps, a region within another, and three customers."""
    mine.erp.rep("R7", "Anna", email="anna@us.example", phone="+49 30 12345")
    mine.erp.rep("R9", "Boris", email="boris@us.example")
    mine.erp.region("EAST")
    mine.erp.region("NORTH-EAST", "R7", parent="EAST")
    mine.erp.customer("1", "R7", "R9", region="EAST")
    mine.erp.customer("2", "R7", region="NORTH-EAST", ship_tos=[place("S1")])
    mine.erp.customer("3", region="NORTH-EAST")
    mine.erp.customer("4", "R7")
    mine.turn()
    return mine


@pytest.fixture
def client(people: RepWorld) -> TestClient:
    made = logged_in(people.world.app(lambda: None), Role.OPERATOR, "Olga")
    made._transport.raise_server_exceptions = True
    return made


def get(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, **fields: str) -> str:
    answer = client.post(path, data=fields)
    assert answer.status_code == 303, answer.text[:2000]
    return str(answer.headers["location"])


def work(mine: RepWorld) -> None:
    for schedule in (READING, WRITING):
        carrier.go_on(mine.context, schedule)
    mine.turn()


def run(mine: RepWorld, address: str) -> RunView:
    found: RunView | None = mine.ledger.runs.get(int(address.rpartition("/")[2]))
    assert found is not None
    return found


def keys(mine: RepWorld, run_id: int) -> set[str]:
    return {item.key for item in mine.ledger.runs.all_items(run_id)}


def reassigned(mine: RepWorld, client: TestClient, **fields: str) -> str:
    """Look, and do it; where the run is."""
    look = post(client, "/reps/reassign", old="R7", new="/R9", **fields)
    work(mine)
    done = post(client, f"{look}/reassign")
    work(mine)
    return done


def test_a_look_first_then_done_and_taken_back(people: RepWorld, client: TestClient) -> None:
    account = people.account("1")
    people.turn()
    form = get(client, "/reps/reassign")
    assert "Anna" in form
    look = post(client, "/reps/reassign", old="R7", new="/R9")
    work(people)
    assert keys(people, run(people, look).id) == {"customer/1", "customer/2", "customer/4", "region/NORTH-EAST"}
    page = get(client, look)
    assert "3 customers, 1 region: from R7 to R9 on 2026-11-20." in page
    assert people.shown("1") == ["Anna", "Boris"], "a look changes nothing"

    done = post(client, f"{look}/reassign")
    work(people)
    assert run(people, done).state == "done"
    assert [people.shown(number) for number in "1234"] == [["Boris"]] * 4
    assert people.owner(account) == "R9"
    assert "R9 took over from R7 on 2026-11-20" in people.told("1")

    back = post(client, f"{done}/restore")
    work(people)
    assert run(people, back).summary == f"Run {run(people, done).id} is taken back."
    assert [people.shown(number) for number in "1234"] == [["Anna", "Boris"], ["Anna"], ["Anna"], ["Anna"]]
    assert people.owner(account) == "R7"
    assert people.ledger.reps.assignments("erp") == []
    actions = [entry.action for entry in people.ledger.audit.list(limit=50)]
    assert {"run.plan", "run.reassign", "run.restore"} <= set(actions)


def test_open_orders_are_counted_in_the_look(people: RepWorld, client: TestClient) -> None:
    order = {
        "invoicestatus": "Created", "bill_street": "Way 1", "ship_street": "Way 1", "currency_id": "21x1", "productid": "@T1",
        "LineItems": [{"productid": "@T1", "quantity": "1", "listprice": "1"}], "account_id": "@Blue",
    }  # fmt: skip
    people.world.seed(
        accounts=[{"accountname": "Blue", "tickersymbol": "1"}],
        products=[{"productname": "Thing", "productcode": "T1", "unit_price": "1"}],
        salesorders=[
            {"subject": name, "sostatus": status, **order} for name, status in (("a", "Created"), ("b", "Delivered"))
        ],
    )
    people.turn()
    look = post(client, "/reps/reassign", old="R7", new="/R9")
    work(people)
    assert run(people, look).counts["open_orders"] == 1
    assert "1 open order" in get(client, look)


def test_a_region_with_all_below_it(people: RepWorld, client: TestClient) -> None:
    done = reassigned(people, client, region="EAST")
    assert keys(people, run(people, done).id) == {"customer/1", "customer/2", "region/NORTH-EAST"}
    assert people.shown("3") == ["Boris"]
    assert people.shown("4") == ["Anna"]


def test_on_a_day_to_come(people: RepWorld, client: TestClient) -> None:
    reassigned(people, client, on=LATER.isoformat())
    assert people.shown("2") == ["Anna"]
    assert people.card("2").until == LATER
    seen = get(client, f"/reps/preview?customer=2&on={LATER}")
    assert "Boris" in seen
    assert "as things stand" in seen
    people.clock.skip((LATER - TODAY) / timedelta(seconds=1))
    people.turn()
    assert people.shown("2") == ["Boris"]


def test_there_and_back_again_by_another_reassignment(people: RepWorld, client: TestClient) -> None:
    reassigned(people, client)
    look = post(client, "/reps/reassign", old="R9", new="/R7")
    work(people)
    post(client, f"{look}/reassign")
    work(people)
    assert people.shown("2") == ["Anna"]
    assert people.shown("4") == ["Anna"]


def test_what_the_erp_says_later_counts(people: RepWorld, client: TestClient) -> None:
    people.erp.rep("R5", "Carla")
    reassigned(people, client)
    people.erp.customer("2", "R5")
    people.turn()
    assert people.shown("2") == ["Carla"]


def test_what_was_entered_here_changes_hands_too(people: RepWorld, client: TestClient) -> None:
    entered = [
        AssignmentRow("ship_to", "2/S1", "R7"),
        AssignmentRow("team", "", "R7", role="team"),
        AssignmentRow("customer", "3", "R7", last=TODAY - timedelta(days=1)),
    ]
    people.ledger.reps.add_assignments("erp", entered)
    people.turn()
    done = reassigned(people, client)
    assert {"ship_to/2/S1", "team/"} < keys(people, run(people, done).id)
    assert "customer/3" not in keys(people, run(people, done).id), "that one is over"


def test_a_stopped_one_goes_on_and_does_nothing_twice(
    people: RepWorld, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = post(client, "/reps/reassign", old="R7", new="/R9")
    work(people)
    done = post(client, f"{look}/reassign")
    monkeypatch.setattr(reassign, "CHUNK", 1)
    kept, number = people.ledger.reps.add_assignments, run(people, done).id

    def stopping(*given: Any, **more: Any) -> list[int]:
        ids: list[int] = kept(*given, **more)
        people.ledger.runs.stop(number, "Stopped by Olga.")
        return ids

    monkeypatch.setattr(people.ledger.reps, "add_assignments", stopping)
    work(people)
    assert run(people, done).state == "stopped"
    assert len(people.ledger.reps.assignments("erp")) == 1
    monkeypatch.undo()
    post(client, f"{done}/go-on")
    work(people)
    assert run(people, done).state == "done"
    rows = people.ledger.reps.assignments("erp")
    assert len(rows) == len({(row.subject, row.subject_id) for row in rows}) == 4
    assert keys(people, number) == {"customer/1", "customer/2", "customer/4", "region/NORTH-EAST"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"new": "/R7"}, "Both are the same rep"),
        ({"new": "/NOBODY"}, "is the code of nobody"),
        ({"new": ""}, "is missing"),
        ({"old": "R1"}, "nothing is theirs"),
        ({"region": "WEST"}, "There is no region"),
        ({"on": "2026-11-19"}, "is over"),
        ({"on": "soon"}, "is no day"),
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, fields: dict[str, str], why: str) -> None:
    answer = client.post("/reps/reassign", data={"old": "R7", "new": "/R9", **fields})
    assert answer.status_code == 409
    assert why in answer.text
    assert "What to do:" in answer.text


def test_nothing_is_given_to_who_has_left(people: RepWorld, client: TestClient) -> None:
    people.erp.rep("R9", "Boris", active=False)
    people.turn()
    answer = client.post("/reps/reassign", data={"old": "R7", "new": "/R9"})
    assert "is not there on 2026-11-20" in answer.text


def test_a_viewer_sees_runs_and_cards_and_reassigns_nothing(people: RepWorld, client: TestClient) -> None:
    look = post(client, "/reps/reassign", old="R7", new="/R9")
    work(people)
    viewer = logged_in(people.world.app(lambda: None), Role.VIEWER, "Vera")
    assert "Reassign them" not in get(viewer, look)
    assert "Anna" in get(viewer, "/reps/preview?customer=2")
    for path in ("/reps/reassign", f"{look}/reassign", f"{look}/restore"):
        assert viewer.post(path, data={"old": "R7", "new": "/R9"}).status_code == 403
    assert viewer.get("/reps/reassign").status_code == 403


# -- as a customer -----------------------------------------------------------------------------------------------------


def test_the_preview_is_what_the_portal_answers(people: RepWorld, client: TestClient) -> None:
    seen = get(client, "/reps/preview?customer=1")
    answered = client.get("/portal/card.html", headers=bearer("1", now=people.clock.now())).text
    card = re.sub(r"\s+", " ", answered.partition("<details")[0])
    assert card.strip() in re.sub(r"\s+", " ", seen)
    assert "R7 is primary of customer 1" in seen
    assert 'name="token"' not in seen


def test_what_is_missing_is_said_with_what_to_do(people: RepWorld, client: TestClient) -> None:
    people.erp.customer("5", RepAssignment(subject="customer", subject_id="5", rep="GHOST"))
    people.erp.rep("R9", "Boris", email="no address", phone="extension twelve")
    people.turn()
    ghost = get(client, "/reps/preview?customer=5")
    assert "The code GHOST is nobody&#39;s." in ghost
    assert "Customer service" in ghost, "the shop's team stands in"
    unreachable = get(client, "/reps/preview?customer=1")
    assert "The e-mail address of R9 Boris cannot be clicked." in unreachable
    assert "cannot be dialled" in unreachable
    unknown = get(client, "/reps/preview?customer=77")
    assert "has told of no customer 77" in unknown


def test_text_of_others_does_nothing_in_the_preview(people: RepWorld, client: TestClient) -> None:
    people.erp.rep("R7", '<script>alert("x")</script>')
    people.turn()
    assert "<script>alert" not in get(client, "/reps/preview?customer=2")


def test_customers_are_offered_from_a_number_on(people: RepWorld, client: TestClient) -> None:
    assert ">Customer 2</a>" in get(client, "/reps/preview")
    offered = get(client, "/reps/preview?customer=20")
    assert ">Customer 3</a>" in offered
    assert ">Customer 1</a>" not in offered
