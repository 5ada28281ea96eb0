"""Tables in memory, searched and read by Tryton's rules: domains with paths through other tables, archived rows unseen unless
asked for, times that belong to rows, and a deleted row that leaves nothing behind.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from sandbox.erp.schema import MODELS, Field
from sandbox.erp.wire import out

Row = dict[str, Any]
Context = dict[str, Any]
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Unknown(KeyError):
    """A model or field that is not there. Tryton answers with the name in quotes."""


class Tables:
    """Rows by model and id. Take `lock` for what has to be seen whole; times are the clock's, as naive UTC over there."""

    def __init__(self, now: Callable[[], datetime] | None = None, *, sqlite: bool = False) -> None:
        self.now = now or (lambda: datetime.now(UTC))
        self.sqlite = sqlite
        """As with SQLite below it, a boolean is read as 1 or 0."""
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """No rows at all."""
        with self.lock:
            self._rows: dict[str, dict[int, Row]] = {model: {} for model in MODELS}
            self._last: dict[str, int] = dict.fromkeys(MODELS, 0)

    # -- writing -------------------------------------------------------------------------------------------------------

    def create(self, model: str, /, **values: Any) -> int:
        """A new row; its id."""
        fields = fields_of(model)
        with self.lock:
            number = self._last[model] = self._last[model] + 1  # an id is never given twice
            row: Row = {name: None for name, field in fields.items() if field.kind != "many"}
            row |= {"active": True} if "active" in fields else {}
            self._rows[model][number] = row | {"id": number, "create_date": self.now()}
            self._put(model, number, values)
            return number

    def write(self, model: str, number: int, /, **values: Any) -> None:
        """Change a row; it gets a time of its own, and no row beside it does."""
        with self.lock:
            row = self._rows[model][number]
            self._put(model, number, values)
            row["write_date"] = self.now()

    def delete(self, model: str, number: int) -> None:
        """Take a row away, with the rows that belong to it."""
        with self.lock:
            del self._rows[model][number]
            for owner, fields in MODELS.items():
                for name, field in fields.items():
                    if field.kind == "many" and owner == model:
                        gone = [row["id"] for row in self.rows(field.model) if row[field.back] == number]
                        for id in gone:
                            self.delete(field.model, id)
                    elif field.kind == "one" and field.model == model:
                        for row in self.rows(owner):
                            row[name] = None if row[name] == number else row[name]

    def _put(self, model: str, number: int, values: Row) -> None:
        fields = fields_of(model)
        for name, value in values.items():
            field = fields.get(name)
            if field is None:
                raise Unknown(name)
            if field.kind == "many":
                self._command(field, number, value)
            else:
                self._rows[model][number][name] = value

    def _command(self, field: Field, owner: int, commands: Any) -> None:
        """Tryton's words for the rows of a record: ["create", [values]], ["write", [ids], values], ["delete", [ids]]."""
        for word, *told in commands:
            if word == "create":
                for values in told[0]:
                    self.create(field.model, **{**values, field.back: owner})
            elif word == "write":
                for number in told[0]:
                    self.write(field.model, number, **told[1])
            elif word == "delete":
                for number in told[0]:
                    self.delete(field.model, number)
            else:
                raise Unknown(str(word))

    # -- searching -----------------------------------------------------------------------------------------------------

    def models(self) -> list[str]:
        """All that there is."""
        return list(self._rows)

    def rows(self, model: str) -> list[Row]:
        """All rows, by id."""
        fields_of(model)
        return list(self._rows[model].values())

    def row(self, model: str, number: int | None) -> Row | None:
        """One row, None where there is none."""
        return self._rows[model].get(number or 0)

    def get(self, model: str, number: int) -> Row:
        """One row that is there."""
        return self._rows[model][number]

    def search(
        self, model: str, domain: list[Any], order: Sequence[Sequence[str]] | None, context: Context
    ) -> list[Row]:
        """The rows for which a domain holds, in order."""
        fields = fields_of(model)
        shown = self.rows(model)
        if "active" in fields and context.get("active_test", True) and not _names(domain, "active"):
            shown = [row for row in shown if row["active"]]
        found = [row for row in shown if self._holds(model, row, domain, context)]
        for name, direction in reversed([(one[0], one[1]) for one in order or [["id", "ASC"]]]):
            if name not in fields:
                raise Unknown(name)
            found = _sorted(found, direction.upper(), operator.itemgetter(name))
        return found

    def _holds(self, model: str, row: Row, domain: Any, context: Context) -> bool:
        if not domain:
            return True
        if domain[0] in ("OR", "AND"):
            several = (self._holds(model, row, clause, context) for clause in domain[1:])
            return any(several) if domain[0] == "OR" else all(several)
        if isinstance(domain[0], str):
            path, sign, wanted = domain[:3]
            return self._clause(model, row, path, sign, wanted)
        return all(self._holds(model, row, clause, context) for clause in domain)

    def _clause(self, model: str, row: Row, path: str, sign: str, wanted: Any) -> bool:
        found = self.values(model, row, path)
        if wanted is None:
            there = [value for value in found if value is not None]
            if sign == "=":
                return not there if "." not in path else len(there) < len(found)
            return bool(there)
        return any(_compare(sign, value, wanted) for value in found)

    def values(self, model: str, row: Row, path: str) -> list[Any]:
        """What stands at the end of a path; several where it goes through records of which there may be many."""
        name, _, rest = path.partition(".")
        field = fields_of(model).get(name)
        if field is None:
            raise Unknown(name)
        if field.kind == "many":
            mine = [one for one in self.rows(field.model) if one[field.back] == row["id"]]
            return [value for one in mine for value in self.values(field.model, one, rest or "id")]
        if field.kind == "one" and rest:
            one = self.row(field.model, row[name])
            return self.values(field.model, one, rest) if one is not None else []
        return [row[name]]

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, model: str, row: Row, names: Iterable[str], context: Context) -> Row:
        """These fields of a row as they go over the wire; a path puts the related record under its name with a dot."""
        fields = fields_of(model)
        found: Row = {"id": row["id"]}
        nested: dict[str, list[str]] = {}
        for name in names:
            first, _, rest = name.partition(".")
            if first not in fields:
                raise Unknown(first)
            if rest:
                nested.setdefault(first, []).append(rest)
            else:
                found[name] = self._value(model, row, name, fields[first], context)
        for name, inner in nested.items():
            field = fields[name]
            if field.kind == "many":
                mine = [one for one in self.rows(field.model) if one[field.back] == row["id"]]
                found[f"{name}."] = [self.read(field.model, one, inner, context) for one in mine]
            else:
                one = self.row(field.model, row[name])
                found[f"{name}."] = self.read(field.model, one, inner, context) if one is not None else None
        return found

    def _value(self, model: str, row: Row, name: str, field: Field, context: Context) -> Any:
        if field.kind == "many":
            return [one["id"] for one in self.rows(field.model) if one[field.back] == row["id"]]
        if name == "rec_name":
            return self.called(model, row)
        if model == "product.product" and name in {"quantity", "forecast_quantity"}:
            return self._stock(row, name, context)
        if name == "list_price_used" and not context.get("company"):
            return None  # a price is a company's
        if field.kind == "bool" and self.sqlite and row[name] is not None:
            return int(row[name])
        return out(row[name])

    def called(self, model: str, row: Row) -> str:
        """What people call a record."""
        if model in {"company.company", "commission.agent"}:
            party = self.row("party.party", row["party"])
            return str(party["name"]) if party else ""
        return str(row.get("name") or row.get("number") or row.get("code") or row["id"])

    def _stock(self, row: Row, name: str, context: Context) -> float:
        """A plain float, as Tryton keeps quantities; nothing without a place to look at."""
        if not context.get("locations"):
            return 0.0
        end = context.get("stock_date_end")
        moves = [one for one in self.rows("stock.move") if one["product"] == row["id"]]
        if name == "quantity":
            moves = [one for one in moves if one["state"] == "done"]
        if isinstance(end, date):
            moves = [one for one in moves if (one["effective_date"] or one["planned_date"] or end) <= end]
        return float(sum(Decimal(str(one["quantity"])) for one in moves))


def fields_of(model: str) -> dict[str, Field]:
    """The fields of a model."""
    found = MODELS.get(model)
    if found is None:
        raise Unknown(model)
    return found


def _names(domain: Any, field: str) -> bool:
    """Whether a domain speaks of a field."""
    if not isinstance(domain, list) or not domain:
        return False
    if isinstance(domain[0], str) and domain[0] not in {"OR", "AND"}:
        return bool(domain[0] == field)
    return any(_names(clause, field) for clause in domain)


def _compare(sign: str, found: Any, wanted: Any) -> bool:
    if sign in {"in", "not in"}:
        return (found in wanted) is (sign == "in")
    if found is None:
        return sign == "!="
    if sign not in _COMPARE:
        raise Unknown(sign)
    if isinstance(found, datetime) and isinstance(wanted, date) and not isinstance(wanted, datetime):
        wanted = datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC)
    return bool(_COMPARE[sign](found, wanted))


def _sorted(rows: list[Row], direction: str, value: Callable[[Row], Any]) -> list[Row]:
    """As PostgreSQL does it: empty ones last, and first where it goes down, unless NULLS is said."""
    known = sorted((row for row in rows if value(row) is not None), key=value, reverse=direction.startswith("DESC"))
    empty = [row for row in rows if value(row) is None]
    first = "NULLS FIRST" in direction or (direction.startswith("DESC") and "NULLS LAST" not in direction)
    return [*empty, *known] if first else [*known, *empty]
