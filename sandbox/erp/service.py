"""The methods of Tryton's JSON-RPC that a reader of customers, goods and invoices needs, and writes for people's tools."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from sandbox.erp.schema import MODELS, MODULES
from sandbox.erp.tables import Context, Row, Tables, Unknown
from sandbox.erp.wire import out, taken

VERSION: Final = "8.2.1"
_USER: Final = 1
Answer = tuple[int, Any]
"""HTTP status, and the body: an object, or None for an empty one."""


class Denied(Exception):
    """The user may not do that."""


class Service:
    """One database with one user. `hidden`: models that the user may not read."""

    def __init__(self, tables: Tables, username: str, password: str) -> None:
        self.tables = tables
        self.username, self.password = username, password
        self.sessions: set[str] = set()
        self.hidden: set[str] = set()

    # -- one call ------------------------------------------------------------------------------------------------------

    def call(self, method: str, params: list[Any], number: Any, authorization: str) -> Answer:
        """The answer to one call. Tryton's errors are HTTP 200 with `error`; without a session it is 401 with nothing."""
        if method == "common.db.login":
            return self._login(params, number)
        session = authorization.removeprefix("Session ")
        if not authorization.startswith("Session ") or session not in self.sessions:
            return 401, None
        if method == "common.db.logout":
            self.sessions.discard(session)
            return 200, {"id": number, "result": None}
        try:
            with self.tables.lock:
                return 200, {"id": number, "result": self._method(method, taken(params))}
        except Unknown as missing:
            return 200, {"id": number, "error": [str(missing), ""]}
        except Denied as model:
            words = [f'You are not allowed to access "{model}".', "Within groups: ", None]
            return 200, {"id": number, "error": ["UserError", words]}
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as wrong:
            return 200, {"id": number, "error": [str(wrong), ""]}

    def _login(self, params: list[Any], number: Any) -> Answer:
        given = params[1].get("password") if len(params) > 1 and isinstance(params[1], dict) else None
        right = params[:1] == [self.username] and hmac.compare_digest(str(given).encode(), self.password.encode())
        if not right:
            return 401, None
        token = secrets.token_hex(32)
        self.sessions.add(base64.b64encode(f"{self.username}:{_USER}:{token}".encode()).decode())
        return 200, {"id": number, "result": [_USER, token, None]}

    def _method(self, method: str, params: list[Any]) -> Any:
        special: dict[str, Callable[[list[Any]], Any]] = {
            "model.res.user.get_preferences": lambda _: self._preferences(),
            "model.ir.date.today": lambda _: out(self.tables.now().date()),
            "model.ir.model.access.get_access": lambda told: {model: self._access(model) for model in told[0]},
        }
        if method in special:
            return special[method](params)
        name, _, word = method.removeprefix("model.").rpartition(".")
        if name == "ir.module" and word == "search_read":
            return [{"id": at, "name": one, "version": VERSION} for at, one in enumerate(MODULES, 1)]
        if name in self.hidden:
            raise Denied(name)
        found = getattr(self, f"_do_{word}", None)
        if found is None or name not in MODELS:
            raise Unknown(name if name not in MODELS else word)
        return found(name, *params)

    # -- what can be asked of a model ----------------------------------------------------------------------------------

    def _do_fields_get(self, model: str, names: list[str], *_: Any) -> Row:
        return {name: {"name": name} for name in MODELS[model] if not names or name in names}

    def _do_search_read(
        self,
        model: str,
        domain: list[Any],
        offset: int,
        limit: int | None,
        order: Any,
        names: list[str],
        context: Context,
    ) -> list[Row]:
        rows = self.tables.search(model, domain, order, context)[offset:]
        return [self.tables.read(model, row, names, context) for row in rows[:limit]]

    def _do_search(
        self, model: str, domain: list[Any], offset: int, limit: int | None, order: Any, context: Context
    ) -> list[int]:
        return [row["id"] for row in self.tables.search(model, domain, order, context)[offset:][:limit]]

    def _do_search_count(self, model: str, domain: list[Any], offset: int, limit: int | None, context: Context) -> int:
        return len(self._do_search(model, domain, offset, limit, None, context))

    def _do_read(self, model: str, ids: list[int], names: list[str], context: Context) -> list[Row]:
        return [self.tables.read(model, self._row(model, id), names, context) for id in ids]

    def _do_create(self, model: str, values: list[Row], _: Context) -> list[int]:
        return [self.tables.create(model, **one) for one in values]

    def _do_write(self, model: str, *told: Any) -> None:
        """Ids and values, and again, at last the context."""
        for ids, values in zip(told[:-1:2], told[1::2], strict=False):
            for id in ids:
                self._row(model, id)
                self.tables.write(model, id, **values)

    def _do_delete(self, model: str, ids: list[int], _: Context) -> None:
        for id in ids:
            self._row(model, id)
            self.tables.delete(model, id)

    def _row(self, model: str, id: int) -> Row:
        row = self.tables.row(model, id)
        if row is None:
            raise Denied(f"{id}@{model}")
        return row

    # -- who asks ------------------------------------------------------------------------------------------------------

    def _preferences(self) -> Row:
        companies = [row["id"] for row in self.tables.rows("company.company")]
        return {
            "company_filter": "one",
            "employees": [],
            "companies": companies,
            "company": companies[0] if companies else None,
            "company.rec_name": self.tables.called("company.company", self.tables.rows("company.company")[0])
            if companies
            else "",
            "language": "en",
            "language_direction": "ltr",
            "groups": [1, 2, 3, 4],
        }

    def _access(self, model: str) -> Row:
        may = int(model not in self.hidden)
        return {"read": may, "write": may, "create": may, "delete": may}
