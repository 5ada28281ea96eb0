"""Pages: templates, the words people read, static files, and what is said after a button was pressed.

A screen calls `page(request, "home.html", **facts)`. Every template extends base.html and puts what refreshes by itself into its
block `live`; a request of htmx (`HX-Request`) is answered with this block alone. Inside a block,
`{% import "ui.html" as ui with context %}` brings the small parts that all screens share. Filters: `money`, `ago`, `exact`,
`count`, `duration`. A missing name is an error, never an empty place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import structlog
from babel import Locale, negotiate_locale
from babel.dates import format_timedelta
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as Names
from markupsafe import Markup, escape
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match

from core.errors import OrderwireError
from core.money import DECIMALS
from core.rights import Right
from core.visible import referenced, visible
from ledger.people import Person
from pipelines.desk import Unknown
from web import assets
from web.access import API, over_https, whoever, within
from web.api import refusal
from web.paths import for_log
from web.state import WebState

log = structlog.get_logger(__name__)

ROOM: Final = Path(__file__).parent
SOURCE: Final = "en"
"""The language that the templates are written in."""
DOMAIN: Final = "orderwire"
SAID: Final = "orderwire_said"
"""The cookie that carries one sentence from a button to the page that follows."""
LONGEST: Final = 1500
"""Characters of that sentence."""
EXACTLY: Final = 10_000
"""Numbers above it are counted no further: a page never waits for them."""
ENTRANCES: Final = (
    ("/", "home", "h"),
    ("/problems", "problems", "p"),
    ("/orders", "orders", "o"),
    ("/jobs", "jobs", "j"),
    ("/connections", "connections", "c"),
    ("/flows", "flows", "f"),
    ("/review", "review", "r"),
    ("/runs", "runs", "n"),
    ("/reps", "reps", "t"),
    ("/deliveries", "deliveries", "d"),
    ("/stock", "stock", "k"),
    ("/schedules", "schedules", "s"),
    ("/workers", "workers", "w"),
    ("/figures", "figures", "i"),
    ("/alerts", "alerts", "a"),
    ("/audit", "audit", "u"),
    ("/settings", "settings", "e"),
    ("/settings/users", "people", ""),
)
"""Address, name, and the key after `g` of every screen in the navigation."""


_WHOLE: Final = frozenset({60.0, 3600.0, 86_400.0, 604_800.0})
"""One of something: "1 minute", not "60 seconds"."""


@cache
def languages() -> tuple[str, ...]:
    """English, and every language with a compiled catalogue."""
    found = sorted(file.parts[-3] for file in (ROOM / "locales").glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return (SOURCE, *(name for name in found if name != SOURCE))


def language(request: Request) -> str:
    """The one of our languages that the reader asked for first."""
    asked = [part.partition(";")[0].strip() for part in request.headers.get("accept-language", "").split(",")]
    return negotiate_locale(asked, languages(), sep="-") or SOURCE


@cache
def catalogue(name: str) -> NullTranslations:
    """The words of one language."""
    return Translations.load(ROOM / "locales", [name], DOMAIN)


@cache
def environment(name: str) -> Environment:
    """The templates in one language. Everything is escaped unless it is Markup."""
    made = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.install_gettext_translations(catalogue(name), newstyle=True)  # type: ignore[attr-defined]
    made.globals["_"] = _words(catalogue(name))
    locale = Locale.parse(name, sep="-")
    made.filters |= {
        "money": lambda amount, currency: money(amount, currency, locale),
        "count": lambda number, most=EXACTLY: count(number, most, locale),
        "duration": lambda seconds: duration(seconds, locale),
        "ago": _ago(locale),
        "exact": exact,
        "returning": returning,
    }
    made.globals |= {"static": assets.address, "language": name, "Right": Right}
    return made


def _words(known: NullTranslations) -> Callable[..., Markup]:
    """`{{ _("...") }}` as Jinja has it, but each text is looked up once: a table says the same words in every row."""
    plain: dict[str, Markup] = {}

    def words(text: str, /, **values: object) -> Markup:
        if values:
            return Markup(known.gettext(text)) % values  # noqa: S704 - our own words; values are escaped
        found = plain.get(text)
        if found is None:
            found = plain[text] = Markup(known.gettext(text)) % {}  # noqa: S704
        return found

    return words


def page(request: Request, name: str, *, status: int = 200, **facts: Any) -> Response:
    """The template as an answer; its block `live` alone where htmx asks. Pages are never kept by a cache: they hold customers'
    data, and what they tell is old at once. Belongs into a thread: without `now` it asks the ledger for the moment.
    """
    template = environment(language(request)).get_template(name)
    said = _read(request)
    known = {**_around(request), "said": said, **facts}
    if "now" not in known:
        known["now"] = _now(request)
    if request.headers.get("hx-request") and "live" in template.blocks:
        text = "".join(template.blocks["live"](template.new_context(known)))
    else:
        text = template.render(known)
    # Nothing that somebody wrote turns the page's own words around, and no half of a character stops it from being sent.
    answer = HTMLResponse(
        visible(text), status, headers={"Cache-Control": "no-store", "Vary": "HX-Request, Accept-Language"}
    )
    if said and not request.headers.get("hx-request"):
        answer.delete_cookie(SAID, path="/", httponly=True, samesite="strict")
    return answer


def back(request: Request, address: str, said: str = "", *, well: bool = True) -> Response:
    """After a button: on to this page of ours, where `said` is told once (`well`: it worked)."""
    answer = RedirectResponse(within(address), 303)
    if said:
        text = json.dumps({"text": said[:LONGEST], "well": well})
        value = base64.urlsafe_b64encode(text.encode()).decode()
        secure = over_https(request)
        answer.set_cookie(SAID, value, max_age=60, path="/", httponly=True, samesite="strict", secure=secure)
    return answer


def translated(request: Request, text: str, **values: object) -> str:
    """A sentence that a screen says itself, in the reader's language. Mark it for the catalogue: `_ = translated`."""
    words: str = catalogue(language(request)).gettext(text)
    return words % values if values else words


def install(app: FastAPI) -> None:
    """Static files, and pages for what was refused, is not there, or went wrong."""
    app.router.routes.extend(assets.router.routes)
    app.add_exception_handler(OrderwireError, _refused)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(DataError, _not_understood)  # no column can hold what was asked for: PostgreSQL and NUL
    app.add_exception_handler(DBAPIError, _away)
    app.add_exception_handler(PoolTimeoutError, _away)


def wants_page(request: Request) -> bool:
    """A person's browser asks, not a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/api/", "/hooks/"))


async def _refused(request: Request, error: Exception) -> Response:
    """What cannot be done, with the sentence that says what to do instead."""
    message = error.message if isinstance(error, OrderwireError) else ""
    code = 404 if isinstance(error, Unknown) else 409
    if not wants_page(request):
        return Response(json.dumps({"ok": False, "error": message}), code, media_type="application/json")
    return await _failure(request, code, message)


async def _failed(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(getattr(error, "headers", None) or {})
    detail = str(getattr(error, "detail", ""))
    if request.url.path.startswith(API):
        return refusal.answer(refusal.of(error))
    if not wants_page(request):
        return Response(
            json.dumps({"ok": False, "error": detail}), code, media_type="application/json", headers=headers
        )
    if 300 <= code < 400:
        return Response(status_code=code, headers=headers)
    await run_in_threadpool(_recognised, request)
    answer = await _failure(request, code, detail if "What to do:" in detail else "")
    answer.headers.update(headers)
    return answer


def _recognised(request: Request) -> None:
    """Where no route asked who is there: somebody who is logged in keeps search and navigation around what is not there."""
    if getattr(request.state, "person", None) is None:
        with suppress(DBAPIError, PoolTimeoutError):
            request.state.person = whoever(request)


async def _not_understood(request: Request, error: Exception) -> Response:
    """An address or a form that no page of ours makes. What was sent is not repeated."""
    if not wants_page(request) and isinstance(error, RequestValidationError):
        return await request_validation_exception_handler(request, error)
    code = 404 if request.method == "GET" else 422
    return await _failure(request, code)


async def _away(request: Request, error: Exception) -> Response:
    """The database does not answer; deliveries and health have their own words for it."""
    log.error("the ledger is away, a page was not shown", path=for_log(request.url.path), error=type(error).__name__)
    if not wants_page(request):
        sentence = "The database is away. What to do: try again in a moment."
        return Response(json.dumps({"ok": False, "error": sentence}), 503, media_type="application/json")
    return await _failure(request, 503, now=datetime.now(UTC))


async def _failure(request: Request, code: int, message: str = "", **facts: Any) -> Response:
    """The page that says so, made in a thread: where the ledger is away, the event loop must not wait for its clock."""
    make = partial(page, request, "failed.html", status=code, code=code, message=message, **facts)
    return await run_in_threadpool(make)


# -- around every page -------------------------------------------------------------------------------------------------


def _around(request: Request) -> dict[str, Any]:
    """What base.html needs."""
    path = request.url.path
    person: Person | None = getattr(request.state, "person", None)
    there = _addresses(request.app)
    entrances = [one for one in ENTRANCES if one[0] in there and _allowed(one[1], person)]
    return {
        "person": person,
        "entrances": entrances,
        "here": max((one[0] for one in ENTRANCES if _under(path, one[0])), key=len, default=""),
        "path": path,
        "query": str(request.url.query),
    }


def _now(request: Request) -> datetime:
    """The ledger's time: all processes and the database agree on it. This machine's while the ledger is away, so that at least
    this can be told.
    """
    state: WebState = request.app.state.orderwire
    try:
        return state.context.ledger.clock.now()
    except (DBAPIError, PoolTimeoutError):
        return datetime.now(UTC)


def _under(path: str, address: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))


def _allowed(name: str, person: Person | None) -> bool:
    wanted = {"people": Right.PEOPLE, "audit": Right.AUDIT, "settings": Right.CONFIGURATION}.get(name, Right.SEE)
    return person is not None and person.may(wanted)


def _addresses(app: FastAPI) -> frozenset[str]:
    """The entrances that this application has: the navigation leads nowhere else."""
    known: frozenset[str] | None = getattr(app.state, "addresses", None)
    if known is None:
        known = app.state.addresses = frozenset(one[0] for one in ENTRANCES if _answers(app, one[0]))
    return known


def _answers(app: FastAPI, path: str) -> bool:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


def _read(request: Request) -> Mapping[str, Any] | None:
    """What the last button said. Whoever forges the cookie talks to themselves, and it is shown as text."""
    try:
        found = json.loads(base64.urlsafe_b64decode(request.cookies.get(SAID, "")))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        return None
    return {"text": found["text"][:LONGEST], "well": found.get("well") is True}


# -- filters -----------------------------------------------------------------------------------------------------------


def money(amount: Decimal | str, currency: str, locale: Locale) -> str:
    """`1,234.50 EUR`: at least the currency's decimals, never fewer than there are. "" where there is no amount."""
    if amount == "":
        return ""
    try:
        exactly = Decimal(amount)
    except InvalidOperation:
        return f"{amount} {currency}".strip()
    if not exactly.is_finite():
        return f"{amount} {currency}".strip()
    places = max(DECIMALS.get(currency, 2), -int(exactly.normalize().as_tuple().exponent))
    pattern = "#,##0." + "0" * places if places else "#,##0"
    shown = format_decimal(exactly, format=pattern, locale=locale, decimal_quantization=False)
    return f"{shown}\N{NO-BREAK SPACE}{currency}" if currency else shown


def count(number: int, most: int, locale: Locale) -> str:
    """`1,234`; above `most`, up to which was counted: `10,000+`."""
    return f"{format_decimal(min(number, most), locale=locale)}{'+' if number > most else ''}"


def duration(seconds: float, locale: Locale) -> str:
    """`5 minutes`, in the unit that people would choose."""
    threshold = 1.0 if seconds in _WHOLE else 1.5
    return format_timedelta(timedelta(seconds=max(seconds, 0.0)), threshold=threshold, locale=locale)


def exact(moment: datetime) -> Markup:
    """The time itself, UTC until app.js puts the reader's zone in its place."""
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}" data-time="exact">{} UTC</time>').format(
        at.isoformat(timespec="milliseconds"), f"{at:%Y-%m-%d %H:%M:%S}"
    )


def returning(text: str) -> Markup:
    """The value of a field that nobody reads: it comes back as it is, whatever stands in it."""
    return Markup(referenced(escape(text)))  # noqa: S704 - escaped right here


def _ago(locale: Locale) -> Any:
    @pass_context
    def ago(names: Names, moment: datetime) -> Markup:
        """`3 minutes ago`, with the exact time on hover."""
        at = moment.astimezone(UTC)
        since = at - names["now"]
        shown = format_timedelta(since, add_direction=True, threshold=1.5, locale=locale)
        return Markup('<time datetime="{}" title="{} UTC" data-time="ago">{}</time>').format(
            at.isoformat(timespec="milliseconds"), f"{at:%Y-%m-%d %H:%M:%S}", shown
        )

    return ago
