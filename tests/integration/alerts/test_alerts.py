"""Alerts: one open a cause, closed by itself, told once, not at night; the all-clear names what caught up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.roles import Finding, Message
from core.clock import Clock
from core.errors import RetryLater
from core.keys import Change, Key
from core.settings import AlertSettings
from ledger import Ledger
from ledger.inbox import Route
from ledger.jobs import Outcome
from pipelines import conditions, telling
from pipelines.context import Context
from pipelines.health import Health
from tests.integration.ledger import kit


class Hands(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


class Inbasket:
    """A notifier that keeps what it gets, or refuses."""

    name = "mail"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.away = False

    def send(self, message: Message) -> None:
        if self.away:
            raise RetryLater("away", seconds=60, scope="connection", connection="mail")
        self.messages.append(message)

    def check(self) -> list[Finding]:
        return []

    def close(self) -> None:
        """Nothing."""


class Office:
    """A ledger, a clock and a notifier."""

    def __init__(self, url: str) -> None:
        self.clock = Hands()
        self.ledger = Ledger.open(url, clock=self.clock)
        self.context = Context(self.ledger, {}, {}, {}, {}, clock=self.clock)
        self.mail = Inbasket()
        self.settings = AlertSettings()

    def order(self, number: str) -> None:
        key = Key("shop", "order", number)
        change = Change(key, self.clock.now(), b"{}", f"d{number}{self.clock.now()}", number=number)
        self.ledger.inbox.accept([change], lambda _key: [Route("orders", "crm")])

    def run(self, outcome: Outcome) -> int:
        count = 0
        while (claim := self.ledger.jobs.claim("test")) is not None:
            self.ledger.jobs.settle(claim, outcome)
            count += 1
        return count

    def look(self) -> None:
        conditions.reconcile(self.context)

    def tell(self) -> int:
        return telling.tell(self.ledger, {"mail": self.mail}, self.settings)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    made = Office(database_url)
    yield made
    made.ledger.close()


OUT = RetryLater(
    "crm cannot be reached. What to do: see whether it is up.", seconds=10, scope="connection", connection="crm"
)


def test_a_weekend_without_the_crm_is_one_alert_and_one_all_clear(office: Office) -> None:
    health = Health(office.ledger.states)
    for hour in range(60):
        office.order(f"{hour}")
        health.failed("crm", OUT)
        office.look()
        office.tell()
        office.clock.move(hours=1)
    assert [message.subject for message in office.mail.messages] == ["Orderwire: crm is out"]
    office.ledger.states.succeeded("crm")
    office.look()
    assert office.tell() == 0, "the backlog is not carried yet: no all-clear"
    assert office.run(Outcome("settled", amount="10.50", currency="EUR")) == 60
    office.look()
    office.tell()
    assert len(office.mail.messages) == 2
    assert office.mail.messages[1].subject == "Orderwire: Over: crm is out"
    assert "60 orders (630.00 EUR) have caught up" in office.mail.messages[1].text


def test_a_short_hiccup_bothers_nobody(office: Office) -> None:
    Health(office.ledger.states).failed("crm", OUT)
    office.look()
    office.clock.move(seconds=30)
    office.ledger.states.succeeded("crm")
    office.look()
    assert office.tell() == 0
    assert not office.ledger.alerts.recent()


def test_a_refused_login_is_told_at_once(office: Office) -> None:
    refused = RetryLater(
        "login refused. What to do: check the key.", seconds=60, scope="connection", connection="crm", cause="auth"
    )
    Health(office.ledger.states).failed("crm", refused)
    office.look()
    assert office.tell() == 1
    assert office.mail.messages[0].subject == "Orderwire: crm refuses our login"


def test_held_orders_are_one_alert_a_class_and_it_closes_when_they_are_mended(office: Office) -> None:
    for number in ("1", "2", "3"):
        office.order(number)
    office.run(Outcome("held", "The total is off. What to do: look.", error_class="money"))
    office.look()
    office.look()
    assert [(alert.cause, alert.title) for alert in office.ledger.alerts.opened()] == [
        ("held/orders/money", "3 orders are held (money)")
    ]
    assert office.tell() == 1
    for job in office.ledger.jobs.list(state="held"):
        office.ledger.jobs.retry(job.id)
    office.run(Outcome("settled"))
    office.look()
    assert office.ledger.alerts.opened() == []
    assert office.tell() == 1
    assert "Over: 3 orders are held (money)" in office.mail.messages[1].text


def test_at_night_only_what_is_critical(office: Office) -> None:
    office.settings = AlertSettings(quiet=(time(22), time(7)), zone="Europe/Berlin")
    office.clock.at = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    office.order("1")
    office.run(Outcome("held", "What to do: look.", error_class="money"))
    office.look()
    assert office.tell() == 0
    Health(office.ledger.states).failed("crm", OUT)
    office.clock.move(minutes=2)
    office.look()
    assert office.tell() == 1
    office.clock.at = datetime(2026, 11, 22, 6, 1, tzinfo=UTC)  # 07:01 in Berlin
    office.look()
    assert office.tell() == 1
    assert [message.subject for message in office.mail.messages] == [
        "Orderwire: crm is out",
        "Orderwire: 1 order is held (money)",
    ]


def test_what_could_not_be_sent_is_sent_later_once(office: Office) -> None:
    office.order("1")
    office.run(Outcome("held", "What to do: look.", error_class="money"))
    office.look()
    office.mail.away = True
    assert office.tell() == 0
    office.mail.away = False
    assert office.tell() == 1
    assert office.tell() == 0
    assert len(office.mail.messages) == 1


def test_several_causes_are_one_message(office: Office) -> None:
    for number, error_class in (("1", "money"), ("2", "parse"), ("3", "mapping")):
        office.order(number)
        office.run(Outcome("held", "What to do: look.", error_class=error_class))
    office.look()
    assert office.tell() == 3
    (message,) = office.mail.messages
    assert message.subject.endswith("and 2 more")
    assert all(f"1 order is held ({error_class})" in message.text for error_class in ("money", "parse", "mapping"))


@pytest.mark.parametrize(
    ("quiet", "at", "expected"),
    [
        (None, "03:00", False),
        ((time(22), time(7)), "21:59", False),
        ((time(22), time(7)), "22:00", True),
        ((time(22), time(7)), "06:59", True),
        ((time(22), time(7)), "07:00", False),
        ((time(12), time(13)), "12:30", True),
        ((time(12), time(13)), "13:00", False),
    ],
)
def test_quiet_hours(quiet: Any, at: str, expected: bool) -> None:
    now = datetime.fromisoformat(f"2026-11-21T{at}:00+00:00")
    assert telling.is_quiet(AlertSettings(quiet=quiet), now) is expected
