"""Two states of a sales order, field by field and line by line: whether they say the same, and in which words they differ.

A state is a mapping of vtiger's field names to texts, `LineItems` to a list of such mappings; a field that is missing is
empty. What is equal is told by the rules of `connectors.vtiger.verify`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from connectors.roles import Disagreement
from connectors.vtiger import verify
from core import jsontext
from core.money import decimals
from mapping.canonical import SalesOrder
from mapping.vtiger.order import CHARGE

State = Mapping[str, Any]
Lines = Sequence[Mapping[str, str]]
LINES: Final = "LineItems"
TOTAL: Final = "hdnGrandTotal"
"""Not sent, vtiger computes it: it tells of discounts and charges that people gave in ways we do not use."""
NOT_A_SIDE: Final = frozenset({"id", "productid", "invoicestatus"})
"""What vtiger demands or changes by itself."""
_OURS: Final = ("productid", "quantity", "listprice", "discount_amount", "discount_percent", "comment")
_TAX: Final = re.compile(r"tax[0-9]{1,3}")

_HEADER_WORDS: Final = {CHARGE: "Shipping", TOTAL: "Grand total", "txtAdjustment": "Adjustment"}
_LINE_WORDS: Final = {
    "productid": "article",
    "quantity": "quantity",
    "listprice": "unit price",
    "discount_amount": "discount",
    "discount_percent": "discount in percent",
    "comment": "text",
}


# -- what there is -------------------------------------------------------------------------------------------------------


def asked(element: Mapping[str, Any], order: SalesOrder) -> dict[str, Any]:
    """The state that an element stands for, once vtiger has taken it."""
    state = {name: value for name, value in element.items() if name not in NOT_A_SIDE}
    if LINES in state:
        state[TOTAL] = f"{order.total:f}"
    return state


def there(record: Mapping[str, Any], names: Collection[str], order: SalesOrder) -> dict[str, Any]:
    """The same fields of a record."""
    state: dict[str, Any] = {name: _text(record.get(name)) for name in names if name not in {LINES, TOTAL}}
    if LINES in names:
        raw = record.get(LINES)
        lines = [line for line in raw if isinstance(line, dict)] if isinstance(raw, list) else []
        state[LINES] = [
            {name: _text(line.get(name)) for name in (*_OURS, *filter(_TAX.fullmatch, line))}
            for line in sorted(lines, key=verify.sequence)
        ]
    if TOTAL in names:
        state[TOTAL] = _rounded(_text(record.get(TOTAL)), order)
    return state


def _rounded(total: str, order: SalesOrder) -> str:
    """As vtiger has it, at the decimals of the store's total: vtiger does not round (7061.749999999999)."""
    places = max(decimals(order.currency), -int(order.total.normalize().as_tuple().exponent))
    try:
        return f"{Decimal(total or '0').quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"
    except InvalidOperation:
        return total


# -- whether it is the same ----------------------------------------------------------------------------------------------


def same(name: str, left: Any, right: Any) -> bool:
    """Whether two values of a field say the same."""
    if name == LINES:
        return _same_lines(left or (), right or ())
    left, right = _text(left), _text(right)
    return left == right or _how(name)(left, right)


def _how(name: str) -> Callable[[str, str], bool]:
    return verify.same_number if name == TOTAL else verify.rule_of(name, frozenset()).same


def _same_lines(left: Lines, right: Lines) -> bool:
    """Columns that one side does not name are not its own: vtiger fills a tax slot that was not sent from the product."""
    if len(left) != len(right):
        return False
    return all(
        _same_cell(column, one.get(column, ""), other.get(column, ""))
        for one, other in zip(left, right, strict=True)
        for column in _columns(one, other)
    )


def _columns(left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[str]:
    yield from _OURS
    yield from sorted((left.keys() & right.keys()) - set(_OURS))


def _same_cell(column: str, left: str, right: str) -> bool:
    return left == right or _rule(column).same(left, right)


def _rule(column: str) -> verify.Rule:
    return verify.LINE.get(column, verify.TAX_LINE)


def digest(state: State, names: Iterable[str]) -> str:
    """Of these fields, equal for values that say the same."""
    plain = {name: _plainly(name, state.get(name)) for name in names}
    return jsontext.fingerprint({name: value for name, value in plain.items() if value and value != "0"})


def _plainly(name: str, value: Any) -> Any:
    if name == LINES:
        plain = [{c: verify.plainly(_rule(c).same, text) for c, text in line.items()} for line in value or ()]
        return [{column: text for column, text in line.items() if text and text != "0"} for line in plain]
    return verify.plainly(_how(name), _text(value))


# -- in words ------------------------------------------------------------------------------------------------------------


def disagreements(
    names: Iterable[str],
    wrote: State,
    theirs: State,
    stores: State,
    label: Callable[[str], str],
    article: Mapping[str, str],
) -> tuple[Disagreement, ...]:
    """The fields in which the CRM and the store differ. `wrote` holds None where it is not known; `label`: what a field is
    called over there; `article`: what a product is called, by its id.
    """
    rows: list[Disagreement] = []
    for name in names:
        if same(name, theirs.get(name), stores.get(name)):
            continue
        if name == LINES:
            rows += _line_rows(wrote.get(LINES), theirs.get(LINES) or (), stores.get(LINES) or (), article)
        else:
            known = wrote.get(name, "")
            before = None if known is None else _shown(name, known)
            sides = _shown(name, theirs.get(name)), _shown(name, stores.get(name))
            rows.append(Disagreement(_word(name, label), before, *sides))
    return tuple(rows)


def _word(name: str, label: Callable[[str], str]) -> str:
    if name.startswith(f"{CHARGE}_"):
        return "Shipping tax in percent"
    return _HEADER_WORDS.get(name) or label(name)


def _line_rows(
    before: Lines | None, theirs: Lines, stores: Lines, article: Mapping[str, str]
) -> Iterator[Disagreement]:
    """Lines are the same line where they have the same article; of several with one article, also the same text."""
    sides = [_by_name(lines, article) for lines in (before or (), theirs, stores)]
    for name in dict.fromkeys((*sides[2], *sides[1])):
        wrote, there, store = (side.get(name) for side in sides)
        if there is None or store is None:
            yield Disagreement(name, _whole(wrote), _whole(there), _whole(store))
            continue
        for column in _columns(there, store):
            left, right = there.get(column, ""), store.get(column, "")
            if not _same_cell(column, left, right):
                known = None if wrote is None else _shown(column, wrote.get(column, ""))
                yield Disagreement(
                    f"{name}, {_LINE_WORDS.get(column, 'tax in percent')}",
                    known,
                    _shown(column, left),
                    _shown(column, right),
                )


def _by_name(lines: Lines, article: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    named: dict[str, Mapping[str, str]] = {}
    for line in lines:
        id = line.get("productid", "")
        text = (line.get("comment", "").splitlines() or [""])[0]
        name = article.get(id) or text or id
        number = 1 + sum(1 for known in named if known == name or known.startswith(f"{name} ("))
        named[name if number == 1 else f"{name} ({number})"] = line
    return named


def _whole(line: Mapping[str, str] | None) -> str | None:
    return (
        None
        if line is None
        else f"{_shown('quantity', line.get('quantity'))} x {_shown('listprice', line.get('listprice'))}"
    )


def _shown(name: str, value: Any) -> str:
    """For people: numbers without the noughts that vtiger puts behind them."""
    text = _text(value)
    numeric = _how(name) is verify.same_number or (name not in {"comment", "productid"} and name in _LINE_WORDS)
    if not (numeric or name.startswith("tax")) or not text:
        return verify.shown(text)
    try:
        return f"{Decimal(text).normalize():f}"
    except InvalidOperation:
        return verify.shown(text)


def _text(value: object) -> str:
    return "" if value is None else str(value)
