"""Events as an ordinary and a bad day bring them, and a transport that writes down what it was asked for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.orders import ADA, order
from tests.world import World


def events(dice: random.Random, count: int, orders: int = 0) -> list[dict[str, Any]]:
    """New orders, changed ones, unbalanced ones, of unknown articles, of known and unknown customers."""
    found = []
    for n in range(count):
        buyer = dice.randrange(count // 10 + 1)
        company = dice.choice(["", f"Company {buyer % 97} GmbH"])
        over: dict[str, Any] = {
            "modified": f"2026-11-20T{10 + n * 12 // count:02}:{n * 720 // count % 60:02}:{n % 60:02}",
            "billing": {**ADA, "email": f"buyer{buyer}@office.example", "company": company},
        }
        if dice.random() < 0.1:
            over["status"] = dice.choice(["failed", "cancelled", "completed", "no-such-status"])
        if dice.random() < 0.05:
            over["total"] = "0.01"
        if dice.random() < 0.1:
            over["lines"] = [("NO-SUCH-SKU", 1, "7.00")]
        found.append(order(dice.randrange(1, (orders or count // 3) + 2), **over))
    return found


@contextmanager
def recording(world: World) -> Iterator[Counter[str]]:
    """Every operation that the CRM is asked for, counted by its name at the transport itself."""
    client = world.crm._client.http._client
    asked: Counter[str] = Counter()
    before = client.event_hooks
    client.event_hooks = {
        **before,
        "request": [*before["request"], lambda request: asked.update([_operation(request)])],
    }
    try:
        yield asked
    finally:
        client.event_hooks = before


def _operation(request: httpx.Request) -> str:
    """What a call to vtiger asks for."""
    text = request.url.query or request.content
    return str(httpx.QueryParams(text.decode("latin-1")).get("operation", ""))
