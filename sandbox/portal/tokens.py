"""What a shop signs for the customer before it, written down from the documentation alone: a JSON Web Token with HMAC-SHA256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime


def token(
    shop: str, customer: str, secret: str, now: datetime, *, audience: str = "orderwire", seconds: int = 240
) -> str:
    """A token for one customer number, valid for some minutes."""
    made = int(now.timestamp())
    claims = {
        "iss": shop,
        "aud": audience,
        "sub": customer,
        "iat": made,
        "exp": made + seconds,
        "jti": secrets.token_hex(16),
    }
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_encoded(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether an answer comes from who knows the secret: `sha256=<hex>` over its body."""
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature, f"sha256={wanted}")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
