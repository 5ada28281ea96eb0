"""The web-store order form: signed JSON in our own documented format, for shops without a platform. Nothing to ask."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Observer
from connectors.orderform.settings import OrderFormSettings
from connectors.orderform.store import OrderForm
from core.clock import Clock

ROLE: Final = "store"
SETTINGS: Final = OrderFormSettings


def build(
    settings: OrderFormSettings,
    transport: httpx.BaseTransport | None = None,  # noqa: ARG001 - every connector is built alike
    observe: Observer | None = None,  # noqa: ARG001
    budget: Budget | None = None,  # noqa: ARG001
    clock: Clock | None = None,
) -> OrderForm:
    """A connector ready to use; it never calls out, so transport, observer and budget stay unused."""
    return OrderForm(settings, None, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "OrderForm", "OrderFormSettings", "build"]
