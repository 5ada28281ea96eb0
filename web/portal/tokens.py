"""What a shop signs for the customer in front of it: a JSON Web Token with HMAC-SHA256, and nothing else (ADR-0012).

    base64url({"alg":"HS256"}) . base64url({"iss","aud","sub","iat","exp","jti"}) . base64url(HMAC-SHA256)

tests/fixtures/portal/tokens.json has examples, right and wrong, which the shop's plugin reads too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.errors import ConfigurationProblem
from core.secrets import SecretRef
from core.settings import SHORTEST_PORTAL_SECRET, PortalSettings

LONGEST: Final = 2048
"""Characters of a token."""
LONGEST_SUBJECT: Final = 200
"""Characters of a customer number or a store user."""
AHEAD: Final = 60
"""Seconds by which a shop's clock may be ahead of ours."""
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_ID: Final = re.compile(r"[\x21-\x7e]{8,64}")


class NotGranted(Exception):
    """No card for this token. `message` is for whoever shows the card, and the same for all that tells of secrets."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        """A word for the log and the metrics."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who stands before the shop. `subject`: a customer number, or a user of the shop's store (`shop/user/55`)."""

    portal: PortalSettings
    subject: str
    id: str
    """Of the token."""
    key: bytes
    """What the token was signed with; the answer is signed with the same."""


def visitor(token: str, portals: Mapping[str, PortalSettings], now: datetime) -> Visitor:
    """Who this token stands for. Raises NotGranted."""
    if not token:
        raise NotGranted("A token is missing. What to do: open the page of the shop again.", "missing")
    head, claims, signed, signature = _parts(token)
    # Whom to believe is asked before what is said; a shop that does not exist is answered like a wrong signature.
    portal = portals.get(_text(claims.get("iss")))
    key = _key_of(live_keys(portal.secrets if portal else ()), signed, signature)
    if portal is None or key is None or head.get("alg") != "HS256" or "crit" in head:
        raise NotGranted(
            "The token is not signed as agreed. What to do: compare the portal's name and its secret with Orderwire's "
            "configuration; open the page of the shop again.",
            "signature",
        )
    return Visitor(portal, *_claimed(claims, portal, int(now.timestamp())), key)


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """The token of these claims, as a shop makes it: for tests of ours and for looking at a card by hand."""
    head, said = (json.dumps(part, separators=(",", ":")).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signed = f"{_encoded(head)}.{_encoded(said)}"
    return f"{signed}.{_encoded(_digest(secret.encode(), signed.encode()))}"


def signature_of(body: bytes, key: bytes) -> str:
    """`sha256=<hex>`: what stands in the header that signs an answer."""
    return f"sha256={_digest(key, body).hex()}"


def live_keys(references: Sequence[SecretRef]) -> list[bytes]:
    """The secrets that can be read and are long enough. A short one is none: it could be guessed from one token."""
    found = []
    for reference in references:
        try:
            value = reference.get()
        except ConfigurationProblem:
            continue  # the others stay valid; `orderwire config validate` names it
        if len(value) >= SHORTEST_PORTAL_SECRET:
            found.append(value.encode())
    return found


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Head, claims, what is signed, the signature. Raises NotGranted for what is no token."""
    pieces = token.split(".")
    if len(token) <= LONGEST and len(pieces) == 3 and all(_PART.fullmatch(piece) for piece in pieces):
        try:
            head, claims = (json.loads(_decoded(piece)) for piece in pieces[:2])
            if isinstance(head, dict) and isinstance(claims, dict):
                return head, claims, ".".join(pieces[:2]).encode(), _decoded(pieces[2])
        except (ValueError, RecursionError):
            pass
    raise NotGranted("This is no token. What to do: open the page of the shop again.", "malformed")


def _key_of(keys: Sequence[bytes], signed: bytes, signature: bytes) -> bytes | None:
    """The key that made this signature. All are tried, so that the time does not tell which; without any, one is made up."""
    found = None
    for key in keys or (b"-" * SHORTEST_PORTAL_SECRET,):
        if hmac.compare_digest(_digest(key, signed), signature) and keys:
            found = key
    return found


def _claimed(claims: Mapping[str, Any], portal: PortalSettings, now: int) -> tuple[str, str]:
    """Subject and id. What is claimed is the shop's own word by now, so that it may be told what is wrong with it."""
    subject, id, audience = (_text(claims.get(name)) for name in ("sub", "jti", "aud"))
    expires, made = (_moment(claims.get(name)) for name in ("exp", "iat"))
    if not hmac.compare_digest(audience.encode("utf-8", "replace"), portal.audience.encode()):
        raise NotGranted(
            "The token is for somebody else. What to do: have the shop sign with the audience that is configured.",
            "audience",
        )
    if not expires or not made or not _ID.fullmatch(id):
        raise NotGranted(
            "The token lacks exp, iat or jti. What to do: have the shop sign all that docs/portal.md names.", "claims"
        )
    if expires <= now:
        raise NotGranted("The token has expired. What to do: open the page of the shop again.", "expired")
    if made > now + AHEAD:
        raise NotGranted("The token comes from the future. What to do: set the shop's clock.", "future")
    if expires - made > portal.lifetime:
        raise NotGranted(
            f"The token is valid for too long. What to do: have the shop sign for {portal.lifetime:.0f} s at most.",
            "lifetime",
        )
    if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise NotGranted("The token names nobody. What to do: have the shop sign a customer number as sub.", "subject")
    return subject, id


def _moment(value: object) -> int:
    """Seconds of the epoch; 0 for what is no whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _digest(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(piece: str) -> bytes:
    """Only the one spelling that an encoder makes: two spellings of a token would be two tokens."""
    try:
        data = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _encoded(data) != piece:
        raise ValueError("not canonical base64url")
    return data
