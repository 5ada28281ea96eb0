"""What a program is told when something was not done: RFC 9457, `application/problem+json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from core.errors import OrderwireError
from pipelines.desk import Unknown
from pipelines.editing import Mistake
from web.paths import for_log

log = structlog.get_logger(__name__)
MEDIA: Final = "application/problem+json"
AWAY: Final = (DBAPIError, PoolTimeoutError)
"""The database does not answer."""
_URN: Final = "urn:orderwire:problem:"
_WORDS: Final = {
    "string_pattern_mismatch": "It does not have the form that the description gives, or nothing is in it",
    "extra_forbidden": "There is no such field",
}
"""Where pydantic's own words help nobody."""
_SHOWN: Final = 20
"""Mistakes that are listed of one request."""

KINDS: Final[Mapping[str, tuple[int, str, str]]] = {
    "not-authenticated": (401, "No valid token", "send a token that is not over as `Authorization: Bearer owt_...`."),
    "not-allowed": (403, "The token may not do this", "use a token with the scope and an owner with the role for it."),
    "not-found": (404, "There is no such thing", "look for it in the list, it may be gone."),
    "method-not-allowed": (405, "Not a method of this address", "see the header Allow, and /api/v1/openapi.json."),
    "refused": (409, "It makes no sense in the present state", "look at it again, it may have moved on."),
    "length-required": (411, "The length of the request is missing", "send Content-Length."),
    "too-large": (413, "The request is too large", "send less."),
    "not-json": (415, "The body is not sent as JSON", "send JSON with `Content-Type: application/json`."),
    "not-understood": (422, "The request is not understood", "correct what `errors` names; see /api/v1/openapi.json."),
    "too-often": (429, "Too many requests", "wait as many seconds as the header Retry-After says."),
    "failed": (500, "It failed", "try once more, then look into the log of the web process."),
    "away": (503, "The database is away", "try again in a moment."),
}
"""Last part of `type` -> status, title, and what to do where nobody knows better."""
_OF_STATUS: Final = {400: "not-understood", **{status: kind for kind, (status, _title, _todo) in KINDS.items()}}


class Wrong(BaseModel):
    """One mistake in a request. What was sent is not repeated."""

    model_config = ConfigDict(populate_by_name=True)

    where: Annotated[str, Field(alias="in", description="path, query, header or body", examples=["query"])]
    name: Annotated[str, Field(description="The parameter, or the path to the field", examples=["limit"])]
    message: Annotated[str, Field(examples=["Input should be less than or equal to 200"])]


class Problem(BaseModel):
    """Why something was not done. RFC 9457."""

    type: Annotated[
        str, Field(description="Names the kind of problem, for ever the same", examples=[f"{_URN}not-found"])
    ]
    title: Annotated[str, Field(description="The kind in words", examples=["There is no such thing"])]
    status: Annotated[int, Field(description="The HTTP status", examples=[404])]
    detail: Annotated[
        str,
        Field(
            description="This very case, for people; ends in what to do",
            examples=["There is no job 77. What to do: look for its order's number."],
        ),
    ]
    errors: Annotated[list[Wrong], Field(description="With not-understood: every mistake")] = []
    scope: Annotated[str, Field(description="With not-allowed: the scope that the token lacks", examples=["act"])] = ""


class Refusal(Exception):
    """Raised by routes of the API. `kind`: one of KINDS; `detail` may leave out what to do."""

    def __init__(
        self,
        kind: str,
        detail: str = "",
        *,
        errors: Sequence[Wrong] = (),
        scope: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.scope = scope
        self.headers = headers or {}


def answer(refusal: Refusal) -> Response:
    """The refusal as it is sent."""
    status, title, todo = KINDS[refusal.kind]
    detail = refusal.detail or f"{title}."
    if "What to do:" not in detail:
        detail = f"{detail} What to do: {todo}"
    problem = Problem(
        type=_URN + refusal.kind,
        title=title,
        status=status,
        detail=detail,
        errors=list(refusal.errors),
        scope=refusal.scope,
    )
    text = problem.model_dump_json(by_alias=True, exclude_defaults=True)
    return Response(text, status, headers=dict(refusal.headers), media_type=MEDIA)


def unknown(detail: str = "") -> Refusal:
    """There is no such thing."""
    return Refusal("not-found", detail)


def wrong(where: str, name: str, message: str) -> Refusal:
    """One parameter or field cannot be taken."""
    return Refusal("not-understood", f"{name}: {message}", errors=[Wrong(where=where, name=name, message=message)])


def of(error: Exception) -> Refusal:
    """The refusal that an exception means."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DataError):  # no column can hold what was asked for: PostgreSQL and NUL
        return Refusal("not-found")
    if isinstance(error, AWAY):
        return Refusal("away")
    if isinstance(error, Mistake):
        return Refusal(
            "not-understood",
            error.message,
            errors=[Wrong(where="body", name=error.field or "text", message=error.message)],
        )
    if isinstance(error, OrderwireError):
        return Refusal("not-found" if isinstance(error, Unknown) else "refused", error.message)
    if isinstance(error, RequestValidationError):
        return _not_understood(error)
    if isinstance(error, HTTPException):
        kind = _OF_STATUS.get(error.status_code, "not-found" if error.status_code < 500 else "failed")
        detail = error.detail if "What to do:" in error.detail else ""
        return Refusal(kind, detail, headers=error.headers)
    return Refusal("failed")


def _not_understood(error: RequestValidationError) -> Refusal:
    found = []
    for one in error.errors()[:_SHOWN]:
        where, *path = one["loc"]
        name = ".".join(str(part) for part in path) if one["type"] != "json_invalid" else ""
        found.append(Wrong(where=str(where), name=name, message=_WORDS.get(one["type"], str(one["msg"]))))
    first = found[0]
    return Refusal("not-understood", f"{first.name or first.where}: {first.message}.", errors=found)


def install(api: FastAPI) -> None:
    """Every error of the API is answered so."""

    async def handle(request: Request, error: Exception) -> Response:
        refusal = of(error)
        if refusal.kind == "method-not-allowed":
            refusal.headers = {"Allow": allowed(request)}
        if refusal.kind == "away":
            log.error(
                "the ledger is away, a call was not answered",
                path=for_log(request.url.path),
                error=type(error).__name__,
            )
        return answer(refusal)

    for kind in (Refusal, OrderwireError, RequestValidationError, HTTPException, *AWAY):
        api.add_exception_handler(kind, handle)


def allowed(request: Request) -> str:
    """The methods of an address, from all the routes that it has."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if compile_path(str(route.path))[0].match(path):
            found |= route.methods or set()
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


def schema() -> dict[str, Any]:
    """Problem and Wrong as OpenAPI components."""
    made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = made.pop("$defs", {})
    return json.loads(json.dumps({**parts, "Problem": made}))  # type: ignore[no-any-return]
