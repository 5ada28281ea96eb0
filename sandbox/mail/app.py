"""The stand-in mail server: SMTP on a port of its own, and a page of what came in, with attachments that open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.mail.box import Mail, Postbox
from sandbox.pages import STATIC, environment, from_elsewhere, render
from sandbox.serve import listening_socket

LARGEST: Final = 32 * 1024 * 1024
_TEMPLATES: Final = environment("mail")
_OPENS: Final = frozenset({"application/pdf", "text/plain", "image/png", "image/jpeg"})
"""What the browser shows; everything else it saves."""


class MailApp(Starlette):
    """The ASGI application. While it is served (its lifespan), the SMTP server listens at 127.0.0.1:`smtp_port`; `box` may be
    used directly by tests in the same process.
    """

    def __init__(self, smtp_port: int = 0) -> None:
        self.box = Postbox()
        self._bound = listening_socket(smtp_port)
        self.smtp_port = int(self._bound.getsockname()[1])
        super().__init__(
            lifespan=self._serving,
            routes=[
                Route("/", self._home),
                Route("/mail/{number:int}", self._mail),
                Route("/mail/{number:int}/raw", self._raw),
                Route("/mail/{number:int}/{place:int}", self._attachment),
                Route("/empty", self._empty, methods=["POST"]),
                Route("/sandbox/mails", self._state),
                Mount("/static", StaticFiles(directory=STATIC), name="static"),
            ],
        )

    @contextlib.asynccontextmanager
    async def _serving(self, _app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._session, sock=self._bound)
        try:
            yield
        finally:
            server.close()

    def _session(self) -> SMTP:
        return SMTP(self.box, hostname="mail.sandbox", data_size_limit=LARGEST, enable_SMTPUTF8=True, ident="Sandbox")

    # -- pages ---------------------------------------------------------------------------------------------------------

    async def _home(self, request: Request) -> Response:
        return self._page("mails.html", mails=[_line(mail) for mail in reversed(self.box.mails)], active="/", refresh=2)

    async def _mail(self, request: Request) -> Response:
        mail = self._asked(request)
        if mail is None:
            return self._gone()
        return self._page("mail.html", mail=_line(mail), text=mail.text, active="", refresh=0)

    async def _raw(self, request: Request) -> Response:
        mail = self._asked(request)
        if mail is None:
            return self._gone()
        return Response(mail.raw, media_type="text/plain; charset=utf-8", headers={"x-content-type-options": "nosniff"})

    async def _attachment(self, request: Request) -> Response:
        mail, place = self._asked(request), request.path_params["place"]
        attachments = mail.attachments if mail is not None else []
        if not 0 < place <= len(attachments):
            return self._gone()
        name, media_type, body = attachments[place - 1]
        how = "inline" if media_type in _OPENS else "attachment"
        headers = {
            "content-disposition": f"{how}; filename*=utf-8''{quote(name, safe='')}",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }
        if media_type == "application/pdf":
            del headers[
                "content-security-policy"
            ]  # browsers show a PDF by a page of their own, which a sandbox would keep out
        return Response(
            body, media_type=media_type if media_type in _OPENS else "application/octet-stream", headers=headers
        )

    async def _empty(self, request: Request) -> Response:
        if not from_elsewhere(request):
            self.box.clear()
        return RedirectResponse("/", status_code=303)

    async def _state(self, request: Request) -> Response:
        """For programs."""
        return JSONResponse({"mails": [_line(mail) | {"text": mail.text} for mail in self.box.mails]})

    def _asked(self, request: Request) -> Mail | None:
        return self.box.get(request.path_params["number"])

    def _gone(self) -> Response:
        problem = "There is no such mail (any more)."
        mails = [_line(mail) for mail in reversed(self.box.mails)]
        return self._page("mails.html", status=404, mails=mails, active="", refresh=0, problem=problem)

    def _page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        return render(_TEMPLATES, template, status=status, smtp_port=self.smtp_port, **context)


def _line(mail: Mail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "at": f"{mail.at:%Y-%m-%d %H:%M:%S}",
        "from": mail.head("From") or mail.sender,
        "to": mail.head("To") or ", ".join(mail.to),
        "subject": mail.head("Subject") or "(no subject)",
        "attachments": mail.names,
    }


def mail_app(*, smtp_port: int = 0) -> MailApp:
    """A new stand-in mail server. `smtp_port`: 0 takes a free one, which `smtp_port` of the application tells."""
    return MailApp(smtp_port)
