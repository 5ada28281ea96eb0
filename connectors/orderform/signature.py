"""Standard Webhooks signatures (standardwebhooks.com): HMAC-SHA256 over id, timestamp and the raw body.

The library refuses bad headers with several exceptions besides its own; here there is one answer: genuine or not.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError, hmac_data

from core.errors import ConfigurationProblem
from core.secrets import SecretRef

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
TOLERANCE: Final = 300.0
_PREFIX: Final = "whsec_"
_MAX_HEADER: Final = 4096


def decode_secret(value: str) -> bytes:
    """The key of a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`. Raises ConfigurationProblem."""
    text = value.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ConfigurationProblem(
            "A webhook secret is not one of Standard Webhooks. What to do: use `whsec_` followed by base64, as in "
            "`whsec_$(openssl rand -base64 32)`."
        )
    return key


def live_keys(references: Sequence[SecretRef]) -> list[bytes]:
    """The keys of all secrets that can be read."""
    found = []
    for reference in references:
        try:
            found.append(decode_secret(reference.get()))
        except ConfigurationProblem:
            continue  # `check` names it; the others stay valid
    return found


def genuine(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], received_at: datetime) -> bool:
    """Whether one of the keys signed exactly this body, at most five minutes ago."""
    given = {name: headers.get(name, "") for name in HEADERS}
    if not all(given.values()) or any(len(value) > _MAX_HEADER for value in given.values()):
        return False
    # Every key is tried, so that the time does not tell which one is right.
    return any([_signed_by(key, given, body, received_at) for key in keys])  # noqa: C419


def _signed_by(key: bytes, headers: dict[str, str], body: bytes, received_at: datetime) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _bytes_signed_by(key, headers, body, received_at)
    try:
        Webhook(key).verify(text, headers, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, TypeError, OverflowError, OSError):
        return False
    return True


def _bytes_signed_by(key: bytes, headers: dict[str, str], body: bytes, received_at: datetime) -> bool:
    """The same for a body that is not UTF-8, which the library cannot sign: if it is genuine, it is kept and shown."""
    stamp = headers["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdigit()) or abs(received_at.timestamp() - int(stamp)) > TOLERANCE:
        return False
    signed = b".".join((headers["webhook-id"].encode("utf-8", "replace"), stamp.encode(), body))
    expected = b"v1," + base64.b64encode(hmac_data(key, signed))
    passed = headers["webhook-signature"].encode("utf-8", "replace").split(b" ")
    return any([hmac.compare_digest(expected, signature) for signature in passed])  # noqa: C419
