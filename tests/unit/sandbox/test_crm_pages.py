"""The pages show what arrived, escaped, and allow nothing from elsewhere."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.conftest import Wire

EVIL = "<script>alert('x')</script> & Söhne"


@pytest.mark.parametrize(
    "path", ["/", "/leads", "/accounts", "/contacts", "/orders", "/invoices", "/products", "/faults"]
)
def test_every_page_answers_safely(wire: Wire, path: str) -> None:
    wire.create("Accounts", accountname=EVIL, assigned_user_id="19x1")
    wire.create("Leads", lastname=EVIL, company=EVIL, assigned_user_id="20x2")
    wire.create("Contacts", lastname=EVIL, assigned_user_id="19x1")
    answer = wire.http.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "<script>alert" not in answer.text
    assert " style=" not in answer.text
    assert answer.text.count("<h1>") == 1
    if path in {"/leads", "/accounts", "/contacts"}:
        assert "&lt;script&gt;" in answer.text
    if path == "/leads":
        assert "Team Selling" in answer.text


def test_an_order_page_shows_lines_and_total(wire: Wire) -> None:
    account = wire.create("Accounts", accountname=EVIL, assigned_user_id="19x1")["result"]["id"]
    line = {"productid": wire.product("OF-104"), "quantity": "2", "listprice": "10", "tax1": "7", "comment": EVIL}
    id = wire.order(account, line)["result"]["id"]
    text = wire.http.get(f"/orders/{id}").text
    assert ">21.40</dd>" in text
    assert "Book: Keeping Good Records" in text
    assert "<script>alert" not in text
    assert wire.http.get("/orders").text.count(f'href="/orders/{id}"') == 1
    assert wire.http.get(f"/invoices/{id}").status_code == 404


def test_the_address_of_vtiger_s_own_page_leads_to_the_record(wire: Wire) -> None:
    """As the links of whoever shows a record say it."""
    account = wire.create("Accounts", accountname="A", assigned_user_id="19x1")["result"]["id"]
    id = wire.order(account, {"productid": wire.product("OF-104"), "quantity": "2", "listprice": "10"})["result"]["id"]
    for module, record, place in (
        ("SalesOrder", id.partition("x")[2], f"/orders/{id}"),
        ("Accounts", account.partition("x")[2], "/accounts"),
    ):
        answer = wire.http.get(f"/index.php?module={module}&view=Detail&record={record}")
        assert (answer.status_code, answer.headers.get("location")) == (307, place)
    assert wire.http.get("/index.php?module=Users&view=Detail&record=1").status_code == 404


def test_a_person_sets_a_status(wire: Wire) -> None:
    """Under a name of their own; words that the picklist lacks, other modules and other sites change nothing."""
    account = wire.create("Accounts", accountname="A", assigned_user_id="19x1")["result"]["id"]
    id = wire.order(account, {"productid": wire.product("OF-104"), "quantity": "2", "listprice": "10"})["result"]["id"]
    answer = wire.http.post(f"/orders/{id}/status", data={"status": "Delivered"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/orders/{id}")
    row = wire.get("retrieve", id=id)["result"]
    assert (row["sostatus"], row["modifiedby"], float(row["hdnGrandTotal"])) == ("Delivered", "19x7", 21.4)
    refused = (
        wire.http.post(f"/orders/{id}/status", data={"status": "Shipped to Mars"}),
        wire.http.post(f"/invoices/{id}/status", data={"status": "Paid"}),
        wire.http.post(f"/orders/{id}/status", data={"status": "Created"}, headers={"sec-fetch-site": "cross-site"}),
    )
    assert [one.status_code for one in refused] == [422, 404, 403]
    text = wire.http.get(f"/orders/{id}").text
    assert "Status: Delivered" in text
    assert 'value="Approved"' in text
    assert 'value="Delivered"' not in text


def test_the_dial_page_posts_a_form(wire: Wire) -> None:
    answer = wire.http.post("/sandbox/faults", data={"lost_answer": "0.25", "seed": "9"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/faults")
    assert 'value="0.25"' in wire.http.get("/faults").text
    wire.http.post("/sandbox/switches", data={"php": "7", "unique_account_names": "off"})
    switches = wire.http.get("/sandbox/switches").json()
    assert (switches["php"], switches["unique_account_names"]) == (7, False)


def test_static_files_come_from_here(wire: Wire) -> None:
    assert wire.http.get("/static/sandbox.css").status_code == 200
    assert "javascript" in wire.http.get("/static/refresh.js").headers["content-type"]
