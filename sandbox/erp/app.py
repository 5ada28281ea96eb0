"""The stand-in ERP as an ASGI application: JSON-RPC at /<database>/rpc/, pages and the dial beside it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sandbox.asgi import Receive, Scope, Send, hang_up, lifespan, read_body, respond
from sandbox.erp import control
from sandbox.erp.faults import Faults
from sandbox.erp.seed import load_demo
from sandbox.erp.service import Service
from sandbox.erp.staff import Staff
from sandbox.erp.tables import Tables

DATABASE: Final = "tryton"
USERNAME: Final = "orderwire"
DEFAULT_PASSWORD: Final = "sandbox-password"  # noqa: S105 (of a stand-in on the loopback)
_JSON: Final = b"application/json"
_HTML: Final = b"text/html; charset=utf-8"
_BROKEN: Final = b"<!doctype html>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
_MAINTENANCE: Final = (
    b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"
)
_NO_DATABASE: Final = b"<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"


class ErpApp:
    """The ASGI callable. `tables`, `staff`, `service`, `faults` and `calls` may be used directly by tests in the same process."""

    def __init__(self, tables: Tables, *, password: str, seed: bool) -> None:
        self.tables, self.seed = tables, seed
        self.service = Service(tables, USERNAME, password)
        self.staff = Staff(tables)
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.pages = control.build(self)
        self.reset()

    def reset(self) -> None:
        """The company as it was at the beginning, the dial at zero, no calls counted. Sessions go on."""
        with self.tables.lock:
            self.tables.clear()
            if self.seed:
                load_demo(self.tables)
        self.faults.clear()
        self.calls.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"].endswith("/rpc/"):
            await self._rpc(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    # -- one call ------------------------------------------------------------------------------------------------------

    async def _rpc(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if scope["path"] != f"/{DATABASE}/rpc/" or scope["method"] != "POST":
            await respond(send, 404, _HTML, _NO_DATABASE)
            return
        try:
            asked = json.loads(body)
            method, params, number = asked["method"], asked["params"], asked.get("id")
        except (ValueError, KeyError, TypeError, AttributeError):
            await respond(send, 500, _HTML, _BROKEN)
            return
        self.calls[method] += 1
        fault = self.faults.choose(method)
        delay = self.faults.numbers["latency_ms"]
        if delay:
            await asyncio.sleep(delay / 1000)
        headers = dict(scope["headers"])
        if fault and await self._refused(fault, method, number, receive, send):
            return
        if fault == "session_lost":
            self.service.sessions.clear()
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        status, answer = self.service.call(method, params, number, authorization)
        if status == 401:
            await respond(
                send, 401, b"text/plain; charset=utf-8", b"", [(b"www-authenticate", b'Basic realm="Tryton"')]
            )
            return
        content = json.dumps(answer).encode()
        await respond(send, status, _JSON, content[: len(content) // 2] if fault == "half_answer" else content)

    async def _refused(self, fault: str, method: str, number: Any, receive: Receive, send: Send) -> bool:
        """Faults that answer before anything is done; False where this one does not."""
        if fault == "connection_closed":
            await hang_up(receive, send)
        elif fault == "rate_limited":
            await respond(send, 429, b"text/plain", b"Too many requests", [(b"retry-after", b"1")])
        elif fault == "maintenance":
            await respond(send, 200, _HTML, _MAINTENANCE)
        elif fault == "error_500":
            await respond(send, 500, _HTML, _BROKEN)
        elif fault == "login_refused":
            await respond(send, 401, b"text/plain; charset=utf-8", b"")
        elif fault in {"not_allowed", "busy"}:
            model = method.removeprefix("model.").rpartition(".")[0]
            words = [f'You are not allowed to access "{model}".', "Within groups: ", None]
            error = (
                ["UserError", words]
                if fault == "not_allowed"
                else ["ConcurrencyException", ["Modified meanwhile", "", None]]
            )
            await respond(send, 200, _JSON, json.dumps({"id": number, "error": error}).encode())
        else:
            return False
        return True


def erp_app(
    *,
    password: str = DEFAULT_PASSWORD,
    seed: bool = True,
    sqlite: bool = False,
    now: Callable[[], datetime] | None = None,
) -> ErpApp:
    """A new stand-in ERP: database `tryton`, user `orderwire`. `seed`: with the demo company. `sqlite`: booleans are read as
    1 and 0, as Tryton over SQLite does. `now`: its clock.
    """
    return ErpApp(Tables(now, sqlite=sqlite), password=password, seed=seed)
