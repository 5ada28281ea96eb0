"""Hands messages to an SMTP server. Never answers mail: `Auto-Submitted` keeps other robots from answering ours."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime

from connectors.roles import Finding, Message
from connectors.smtp.settings import SmtpSettings
from core.clock import Clock
from core.errors import ConfigurationProblem, Held, RetryLater

_LATER = "What to do: nothing, it is sent again by itself."


class SmtpNotifier:
    """One server and its recipients. Each message is a session of its own: alerts are rare."""

    def __init__(self, settings: SmtpSettings, clock: Clock) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock

    def close(self) -> None:
        """Nothing stays open."""

    def send(self, message: Message) -> None:
        mail = self.compose(message)
        try:
            with self._session() as session:
                refused = session.send_message(mail, self._settings.sender, list(self._settings.recipients))
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients) from None
        except smtplib.SMTPResponseException as error:
            raise self._answered(error.smtp_code) from None
        except (OSError, smtplib.SMTPException) as error:
            raise self._later(
                f"{self.name}: the mail server cannot be reached. {_LATER}", type(error).__name__
            ) from None
        if refused:
            raise self._refused(refused)

    def compose(self, message: Message) -> EmailMessage:
        """The mail. Header values are one line whatever they contain."""
        mail = EmailMessage()
        mail["From"] = self._settings.sender
        mail["To"] = ", ".join(self._settings.recipients)
        mail["Subject"] = " ".join(message.subject.split())[:200]
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{hashlib.sha256(message.id.encode()).hexdigest()[:32]}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(message.text)
        return mail

    @property
    def _domain(self) -> str:
        return self._settings.sender.rpartition("@")[2]

    def check(self) -> Sequence[Finding]:
        try:
            with self._session() as session:
                session.noop()
        except ConfigurationProblem as error:
            text, _, advice = error.message.partition(" What to do: ")
            return [Finding("login", "problem", text, advice)]
        except smtplib.SMTPResponseException as error:
            return [
                Finding(
                    "login", "problem", f"The mail server refused us ({error.smtp_code}).", "check user and password."
                )
            ]
        except (OSError, smtplib.SMTPException) as error:
            return [
                Finding(
                    "address",
                    "problem",
                    f"The mail server cannot be reached ({type(error).__name__}).",
                    "check host, port and security.",
                )
            ]
        return [Finding("login", "ok", "The mail server takes our login.")]

    def _session(self) -> smtplib.SMTP:
        settings = self._settings
        timeout = settings.connect_timeout + settings.read_timeout
        context = ssl.create_default_context()
        if settings.security == "tls":
            session: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout, context=context)
        else:
            session = smtplib.SMTP(settings.host, settings.port, timeout=timeout)
        try:
            if settings.security == "starttls":
                session.starttls(context=context)
            if settings.username and settings.password is not None:
                session.login(settings.username, settings.password.get())
        except BaseException:
            session.close()
            raise
        return session

    def _refused(self, recipients: dict[str, tuple[int, bytes]]) -> RetryLater | Held:
        address, (code, _) = next(iter(recipients.items()))
        if all(400 <= answer[0] < 500 for answer in recipients.values()):
            return self._later(
                f"{self.name}: the mail server does not take mail for {address} now ({code}). {_LATER}", str(code)
            )
        return Held(
            f"{self.name}: the mail server refuses mail for {address} ({code}). What to do: correct the address.",
            error_class="validation/value",
            field="recipients",
            detail=str(code),
        )

    def _answered(self, code: int) -> RetryLater | Held:
        if code < 500:
            return self._later(f"{self.name}: the mail server asks us to wait ({code}). {_LATER}", str(code))
        return Held(
            f"{self.name}: the mail server refuses us ({code}). What to do: check user, password and sender.",
            error_class="auth",
            detail=str(code),
        )

    def _later(self, message: str, detail: str) -> RetryLater:
        return RetryLater(message, seconds=60, scope="connection", connection=self.name, detail=detail)
