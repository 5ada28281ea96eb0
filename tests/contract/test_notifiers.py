"""Notifiers against a real SMTP server and a receiver that verifies Standard Webhooks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from connectors import smtp, webhook
from connectors.http import guarded
from connectors.roles import Message
from core.errors import Ambiguous, Held, OrderwireError, RetryLater
from core.secrets import SecretRef
from pipelines.telling import Outside

MESSAGE = Message("alert_1", "Orderwire: crm is out", "The CRM is out.\nWhat to do: look.", {"opened": []})
SECRET = "whsec_" + base64.b64encode(b"another thirty-two byte test key").decode()


class Postbox:
    """An SMTP server's hands: `answer` is what it says to a recipient."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 kept"


@pytest.fixture
def post() -> Iterator[tuple[Postbox, int]]:
    from tests.servers import free_port

    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, controller.port
    controller.stop()


def mailer(port: int, **changes: Any) -> smtp.SmtpNotifier:
    values: dict[str, Any] = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "orderwire@shop.example",
        "recipients": ("ops@shop.example", "boss@shop.example"),
        "connect_timeout": 1.0,
        "read_timeout": 2.0,
    }
    return smtp.build(smtp.SmtpSettings(**(values | changes)))


def test_a_mail_arrives_whole(post: tuple[Postbox, int]) -> None:
    box, port = post
    mailer(port).send(MESSAGE)
    (mail,) = box.mails
    assert mail["Subject"] == "Orderwire: crm is out"
    assert mail["To"] == "ops@shop.example, boss@shop.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "What to do: look." in mail.get_content()


def test_header_injection_is_impossible(post: tuple[Postbox, int]) -> None:
    box, port = post
    mailer(port).send(Message("x", "Held\r\nBcc: thief@evil.example\r\n\r\nbody", "text"))
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Held Bcc: thief@evil.example body"


def test_the_same_message_has_the_same_id(post: tuple[Postbox, int]) -> None:
    box, port = post
    for _ in range(2):
        mailer(port).send(MESSAGE)
    assert box.mails[0]["Message-ID"] == box.mails[1]["Message-ID"]


def test_450_is_tried_again_and_550_names_the_address(post: tuple[Postbox, int]) -> None:
    box, port = post
    box.answer = "450 try later"
    with pytest.raises(RetryLater):
        mailer(port).send(MESSAGE)
    box.answer = "550 no such user"
    with pytest.raises(Held, match=r"ops@shop\.example"):
        mailer(port).send(MESSAGE)
    assert not box.mails


def test_nobody_there_is_tried_again() -> None:
    from tests.servers import free_port

    notifier = mailer(free_port())
    with pytest.raises(RetryLater):
        notifier.send(MESSAGE)
    assert [finding.level for finding in notifier.check()] == ["problem"]


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(post: tuple[Postbox, int]) -> None:
    with pytest.raises(OrderwireError):
        mailer(post[1], security="starttls").send(MESSAGE)
    assert not post[0].mails


@pytest.mark.parametrize("address", ["no at", "a@b@c", "a@b.example\r\nBcc: x@y.example", ""])
def test_odd_addresses_are_refused_by_the_configuration(address: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        mailer(25, sender=address)


def hook(handler: Any, monkeypatch: pytest.MonkeyPatch) -> webhook.WebhookNotifier:
    monkeypatch.setenv("OW_TEST_OUT", SECRET)
    settings = webhook.WebhookSettings(
        name="ops", url="https://ops.example/hooks/x?k=1", secret=SecretRef("env:OW_TEST_OUT")
    )
    return webhook.build(settings, transport=httpx.MockTransport(handler))


def test_the_receiver_can_verify_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    with guarded(Outside()):
        hook(receive, monkeypatch).send(MESSAGE)
    assert str(seen[0].url) == "https://ops.example/hooks/x?k=1"
    body = Webhook(SECRET).verify(seen[0].content.decode(), dict(seen[0].headers))
    assert body["data"]["subject"] == MESSAGE.subject


@pytest.mark.parametrize(("status", "error"), [(500, Ambiguous), (410, Held), (429, RetryLater)])
def test_what_the_receiver_may_answer(status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = hook(lambda request: httpx.Response(status, headers={"retry-after": "30"}), monkeypatch)
    with guarded(Outside()), pytest.raises(error):
        notifier.send(MESSAGE)
