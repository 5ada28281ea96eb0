"""A shop that shows cards: its settings, the tokens it signs, and cards as they are kept. Signed here by hand, not by our own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, date, datetime
from typing import Any, Final

from core.settings import PortalSettings
from ledger import Ledger
from ledger.reprows import Answer
from mapping.cards import Card, CardRep

SECRET: Final = "portal-secret-for-tests-only-0123456789"
ORIGIN: Final = "https://shop.example"
DAY: Final = date(2026, 11, 22)


def portal_settings(**over: Any) -> PortalSettings:
    """The `[[portal]]` of a shop."""
    os.environ["ORDERWIRE_TEST_PORTAL"] = SECRET
    facts = {
        "name": "shop",
        "source": "erp",
        "store": "shop",
        "secrets": ["env:ORDERWIRE_TEST_PORTAL"],
        "origins": [ORIGIN],
        "team": {"name": "Customer service", "email": "service@us.example", "phone": "+49 30 900"},
    }
    return PortalSettings.model_validate(facts | over)


def token(subject: str = "10017", *, secret: str = SECRET, now: datetime | None = None, **over: Any) -> str:
    """As a shop signs it for the customer in front of it."""
    at = int((now or datetime.now(UTC)).timestamp())
    claims = {"iss": "shop", "aud": "orderwire", "sub": subject, "iat": at, "exp": at + 300, "jti": "0123456789abcdef"}
    parts = (
        {"alg": "HS256", "typ": "JWT"},
        {name: value for name, value in (claims | over).items() if value is not None},
    )
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_encoded(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def bearer(subject: str = "10017", **over: Any) -> dict[str, str]:
    """The header of it."""
    return {"Authorization": f"Bearer {token(subject, **over)}"}


def keep(ledger: Ledger, card: Card, source: str = "erp") -> None:
    """As the flow of sales reps keeps it."""
    text = card.model_dump_json()
    answer = Answer(card=text, digest=hashlib.sha256(text.encode()).hexdigest(), seen_on=DAY, name=card.name)
    assert ledger.reps.save_card(source, card.customer, answer)


ANNA: Final = CardRep(
    name="Anna Kern", roles=("primary",), title="Inside sales", email="anna@us.example", phone="+49 (0)30 123-45",
    mobile="+49 151 222", languages=("de", "en"), code="R7", agency="",
)  # fmt: skip
BEN: Final = CardRep(
    name="Ben Vogel", roles=("field",), email="ben@partner.example", phone="ask at the desk", partner=True, firm="Partner & Söhne",
    stands_in_for="Cora Lind", away_until=date(2026, 12, 1), code="R9", agency="AG2", photo="https://us.example/ben.jpg",
)  # fmt: skip


def a_card(number: str = "10017", *reps: CardRep) -> Card:
    """Two reps, of whom one stands in."""
    return Card(customer=number, name=f"Office {number} Ltd", reps=reps or (ANNA, BEN))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
