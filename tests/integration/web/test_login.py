"""Coming in and going out: the first link, passwords, sessions, limits, and that nobody learns who exists."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from core import passwords
from core.clock import Clock
from core.rights import Role
from ledger import Ledger
from ledger import tables as t
from ledger.sessions import ABSOLUTE, IDLE
from tests.people import BASE, BROWSER, logged_in, nobody, somebody
from web.access import PLAIN_COOKIE, SECURE_COOKIE
from web.gate import PER_ADDRESS, PER_NAME

GOOD = "tinker lamp orchid frost"
OTHER = "violet anvil sparrow dusk"


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return nobody(app)


def add(ledger: Ledger, name: str = "Anna", role: Role = Role.ADMIN, email: str = "") -> int:
    person = ledger.people.add(name, role, email=email, by="test")
    ledger.people.set_password(person.id, passwords.hashed(GOOD), by="test")
    return person.id


def log_in(client: TestClient, name: str = "Anna", password: str = GOOD, **more: str) -> Any:
    return client.post("/login", data={"name": name, "password": password, **more})


def actions(ledger: Ledger) -> list[str]:
    return [note.action for note in reversed(ledger.audit.list())]


# -- the first user ----------------------------------------------------------------------------------------------------


def begin(client: TestClient, token: str, **fields: str) -> Any:
    typed = {"name": "Anna", "email": "", "password": GOOD, "again": GOOD, **fields}
    return client.post(f"/welcome/{token}", data=typed)


def test_the_first_link_makes_an_administrator_once(client: TestClient, ledger: Ledger) -> None:
    token = ledger.people.first_link()
    assert client.get(f"/welcome/{token}").status_code == 200
    assert client.get(f"/welcome/{token}").status_code == 200, "looking does not use it up"
    answer = begin(client, token, email="Anna@Example.com")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/settings/users").status_code == 200
    [person] = ledger.people.list()
    assert (person.name, person.email, person.role) == ("Anna", "anna@example.com", Role.ADMIN)
    assert begin(client, token, name="Bert").status_code == 410
    assert client.get(f"/welcome/{token}").status_code == 410
    assert ledger.people.first_link() == ""
    assert actions(ledger) == ["link.first", "person.added", "link.used", "login"]


def test_only_the_first_of_several_first_links_counts(client: TestClient, ledger: Ledger) -> None:
    first, second = ledger.people.first_link(), ledger.people.first_link()
    assert begin(client, first).status_code == 303
    assert begin(client, second, name="Bert").status_code == 410
    assert len(ledger.people.list()) == 1


def test_a_link_lasts_a_day(client: TestClient, ledger: Ledger) -> None:
    token = ledger.people.first_link()
    link = ledger.people.look(token)
    assert link is not None
    assert timedelta(hours=23, minutes=59) < link.expires_at - datetime.now(UTC) <= timedelta(hours=24, seconds=5)
    ledger.db.execute(sa.update(t.one_time_link).values(expires_at=ledger.db.micros() - 1))
    assert begin(client, token).status_code == 410


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "short", "again": "short"}, "fewer than 12"),
        ({"password": GOOD, "again": OTHER}, "differ"),
        ({"password": "password12345", "again": "password12345"}, "guessed first"),
        ({"name": "machine"}, "cannot be a name"),
        ({"name": "  "}, "cannot be a name"),
        ({"email": "nonsense"}, "no e-mail"),
    ],
)
def test_what_is_refused_leaves_the_link_good(
    client: TestClient, ledger: Ledger, fields: dict[str, str], says: str
) -> None:
    token = ledger.people.first_link()
    answer = begin(client, token, **fields)
    assert answer.status_code == 400
    assert says in answer.text
    assert GOOD not in answer.text
    assert begin(client, token).status_code == 303


def test_an_invited_person_chooses_a_password(app: FastAPI, ledger: Ledger) -> None:
    admin = logged_in(app)
    answer = admin.post("/settings/users", data={"name": "Bert", "email": "bert@example.com", "role": "operator"})
    assert answer.status_code == 200
    [link] = re.findall(rf"{BASE}/welcome/([\w-]+)", answer.text)
    assert link not in admin.get("/settings/users").text
    guest = nobody(app)
    assert log_in(guest, "Bert", "").status_code == 401, "nobody logs in without a password"
    assert begin(guest, link, name="Somebody else").status_code == 303
    bert = ledger.people.named("bert@example.com")
    assert bert is not None
    assert (bert.name, bert.role) == ("Bert", Role.OPERATOR)
    assert log_in(nobody(app), "BERT@example.com").status_code == 303


def test_a_new_link_ends_the_one_before_and_a_reset_ends_sessions(app: FastAPI, ledger: Ledger) -> None:
    id = add(ledger, "Bert", Role.VIEWER)
    bert = nobody(app)
    log_in(bert, "Bert")
    assert bert.get("/audit").status_code == 200
    first, second = (ledger.people.link(id, by="test") for _ in range(2))
    assert ledger.people.look(first) is None
    assert begin(nobody(app), second, password=OTHER, again=OTHER).status_code == 303
    assert bert.get("/audit").headers["location"] == "/login?next=%2Faudit"
    assert log_in(nobody(app), "Bert").status_code == 401
    assert log_in(nobody(app), "Bert", OTHER).status_code == 303


# -- in and out --------------------------------------------------------------------------------------------------------


def test_in_where_one_wanted_to_go_and_out_again(client: TestClient, ledger: Ledger) -> None:
    add(ledger)
    wanted = client.get("/audit?actor=a%20b").headers["location"]
    assert wanted == "/login?next=%2Faudit%3Factor%3Da%2520b"
    assert "/audit?actor=a%20b" in client.get(wanted).text
    answer = log_in(client, next="/audit?actor=a%20b")
    assert answer.headers["location"] == "/audit?actor=a%20b"
    assert client.get("/login?next=/audit").headers["location"] == "/audit", "who is in needs no form"
    assert client.get("/audit").headers["cache-control"] == "no-store"
    kept = client.cookies.get(SECURE_COOKIE)
    assert client.post("/logout").headers["location"] == "/login"
    client.cookies.set(SECURE_COOKIE, kept or "")
    assert client.get("/audit").status_code == 303, "over in the ledger, not only in the browser"
    assert actions(ledger)[-2:] == ["login", "logout"]


@pytest.mark.parametrize("next", ["//evil.test", "https://evil.test", "/\\evil.test", "\\\\evil", "/\t/evil.test", "é"])
def test_a_login_never_leads_elsewhere(client: TestClient, ledger: Ledger, next: str) -> None:
    add(ledger)
    assert log_in(client, next=next).headers["location"] == "/"


def test_the_cookie_is_kept_from_scripts_and_other_sites(client: TestClient, ledger: Ledger) -> None:
    add(ledger)
    [cookie] = log_in(client).headers.get_list("set-cookie")
    name, *rest = cookie.split("; ")
    assert name.startswith(f"{SECURE_COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(rest)
    assert not any(part.startswith("Domain") for part in rest)


def test_plain_http_is_for_this_machine_alone(app: FastAPI, ledger: Ledger) -> None:
    add(ledger)
    here = TestClient(app, base_url="http://127.0.0.1:8700", headers=BROWSER, follow_redirects=False)
    [cookie] = log_in(here).headers.get_list("set-cookie")
    assert cookie.startswith(f"{PLAIN_COOKIE}=")
    assert here.get("/audit").status_code == 200
    there = TestClient(app, base_url="http://orderwire.test", headers=BROWSER, follow_redirects=False)
    answer = log_in(there)
    assert answer.status_code == 403
    assert "https" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_cookie_of_plain_http_does_not_count_over_https(app: FastAPI, ledger: Ledger) -> None:
    client = nobody(app)
    client.cookies.set(PLAIN_COOKIE, ledger.sessions.open(somebody(ledger)))
    assert client.get("/audit").status_code == 303


def test_every_login_has_a_secret_of_its_own(client: TestClient, ledger: Ledger) -> None:
    add(ledger)
    secrets = []
    for _ in range(2):
        log_in(client)
        secrets.append(client.cookies.get(SECURE_COOKIE))
    assert len(set(secrets)) == 2
    assert len(ledger.db.rows(sa.select(t.session))) == 1, "the session before has ended"
    assert secrets[1] not in {row.hash for row in ledger.db.rows(sa.select(t.session))}, "only its hash is kept"


class Later(Clock):
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def later(ledger: Ledger) -> Later:
    clock = Later()
    ledger.db.clock = clock
    return clock


def test_a_session_ends_when_nothing_is_asked_for_half_a_day(app: FastAPI, ledger: Ledger, later: Later) -> None:
    client = logged_in(app)
    later.pass_by(IDLE - 60)
    assert client.get("/audit").status_code == 200
    later.pass_by(IDLE - 60)
    assert client.get("/audit").status_code == 200, "asking keeps it alive"
    later.pass_by(IDLE + 1)
    assert client.get("/audit").status_code == 303


def test_a_page_that_refreshes_itself_keeps_no_session_alive(app: FastAPI, ledger: Ledger, later: Later) -> None:
    client = logged_in(app)
    later.pass_by(IDLE - 60)
    assert client.get("/audit", headers={"hx-request": "true"}).status_code == 200
    later.pass_by(120)
    refused = client.get("/audit", headers={"hx-request": "true", "hx-current-url": f"{BASE}/audit?actor=x"})
    assert refused.status_code == 401
    assert refused.headers["hx-redirect"] == "/login?next=%2Faudit%3Factor%3Dx"


def test_a_session_ends_after_a_week_in_any_case(app: FastAPI, ledger: Ledger, later: Later) -> None:
    client = logged_in(app)
    for _ in range(int(ABSOLUTE / (IDLE - 60))):
        later.pass_by(IDLE - 60)
        assert client.get("/audit").status_code == 200
    later.pass_by(IDLE - 60)
    assert client.get("/audit").status_code == 303


def test_disabling_somebody_shuts_them_out_at_once(app: FastAPI, ledger: Ledger) -> None:
    id = add(ledger, "Bert", Role.VIEWER)
    bert, admin = nobody(app), logged_in(app)
    log_in(bert, "Bert")
    assert admin.post(f"/settings/users/{id}/disable").status_code == 303
    assert bert.get("/audit").status_code == 303
    assert log_in(bert, "Bert").status_code == 401
    assert admin.post(f"/settings/users/{id}/enable").status_code == 303
    assert log_in(bert, "Bert").status_code == 303


def test_changing_the_password_ends_every_other_session(app: FastAPI, ledger: Ledger) -> None:
    add(ledger)
    here, elsewhere = nobody(app), nobody(app)
    log_in(here), log_in(elsewhere)
    typed = {"present": GOOD, "password": OTHER, "again": OTHER}
    wrong = here.post("/settings/password", data={**typed, "present": "not at all"})
    assert (wrong.status_code, "present password" in wrong.text) == (400, True)
    assert here.post("/settings/password", data=typed).status_code == 303
    assert here.get("/audit").status_code == 200
    assert elsewhere.get("/audit").status_code == 303
    assert log_in(elsewhere).status_code == 401
    assert log_in(elsewhere, password=OTHER).status_code == 303


def test_an_older_hash_is_renewed_at_the_next_login(client: TestClient, ledger: Ledger) -> None:
    from argon2 import PasswordHasher

    id = add(ledger)
    ledger.people.set_password(id, PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD), by="test")
    assert log_in(client).status_code == 303
    assert not passwords.outdated(ledger.people.kept_password(id))
    assert log_in(client).status_code == 303


# -- guessing ----------------------------------------------------------------------------------------------------------


def test_nobody_learns_who_exists(app: FastAPI, client: TestClient, ledger: Ledger) -> None:
    add(ledger)
    gone = add(ledger, "Gone", Role.VIEWER)
    ledger.people.set_disabled(gone, True, by="test")
    ledger.people.add("Fresh", Role.VIEWER, by="test")
    tries = [
        ("Anna", "wrong password here"),
        ("Nobody", GOOD),
        ("Gone", GOOD),
        ("Fresh", GOOD),
        ("", GOOD),
        ("x@y", GOOD),
    ]
    answers = [log_in(client, name, password) for name, password in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    failed = [(note.actor, note.subject, note.facts["why"]) for note in ledger.audit.list(action="login.failed")]
    assert sorted(failed) == sorted(
        [
            ("nobody", "Anna", "password"),
            ("nobody", "", "unknown"),
            ("nobody", "Gone", "disabled"),
            ("nobody", "Fresh", "password"),
            ("nobody", "", "unknown"),
            ("nobody", "", "unknown"),
        ]
    ), "a name that was typed and is unknown is not kept: it may be a password"


def test_a_wrong_name_takes_as_long_as_a_wrong_password(app: FastAPI, ledger: Ledger) -> None:
    add(ledger)
    gate = app.state.orderwire.gate
    gate._try("warm", "up")
    took: dict[str, list[float]] = {"Anna": [], "Nobody": []}
    for _ in range(7):
        for name, times in took.items():
            began = time.process_time()
            assert gate._try(name, "wrong password here").person is None
            times.append(time.process_time() - began)
    known, unknown = min(took["Anna"]), min(took["Nobody"])  # what it costs, whatever else the machine does
    assert 0.7 < known / unknown < 1.4


def test_a_name_is_not_tried_for_ever(app: FastAPI, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ledger)
    monkeypatch.setattr("core.passwords.matches", lambda password, kept: password == GOOD)
    per_name = min(limit.amount for limit in PER_NAME)
    for name in ("Anna", "Nobody"):
        statuses = [
            TestClient(app, base_url=BASE, headers=BROWSER, client=(f"192.0.2.{n}", 1)).post(
                "/login", data={"name": name, "password": "wrong"}
            )
            for n in range(per_name + 1)
        ]
        assert [one.status_code for one in statuses] == [401] * per_name + [429]
    refused = log_in(nobody(app), " ANNA ")
    assert refused.status_code == 429, "not with the right password either, however it is written"
    assert "wait" in refused.text


def test_an_address_does_not_try_for_ever(app: FastAPI, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.passwords.matches", lambda password, kept: False)
    most = min(limit.amount for limit in PER_ADDRESS)
    found = [log_in(nobody(app), f"name {n}", "wrong").status_code for n in range(most + 1)]
    assert found == [401] * most + [429]
    elsewhere = TestClient(app, base_url=BASE, headers=BROWSER, client=("2001:db8::1", 1), follow_redirects=False)
    assert log_in(elsewhere, "somebody", "wrong").status_code == 401


def test_too_many_passwords_at_once_are_sent_away(
    app: FastAPI, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.gate.WAITING", 0)
    assert log_in(nobody(app)).status_code == 429


def test_names_mails_and_passwords_are_in_no_log(
    client: TestClient, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as ours:
        begin(client, ledger.people.first_link(), name="Zenobia", email="zenobia@example.com")
        log_in(client, "Zenobia")
        log_in(client, "Zenobia", "Wrong-wrong-wrong")
        log_in(client, "Xanthippe", GOOD)
        client.post("/logout")
    said = json.dumps(ours) + caplog.text
    assert "login failed" in said
    for word in ("zenobia", "xanthippe", "wrong-wrong", "tinker"):
        assert word not in said.casefold()


def test_hashing_keeps_no_delivery_waiting(app: FastAPI, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """While passwords are checked, the event loop and the threads of pages are free."""
    import anyio
    import httpx

    answered = threading.Event()
    in_time: list[bool] = []

    def slow(_password: str, _kept: str) -> bool:
        in_time.append(answered.wait(20))
        return False

    monkeypatch.setattr("core.passwords.matches", slow)

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport, base_url=BASE, headers=BROWSER) as browser,
            anyio.create_task_group() as group,
        ):
            for n in range(6):
                group.start_soon(lambda n=n: browser.post("/login", data={"name": f"n{n}", "password": "x" * 20}))  # type: ignore[misc]
            await anyio.sleep(0.2)
            for _ in range(5):
                assert (await browser.get("/livez")).status_code == 200
            answered.set()

    anyio.run(run)
    assert in_time
    assert all(in_time), "nobody was answered while passwords were checked"


def test_the_kept_hash_is_argon2id(ledger: Ledger) -> None:
    kept = ledger.people.kept_password(add(ledger))
    assert kept.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
