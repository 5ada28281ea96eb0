"""vtiger CRM 7 and 8 (SalesPlatform is a 7) over its web service."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Timeouts
from connectors.vtiger.client import OVERRIDES
from connectors.vtiger.crm import VtigerCrm
from connectors.vtiger.settings import VtigerSettings
from core.clock import Clock

SETTINGS: Final = VtigerSettings
ROLE: Final = "crm"


def build(
    settings: VtigerSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> VtigerCrm:
    """The connector with its own transport; `transport` is a test's."""
    options = HttpOptions(
        base_url=settings.url,
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        overrides=OVERRIDES,
        verify_tls=settings.verify_tls,
    )
    http = Http(settings.name, options, budget=budget, observe=observe, transport=transport)
    return VtigerCrm(settings, http, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "VtigerCrm", "VtigerSettings", "build"]
