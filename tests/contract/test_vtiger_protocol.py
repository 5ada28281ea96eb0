"""Sessions, envelopes, errors, queries: the protocol's own traps."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import guarded
from connectors.vtiger import query as q
from connectors.vtiger.client import envelope
from connectors.vtiger.errors import TABLE, Refusal, error_of
from core.errors import Ambiguous, Held, LeaseLost, RetryLater
from mapping.canonical import Probe
from mapping.vtiger import clean
from tests.contract.vtiger_fakes import FakeVtiger, OpenGuard, Page, Refuse, connector

FIXTURES = Path(__file__).parent.parent / "fixtures" / "vtiger"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTIGER_TEST_KEY", "access-key")


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_login_answers_the_challenge() -> None:
    fake = FakeVtiger(query=lambda p: [])
    client = connector(fake)._client
    client.query("SELECT id FROM Leads;")
    client.query("SELECT id FROM Leads;")
    assert fake.operations() == ["getchallenge", "login", "query", "query"]
    assert fake.asked[1]["accessKey"] == hashlib.md5(b"tokenaccess-key").hexdigest()  # noqa: S324 - vtiger's protocol
    assert [p["sessionName"] for p in fake.of("query")] == ["s1", "s1"]


@pytest.mark.parametrize(
    "code", ["INVALID_SESSIONID", "AUTHENTICATION_REQUIRED", "SESSION_EXPIRED", "SESSION_LEFT_IDLE"]
)
def test_a_session_that_is_over_is_renewed_and_the_call_repeated(code: str) -> None:
    def create(params: dict[str, Any]) -> dict[str, str]:
        if params["sessionName"] == "s1":
            raise Refuse(code)
        return {"id": "10x1"}

    fake, guard = FakeVtiger(create=create), OpenGuard()
    with guarded(guard):
        assert connector(fake)._client.create("Leads", {"lastname": "x"}) == {"id": "10x1"}
    assert fake.operations() == ["getchallenge", "login", "create", "getchallenge", "login", "create"]
    assert guard.writes == 2  # each sending asks the guard


def test_a_session_that_never_holds_is_no_endless_loop() -> None:
    def refuse(params: dict[str, Any]) -> None:
        raise Refuse("INVALID_SESSIONID")

    fake = FakeVtiger(query=refuse)
    with pytest.raises(RetryLater) as caught:
        connector(fake)._client.query("SELECT id FROM Leads;")
    assert (caught.value.scope, caught.value.cause) == ("connection", "auth")
    assert len(fake.of("query")) == 2


def test_threads_share_one_login() -> None:
    together = threading.Barrier(8)
    fake = FakeVtiger(query=lambda p: [])
    client = connector(fake)._client

    def ask(_: int) -> None:
        together.wait(60)
        client.query("SELECT id FROM Leads;")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert fake.sessions == 1
    assert len(fake.of("query")) == 8


def test_threads_renew_a_session_once() -> None:
    together = threading.Barrier(8)

    def query(params: dict[str, Any]) -> list[Any]:
        if params["sessionName"] == "s1":
            together.wait(60)  # all eight hold the old session when it ends
            raise Refuse("INVALID_SESSIONID")
        return []

    fake = FakeVtiger(query=query)
    client = connector(fake)._client
    client.login()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.query("SELECT id FROM Leads;"), range(8)))
    assert fake.sessions == 2


def test_a_stolen_challenge_is_not_a_wrong_password() -> None:
    """Two processes log in: the second challenge kills the first, and the answer reads like a wrong password."""
    refused = iter([True])

    def login(params: dict[str, Any]) -> dict[str, str]:
        if next(refused, False):
            raise Refuse("INVALID_USER_CREDENTIALS", "Invalid username or password")
        return {"sessionName": "mine", "userId": "19x1"}

    fake = FakeVtiger(login=login, query=lambda p: [])
    connector(fake)._client.query("SELECT id FROM Leads;")
    assert fake.operations() == ["getchallenge", "login", "getchallenge", "login", "query"]


def test_login_needs_no_guard_and_a_write_does() -> None:
    fake = FakeVtiger()
    client = connector(fake)._client
    client.login()
    with pytest.raises(LeaseLost):
        client.create("Leads", {"lastname": "x"})
    assert "create" not in fake.operations()


# -- envelopes ---------------------------------------------------------------------------------------------------------


def test_the_envelope_is_the_last_of_the_text() -> None:
    assert envelope('<b>Warning</b>{"success": no<br />{"success":true,"result":[]}') == {"success": True, "result": []}
    assert envelope('{"success":true,"result":[]}\n<br />shutdown warning') == {"success": True, "result": []}


@pytest.mark.parametrize(
    "text",
    ["", "<html></html>", '{"success":', '{"success":"yes"}', '{"success":true,"result":NaN}', '[{"success":true'],
)
def test_what_is_no_envelope(text: str) -> None:
    assert envelope(text) is None


def test_amounts_in_envelopes_are_exact() -> None:
    found = envelope('{"success":true,"result":{"hdnGrandTotal":474.78999999999996}}')
    assert found is not None
    assert str(found["result"]["hdnGrandTotal"]) == "474.78999999999996"


PAGES = [
    Page(500),
    Page(200),
    Page(200, "<!DOCTYPE html><title>Maintenance</title>"),
    Page(500, "<h1>500 Internal Server Error</h1>"),
    Page(200, '{"success":true,"result":'),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.status}-{page.text[:10]}")
def test_a_page_instead_of_an_answer(page: Page) -> None:
    def broken(params: dict[str, Any]) -> None:
        raise page

    fake = FakeVtiger(query=broken, create=broken)
    client = connector(fake)._client
    with pytest.raises(RetryLater) as read:
        client.query("SELECT id FROM Leads;")
    assert (read.value.scope, read.value.connection, read.value.burns_attempt) == ("connection", "crm", False)
    with guarded(OpenGuard()), pytest.raises(Ambiguous) as write:
        client.create("SalesOrder", {})
    assert write.value.connection == "crm"
    assert len(fake.of("create")) == 1  # never sent twice


@pytest.mark.parametrize("status", [301, 302, 404])
def test_a_wrong_address_stops_the_connection_not_the_job(status: int) -> None:
    def elsewhere(params: dict[str, Any]) -> None:
        raise Page(status, "<html>Not here</html>")

    fake = FakeVtiger(query=elsewhere, create=elsewhere)
    client = connector(fake)._client
    with pytest.raises(RetryLater) as caught:
        client.query("SELECT id FROM Leads;")
    assert (caught.value.scope, caught.value.cause) == ("connection", "configuration")
    with guarded(OpenGuard()), pytest.raises(RetryLater):
        client.create("Leads", {})


@pytest.mark.parametrize("result", [None, {}, "text", [1], [[]]])
def test_rows_that_are_none(result: object) -> None:
    with pytest.raises(RetryLater):
        connector(FakeVtiger(query=lambda p: result))._client.query("SELECT id FROM Leads;")


# -- errors ------------------------------------------------------------------------------------------------------------


def test_each_code_becomes_an_error_that_advises_and_repeats_no_data() -> None:
    for code in [*TABLE, "NEVER_SEEN", "None"]:
        for write in (True, False):
            error = error_of(Refusal("crm", "create", "Leads", write, code, "token 'O''Neill' secret@example.test"))
            assert "What to do: " in error.message
            assert "Neill" not in str(error)
            assert "secret" not in str(error)


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "DATABASE_QUERY_ERROR", "NEVER_SEEN"])
def test_a_failure_inside_is_ambiguous_only_on_writes(code: str) -> None:
    assert isinstance(error_of(Refusal("crm", "create", "Leads", True, code, "")), Ambiguous)
    assert isinstance(error_of(Refusal("crm", "query", "Leads", False, code, "")), RetryLater)


@pytest.mark.parametrize(
    ("code", "message", "field", "klass"),
    [
        ("MANDATORY_FIELDS_MISSING", "lastname does not have a value", "lastname", "validation/required"),
        ("MANDATORY_FIELDS_MISSING", "Last Name (lastname) does not have a value", "lastname", "validation/required"),
        ("MANDATORY_FIELDS_MISSING", "Mandatory Fields Missing..", "", "validation/required"),
        ("REFERENCE_INVALID", "Invalid reference specified for account_id", "account_id", "missing reference"),
    ],
)
def test_the_field_at_fault_is_named(code: str, message: str, field: str, klass: str) -> None:
    error = error_of(Refusal("crm", "create", "Leads", True, code, message))
    assert isinstance(error, Held)
    assert (error.field, error.error_class) == (field, klass)


# -- queries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Müller & Co", "'Müller & Co'"),
        ("O'Neill", "'O''Neill'"),
        ("back\\slash", "'back\\\\slash'"),
        ("x\\", "'x\\\\'"),
        ("\\'", "'\\\\'''"),
        ("two\nlines", "'two\nlines'"),
        ("Smile \U0001f600", "'Smile'"),
    ],
)
def test_literals(value: str, written: str) -> None:
    assert q.literal(value) == written


@pytest.mark.parametrize("value", ["", "\U0001f600", "\x00"])
def test_nothing_is_never_asked_for(value: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        q.literal(value)


def _read(text: str) -> str:
    """How vtiger and then MySQL read a literal back."""
    assert text[0] == text[-1] == "'"
    inner, out, i = text[1:-1], [], 0
    while i < len(inner):
        if inner[i] in "'\\":
            assert inner[i + 1] == inner[i]  # doubled, or the literal would end or escape here
            i += 1
        out.append(inner[i])
        i += 1
    return "".join(out)


@given(
    st.text(alphabet=st.characters(codec="utf-8", max_codepoint=0xFFFC, exclude_categories=["Cc", "Cs"]), min_size=1)
)
def test_a_literal_is_read_as_it_was_meant(value: str) -> None:
    try:
        written = q.literal(value)
    except ValueError:
        return
    assert _read(written) == clean(value)


@pytest.mark.parametrize("field", ["", "a b", "x;y", "*", "a'b", "1a", "é"])
def test_names_are_only_names(field: str) -> None:
    with pytest.raises(ValueError, match="not a field name"):
        q.select(["id", field], "Leads")


def test_a_select() -> None:
    text = q.select(["id", "id", "email"], "Contacts", q.equal("email", "a@b.c"), "modifiedtime, id", "0,100")
    assert text == "SELECT id,email FROM Contacts WHERE email='a@b.c' ORDER BY modifiedtime, id LIMIT 0,100;"


def test_in_lists_fit_an_address() -> None:
    values = ["Ж" * 40 + str(n) for n in range(120)]
    portions = list(q.in_lists(values))
    assert [v for portion, _ in portions for v in portion] == values
    assert all(len(portion) <= 50 for portion, _ in portions)
    assert all(len(text.encode()) < 4200 for _, text in portions)
    assert list(q.in_lists([])) == []


# -- finding -----------------------------------------------------------------------------------------------------------


def _describe(params: dict[str, Any]) -> Any:
    path = next(FIXTURES.glob(f"0*-describe-{params['elementType']}.json"))
    answer = json.loads(path.read_text())["response"]["json"]["result"]
    text = {"name": "string"}
    answer["fields"].append({"name": "cf_external_id", "label": "External ID", "mandatory": False, "type": text})
    return answer


CONTACTS = (
    "SELECT id,lastname,modifiedtime,cf_external_id,firstname,account_id,email,secondaryemail,phone,mobile,homephone,"
    "otherphone,mailingcountry FROM Contacts WHERE {} ORDER BY id LIMIT 21;"
)
ACCOUNTS = (
    "SELECT id,accountname,modifiedtime,cf_external_id,siccode,email1,email2,phone,otherphone,bill_country,"
    "bill_code FROM Accounts WHERE {} ORDER BY id LIMIT 21;"
)


@pytest.mark.parametrize(
    ("probe", "queries"),
    [
        (
            Probe(email="O'Neill@x.test", external_id="shop-1"),
            [CONTACTS.format("cf_external_id='shop-1' OR email='O''Neill@x.test'")],
        ),
        (
            Probe(email="a@x.test", vat_number="DE1", account_name="Müller KG", external_id="shop-1"),
            [
                CONTACTS.format("cf_external_id='shop-1' OR email='a@x.test'"),
                ACCOUNTS.format("cf_external_id='shop-1' OR siccode='DE1' OR accountname='Müller KG'"),
            ],
        ),
        (
            Probe(external_id="shop-1"),
            [
                CONTACTS.format("cf_external_id='shop-1'"),
                ACCOUNTS.format("cf_external_id='shop-1'"),
            ],
        ),
        (Probe(erp_number="4711"), []),  # no field is configured for it here
        (Probe(), []),
        (Probe(email=" \U0001f600 "), []),
    ],
)
def test_a_customer_is_asked_for_with_few_queries(probe: Probe, queries: list[str]) -> None:
    fake = FakeVtiger(query=lambda p: [], describe=_describe)
    assert connector(fake, vat_field="siccode").find_customer(probe) == []
    assert [p["query"] for p in fake.of("query")] == queries


def test_a_hidden_column_is_not_asked_for() -> None:
    def describe(params: dict[str, Any]) -> Any:
        answer = _describe(params)
        answer["fields"] = [f for f in answer["fields"] if f["name"] not in {"homephone", "secondaryemail"}]
        return answer

    fake = FakeVtiger(query=lambda p: [], describe=describe)
    connector(fake).find_customer(Probe(email="a@x.test"))
    assert "homephone" not in fake.of("query")[0]["query"]


def test_a_denied_query_stops_the_connection() -> None:
    """The external id's field is hidden from the API user: the same for every job."""

    def deny(params: dict[str, Any]) -> None:
        raise Refuse("ACCESS_DENIED", "Permission to access cf_external_id attribute denied.")

    with pytest.raises(RetryLater) as caught:
        connector(FakeVtiger(query=deny)).find_order("shop-order-1")
    assert (caught.value.scope, caught.value.burns_attempt) == ("connection", False)


def test_records_are_found_by_their_very_id_oldest_first() -> None:
    rows = [
        {"id": "6x100", "salesorder_no": "SO9", "cf_external_id": "shop-order-1"},
        {"id": "6x9", "salesorder_no": "SO1", "cf_external_id": "shop-order-1"},
        {"id": "6x8", "salesorder_no": "SO0", "cf_external_id": "SHOP-order-1"},
    ]
    fake = FakeVtiger(query=lambda p: rows)
    found = connector(fake).find_order("shop-order-1")
    assert [(ref.id, ref.number) for ref in found] == [("6x9", "SO1"), ("6x100", "SO9")]
    assert found[0].url == "http://crm.test/index.php?module=SalesOrder&view=Detail&record=9"
    assert fake.of("query")[0]["query"] == (
        "SELECT id,salesorder_no,cf_external_id FROM SalesOrder WHERE cf_external_id='shop-order-1' ORDER BY id;"
    )
