"""The stand-in shop: choose a customer, and see "My account" as that customer would, with the card that Orderwire answers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

import httpx
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.erp.seed import BUYERS
from sandbox.pages import STATIC, environment, render
from sandbox.portal.tokens import is_signed, token

PORTAL: Final = "shop"
"""The name under which Orderwire knows this shop."""
_TEMPLATES: Final = environment("portal")
_TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)
_KEPT: Final = timedelta(seconds=120)
"""A token is used again for so long; it is valid for twice that."""
_GONE: Final = "This shop has no such customer."


class Shop:
    """The handlers. `customers`: number -> name."""

    def __init__(self, orderwire: str, secret: str, name: str, customers: Mapping[str, str]) -> None:
        self.orderwire, self.secret, self.name = orderwire.rstrip("/"), secret, name
        self.customers = dict(customers)
        self._tokens: dict[str, tuple[datetime, str]] = {}
        self._lock = threading.Lock()

    def token(self, customer: str) -> str:
        """A token for the customer who has logged in here: the shop alone says who that is."""
        now = datetime.now(UTC)
        with self._lock:
            made, known = self._tokens.get(customer, (now - _KEPT, ""))
            if now - made >= _KEPT:
                made, known = self._tokens[customer] = now, token(self.name, customer, self.secret, now)
            return known

    # -- pages ---------------------------------------------------------------------------------------------------------

    async def home(self, request: Request) -> Response:
        customers = sorted(self.customers.items())
        return render(_TEMPLATES, "customers.html", customers=customers, active="/", refresh=0)

    async def account(self, request: Request) -> Response:
        """The account page: the fragment, fetched by this server and refreshed by itself."""
        return await self._page(request, "account.html", refresh=2)

    async def component(self, request: Request) -> Response:
        """The same by the web component, which the browser fetches; the fragment stands within it until then."""
        return await self._page(request, "component.html", refresh=0)

    async def _page(self, request: Request, template: str, *, refresh: int) -> Response:
        number = request.path_params["number"]
        if number not in self.customers:
            return self._gone()
        answer = await self._ask(request, "card.html", number)
        return render(
            _TEMPLATES, template, allow=self.orderwire, number=number, buyer=self.customers[number],
            # What Orderwire sends is HTML that it made for this very place.
            card=Markup(answer.text) if answer is not None and answer.is_success else "",  # noqa: S704
            said=_why(answer), orderwire=self.orderwire, token=self.token(number), active="/", refresh=refresh,
        )  # fmt: skip

    async def signed(self, request: Request) -> Response:
        """What the shop's server can have instead: JSON with a signature, which it checks."""
        number = request.path_params["number"]
        if number not in self.customers:
            return self._gone()
        answer = await self._ask(request, "card", number)
        signature = answer.headers.get("x-orderwire-signature", "") if answer is not None else ""
        well = answer is not None and answer.is_success and is_signed(answer.content, signature, self.secret)
        text = json.dumps(answer.json(), ensure_ascii=False, indent=2) if answer is not None and well else ""
        context: dict[str, Any] = {
            "number": number,
            "buyer": self.customers[number],
            "text": text,
            "said": _why(answer),
        }
        return render(_TEMPLATES, "signed.html", **context, well=well, active="/", refresh=0)

    def _gone(self) -> Response:
        return render(_TEMPLATES, "customers.html", status=404, customers=sorted(self.customers.items()), active="/",
                      refresh=0, problem=_GONE)  # fmt: skip

    async def _ask(self, request: Request, what: str, number: str) -> httpx.Response | None:
        """Orderwire's answer; None where it does not answer."""
        headers = {
            "authorization": f"Bearer {self.token(number)}",
            "accept-language": request.headers.get("accept-language", "en"),
        }
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=_tls()) as client:
                return await client.get(f"{self.orderwire}/portal/{what}", headers=headers)
        except httpx.HTTPError:
            return None


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading all certificates for every card would take longer than the card."""
    return ssl.create_default_context()


def _why(answer: httpx.Response | None) -> str:
    """A sentence for whoever looks at the stand-in, where there is no card."""
    if answer is None:
        return "Orderwire does not answer."
    return "" if answer.is_success else f"Orderwire answered {answer.status_code}: {answer.text[:300]}"


def portal_app(
    *,
    orderwire: str = "http://127.0.0.1:8700",
    secret: str = "",
    name: str = PORTAL,
    customers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
) -> Starlette:
    """A new stand-in shop. `secret` signs its tokens; `name` is how Orderwire knows it (`[[portal]]`); `customers` (number ->
    name): those of the demo company, if not given. The handlers are at `app.state.shop`.
    """
    shop = Shop(orderwire, secret, name, dict(customers if customers is not None else _demo()))
    app = Starlette(
        routes=[
            Route("/", shop.home),
            Route("/account/{number}", shop.account),
            Route("/account/{number}/component", shop.component),
            Route("/account/{number}/json", shop.signed),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ]
    )
    app.state.shop = shop
    return app


def _demo() -> dict[str, str]:
    return {buyer.number: buyer.name for buyer in BUYERS}
