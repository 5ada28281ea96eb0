"""Hands messages and letters to an SMTP server. Never reads nor answers mail."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.message import EmailMessage

from connectors.http import outward
from connectors.roles import Finding, Letter, Message
from connectors.smtp import compose
from connectors.smtp.handing import Handing, away, login_refused
from connectors.smtp.settings import SmtpSettings
from core.clock import Clock
from core.errors import ConfigurationProblem, Held, RetryLater

_LATER = "What to do: nothing, it is sent again by itself."


class SmtpNotifier:
    """One server and its recipients. Each message is a session of its own: they are rare."""

    def __init__(self, settings: SmtpSettings, clock: Clock) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock

    def close(self) -> None:
        """Nothing stays open."""

    def send(self, message: Message) -> None:
        if not self._settings.recipients:
            raise self._nobody("This message")
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
        compose.heads(mail, self._settings, message.subject, message.id, self._clock.now())
        mail["To"] = ", ".join(self._settings.recipients)
        mail.set_content(message.text)
        return mail

    def deliver(self, letter: Letter) -> None:
        settings = self._settings
        if not letter.to and not settings.recipients:
            raise self._nobody("This letter")
        to = [compose.address(one, settings) for one in ([letter.to] if letter.to else settings.recipients)]
        mail = compose.mail_of(letter, settings, to, self._clock.now())
        within = settings.connect_timeout + settings.read_timeout
        with outward(self.name, "deliver", "", within=within, method="SMTP"), self._entered() as session:
            Handing(
                self.name, session, settings.sender, [f"{one.local_part}@{one.ascii_domain}" for one in to]
            ).hand_over(mail)

    @contextlib.contextmanager
    def _entered(self) -> Iterator[smtplib.SMTP]:
        """A session that may send. What goes wrong before concerns every letter; how it ends concerns nobody."""
        try:
            session = self._session()
        except smtplib.SMTPResponseException as error:
            raise login_refused(self.name, error.smtp_code, "user or password") from None
        except (OSError, smtplib.SMTPException) as error:
            raise away(self.name, type(error).__name__) from None
        try:
            yield session
            with contextlib.suppress(OSError, smtplib.SMTPException):
                session.quit()
        finally:
            session.close()

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
            session.ehlo_or_helo_if_needed()
            if settings.username and settings.password is not None:
                session.login(settings.username, settings.password.get())
        except BaseException:
            session.close()
            raise
        return session

    def _nobody(self, what: str) -> Held:
        return Held(
            f"{what} names nobody, and {self.name} has no recipients. What to do: give {self.name} `recipients`, then retry.",
            error_class="configuration",
            field="address",
        )

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
