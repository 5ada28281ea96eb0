"""A system that is pushed cards: verifies what comes, keeps it, and answers as a test says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from standardwebhooks import Webhook

from connectors import push
from core.clock import Clock
from core.secrets import SecretRef

SECRET = "whsec_" + base64.b64encode(b"one more thirty-two byte test key").decode()


class HeldClock(Clock):
    """The process's real time: the receiver's tolerance is real too."""


@dataclass
class Receiver:
    """`answer` is asked for each message, with how many came before it; it may raise an error of httpx."""

    answer: Callable[[int], int] = lambda _number: 204
    messages: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    seen: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        number, self.seen = self.seen, self.seen + 1
        Webhook(SECRET).verify(request.content, dict(request.headers))
        status = self.answer(number)
        if status < 300 or status in {500, 599}:  # 500, 599: it was kept, and nobody is told so
            self.messages.append(json.loads(request.content))
            self.ids.append(request.headers["webhook-id"])
            assert request.headers["idempotency-key"] == request.headers["webhook-id"]
        if status == 599:
            raise httpx.ReadTimeout("no answer", request=request)
        return httpx.Response(status)

    def portal(self, name: str = "extranet", **more: Any) -> push.PushPortal:
        """A connection to it."""
        facts = {
            "name": name,
            "url": "http://portal.example/cards",
            "secret": SecretRef("env:ORDERWIRE_TEST_PUSH"),
            **more,
        }
        return push.build(
            push.PushSettings.model_validate(facts), transport=httpx.MockTransport(self), clock=HeldClock()
        )

    def shown(self) -> dict[str, list[str]]:
        """Customer -> names, as somebody who minds `version` shows them."""
        latest: dict[str, dict[str, Any]] = {}
        for message in self.messages:
            data = message["data"]
            if data["version"] >= latest.get(data["customer"], {"version": 0})["version"]:
                latest[data["customer"]] = data
        return {
            number: [rep["name"] for rep in data["card"]["reps"]] for number, data in latest.items() if "card" in data
        }
