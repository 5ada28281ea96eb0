"""The mailbox behind the SMTP server, and what it answers: whom it refuses, and when it hangs up."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any, Final

MOST: Final = 500
"""Mails that are kept; the oldest go."""
_FAULTS: Final = {
    "later": "450 4.2.1 The mailbox is busy, try again later",
    "unknown": "550 5.1.1 No such user here",
    "full": "552 5.2.2 The mailbox is full",
}
"""By the part before the @: later@anything.example is told to come later, and so on."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it came. `number` counts from 1."""

    number: int
    at: datetime
    sender: str
    to: tuple[str, ...]
    raw: bytes
    message: EmailMessage
    """Parsed, once: the page lists it again and again."""

    def head(self, name: str) -> str:
        """One header, decoded; "" where there is none."""
        return _sendable(str(self.message.get(name, "")))

    @property
    def text(self) -> str:
        """The readable part."""
        part = self.message.get_body(("plain",))
        if part is None:
            return ""
        try:
            return _sendable(str(part.get_content()))
        except LookupError:  # a character set that does not exist
            return _body(part).decode("utf-8", "replace")

    @property
    def names(self) -> list[str]:
        """Of what is attached."""
        return [_name(part) for part in self.message.iter_attachments()]

    @property
    def attachments(self) -> list[tuple[str, str, bytes]]:
        """(name, media type, body)."""
        return [(_name(part), part.get_content_type(), _body(part)) for part in self.message.iter_attachments()]


def _sendable(text: str) -> str:
    """Bytes that were in no character set are halves of surrogate pairs, which no page can hold."""
    return text.encode("utf-8", "replace").decode()


def _name(part: Message) -> str:
    return _sendable(part.get_filename() or "") or "attachment"


def _body(part: Message) -> bytes:
    if part.is_multipart():  # a mail within the mail
        return b"\n".join(one.as_bytes() for one in part.get_payload() if isinstance(one, Message))
    return bytes(part.get_payload(decode=True) or b"")


def _parsed(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    if not isinstance(parsed, EmailMessage):
        raise TypeError(type(parsed).__name__)
    return parsed


class Postbox:
    """The hands of an aiosmtpd server. `answers`: address -> what is said to it as recipient (over the table above);
    `answer`: what is said to the end of a mail ("" hangs up instead: nobody knows then whether it was taken).
    """

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.answer = "250 2.0.0 Taken"
        self.keeps = True
        """Whether a mail that is not answered was taken all the same."""
        self._mails: list[Mail] = []
        self._count = 0
        self._lock = threading.Lock()

    @property
    def mails(self) -> list[Mail]:
        """Newest last."""
        with self._lock:
            return list(self._mails)

    def get(self, number: int) -> Mail | None:
        """One mail."""
        return next((mail for mail in self.mails if mail.number == number), None)

    def clear(self) -> None:
        """Empty it."""
        with self._lock:
            self._mails.clear()

    # -- aiosmtpd asks -------------------------------------------------------------------------------------------------

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        said = self.answers.get(address) or _FAULTS.get(address.partition("@")[0].lower(), "")
        if said and not said.startswith("250"):
            return said
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Well known"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.answer
        if answer.startswith("250") or (not answer and self.keeps):
            self._keep(str(envelope.mail_from), tuple(envelope.rcpt_tos), bytes(envelope.content or b""))
        if not answer:
            server.transport.abort()
        return answer or "451 Gone"

    def _keep(self, sender: str, to: tuple[str, ...], raw: bytes) -> None:
        message = _parsed(raw)
        with self._lock:
            self._count += 1
            self._mails.append(Mail(self._count, datetime.now(UTC), sender, to, raw, message))
            del self._mails[:-MOST]
