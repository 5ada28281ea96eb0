"""An outgoing webhook as a notifier: Standard Webhooks, signed."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Timeouts
from connectors.webhook.notifier import WebhookNotifier
from connectors.webhook.settings import WebhookSettings
from core.clock import Clock

ROLE: Final = "notifier"
SETTINGS: Final = WebhookSettings


def build(
    settings: WebhookSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> WebhookNotifier:
    """A notifier ready to use. Calls nobody, reads no secret yet."""
    options = HttpOptions(base_url=settings.url, timeouts=Timeouts(settings.connect_timeout, settings.read_timeout))
    http = Http(settings.name, options, budget=budget, observe=observe, transport=transport)
    return WebhookNotifier(settings, http, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "WebhookNotifier", "WebhookSettings", "build"]
