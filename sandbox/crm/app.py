"""The stand-in CRM as an ASGI application: the web service on a short path, pages and the dial beside it.

The web service is dispatched by hand, because benchmarks use it too: a call costs a fraction of a millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from email.utils import formatdate
from time import time
from typing import Any
from urllib.parse import parse_qsl

from sandbox.asgi import Headers, Receive, Scope, Send, hang_up, lifespan, read_body, respond
from sandbox.crm import control
from sandbox.crm import seed as demo
from sandbox.crm.errors import ServerCrash, WsError
from sandbox.crm.faults import Faults
from sandbox.crm.operations import Params, WebService, envelope, refusal
from sandbox.crm.schema import INVENTORY
from sandbox.crm.settings import Switches

DEFAULT_ACCESS_KEY = "sandbox-access-key"
_JSON = b"application/json"
_HTML = b"text/html; charset=UTF-8"
_PHP = {"/webservice.php": None, "/webservice-compat.php": 7}
_URL_LIMIT = 8192
_NO_STORE: Headers = [(b"cache-control", b"no-store, no-cache, must-revalidate")]
_TOO_LONG = (
    b"<html>\r\n<head><title>414 Request-URI Too Large</title></head>\r\n<body>\r\n"
    b"<center><h1>414 Request-URI Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_BROKEN = (
    b"<html>\r\n<head><title>500 Internal Server Error</title></head>\r\n<body>\r\n"
    b"<center><h1>500 Internal Server Error</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_MAINTENANCE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"
_WARNING = (
    '<br />\n<b>Warning</b>:  Undefined array key "format" in <b>OperationManager.php</b> on line <b>{}</b><br />\n'
)
_FATAL = b"<br />\n<b>Fatal error</b>:  Uncaught Error in OperationManager.php:152\n  thrown on line <b>152</b><br />\n"
_WARNINGS = "".join(_WARNING.format(line) for line in (142, 145)).encode()


class Calls:
    """How often each operation was called, and the last calls."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.operations: Counter[str] = Counter()
        self.by_module: Counter[str] = Counter()
        self.last: deque[dict[str, Any]] = deque(maxlen=1000)

    def note(self, operation: str, module: str, fault: str, params: Params) -> None:
        self.operations[operation] += 1
        if module:
            self.by_module[f"{operation} {module}"] += 1
        shown = {key: params[key] for key in ("id", "elementType", "query", "element") if key in params}
        self.last.append({"at": time(), "operation": operation, "module": module, "fault": fault, "params": shown})

    def as_json(self, last: int) -> dict[str, Any]:
        return {
            "total": sum(self.operations.values()),
            "operations": dict(self.operations),
            "by_module": dict(self.by_module),
            "last": list(self.last)[-last:] if last else [],
        }


class CrmApp:
    """The ASGI callable. `service`, `faults` and `calls` may be used directly by tests in the same process."""

    def __init__(self, service: WebService, *, seed: bool) -> None:
        self.service = service
        self.faults = Faults()
        self.calls = Calls()
        self.seed = seed
        self.pages = control.build(self)
        self._creating: Counter[str] = Counter()
        self._session_locks: dict[str, asyncio.Lock] = {}
        self._late: dict[asyncio.TimerHandle, tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = {}
        if seed:
            demo.load_demo(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            self._drop_late()
        elif scope["type"] == "http" and scope["path"] in _PHP:
            await self._web_service(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    def reset(self, *, seed: bool | None = None, custom_field: bool | None = None) -> None:
        """An empty install (with the demo data, where `seed`), the dial at zero, no calls counted."""
        self._drop_late()
        self.service.reset(custom_field=custom_field)
        self.faults.clear()
        self.calls.clear()
        if self.seed if seed is None else seed:
            demo.load_demo(self.service)

    # --- one call ------------------------------------------------------------------------------------------------

    async def _web_service(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_query = scope["query_string"]
        if len(raw_query) > _URL_LIMIT:
            await respond(send, 414, b"text/html", _TOO_LONG)
            return
        verb = scope["method"]
        body = await read_body(receive) if verb == "POST" else b""
        params = _params(scope, raw_query, body, verb)
        operation = params.get("operation", "")
        session = params.get("sessionName", "")
        module = params.get("elementType", "") or self._module_of(params)
        with self._under_way(operation, module, session) as overlapping:
            lines = _lines_sent(operation, module, params)
            fault = self.faults.choose(operation, module, lines=lines, overlapping=overlapping)
            self.calls.note(operation, module, fault, params)
            php = _PHP[scope["path"]] or self.service.switches.php
            async with self._turn(session):
                delay = self.faults.latency()
                if delay:
                    await asyncio.sleep(delay)
                await self._answer(operation, verb, params, php, fault, receive, send)

    async def _answer(
        self, operation: str, verb: str, params: Params, php: int, fault: str, receive: Receive, send: Send
    ) -> None:
        if fault in _REFUSALS:
            await self._refuse(fault, receive, send)
            return
        if fault == "late_commit":
            await self._commit_later(operation, verb, params, php, receive, send)
            return
        if fault == "session_lost":
            self.service.people.sessions.pop(params.get("sessionName", ""), None)
        body = self._run(operation, verb, params, php, fault)
        if fault == "lost_answer":
            await hang_up(receive, send)
        elif fault == "empty_500_after":
            await respond(send, 500, _HTML, b"")
        else:
            noisy = fault == "php_warnings" or self.service.switches.display_errors == "notices"
            await self._show(send, body, noisy=noisy)

    async def _show(self, send: Send, body: bytes | None, *, noisy: bool) -> None:
        """The answer, or what PHP shows of a crash (no body)."""
        if noisy:
            await respond(send, 200, _HTML, _WARNINGS + (_FATAL if body is None else body), _NO_STORE)
        elif body is None:
            await respond(send, 500 if self.service.switches.display_errors == "off" else 200, _HTML, b"")
        else:
            await respond(send, 200, _JSON, body, _NO_STORE)

    def _run(self, operation: str, verb: str, params: Params, php: int, fault: str) -> bytes | None:
        """The answer's body, or nothing where PHP crashed."""
        lose = fault in {"lost_line", "lost_line_overlap"}
        try:
            if fault == "login_refused":
                raise WsError("INVALID_USER_CREDENTIALS", "Invalid username or password")
            result = self.service.call(operation, verb, params, php=php, lose_line=lose)
            return envelope([] if fault == "empty_query" else result)
        except WsError as error:
            return refusal(error)
        except ServerCrash:
            return None

    async def _refuse(self, fault: str, receive: Receive, send: Send) -> None:
        """Faults that answer before anything is done."""
        if fault == "connection_closed":
            await hang_up(receive, send)
        elif fault == "rate_limited":
            await respond(send, 429, b"text/plain", b"Too many requests", self._retry_after())
        elif fault == "maintenance":
            await respond(send, 200, _HTML, _MAINTENANCE)
        elif fault == "error_500":
            await respond(send, 500, b"text/html", _BROKEN)
        else:
            await respond(send, 500, _HTML, b"")

    def _retry_after(self) -> Headers:
        dial = self.faults.dial
        texts = {
            "seconds": str(dial.retry_after_s),
            "date": formatdate(time() + dial.retry_after_s, usegmt=True),
            "garbage": "soon-ish",
        }
        return [(b"retry-after", texts[dial.retry_after].encode())] if dial.retry_after in texts else []

    async def _commit_later(
        self, operation: str, verb: str, params: Params, php: int, receive: Receive, send: Send
    ) -> None:
        """Nothing yet, and the caller learns nothing; the record appears when the timer fires."""
        dial = self.faults.dial
        user = self.service.people.sessions.get(params.get("sessionName", ""))

        def commit() -> None:
            if self._late.pop(timer, None) is None:
                return
            if user is not None:  # The session may have ended meanwhile; a running PHP script does not care.
                self.service.people.sessions.setdefault(params["sessionName"], user)
            self._run(operation, verb, params, php, "")

        loop = asyncio.get_running_loop()
        timer = loop.call_later(dial.late_after_s, commit)
        self._late[timer] = (loop, commit)
        if dial.late_answer == "500":
            await respond(send, 500, _HTML, b"")
            return
        if dial.late_answer == "timeout":
            await asyncio.sleep(dial.hold_s)
        await hang_up(receive, send)

    # --- who else is here ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _under_way(self, operation: str, module: str, session: str) -> Any:
        """Whether another session is creating an order or invoice right now."""
        if operation != "create" or module not in INVENTORY:
            yield False
            return
        self._creating[session] += 1
        try:
            yield len(self._creating) > 1
        finally:
            self._creating[session] -= 1
            if not self._creating[session]:
                del self._creating[session]

    def _turn(self, session: str) -> contextlib.AbstractAsyncContextManager[Any]:
        """PHP locks a session's file: its requests wait for each other."""
        if not self.service.switches.serialise_sessions or not session:
            return contextlib.nullcontext()
        return self._session_locks.setdefault(session, asyncio.Lock())

    def _module_of(self, params: Params) -> str:
        """The module of a call that names only an id."""
        id = params.get("id", "")
        if not id and (element := params.get("element", "")):
            start = element.find('"id"')
            id = element[start + 4 : start + 40].strip(' :"') if start >= 0 else ""
        module = self.service.schema.by_prefix.get(id.partition("x")[0]) if "x" in id else None
        return module.name if module else ""

    @property
    def landed(self) -> bool:
        """No late commit is still to come."""
        return not self._late

    def land(self) -> None:
        """What was to be committed later is committed now. From any thread; `landed` tells when it is done."""
        for loop, commit in list(self._late.values()):
            loop.call_soon_threadsafe(commit)

    def land_here(self) -> int:
        """The same at once, in this application's own loop. How many there were."""
        late = list(self._late.values())
        for _, commit in late:
            commit()
        return len(late)

    def _drop_late(self) -> None:
        for timer in self._late:
            timer.cancel()
        self._late.clear()


_REFUSALS = frozenset({"connection_closed", "rate_limited", "maintenance", "error_500", "empty_500", "read_error"})


def _params(scope: Scope, raw_query: bytes, body: bytes, verb: str) -> Params:
    """Operation and session are read from anywhere, as PHP's $_REQUEST; a JSON body yields nothing."""
    params = dict(parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True))
    if verb == "POST":
        kind = next((value for key, value in scope["headers"] if key == b"content-type"), b"")
        if b"json" not in kind:
            params |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return params


def _lines_sent(operation: str, module: str, params: Params) -> int:
    if operation != "create" or module not in INVENTORY:
        return 0
    return params.get("element", "").count('"quantity"')


def crm_app(
    *,
    access_key: str = DEFAULT_ACCESS_KEY,
    seed: bool = True,
    custom_field: bool = True,
    switches: Switches | None = None,
) -> CrmApp:
    """A new stand-in CRM. Users are `admin` and `apiuser`, both with `access_key`. `seed`: load the demo catalogue."""
    return CrmApp(WebService(access_key=access_key, custom_field=custom_field, switches=switches), seed=seed)


__all__ = ["DEFAULT_ACCESS_KEY", "Calls", "CrmApp", "crm_app"]
