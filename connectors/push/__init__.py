"""Any system that takes the cards of customers by HTTP, one by one: Standard Webhooks, signed."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Timeouts
from connectors.push.portal import OVERRIDES, PushPortal
from connectors.push.settings import PushSettings
from core.clock import Clock

ROLE: Final = "portal"
SETTINGS: Final = PushSettings


def build(
    settings: PushSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> PushPortal:
    """A portal ready to use. Calls nobody, reads no secret yet."""
    options = HttpOptions(
        base_url=settings.url,
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        overrides=OVERRIDES,
        verify_tls=settings.verify_tls,
    )
    http = Http(settings.name, options, budget=budget, observe=observe, transport=transport)
    return PushPortal(settings, http, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "PushPortal", "PushSettings", "build"]
