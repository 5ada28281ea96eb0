"""A Tryton for the contract tests: its tables in memory, its JSON-RPC as an httpx transport, changing while it is read.

Its rules are those of the recordings and of the real server (tests/real): a domain is a tree of clauses, a path with dots goes
through other tables, times belong to rows (a party's own does not move when an e-mail changes), a deleted row leaves nothing
behind, and an error is HTTP 200.
"""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import httpx

START: Final = datetime(2026, 11, 22, 1, 31, 30, 433961, tzinfo=UTC)
Row = dict[str, Any]

ONE: Final = {
    ("party.party", "lang"): "ir.lang",
    ("party.party", "tax_identifier"): "party.identifier",
    ("party.contact_mechanism", "party"): "party.party",
    ("party.identifier", "party"): "party.party",
    ("party.address", "party"): "party.party",
    ("party.address", "country"): "country.country",
    ("party.address", "subdivision"): "country.subdivision",
    ("commission.agent.selection", "party"): "party.party",
    ("commission.agent.selection", "agent"): "commission.agent",
    ("commission.agent", "party"): "party.party",
    ("company.company", "currency"): "currency.currency",
    ("product.product", "template"): "product.template",
    ("product.product", "default_uom"): "product.uom",
    ("account.invoice", "party"): "party.party",
    ("account.invoice", "currency"): "currency.currency",
    ("account.invoice.line", "invoice"): "account.invoice",
    ("account.invoice.line", "product"): "product.product",
    ("account.invoice.line", "unit"): "product.uom",
    ("stock.move", "product"): "product.product",
}
MANY: Final = {
    ("party.party", "contact_mechanisms"): ("party.contact_mechanism", "party"),
    ("party.party", "identifiers"): ("party.identifier", "party"),
    ("party.party", "addresses"): ("party.address", "party"),
    ("party.party", "agents"): ("commission.agent.selection", "party"),
    ("product.template", "list_prices"): ("product.list_price", "template"),
    ("account.invoice", "lines"): ("account.invoice.line", "invoice"),
    ("account.invoice", "lines_to_pay"): ("account.move.line", "invoice"),
    ("account.invoice", "sales"): ("sale.sale", "invoice"),
    ("account.invoice.line", "taxes"): ("account.tax", "line"),
}
PLAIN: Final = {
    "party.party": "code name active write_date create_date",
    "party.address": "party_name street postal_code city active invoice delivery",
    "product.product": "code name active type list_price_used quantity forecast_quantity write_date create_date",
    "account.invoice": "number reference state type invoice_date untaxed_amount total_amount amount_to_pay write_date"
    " create_date",
}
OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, among: value in among,
}
MODULES: Final = ("party", "commission", "product", "stock", "account_invoice", "sale")


@dataclass
class World:
    """Tables by model, rows by id. `before_answer` runs before each answer, so that others can write meanwhile."""

    tables: dict[str, dict[int, Row]] = field(default_factory=dict)
    now: datetime = START
    last: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, list[Any]]] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    logins: int = 0
    password: str = "secret"
    booleans_are_numbers: bool = False
    hidden: set[str] = field(default_factory=set)
    """Models that the user may not read."""
    modules: tuple[str, ...] = MODULES
    preferences: Row = field(default_factory=lambda: {"company": 1, "companies": [1], "language": "en", "groups": [1]})
    before_answer: Callable[[str], None] = lambda method: None

    # -- what people do ------------------------------------------------------------------------------------------------

    def create(self, model: str, /, *, by_the_way: bool = False, **values: Any) -> int:
        """A new row. `by_the_way`: in the same transaction as the one before, with the same time."""
        self._tick(by_the_way)
        table = self.tables.setdefault(model, {})
        number = self.last[model] = self.last.get(model, 0) + 1  # an id is never given twice
        table[number] = {"active": True, **values, "id": number, "create_date": self.now, "write_date": None}
        return number

    def write(self, model: str, number: int, /, **values: Any) -> None:
        self._tick(False)
        self.tables[model][number] |= {**values, "write_date": self.now}

    def delete(self, model: str, number: int) -> None:
        self._tick(False)
        del self.tables[model][number]
        for (owned, name), target in ONE.items():
            if target == model:
                for row in [row for row in self.tables.get(owned, {}).values() if row.get(name) == number]:
                    del self.tables[owned][row["id"]]

    def _tick(self, by_the_way: bool) -> None:
        self.now += timedelta(0) if by_the_way else timedelta(milliseconds=7)

    # -- what is asked -------------------------------------------------------------------------------------------------

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        if request.url.path != "/tryton/rpc/":
            return httpx.Response(404, html="<h1>Not Found</h1>")
        body = json.loads(request.content)
        method, params = body["method"], body["params"]
        self.before_answer(method)
        self.requests.append((method, params))
        headers = {"Date": format_datetime(self.now, usegmt=True)}
        if method == "common.db.login":
            return self._login(params, headers)
        if request.headers.get("authorization", "").removeprefix("Session ") not in self.sessions:
            return httpx.Response(401, headers=headers)
        try:
            answer = {"result": self._method(method, params)}
        except KeyError as missing:
            answer = {"error": [str(missing), ""]}
        except PermissionError as model:
            answer = {"error": ["UserError", [f'You are not allowed to access "{model}".', "Within groups: ", None]]}
        return httpx.Response(200, headers=headers, json={"id": body["id"], **answer})

    def _login(self, params: list[Any], headers: dict[str, str]) -> httpx.Response:
        self.logins += 1
        user, secrets = params[0], params[1]
        if secrets.get("password") != self.password:
            return httpx.Response(401, headers=headers, html="<h1>Unauthorized</h1>")
        token = f"token{self.logins}"
        self.sessions.add(base64.b64encode(f"{user}:1:{token}".encode()).decode())
        return httpx.Response(200, headers=headers, json={"id": 1, "result": [1, token, None]})

    def _method(self, method: str, params: list[Any]) -> Any:
        model, _, name = method.removeprefix("model.").rpartition(".")
        special: dict[str, Callable[[], Any]] = {
            "res.user.get_preferences": lambda: self.preferences,
            "ir.date.today": lambda: _day(self.now),
            "ir.module.search_read": lambda: [{"id": 1, "name": one, "version": "8.2.0"} for one in self.modules],
            "ir.model.access.get_access": lambda: {one: {"read": int(one not in self.hidden)} for one in params[0]},
        }
        if f"{model}.{name}" in special:
            return special[f"{model}.{name}"]()
        if model in self.hidden:
            raise PermissionError(model)
        if name == "fields_get":
            return {one: {} for one in self._fields(model)}
        if name == "search_count":
            return len(self._search(model, params[0]))
        assert name == "search_read", method
        domain, offset, limit, order, names = params[:5]
        rows = self._search(model, domain)
        for field_name, direction in reversed(order or []):
            descending = direction.startswith("DESC")
            known = [row for row in rows if row.get(field_name) is not None]
            rows = sorted(known, key=lambda row: row[field_name], reverse=descending) + [
                row for row in rows if row.get(field_name) is None
            ]
        return [self._read(model, row, names, params[-1]) for row in rows[offset:][:limit]]

    def _fields(self, model: str) -> list[str]:
        related = [name for (owner, name) in (*ONE, *MANY) if owner == model]
        found = [*PLAIN.get(model, "").split(), *related]
        return [name for name in found if name != "agents" or "commission" in self.modules]

    def _search(self, model: str, domain: list[Any]) -> list[Row]:
        if model not in self.tables and model not in {*ONE.values(), *(one for one, _ in MANY.values())}:
            raise KeyError(model)
        return [row for row in self.tables.get(model, {}).values() if self._holds(model, row, domain)]

    def _holds(self, model: str, row: Row, domain: list[Any]) -> bool:
        if not domain:
            return True
        if domain[0] == "OR":
            return any(self._holds(model, row, clause) for clause in domain[1:])
        if isinstance(domain[0], str) and len(domain) == 3:
            path, sign, wanted = domain
            value = _moment(wanted) if isinstance(wanted, dict) else wanted
            return any(_compare(sign, found, value) for found in self._values(model, row, path.split(".")))
        return all(self._holds(model, row, clause) for clause in domain)

    def _values(self, model: str, row: Row, path: list[str]) -> list[Any]:
        name, rest = path[0], path[1:]
        if (model, name) in MANY:
            target, back = MANY[model, name]
            found = [one for one in self.tables.get(target, {}).values() if one.get(back) == row["id"]]
            return [value for one in found for value in self._values(target, one, rest or ["id"])] or (
                [] if rest else [None]
            )
        if rest:
            target = ONE[model, name]
            one = self.tables.get(target, {}).get(row.get(name) or 0)
            return self._values(target, one, rest) if one is not None else []
        return [row.get(name)]

    def _read(self, model: str, row: Row, names: list[str], context: Row) -> Row:
        found: Row = {"id": row["id"]}
        nested: dict[str, list[str]] = {}
        for name in names:
            first, _, rest = name.partition(".")
            if rest:
                nested.setdefault(first, []).append(rest)
            else:
                found[name] = self._value(model, row, name, context)
        for name, inner in nested.items():
            if (model, name) in MANY:
                target, back = MANY[model, name]
                rows = [one for one in self.tables.get(target, {}).values() if one.get(back) == row["id"]]
                found[f"{name}."] = [self._read(target, one, inner, context) for one in rows]
            else:
                target = ONE[model, name]
                one = self.tables.get(target, {}).get(row.get(name) or 0)
                found[f"{name}."] = self._read(target, one, inner, context) if one is not None else None
        return found

    def _value(self, model: str, row: Row, name: str, context: Row) -> Any:
        if model == "product.product" and name in {"quantity", "forecast_quantity"}:
            assert context["locations"]
            moves = [one for one in self.tables.get("stock.move", {}).values() if one["product"] == row["id"]]
            return float(sum(one["quantity"] for one in moves if name != "quantity" or one["state"] == "done"))
        value = row.get(name)
        if isinstance(value, bool) and self.booleans_are_numbers:
            return int(value)
        return _wire(value) if isinstance(value, datetime) else value


def _compare(sign: str, found: Any, wanted: Any) -> bool:
    if wanted is None or sign == "in":
        return OPERATORS[sign](found, wanted)
    return found is not None and OPERATORS[sign](found, wanted)


def _wire(moment: datetime) -> Row:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}


def _day(moment: datetime) -> Row:
    return {"__class__": "date", "year": moment.year, "month": moment.month, "day": moment.day}


def _moment(value: Row) -> Any:
    parts = {name: part for name, part in value.items() if name != "__class__"}
    return datetime(**parts, tzinfo=UTC) if value["__class__"] == "datetime" else datetime(**parts).date()  # noqa: DTZ001


def decimal(text: str) -> Row:
    """As Tryton writes it."""
    return {"__class__": "Decimal", "decimal": text}
