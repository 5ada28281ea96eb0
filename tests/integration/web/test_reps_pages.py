"""The rep directory by hand: who there is, who is away, whom they serve, of which agency."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from tests.integration.pipeline.conftest import Maker
from tests.people import logged_in
from tests.repworld import RepWorld
from web.dashboard.tiles import role_of


@pytest.fixture
def mine(database_url: str) -> Iterator[RepWorld]:
    with ExitStack() as stack:
        made = RepWorld(Maker(database_url, stack))
        made.erp.rep("R7", "Anna", email="anna@us.example", phone="+49 30 12345")
        made.erp.rep("R9", "Boris")
        made.erp.region("EAST")
        made.erp.customer("1", "R7", region="EAST")
        made.erp.customer("2", region="EAST")
        made.turn()
        yield made


@pytest.fixture
def client(mine: RepWorld) -> TestClient:
    made = logged_in(mine.world.app(lambda: None), Role.ADMIN, "Olga")
    made._transport.raise_server_exceptions = True
    return made


def get(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, **fields: str | list[str]) -> None:
    answer = client.post(path, data=fields)
    assert answer.status_code == 303, answer.text[:2000]


def refused(client: TestClient, path: str, **fields: str) -> str:
    answer = client.post(path, data=fields)
    assert answer.status_code in {404, 409}, answer.text[:300]
    assert "What to do:" in answer.text
    return str(answer.text)


def audited(mine: RepWorld) -> list[tuple[str, str]]:
    return [(one.actor, one.action) for one in mine.ledger.audit.list(limit=20) if one.action.startswith("reps.")]


def test_everybody_is_listed_with_who_told(client: TestClient) -> None:
    seen = get(client, "/reps")
    assert "Anna" in seen
    assert "anna@us.example" in seen
    assert "not at all" in seen, "nobody can reach Boris"
    assert "code=R7" in seen
    assert "code=R7" not in get(client, "/reps?q=boris")


def test_a_field_counts_over_the_erp_and_is_taken_back(mine: RepWorld, client: TestClient) -> None:
    form = get(client, "/reps/rep?code=R7")
    assert "erp says: anna@us.example" in form
    post(
        client,
        "/reps/rep",
        code="R7",
        name="Anna Rossi",
        languages="it, de",
        owner="R9",
        released=["phone", "languages"],
    )
    mine.turn()
    card = mine.card("1").card
    assert "Anna Rossi" in card
    assert "anna@us.example" not in card, "not released"
    assert ">R9<" in get(client, "/reps")
    entry = next(one for one in mine.ledger.reps.reps("erp") if one.code == "R7")
    assert entry.own == {"name": "Anna Rossi", "languages": ["it", "de"], "released": ["languages", "phone"]}
    assert entry.erp["name"] == "Anna"

    post(client, "/reps/rep/forget", code="R7")
    mine.turn()
    assert mine.shown("1") == ["Anna"]
    assert "anna@us.example" in mine.card("1").card
    assert audited(mine) == [("Olga", "reps.rep.forget"), ("Olga", "reps.rep")]


def test_who_has_left_is_passed_over(mine: RepWorld, client: TestClient) -> None:
    post(client, "/reps/rep", code="R7", active="no")
    mine.turn()
    assert mine.shown("1") == []
    assert "has left" in get(client, "/reps")


def test_a_rep_of_an_outside_agency_from_a_contact_of_its_business(mine: RepWorld, client: TestClient) -> None:
    mine.world.seed(
        accounts=[{"accountname": "Partner Ltd", "tickersymbol": "900"}],
        contacts=[
            {"lastname": "Conti", "firstname": "Carla", "email": "carla@partner.example", "account_id": "@Partner Ltd"}
        ],
    )
    mine.turn()
    post(client, "/reps/agency", code="PART", name="Partner Ltd", business="900", own="no")
    offered = get(client, "/reps/rep?agency=PART")
    assert "Carla Conti carla@partner.example" in offered
    id = offered.partition('<option value="12x')[2].partition('"')[0]
    filled = get(client, f"/reps/rep?agency=PART&contact=12x{id}")
    assert 'value="carla@partner.example"' in filled
    post(
        client,
        "/reps/rep",
        agency="PART",
        code="P1",
        name="Carla Conti",
        email="carla@partner.example",
        released=["email"],
    )
    post(client, "/reps/assignments", subject="customer", subject_id="2", rep="PART/P1", role="service")
    mine.turn()
    card = mine.card("2").card
    assert '"partner":true' in card
    assert '"firm":"Partner Ltd"' in card


def test_an_absence_with_its_deputy(mine: RepWorld, client: TestClient) -> None:
    post(client, "/reps/absences", rep="/R7", first="2026-11-19", last="2026-11-25", deputy="/R9")
    mine.turn()
    assert mine.shown("1") == ["Boris"]
    seen = get(client, "/reps")
    assert "away until 2026-11-25" in seen
    (row,) = mine.ledger.reps.absences("erp")
    post(client, f"/reps/absences/{row.id}/remove")
    mine.turn()
    assert mine.shown("1") == ["Anna"]
    assert audited(mine) == [("Olga", "reps.absence.remove"), ("Olga", "reps.absence")]
    refused(client, f"/reps/absences/{row.id}/remove")


def test_assignments_of_a_region_and_the_team(mine: RepWorld, client: TestClient) -> None:
    post(client, "/reps/assignments", subject="team", rep="/R9", role="team")
    mine.turn()
    assert mine.shown("2") == ["Boris"]
    post(client, "/reps/assignments", subject="region", subject_id="EAST", rep="/R7")
    mine.turn()
    assert mine.shown("2") == ["Anna"]
    for row in mine.ledger.reps.assignments("erp"):
        post(client, f"/reps/assignments/{row.id}/remove")
    mine.turn()
    assert mine.shown("2") == []


@pytest.mark.parametrize(
    ("path", "fields", "why"),
    [
        ("/reps/rep", {"code": ""}, "A code has 1 to 80"),
        ("/reps/rep", {"code": "NEW"}, "The name of NEW is missing"),
        ("/reps/rep", {"code": "NEW", "name": "N", "agency": "X"}, "There is no agency X"),
        ("/reps/rep", {"code": "NEW", "name": "N", "owner": "nobody"}, "has no owner named nobody"),
        ("/reps/rep", {"code": "NEW", "name": "N", "photo": "http://x.example/p.png"}, "https://"),
        ("/reps/rep/forget", {"code": "NEW"}, "There is no rep NEW"),
        ("/reps/agency", {"code": "A", "name": ""}, "The name of the agency is missing"),
        ("/reps/absences", {"rep": "/R7", "first": ""}, "The first day is missing"),
        ("/reps/absences", {"rep": "/R7", "first": "2026-12-01", "last": "2026-11-01"}, "before the first"),
        ("/reps/absences", {"rep": "/R7", "first": "2026-12-01", "deputy": "/R7"}, "The deputy is nobody else"),
        ("/reps/absences", {"rep": "/NO", "first": "2026-12-01"}, "the code of nobody"),
        ("/reps/assignments", {"subject": "customer", "rep": "/R7"}, "is not clear"),
        ("/reps/assignments", {"subject": "team", "subject_id": "1", "rep": "/R7"}, "is not clear"),
        ("/reps/assignments", {"subject": "region", "subject_id": "WEST", "rep": "/R7"}, "There is no region WEST"),
        ("/reps/assignments", {"subject": "moon", "rep": "/R7"}, "not one of the list"),
        ("/reps/assignments/999/remove", {}, "no such assignment"),
        ("/reps/rep", {"flow": "other", "code": "R7"}, "no flow of sales reps named"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    mine: RepWorld, client: TestClient, path: str, fields: dict[str, str], why: str
) -> None:
    assert why in refused(client, path, **fields).replace("&#39;", "'")
    assert audited(mine) == []


def test_an_operator_sees_the_directory_and_changes_nothing(mine: RepWorld, client: TestClient) -> None:
    operator = logged_in(mine.world.app(lambda: None), Role.OPERATOR, "Otto")
    seen = get(operator, "/reps")
    assert "Anna" in seen
    assert "Add a rep" not in seen
    for path in ("/reps/rep", "/reps/rep/forget", "/reps/agency", "/reps/absences", "/reps/assignments"):
        assert operator.post(path, data={"code": "R7", "name": "X"}).status_code == 403
    assert operator.get("/reps/rep").status_code == 403
    assert mine.shown("1") == ["Anna"]


def test_without_a_flow_of_reps_it_says_what_to_do(mine: RepWorld, client: TestClient) -> None:
    mine.context.reps = {}
    for path in ("/reps", "/reps/reassign", "/reps/preview"):
        assert "No flow of sales reps is configured." in get(client, path)


def test_what_is_wrong_is_listed_with_what_to_do(mine: RepWorld, client: TestClient) -> None:
    mine.erp.customer("3", "GHOST")
    mine.turn()
    seen = get(client, "/reps/check")
    assert "code without a person" in seen
    assert "GHOST" in seen
    assert "customer=3" in seen
    assert "What to do:" in seen
    sheet = client.get("/reps/check.csv")
    assert sheet.headers["content-disposition"] == 'attachment; filename="reps-reps.csv"'
    rows = list(csv.reader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
    assert ["yes", "code without a person", "GHOST"] in [row[:3] for row in rows]
    assert ("Olga", "reps.check.export") in audited(mine)
    viewer = logged_in(mine.world.app(lambda: None), Role.VIEWER, "Vera")
    assert viewer.get("/reps/check.csv").status_code == 403
    assert "GHOST" in get(viewer, "/reps/check")


# -- the flow beside the others ----------------------------------------------------------------------------------------


def test_the_flow_stands_beside_the_others_and_goes_off_and_on(mine: RepWorld, client: TestClient) -> None:
    assert 'data-key="flow-reps"' in get(client, "/flows")
    assert 'data-key="flow-reps"' in get(client, "/")
    assert "<option>reps</option>" in get(client, "/jobs")
    assert role_of(mine.context, "erp") == "erp"
    assert 'href="/flows">reps</a>' in get(client, "/connections/crm")
    assert "Looks whose sales reps of erp are others now" in get(client, "/schedules")

    get(client, "/flows/reps/paused")
    post(client, "/flows/reps/paused", note="holiday")
    assert mine.ledger.flows.get("reps").mode == "paused"
    page = get(client, "/flows/reps/live")
    assert "gives customers in crm to their sales reps" in page
    assert "Create orders placed" not in page, "it carries none"
    post(client, "/flows/reps/live")
    assert mine.ledger.flows.get("reps").live
    post(client, "/flows/reps/rehearse")
    assert "whom its records would be given to" in get(client, "/flows")


def test_a_flow_that_was_never_live_goes_live_without_a_beginning(mine: RepWorld, client: TestClient) -> None:
    settings = mine.context.reps["reps"].model_copy(update={"name": "cards", "target": ""})
    mine.context.reps = {**mine.context.reps, "cards": settings}
    assert "cards only" in get(client, "/flows")
    post(client, "/flows/cards/live")
    assert (mine.ledger.flows.get("cards").live, mine.ledger.flows.get("cards").start) == (True, None)


# -- what may be seen --------------------------------------------------------------------------------------------------


def test_who_released_nothing_is_not_offered_the_usual_again(mine: RepWorld, client: TestClient) -> None:
    mine.ledger.reps.put_rep("erp", "R7", {"released": []})
    assert 'value="email" checked' in get(client, "/reps/rep?flow=reps&code=R9")
    assert 'value="email" checked' not in get(client, "/reps/rep?flow=reps&code=R7")


def test_what_is_not_released_is_seen_by_those_who_keep_the_directory(mine: RepWorld, client: TestClient) -> None:
    mine.ledger.reps.put_rep("erp", "R7", {"released": ["email"]})
    viewer = logged_in(mine.world.app(lambda: None), Role.VIEWER, "Vera")
    assert "+49 30 12345" in get(client, "/reps")
    page = get(viewer, "/reps")
    assert "anna@us.example" in page
    assert "+49 30 12345" not in page
    mine.ledger.reps.put_rep("erp", "R7", {"released": []})
    assert "not released" in get(viewer, "/reps")
