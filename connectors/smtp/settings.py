"""What an e-mail connection is told."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from core.emails import fold_email
from core.secrets import SecretRef
from core.settings import ConnectionSettings


def _address(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"not an e-mail address: {error}") from None


EmailAddress = Annotated[str, AfterValidator(_address)]


class SmtpSettings(ConnectionSettings):
    """`[[connection]] connector = "smtp"`."""

    letters: ClassVar[Literal["", "mail", "chat"]] = "mail"
    connector: Literal["smtp"] = "smtp"
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """starttls: upgrade or refuse. none: only for a server on this machine."""
    username: str = ""
    password: SecretRef | None = None
    sender: EmailAddress
    sender_name: str = Field(default="", max_length=200)
    """What people read before the sender's address."""
    reply_to: EmailAddress | None = None
    """Where answers to letters go; none: to the sender."""
    recipients: tuple[EmailAddress, ...] = ()
    """Who is told of alerts, and of whatever names nobody itself."""

    @field_validator("host")
    @classmethod
    def _only_a_name(cls, value: str) -> str:
        if not value or any(sign in value for sign in "/@ ") or value != value.strip():
            raise ValueError("a server's name alone, as mail.example.com: no scheme, path or login")
        return value

    @field_validator("recipients")
    @classmethod
    def _not_to_ourselves(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        sender = info.data.get("sender", "")
        if any(fold_email(one) == fold_email(sender) for one in value):
            raise ValueError(f"{sender} is the sender: mail to ourselves could go in circles")
        return value
