"""A WooCommerce face over recorded order documents: REST v3, its authentication, and its webhook deliveries.

What it answers was seen on WooCommerce 10.0.2. Orders are the shop's own JSON, handed in whole.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import httpx
from oauthlib.oauth1.rfc5849 import signature as oauth
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

VERSION = "10.0.2"
AGENT = f"WooCommerce/{VERSION} Hookshot (WordPress/6.8.2)"
_SOURCE = "https://shop.example/"
_CLOCK_SECONDS = 15 * 60
MOST_FAILURES = 7
_HOOKS = {
    "order.created": ["woocommerce_new_order"],
    "order.updated": ["woocommerce_update_order", "woocommerce_order_refunded"],
    "order.deleted": ["wp_trash_post", "woocommerce_trash_order"],
}
_VERIFIERS = {"HMAC-SHA1": oauth.verify_hmac_sha1, "HMAC-SHA256": oauth.verify_hmac_sha256}
_ORDER_BY = {"date": "date_created_gmt", "modified": "date_modified_gmt", "id": "id"}


@dataclass(slots=True)
class WooShop:
    """The shop behind the face. `basic_over_http`: real shops take Basic over TLS (or a proxy that says so) only.
    `refunds` by order id; `webhooks` as the shop lists them, `secrets` and `failures` (in a row) by their id. `writable`: the key
    has the permission Read/Write.
    """

    consumer_key: str = "ck_sandbox"
    consumer_secret: str = "cs_sandbox"  # noqa: S105 (made up, for a stand-in)
    basic_over_http: bool = False
    orders: dict[int, Json] = field(default_factory=dict)
    refunds: dict[int, list[Json]] = field(default_factory=dict)
    webhooks: list[Json] = field(default_factory=list)
    secrets: dict[int, str] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)
    writable: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    nonces: set[tuple[str, str]] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def put(self, order: Json, refunds: Iterable[Json] | None = None) -> None:
        """Add an order, or put a newer version in its place."""
        with self.lock:
            self.orders[int(order["id"])] = order
            if refunds is not None:
                self.refunds[int(order["id"])] = list(refunds)

    def announce(self, topic: str, order: Json) -> list[int]:
        """Deliver to every live webhook of this topic, once and never again; the statuses (0: nobody there). What fails
        seven times in a row is disabled, as it was seen on the wire.
        """
        statuses = []
        for hook in [hook for hook in self.webhooks if hook["status"] == "active" and hook["topic"] == topic]:
            id = int(hook["id"])
            status = _post(hook["delivery_url"], *delivery(order, topic, self.secrets.get(id, ""), webhook_id=id))
            statuses.append(status)
            self.failures[id] = 0 if 200 <= status < 300 else self.failures.get(id, 0) + 1
            if self.failures[id] >= MOST_FAILURES:
                hook["status"] = "disabled"
        return statuses

    def subscribe(self, wanted: Json) -> Json:
        """A new webhook as the shop shows it, never with its secret; the other side is pinged."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        with self.lock:
            id = max((int(hook["id"]) for hook in self.webhooks), default=0) + 1
            resource, _, event = wanted["topic"].partition(".")
            hook = {
                "id": id,
                "name": wanted.get("name", ""),
                "status": wanted.get("status", "active"),
                "topic": wanted["topic"],
                "resource": resource,
                "event": event,
                "hooks": _HOOKS.get(wanted["topic"], []),
                "delivery_url": wanted["delivery_url"],
                "date_created": now,
                "date_created_gmt": now,
                "date_modified": None,
                "date_modified_gmt": None,
            }
            self.webhooks.append(hook)
            self.secrets[id] = wanted.get("secret", "")
        _post(hook["delivery_url"], *ping(id))
        return hook

    def change(self, hook: Json, wanted: Json) -> Json:
        """Another status, address or secret. The count of failures stays until a delivery succeeds."""
        with self.lock:
            hook.update({name: wanted[name] for name in ("name", "status", "delivery_url") if name in wanted})
            if "secret" in wanted:
                self.secrets[int(hook["id"])] = wanted["secret"]
        return hook


# --- deliveries ----------------------------------------------------------------------------------------------------------


def delivery(
    order: Json, topic: str, secret: str, *, webhook_id: int = 1, at: datetime | None = None, source: str = _SOURCE
) -> tuple[dict[str, str], bytes]:
    """Headers and raw body of one webhook delivery. The delivery id is the hash of webhook and second, so orders
    changed within one second share it, as with the real shop.
    """
    body = php_json(order)
    resource, _, event = topic.partition(".")
    second = int((at or datetime.now(UTC)).timestamp())
    headers = {
        "User-Agent": AGENT,
        "Accept": "*/*",
        "Content-Type": "application/json",
        "X-WC-Webhook-Source": source,
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": resource,
        "X-WC-Webhook-Event": event,
        "X-WC-Webhook-Signature": base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode(),
        "X-WC-Webhook-ID": str(webhook_id),
        "X-WC-Webhook-Delivery-ID": hashlib.md5(f"{webhook_id}{second}".encode(), usedforsecurity=False).hexdigest(),
    }
    return headers, body


def ping(webhook_id: int = 1) -> tuple[dict[str, str], bytes]:
    """The unsigned form post that creating a webhook sends; it must get exactly 200."""
    headers = {"User-Agent": AGENT, "Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"}
    return headers, f"webhook_id={webhook_id}".encode()


def _post(url: str, headers: dict[str, str], body: bytes) -> int:
    try:
        with httpx.Client(timeout=5.0, trust_env=False, verify=False) as client:  # noqa: S501 - made-up data
            return client.post(url, content=body, headers=headers).status_code
    except httpx.HTTPError:
        return 0


def php_json(value: Any) -> bytes:
    """JSON as wp_json_encode writes it: no spaces, escaped slashes, ASCII only."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


# --- REST v3 -------------------------------------------------------------------------------------------------------------


def routes(shop: WooShop) -> list[Route]:
    """The face's addresses, and POST /sandbox/orders and /sandbox/webhooks to fill it."""
    face = Face(shop)
    base = "/wp-json/wc/v3"
    return [
        Route(f"{base}/orders", face.guarded(face.listing)),
        Route(f"{base}/orders/{{id}}", face.guarded(face.one)),
        Route(f"{base}/orders/{{id}}/refunds", face.guarded(face.order_refunds)),
        Route(f"{base}/webhooks", face.guarded(face.hooks), methods=["GET", "POST"]),
        Route(f"{base}/webhooks/{{id}}", face.guarded(face.hook), methods=["GET", "PUT"]),
        Route(f"{base}/system_status", face.guarded(face.status)),
        Route("/sandbox/orders", face.load, methods=["POST"]),
        Route("/sandbox/webhooks", face.load_hooks, methods=["POST"]),
    ]


class Face:
    """The handlers of the REST face."""

    def __init__(self, shop: WooShop) -> None:
        self.shop = shop

    def guarded(self, handler: Handler) -> Handler:
        """The handler behind the shop's authentication."""

        async def guarded(request: Request) -> Response:
            self.shop.calls.append(request.url.path)
            refused = self._refusal(request)
            if refused is None and request.method != "GET" and not self.shop.writable:
                refused = _unauthorised("The API key provided does not have write permissions.")
            return refused if refused is not None else await handler(request)

        return guarded

    async def listing(self, request: Request) -> Response:
        """Orders by page; `after`, `before` and the like are exclusive, trash is left out unless asked for by status."""
        query = request.query_params
        try:
            per_page, page = int(query.get("per_page", "10")), int(query.get("page", "1"))
        except ValueError:
            return _bad_parameter("per_page", "per_page is not of type integer.", "rest_invalid_type")
        if not 1 <= per_page <= 100:
            text = "per_page must be between 1 (inclusive) and 100 (inclusive)"
            return _bad_parameter("per_page", text, "rest_out_of_bounds")
        found = self._found(request)
        pages = math.ceil(len(found) / per_page)
        headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(pages)}
        if page < pages:
            following = {
                **{key: value for key, value in query.items() if not key.startswith("oauth_")},
                "page": page + 1,
            }
            headers["Link"] = f'<{request.url.replace(query=urlencode(following))}>; rel="next"'
        window = found[(page - 1) * per_page : page * per_page]
        return _json([_picked(order, query.get("_fields", "")) for order in window], headers=headers)

    def _found(self, request: Request) -> list[Json]:
        query = request.query_params
        wanted = {word for text in [*query.getlist("status"), *query.getlist("status[]")] for word in text.split(",")}
        include = {text for text in query.get("include", "").split(",") if text}
        suffix = "_gmt" if query.get("dates_are_gmt") in {"true", "1"} else ""
        with self.shop.lock:
            found = list(self.shop.orders.values())
        found = [order for order in found if _of_status(order, wanted)]
        if include:
            found = [order for order in found if str(order["id"]) in include]
        for name, column in (("modified_", f"date_modified{suffix}"), ("", f"date_created{suffix}")):
            after, before = (query.get(f"{name}{word}", "").removesuffix("Z") for word in ("after", "before"))
            found = [order for order in found if not after or str(order[column]) > after]
            found = [order for order in found if not before or str(order[column]) < before]
        key = _ORDER_BY.get(query.get("orderby", "date"), "date_created_gmt")
        found.sort(key=lambda order: (order[key], order["id"]), reverse=query.get("order", "desc") == "desc")
        return found

    async def one(self, request: Request) -> Response:
        order = self._order(request)
        return _json(_picked(order, request.query_params.get("_fields", ""))) if order else _no_such_order()

    async def order_refunds(self, request: Request) -> Response:
        order = self._order(request)
        return _json(self.shop.refunds.get(int(order["id"]), [])) if order else _no_such_order()

    async def hooks(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create_hook(await request.json())
        count = {"X-WP-Total": str(len(self.shop.webhooks)), "X-WP-TotalPages": "1" if self.shop.webhooks else "0"}
        return _json(self.shop.webhooks, headers=count)

    async def hook(self, request: Request) -> Response:
        found = next((hook for hook in self.shop.webhooks if str(hook["id"]) == request.path_params["id"]), None)
        if found is None:
            return _error(404, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.")
        return _json(self.shop.change(found, await request.json()) if request.method == "PUT" else found)

    async def _create_hook(self, wanted: Json) -> Response:
        for name in ("topic", "delivery_url"):
            if not wanted.get(name):
                return _error(400, "rest_missing_callback_param", f"Missing parameter(s): {name}", {"params": [name]})
        return _json(await run_in_threadpool(self.shop.subscribe, wanted), status=201)

    async def status(self, request: Request) -> Response:
        """The few facts of system_status that integrations read."""
        settings = {"currency": "EUR", "number_of_decimals": 2, "force_ssl": False, "HPOS_enabled": True}
        whole = {"environment": {"version": VERSION, "wp_version": "6.8.2"}, "settings": settings}
        return _json(_picked(whole, request.query_params.get("_fields", "")))

    async def load(self, request: Request) -> Response:
        """Load or change orders: {"orders": [<order>], "refunds": {"<id>": [...]}, "remove": [<id>]}."""
        wanted = await request.json()
        refunds = wanted.get("refunds", {})
        for order in wanted.get("orders", []):
            self.shop.put(order, refunds.get(str(order["id"])))
        for id in wanted.get("remove", []):
            self.shop.orders.pop(int(id), None)
        return JSONResponse({"orders": len(self.shop.orders)})

    async def load_hooks(self, request: Request) -> Response:
        """Set the list of webhooks: {"webhooks": [...]}."""
        self.shop.webhooks = (await request.json())["webhooks"]
        return JSONResponse({"webhooks": len(self.shop.webhooks)})

    def _order(self, request: Request) -> Json | None:
        id = request.path_params["id"]
        with self.shop.lock:
            return self.shop.orders.get(int(id)) if id.isdigit() and id.isascii() else None

    # --- authentication ------------------------------------------------------------------------------------------

    def _refusal(self, request: Request) -> Response | None:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        if kind.lower() == "basic" and (secure or self.shop.basic_over_http):
            wanted = f"{self.shop.consumer_key}:{self.shop.consumer_secret}".encode()
            given = base64.b64decode(value.encode("ascii", "ignore") + b"==")
            if hmac.compare_digest(given, wanted):
                return None
            return _error(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
        if "oauth_signature" in request.query_params or kind.lower() == "oauth":
            return self._oauth_refusal(request)
        return _error(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")

    def _oauth_refusal(self, request: Request) -> Response | None:
        """OAuth 1.0a with one leg: consumer key and secret, no token; parameters in the query or the header."""
        headers = {"Authorization": request.headers["authorization"]} if "authorization" in request.headers else {}
        found = oauth.collect_parameters(request.url.query, headers=headers, exclude_oauth_signature=False)
        given = dict(found)
        signed: Any = SimpleNamespace(
            uri=str(request.url),
            http_method=request.method,
            params=[(key, value) for key, value in found if key != "oauth_signature"],
            signature=given.get("oauth_signature", ""),
        )
        verify = _VERIFIERS.get(given.get("oauth_signature_method", ""))
        if given.get("oauth_consumer_key") != self.shop.consumer_key:
            return _unauthorised("Consumer key is invalid.")
        if verify is None:
            return _unauthorised("Invalid signature - signature method is invalid.")
        if not verify(signed, self.shop.consumer_secret, ""):
            return _unauthorised("Invalid signature - provided signature does not match.")
        return self._stale(given)

    def _stale(self, given: dict[str, str]) -> Response | None:
        at, nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
        if not at.isdigit() or abs(time.time() - int(at)) > _CLOCK_SECONDS:
            return _unauthorised("Invalid timestamp.")
        with self.shop.lock:
            if (at, nonce) in self.shop.nonces:
                return _unauthorised("Invalid nonce - nonce has already been used.")
            self.shop.nonces.add((at, nonce))
        return None


def _of_status(order: Json, wanted: set[str]) -> bool:
    status = str(order["status"])
    return status != "trash" if not wanted or "any" in wanted else status in wanted


def _picked(whole: Json, fields: str) -> Json:
    """WordPress' `_fields`: only these, nested ones with dots."""
    if not fields:
        return whole
    out: Json = {}
    for path in fields.split(","):
        name, _, rest = path.strip().partition(".")
        if name in whole:
            nested = isinstance(whole[name], dict) and rest
            out[name] = {**out.get(name, {}), **_picked(whole[name], rest)} if nested else whole[name]
    return out


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(php_json(value), status, headers, media_type="application/json")


def _error(status: int, code: str, message: str, data: Json | None = None) -> Response:
    return _json({"code": code, "message": message, "data": {"status": status, **(data or {})}}, status=status)


def _unauthorised(message: str) -> Response:
    return _error(401, "woocommerce_rest_authentication_error", message)


def _no_such_order() -> Response:
    return _error(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")


def _bad_parameter(name: str, message: str, code: str) -> Response:
    details = {name: {"code": code, "message": message, "data": None}}
    return _error(
        400, "rest_invalid_param", f"Invalid parameter(s): {name}", {"params": {name: message}, "details": details}
    )
