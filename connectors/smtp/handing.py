"""One mail through one session, step by step, so that it is known at every step whether it can have left.

A server has taken a mail when it answers the dot that ends it. Until that dot is sent nothing has left (RFC 5321, 4.1.1.4); what
breaks between the dot and its answer is ambiguous.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Final

from core.errors import Ambiguous, Held, RetryLater

LATER: Final = "What to do: nothing, it is sent again by itself."
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_TOO_LARGE: Final = 552
_CLOSING: Final = 421


class Handing:
    """Who hands over, and to whom. `name`: the connection."""

    def __init__(self, name: str, session: smtplib.SMTP, sender: str, to: Sequence[str]) -> None:
        self.name, self.session, self.sender, self.to = name, session, sender, to
        self.whom = ", ".join(to)

    def hand_over(self, mail: EmailMessage) -> None:
        """Raises `RetryLater`, `Held` or `Ambiguous`."""
        try:
            body = self._envelope(mail)
            self._begin(body)
        except (OSError, smtplib.SMTPException) as error:
            raise self._away(type(error).__name__) from None
        try:
            self.session.send(b".\r\n")
            code, _ = self.session.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise Ambiguous(
                f"{self.name}: the mail server did not say whether it took the mail for {self.whom}.",
                connection=self.name,
                detail=type(error).__name__,
            ) from None
        if code != 250:
            raise self._answered(code)

    def _envelope(self, mail: EmailMessage) -> bytes:
        """From whom, to whom; the mail as it goes over the wire."""
        foreign = not (self.sender + "".join(self.to)).isascii()
        if foreign and not self.session.has_extn("smtputf8"):
            raise self._refused(f"its server takes no letters beyond ASCII in addresses ({self.name})")
        body = mail.as_bytes(policy=SMTPUTF8 if foreign else SMTP)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if foreign else []
        if self.session.has_extn("size"):
            options.append(f"SIZE={len(body)}")
        code, _ = self.session.mail(self.sender, options)
        if code != 250:
            raise self._answered(code) if code in {_TOO_LARGE, _CLOSING} else self._sender(code)
        for one in self.to:
            code, _ = self.session.rcpt(one)
            if code not in {250, 251}:
                raise self._answered(code, one)
        return body

    def _begin(self, body: bytes) -> None:
        """All but the dot."""
        code, _ = self.session.docmd("DATA")
        if code != 354:
            raise self._answered(code)
        lines = _LINE_END.sub(b"\r\n", body)
        stuffed = re.sub(rb"(?m)^\.", b"..", lines)
        self.session.send(stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n")

    # -- what answers mean ---------------------------------------------------------------------------------------------

    def _answered(self, code: int, whom: str = "") -> RetryLater | Held:
        if code == _CLOSING:
            return self._away(str(code))
        if code == _TOO_LARGE:
            return self._refused(f"the mail is too large for it, or the mailbox is full ({code})", whom)
        if 400 <= code < 500:
            # The recipient's: others may get theirs. Nobody counts how often; `pipelines.mailing` gives up after days.
            return RetryLater(
                f"{self.name}: the mail server does not take mail for {whom or self.whom} now ({code}). {LATER}",
                seconds=60,
                burns_attempt=False,
                detail=str(code),
            )
        return self._refused(f"its server refuses it ({code})", whom)

    def _refused(self, why: str, whom: str = "") -> Held:
        return Held(
            f"{self.name}: no mail for {whom or self.whom}: {why}. What to do: correct the address where it comes from, "
            "or reach them another way; then retry or skip this job.",
            error_class="validation/value",
            field="address",
            detail=why,
        )

    def _sender(self, code: int) -> RetryLater:
        return login_refused(self.name, code, f"it does not take {self.sender} as sender")

    def _away(self, detail: str) -> RetryLater:
        return away(self.name, detail)


def away(name: str, detail: str) -> RetryLater:
    """The server is out, or ended the session before the mail could leave."""
    return RetryLater(
        f"{name}: the mail server cannot be reached. {LATER}",
        seconds=60,
        scope="connection",
        connection=name,
        detail=detail,
    )


def login_refused(name: str, code: int, what: str) -> RetryLater:
    """The server's answer says that it is us whom it does not take: every letter waits until that is mended."""
    temporary = 400 <= code < 500
    return RetryLater(
        f"{name}: the mail server refuses us: {what} ({code}). "
        + (LATER if temporary else f"What to do: check user, password and sender, then `orderwire check {name}`."),
        seconds=60 if temporary else 300,
        scope="connection",
        connection=name,
        cause="" if temporary else "auth",
        detail=str(code),
    )
