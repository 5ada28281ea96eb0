"""What `orderwire check` looks at in a shop. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.roles import Finding
from connectors.woocommerce.client import Answer, Client
from connectors.woocommerce.hooks import ORDER_TOPICS, live_secrets
from connectors.woocommerce.settings import WooCommerceSettings
from core.clock import Clock
from core.errors import OrderwireError, RetryLater

MAX_SKEW: Final = 120.0
_NEEDED: Final = ("order.created", "order.updated", "order.deleted")
_POLL: Final = "Orders still arrive by the poll."


class Checks:
    """Address, credentials, rights, version, clock, webhooks."""

    def __init__(self, client: Client, settings: WooCommerceSettings, clock: Clock) -> None:
        self._client, self._settings, self._clock = client, settings, clock

    def check(self) -> Sequence[Finding]:
        """All findings; when the shop cannot be read, only why."""
        try:
            answer = self._client.get_rows("orders.check", "orders", {"per_page": 1, "status": "any"})
        except OrderwireError as error:
            return [_problem("orders", error)]
        total = "" if answer.total is None else f" ({answer.total} there)"
        found = [Finding("orders", "ok", f"{self._settings.url} can be reached and its orders can be read{total}.")]
        return [*found, *self._plain_http(), *self._skew(answer), *self._version(), *self.webhooks()]

    def webhooks(self) -> Sequence[Finding]:
        """One finding per webhook of ours, and one for each topic that has none."""
        problem = self._secrets()
        if problem is not None:
            return [problem]
        try:
            answer = self._client.get_rows("webhooks.list", "webhooks", {"per_page": 100})
        except OrderwireError as error:
            if isinstance(error, RetryLater) and error.cause == "auth":
                message = "The key may not list webhooks, so nobody notices when the shop disables one."
                return [Finding("webhooks", "warning", message, "use the key of a user who may manage the shop.")]
            return [_problem("webhooks", error)]
        ours = [row for row in answer.body if isinstance(row, dict) and self._is_ours(row)]
        found = [self._hook(row) for row in ours]
        alive = {row.get("topic") for row in ours if row.get("status") == "active"}
        return [*found, *(self._missing(topic) for topic in _NEEDED if topic not in alive and not _has(ours, topic))]

    def _secrets(self) -> Finding | None:
        references = self._settings.webhook_secrets
        if not references:
            return Finding("webhooks", "ok", "None is expected (no webhook_secrets): this shop is only polled.")
        missing = len(references) - len(live_secrets(references))
        if missing:
            message = f"{missing} of {len(references)} webhook secrets cannot be read."
            return Finding("webhooks", "problem", message, "set the variables or files that webhook_secrets names.")
        return None

    def _is_ours(self, row: Mapping[str, Any]) -> bool:
        path = urlsplit(str(row.get("delivery_url") or "")).path.rstrip("/")
        return row.get("topic") in ORDER_TOPICS and path.endswith(f"/hooks/{self._settings.name}")

    def _hook(self, row: Mapping[str, Any]) -> Finding:
        topic, status, url = row.get("topic"), row.get("status"), row.get("delivery_url")
        subject = f"webhook {topic}"
        if status == "active":
            return Finding(subject, "ok", f"Active, delivers to {url}.")
        return Finding(
            subject,
            "problem",
            f"The shop has set it to {status}: it delivers nothing to {url}. WooCommerce disables a webhook after "
            f"a few failed deliveries and never tries again. {_POLL}",
            "in WooCommerce > Settings > Advanced > Webhooks open it and set its status to Active.",
        )

    def _missing(self, topic: str) -> Finding:
        return Finding(
            f"webhook {topic}",
            "warning",
            f"No webhook of this topic delivers to /hooks/{self._settings.name}. {_POLL}",
            "in WooCommerce > Settings > Advanced > Webhooks add one with this topic, our address and the secret.",
        )

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


def _has(hooks: Sequence[Mapping[str, Any]], topic: str) -> bool:
    return any(row.get("topic") == topic for row in hooks)


def _problem(subject: str, error: OrderwireError) -> Finding:
    message, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", message, advice)
