"""The review list on pages: seen, filtered, decided one by one and as a table, taken back; what waited for an answer runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from ledger import reviews
from ledger.reviews import Candidate
from pipelines import reviewdesk
from pipelines.reviewdesk import question_for
from tests.desk import HOSTILE
from tests.orders import order
from tests.people import logged_in
from tests.programs import program
from tests.world import SkippingClock, World, crm


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


@pytest.fixture
def client(world: World) -> TestClient:
    made = logged_in(world.app(lambda: None), Role.OPERATOR, "Olga")
    made._transport.raise_server_exceptions = True
    return made


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:2000]
    return str(answer.text)


def post(client: TestClient, path: str, **fields: str) -> str:
    answer = client.post(path, data=fields)
    assert answer.status_code == 303, answer.text[:2000]
    return get(client, answer.headers["location"])


def ask(world: World, id: int, *candidates: tuple[str, int], kind: Any = "order", label: str = "") -> int:
    choices = [Candidate(one, f"SO{one}", f"Order {id}", score, ("same total",)) for one, score in candidates]
    world.ledger.reviews.offer("crm", kind, f"shop/{kind}/{id}", label or f"{kind} {id}", choices)
    return max(one.id for one in world.ledger.reviews.list())


def twins(world: World) -> int:
    """An order whose customer is there twice, held with its question."""
    world.seed(
        accounts=[
            {"accountname": name, "email1": "ada@office.example"}
            for name in ("Twin", "Twin GmbH")
        ]
    )  # fmt: skip
    job = world.carry(order(1001))
    assert (job.state, job.error_class) == ("held", "duplicate/conflict"), job.reason
    return job.id


def test_the_surest_comes_first_and_the_address_has_the_filter(world: World, client: TestClient) -> None:
    assert "No question is open." in get(client, "/review")
    ask(world, 1, ("16x1", 60))
    ask(world, 2, ("16x2", 90), ("16x3", 40))
    ask(world, 3, ("11x4", 70), kind="customer")
    text = get(client, "/review")
    assert text.index(">order 2<") < text.index(">customer 3<") < text.index(">order 1<")
    assert "same total" in text
    aged = get(client, "/review?sort=age")
    assert aged.index(">order 1<") < aged.index(">order 2<") < aged.index(">customer 3<")
    only = get(client, "/review?kind=customer")
    assert ">customer 3<" in only
    assert ">order 1<" not in only
    assert ">order 1<" not in get(client, "/review?q=so16x2")
    assert "Nothing fits." in get(client, "/review?q=nobody")
    assert ">order 2<" in get(client, "/review?kind=nonsense&sort=nonsense&page=99999")


def test_pages_of_the_list(world: World, client: TestClient) -> None:
    for id in range(1, 31):
        ask(world, id, (f"16x{id}", id))
    first, second = get(client, "/review"), get(client, "/review?page=2")
    assert 'href="/review?page=2"' in first
    assert ">order 30<" in first
    assert ">order 5<" not in first
    assert ">order 5<" in second
    assert second.count('class="item"') == 5


def test_a_held_order_names_its_question_and_settles_by_the_answer(world: World, client: TestClient) -> None:
    job_id = twins(world)
    job = world.ledger.jobs.get(job_id)
    assert job is not None
    one = question_for(world.ledger, job)
    assert one is not None
    for path in (f"/jobs/{job_id}", "/orders/1001"):
        assert f'href="/review/{one.id}"' in get(client, path)
    text = get(client, f"/review/{one.id}")
    assert f'href="/jobs/{job_id}"' in text
    assert "index.php?module=Accounts&amp;view=Detail" in text
    chosen = one.candidates[0].id
    after = post(client, f"/review/{one.id}/decide", answer=f"link:{chosen}", note="the GmbH  is the branch")
    assert "By Olga" in after
    assert "the GmbH is the branch" in after
    world.drain()
    job = world.ledger.jobs.get(job_id)
    assert job is not None
    assert job.state == "settled", job.reason
    assert question_for(world.ledger, job) is None
    assert f'href="/review/{one.id}"' not in get(client, f"/jobs/{job_id}")
    assert world.order(1001)["account_id"] == chosen
    (note,) = world.ledger.audit.list(action="review.decide")
    assert (note.actor, note.subject, note.facts["remote"]) == ("Olga", f"review/{one.id}", chosen)
    decided = get(client, "/review?state=decided")
    assert "Olga" in decided
    assert "the GmbH is the branch" in decided
    refused = client.post(f"/review/{one.id}/undo")
    assert refused.status_code == 409
    assert "cannot be taken back" in refused.text


def test_an_answer_is_taken_back_while_nothing_stands_on_it(world: World, client: TestClient) -> None:
    id = ask(world, 7, ("16x7", 80))
    assert "it is none of them" in post(client, f"/review/{id}/decide", answer="new")
    text = post(client, f"/review/{id}/undo")
    assert "is open again" in text
    assert 'value="link:16x7"' in text
    assert [one.action for one in world.ledger.audit.list(subject=f"review/{id}")] == ["review.undo", "review.decide"]


def test_what_is_no_answer_is_refused(world: World, client: TestClient) -> None:
    id = ask(world, 7, ("16x7", 80))
    for fields in ({}, {"answer": "other"}, {"answer": "link:16x99"}, {"answer": "link:"}):
        answer = client.post(f"/review/{id}/decide", data=fields)
        assert answer.status_code == 409, fields
        assert "What to do:" in answer.text
    assert client.post("/review/99/decide", data={"answer": "new"}).status_code == 404
    assert client.get("/review/9999999999999999999999").status_code == 404
    post(client, f"/review/{id}/decide", answer="link:16x7")
    again = client.post(f"/review/{id}/decide", data={"answer": "new"})
    assert again.status_code == 409
    assert "decided already" in again.text
    link = world.ledger.links.get("crm", "order", "shop/order/7")
    assert link is not None
    assert link.remote_id == "16x7"


def test_who_may_only_look_is_offered_nothing(world: World) -> None:
    id = ask(world, 7, ("16x7", 80))
    viewer = logged_in(world.app(lambda: None), Role.VIEWER)
    text = get(viewer, f"/review/{id}")
    assert "16x7" in text
    assert "<form class" in text
    assert 'type="radio"' not in text
    assert "review.csv" not in get(viewer, "/review")
    for path in (f"/review/{id}/decide", f"/review/{id}/undo", "/review/import", "/review/import/confirm"):
        assert viewer.post(path, data={"answer": "new"}).status_code == 403
    assert viewer.get("/review.csv").status_code == 403
    assert not world.ledger.reviews.list(decided=True)


ADDRESS = "ada@office.example"


def personal(world: World) -> int:
    """A question as an order's customer asks it, with all that tells who that is."""
    choices = [Candidate("11x5", "ACC5", f"Byron, {ADDRESS}", 70, (f"same e-mail address {ADDRESS}",))]
    facts = {"keys": [f"email/{ADDRESS}", "vat/IT01234567890", "store/shop/customer/7"], "number": "1001"}
    world.ledger.reviews.offer("crm", "customer", f"email/{ADDRESS}", f"Ada Byron, {ADDRESS}", choices, facts=facts)
    return max(one.id for one in world.ledger.reviews.list())


def test_whoever_may_not_decide_is_not_told_who_the_customer_is(world: World, client: TestClient) -> None:
    id = personal(world)
    viewer = logged_in(world.app(lambda: None), Role.VIEWER)
    for path in ("/review", f"/review/{id}", "/review?q=byron", "/review?q=acc5"):
        seen, hidden = get(client, path), get(viewer, path)
        assert f"Ada Byron, {ADDRESS}" in seen
        assert "Ada Byron, [e-mail]" in hidden
        assert ADDRESS not in hidden
        assert "01234567890" not in hidden
    assert "vat/IT01234567890" in get(client, f"/review/{id}")
    assert "store/shop/customer/7" in get(viewer, f"/review/{id}")
    for text in ("@", "office.example", "email/ada"):
        assert "Nothing fits." in get(viewer, f"/review?q={text}"), "what is hidden is not found either"
        assert "Ada Byron" in get(client, f"/review?q={text}")


def test_a_search_that_stops_early_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewdesk, "SEARCHED", 2)
    viewer = logged_in(world.app(lambda: None), Role.VIEWER)
    ask(world, 1, ("16x1", 90))
    ask(world, 2, ("16x2", 80))
    assert "Not all questions" not in get(viewer, "/review?q=order")
    ask(world, 3, ("16x3", 70))
    assert "Not all questions" in get(viewer, "/review?q=order")
    assert "Not all questions" not in get(viewer, "/review")


def test_the_audit_keeps_the_question_and_no_address(world: World, client: TestClient) -> None:
    id = personal(world)
    post(client, f"/review/{id}/decide", answer="new", note=f"asked {ADDRESS}")
    post(client, f"/review/{id}/undo")
    client.get(f"/review.csv?q={ADDRESS}")
    kept = world.ledger.audit.list()
    assert {one.action for one in kept} >= {"review.decide", "review.undo", "review.export"}
    assert ADDRESS not in str([(one.subject, one.facts) for one in kept])
    (decided,) = world.ledger.audit.list(action="review.decide")
    assert (decided.facts["question"], decided.facts["record"]) == (str(id), "email/[e-mail]")


def test_a_page_reads_only_what_it_shows(world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = twins(world)
    for id in range(1, 91):
        ask(world, id, (f"16x{id}", id))
    read, really = list[int](), reviews._review

    def counted(row: Any) -> reviews.Review:
        read.append(row.id)
        return really(row)

    monkeypatch.setattr(reviews, "_review", counted)
    api = program(world.app(lambda: None), role=Role.OPERATOR)
    for path, most in (
        ("/review", 25),
        ("/review?page=3&sort=age", 25),
        ("/review?q=16x1", 25),
        (f"/jobs/{job_id}", 1),
        ("/orders/1001", 1),
        ("/review/3", 1),
    ):
        read.clear()
        get(client, path)
        assert len(read) <= most, path
    read.clear()
    assert len(api.get("/api/v1/reviews?limit=10").json()["data"]) == 10
    assert len(read) == 11


def test_letters_of_other_languages_and_signs_of_patterns_are_found(world: World, client: TestClient) -> None:
    ask(world, 1, ("16x1", 90), label="Möbel Ölwerk 100%")
    ask(world, 2, ("16x2", 80), label="Мария 100x")
    for text, found in (("ölwerk", "Möbel"), ("МАРИЯ", "Мария"), ("100%25", "Möbel")):
        assert found in get(client, f"/review?q={text}")
    assert "Мария" not in get(client, "/review?q=100%25")


# -- as a table --------------------------------------------------------------------------------------------------------


def exported(client: TestClient, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"/review.csv{query}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def upload(client: TestClient, rows: list[dict[str, str]] | bytes) -> Any:
    if isinstance(rows, list):
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        rows = out.getvalue().encode()
    return client.post("/review/import", files={"table": ("filled in.csv", rows, "text/csv")})


def test_a_table_goes_out_and_comes_back(world: World, client: TestClient) -> None:
    ids = [ask(world, id, (f"16x{id}", 80), (f"16x{id}9", 50)) for id in (1, 2, 3)]
    rows = exported(client)
    assert len(rows) == 6
    for row in rows:
        row["decision"] = {"16x1": "link", "16x29": "x", "16x3": "perhaps"}.get(row["candidate"], "")
        row["note"] = "by phone"
    answer = upload(client, rows)
    assert answer.status_code == 200
    assert "2 decisions" in answer.text
    assert "neither link nor new" in answer.text
    assert "Nothing is decided yet." in answer.text
    assert not world.ledger.reviews.list(decided=True)
    taken = client.post("/review/import/confirm", data={"wanted": carried(answer.text)})
    assert taken.status_code == 303
    decided = {one.id: (one.remote_id, one.note, one.decided_by) for one in world.ledger.reviews.list(decided=True)}
    assert decided == {ids[0]: ("16x1", "by phone", "Olga"), ids[1]: ("16x29", "by phone", "Olga")}
    assert len(world.ledger.audit.list(action="review.decide")) == 2
    assert [note.facts["questions"] for note in world.ledger.audit.list(action="review.export")] == [3]


def carried(text: str) -> str:
    return unescape(text.split('name="wanted" value="')[1].split('"', maxsplit=1)[0])


def test_what_became_impossible_since_the_preview_is_said(world: World, client: TestClient) -> None:
    id = ask(world, 1, ("16x1", 80))
    rows = exported(client)
    rows[0]["decision"] = "link"
    wanted = carried(upload(client, rows).text)
    post(client, f"/review/{id}/decide", answer="new")
    answer = client.post("/review/import/confirm", data={"wanted": wanted})
    assert answer.status_code == 200
    assert "Refused: 1" in answer.text
    assert "decided already" in answer.text
    assert world.ledger.reviews.list(decided=True)[0].decision == "new"


def test_files_that_are_no_tables(world: World, client: TestClient) -> None:
    ask(world, 1, ("16x1", 80))
    assert client.post("/review/import").status_code == 409
    for raw, why in (
        (b"", "is empty"),
        (b"a,b\r\n1,2\r\n", "no columns review"),
        (b"review,candidate,decision\r\n" + b"1,16x1,link\r\n" * 5001, "more than 5000 lines"),
    ):
        answer = upload(client, raw)
        assert answer.status_code == 409, raw[:50]
        assert why in answer.text
    assert upload(client, b"x" * (1024 * 1024 + 1)).status_code == 413
    for wanted in ("", "[", "{}", '[{"line": 1}]', '[{"line":1,"review":1,"decision":"drop","remote":"","note":""}]'):
        assert client.post("/review/import/confirm", data={"wanted": wanted}).status_code in {303, 422}
    assert not world.ledger.reviews.list(decided=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_customers_typed_is_text(world: World, client: TestClient, text: str) -> None:
    id = ask(world, 1, ("16x1", 80), label=text)
    for path in ("/review", f"/review/{id}"):
        page = get(client, path)
        assert "<script>window" not in page
        assert "<img src=x" not in page
    cell = exported(client)[0]["what"]
    assert not cell.startswith(("=", "+", "-", "@"))
