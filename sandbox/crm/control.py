"""The dial and the oracle's window: /sandbox/* of the stand-in CRM, and the pages for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.crm import answers, pages, seed
from sandbox.pages import STATIC, from_elsewhere

if TYPE_CHECKING:
    from sandbox.crm.app import CrmApp

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def build(app: CrmApp) -> Starlette:
    """The application beside the web service."""
    control = Control(app)
    routes: list[Route | Mount] = [
        Route("/sandbox/faults", _own(control.faults), methods=["GET", "POST", "DELETE"]),
        Route("/sandbox/switches", _own(control.switches), methods=["GET", "POST"]),
        Route("/sandbox/uniqueness", _own(control.uniqueness), methods=["GET", "POST"]),
        Route("/sandbox/state", _own(control.state)),
        Route("/sandbox/reset", _own(control.reset), methods=["POST"]),
        Route("/sandbox/seed", _own(control.seed), methods=["POST"]),
        Route("/sandbox/calls", _own(control.calls), methods=["GET", "DELETE"]),
        Route("/sandbox/expire-sessions", _own(control.expire_sessions), methods=["POST"]),
        Route("/sandbox/land", _own(control.land), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
        *pages.routes(app),
    ]
    return Starlette(routes=routes)


def _own(handler: Handler) -> Handler:
    """Nobody turns the dial from another site's page."""

    async def checked(request: Request) -> Response:
        if request.method != "GET" and from_elsewhere(request):
            return JSONResponse({"error": "The call must come from this CRM's own page."}, status_code=403)
        return await handler(request)

    return checked


class Control:
    """The handlers of /sandbox/*. Bodies are JSON; a form post (from the page) works for faults and switches."""

    def __init__(self, app: CrmApp) -> None:
        self.app = app

    async def faults(self, request: Request) -> Response:
        """GET the dial; POST {"lost_answer": 0.05, "seed": 7, ...}; DELETE turns everything off."""
        if request.method == "DELETE":
            self.app.faults.clear()
        elif request.method == "POST":
            wanted, is_form = await _body(request)
            try:
                self.app.faults.turn(wanted)
            except ValueError as error:
                return _wrong(error)
            if is_form:
                return RedirectResponse("/faults", status_code=303)
        return JSONResponse({**self.app.faults.as_json(), "struck": self.app.faults.struck})

    async def switches(self, request: Request) -> Response:
        """GET or POST the switches (see sandbox.crm.settings.Switches)."""
        if request.method == "POST":
            wanted, is_form = await _body(request)
            try:
                self.app.service.switches.update(_typed(wanted) if is_form else wanted)
            except ValueError as error:
                return _wrong(error)
            if is_form:
                return RedirectResponse("/faults", status_code=303)
        return JSONResponse(self.app.service.switches.as_json())

    async def uniqueness(self, request: Request) -> Response:
        """POST {"account_names": false} lets several accounts share a name."""
        switches = self.app.service.switches
        if request.method == "POST":
            wanted, _ = await _body(request)
            try:
                switches.update({"unique_account_names": wanted.get("account_names")})
            except ValueError as error:
                return _wrong(error)
        return JSONResponse({"account_names": switches.unique_account_names})

    async def state(self, request: Request) -> Response:
        """All living records by module, line items with them: {"records": {"SalesOrder": [...]}, "counts": {...}}.
        `?module=SalesOrder` limits it. Converted leads are listed under `converted`.
        """
        only = request.query_params.get("module", "")
        store, people = self.app.service.store, self.app.service.people
        records: dict[str, list[dict[str, Any]]] = {}
        with store.lock:
            for name, rows in store.by_module.items():
                if rows and only in {"", name}:
                    records[name] = [_whole(answers.present(store, people, row), row, store) for row in rows.values()]
            converted = [row.id for row in store.rows.values() if row.converted]
        counts = {name: len(rows) for name, rows in records.items()}
        return JSONResponse({"records": records, "counts": counts, "converted": converted})

    async def land(self, request: Request) -> Response:
        """What was to be committed later is committed now: {"landed": 2} tells how many there were."""
        return JSONResponse({"landed": self.app.land_here()})

    async def reset(self, request: Request) -> Response:
        """Forget everything. {"seed": true|false} loads the demo data or not; {"custom_field": false} drops the
        external-id field; switches stay as they are.
        """
        wanted, _ = await _body(request)
        self.app.reset(seed=wanted.get("seed"), custom_field=wanted.get("custom_field"))
        return JSONResponse({"reset": True})

    async def seed(self, request: Request) -> Response:
        """Load records (see sandbox.crm.seed.load); {"demo": true} loads the catalogue."""
        wanted, _ = await _body(request)
        try:
            if wanted.pop("demo", False):
                seed.load_demo(self.app.service)
            return JSONResponse(seed.load(self.app.service, wanted))
        except ValueError as error:
            return _wrong(error)

    async def calls(self, request: Request) -> Response:
        """Calls by operation and module; `?last=20` adds the last ones; DELETE counts anew."""
        if request.method == "DELETE":
            self.app.calls.clear()
        last = request.query_params.get("last", "0")
        return JSONResponse(self.app.calls.as_json(int(last) if last.isdigit() else 0))

    async def expire_sessions(self, request: Request) -> Response:
        """All sessions end, as when PHP cleans up its session files."""
        ended = len(self.app.service.people.sessions)
        self.app.service.people.sessions.clear()
        return JSONResponse({"ended": ended})


def _whole(shown: dict[str, Any], row: Any, store: Any) -> dict[str, Any]:
    shown |= {"id": row.id, "label": row.label}
    if row.module.inventory:
        shown["LineItems"] = answers.lines_out(store, row)
        shown |= answers.charges_out(row)
    if row.module.name == "Products":
        shown |= answers.price_out(row)
    return shown


async def _body(request: Request) -> tuple[dict[str, Any], bool]:
    """The posted object and whether a form posted it; anything else is an empty object."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        form = await request.form()
        return {key: str(value) for key, value in form.items() if str(value) != ""}, True
    try:
        found = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}, False
    return (found if isinstance(found, dict) else {}), False


def _typed(form: dict[str, str]) -> dict[str, Any]:
    """Form values as switches want them: on and off, whole numbers, text."""
    words: dict[str, Any] = {"on": True, "off": False}
    return {key: words.get(text, int(text) if key == "php" and text.isdigit() else text) for key, text in form.items()}


def _wrong(error: ValueError) -> Response:
    return JSONResponse({"error": str(error)}, status_code=422)
