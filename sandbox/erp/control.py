"""The pages of the stand-in ERP, where people change who serves a customer, and /sandbox/* for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import date
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.erp.faults import RATES
from sandbox.erp.wire import out
from sandbox.pages import STATIC, environment, from_elsewhere, render

if TYPE_CHECKING:
    from sandbox.erp.app import ErpApp

_TEMPLATES = environment("erp")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def build(app: ErpApp) -> Starlette:
    """The application beside the JSON-RPC."""
    pages = Pages(app)
    return Starlette(
        routes=[
            Route("/", pages.customers),
            Route("/customers/{number}", pages.customer),
            Route("/customers/{number}/rep", _own(pages.give), methods=["POST"]),
            Route("/customers/{number}/add", _own(pages.add), methods=["POST"]),
            Route("/customers/{number}/take-away", _own(pages.take_away), methods=["POST"]),
            Route("/reps", pages.reps),
            Route("/reps/{code}", _own(pages.rep), methods=["POST"]),
            Route("/faults", pages.dial),
            Route("/sandbox/faults", _own(pages.faults), methods=["GET", "POST", "DELETE"]),
            Route("/sandbox/state", pages.state),
            Route("/sandbox/calls", pages.calls),
            Route("/sandbox/reset", _own(pages.reset), methods=["POST"]),
            Route("/sandbox/expire-sessions", _own(pages.expire_sessions), methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ]
    )


def _own(handler: Handler) -> Handler:
    """Nobody changes anything from another site's page."""

    async def checked(request: Request) -> Response:
        if request.method != "GET" and from_elsewhere(request):
            return JSONResponse({"error": "The call must come from this ERP's own page."}, status_code=403)
        return await handler(request)

    return checked


class Pages:
    """The handlers, over one stand-in."""

    def __init__(self, app: ErpApp) -> None:
        self.app, self.staff = app, app.staff

    # -- people --------------------------------------------------------------------------------------------------------

    async def customers(self, request: Request) -> Response:
        return render(_TEMPLATES, "customers.html", customers=self.staff.customers(), active="/", refresh=2)

    async def customer(self, request: Request) -> Response:
        return self._customer(request.path_params["number"])

    def _customer(self, number: str, problem: str = "") -> Response:
        customer = self.staff.customer(number)
        if customer is None:
            return render(_TEMPLATES, "gone.html", status=404, active="/", refresh=0)
        agents = [agent for agent in self.staff.agents() if agent.active]
        context: dict[str, Any] = {"customer": customer, "agents": agents, "problem": problem}
        return render(_TEMPLATES, "customer.html", status=422 if problem else 200, **context, active="/", refresh=0)

    async def give(self, request: Request) -> Response:
        """The customer gets another rep, at once or from a day on."""
        number, form = request.path_params["number"], await _form(request)
        return self._done(number, lambda: self.staff.give(number, form.get("rep", ""), _day(form.get("from", ""))))

    async def add(self, request: Request) -> Response:
        number, form = request.path_params["number"], await _form(request)
        first, last = form.get("from", ""), form.get("until", "")
        return self._done(
            number, lambda: self.staff.add(number, form.get("rep", ""), first=_day(first), last=_day(last))
        )

    async def take_away(self, request: Request) -> Response:
        number, form = request.path_params["number"], await _form(request)
        return self._done(number, lambda: self.staff.take_away(number, int(form.get("row", ""))))

    def _done(self, number: str, act: Callable[[], None]) -> Response:
        try:
            act()
        except ValueError as wrong:
            return self._customer(number, str(wrong))
        return RedirectResponse(f"/customers/{number}", status_code=303)

    async def reps(self, request: Request) -> Response:
        return render(_TEMPLATES, "reps.html", agents=self.staff.agents(), active="/reps", refresh=0)

    async def rep(self, request: Request) -> Response:
        """How a rep is reached, and whether it works here still."""
        form = await _form(request)
        reached = {kind: form.get(kind, "") for kind in ("email", "phone", "mobile")}
        try:
            self.staff.change_agent(request.path_params["code"], active="active" in form, **reached)
        except ValueError:
            return render(_TEMPLATES, "gone.html", status=404, active="/reps", refresh=0)
        return RedirectResponse("/reps", status_code=303)

    async def dial(self, request: Request) -> Response:
        faults = self.app.faults
        rates = [(name, text, faults.rates.get(name, 0), faults.struck.get(name, 0)) for name, text in RATES.items()]
        return render(_TEMPLATES, "faults.html", rates=rates, numbers=faults.numbers, active="/faults", refresh=0)

    # -- /sandbox/* ----------------------------------------------------------------------------------------------------

    async def faults(self, request: Request) -> Response:
        """GET the dial; POST {"error_500": 0.05, "seed": 7, ...} or the page's form; DELETE turns everything off."""
        if request.method == "DELETE":
            self.app.faults.clear()
        elif request.method == "POST":
            by_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            try:
                self.app.faults.turn({key: value for key, value in (await _form(request)).items() if value} if by_form
                                     else json.loads(await request.body() or b"{}"))  # fmt: skip
            except (ValueError, AttributeError) as error:
                return JSONResponse({"error": str(error)}, status_code=422)
            if by_form:
                return RedirectResponse("/faults", status_code=303)
        return JSONResponse({**self.app.faults.as_json(), "struck": self.app.faults.struck})

    async def state(self, request: Request) -> Response:
        """Every row by model, as they stand in the tables; `?model=party.party` limits it."""
        only = request.query_params.get("model", "")
        with self.app.tables.lock:
            found = {
                model: [{name: out(value) for name, value in row.items()} for row in self.app.tables.rows(model)]
                for model in self.app.tables.models()
                if only in {"", model}
            }
        return JSONResponse(found)

    async def calls(self, request: Request) -> Response:
        """How often each method was called."""
        return JSONResponse({"total": self.app.calls.total(), "methods": dict(self.app.calls)})

    async def reset(self, request: Request) -> Response:
        self.app.reset()
        return JSONResponse({"reset": True})

    async def expire_sessions(self, request: Request) -> Response:
        """All sessions end, as when Tryton restarts."""
        ended = len(self.app.service.sessions)
        self.app.service.sessions.clear()
        return JSONResponse({"ended": ended})


async def _form(request: Request) -> dict[str, str]:
    form = await request.form(max_fields=100, max_files=0)
    return {key: value for key, value in form.items() if isinstance(value, str)}


def _day(text: str) -> date | None:
    """A day of a form; ValueError where it is none, None where nothing was given."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text} is no date. What to do: write it as year-month-day.") from None
