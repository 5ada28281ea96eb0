"""WooCommerce as a store: webhooks in, REST v3 for everything that has to be asked."""

from __future__ import annotations

from typing import Final

import httpx

from connectors.http import Budget, Http, HttpOptions, Observer, Outcome, Timeouts
from connectors.woocommerce.auth import OAuth1, auth_for
from connectors.woocommerce.settings import WooCommerceSettings
from connectors.woocommerce.store import WooCommerce
from core.clock import Clock

ROLE: Final = "store"
SETTINGS: Final = WooCommerceSettings


def build(
    settings: WooCommerceSettings,
    transport: httpx.BaseTransport | None = None,
    observe: Observer | None = None,
    budget: Budget | None = None,
    clock: Clock | None = None,
) -> WooCommerce:
    """A connector ready to use. Calls nobody, and reads no secret yet."""
    options = HttpOptions(
        base_url=f"{settings.url}/wp-json/wc/v3/",
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        # A missing record and a missing REST interface are both 404: the body tells which. A redirect means a wrong
        # `url`. Both are sorted out in client.py.
        overrides=dict.fromkeys((301, 302, 303, 307, 308, 404), Outcome.OK),
        headers={"Accept": "application/json"},
        verify_tls=settings.verify_tls,
    )
    http = Http(settings.name, options, auth=auth_for(settings), budget=budget, observe=observe, transport=transport)
    return WooCommerce(settings, http, clock or Clock())


__all__ = ["ROLE", "SETTINGS", "OAuth1", "WooCommerce", "WooCommerceSettings", "build"]
