"""What an outgoing webhook is told."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from core.secrets import SecretRef
from core.settings import ConnectionSettings


def _address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ValueError(
            "the address begins with https:// (or http://) and has no user, for example https://ops.example/hook"
        )
    return url.strip()


class WebhookSettings(ConnectionSettings):
    """`[[connection]] connector = "webhook"`."""

    connector: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(_address)]
    secret: SecretRef
    """`whsec_` and base64, as Standard Webhooks want it."""
