"""What an e-mail connection is told."""

from __future__ import annotations

from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

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

    connector: Literal["smtp"] = "smtp"
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """starttls: upgrade or refuse. none: only for a server on this machine."""
    username: str = ""
    password: SecretRef | None = None
    sender: EmailAddress
    recipients: tuple[EmailAddress, ...] = Field(min_length=1)
