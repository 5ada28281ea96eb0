"""Webhooks: verify over the raw bytes, take out key, stamp and raw. No mapping.

Seen on the wire (WooCommerce 10.0.2): creating a webhook sends an unsigned, form-encoded ping `webhook_id=N` that
must get 200; `X-WC-Webhook-Delivery-ID` repeats across different orders, so nothing here looks at it; topic headers
are not signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from connectors.roles import Request
from connectors.woocommerce.changes import content_of, id_of, is_order, may_be_order, moment_of, number_of
from core.errors import UNSIGNED, ConfigurationProblem, Rejected
from core.jsontext import BOM, loads
from core.keys import Change, Key, content_hash
from core.secrets import SecretRef

SIGNATURE: Final = "x-wc-webhook-signature"
TOPIC: Final = "x-wc-webhook-topic"
_PING: Final = re.compile(rb"webhook_id=[0-9]{1,19}")
_TOPIC: Final = re.compile(r"[a-z0-9_]{1,40}\.[a-z0-9_.]{1,60}")
# Their body may be `{"id": 13}` or a state from before the deed: hints, the state itself is fetched.
_HINTS: Final = {"order.deleted": True, "order.restored": False}
ORDER_TOPICS: Final = ("order.created", "order.updated", "order.deleted", "order.restored")


def live_secrets(references: Sequence[SecretRef]) -> list[bytes]:
    """The secrets that can be read and are not empty."""
    found = []
    for reference in references:
        try:
            found.append(reference.get().encode())
        except ConfigurationProblem:
            continue  # `check` names it; the others stay valid
    return found


def _no_hurry(_order: object) -> bool:
    return False


def receive(
    connection: str, request: Request, references: Sequence[SecretRef], rush: Callable[[object], bool] = _no_hurry
) -> Sequence[Change]:
    """The changes that a delivery tells of; none for a ping. `rush`: whether an order is one. Raises `Rejected` and nothing
    else.
    """
    secrets = live_secrets(references)
    if not secrets:
        raise Rejected(
            "This connection takes no deliveries. What to do: set webhook_secrets.", status=404, reason="no secret"
        )
    signature = request.headers.get(SIGNATURE)
    if signature is None and TOPIC not in request.headers and _PING.fullmatch(request.body):
        return ()
    _verify(signature, request.body, secrets)
    return (_change(connection, request, rush),)


def sign(secret: bytes, body: bytes) -> bytes:
    """The signature that WooCommerce sends: base64 of HMAC-SHA256 over the body."""
    return base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())


def _verify(signature: str | None, body: bytes, secrets: Sequence[bytes]) -> None:
    if not signature:
        raise _rejected("carries no signature", UNSIGNED)
    given = signature.encode("utf-8", "replace")
    # Every secret is tried, so that the time does not tell which one is right.
    if not any([hmac.compare_digest(sign(secret, body), given) for secret in secrets]):  # noqa: C419
        raise _rejected("is signed with another secret")


def _rejected(what: str, detail: str = "") -> Rejected:
    return Rejected(
        f"The delivery {what}. What to do: use the same secret in the shop's webhook and in webhook_secrets.",
        status=401,
        reason="signature",
        detail=detail,
    )


def _change(connection: str, request: Request, rush: Callable[[object], bool]) -> Change:
    topic = request.headers.get(TOPIC, "")
    topic = topic if _TOPIC.fullmatch(topic) else ""
    digest = content_hash(request.body)
    try:
        body = loads(request.body.removeprefix(BOM))
    except ValueError as error:
        return _unreadable(connection, request, digest, topic, f"is not JSON ({str(error)[:120]})")
    kind = topic.partition(".")[0]
    record_id = id_of(body)
    if not isinstance(body, dict) or record_id is None:
        return _unreadable(connection, request, digest, topic, "has no id")
    if topic in _HINTS:
        return _hint(connection, request, record_id, body, topic)
    if not kind and is_order(body):
        kind = "order"
    if not kind or (kind == "order" and not may_be_order(body)):
        return _unreadable(connection, request, digest, topic, "is not an order")
    stamp = moment_of(body)
    return Change(
        key=Key(connection, kind, str(record_id)),
        stamp=stamp,
        raw=request.body,
        dedupe=f"{topic}:{record_id}:{stamp.isoformat() if stamp else '-'}:{digest}",
        number=number_of(body),
        topic=topic,
        deleted=body.get("status") == "trash",
        content=content_of(body),
        rush=kind == "order" and rush(body),
    )


def _hint(connection: str, request: Request, record_id: int, body: dict[str, Any], topic: str) -> Change:
    stamp = moment_of(body)
    # `{"id": 13}` says the same at every deletion: without a stamp, only repetitions within a minute are one delivery.
    when = stamp or request.received_at.replace(second=0, microsecond=0)
    return Change(
        key=Key(connection, "order", str(record_id)),
        stamp=stamp,
        raw=None,
        dedupe=f"{topic}:{record_id}:{when.isoformat()}:{content_hash(request.body)}",
        number=number_of(body),
        topic=topic,
        deleted=_HINTS[topic],
    )


def _unreadable(connection: str, request: Request, digest: str, topic: str, what: str) -> Change:
    return Change(
        key=Key(connection, "delivery", digest),
        stamp=None,
        raw=request.body,
        dedupe=f"{topic}:{digest}",
        problem=(
            f"A delivery with a valid signature {what}. What to do: look at its text; if an order is meant, "
            "have the store send it again, or fetch it by its number."
        ),
        topic=topic,
    )
