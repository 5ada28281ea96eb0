"""The pages of the stand-in ERP and of the stand-in shop, for people."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from sandbox.erp import ErpApp, erp_app
from sandbox.portal import portal_app
from sandbox.portal.tokens import is_signed, token
from sandbox.serve import running
from tests.unit.sandbox.conftest import client

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def erp() -> Iterator[tuple[ErpApp, httpx.Client]]:
    app = erp_app(now=lambda: NOW)
    with running(app) as address, client(address, follow_redirects=True) as http:
        yield app, http


def served(app: ErpApp, number: str) -> list[tuple[str, date | None, date | None]]:
    customer = app.staff.customer(number)
    assert customer is not None
    return [(one.agent.code, one.first, one.last) for one in customer.served_by]


def test_a_rep_is_changed_at_once(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    assert "Jonas Weber" in http.get("/customers/10017").text
    page = http.post("/customers/10017/rep", data={"rep": "R9", "from": ""}).text
    assert "Amélie Durand" in page
    assert served(app, "10017") == [("R9", None, None)]


def test_from_a_day_on_the_one_before_ends_the_day_before(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    day = TODAY + timedelta(days=10)
    http.post("/customers/10023/rep", data={"rep": "R7", "from": day.isoformat()})
    eve = day - timedelta(days=1)
    assert served(app, "10023") == [("R9", None, eve), ("R3", None, eve), ("R7", day, None)]
    sooner = TODAY + timedelta(days=5)
    http.post("/customers/10023/rep", data={"rep": "R3", "from": sooner.isoformat()})
    assert served(app, "10023")[2:] == [("R3", sooner, None)], "what was to begin later does not"


def test_a_further_rep_and_one_taken_away(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    http.post("/customers/10044/add", data={"rep": "R7", "from": "", "until": "2026-12-31"})
    assert served(app, "10044") == [("R7", None, date(2026, 12, 31))]
    (row,) = [one.id for one in app.staff.customer("10044").served_by]  # type: ignore[union-attr]
    http.post("/customers/10031/take-away", data={"row": str(row)})
    assert served(app, "10044"), "another customer's row is left alone"
    http.post("/customers/10044/take-away", data={"row": str(row)})
    assert served(app, "10044") == []


def test_how_a_rep_is_reached_and_who_has_left(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    http.post("/reps/R7", data={"email": "new@office.example", "phone": "", "mobile": "+49 170 1"})
    agent = app.staff.agent("R7")
    assert agent is not None
    assert (agent.email, agent.phone, agent.mobile, agent.active) == ("new@office.example", "", "+49 170 1", False)
    assert "R7" not in http.get("/customers/10031").text, "nobody is given to who has left"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/customers/10017/rep", {"rep": "R9", "from": "tomorrow"}),
        ("/customers/10017/rep", {"rep": "R1"}),
        ("/customers/10017/add", {"rep": ""}),
        ("/customers/10017/take-away", {"row": "x"}),
    ],
)
def test_what_makes_no_sense_changes_nothing(erp: tuple[ErpApp, httpx.Client], path: str, data: dict[str, str]) -> None:
    app, http = erp
    assert http.post(path, data=data).status_code == 422
    assert served(app, "10017") == [("R7", None, None)]


def test_another_sites_page_changes_nothing(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    answer = http.post("/customers/10017/rep", data={"rep": "R9"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert served(app, "10017") == [("R7", None, None)]


def test_the_dial_is_turned_on_its_page_and_by_programs(erp: tuple[ErpApp, httpx.Client]) -> None:
    app, http = erp
    assert "session lost" in http.get("/faults").text
    http.post("/sandbox/faults", data={"error_500": "0.5", "seed": "7"})
    assert app.faults.rates == {"error_500": 0.5}
    assert http.post("/sandbox/faults", json={"nothing": 1}).status_code == 422
    http.delete("/sandbox/faults")
    assert app.faults.rates == {}
    assert http.get("/customers/nobody").status_code == 404


# -- the shop ----------------------------------------------------------------------------------------------------------


def test_a_shop_without_orderwire_says_so_and_shows_no_other_customer() -> None:
    app = portal_app(orderwire="http://127.0.0.1:9", secret="s" * 40)
    with running(app) as address, client(address) as http:
        assert "Hafenkontor" in http.get("/").text
        page = http.get("/account/10017")
        assert "Orderwire does not answer." in page.text
        assert "form-action 'self' http://127.0.0.1:9" in page.headers["content-security-policy"]
        assert http.get("/account/99999").status_code == 404


def test_a_token_is_used_again_for_a_while_and_is_one_customers() -> None:
    shop = portal_app(secret="s" * 40).state.shop
    assert shop.token("1") == shop.token("1")
    assert shop.token("1") != shop.token("2")
    assert token("shop", "1", "s" * 40, NOW).count(".") == 2


def test_the_signature_of_an_answer_is_checked() -> None:
    right = "sha256=" + hmac.new(b"key", b"{}", "sha256").hexdigest()
    assert is_signed(b"{}", right, "key")
    assert not is_signed(b"{ }", right, "key")
    assert not is_signed(b"{}", right, "other")
