"""The API as an application of its own, mounted at `/api/v1`: its refusals are none of the pages' business."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from core.version import VERSION
from web.access import Require
from web.api import (
    alerts,
    audit,
    bulk,
    care,
    connections,
    deliveries,
    description,
    edits,
    flows,
    jobs,
    orderlist,
    orders,
    papers,
    problems,
    refusal,
    reviews,
    runs,
    schedules,
    status,
    stock,
    workers,
)
from web.api.common import only_what_is_known
from web.api.door import Door, Meter, scope_for
from web.state import WebState

PREFIX: Final = "/api/v1"
TITLE: Final = "Orderwire"
ABOUT: Final = """What the dashboard does, for programs. `docs/api.md` has examples.

Every call needs `Authorization: Bearer owt_...`: a token from `/settings/tokens`, which acts for the person who made it, within
its scopes (`read`, `act`) and never for more than that person may at that moment. Money is text with a currency, times are
RFC 3339 in UTC. Lists come in parts: `next` is the address of the following one. Whatever is refused is answered as RFC 9457
says, with a stable `type` and a `detail` that ends in what to do. Fields may be added to answers; none is taken away or changes
its meaning within `/api/v1`."""
TAGS: Final = {
    "status": "How everything stands.",
    "connections": "The systems: how each stands; test, pause, resume, ask now.",
    "problems": "What is wrong now, grouped by cause, with orders and money.",
    "jobs": "Each order on its way through one flow.",
    "orders": "Orders by how far they have come; where one is, in every system.",
    "deliveries": "Promised days that are at risk or over.",
    "stock": "How much there is, from how much on whom to tell, and what is low.",
    "schedules": "What runs at intervals.",
    "flows": "What may write, and from which orders on.",
    "bulk": "Actions on many jobs: previewed, counted, stoppable.",
    "runs": "Big pieces of work: how far they are, what they say of each record.",
    "reviews": "What only a person can decide.",
    "workers": "Queues and processes.",
    "alerts": "What people were or would be told.",
    "audit": "Who did what to what, when.",
    "description": "This document.",
}
RESOURCES: Final = (
    status, connections, problems, care, jobs, edits, orderlist, orders, schedules, flows, bulk, runs, reviews, workers, alerts,
    audit, deliveries, stock, papers, description,
)  # fmt: skip
_ANSWERS: Final = {
    "401": "There is no token, or it is over",
    "403": "The token lacks the scope, or its owner the role",
    "404": "There is no such thing",
    "409": "It makes no sense in the present state",
    "413": "The body is too large",
    "415": "The body is not sent as JSON",
    "422": "The request is not understood; unknown parameters are refused as well",
    "429": "Too often, or too many calls to outside systems are under way; Retry-After says how long to wait",
    "503": "The database is away",
}


class Api(FastAPI):
    """FastAPI with our own refusals, the scopes in its description, and a complete header Allow."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once in a process."""
        return _described()


def create_api(state: WebState) -> FastAPI:
    """The API over one process's state."""
    api = Api(
        title=TITLE,
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_named,
    )
    api.state.orderwire = state
    api.state.meter = Meter()
    api.router.routes.extend(_resources())
    refusal.install(api)
    api.add_middleware(Door, state=state, meter=api.state.meter)
    return api


def _named(route: APIRoute) -> str:
    return route.name


@cache
def _resources() -> list[BaseRoute]:
    """What is asked and done: without any state, so that FastAPI builds it once in a process."""
    made = APIRouter(dependencies=[Depends(only_what_is_known)], generate_unique_id_function=_named)
    for one in RESOURCES:
        made.include_router(one.router)
    return made.routes


@cache
def _described() -> dict[str, Any]:
    made = get_openapi(
        title=TITLE,
        version=VERSION,
        summary="The operations dashboard for programs",
        description=ABOUT,
        routes=_resources(),
        servers=[{"url": PREFIX}],
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    parts = made.setdefault("components", {}).setdefault("schemas", {})
    parts.update(refusal.schema())
    for unused in ("HTTPValidationError", "ValidationError"):
        parts.pop(unused, None)
    made["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "owt_...",
            "description": "From /settings/tokens. Scopes: `read` (everything that can be seen), `act` (that, and everything "
            "that an operator may do).",
        }
    }
    rights = {(method, str(one.path_format)): right_of(one.dependant) for one in _routes() for method in one.methods}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, rights[method.upper(), path])
    return made


def _routes() -> list[Any]:
    return [one for one in iter_route_contexts(_resources()) if getattr(one, "dependant", None) is not None]


def right_of(dependant: Any) -> Any:
    """The right that a route names; None for none."""
    if isinstance(dependant.call, Require):
        return dependant.call.right
    return next((right for one in dependant.dependencies if (right := right_of(one)) is not None), None)


def _complete(operation: dict[str, Any], right: Any) -> None:
    """Who may, and every refusal."""
    scope = scope_for(right)
    operation["security"] = [{"token": [scope.value] if scope else []}]
    operation["description"] = f"{operation.get('description', '')}\n\nRight: `{right}`; scope: `{scope}`.".strip()
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    without = () if "requestBody" in operation else ("413", "415")
    for status_, words in _ANSWERS.items():
        if status_ not in without:
            operation["responses"][status_] = {"description": words, "content": problem}
