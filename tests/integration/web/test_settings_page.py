"""The settings page: what is in force and where it came from, never a secret; and the test message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from connectors.roles import Message
from core.errors import RetryLater
from core.rights import Role
from core.values import InForce
from ledger import migrate
from pipelines import wiring
from tests.desk import logged_in
from tests.world import World

ORIGIN = "http://127.0.0.1"
SECRET = "this-very-secret-must-not-be-seen"
FILE = """
[ledger]
url = "sqlite:///orderwire.db"
[worker]
threads = 3
[alerts]
to = ["ops"]
heartbeat = "https://beat.example/ping/0b1c-key"
[[connection]]
name = "form"
connector = "orderform"
webhook_secrets = ["env:ORDERWIRE_TEST_SEEN"]
[[connection]]
name = "ops"
connector = "webhook"
url = "https://hooks.example/services/T0/B0/key"
secret = "env:ORDERWIRE_TEST_SEEN"
[[connection]]
name = "crm"
connector = "vtiger"
url = "https://crm.example/path"
username = "apiuser"
access_key = "env:ORDERWIRE_TEST_SEEN"
[[flow]]
name = "orders"
source = "form"
target = "crm"
"""


class Told:
    """A notifier that keeps what it was told, or refuses it."""

    def __init__(self, name: str, *, works: bool = True) -> None:
        self.name = name
        self.works = works
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        if not self.works:
            raise RetryLater("It does not answer. What to do: wait.", seconds=1)
        self.messages.append(message)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with World(database_url, "http://127.0.0.1:9") as made:
        yield made


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORDERWIRE_TEST_SEEN", SECRET)
    monkeypatch.setenv("ORDERWIRE_WORKER__TICK", "2")
    made = tmp_path / "orderwire.toml"
    made.write_text(FILE, encoding="utf-8")
    return made


def browser(world: World, role: Role = Role.OPERATOR, file: Path | None = None) -> TestClient:
    app = world.app(lambda: None)
    if file is not None:
        app.state.orderwire.in_force = InForce.of(file, wiring.kinds())
        app.state.orderwire.context.connections = {
            one.name: one for one in wiring.load(file, with_secrets=False).connections
        }
    headers = {"accept": "text/html", "origin": ORIGIN}
    client = TestClient(app, base_url=ORIGIN, headers=headers, follow_redirects=False)
    client.cookies.update(logged_in(world, role))
    return client


def test_every_value_with_where_it_came_from_and_no_secret(world: World, file: Path) -> None:
    text = browser(world, file=file).get("/settings").text
    for shown in (
        "env:ORDERWIRE_TEST_SEEN",
        "env:ORDERWIRE_WORKER__TICK",
        "file:5",
        "connection.crm",
        "flow.orders",
        "apiuser",
    ):
        assert shown in text, shown
    assert SECRET not in text
    assert "https://hooks.example/…" in text, "an address of a notifier may be its key"
    assert "T0/B0" not in text
    assert "0b1c-key" not in text
    assert "https://crm.example/path" in text
    assert str(file.parent) not in text


def test_a_file_that_has_changed_asks_for_a_restart(world: World, file: Path) -> None:
    desk = browser(world, file=file)
    assert "has changed since this process began" not in desk.get("/settings").text
    file.write_text(FILE.replace("threads = 3", "threads = 4"), encoding="utf-8")
    text = desk.get("/settings").text
    assert "orderwire.toml has changed since this process began" in text
    assert ">3<" in text, "what is in force stays shown"
    file.unlink()
    assert "has changed since this process began" in desk.get("/settings").text


def test_what_it_runs_on(world: World) -> None:
    text = browser(world).get("/settings").text
    assert ("SQLite 3." if world.ledger.db.is_sqlite else "PostgreSQL 1") in text
    assert migrate.head() in text
    assert "up to date" in text
    assert "Apache License 2.0" in text
    assert "started without a configuration file" in text


@pytest.mark.parametrize(
    ("role", "sees", "links"), [("viewer", False, False), ("operator", True, False), ("admin", True, True)]
)
def test_operators_see_it_and_administrators_go_on_from_it(world: World, role: str, sees: bool, links: bool) -> None:
    desk = browser(world, Role(role))
    answer = desk.get("/settings")
    assert answer.status_code == (200 if sees else 403)
    assert ('href="/settings"' in desk.get("/").text) == sees
    if sees:
        assert ('href="/settings/users">People, roles' in answer.text) == links


def test_a_test_message_reaches_everybody_and_stands_in_the_audit(world: World) -> None:
    ops, mail = Told("ops"), Told("mail", works=False)
    world.context.notifiers = {"ops": ops, "mail": mail}  # type: ignore[dict-item]
    desk = browser(world)
    answer = desk.post("/settings/alerts/test")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings#alerts")
    (message,) = ops.messages
    assert "test" in message.subject
    assert "operator" in message.text
    assert "mail did not take the test message" in desk.get("/settings").text
    (noted,) = [one for one in world.ledger.audit.list() if one.action == "alerts.test"]
    assert (noted.actor, dict(noted.facts)) == ("operator", {"ops": "sent", "mail": "failed"})
    assert not world.ledger.alerts.untold(), "it is no alert"


def test_two_test_messages_are_two_and_nobody_to_tell_is_said(world: World) -> None:
    ops = Told("ops")
    world.context.notifiers = {"ops": ops}  # type: ignore[dict-item]
    desk = browser(world)
    assert "Sent by ops" in desk.get(desk.post("/settings/alerts/test").headers["location"]).text
    desk.post("/settings/alerts/test")
    assert len({message.id for message in ops.messages}) == 2, (
        "a receiver that knows the first must not drop the second"
    )
    world.context.notifiers = {}
    assert desk.post("/settings/alerts/test").status_code == 409
    assert browser(world, Role.VIEWER).post("/settings/alerts/test").status_code == 403
