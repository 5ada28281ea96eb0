"""Posts messages as signed JSON: {"type": "orderwire.alert", "timestamp": ..., "data": {...}}."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.http import Http
from connectors.roles import Finding, Message
from connectors.signing import check_secret, signed
from connectors.webhook.settings import WebhookSettings
from core.clock import Clock


class WebhookNotifier:
    """One address. The receiver verifies the signature and drops what it has seen (`webhook-id`)."""

    def __init__(self, settings: WebhookSettings, http: Http, clock: Clock) -> None:
        self.name = settings.name
        self._settings = settings
        self._http = http
        self._clock = clock

    def close(self) -> None:
        self._http.close()

    def send(self, message: Message) -> None:
        now = self._clock.now()
        body = json.dumps(
            {
                "type": "orderwire.alert",
                "timestamp": now.isoformat(),
                "data": {"subject": message.subject, "text": message.text, **message.data},
            },
            ensure_ascii=False,
        )
        headers = signed(self.name, self._settings.secret, message.id, now, body)
        self._http.write("notify", "POST", self._settings.url, content=body.encode(), headers=headers)

    def check(self) -> Sequence[Finding]:
        return check_secret(self.name, self._settings.secret)
