"""The web service's operations: which verb each wants, where its parameters come from, what it answers."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.crm import answers, leads, query, values
from sandbox.crm.errors import ServerCrash, WsError, denied
from sandbox.crm.people import People, User
from sandbox.crm.records import Records
from sandbox.crm.schema import schema
from sandbox.crm.settings import Switches
from sandbox.crm.store import Row, Store

Json = dict[str, Any]
Params = dict[str, str]

GET = frozenset({"getchallenge", "listtypes", "describe", "retrieve", "query", "sync", "retrieve_related"})
POST = frozenset({"login", "create", "update", "revise", "delete", "convertlead", "logout", "extendsession"})
PHP7_ONLY = frozenset({"convertlead", "sync", "logout", "retrieve_inventory"})
"""Broken on PHP 8, where arguments are passed by name and the registered names are wrong: HTTP 500, empty body."""
_STATIC_TABLES = {"20": "Groups", "21": "Currency", "23": "CompanyDetails", "34": "Tax"}


_MAY_BE_UNIQUE = frozenset({"accountname", "cf_external_id"})


def verb_of(operation: str) -> str:
    """The HTTP verb under which an operation sees its parameters."""
    return "POST" if operation in POST else "GET"


class WebService:
    """One install: its people, records and switches. Every call holds the store's lock."""

    def __init__(self, *, access_key: str, custom_field: bool, switches: Switches | None = None) -> None:
        self.access_key = access_key
        self.switches = switches or Switches()
        self.schema = schema(custom_field=custom_field)
        self.reset()

    def reset(self, *, custom_field: bool | None = None) -> None:
        """Forget all records and sessions; numbers start anew."""
        if custom_field is not None:
            self.schema = schema(custom_field=custom_field)
        self.store = Store(self.schema)
        self.people = People(self.access_key)
        self.records = Records(self.store, self.people, self.switches)
        self._handlers: dict[str, Callable[[User, Params], Any]] = {
            "listtypes": self._list_types,
            "describe": self._describe,
            "retrieve": self._retrieve,
            "query": self._query,
            "create": lambda user, params: self.records.create(user, params.get("elementType", ""), _element(params)),
            "update": lambda user, params: self.records.update(user, _element(params)),
            "revise": lambda user, params: self.records.revise(user, _element(params)),
            "delete": lambda _user, params: self.records.delete(params.get("id", "")),
            "convertlead": lambda user, params: leads.convert(self.records, user, _element(params)),
            "retrieve_related": self._related,
            "retrieve_inventory": self._retrieve,
            "sync": self._sync,
        }

    def call(self, operation: str, verb: str, params: Params, *, php: int, lose_line: bool = False) -> Any:
        """The result of one call. Raises WsError (inside the envelope) or ServerCrash (HTTP 500, empty)."""
        known = operation in self._handlers or operation in {"getchallenge", "login", "logout", "extendsession"}
        if not known:
            raise ServerCrash
        session = params.get("sessionName", "")
        if verb != verb_of(operation):
            params = {}  # The wrong verb leaves every parameter empty, hence the misleading errors.
        with self.store.lock:
            self.records.lose_line = lose_line
            if operation == "getchallenge":
                return self.people.challenge(params.get("username", ""))
            if operation == "login":
                return self.people.login(params.get("username", ""), params.get("accessKey", ""))
            user = self.people.user_of(session)
            if operation in PHP7_ONLY and php >= 8:
                raise ServerCrash
            if operation == "extendsession":
                return self.people.extend(session)
            if operation == "logout":
                self.people.sessions.pop(session, None)
                return {"message": "successfull"}
            return self._handlers[operation](user, params)

    # --- reading -------------------------------------------------------------------------------------------------

    def _list_types(self, user: User, params: Params) -> Json:
        types = self.schema.list_types
        if user.admin:
            return types
        information = {name: item for name, item in types["information"].items() if name != "Users"}
        return {"types": [name for name in types["types"] if name != "Users"], "information": information}

    def _describe(self, user: User, params: Params) -> Json:
        module = self.schema.modules.get(params.get("elementType", ""))
        if module is None or (module.name == "Users" and not user.admin):
            raise denied()
        unique = self.switches.unique_fields(module.name)
        fields = [
            {**item, "isunique": item["name"] in unique} if item["name"] in _MAY_BE_UNIQUE else item
            for item in module.describe["fields"]
        ]
        return {**module.describe, "fields": fields}

    def _retrieve(self, user: User, params: Params) -> Json:
        id = params.get("id", "")
        prefix = id.partition("x")[0]
        if prefix == "19" and "x" in id:
            return self.people.record(user, id, self.switches.currency_decimals)
        if prefix in _STATIC_TABLES and "x" in id:
            rows = self._query(user, {"query": f"SELECT * FROM {_STATIC_TABLES[prefix]};"})  # noqa: S608 (no SQL)
            found = next((row for row in rows if row["id"] == id), None)
            if found is None:
                raise denied()
            return found
        return self.records.retrieve(id)

    def _related(self, user: User, params: Params) -> list[Json]:
        """Records of one module that point at this one; orders and invoices show their last line."""
        row = self.records.row(params.get("id"))
        module = self.schema.modules.get(params.get("relatedType", ""))
        if module is None:
            raise denied()
        points = [name for name in module.references if row.module.name in module.fields[name].refers_to]
        if not points:
            raise denied()
        text = f"SELECT * FROM {module.name} WHERE {points[0]}='{row.id}';"  # noqa: S608 (no SQL)
        return self._query(user, {"query": text})

    def _query(self, user: User, params: Params) -> list[Json]:
        return query.run(self.store, self.people, user, params.get("query", ""))

    def _sync(self, user: User, params: Params) -> Json:
        """What changed strictly after a unix time among the caller's own records; 100 a batch."""
        module = self.schema.modules.get(params.get("elementType", ""))
        if module is None:
            raise ServerCrash
        stamp = params.get("modifiedTime", "0")
        since = int(stamp) if stamp.isdigit() else 0
        newest, deleted = since, list[str]()
        updated: list[Json] = []
        rows = [row for row in self.store.rows.values() if row.module is module]
        for row in sorted(rows, key=lambda row: (row.values["modifiedtime"], row.number)):
            at = calendar.timegm(time.strptime(row.values["modifiedtime"], "%Y-%m-%d %H:%M:%S"))
            if at <= since or len(updated) >= query.CAP:
                continue
            if row.deleted or row.converted:
                deleted.append(row.id)
            elif row.values["assigned_user_id"] == user.id:
                updated.append(self._synced(row))
                newest = at
        more = len(updated) >= query.CAP
        return {"updated": updated, "deleted": deleted, "more": more, "lastModifiedTime": newest}

    def _synced(self, row: Row) -> Json:
        shown = {**answers.present(self.store, self.people, row), "id": row.id}
        if row.module.inventory:
            for name in ("percent", "amount"):
                shown[f"discount_{name}"] = shown.pop(f"hdnDiscount{name.capitalize()}")
        return shown


def _element(params: Params) -> Json:
    """The element of a call; broken JSON is an empty element, and so earns the error for missing fields."""
    text = params.get("element", "")
    try:
        element = json.loads(text, parse_float=Decimal)
    except ValueError:
        return {}
    return element if isinstance(element, dict) else {}


def envelope(result: Any) -> bytes:
    """The success envelope as PHP's json_encode would mean it."""
    return json.dumps({"success": True, "result": result}, separators=(",", ":"), default=_plain).encode()


def refusal(error: WsError) -> bytes:
    """The envelope of an error."""
    body = {"success": False, "error": {"code": error.code, "message": error.message}}
    return json.dumps(body, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if isinstance(value, Decimal):  # A client's own number, handed back (shipping).
        return values.number(float(value))
    raise TypeError(f"no JSON for {type(value).__name__}")
