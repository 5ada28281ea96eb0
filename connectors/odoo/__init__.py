"""Odoo as an ERP, over JSON-2 (19 and later) or JSON-RPC (16 and later). Nothing is ever written there."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Timeouts
from connectors.odoo.client import OVERRIDES, Client
from connectors.odoo.erp import Odoo
from connectors.odoo.settings import OdooSettings
from core.clock import Clock

ROLE: Final = "erp"
SETTINGS: Final = OdooSettings


def build(
    settings: OdooSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> Odoo:
    """A connector ready to use. Calls nobody, and reads no secret yet."""
    options = HttpOptions(
        base_url=f"{settings.url}/",
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        overrides=OVERRIDES,
        headers={"Accept": "application/json"},
        verify_tls=settings.verify_tls,
    )
    http = Http(settings.name, options, budget=budget, observe=observe, transport=transport)
    return Odoo(settings, Client(settings, http), clock or Clock())


__all__ = ["ROLE", "SETTINGS", "Odoo", "OdooSettings", "build"]
