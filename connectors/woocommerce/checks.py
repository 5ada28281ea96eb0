"""What `orderwire check` looks at in a shop. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from connectors.roles import Finding
from connectors.woocommerce.client import Answer, Client
from connectors.woocommerce.settings import WooCommerceSettings
from connectors.woocommerce.subscriptions import Subscriptions, finding_of
from core.clock import Clock
from core.errors import OrderwireError

MAX_SKEW: Final = 120.0


class Checks:
    """Address, credentials, rights, version, clock, webhooks."""

    def __init__(
        self, client: Client, settings: WooCommerceSettings, subscriptions: Subscriptions, clock: Clock
    ) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._subscriptions = subscriptions

    def check(self) -> Sequence[Finding]:
        """All findings; when the shop cannot be read, only why."""
        try:
            answer = self._client.get_rows("orders.check", "orders", {"per_page": 1, "status": "any"})
        except OrderwireError as error:
            return [finding_of("orders", error)]
        total = "" if answer.total is None else f" ({answer.total} there)"
        found = [Finding("orders", "ok", f"{self._settings.url} can be reached and its orders can be read{total}.")]
        return [*found, *self._plain_http(), *self._skew(answer), *self._version(), *self._subscriptions.status()]

    def _plain_http(self) -> list[Finding]:
        if not self._settings.url.startswith("http://") or urlsplit(self._settings.url).hostname in {
            "127.0.0.1",
            "localhost",
        }:
            return []
        message = "The shop is read over plain HTTP: orders and customers' data travel unencrypted."
        return [Finding("encryption", "warning", message, "use the shop's https address.")]

    def _skew(self, answer: Answer) -> list[Finding]:
        if answer.server_time is None:
            return []
        skew = (answer.server_time - self._clock.now()).total_seconds()
        if abs(skew) <= MAX_SKEW:
            return [Finding("clock", "ok", f"The shop's clock and ours differ by {abs(skew):.0f} s.")]
        message = f"The shop's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours."
        return [Finding("clock", "warning", message, "let both machines set their clocks by NTP.")]

    def _version(self) -> list[Finding]:
        fields = "environment.version,environment.wp_version,settings"
        try:
            answer = self._client.get("status.get", "system_status", {"_fields": fields})
        except OrderwireError:
            return [Finding("version", "ok", "Unknown: the key may not read the system status. Nothing depends on it.")]
        body = answer.body if isinstance(answer.body, dict) else {}
        environment = body.get("environment")
        version = environment.get("version") if isinstance(environment, dict) else None
        return [Finding("version", "ok", f"WooCommerce {version or 'of unknown version'}.")]
