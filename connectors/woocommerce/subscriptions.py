"""The shop's webhooks that deliver to us: how they stand, and what brings them back.

Seen on the wire: a webhook's secret is taken and never shown again; after seven failed deliveries in a row the shop sets the
webhook to `disabled` and leaves it so. Creating one (POST) is recorded; changing one (PUT, which the recorded answer allows)
follows WooCommerce's documentation, so its answer is compared with what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.roles import Finding, Repair
from connectors.woocommerce.client import Client
from connectors.woocommerce.hooks import ORDER_TOPICS, live_secrets
from connectors.woocommerce.settings import WooCommerceSettings
from core.errors import ConfigurationProblem, OrderwireError, RetryLater

NEEDED: Final = ("order.created", "order.updated", "order.deleted")
_POLL: Final = "Orders still arrive by the poll."
_PLACE: Final = "WooCommerce > Settings > Advanced > Webhooks"

Row = Mapping[str, Any]


class Subscriptions:
    """The webhooks of one shop. Everything but `repair` only reads."""

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client, self._settings = client, settings

    def status(self) -> Sequence[Finding]:
        """One finding per webhook of ours, and one for each topic that has none."""
        problem = self._secrets()
        if problem is not None:
            return [problem]
        try:
            ours = self._ours()
        except OrderwireError as error:
            if isinstance(error, RetryLater) and error.cause == "auth":
                message = "The key may not list webhooks, so nobody notices when the shop disables one."
                return [Finding("webhooks", "warning", message, "use the key of a user who may manage the shop.")]
            return [finding_of("webhooks", error)]
        served = {row.get("topic") for row in ours if self._works(row)}
        told = {row.get("topic") for row in ours}
        found = [self._hook(row, served) for row in ours]
        return [*found, *(self._missing(topic) for topic in NEEDED if topic not in told)]

    def repairs(self, *, renew_secret: bool) -> Sequence[Repair]:
        """What would bring the deliveries back: for each topic at most one. Empty for a shop that is only polled.

        `renew_secret`: webhooks that work otherwise get our secret anew. Raises ConfigurationProblem where our own address
        or our secret is not known.
        """
        if not self._settings.webhook_secrets:
            return ()
        ours = self._ours()
        served = {str(row["topic"]) for row in ours if self._works(row)}
        topics = [*NEEDED, *sorted({str(row["topic"]) for row in ours} - set(NEEDED))]
        wanted = [topic for topic in topics if renew_secret or topic not in served]
        if not wanted:
            return ()
        address = self._address(ours)
        self._settings.webhook_secrets[0].get()  # said now rather than after a question
        return [self._repair_of(topic, self._best(ours, topic), address) for topic in wanted]

    def repair(self, repair: Repair) -> Finding:
        """Write it to the shop. Raises ConfigurationProblem where the key may not."""
        step = repair.step
        asked = {**step["body"], "secret": self._settings.webhook_secrets[0].get()}
        row = self._client.send(step["operation"], step["method"], step["path"], asked)
        kept = row if isinstance(row, dict) else {}
        differing = [
            name for name in ("status", "topic", "delivery_url") if name in asked and kept.get(name) != asked[name]
        ]
        if kept.get("status") != "active" or differing:
            message = f"The shop answered, but kept something else ({', '.join(differing) or 'status'})."
            return Finding(repair.subject, "problem", message, f"see the webhook in {_PLACE}.")
        return Finding(repair.subject, "ok", f"Active, delivers to {kept.get('delivery_url')}.")

    # -- looking -------------------------------------------------------------------------------------------------------

    def _secrets(self) -> Finding | None:
        references = self._settings.webhook_secrets
        if not references:
            return Finding("webhooks", "ok", "None is expected (no webhook_secrets): this shop is only polled.")
        missing = len(references) - len(live_secrets(references))
        if missing:
            message = f"{missing} of {len(references)} webhook secrets cannot be read."
            return Finding("webhooks", "problem", message, "set the variables or files that webhook_secrets names.")
        return None

    def _ours(self) -> list[Row]:
        answer = self._client.get_rows("webhooks.list", "webhooks", {"per_page": 100})
        return [row for row in answer.body if isinstance(row, dict) and self._is_ours(row)]

    def _is_ours(self, row: Row) -> bool:
        """By its path; where we know our address, also what goes to our machine and to none of its other connections."""
        if row.get("topic") not in ORDER_TOPICS:
            return False
        url = urlsplit(str(row.get("delivery_url") or ""))
        if url.path.rstrip("/").endswith(self._path):
            return True
        us = urlsplit(self._settings.deliver_to)
        return bool(us.netloc) and url.netloc == us.netloc and "/hooks/" not in url.path

    @property
    def _path(self) -> str:
        return f"/hooks/{self._settings.name}"

    @property
    def _wanted(self) -> str:
        """Where deliveries are to go; "" where nobody told us our own address."""
        return f"{self._settings.deliver_to}{self._path}" if self._settings.deliver_to else ""

    def _goes_astray(self, row: Row) -> bool:
        return bool(self._wanted) and str(row.get("delivery_url") or "").rstrip("/") != self._wanted

    def _works(self, row: Row) -> bool:
        return row.get("status") == "active" and not self._goes_astray(row)

    def _hook(self, row: Row, served: set[object]) -> Finding:
        topic, status, url = row.get("topic"), row.get("status"), row.get("delivery_url")
        subject = f"webhook {topic}"
        if self._works(row):
            return Finding(subject, "ok", f"Active, delivers to {url}.")
        if topic in served:
            message = f"Another webhook of this topic works; this one ({status}, {url}) is left over."
            return Finding(subject, "warning", message, f"delete it in {_PLACE}.")
        astray = f" It delivers to {url}; we are at {self._wanted}." if self._goes_astray(row) else ""
        mend = "run `orderwire doctor --mend`, or"
        if status == "active":
            return Finding(subject, "problem", f"{astray.strip()} {_POLL}", f"{mend} correct its address in {_PLACE}.")
        return Finding(
            subject,
            "problem",
            f"The shop has set it to {status}: it delivers nothing to {url}. WooCommerce disables a webhook after "
            f"a few failed deliveries and never tries again.{astray} {_POLL}",
            f"{mend} in {_PLACE} open it and set its status to Active.",
        )

    def _missing(self, topic: str) -> Finding:
        return Finding(
            f"webhook {topic}",
            "warning",
            f"No webhook of this topic delivers to {self._path}. {_POLL}",
            f"run `orderwire doctor --mend`, or in {_PLACE} add one with this topic, our address and the secret.",
        )

    # -- mending -------------------------------------------------------------------------------------------------------

    def _address(self, ours: Sequence[Row]) -> str:
        """The configured one, else that of a webhook which a person once set up."""
        if self._wanted:
            return self._wanted
        known = sorted(ours, key=lambda row: row.get("status") != "active")
        if known:
            return str(known[0]["delivery_url"])
        raise ConfigurationProblem(
            f"Nobody told us under which address {self._settings.name} reaches us. "
            'What to do: set deliver_to = "https://..." at this connection, without /hooks.'
        )

    def _best(self, ours: Sequence[Row], topic: str) -> Row | None:
        """The webhook of this topic to mend: one that works, else one with the right path, else the newest."""
        mine = [row for row in ours if row.get("topic") == topic and isinstance(row.get("id"), int)]
        return max(mine, key=lambda row: (self._works(row), not self._goes_astray(row), row["id"]), default=None)

    def _repair_of(self, topic: str, row: Row | None, address: str) -> Repair:
        subject = f"webhook {topic}"
        if row is None:
            # Names and order of fields as recorded.
            body = {"name": f"Orderwire {topic}", "topic": topic, "delivery_url": address}
            step = {"operation": "webhooks.create", "method": "POST", "path": "webhooks", "body": body}
            return Repair(subject, f"create it, delivering to {address}, with our secret", step)
        body = {"status": "active", "delivery_url": address}
        step = {"operation": "webhooks.update", "method": "PUT", "path": f"webhooks/{row['id']}", "body": body}
        was = f"it is {row.get('status')}, delivers to {row.get('delivery_url')}"
        return Repair(
            subject, f"set webhook {row['id']} to active, delivering to {address}, with our secret ({was})", step
        )


def finding_of(subject: str, error: OrderwireError) -> Finding:
    """A failure as a line of `check`."""
    message, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", message, advice)
