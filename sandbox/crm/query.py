"""Running parsed queries over the store, with the database's way of comparing and the server's traps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sandbox.crm import answers, details, values
from sandbox.crm.errors import WsError, denied
from sandbox.crm.parser import Condition, Query, Token, parse
from sandbox.crm.people import GROUPS, People, User
from sandbox.crm.schema import LINE_COLUMNS, Field, Module
from sandbox.crm.store import Line, Row, Store, fold

Json = dict[str, Any]
Test = Callable[[Row], bool]

CAP = 100
"""No answer has more rows, whatever LIMIT says."""
_TIMES = frozenset({"datetime", "date"})
_JOINED = frozenset(LINE_COLUMNS)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "b": "\b", "Z": "\x1a"}
_LINE_EXTRAS = ("image", "purchase_cost", "margin")


class BrokenSql(Exception):
    """The text makes invalid SQL: the real server swallows that and answers success with nothing found."""


def run(store: Store, people: People, user: User, text: str) -> list[Json]:
    """The rows of a query. Raises WsError for what the real server refuses."""
    query = parse(text)
    module = store.schema.modules.get(query.module)
    if module is None:
        raise denied(f"for name : {query.module}")
    if module.name == "Users" and not user.admin:
        raise denied()
    _check_columns(module, query)
    try:
        return _Run(store, people, module, query).answer()
    except BrokenSql:
        return []


def _check_columns(module: Module, query: Query) -> None:
    if query.columns not in (["*"], ["count(*)"]):
        for name in query.columns:
            if not module.queryable(name):
                raise WsError("ACCESS_DENIED", f"Permission to access '.{name}.' attribute denied.")
    for name in [item.column for item in query.conditions] + [name for name, _ in query.order]:
        if not module.queryable(name):
            raise WsError("ACCESS_DENIED", f"Permission to access {name} attribute denied.")


class _Run:
    def __init__(self, store: Store, people: People, module: Module, query: Query) -> None:
        self.store, self.people, self.module, self.query = store, people, module, query

    def answer(self) -> list[Json]:
        rows = self._static()
        if rows is not None:
            return rows
        found = self._matching()
        if self.query.columns == ["count(*)"]:
            return [{"count": str(sum(1 for _ in found))}]
        ordered = self._sorted(found)
        limit = CAP if self.query.limit is None else min(self.query.limit, CAP)
        window = slice(self.query.offset, self.query.offset + limit)
        if self.module.inventory and self._joins_lines():
            return self._joined(ordered, window)
        return [self._select(answers.present(self.store, self.people, row), row) for row in ordered[window]]

    # --- which rows ----------------------------------------------------------------------------------------------

    def _matching(self) -> Iterable[Row]:
        groups: list[list[Condition]] = []
        for condition in self.query.conditions:
            if condition.joined == "AND":
                groups[-1].append(condition)
            else:
                groups.append([condition])
        if not groups:
            return self.store.alive(self.module.name)
        found: dict[int, Row] = {}
        for group in groups:
            tests = [self._test(condition) for condition in group]
            for row in self._candidates(group):
                if all(test(row) for test in tests):
                    found[row.number] = row
        return found.values()

    def _candidates(self, group: list[Condition]) -> Iterable[Row]:
        """The rows worth testing: by index where the group asks for one text value."""
        for condition in group:
            if condition.column == "id" and condition.operator in {"=", "IN"}:
                ids = (self.store.find(_literal(token)) for token in condition.values)
                return [row for row in ids if row is not None and row.number in self.store.by_module[self.module.name]]
            field = self.module.fields[condition.column]
            indexed = condition.operator in {"=", "IN"} and condition.column in self.module.columns
            if indexed and not field.numeric:
                texts = dict.fromkeys(fold(_literal(token)) for token in condition.values)
                return [row for text in texts for row in self.store.with_value(self.module, condition.column, text)]
        return self.store.alive(self.module.name)

    def _test(self, condition: Condition) -> Test:
        wanted = [_literal(token) for token in condition.values]
        column, operator = condition.column, condition.operator
        if column == "id":
            return _compare(operator, [_crmid(text) for text in wanted], lambda row: row.number)
        field = self.module.fields[column]
        if column in _JOINED and self.module.inventory:
            return self._line_test(column, operator, wanted)
        if operator == "LIKE":
            pattern = _like(wanted[0])
            return lambda row: pattern.fullmatch(fold(row.values[column])) is not None
        if field.numeric:
            numbers = [values.to_decimal(text) for text in wanted]
            return _compare(operator, numbers, lambda row: values.to_decimal(row.values[column]))
        if field.kind in _TIMES:
            return _compare(operator, wanted, lambda row: row.values[column])
        folded = [fold(text) for text in wanted]
        return _compare(operator, folded, lambda row: fold(row.values[column]))

    def _line_test(self, column: str, operator: str, wanted: list[str]) -> Test:
        folded = [fold(text) for text in wanted]

        def test(row: Row) -> bool:
            cells = [answers.line_out(self.store, row, line)[column] for line in row.lines]
            return any(_holds(operator, fold(cell), folded) for cell in cells)

        return test

    def _sorted(self, found: Iterable[Row]) -> list[Row]:
        rows = sorted(found, key=lambda row: row.number)
        for name, descending in reversed(self.query.order):
            rows.sort(key=self._sort_key(name), reverse=descending)
        return rows

    def _sort_key(self, name: str) -> Callable[[Row], Any]:
        if name == "id" or name in _JOINED:
            return lambda row: row.number
        field: Field = self.module.fields[name]
        if field.numeric:
            return lambda row: values.to_decimal(row.values[name])
        if field.kind in _TIMES:
            return lambda row: row.values[name]
        return lambda row: fold(row.values[name])

    # --- what is shown -------------------------------------------------------------------------------------------

    def _select(self, shown: Json, row: Row) -> Json:
        shown["id"] = row.id
        if self.query.columns == ["*"]:
            if self.module.inventory:  # The joined lines' columns of the same name push the head's discount out.
                del shown["hdnDiscountAmount"], shown["hdnDiscountPercent"]
            return shown
        picked = {name: shown[name] for name in self.query.columns}
        picked.setdefault("id", row.id)
        return picked

    def _joins_lines(self) -> bool:
        used = set(self.query.columns) | {item.column for item in self.query.conditions}
        return self.query.columns == ["*"] or bool(used & _JOINED)

    def _joined(self, rows: list[Row], window: slice) -> list[Json]:
        """One database row per line: LIMIT counts lines, and each order shows the last of those that came."""
        pairs: list[tuple[Row, Line | None]] = []
        for row in rows:
            pairs += [(row, line) for line in row.lines] or [(row, None)]
        out: dict[int, Json] = {}
        for row, line in pairs[window]:
            shown = answers.present(self.store, self.people, row)
            cells = answers.line_out(self.store, row, line) if line is not None else {}
            shown |= {name: cells.get(name, "") for name in (*LINE_COLUMNS, *_LINE_EXTRAS)}
            out[row.number] = self._select(shown, row)
        return list(out.values())

    # --- modules that are no records -----------------------------------------------------------------------------

    def _static(self) -> list[Json] | None:
        name = self.module.name
        rows: list[Json] | None = None
        if name == "LineItem":
            rows = self._line_items()
        elif name in _TABLES:
            rows = [dict(item) for item in _TABLES[name]]
        elif name == "Users":
            rows = [self.people.record(user, user.id, "2") for user in self.people.users.values()]
        if rows is None:
            return None
        return self._from_dicts(rows)

    def _line_items(self) -> list[Json]:
        out = []
        for row in [*self.store.alive("SalesOrder"), *self.store.alive("Invoice")]:
            for line in row.lines:
                shown = answers.line_out(self.store, row, line)
                out.append({key: shown[key] for key in shown if key not in {"product_name", "entity_type", "deleted"}})
        return out

    def _from_dicts(self, rows: list[Json]) -> list[Json]:
        groups: list[list[Condition]] = []
        for condition in self.query.conditions:
            if condition.joined == "AND":
                groups[-1].append(condition)
            else:
                groups.append([condition])
        if groups:
            rows = [row for row in rows if any(all(_cell_holds(row, item) for item in group) for group in groups)]
        if self.query.columns == ["count(*)"]:
            return [{"count": str(len(rows))}]
        for name, descending in reversed(self.query.order):
            rows.sort(key=lambda row: fold(str(row.get(name, ""))), reverse=descending)
        limit = CAP if self.query.limit is None else min(self.query.limit, CAP)
        rows = rows[self.query.offset : self.query.offset + limit]
        if self.query.columns == ["*"]:
            return rows
        return [{"id": row["id"]} | {name: row.get(name, "") for name in self.query.columns} for row in rows]


def _cell_holds(row: Json, condition: Condition) -> bool:
    cell = fold(str(row.get(condition.column, "")))
    if condition.operator == "LIKE":
        return _like(_literal(condition.values[0])).fullmatch(cell) is not None
    return _holds(condition.operator, cell, [fold(_literal(token)) for token in condition.values])


def _literal(token: Token) -> str:
    """The value MySQL reads. An unquoted word or an escaped closing quote breaks the statement."""
    if token.kind == "number":
        return token.text
    if token.kind == "word":
        raise BrokenSql
    inner, out, position = token.text[1:-1], [], 0
    while position < len(inner):
        character = inner[position]
        if character == "\\":
            if position + 1 == len(inner):
                raise BrokenSql
            position += 1
            following = inner[position]
            out.append(f"\\{following}" if following in "%_" else _ESCAPES.get(following, following))
        elif character == "'":
            position += 1  # The lexer lets a quote in only doubled.
            out.append("'")
        else:
            out.append(character)
        position += 1
    return "".join(out)


@lru_cache(maxsize=1024)
def _like(pattern: str) -> re.Pattern[str]:
    out, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            out.append(re.escape(fold(pattern[position])))
        else:
            out.append({"%": ".*", "_": "."}.get(character) or re.escape(fold(character) or character))
        position += 1
    return re.compile("".join(out), re.DOTALL)


def _crmid(text: str) -> int:
    digits = text.rpartition("x")[2]
    return int(digits) if digits.isdigit() and digits.isascii() else -1


def _compare(operator: str, wanted: list[Any], cell: Callable[[Row], Any]) -> Test:
    return lambda row: _holds(operator, cell(row), wanted)


def _holds(operator: str, cell: Any, wanted: list[Any]) -> bool:
    first: int | str | Decimal = wanted[0]
    match operator:
        case "=":
            return bool(cell == first)
        case "!=":
            return bool(cell != first)
        case "<":
            return bool(cell < first)
        case ">":
            return bool(cell > first)
        case "<=":
            return bool(cell <= first)
        case ">=":
            return bool(cell >= first)
        case _:
            return cell in wanted


_TABLES: dict[str, list[Json]] = {
    "Groups": [{"id": id, "groupname": name, "description": text} for id, name, text in GROUPS],
    "Tax": [
        {
            "id": f"34x{name[-1]}",
            "taxname": name,
            "taxlabel": label,
            "percentage": rate,
            "deleted": "0",
            "method": "Simple",
            "type": "Fixed",
            "compoundon": "[]",
            "regions": "[]",
        }
        for name, label, rate in details.TAXES
    ],
    "ProductTaxes": [],
    "Currency": [
        {
            "id": "21x1",
            "currency_name": "Euro",
            "currency_code": "EUR",
            "currency_symbol": "€",
            "conversion_rate": "1.00000",
            "currency_status": "Active",
            "defaultid": "-11",
            "deleted": "0",
        }
    ],
    "CompanyDetails": [
        {
            "id": "23x1",
            "organizationname": "vtiger",
            "address": "95, 12th Main Road, 3rd Block, Rajajinagar",
            "city": "Bangalore",
            "state": "Karnataka",
            "country": "India",
            "code": "560010",
            "phone": "+91 9243602352",
            "fax": "+91 9243602352",
            "website": "www.vtiger.com",
            "logoname": "vtiger-crm-logo.png",
            "logo": "",
            "vatid": "",
        }
    ],
}
