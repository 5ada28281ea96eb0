"""The stand-in store: an order form for people, the orders placed, and a WooCommerce face beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.catalogue import ARTICLES
from sandbox.pages import STATIC, environment, from_elsewhere, render
from sandbox.store import deliver, orders, totals, woo
from sandbox.store.orders import Kept, Shelf, Wrong

_TEMPLATES = environment("store")
_ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "resend": ("sent again", {}),
    "cancel": ("cancelled", {"status": "cancelled"}),
    "confirm": ("confirmed", {"status": "confirmed"}),
    "complete": ("completed", {"status": "completed"}),
    "pay": ("paid", {"payment_status": "paid"}),
    "ship": ("shipped", {}),
    "deliver": ("delivered", {}),
    "refund": ("refunded", {"payment_status": "refunded"}),
}
"""Buttons of an order: the word for the log, and what they change. `resend` changes nothing: a duplicate."""
_MOMENTS: dict[str, str] = {"pay": "paid_at", "ship": "shipped_at", "deliver": "delivered_at"}
"""Buttons that note when they were pressed first."""


class Store:
    """The handlers. `shelf` may be used directly by tests in the same process."""

    def __init__(self, hook: str, secret: str, crm_url: str) -> None:
        self.hook, self.secret, self.crm_url = hook, secret, crm_url.rstrip("/")
        self.shelf = Shelf()

    async def form(self, request: Request) -> Response:
        return self._form({}, {}, None)

    async def place(self, request: Request) -> Response:
        """The form was sent: keep the order, send it to the hook, show it."""
        if from_elsewhere(request):
            return Response("The form must come from this store's own page.", status_code=403)
        fields = await _fields(request)
        try:
            kept = self.shelf.place(fields)
        except Wrong as wrong:
            return self._form(fields, wrong.problems, None)
        await self._send(kept, "placed")
        return RedirectResponse(f"/orders/{kept.order['id']}", status_code=303)

    async def listing(self, request: Request) -> Response:
        rows = list(self.shelf.orders.values())[::-1]
        return render(_TEMPLATES, "orders.html", orders=rows, active="/orders", refresh=0)

    async def order(self, request: Request) -> Response:
        kept = self._kept(request)
        if kept is None:
            return render(_TEMPLATES, "gone.html", status=404, active="/orders", refresh=0)
        lines = [(line, totals.with_tax(line)) for line in kept.order["lines"]]
        document = json.dumps(kept.document, ensure_ascii=False, indent=2)
        context: dict[str, Any] = {"kept": kept, "order": kept.order, "lines": lines, "document": document}
        return render(_TEMPLATES, "order.html", **context, crm=f"{self.crm_url}/orders", active="/orders", refresh=0)

    async def edit(self, request: Request) -> Response:
        """The form of an order again; sending it makes a newer version of the same order."""
        kept = self._kept(request)
        if kept is None:
            return render(_TEMPLATES, "gone.html", status=404, active="/orders", refresh=0)
        if request.method == "GET":
            return self._form(kept.form, {}, kept)
        if from_elsewhere(request):
            return Response("The form must come from this store's own page.", status_code=403)
        fields = await _fields(request)
        try:
            self.shelf.edit(kept, fields)
        except Wrong as wrong:
            return self._form(fields, wrong.problems, kept)
        await self._send(kept, "changed")
        return RedirectResponse(f"/orders/{kept.order['id']}", status_code=303)

    async def act(self, request: Request) -> Response:
        """One of the buttons of an order."""
        kept = self._kept(request)
        word, changes = _ACTIONS.get(request.path_params["action"], ("", {}))
        if kept is None or not word:
            return render(_TEMPLATES, "gone.html", status=404, active="/orders", refresh=0)
        if from_elsewhere(request):
            return Response("The form must come from this store's own page.", status_code=403)
        action = request.path_params["action"]
        if moment := _MOMENTS.get(action):
            changes = {**changes, moment: kept.order[moment] or orders.stamp(datetime.now(UTC))}
        if action == "refund":
            changes = {**changes, "refunds": orders.refunded(kept.order)}
        if changes:
            self.shelf.mark(kept, **changes)
        await self._send(kept, word)
        return RedirectResponse(f"/orders/{kept.order['id']}", status_code=303)

    async def documents(self, request: Request) -> Response:
        """All order documents as JSON, for oracles."""
        return JSONResponse([kept.document for kept in self.shelf.orders.values()])

    def _kept(self, request: Request) -> Kept | None:
        return self.shelf.orders.get(request.path_params["id"])

    async def _send(self, kept: Kept, reason: str) -> None:
        kept.sent.append(await deliver.send(kept.document, self.hook, self.secret, reason))

    def _form(self, fields: Mapping[str, str], problems: dict[str, str], kept: Kept | None) -> Response:
        return render(
            _TEMPLATES,
            "form.html",
            status=422 if problems else 200,
            fields=fields,
            problems=problems,
            order=kept.order if kept else None,
            articles=ARTICLES,
            rows=range(1, orders.ROWS + 1),
            countries=orders.COUNTRIES,
            shipping=orders.SHIPPING,
            payment=orders.PAYMENT,
            currencies=list(totals.CURRENCIES),
            coupons=list(totals.COUPONS),
            active="" if kept else "/",
            refresh=0,
        )


async def _fields(request: Request) -> dict[str, str]:
    form = await request.form(max_fields=100, max_files=0)
    return {key: value for key, value in form.items() if isinstance(value, str)}


def store_app(
    *,
    hook: str = "http://127.0.0.1:8700/hooks/form",
    secret: str = "",
    crm_url: str = "http://127.0.0.1:8701",
    shop: woo.WooShop | None = None,
) -> Starlette:
    """A new stand-in store. `secret` signs deliveries to `hook` (base64, as Standard Webhooks wants it); without one
    orders are kept and not sent. `shop` is what the WooCommerce face shows. The handlers are at `app.state.store`,
    the shop at `app.state.woo`.
    """
    store = Store(hook, secret, crm_url)
    shop = shop or woo.WooShop()
    app = Starlette(
        routes=[
            Route("/", store.form),
            Route("/orders", store.place, methods=["POST"]),
            Route("/orders", store.listing),
            Route("/orders/{id}", store.order),
            Route("/orders/{id}/edit", store.edit, methods=["GET", "POST"]),
            Route("/orders/{id}/{action}", store.act, methods=["POST"]),
            Route("/sandbox/documents", store.documents),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
            *woo.routes(shop),
        ]
    )
    app.state.store = store
    app.state.woo = shop
    return app
