"""The card over HTTP: who sees which, what an answer is signed with, who may ask from a browser, and how often."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Route

from core.clock import Clock
from core.settings import FlowSettings, PortalSettings, RepFlowSettings
from ledger import Ledger
from ledger import tables as t
from ledger.parties import Entry
from ledger.reprows import AssignmentRow
from mapping.cards import Card, CardRep
from pipelines.context import Context
from pipelines.metrics import Metrics
from tests import hostile
from tests.portal import ANNA, ORIGIN, SECRET, a_card, bearer, keep, portal_settings, token
from web.app import create_app
from web.portal.app import FAILURES, create_portal
from web.state import WebState


def over(ledger: Ledger, *portals: PortalSettings, **more: Any) -> FastAPI:
    flow = FlowSettings(name="orders", source="shop", target="crm")
    shops = {one.name: one for one in portals}
    context = Context(ledger, {}, {}, {"orders": flow}, {}, clock=Clock(), portals=shops, **more)
    return create_app(WebState(context, Metrics(), lambda: None))


@pytest.fixture
def client(ledger: Ledger) -> TestClient:
    for number in ("10017", "10018"):
        keep(ledger, a_card(number, ANNA.model_copy(update={"name": f"Anna of {number}"})))
    return TestClient(over(ledger, portal_settings()), raise_server_exceptions=False)


def card(client: TestClient, subject: str = "10017", **over: Any) -> dict[str, Any]:
    answer = client.get("/portal/card", headers=bearer(subject, **over))
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


def test_each_sees_their_own(client: TestClient) -> None:
    for number in ("10017", "10018"):
        seen = card(client, number)
        assert seen["customer"] == number
        assert [one["name"] for one in seen["reps"]] == [f"Anna of {number}"]
        assert seen["reps"][0]["mailto"] == f"mailto:anna@us.example?subject=Customer%20{number}"
        assert seen["reps"][0]["tel"] == "tel:+493012345"
        assert seen["reps"][0]["speaks"] == ["German", "English"]


@pytest.mark.parametrize(
    "broken", ["{", '{"customer": 1, "reps": "Anna"}', "[]", '{"customer": "10017", "old": "shape"}']
)
def test_a_kept_card_that_cannot_be_read_shows_the_team(ledger: Ledger, broken: str) -> None:
    keep(ledger, a_card())
    ledger.db.execute(sa.update(t.rep_card).values(card=broken))
    client = TestClient(over(ledger, portal_settings()), raise_server_exceptions=False)
    with structlog.testing.capture_logs() as lines:
        seen = card(client)
    assert (seen["customer"], seen["team"]) == ("10017", True)
    assert [line["log_level"] for line in lines if "card" in line["event"]] == ["error"]
    assert "Anna" not in str(lines)


def test_nothing_of_the_house_is_in_it(client: TestClient) -> None:
    text = client.get("/portal/card", headers=bearer()).text
    assert "R7" not in text
    assert "Office 10017" not in text


BAD: dict[str, dict[str, Any]] = {
    "another secret": {"secret": "x" * 40},
    "another shop": {"iss": "other"},
    "another audience": {"aud": "another"},
    "expired": {"now": datetime.now(UTC) - timedelta(seconds=301)},
    "too long": {"exp": 4_000_000_000},
    "no id": {"jti": None},
}


@pytest.mark.parametrize("path", ["/portal/card", "/portal/card.html", "/portal/request"])
@pytest.mark.parametrize("how", BAD, ids=str)
def test_a_token_that_is_not_good(client: TestClient, path: str, how: str) -> None:
    method = "POST" if path.endswith("request") else "GET"
    answer = client.request(method, path, headers=bearer(**BAD[how]))
    assert answer.status_code == 401
    assert "What to do: " in answer.json()["error"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Anna" not in answer.text


def test_no_token(client: TestClient) -> None:
    for headers in ({}, {"Authorization": "Basic eA=="}, {"Authorization": "Bearer"}, {"Authorization": "Bearer ü"}):
        assert client.get("/portal/card", headers={k: v.encode() for k, v in headers.items()}).status_code == 401


def test_who_is_unknown_is_shown_what_somebody_without_reps_is(client: TestClient, ledger: Ledger) -> None:
    keep(ledger, Card(customer="20000", name="Known Ltd", reps=(), team=True))
    known, unknown = (client.get("/portal/card", headers=bearer(number)) for number in ("20000", "29999"))
    assert known.text.replace("20000", "N") == unknown.text.replace("29999", "N")
    assert [one["name"] for one in unknown.json()["reps"]] == ["Customer service"]
    assert {*known.headers} == {*unknown.headers}


def test_the_teams_card_is_the_directorys(client: TestClient, ledger: Ledger) -> None:
    ledger.reps.put_rep("erp", "T1", {"name": "Our own team", "email": "team@us.example"})
    ledger.reps.add_assignments("erp", [AssignmentRow(subject="team", subject_id="", rep="T1", role="team")])
    keep(ledger, Card(customer="20000", reps=(), team=True))
    for number in ("20000", "29999"):
        assert [one["name"] for one in card(client, number)["reps"]] == ["Our own team"]


def test_the_answer_is_signed_as_the_token_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = "the-secret-before-this-one-0123456789"
    monkeypatch.setenv("ORDERWIRE_TEST_BEFORE", before)
    both = portal_settings(secrets=["env:ORDERWIRE_TEST_PORTAL", "env:ORDERWIRE_TEST_BEFORE"])
    client = TestClient(over(ledger, both))
    for secret in (SECRET, before):
        answer = client.get("/portal/card", headers=bearer(secret=secret))
        wanted = hmac.new(secret.encode(), answer.content, hashlib.sha256).hexdigest()
        assert answer.headers["x-orderwire-signature"] == f"sha256={wanted}"
        assert answer.content.isascii()


def test_it_is_kept_by_the_browser_alone_and_not_for_long(client: TestClient, ledger: Ledger) -> None:
    first = client.get("/portal/card", headers=bearer())
    assert first.headers["cache-control"] == "private, max-age=60"
    assert "Authorization" in first.headers["vary"]
    tag = first.headers["etag"]
    again = client.get("/portal/card", headers={**bearer(jti="another-token-x"), "If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/portal/card", headers={**bearer("10018"), "If-None-Match": tag}).status_code == 200
    keep(ledger, a_card("10017"))
    assert client.get("/portal/card", headers={**bearer(), "If-None-Match": tag}).status_code == 200


def test_no_cookie_is_read_or_set(client: TestClient) -> None:
    for path in ("/portal/card", "/portal/card.html", "/portal/rep-card.js", "/portal/nothing"):
        answer = client.get(path, headers={**bearer(), "Cookie": "orderwire=x"})
        assert "set-cookie" not in answer.headers


# -- from a browser ----------------------------------------------------------------------------------------------------


def allowed(answer: Any) -> str | None:
    found: str | None = answer.headers.get("access-control-allow-origin")
    return found


def test_only_the_shops_pages_may_ask(client: TestClient) -> None:
    for origin, wanted in ((ORIGIN, ORIGIN), ("https://evil.example", None), ("null", None), (f"{ORIGIN}.evil", None)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert allowed(client.options("/portal/card", headers=headers)) == wanted
        assert allowed(client.get("/portal/card", headers={**bearer(), "Origin": origin})) == wanted
        assert allowed(client.get("/portal/card", headers={"Origin": origin})) == wanted
    asked = client.options("/portal/request", headers={"Origin": ORIGIN})
    assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (204, "authorization, content-type")
    assert "access-control-allow-credentials" not in asked.headers
    assert "Origin" in asked.headers["vary"]


def test_a_shops_page_may_not_ask_with_another_shops_token(ledger: Ledger) -> None:
    other = portal_settings(name="other", origins=["https://other.example"])
    client = TestClient(over(ledger, portal_settings(), other))
    assert allowed(client.get("/portal/card", headers={**bearer(), "Origin": "https://other.example"})) is None
    assert allowed(client.get("/portal/card", headers={**bearer(iss="other"), "Origin": "https://other.example"}))


def test_what_was_not_modified_may_be_read_too(client: TestClient) -> None:
    headers = {**bearer(), "Origin": ORIGIN}
    tag = client.get("/portal/card", headers=headers).headers["etag"]
    again = client.get("/portal/card", headers={**headers, "If-None-Match": tag})
    assert (again.status_code, allowed(again)) == (304, ORIGIN)


# -- how often ---------------------------------------------------------------------------------------------------------


def test_a_customer_asks_only_so_often_and_others_go_on(ledger: Ledger) -> None:
    client = TestClient(over(ledger, portal_settings(per_minute=3)))
    codes = [client.get("/portal/card", headers=bearer()).status_code for _ in range(7)]
    assert codes[:3] == [200] * 3
    assert 429 in codes
    told = next(client.get("/portal/card", headers=bearer()) for _ in range(1))
    if told.status_code == 429:  # the minute may have ended just now
        assert int(told.headers["retry-after"]) <= 60
    assert client.get("/portal/card", headers=bearer("10018")).status_code == 200


def test_whoever_guesses_is_slowed_down(client: TestClient) -> None:
    codes = [client.get("/portal/card", headers=bearer(secret="y" * 40)).status_code for _ in range(2 * FAILURES + 2)]
    assert codes[:FAILURES] == [401] * FAILURES
    assert 429 in codes
    # Behind one address (a proxy, a host of two shops) stand others, too.
    assert client.get("/portal/card", headers=bearer()).status_code == 200


# -- the fragment ------------------------------------------------------------------------------------------------------


def test_the_fragment(client: TestClient, ledger: Ledger) -> None:
    keep(ledger, a_card())
    answer = client.get("/portal/card.html", headers=bearer())
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.text
    assert text.lstrip().startswith("<section")
    assert "<script" not in text
    assert "style=" not in text
    assert 'href="tel:+493012345"' in text
    assert 'aria-label="Call Anna Kern: +49 (0)30 123-45"' in text
    assert "Stands in for Cora Lind, who is away until December 1, 2026." in text
    assert "Partner & Söhne".replace("&", "&amp;") in text
    assert '<form part="form" method="post" action="http://testserver/portal/request">' in text


def test_a_link_leads_to_a_page(client: TestClient) -> None:
    answer = client.get("/portal/card.html", params={"token": token()})
    assert answer.text.lstrip().startswith("<!doctype html>")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_form_leads_where_browsers_reach_us(ledger: Ledger) -> None:
    client = TestClient(over(ledger, portal_settings(public_url="https://ow.example/sub/")))
    assert 'action="https://ow.example/sub/portal/request"' in client.get("/portal/card.html", headers=bearer()).text


@pytest.mark.parametrize("kind", hostile.KINDS, ids=str)
def test_hostile_names_are_text(client: TestClient, ledger: Ledger, kind: str) -> None:
    at = list(hostile.KINDS).index(kind)
    for text in hostile.texts(3 * len(hostile.KINDS))[at :: len(hostile.KINDS)]:
        plain = text.encode("utf-8", "replace").decode()
        facts = dict.fromkeys(
            ("name", "title", "email", "phone", "mobile", "photo", "firm", "stands_in_for"), plain[:200]
        )
        rep = CardRep.model_validate({**facts, "partner": True, "roles": (plain[:200],), "away_until": "2026-12-01"})
        keep(ledger, a_card("10017", rep))
        answer = client.get("/portal/card.html", headers=bearer())
        assert answer.status_code == 200
        tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!?]+)", answer.text))
        assert tags <= {
            "section", "h", "ul", "li", "p", "bdi", "a", "img", "details", "summary", "form", "input", "label", "textarea", "button",
        }  # fmt: skip
        assert not re.search(
            r"""\son\w+\s*=\s*["']?window""", re.sub(r'"[^"]*"', '""', re.sub(r">[^<]*<", "><", answer.text))
        )
        assert not re.search(r"""(href|src)="(?!tel:|mailto:|https://)""", answer.text)
        assert json.loads(client.get("/portal/card", headers=bearer()).content)["reps"][0]["name"]


# -- users of a store --------------------------------------------------------------------------------------------------


def test_a_stores_user_is_who_orders_say(client: TestClient, ledger: Ledger) -> None:
    ledger.links.adopt("crm", "customer", ["store/shop/customer/55"], "11x1", refs={"account": "11x1"})
    ledger.parties.replace("crm", ["11x1"], [Entry("erp_number", "10017", "account", "11x1", "")])
    seen = card(client, "shop/user/55")
    assert (seen["customer"], seen["reps"][0]["name"]) == ("10017", "Anna of 10017")


def test_a_user_of_whom_nothing_is_known_sees_the_team(client: TestClient) -> None:
    seen = card(client, "shop/user/56")
    assert (seen["customer"], seen["reps"][0]["name"], seen["requests"]) == ("", "Customer service", False)
    assert seen["reps"][0]["mailto"] == "mailto:service@us.example"


def test_a_user_of_two_customers_sees_neither(client: TestClient, ledger: Ledger) -> None:
    ledger.links.adopt("crm", "customer", ["store/shop/customer/55"], "11x1", refs={"account": "11x1"})
    numbers = [Entry("erp_number", number, "account", "11x1", "") for number in ("10017", "10018")]
    ledger.parties.replace("crm", ["11x1"], numbers)
    assert card(client, "shop/user/55")["customer"] == ""


def test_another_stores_user_is_no_user(client: TestClient, ledger: Ledger) -> None:
    ledger.links.adopt("crm", "customer", ["store/shop2/customer/55"], "11x1", refs={"account": "11x1"})
    ledger.parties.replace("crm", ["11x1"], [Entry("erp_number", "10017", "account", "11x1", "")])
    assert card(client, "shop2/user/55")["reps"][0]["name"] == "Customer service"


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_nothing_but_files_and_preflights_is_open(ledger: Ledger) -> None:
    context = Context(ledger, {}, {}, {}, {}, clock=Clock(), portals={"shop": portal_settings()})
    state = WebState(context, Metrics(), lambda: None)
    client = TestClient(create_app(state))
    open_ = set()
    for route in create_portal(state).routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            if client.request(method, f"/portal{route.path}").status_code != 401:
                open_.add(f"{method} {route.path}")
    assert open_ == {"GET /rep-card.js", "GET /rep-card.css", "OPTIONS /card", "OPTIONS /request"}


def test_without_a_portal_there_is_nothing(ledger: Ledger) -> None:
    client = TestClient(over(ledger))
    for path in ("/portal/card", "/portal/card.html", "/portal/rep-card.js", "/portal/rep-card.css"):
        assert client.get(path, headers=bearer()).status_code == 404


def test_the_component_is_small_and_sets_no_html(client: TestClient) -> None:
    answer = client.get("/portal/rep-card.js", headers={"Origin": ORIGIN})
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert allowed(answer) == ORIGIN
    assert len(answer.content) < 5000
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval|Function", answer.text)
    assert client.get("/portal/rep-card.js", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_token_stands_in_no_log(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        client.get("/portal/card.html", params={"token": token(secret="z" * 40)})
        client.get("/portal/card", headers=bearer(secret="z" * 40))
    assert lines
    assert "eyJ" not in str(lines)


def test_a_request_that_is_none(client: TestClient) -> None:
    assert client.post("/portal/request", headers=bearer(), content=b"x" * 20_000).status_code == 413
    assert (
        client.post(
            "/portal/request", headers={**bearer(), "Content-Type": "application/json"}, content=b"["
        ).status_code
        == 400
    )
    assert client.post("/portal/request", headers=bearer(), data={"kind": "dance"}).status_code == 400
    assert client.post("/portal/request", data={"kind": "call"}).status_code == 401


def test_who_has_no_number_asks_for_nothing(client: TestClient) -> None:
    assert client.post("/portal/request", headers=bearer("shop/user/56"), data={"kind": "call"}).status_code == 400


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(ledger: Ledger) -> TestClient:
    keep(ledger, a_card())
    app = over(ledger, portal_settings(), reps={"reps": RepFlowSettings(name="reps", source="erp", target="crm")})
    return TestClient(app, raise_server_exceptions=False)


def test_a_request_is_kept_once(asking: TestClient) -> None:
    first = asking.post("/portal/request", headers=bearer(), json={"kind": "call", "phone": "+49 30 777"})
    assert (first.status_code, first.json()["ok"], first.json()["status"]) == (202, True, "taken"), first.text
    again = asking.post("/portal/request", headers=bearer(), json={"kind": "call", "phone": "+49 30 777"})
    assert (again.status_code, again.json()["status"]) == (202, "again")


def test_a_form_without_javascript_is_answered_with_a_page(asking: TestClient) -> None:
    form = {"token": token(), "kind": "write", "text": "<b>Hello</b>"}
    answer = asking.post("/portal/request", data=form, headers={"Accept": "text/html"})
    assert answer.status_code == 202
    assert "<h1>Thank you</h1>" in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize("wrong", [{"text": "x" * 2001}, {"phone": "+49 30 " + "1" * 50}], ids=["text", "phone"])
def test_what_is_too_long_is_refused_and_not_cut(asking: TestClient, ledger: Ledger, wrong: dict[str, str]) -> None:
    answer = asking.post("/portal/request", headers=bearer(), json={"kind": "write", "text": "Hello", **wrong})
    assert (answer.status_code, answer.json()["status"]) == (422, "refused")
    assert ledger.requests.of_customer("erp", "10017") == []


def test_each_header_is_sent_once(asking: TestClient) -> None:
    answer = asking.post("/portal/request", headers=bearer(), data={"kind": "dance"})
    names = [name.lower() for name, _ in answer.headers.multi_items()]
    assert answer.status_code == 400
    assert len(names) == len(set(names))


def test_a_request_without_anything_in_it(asking: TestClient) -> None:
    answer = asking.post("/portal/request", headers=bearer(), json={"kind": "write", "text": " "})
    assert (answer.status_code, answer.json()["ok"]) == (422, False)


def test_no_more_requests_than_somebody_has(asking: TestClient) -> None:
    answers = [
        asking.post("/portal/request", headers=bearer(), json={"kind": "write", "text": f"Hello {n}"}) for n in range(9)
    ]
    assert 429 in {one.status_code for one in answers}
    assert answers[-1].json()["ok"] is False


def test_whoever_is_unknown_is_answered_as_a_customer_is(asking: TestClient) -> None:
    known, unknown = (
        asking.post("/portal/request", headers=bearer(number), json={"kind": "write", "text": "Hello"})
        for number in ("10017", "29999")
    )
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
