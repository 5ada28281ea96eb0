"""Posts messages as signed JSON: {"type": "orderwire.alert", "timestamp": ..., "data": {...}}."""

from __future__ import annotations

import json
from collections.abc import Sequence

from standardwebhooks import Webhook

from connectors.http import Http
from connectors.roles import Finding, Message
from connectors.webhook.settings import WebhookSettings
from core.clock import Clock
from core.errors import ConfigurationProblem


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
        headers = {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer().sign(message.id, now, body),
        }
        self._http.write("notify", "POST", self._settings.url, content=body.encode(), headers=headers)

    def _signer(self) -> Webhook:
        try:
            return Webhook(self._settings.secret.get())
        except (ValueError, RuntimeError):
            raise ConfigurationProblem(
                f"The secret of {self.name} is not one of Standard Webhooks. "
                "What to do: write whsec_ and 24 to 64 random bytes in base64."
            ) from None

    def check(self) -> Sequence[Finding]:
        try:
            self._signer()
        except ConfigurationProblem as error:
            text, _, advice = error.message.partition(" What to do: ")
            return [Finding("secret", "problem", text, advice)]
        return [Finding("secret", "ok", "Can be read. Nothing was sent.")]
