"""Tryton as an ERP, over the JSON-RPC that its own clients speak. Nothing is ever written there."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Timeouts
from connectors.tryton.client import OVERRIDES, Client
from connectors.tryton.erp import Tryton
from connectors.tryton.settings import TrytonSettings
from core.clock import Clock

ROLE: Final = "erp"
SETTINGS: Final = TrytonSettings


def build(
    settings: TrytonSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> Tryton:
    """A connector ready to use. Calls nobody, and reads no secret yet."""
    options = HttpOptions(
        base_url=f"{settings.url}/",
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        overrides=OVERRIDES,
        headers={"Accept": "application/json"},
        verify_tls=settings.verify_tls,
    )
    http = Http(settings.name, options, budget=budget, observe=observe, transport=transport)
    return Tryton(settings, Client(settings, http), clock or Clock())


__all__ = ["ROLE", "SETTINGS", "Tryton", "TrytonSettings", "build"]
