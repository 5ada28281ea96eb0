"""Odoo over either protocol: the way that is chosen once, a login where one is needed, one method at a time, listings by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from connectors.answers import Answer, server_time
from connectors.http import Http, Outcome
from connectors.odoo.errors import Refusal, error_of
from connectors.odoo.protocol import (
    JSON2_SINCE,
    READS,
    RPC_PATH,
    VERSION_PATH,
    Way,
    by_place,
    major_of,
    rpc,
    version_of,
)
from connectors.odoo.settings import OdooSettings
from connectors.session import Session
from connectors.waits import auth, configuration, failing
from connectors.walk import IDS_PER_PAGE, Domain, Row, by_id
from core.errors import OrderwireError, RetryLater
from core.jsontext import loads
from mapping.odoo import reference

OVERRIDES: Final = dict.fromkeys((301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 422, 500), Outcome.OK)
"""Statuses that JSON-2 gives with an error of Odoo's in the body, or that say that there is no such address. Told apart below."""
NO_ADDRESS: Final = frozenset({403, 404, 405, 410})
"""How it looks where /jsonrpc was removed or closed."""


class Client:
    """Reads only. Safe to share between threads."""

    def __init__(self, settings: OdooSettings, http: Http) -> None:
        self.settings = settings
        self.http = http
        self._way: Session[Way] = Session(self._choose)
        self._user: Session[int] = Session(self._login)
        self._context: Session[Row] = Session(self._make_context)
        self._fields: dict[str, frozenset[str]] = {}

    # -- what is read --------------------------------------------------------------------------------------------------

    def context(self) -> Row:
        """What every method is told: the company, the language, and to show archived records as well."""
        return self._context.current()

    def _make_context(self) -> Row:
        told = self._row("res.users", self.ask("res.users", "context_get").result)
        user = told.get("uid")
        if not isinstance(user, int) or isinstance(user, bool):
            raise self.strange("res.users", "an answer without our user")
        language = self.settings.language or told.get("lang")
        bare = {"active_test": False, **({"lang": language} if isinstance(language, str) and language else {})}
        return {**bare, "allowed_company_ids": [self._company(user, bare)]}

    def _company(self, user: int, context: Row) -> int:
        wanted = self.settings.company.strip()
        if wanted:
            params = {"domain": [["name", "=", wanted]], "fields": ["name"], "limit": 1, "context": context}
            rows = self.ask("res.company", "search_read", **params).result
            advice = (
                "write its name into `company` of this connection as Odoo shows it, and allow our user this company"
            )
            lacking = self.lacking(f"has no company {wanted!r} that our user sees", advice)
        else:
            rows = self.ask("res.users", "read", ids=[user], fields=["company_id"], context=context).result
            lacking = self.lacking(
                "has no company for our user", "in Odoo open Settings > Users, and give the user a company"
            )
        row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        found = reference(row.get("id") if wanted else row.get("company_id"))
        if found is None:
            raise lacking
        return found

    @property
    def company(self) -> int:
        """The id of the company that is read."""
        found: int = self.context()["allowed_company_ids"][0]
        return found

    def lacking(self, what: str, advice: str) -> RetryLater:
        """A setting over there or here is not as it must be."""
        return configuration(self.settings.name, what, f"{advice}, then `orderwire check`")

    def fields(self, model: str) -> frozenset[str]:
        """Which fields this model has: that depends on the version and the apps that are installed."""
        found = self._fields.get(model)
        if found is None:
            answer = self.ask(model, "fields_get", attributes=["type"], context=self.context()).result
            found = self._fields[model] = frozenset(self._row(model, answer))
        return found

    def search_read(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        limit: int = IDS_PER_PAGE,
        order: str = "id",
        context: Mapping[str, Any] | None = None,
    ) -> list[Row]:
        """Rows of a model, at most `limit`."""
        told = {**self.context(), **(context or {})}
        answer = self.ask(
            model, "search_read", domain=domain, fields=list(fields), limit=limit, order=order, context=told
        ).result
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise self.strange(model, "an answer that is no list of rows")
        return answer

    def count(self, model: str, domain: Domain) -> int:
        """How many there are."""
        answer = self.ask(model, "search_count", domain=domain, context=self.context()).result
        if not isinstance(answer, int) or isinstance(answer, bool):
            raise self.strange(model, "an answer that is no number")
        return answer

    def listing(
        self, model: str, domain: Domain, fields: Sequence[str], *, after: int = 0, per_page: int = IDS_PER_PAGE
    ) -> Iterator[list[Row]]:
        """All rows, by id (`connectors.walk.by_id`)."""
        return by_id(
            lambda last: self.search_read(model, [["id", ">", last], *domain], fields, limit=per_page),
            lambda found: self.strange(model, found),
            after=after,
            per_page=per_page,
        )

    # -- the way -------------------------------------------------------------------------------------------------------

    def way(self) -> Way:
        """How this server is spoken to: chosen when it is first needed, and remembered."""
        return self._way.current()

    def choose(self) -> Way:
        """Choose anew: the server may have been updated."""
        self._way.forget()
        self._fields = {}
        return self._way.current()

    def _choose(self) -> Way:
        told = self._version()
        version = self._web_version() if told is None else told
        if self.settings.protocol != "auto":
            return Way(self.settings.protocol, version)
        newer = told is None or major_of(version) >= JSON2_SINCE
        return Way("json2" if newer else "jsonrpc", version)

    def _version(self) -> str | None:
        """What JSON-RPC tells without a login; None where the server speaks none."""
        response = self._post("common.version", RPC_PATH, rpc("common", "version"))
        if response.status_code in NO_ADDRESS:
            return None
        version = version_of(self._rpc_result("common", "version", response))
        if not version:
            raise self.strange("common.version", "an answer that tells no version")
        return version

    def _web_version(self) -> str:
        response = self.http.read("web.version", "GET", VERSION_PATH)
        if response.status_code in {401, 403}:
            raise self._not_logged_in("web.version")
        if response.status_code >= 300:
            raise self._no_service("web.version", response.status_code)
        return version_of(self._parsed("web.version", response))

    # -- one method ----------------------------------------------------------------------------------------------------

    def ask(self, model: str, method: str, **params: Any) -> Answer:
        """One method of a model, and what it returned. Where the way or the login is over, both are renewed once."""
        way = self._way.current()
        answer = self._asked(way, model, method, params)
        if answer is None:
            self._way.drop(way)
            answer = self._asked(self._way.current(), model, method, params)
        if answer is None:
            raise self._no_service(f"{model}.{method}", 404)
        return answer

    def _asked(self, way: Way, model: str, method: str, params: Mapping[str, Any]) -> Answer | None:
        """None: there is nothing at this address."""
        if method not in READS:
            raise ValueError(f"{method} is none of the methods that read")
        return (self._json2 if way.protocol == "json2" else self._jsonrpc)(model, method, params)

    def _json2(self, model: str, method: str, params: Mapping[str, Any]) -> Answer | None:
        headers = {
            "Authorization": f"bearer {self.settings.api_key.get()}",
            "X-Odoo-Database": self.settings.database,
        }
        response = self._post(f"{model}.{method}", f"json/2/{model}/{method}", params, headers)
        status = response.status_code
        if status < 300:
            return Answer(self._parsed(f"{model}.{method}", response), server_time(response))
        refusal = self._refusal(model, method, _body(response))
        if refusal is not None:
            raise error_of(refusal)
        if status in {401, 403}:
            raise self._not_logged_in(f"{model}.{method}")
        if status == 404:
            return None
        raise self._no_service(f"{model}.{method}", status)

    def _jsonrpc(self, model: str, method: str, params: Mapping[str, Any]) -> Answer | None:
        user = self._user.current()
        response = self._execute(user, model, method, params)
        if response.status_code in NO_ADDRESS:
            return None
        refusal = self._rpc_refusal(model, method, response)
        if refusal is not None and refusal.refuses_login:
            self._user.drop(user)
            response = self._execute(self._user.current(), model, method, params)
        return Answer(self._rpc_result(model, method, response), server_time(response))

    def _execute(self, user: int, model: str, method: str, params: Mapping[str, Any]) -> httpx.Response:
        settings = self.settings
        places, named = by_place(method, params)
        login = (settings.database, user, settings.api_key.get())
        body = rpc("object", "execute_kw", *login, model, method, places, named)
        return self._post(f"{model}.{method}", RPC_PATH, body)

    def _login(self) -> int:
        settings = self.settings
        body = rpc("common", "login", settings.database, settings.username, settings.api_key.get())
        response = self._post("common.login", RPC_PATH, body)
        if response.status_code in NO_ADDRESS:
            raise self._no_service("common.login", response.status_code)
        user = self._rpc_result("common", "login", response)
        if user is False:
            raise self._not_logged_in("common.login")
        if not isinstance(user, int) or isinstance(user, bool):
            raise self.strange("common.login", "an answer that is no user")
        return user

    # -- one request ---------------------------------------------------------------------------------------------------

    def _post(
        self, operation: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self.http.read(operation, "POST", path, json=body, headers=headers or {})

    def _rpc_result(self, model: str, method: str, response: httpx.Response) -> Any:
        """A method that returns nothing has no `result` at all."""
        refusal = self._rpc_refusal(model, method, response)
        if refusal is not None:
            raise error_of(refusal)
        body = self._parsed(f"{model}.{method}", response)
        if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
            raise self.strange(f"{model}.{method}", "an answer that is no JSON-RPC")
        return body.get("result")

    def _rpc_refusal(self, model: str, method: str, response: httpx.Response) -> Refusal | None:
        status = response.status_code
        if status in {401, 403}:
            raise self._not_logged_in(f"{model}.{method}")
        if status >= 300:
            raise self._no_service(f"{model}.{method}", status)
        body = _body(response)
        error = body.get("error") if isinstance(body, dict) else None
        if error is None:
            return None
        data = error.get("data") if isinstance(error, dict) else None
        return self._refusal(model, method, data) or Refusal(self.settings.name, model, method, "", "")

    def _refusal(self, model: str, method: str, body: Any) -> Refusal | None:
        if not isinstance(body, dict) or not isinstance(body.get("name"), str):
            return None
        message = body.get("message")
        return Refusal(self.settings.name, model, method, body["name"], message if isinstance(message, str) else "")

    def _parsed(self, operation: str, response: httpx.Response) -> Any:
        try:
            return loads(response.content)
        except ValueError:
            raise self.strange(operation, "an answer that is not JSON") from None

    def _row(self, what: str, value: object) -> Row:
        if not isinstance(value, dict):
            raise self.strange(what, "an answer that is no record")
        return value

    def _not_logged_in(self, operation: str) -> RetryLater:
        settings = self.settings
        return auth(
            settings.name,
            f"refuses the login of {settings.username}",
            "check `username` and the API key (in Odoo: the user's Preferences > Account Security), and that the user is active",
            operation,
        )

    def _no_service(self, operation: str, status: int) -> OrderwireError:
        settings, detail = self.settings, f"{operation}: HTTP {status}"
        if status >= 500:
            return failing(
                settings.name, f"failed (HTTP {status})", "see Odoo's own log; it is tried again by itself", detail
            )
        what = (
            f"redirects (HTTP {status})"
            if status < 400
            else f"has no database {settings.database} there (HTTP {status})"
        )
        advice = (
            "check `url` and `database` of this connection, and that nothing before Odoo closes /json/2 or /jsonrpc"
        )
        return configuration(settings.name, what, advice, detail, seconds=60)

    def strange(self, what: str, found: str) -> RetryLater:
        """An answer that is none of Odoo's."""
        advice = "see what stands between us and Odoo, and Odoo's own log; it is tried again by itself"
        return failing(self.settings.name, f"gave {found}", advice, what)


def _body(response: httpx.Response) -> Any:
    try:
        return loads(response.content)
    except ValueError:
        return None
