"""Each fault does what its description says: no more is written, and no less."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.conftest import ORDER, Wire


def _leads(wire: Wire) -> int:
    return int(wire.query("SELECT count(*) FROM Leads;")[0]["count"])


def _create_lead(wire: Wire) -> httpx.Response:
    return wire.raw_post(
        "create", elementType="Leads", element=json.dumps({"lastname": "x", "assigned_user_id": "19x1"})
    )


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        ("error_500", 500, 0),
        ("empty_500", 500, 0),
        ("empty_500_after", 500, 1),
        ("rate_limited", 429, 0),
        ("maintenance", 200, 0),
        ("php_warnings", 200, 1),
    ],
)
def test_answers_of_faults(wire: Wire, fault: str, status: int, written: int) -> None:
    wire.faults(script=[{"fault": fault, "operation": "create"}])
    answer = _create_lead(wire)
    assert answer.status_code == status
    assert _leads(wire) == written
    assert _create_lead(wire).json()["success"] is True
    assert wire.app.faults.struck == {fault: 1}
    if fault in {"empty_500", "empty_500_after"}:
        assert answer.content == b""
    if fault == "php_warnings":
        assert answer.text.startswith("<br />")
        assert json.loads(answer.text[answer.text.index('{"success":') :])["success"] is True


@pytest.mark.parametrize(("fault", "written"), [("connection_closed", 0), ("lost_answer", 1)])
def test_connections_that_end_without_an_answer(wire: Wire, fault: str, written: int) -> None:
    wire.faults(script=[{"fault": fault, "operation": "create"}])
    with pytest.raises(httpx.TransportError):
        _create_lead(wire)
    assert _leads(wire) == written


def test_a_late_commit_lands_later(wire: Wire) -> None:
    wire.faults(script=[{"fault": "late_commit", "operation": "create"}], late_after_s=0.3)
    with pytest.raises(httpx.TransportError):
        _create_lead(wire)
    assert _leads(wire) == 0
    deadline = time.monotonic() + 60
    while not _leads(wire):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_late_commits_land_when_they_are_told_to(wire: Wire) -> None:
    wire.faults(script=[{"fault": "late_commit", "operation": "create"}], late_after_s=3600)
    with pytest.raises(httpx.TransportError):
        _create_lead(wire)
    assert (_leads(wire), wire.app.landed) == (0, False)
    assert wire.http.post("/sandbox/land").json() == {"landed": 1}
    assert (_leads(wire), wire.app.landed) == (1, True)
    assert wire.http.post("/sandbox/land").json() == {"landed": 0}
    assert _leads(wire) == 1


def test_reading_faults(wire: Wire) -> None:
    _create_lead(wire)
    wire.faults(script=[{"fault": "empty_query"}, {"fault": "read_error", "operation": "query"}])
    assert wire.query("SELECT id FROM Leads;") == []
    assert wire.raw_get("query", query="SELECT id FROM Leads;").status_code == 500
    assert len(wire.query("SELECT id FROM Leads;")) == 1


def test_logins_refused_and_sessions_lost(wire: Wire) -> None:
    wire.faults(script=[{"fault": "session_lost", "operation": "query"}])
    assert wire.get("query", query="SELECT id FROM Leads;")["error"]["code"] == "INVALID_SESSIONID"
    assert wire.get("query", query="SELECT id FROM Leads;")["error"]["code"] == "INVALID_SESSIONID"
    wire.faults(script=[{"fault": "login_refused"}])
    with pytest.raises(KeyError):
        wire.login()
    wire.session = wire.login()
    assert wire.http.post("/sandbox/expire-sessions").json()["ended"] == 1
    assert wire.get("listtypes")["error"]["code"] == "INVALID_SESSIONID"


@pytest.mark.parametrize(
    ("kind", "check"), [("seconds", "7"), ("garbage", "soon-ish"), ("none", None), ("date", "GMT")]
)
def test_retry_after_in_every_form(wire: Wire, kind: str, check: str | None) -> None:
    wire.faults(rate_limited=1, retry_after=kind, retry_after_s=7)
    header = wire.raw_get("query").headers.get("retry-after")
    assert header == check or (kind == "date" and header.endswith("GMT"))


def test_dice_fall_the_same_from_the_same_seed(wire: Wire) -> None:
    def throws(seed: int) -> list[int]:
        wire.http.delete("/sandbox/faults")
        wire.faults(error_500=0.4, seed=seed)
        return [_create_lead(wire).status_code for _ in range(30)]

    assert throws(7) == throws(7)
    assert throws(7) != throws(8)


def test_a_wrong_dial_changes_nothing(wire: Wire) -> None:
    for wrong in (
        {"no_such": 1},
        {"error_500": 2},
        {"error_500": "much"},
        {"script": [{"fault": "x"}]},
        {"retry_after": "x"},
    ):
        answer = wire.http.post("/sandbox/faults", json={"lost_answer": 0.5, **wrong})
        assert answer.status_code == 422
        assert "What to do:" in answer.json()["error"]
    assert wire.http.get("/sandbox/faults").json()["lost_answer"] == 0


def test_the_dial_is_not_turned_from_another_site(wire: Wire) -> None:
    answer = wire.http.post("/sandbox/faults", json={"error_500": 1}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert _create_lead(wire).status_code == 200


def test_lines_are_lost_only_while_another_session_creates(wire: Wire) -> None:
    """T5 as it happens: overlapping creations of different sessions lose lines, those of one session never."""
    account = wire.create("Accounts", accountname="A", assigned_user_id="19x1")["result"]["id"]
    line = {"productid": wire.product("OF-100"), "quantity": "1", "listprice": "5", "tax1": "0"}
    element = json.dumps(
        {**ORDER, "subject": "o", "account_id": account, "productid": line["productid"], "LineItems": [line, line]}
    )
    wire.faults(lost_line_overlap=1, latency_ms=60)
    sessions = [wire.session, wire.login()]

    def create(name: str) -> int:
        data = {"operation": "create", "sessionName": name, "elementType": "SalesOrder", "element": element}
        result: Any = wire.http.post("/webservice.php", data=data).json()["result"]
        assert result["hdnGrandTotal"] == 5 * len(result["LineItems"])
        return len(result["LineItems"])

    def together(names: list[str]) -> list[int]:
        with ThreadPoolExecutor(len(names)) as pool:
            return sorted(pool.map(create, names))

    assert together(sessions) == [1, 2]
    assert together([wire.session, wire.session]) == [2, 2]


def test_sessions_can_be_serialised_as_php_does(wire: Wire) -> None:
    wire.http.post("/sandbox/switches", json={"serialise_sessions": True}).raise_for_status()
    wire.faults(latency_ms=100)

    def call(_: int) -> None:
        params = {"operation": "listtypes", "sessionName": wire.session}
        wire.http.get("/webservice.php", params=params)

    started = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(call, range(3)))
    assert time.monotonic() - started >= 0.3
