"""Letters against a real SMTP server: one recipient each, and at every step it is known whether one can have left."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import smtp
from connectors.http import guarded
from connectors.roles import Letter, Message, Messenger
from core.errors import Ambiguous, Held, LeaseLost, RetryLater
from core.letters import Attachment
from pipelines.telling import Outside
from sandbox.mail import MailApp, mail_app
from sandbox.serve import running

LETTER = Letter(
    "m1", "anna@kunde.example", "Rechnung R-1", "Guten Tag,\n\n.\n..zwei Punkte\nÄrger ₽ 🧾\n", "Anna Müller", "de"
)


@pytest.fixture(scope="module")
def server() -> Iterator[MailApp]:
    app = mail_app()
    with running(app):
        yield app


@pytest.fixture
def post(server: MailApp) -> MailApp:
    server.box.clear()
    server.box.answers.clear()
    server.box.answer, server.box.keeps = "250 2.0.0 Taken", True
    return server


def carrier(port: int, **changes: Any) -> smtp.SmtpNotifier:
    values: dict[str, Any] = {
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "shop@shop.example",
        "sender_name": "Der Laden",
        "connect_timeout": 1.0,
        "read_timeout": 2.0,
    }
    return smtp.build(smtp.SmtpSettings(**(values | changes)))


def deliver(messenger: Messenger, letter: Letter = LETTER) -> None:
    with guarded(Outside()):
        messenger.deliver(letter)


def changed(**values: Any) -> Letter:
    return Letter(**({name: getattr(LETTER, name) for name in LETTER.__slots__} | values))


def test_a_letter_arrives_whole(post: MailApp) -> None:
    pdf = Attachment("Rechnung\r\nBcc: x@y.example/../ä.pdf", "application/pdf", bytes(range(256)) * 40)
    letter = changed(
        attachments=(pdf, Attachment("", "text/x;charset=evil", b"x"), Attachment("m", "message/rfc822", b"A: b\n\n"))
    )
    deliver(carrier(post.smtp_port, reply_to="buero@shop.example"), letter)
    deliver(carrier(post.smtp_port), letter)
    mail, again = post.box.mails
    assert (mail.to, mail.sender) == (("anna@kunde.example",), "shop@shop.example")
    assert mail.head("From") == "Der Laden <shop@shop.example>"
    assert mail.head("To") == "Anna Müller <anna@kunde.example>"
    assert (mail.head("Subject"), mail.head("Reply-To")) == ("Rechnung R-1", "buero@shop.example")
    assert (mail.head("Auto-Submitted"), mail.head("Content-Language")) == ("auto-generated", "de")
    assert mail.head("Message-ID") == again.head("Message-ID"), "a doubled letter is seen to be one"
    assert mail.text.replace("\r\n", "\n") == LETTER.text
    names = [(name, media) for name, media, _ in mail.attachments]
    assert names == [
        ("Rechnung Bcc- x@y.example-..-ä.pdf", "application/pdf"),
        ("attachment-2", "application/octet-stream"),
        ("m", "application/octet-stream"),
    ]
    assert mail.attachments[0][2] == pdf.body
    assert mail.head("Bcc") == ""


HOSTILE = (
    "Held\r\nBcc: thief@evil.example\r\n\r\nbody",
    "a\nTo: thief@evil.example",
    "a\rX: y",
    "a\x0bBcc: t@evil.example\x0cb\x1cc\x85d\u2028e\u2029f",
    'quoted" <thief@evil.example>, "',
    "=?utf-8?q?a=0D=0ABcc:_thief@evil.example?=",
    "\ud800 half \u202e turned \x00 nul",
    "x" * 5000,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_header_or_a_second_recipient(post: MailApp, text: str) -> None:
    deliver(
        carrier(post.smtp_port, sender_name=text[:200].replace("\ud800", "")),
        changed(subject=text, name=text, language=text[:16], text=text, attachments=(Attachment(text, text, b""),)),
    )
    (mail,) = post.box.mails
    assert mail.to == ("anna@kunde.example",)
    known = {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "x-auto-response-suppress", "content-language",
        "mime-version", "content-type",
    }  # fmt: skip
    assert {name.lower() for name in mail.message} <= known
    [to] = mail.message["To"].addresses
    assert to.addr_spec == "anna@kunde.example"
    [sender] = mail.message["From"].addresses
    assert sender.addr_spec == "shop@shop.example"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no address",
        "a@b.example, thief@evil.example",
        "a@b.example\r\nRCPT TO:<thief@evil.example>",
        "a@b.example>\r\nDATA",
        "<a@b.example>",
        "Anna <a@b.example>",
        "a@b.example\x00",
        "SHOP@Shop.example",  # our own sender
        '"a b"@b.example',
        "=?utf-8?q?a=0D=0ABcc?=@b.example",
        "a@" + "b" * 300 + ".example",
    ],
)
def test_no_other_address_than_one_is_written_to(post: MailApp, address: str) -> None:
    with pytest.raises(Held) as held:
        deliver(carrier(post.smtp_port), changed(to=address))
    assert held.value.field == "address"
    assert "\n" not in held.value.message
    assert not post.box.mails


def test_addresses_beyond_ascii_are_reached(post: MailApp) -> None:
    deliver(carrier(post.smtp_port), changed(to="einkauf@müller.example"))
    deliver(carrier(post.smtp_port), changed(to="käufer@müller.example"))
    assert [mail.to for mail in post.box.mails] == [
        ("einkauf@xn--mller-kva.example",),
        ("käufer@xn--mller-kva.example",),
    ]


def test_who_names_nobody_writes_to_whom_the_connection_names(post: MailApp) -> None:
    both = ("ops@shop.example", "boss@shop.example")
    deliver(carrier(post.smtp_port, recipients=both), changed(to=""))
    assert post.box.mails[0].to == both
    post.box.answers["boss@shop.example"] = "550 gone"
    with pytest.raises(Held, match=r"boss@shop\.example"):
        deliver(carrier(post.smtp_port, recipients=both), changed(to=""))
    assert len(post.box.mails) == 1, "all or none: else the next try would be the second for some"
    with pytest.raises(Held, match="recipients"):
        deliver(carrier(post.smtp_port), changed(to=""))
    with pytest.raises(Held, match="recipients"):
        carrier(post.smtp_port).send(Message("1", "crm is out", "Look."))
    with pytest.raises(ValueError, match="circles"):
        carrier(25, recipients=("Shop@shop.example",))


ANSWERS: tuple[tuple[str, type[Exception], str], ...] = (
    ("450 busy", RetryLater, "job"),
    ("451 greylisted", RetryLater, "job"),
    ("421 closing", RetryLater, "connection"),
    ("550 no such user", Held, "address"),
    ("553 no", Held, "address"),
    ("552 full", Held, "address"),
)


@pytest.mark.parametrize(("said", "error", "where"), ANSWERS)
@pytest.mark.parametrize("step", ["recipient", "end"])
def test_what_the_server_answers_decides(
    post: MailApp, said: str, error: type[Exception], where: str, step: str
) -> None:
    if step == "recipient":
        post.box.answers[LETTER.to] = said
    else:
        post.box.answer = said
    with pytest.raises(error) as raised:
        deliver(carrier(post.smtp_port))
    value: Any = raised.value
    assert (value.field if error is Held else value.scope) == where
    assert where == "connection" or LETTER.to in value.message
    if error is RetryLater:
        assert not value.burns_attempt, "a server that says later is nobody's failure"
    assert not post.box.mails


@pytest.mark.parametrize("kept", [True, False])
def test_a_connection_that_breaks_after_the_end_is_ambiguous(post: MailApp, kept: bool) -> None:
    post.box.answer, post.box.keeps = "", kept
    with pytest.raises(Ambiguous, match=r"anna@kunde\.example"):
        deliver(carrier(post.smtp_port))
    assert len(post.box.mails) == kept


def _talks(lines: list[bytes]) -> int:
    """A server of one session that says these lines, one for each command, and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as session, session.makefile("rb") as asked:
            for line in lines:
                session.sendall(line + b"\r\n")
                asked.readline()

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


HELLO = [b"220 here", b"250 yes"]
BREAKS: tuple[tuple[list[bytes], str, str], ...] = (
    ([b"554 go away"], "connection", "auth"),
    ([b"220 here"], "connection", "timeout/transient"),
    (HELLO, "connection", "timeout/transient"),
    ([*HELLO, b"550 you are not welcome"], "connection", "auth"),
    ([*HELLO, b"450 not now"], "connection", "timeout/transient"),
    ([*HELLO, b"250 from", b"250 to"], "connection", "timeout/transient"),
    ([*HELLO, b"250 from", b"250 to", b"451 no data now"], "job", "timeout/transient"),
)


@pytest.mark.parametrize(("lines", "scope", "cause"), BREAKS)
def test_until_the_dot_nothing_has_left(lines: list[bytes], scope: str, cause: str) -> None:
    with pytest.raises(RetryLater) as later:
        deliver(carrier(_talks(lines)))
    assert (later.value.scope, later.value.cause) == (scope, cause)


def test_a_letter_of_no_job_is_refused_and_so_is_one_whose_job_is_lost(post: MailApp) -> None:
    class Lost(Outside):
        def before_write(self, connection: str, timeout: float) -> None:
            raise LeaseLost("Lost. What to do: nothing.")

    with pytest.raises(LeaseLost):
        carrier(post.smtp_port).deliver(LETTER)
    with pytest.raises(LeaseLost), guarded(Lost()):
        carrier(post.smtp_port).deliver(LETTER)
    assert not post.box.mails
