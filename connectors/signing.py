"""Outgoing messages signed as Standard Webhooks want it (standardwebhooks.com), for every connector that posts some."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from connectors.roles import Finding
from core.errors import ConfigurationProblem
from core.secrets import SecretRef


def plain_address(url: str) -> str:
    """An address of http or https without a user. Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ValueError(
            "the address begins with https:// (or http://) and has no user, for example https://ops.example/hook"
        )
    return url.strip()


def signed(connection: str, secret: SecretRef, id: str, now: datetime, body: str) -> dict[str, str]:
    """The headers of a message: its id, its moment, its signature. Raises ConfigurationProblem for a secret of another kind."""
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _signer(connection, secret).sign(id, now, body),
    }


def check_secret(connection: str, secret: SecretRef) -> Sequence[Finding]:
    """Whether messages could be signed, without sending one."""
    try:
        _signer(connection, secret)
    except ConfigurationProblem as error:
        text, _, advice = error.message.partition(" What to do: ")
        return [Finding("secret", "problem", text, advice)]
    return [Finding("secret", "ok", "Can be read. Nothing was sent.")]


def _signer(connection: str, secret: SecretRef) -> Webhook:
    try:
        return Webhook(secret.get())
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        raise ConfigurationProblem(
            f"The secret of {connection} is not one of Standard Webhooks. "
            "What to do: write whsec_ and 24 to 64 random bytes in base64."
        ) from None
