"""A scripted vtiger for tests: answers by operation, keeps what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx

from connectors.http import Call
from connectors.vtiger import VtigerCrm, VtigerSettings, build
from core.clock import Clock
from core.secrets import SecretRef

Json = dict[str, Any]
Answer = Callable[[Json], Any]


class Refuse(Exception):
    """Answer with `success: false`."""

    def __init__(self, code: object, message: str = "") -> None:
        super().__init__(code)
        self.error = {"message": message, "code": code}


class Page(Exception):
    """Answer with this status and text instead of an envelope."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.text = text


class StillClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


class FakeVtiger:
    """`answers`: operation -> function of the parameters, which may raise `Refuse` or `Page`. Logins always work.

    `honest`: it is an empty CRM, but a CRM: asked for any record at all of a module it has none, of its taxes it has one.
    Such questions are kept in `witnessed`, not in `asked`.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[Json] = []
        self.sessions = 0
        self.honest = True
        self.witnessed: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params: Json = dict(parse_qsl((request.url.query or request.content).decode(), keep_blank_values=True))
        if "element" in params:
            params["element"] = json.loads(params["element"])
        witness = re.fullmatch(r"SELECT id FROM (\w+) LIMIT 1;", params.get("query", "")) if self.honest else None
        if witness is not None:
            self.witnessed.append(witness[1])
            return self._say({"success": True, "result": [{"id": "34x1"}] if witness[1] == "Tax" else []})
        self.asked.append(params)
        try:
            result = self._result(params)
        except Refuse as refusal:
            return self._say({"success": False, "error": refusal.error})
        except Page as page:
            return httpx.Response(page.status, text=page.text)
        return self._say({"success": True, "result": result})

    def _result(self, params: Json) -> Any:
        operation = params["operation"]
        if operation in self.answers:
            return self.answers[operation](params)
        if operation == "getchallenge":
            return {"token": "token", "serverTime": 1, "expireTime": 301}
        if operation == "login":
            self.sessions += 1
            return {"sessionName": f"s{self.sessions}", "userId": "19x1", "vtigerVersion": "8.2.0", "is_admin": "on"}
        raise AssertionError(f"not expected: {params}")

    @staticmethod
    def _say(body: Json) -> httpx.Response:
        return httpx.Response(200, text=json.dumps(body, separators=(",", ":")))

    def operations(self) -> list[str]:
        return [params["operation"] for params in self.asked]

    def of(self, operation: str) -> list[Json]:
        return [params for params in self.asked if params["operation"] == operation]


class OpenGuard:
    """Lets every write through and counts them."""

    def __init__(self) -> None:
        self.writes = 0

    def before_write(self, connection: str, timeout: float) -> None:
        self.writes += 1

    def called(self, call: Call) -> None:
        return


def settings(**changes: Any) -> VtigerSettings:
    values: Json = {
        "name": "crm",
        "url": "http://crm.test/",
        "username": "admin",
        "access_key": SecretRef("env:VTIGER_TEST_KEY"),
        "owners": {"Anna": "19x1", "Sales": "20x2"},
        "currencies": {"EUR": "21x1"},
        "unknown_product": "UNKNOWN",
        "fee_product": "FEE",
    }
    return VtigerSettings(**(values | changes))


def connector(fake: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None, **changes: Any) -> VtigerCrm:
    return build(settings(**changes), transport=httpx.MockTransport(fake), clock=clock or StillClock())
