"""Tryton's JSON-RPC: a session, one method at a time, and listings by id."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from connectors.answers import Answer, server_time
from connectors.http import Http, Outcome
from connectors.session import Session
from connectors.tryton.errors import Refusal, error_of
from connectors.tryton.settings import TrytonSettings
from connectors.waits import auth, configuration, failing
from connectors.walk import IDS_PER_PAGE, Domain, Row, by_id
from core.errors import OrderwireError, RetryLater
from core.jsontext import loads

OVERRIDES: Final = dict.fromkeys((301, 302, 303, 307, 308, 401, 404), Outcome.OK)
"""401 is also what a session that is over gets, with an empty body; 404 is a database that is not there. Told apart below."""
BY_ID: Final = [["id", "ASC"]]


class Client:
    """Reads only. Safe to share between threads."""

    def __init__(self, settings: TrytonSettings, http: Http) -> None:
        self.settings = settings
        self.http = http
        self._session = Session(self._login)
        self._context: Row | None = None
        self._fields: dict[str, frozenset[str]] = {}

    # -- what is read --------------------------------------------------------------------------------------------------

    def context(self) -> Row:
        """What every method is told: the company, the language, and to show archived records as well."""
        if self._context is None:
            self._context = self._make_context()
        return self._context

    def _make_context(self) -> Row:
        found = self.preferences()
        company = self._company(found)
        companies = found.get("companies")
        context: Row = {
            "company": company,
            "companies": companies if isinstance(companies, list) else [],
            "company_filter": "one",
            "active_test": False,
        }
        language = self.settings.language or found.get("language")
        if isinstance(language, str) and language:
            context["language"] = language
        return context

    def preferences(self) -> Row:
        """What Tryton keeps about our user, from which its own clients make the context."""
        return self._row("res.user", self.call("model.res.user.get_preferences", True, {}))

    def _company(self, preferences: Row) -> int:
        wanted = self.settings.company.strip()
        own = preferences.get("company")
        if not wanted:
            if isinstance(own, int) and not isinstance(own, bool):
                return own
            raise self.lacking(
                "has no company for our user", "in Tryton open Administration > Users, and give the user a company"
            )
        rows = self.call("model.company.company.search_read", [], 0, 1_000, None, ["rec_name"], {})
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and row.get("rec_name") == wanted and isinstance(row.get("id"), int):
                return int(row["id"])
        raise self.lacking(
            f"has no company {wanted!r} that our user sees",
            "write its name into `company` of this connection as Tryton shows it, and give the user this company",
        )

    def lacking(self, what: str, advice: str) -> RetryLater:
        """A setting over there or here is not as it must be: everything waits until somebody sees to it."""
        return configuration(self.settings.name, what, f"{advice}, then `orderwire check`")

    def fields(self, model: str) -> frozenset[str]:
        """Which fields this model has: that depends on the modules that are active."""
        found = self._fields.get(model)
        if found is None:
            answer = self.call(f"model.{model}.fields_get", [], 0, self.context())
            found = self._fields[model] = frozenset(self._row(model, answer))
        return found

    def search_read(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        limit: int = IDS_PER_PAGE,
        order: Sequence[Sequence[str]] = BY_ID,
        context: Mapping[str, Any] | None = None,
    ) -> list[Row]:
        """Rows of a model, at most `limit`."""
        told = {**self.context(), **(context or {})}
        answer = self.call(f"model.{model}.search_read", domain, 0, limit, order, list(fields), told)
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise self._strange(model, "an answer that is no list of rows")
        return answer

    def count(self, model: str, domain: Domain) -> int:
        """How many there are."""
        answer = self.call(f"model.{model}.search_count", domain, 0, None, self.context())
        if not isinstance(answer, int) or isinstance(answer, bool):
            raise self._strange(model, "an answer that is no number")
        return answer

    def listing(
        self, model: str, domain: Domain, fields: Sequence[str], *, after: int = 0, per_page: int = IDS_PER_PAGE
    ) -> Iterator[list[Row]]:
        """All rows, by id (`connectors.walk.by_id`)."""
        return by_id(
            lambda last: self.search_read(model, [["id", ">", last], *domain], fields, limit=per_page),
            lambda found: self._strange(model, found),
            after=after,
            per_page=per_page,
        )

    # -- session -------------------------------------------------------------------------------------------------------

    def call(self, method: str, *params: Any) -> Any:
        """One method within the session, and what it returned."""
        return self.ask(method, *params).result

    def ask(self, method: str, *params: Any) -> Answer:
        """The same with the server's time. A session that is over is renewed once and the call repeated."""
        session = self._session.current()
        answer = self._send(method, params, session)
        if answer is None:
            if self._session.drop(session):
                self._context = None
            answer = self._send(method, params, self._session.current())
        if answer is None:
            raise self._not_logged_in()
        return answer

    def _login(self) -> str:
        settings = self.settings
        password = settings.password.get()
        answer = self._send("common.db.login", (settings.username, {"password": password}, "en"))
        if answer is None:
            raise self._not_logged_in()
        match answer.result:
            case [int(user), str(token), *_] if token:
                words = f"{settings.username}:{user}:{token}"
                return base64.b64encode(words.encode()).decode("ascii")
        raise self._strange("login", "an answer that is no session")

    def _not_logged_in(self) -> RetryLater:
        settings = self.settings
        return auth(
            settings.name,
            f"refuses the login of {settings.username}",
            "check username and password (in Tryton: Administration > Users), and that the user is active",
            "common.db.login",
        )

    # -- one request ---------------------------------------------------------------------------------------------------

    def _send(self, method: str, params: Sequence[Any], session: str = "") -> Answer | None:
        """None: 401."""
        headers = {"Authorization": f"Session {session}"} if session else {}
        body = {"id": 1, "method": method, "params": list(params)}
        path = f"{self.settings.database}/rpc/"
        response = self.http.read(method.removeprefix("model."), "POST", path, json=body, headers=headers)
        if response.status_code == 401:
            return None
        if response.status_code >= 300:
            raise self._no_service(method, response.status_code)
        return Answer(self._result(method, response), server_time(response))

    def _result(self, method: str, response: httpx.Response) -> Any:
        try:
            body = loads(response.content)
        except ValueError:
            raise self._strange(method, "an answer that is not JSON") from None
        if isinstance(body, dict) and "error" in body:
            raise error_of(Refusal(self.settings.name, method, body["error"]))
        if not isinstance(body, dict) or "result" not in body:
            raise self._strange(method, "an answer without a result")
        return body["result"]

    def _row(self, what: str, value: object) -> Row:
        if not isinstance(value, dict):
            raise self._strange(what, "an answer that is no record")
        return value

    def _no_service(self, method: str, status: int) -> OrderwireError:
        settings = self.settings
        what = f"has no database {settings.database} (HTTP 404)" if status == 404 else f"redirects (HTTP {status})"
        advice = "check `url` and `database` of this connection, and that trytond serves this database"
        return configuration(settings.name, what, advice, f"{method}: HTTP {status}", seconds=60)

    def _strange(self, what: str, found: str) -> RetryLater:
        advice = "see what stands between us and Tryton, and Tryton's own log; it is tried again by itself"
        return failing(self.settings.name, f"gave {found}", advice, what)
