"""What an outgoing webhook is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from connectors.signing import plain_address
from core.secrets import SecretRef
from core.settings import ConnectionSettings


class WebhookSettings(ConnectionSettings):
    """`[[connection]] connector = "webhook"`."""

    connector: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(plain_address)]
    secret: SecretRef
    """`whsec_` and base64, as Standard Webhooks want it."""
