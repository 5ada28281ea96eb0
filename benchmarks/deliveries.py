"""Signed WooCommerce deliveries for benchmarks: the recorded corpus with new ids, from known and new customers."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parents[1] / "tests" / "fixtures" / "woocommerce" / "orders-corpus.json"
HOOK_SECRET = "benchmark-hook-secret"
SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "no", "ru", "ta")
"""Customers are named by these: digits, and letters that sound alike, would be folded together by matching."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as the shop sends it."""

    id: int
    new_customer: bool
    body: bytes
    headers: dict[str, str]


class Shop:
    """Makes orders. Ids rise over the whole run, customers are remembered."""

    def __init__(self, seed: int = 7) -> None:
        self._corpus: list[dict[str, Any]] = [entry["order"] for entry in json.loads(CORPUS.read_text())]
        self._random = random.Random(seed)
        self._id = 10_000
        self._customers = 0

    def first_orders(self, count: int) -> list[Delivery]:
        """So many customers' first orders."""
        return [self._order(self._newcomer(), new=True) for _ in range(count)]

    def orders(self, count: int, *, new_share: float) -> list[Delivery]:
        """A mix, evenly spread: mostly customers who have ordered before, now and then a new one."""
        known = self._customers
        every = round(1 / new_share) if new_share else count + 1
        return [
            self._order(self._newcomer(), new=True)
            if number % every == every - 1
            else self._order(self._random.randrange(1, known + 1), new=False)
            for number in range(count)
        ]

    def _newcomer(self) -> int:
        self._customers += 1
        return self._customers

    def _order(self, customer: int, *, new: bool) -> Delivery:
        self._id += 1
        order = copy.deepcopy(self._corpus[self._id % len(self._corpus)])
        order |= {"id": self._id, "number": str(self._id), "customer_id": customer, "status": "processing"}
        word = "".join(SYLLABLES[int(digit)] for digit in f"{customer:04d}")
        order["billing"] |= {
            "first_name": f"First{word}",
            "last_name": f"Last{word}",
            "company": f"Firm {word} GmbH",
            "email": f"{word}@customers.example",
            "phone": f"+4930{7_000_000 + customer}",
        }
        order["meta_data"] = [entry for entry in order["meta_data"] if entry["key"] != "placed_by"]
        body = json.dumps(order).encode()
        return Delivery(self._id, new, body, signed(body))


def signed(body: bytes) -> dict[str, str]:
    """The headers that WooCommerce sends."""
    signature = base64.b64encode(hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "WooCommerce/10.0.2 Hookshot (WordPress/6.8.2)",
        "X-WC-Webhook-Signature": signature,
        "X-WC-Webhook-Topic": "order.created",
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Event": "created",
        "X-WC-Webhook-Delivery-ID": hashlib.md5(body, usedforsecurity=False).hexdigest(),
    }


def in_turn(deliveries: list[Delivery], senders: int) -> Iterator[list[Delivery]]:
    """The same dealt out to so many senders."""
    for sender in range(senders):
        yield deliveries[sender::senders]
