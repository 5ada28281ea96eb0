"""An Odoo for the contract tests: its tables in memory, its JSON-RPC and JSON-2 as an httpx transport, changing while it is read.

Its rules are those of the recordings: a domain is written with prefix operators, an empty field is `false`, a reference is
`[id, "name"]`, the tables keep microseconds and the answers have whole seconds, archived records hide unless one asks for them,
JSON-RPC gives errors as HTTP 200 and JSON-2 with a status.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import httpx

START: Final = datetime(2026, 11, 22, 1, 31, 30, 433961, tzinfo=UTC)
Row = dict[str, Any]

ONE: Final = {
    ("res.partner", "user_id"): "res.users",
    ("res.partner", "team_id"): "crm.team",
    ("res.partner", "parent_id"): "res.partner",
    ("res.partner", "state_id"): "res.country.state",
    ("res.partner", "country_id"): "res.country",
    ("res.partner", "company_id"): "res.company",
    ("res.users", "partner_id"): "res.partner",
    ("res.users", "company_id"): "res.company",
    ("res.company", "partner_id"): "res.partner",
    ("crm.team", "user_id"): "res.users",
    ("crm.team", "company_id"): "res.company",
    ("crm.team.member", "crm_team_id"): "crm.team",
    ("product.product", "product_tmpl_id"): "product.template",
    ("product.product", "currency_id"): "res.currency",
    ("product.product", "uom_id"): "uom.uom",
    ("product.product", "company_id"): "res.company",
    ("stock.warehouse", "company_id"): "res.company",
    ("stock.move", "product_id"): "product.product",
    ("stock.move", "company_id"): "res.company",
    ("stock.quant", "product_id"): "product.product",
    ("stock.quant", "company_id"): "res.company",
    ("account.move", "commercial_partner_id"): "res.partner",
    ("account.move", "currency_id"): "res.currency",
    ("account.move", "company_id"): "res.company",
    ("account.move.line", "move_id"): "account.move",
    ("account.move.line", "product_id"): "product.product",
}
MANY: Final = {("account.move", "invoice_line_ids"): ("account.move.line", "move_id")}
INHERITED: Final = ("ref", "name", "function", "email", "phone", "mobile", "lang")
"""Of a user: fields of its contact."""
PLAIN: Final = {
    "res.partner": "ref name email phone function lang vat street street2 city zip type is_company customer_rank",
    "res.users": "login share company_ids ref name function email phone lang",
    "res.company": "name",
    "res.country": "name code",
    "res.country.state": "name code",
    "crm.team": "name member_ids",
    "crm.team.member": "user_id",
    "product.product": "default_code name type lst_price qty_available virtual_available",
    "product.template": "name",
    "stock.warehouse": "code name",
    "stock.move": "quantity state",
    "stock.quant": "quantity",
    "account.move": "name move_type state payment_state invoice_date invoice_date_due invoice_origin ref amount_untaxed"
    " amount_tax amount_total amount_residual",
    "account.move.line": "sequence display_type name quantity price_unit price_subtotal price_total",
    "uom.uom": "name",
    "res.currency": "name",
}
NUMBERS: Final = frozenset({"sequence", "customer_rank"})
OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
ERRORS: Final = {
    "login": ("odoo.exceptions.AccessDenied", 403),
    "key": ("werkzeug.exceptions.Unauthorized", 401),
    "right": ("odoo.exceptions.AccessError", 403),
    "model": ("odoo.exceptions.UserError", 404),
    "field": ("builtins.ValueError", 500),
}


class Fault(Exception):
    """An error of Odoo's: what kind, and its text."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class World:
    """Tables by model, rows by id. `before_answer` runs before each answer, so that others can write meanwhile."""

    version: str = "19.0"
    tables: dict[str, dict[int, Row]] = field(default_factory=dict)
    now: datetime = START
    last: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, Row]] = field(default_factory=list)
    key: str = "secret"
    rpc_is_there: bool = True
    lang: str = "en_US"
    hidden: set[str] = field(default_factory=set)
    """Models that the user may not read."""
    missing: set[str] = field(default_factory=set)
    """Models and fields (`res.partner.team_id`) that no app brings."""
    before_answer: Callable[[str], None] = lambda method: None

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    # -- what people do ------------------------------------------------------------------------------------------------

    def create(self, model: str, /, *, by_the_way: bool = False, **values: Any) -> int:
        """A new row. `by_the_way`: in the same transaction as the one before, with the same time."""
        self.now += timedelta(0) if by_the_way else timedelta(milliseconds=7)
        number = self.last[model] = self.last.get(model, 0) + 1  # an id is never given twice
        self.tables.setdefault(model, {})[number] = {"active": True, **values, "id": number, "write_date": self.now}
        return number

    def write(self, model: str, number: int, /, **values: Any) -> None:
        self.now += timedelta(milliseconds=7)
        self.tables[model][number] |= {**values, "write_date": self.now}

    def delete(self, model: str, number: int) -> None:
        self.now += timedelta(milliseconds=7)
        del self.tables[model][number]

    # -- one request ---------------------------------------------------------------------------------------------------

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        headers = {"Date": format_datetime(self.now, usegmt=True)}
        path = request.url.path
        if path == "/web/version" and self.major >= 19:
            return httpx.Response(200, headers=headers, json={"version": self.version, "version_info": [self.major, 0]})
        if path == "/jsonrpc" and self.rpc_is_there:
            return httpx.Response(200, headers=headers, json=self._rpc(json.loads(request.content)["params"]))
        if path.startswith("/json/2/") and self.major >= 19 and request.headers["x-odoo-database"] == "odoo":
            return self._json2(request, headers)
        return httpx.Response(404, headers=headers, html="<h1>Not Found</h1>")

    def _json2(self, request: httpx.Request, headers: dict[str, str]) -> httpx.Response:
        model, method = request.url.path.removeprefix("/json/2/").split("/")
        try:
            if request.headers.get("authorization") != f"bearer {self.key}":
                raise Fault("key", "Invalid apikey")
            return httpx.Response(200, headers=headers, json=self.method(model, method, json.loads(request.content)))
        except Fault as fault:
            name, status = ERRORS[fault.kind]
            return httpx.Response(
                status, headers=headers, json={"name": name, "message": str(fault), "debug": "/srv/app"}
            )

    def _rpc(self, params: Row) -> Row:
        service, method, args = params["service"], params["method"], params["args"]
        try:
            if (service, method) == ("common", "version"):
                result: Any = {"server_version": self.version, "server_serie": self.version, "protocol_version": 1}
            elif (service, method) == ("common", "login"):
                result = 1 if args[2] == self.key else False
            else:
                result = self._execute(*args)
        except Fault as fault:
            data = {"name": ERRORS[fault.kind][0], "message": str(fault), "debug": "/srv/app", "context": {}}
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "Odoo Server Error", "data": data}}
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    def _execute(self, database: str, user: int, key: str, model: str, method: str, args: list[Any], named: Row) -> Any:
        if (database, user, key) != ("odoo", 1, self.key):
            raise Fault("login", "Access Denied")
        places = {"read": ("ids", "fields")}.get(method, ("domain",))
        return self.method(model, method, {**dict(zip(places, args, strict=False)), **named})

    # -- what is asked -------------------------------------------------------------------------------------------------

    def method(self, model: str, method: str, params: Row) -> Any:
        assert "\\u0000" not in json.dumps(params), "PostgreSQL takes no such text"
        self.before_answer(method)
        self.requests.append((model, method, params))
        if (model, method) == ("res.users", "context_get"):
            return {"lang": self.lang, "tz": "UTC", "uid": 1}
        if (model not in PLAIN and model not in ONE.values()) or model in self.missing:
            raise Fault("model", f"Object {model} doesn't exist")
        if model in self.hidden:
            raise Fault("right", f"You are not allowed to access '{model}' records. Anna")
        if method == "fields_get":
            assert params["attributes"] == ["type"]
            return {name: {"type": "char"} for name in self.fields(model)}
        context = params.get("context", {})
        if method == "read":
            rows = [self.tables[model][number] for number in params["ids"] if number in self.tables.get(model, {})]
            return [self._read(model, row, params["fields"], context) for row in rows]
        found = [row for row in self.tables.get(model, {}).values() if self._shows(row, context)]
        found = [row for row in found if self._holds(model, row, params["domain"])]
        if method == "search_count":
            return len(found)
        assert method == "search_read", method
        for part in reversed(params.get("order", "id").split(",")):
            name, _, direction = part.strip().partition(" ")
            found.sort(key=lambda row: row[name], reverse=direction == "desc")
        return [self._read(model, row, params["fields"], context) for row in found[: params["limit"]]]

    def _shows(self, row: Row, context: Row) -> bool:
        return bool(row["active"]) or context.get("active_test") is False

    def fields(self, model: str) -> list[str]:
        related = [name for (owner, name) in (*ONE, *MANY) if owner == model]
        own = ["mobile"] if model in {"res.partner", "res.users"} and self.major < 19 else []
        own += ["is_storable"] if model == "product.product" and self.major >= 18 else []
        found = ["id", "active", "write_date", *PLAIN.get(model, "").split(), *related, *own]
        return [name for name in found if f"{model}.{name}" not in self.missing]

    def _holds(self, model: str, row: Row, domain: list[Any]) -> bool:
        terms = iter(domain)
        return all(self._term(model, row, term, terms) for term in terms)

    def _term(self, model: str, row: Row, term: Any, terms: Iterator[Any]) -> bool:
        if term in ("|", "&"):
            both = [self._term(model, row, next(terms), terms) for _ in range(2)]
            return any(both) if term == "|" else all(both)
        path, sign, wanted = term
        return self._compared(sign, self._values(model, row, path.split(".")), wanted)

    def _compared(self, sign: str, values: list[Any], wanted: Any) -> bool:
        if sign in {"not in", "!="}:
            return not self._compared("in" if sign == "not in" else "=", values, wanted)
        among = wanted if sign == "in" else [wanted]
        if sign in {"in", "="}:
            some = [one for one in among if one is not False and one is not None]
            return any(one in some for one in values) or (len(some) < len(among) and not any(values))
        for value in values:
            if isinstance(value, datetime):
                moment = datetime.strptime(wanted, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                if sign == ">" and self.major >= 19:  # the rest of the second is left out
                    moment += timedelta(microseconds=999_999)
                if OPERATORS[sign](value, moment):
                    return True
            elif value is not None and OPERATORS[sign](value, wanted):
                return True
        return False

    def _values(self, model: str, row: Row, path: list[str]) -> list[Any]:
        name, rest = path[0], path[1:]
        if name not in self.fields(model):
            raise Fault("field", f"Invalid field {model}.{name} in condition")
        if (model, name) in MANY:
            target, back = MANY[model, name]
            found = [one for one in self.tables.get(target, {}).values() if one.get(back) == row["id"]]
            return [value for one in found for value in self._values(target, one, rest or ["id"])]
        if rest:
            target = ONE[model, name]
            other = self.tables.get(target, {}).get(row.get(name) or 0)
            return self._values(target, other, rest) if other is not None else []
        value = self._stored(model, row, name)
        return value if isinstance(value, list) else [value]

    def _stored(self, model: str, row: Row, name: str) -> Any:
        if model == "res.users" and name in INHERITED:
            return self.tables["res.partner"].get(row["partner_id"], {}).get(name)
        return row.get(name)

    def _read(self, model: str, row: Row, names: list[str], context: Row) -> Row:
        for name in names:
            if name not in self.fields(model):
                raise Fault("field", f"Invalid field '{name}' on '{model}'")
        return {"id": row["id"]} | {name: self._value(model, row, name, context) for name in names}

    def _value(self, model: str, row: Row, name: str, context: Row) -> Any:
        if name in {"qty_available", "virtual_available"}:
            assert context["warehouse_id" if self.major >= 18 else "warehouse"]
            moves = [one for one in self.tables.get("stock.move", {}).values() if one["product_id"] == row["id"]]
            done = [one for one in moves if name != "qty_available" or one["state"] == "done"]
            return float(sum(one["quantity"] for one in done if one["state"] != "cancel"))
        value = self._stored(model, row, name)
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M:%S")
        if isinstance(value, date):
            return value.isoformat()
        if (model, name) in ONE and value:
            return [value, self._name(ONE[model, name], value)]
        if value is None:
            return 0 if name in NUMBERS else False
        return value

    def _name(self, model: str, number: int) -> str:
        row = self.tables.get(model, {}).get(number, {})
        return str(self._stored(model, row, "name") or row.get("code") or number)
