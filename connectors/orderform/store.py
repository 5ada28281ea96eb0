"""The order form in the role of a store (connectors.roles.Store): it pushes, and cannot be asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from connectors.http import Http
from connectors.orderform.settings import OrderFormSettings
from connectors.orderform.signature import decode_secret, genuine, live_keys
from connectors.roles import Finding, Numbering, Page, Repair, Request
from core.clock import Clock, parse_utc
from core.errors import UNSIGNED, ConfigurationProblem, NotThere, Rejected
from core.jsontext import BOM, fingerprint, loads
from core.keys import Change, Key, content_hash
from mapping.canonical.order import SalesOrder
from mapping.fields import CustomFields, Mapped
from mapping.orderform import ID, MOMENT, FormOptions, order_from_orderform, read_from_orderform
from mapping.reading import clean
from mapping.stored import of_record, stored

SCHEMA: Final = Path(__file__).with_name("schema.json")


class OrderForm:
    """A shop that sends its orders in our own format. Safe to share between threads."""

    pollable = False

    def __init__(self, settings: OrderFormSettings, http: Http | None, clock: Clock) -> None:
        self.name = settings.name
        self._settings = settings
        self._options = FormOptions(
            connection=settings.name,
            fields=CustomFields(settings.fields, region=settings.region),
            channel=settings.channel,
        )

    def close(self) -> None:
        """Nothing is open."""

    def accepts_deliveries(self) -> bool:
        return bool(live_keys(self._settings.webhook_secrets))

    def receive(self, request: Request) -> Sequence[Change]:
        keys = live_keys(self._settings.webhook_secrets)
        if not keys:
            message = "This connection takes no deliveries. What to do: set webhook_secrets."
            raise Rejected(message, status=404, reason="no secret")
        if not genuine(request.headers, request.body, keys, request.received_at):
            raise Rejected(
                "The delivery is not signed as Standard Webhooks want it, with another secret, or more than five minutes "
                "ago. What to do: compare the secret in the shop with webhook_secrets, and both clocks.",
                status=401,
                reason="signature",
                detail="" if request.headers.get("webhook-signature") else UNSIGNED,
            )
        return (self._change(request),)

    def _change(self, request: Request) -> Change:
        digest = content_hash(request.body)
        dedupe = f"{content_hash(request.headers['webhook-id'].encode('utf-8', 'replace'))[:32]}:{digest}"
        try:
            body = loads(request.body.removeprefix(BOM))
        except ValueError as error:
            return self._unreadable(request, digest, dedupe, f"is not JSON ({str(error)[:120]})")
        order = body.get("order") if isinstance(body, dict) else None
        if not isinstance(order, dict):
            return self._unreadable(request, digest, dedupe, "has no `order`")
        order_id = _id_of(order)
        if not order_id:
            return self._unreadable(request, digest, dedupe, "has no usable `order.id`")
        stamp = _stamp_of(order)
        if stamp is None:
            return self._unreadable(request, digest, dedupe, "has no usable `order.updated_at`")
        number = order.get("number")
        return Change(
            key=Key(self.name, "order", order_id),
            stamp=stamp,
            raw=request.body,
            dedupe=dedupe,
            number=clean(number).strip()[:100] if isinstance(number, str) else order_id,
            topic="order",
            content=fingerprint(body),
            rush=order.get("rush") is True,
        )

    def _unreadable(self, request: Request, digest: str, dedupe: str, what: str) -> Change:
        return Change(
            key=Key(self.name, "delivery", digest),
            stamp=None,
            raw=request.body,
            dedupe=dedupe,
            problem=(
                f"A delivery with a valid signature {what}. What to do: have the shop's developer compare it with the "
                f"schema at /hooks/{self.name}/schema, then send the order again."
            ),
            topic="order",
        )

    def changes_since(self, cursor: str | None, *, until: datetime | None = None) -> Iterator[Page]:
        return iter(())

    def orders_between(self, since: datetime, until: datetime) -> Iterator[Page]:
        return iter(())

    def fetch(self, key: Key) -> Change:
        """Always raises: the last state that was sent is all there is."""
        raise NotThere(
            f"{key}: an order form cannot be asked. What to do: have the shop send the order again.", detail="push only"
        )

    def find_by_number(self, number: str) -> Change | None:
        return None

    def order(self, key: Key, raw: bytes) -> SalesOrder:
        body = stored(raw, "have the shop send the order again")
        return of_record(key, order_from_orderform(body, self._options), "order.id")

    def read(self, value: Mapping[str, Any]) -> SalesOrder:
        return read_from_orderform(value, self._options)

    def custom(self, value: Mapping[str, Any]) -> Sequence[Mapped]:
        inner = value.get("order")
        return self._options.fields.explained(inner if isinstance(inner, dict) else {})

    def check(self) -> Sequence[Finding]:
        references = self._settings.webhook_secrets
        if not references:
            message = "No webhook_secrets: this connection takes no deliveries (404)."
            return [Finding("secrets", "problem", message, "set webhook_secrets to one `env:NAME` or `file:/path`.")]
        found = []
        for number, reference in enumerate(references, 1):
            try:
                decode_secret(reference.get())
            except ConfigurationProblem as error:
                message, _, advice = error.message.partition(" What to do: ")
                found.append(Finding(f"secret {number}", "problem", message, advice))
            else:
                found.append(Finding(f"secret {number}", "ok", "Can be read."))
        return found

    def webhook_status(self) -> Sequence[Finding]:
        return ()

    def repairs(self, *, renew_secret: bool = False) -> Sequence[Repair]:
        """The shop's developer holds the other end."""
        return ()

    def repair(self, repair: Repair) -> Finding:
        raise ConfigurationProblem(
            f"Nothing can be changed in {self.name} from here. What to do: have the shop's developer do it."
        )

    def numbering(self, key: Key, number: str) -> Numbering:
        return self._settings.numbers

    def schema(self) -> Mapping[str, Any] | None:
        return _schema()


@cache
def _schema() -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def _id_of(order: Mapping[str, Any]) -> str:
    value = order.get("id")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and re.fullmatch(ID, text) else ""


def _stamp_of(order: Mapping[str, Any]) -> datetime | None:
    value = order.get("updated_at")
    if not isinstance(value, str) or not re.fullmatch(MOMENT, value):
        return None
    try:
        return parse_utc(value)
    except (ValueError, OverflowError):
        return None
