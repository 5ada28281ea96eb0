"""Sending orders to a hook, signed by Standard Webhooks (headers webhook-id, webhook-timestamp, webhook-signature)."""

from __future__ import annotations

import json
import secrets
import ssl
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
from standardwebhooks import Webhook

from sandbox.store.orders import Sent, stamp

_TIMEOUT = httpx.Timeout(10.0, connect=3.0)


def signed(
    document: dict[str, Any], secret: str, *, message_id: str = "", at: datetime | None = None
) -> tuple[dict[str, str], bytes]:
    """Headers and raw body of one delivery. `secret` is base64, with or without `whsec_`."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    id = message_id or f"msg_{secrets.token_hex(12)}"
    when = at or datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, when, body),
    }
    return headers, body.encode()


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading all certificates for every delivery would take longer than the delivery."""
    return ssl.create_default_context()


async def send(document: dict[str, Any], hook: str, secret: str, reason: str) -> Sent:
    """Post one order to the hook and tell how it went; never raises for what the network does."""
    now = stamp(datetime.now(UTC))
    if not secret:
        return Sent(now, reason, "not sent: the store has no secret. What to do: start it with --secret-env", ok=False)
    headers, body = signed(document, secret)
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=_tls()) as client:
            answer = await client.post(hook, content=body, headers=headers)
    except httpx.HTTPError as problem:
        return Sent(now, reason, f"not delivered: {type(problem).__name__}", ok=False)
    return Sent(now, reason, f"answered {answer.status_code}", ok=answer.is_success)
