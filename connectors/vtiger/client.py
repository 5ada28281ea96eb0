"""vtiger's web service: challenge, login, one shared session, envelopes with noise before them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn, cast

import httpx

from connectors.http import Http, Outcome
from connectors.session import Session
from connectors.vtiger.errors import Denied, NoSuchRecord, Refusal, SessionGone, WrongCredentials, error_of, lasting
from connectors.vtiger.settings import VtigerSettings
from core.errors import Ambiguous, Held, OrderwireError, RetryLater

Record = dict[str, Any]
"""An element as vtiger gives it: values are strings, except totals (Decimal), lines (list) and oddities."""

PATH: Final = "webservice.php"
_GET: Final = frozenset({"getchallenge", "listtypes", "describe", "retrieve", "query"})
"""vtiger enforces the verb: with the wrong one every parameter reads as empty, and the error misleads."""

OVERRIDES: Final[dict[int, Outcome]] = dict.fromkeys((301, 302, 303, 307, 308, 404, 500), Outcome.OK)
"""Statuses that this client judges itself: an empty 500 is an uncaught PHP error, 404 and redirects a wrong address."""

READ_AGAIN: Final = (0.2, 0.6)
"""Seconds before a read that failed inside vtiger is tried again: one hiccup must not stop a whole connection."""

LOGIN_AGAIN: Final = (0.1, 0.5)
"""Seconds, at most, before a refused login is tried again."""

_ENVELOPE: Final = '{"success":'


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def envelope(text: str) -> Record | None:
    """The last `{"success":` of the text (PHP warnings may stand before it) as envelope; None without one."""
    start = 0 if text.startswith(_ENVELOPE) else text.rfind(_ENVELOPE)
    if start < 0:
        return None
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return cast("Record", value) if isinstance(value, dict) and isinstance(value.get("success"), bool) else None


class Client:
    """One user's session with one install; safe to share between threads."""

    def __init__(self, settings: VtigerSettings, http: Http) -> None:
        self.settings = settings
        self.http = http
        self.login_result: Record = {}
        self._session = Session(self._login)

    # -- operations ---------------------------------------------------------------------------------------------------

    def query(self, text: str) -> list[Record]:
        """Rows of a query, at most 100. A denied query names a field or module that the API user does not have."""
        module = text.partition(" FROM ")[2].partition(" ")[0].rstrip(";")
        try:
            rows = self.call("query", {"query": text}, module=module)
        except Denied as denied:
            raise lasting(denied.refusal) from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._unreadable("query", write=False)
        return rows

    def retrieve(self, id: str) -> Record | None:
        """One record; None when it is gone (or out of our rights: vtiger answers both alike)."""
        try:
            return self._record("retrieve", self.call("retrieve", {"id": id}), write=False)
        except Denied:
            return None

    def describe(self, module: str) -> Record | None:
        """A module's fields and rights; None when the API user may not see it."""
        try:
            return self._record("describe", self.call("describe", {"elementType": module}, module=module), write=False)
        except Denied:
            return None

    def listtypes(self) -> list[str]:
        """The modules that the API user may see."""
        found = self._record("listtypes", self.call("listtypes", {}), write=False).get("types")
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    def create(self, module: str, element: Mapping[str, Any]) -> Record:
        """Create a record; the answer is the record as vtiger kept it."""
        params = {"elementType": module, "element": json.dumps(element)}
        try:
            return self._record("create", self.call("create", params, write=True, module=module), write=True)
        except Denied as denied:
            raise lasting(denied.refusal) from None

    def revise(self, module: str, element: Mapping[str, Any]) -> Record:
        """Change some fields of a record; the answer is the whole record."""
        try:
            answer = self.call("revise", {"element": json.dumps(element)}, write=True, module=module)
        except Denied as denied:
            raise Held(
                f"{self.settings.name} does not let us change this {module} record: it was deleted there, or the right "
                "is missing. What to do: see whether it is still in vtiger; restore it from the bin, then retry.",
                error_class="missing reference",
                detail=denied.detail,
            ) from None
        return self._record("revise", answer, write=True)

    def delete(self, module: str, id: str) -> None:
        """Delete a record. A denial means gone or not allowed: one that can still be read was not ours to delete."""
        try:
            self.call("delete", {"id": id}, write=True, module=module)
        except Denied as denied:
            if self.retrieve(id) is not None:
                raise Held(
                    f"{self.settings.name} does not let us delete this {module} record. "
                    f"What to do: delete it there, or give the API user's role the right to delete in {module}, then retry.",
                    error_class="configuration",
                    detail=denied.detail,
                ) from None

    def convert_lead(self, element: Mapping[str, Any]) -> dict[str, str]:
        """Convert a lead; module -> id of what became of it."""
        try:
            made = self.call("convertlead", {"element": json.dumps(element)}, write=True, module="Leads")
        except Denied as denied:
            raise Held(
                f"{self.settings.name} does not let us convert the lead: it was deleted there, or a right is missing. "
                "What to do: see whether the lead is still in vtiger and the user may convert leads, then retry.",
                error_class="missing reference",
                detail=denied.detail,
            ) from None
        return {
            module: id for module, id in self._record("convertlead", made, write=True).items() if isinstance(id, str)
        }

    def lead_conversion_works(self, prefix: str) -> bool:
        """Whether `convertlead` runs at all, found out without effect.

        It is asked to convert a lead that cannot exist (the largest id there is) into nothing at all. Where it works,
        looking up the lead fails first, and an envelope says so. On PHP 8, vtiger 8.2 dies before it reads its
        arguments: an empty 500, or an empty 200, or the fatal error as HTML where errors are displayed.
        """
        element = json.dumps({"leadId": f"{prefix}x2147483647", "entities": {}})
        for _ in range(2):
            params = {"operation": "convertlead", "sessionName": self._session.current(), "element": element}
            response = self.http.read("convertlead", "POST", PATH, data=params)
            text = _text(response)
            found = envelope(text)
            if found is None:
                if response.status_code in {200, 500} and (not text.strip() or "Fatal error" in text):
                    return False
                raise self._no_envelope("convertlead", response, text, write=False)
            error = None if found["success"] else self._error("convertlead", "Leads", found, write=False)
            if not isinstance(error, SessionGone):
                return True
            self._session.drop(params["sessionName"])
        raise self._not_logged_in()

    # -- session ------------------------------------------------------------------------------------------------------

    def call(self, operation: str, params: Mapping[str, str], *, write: bool = False, module: str = "") -> Any:
        """One operation within the session. A session that is over is renewed once and the call repeated: it was
        refused before it did anything.
        """
        session = self._session.current()
        try:
            return self._send(operation, params, session, write=write, module=module)
        except SessionGone:
            self._session.drop(session)
        try:
            return self._send(operation, params, self._session.current(), write=write, module=module)
        except SessionGone:
            raise self._not_logged_in() from None

    def login(self) -> Record:
        """Log in if need be; what vtiger told about the user then."""
        self._session.current()
        return self.login_result

    def _login(self) -> str:
        """Challenge, then md5(token + access key). Tried a few times: a challenge asked for by another process in between
        kills ours, and the refusal then reads like a wrong password. Processes that begin together meet more than once.
        """
        for pause in LOGIN_AGAIN:
            try:
                return self._log_in_once()
            except WrongCredentials:
                self.http.pause(random.uniform(0.0, pause))  # noqa: S311 - so that two do not meet in step
        try:
            return self._log_in_once()
        except WrongCredentials:
            raise self._not_logged_in() from None

    def _log_in_once(self) -> str:
        username = self.settings.username
        try:
            challenge = self._record("getchallenge", self._send("getchallenge", {"username": username}), write=False)
            token = challenge.get("token")
            if not isinstance(token, str) or not token:
                raise self._unreadable("getchallenge", write=False)
            # MD5 is vtiger's protocol, not our choice.
            key = hashlib.md5((token + self.settings.access_key.get()).encode(), usedforsecurity=False).hexdigest()
            answer = self._record("login", self._send("login", {"username": username, "accessKey": key}), write=False)
        except Denied:
            raise self._not_logged_in() from None
        session = answer.get("sessionName")
        if not isinstance(session, str) or not session:
            raise self._unreadable("login", write=False)
        self.login_result = answer
        return session

    def _not_logged_in(self) -> RetryLater:
        return RetryLater(
            f"{self.settings.name} refuses the login of {self.settings.username}. What to do: check the user name and "
            "the access key (My Preferences in vtiger; it changes with the password), and that the user is active.",
            seconds=60,
            scope="connection",
            connection=self.settings.name,
            cause="auth",
        )

    # -- one request --------------------------------------------------------------------------------------------------

    def _send(
        self, operation: str, params: Mapping[str, str], session: str = "", *, write: bool = False, module: str = ""
    ) -> Any:
        full = {"operation": operation, **({"sessionName": session} if session else {}), **params}
        send = self.http.write if write else self.http.read
        get = operation in _GET
        request = {"params" if get else "data": full}
        for pause in () if write else READ_AGAIN:
            response = send(operation, "GET" if get else "POST", PATH, **request)
            if response.status_code < 500 or envelope(_text(response)) is not None:
                break
            self.http.pause(pause)
        else:
            response = send(operation, "GET" if get else "POST", PATH, **request)
        text = _text(response)
        found = envelope(text)
        if found is None:
            raise self._no_envelope(operation, response, text, write=write)
        if found["success"]:
            return found.get("result")
        raise self._error(operation, module, found, write=write)

    def _error(self, operation: str, module: str, found: Record, *, write: bool) -> OrderwireError:
        error = found.get("error")
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
        refusal = Refusal(self.settings.name, operation, module, write, f"{code}"[:60], f"{message}"[:300])
        return error_of(refusal)

    def _record(self, operation: str, value: object, *, write: bool) -> Record:
        if not isinstance(value, dict):
            raise self._unreadable(operation, write=write)
        return cast("Record", value)

    def _no_envelope(self, operation: str, response: httpx.Response, text: str, *, write: bool) -> OrderwireError:
        status = response.status_code
        if status == 404 or 300 <= status < 400:
            return RetryLater(
                f"There is no vtiger web service at the address of {self.settings.name} (HTTP {status}). "
                "What to do: put the address of the CRM as the browser shows it into `url`, then `orderwire check`.",
                seconds=60,
                scope="connection",
                connection=self.settings.name,
                cause="configuration",
                detail=f"{operation}: HTTP {status}",
            )
        what = "an empty answer" if not text.strip() else "a page instead of an answer"
        return self._unreadable(operation, write=write, what=f"{what} (HTTP {status})")

    def _unreadable(
        self, operation: str, *, write: bool, what: str = "an answer that is no vtiger answer"
    ) -> OrderwireError:
        if write:
            return Ambiguous(
                f"{self.settings.name} gave {what}: nobody knows whether it kept what was sent. "
                "What to do: nothing, Orderwire looks after a while whether it is there.",
                connection=self.settings.name,
                detail=f"{operation}: {what}",
            )
        return RetryLater(
            f"{self.settings.name} gave {what}. What to do: see whether vtiger is in maintenance or its log shows an "
            "error; it is tried again by itself.",
            seconds=10,
            scope="connection",
            connection=self.settings.name,
            cause="remote 5xx",
            detail=f"{operation}: {what}",
        )


def _text(response: httpx.Response) -> str:
    return response.content.decode("utf-8", "replace")


__all__ = ["OVERRIDES", "PATH", "Client", "Denied", "NoSuchRecord", "Record", "envelope"]
