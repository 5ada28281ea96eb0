"""`[flow.promise]`: what it says of the connection that carries its messages."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest

from core.config import Kind, parse
from core.settings import ConnectionSettings
from tests.unit.core.test_config import KINDS as OTHERS
from tests.unit.core.test_config import ShopSettings


class MailSettings(ShopSettings):
    connector: str = "post"  # type: ignore[assignment]
    letters: ClassVar[Literal["", "mail", "chat"]] = "mail"
    recipients: tuple[str, ...] = ()


class ChatSettings(MailSettings):
    letters: ClassVar[Literal["", "mail", "chat"]] = "chat"


KINDS = {
    **OTHERS,
    "post": Kind("post", "notifier", MailSettings),
    "chat": Kind("chat", "notifier", ChatSettings),
}
TEXT = """\
[[connection]]
name = "crm"
connector = "crm"
access_key = "env:SHOP_KEY"
owners = { anna = "19x5" }

[[connection]]
name = "shop"
connector = "shop"
url = "https://shop.example"
key = "env:SHOP_KEY"

[[connection]]
name = "mail"
connector = "post"
url = "https://mail.example"
key = "env:SHOP_KEY"

[[connection]]
name = "room"
connector = "chat"
url = "https://chat.example"
key = "env:SHOP_KEY"

[[flow]]
name = "orders"
source = "shop"
target = "crm"
owner = "anna"
"""
TELL = 'tell = ["dispatch@firm.example"]'


def said(promise: str, text: str = TEXT) -> list[tuple[str, str, str]]:
    found = parse(f"{text}\n[flow.promise]\n{promise}\n", KINDS).problems
    return [(problem.path, problem.message, problem.hint) for problem in found]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")


@pytest.mark.parametrize(
    "promise",
    [
        "",
        f'via = "mail"\n{TELL}',
        'via = "room"',
        'cutoff = "14:00"\nholidays = [2026-12-24, "12-25"]\n[[flow.promise.rule]]\ndays = 1\nrush = true\ncutoff = 18:00:00',
    ],
)
def test_what_is_right(promise: str) -> None:
    assert said(promise) == []


def test_recipients_of_the_connection_are_enough() -> None:
    text = TEXT.replace('connector = "post"', 'connector = "post"\nrecipients = ["all@firm.example"]')
    assert said('via = "mail"', text) == []


@pytest.mark.parametrize(
    ("promise", "message", "hint"),
    [
        (f'via = "mial"\n{TELL}', "there is no connection named 'mial'", "mail"),
        (f'via = "post-office"\n{TELL}', "there is no connection named 'post-office'", "there are: mail, room"),
        (f'via = "shop"\n{TELL}', "'shop' carries no messages", "there are: mail, room"),
        ('via = "mail"', "nobody would be told where the rep's address is not known", "tell = [...]"),
    ],
)
def test_what_is_wrong_with_the_connection(promise: str, message: str, hint: str) -> None:
    ((path, found, advice),) = said(promise)
    assert (path.endswith("promise.via"), found) == (True, message)
    assert hint in advice


@pytest.mark.parametrize(
    "promise", ["days = 1", 'proof = "sent"', 'zone = "Europe/Nowhere"', "[[flow.promise.rule]]\ndays = -1"]
)
def test_what_is_wrong_in_itself_is_said_with_its_place(promise: str) -> None:
    ((path, _, _),) = said(promise)
    assert ".promise." in path


# -- the ERP that promises days ----------------------------------------------------------------------------------------


class ErpSettings(ConnectionSettings):
    tells_promises: ClassVar[bool] = True
    kinds: tuple[Literal["customer", "sale"], ...] = ("customer",)


class MuteSettings(ConnectionSettings):
    """An ERP that tells no promised days."""


ERPS = {**KINDS, "erp": Kind("erp", "erp", ErpSettings), "mute": Kind("mute", "erp", MuteSettings)}


def asked(
    promise: str, connection: str = 'connector = "erp"\nkinds = ["customer", "sale"]'
) -> list[tuple[str, str, str]]:
    text = TEXT.replace("[[flow]]", f'[[connection]]\nname = "erp"\n{connection}\n[[flow]]')
    found = parse(f"{text}\n[flow.promise]\n{promise}\n", ERPS).problems
    return [(problem.path, problem.message, problem.hint) for problem in found]


@pytest.mark.parametrize(
    "promise", ['erp = "erp"', 'erp = "erp"\nerp_poll = 60', 'erp = "erp"\nerp_poll = 0', 'erp = ""']
)
def test_an_erp_that_promises_days(promise: str) -> None:
    assert asked(promise) == []


@pytest.mark.parametrize(
    ("promise", "connection", "path", "message", "hint"),
    [
        ('erp = "erp"', 'connector = "erp"', "erp", "'erp' is not asked for sales", 'write `kinds` there, with "sale" in it'),
        (
            'erp = "erp"', 'connector = "erp"\nkinds = ["customer"]', "erp", "'erp' is not asked for sales",
            'write `kinds` there, with "sale" in it',
        ),
        ('erp = "erp"', 'connector = "mute"', "erp", "'erp' does not tell which days were promised", "leave this out"),
        (
            "erp_poll = 60", 'connector = "erp"', "erp_poll", "`erp_poll` says nothing without an ERP that promises days",
            "name it in `erp`, or leave this out",
        ),
    ],
)  # fmt: skip
def test_an_erp_that_cannot(promise: str, connection: str, path: str, message: str, hint: str) -> None:
    assert asked(promise, connection) == [(f"flow.orders.promise.{path}", message, hint)]


@pytest.mark.parametrize(("name", "what"), [("shop", "must be an ERP"), ("nobody", "no connection")])
def test_an_erp_that_is_none(name: str, what: str) -> None:
    [(path, message, _)] = asked(f'erp = "{name}"')
    assert path == "flow.orders.promise.erp"
    assert what in message
