"""What a system that is pushed the cards of customers is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from connectors.signing import plain_address
from core.secrets import SecretRef
from core.settings import ConnectionSettings


class PushSettings(ConnectionSettings):
    """`[[connection]] connector = "push"`."""

    connector: Literal["push"] = "push"
    url: Annotated[str, AfterValidator(plain_address)]
    secret: SecretRef
    """`whsec_` and base64, as Standard Webhooks want it."""
    verify_tls: bool = True
