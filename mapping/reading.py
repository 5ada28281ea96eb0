"""Reading a field of a raw record: either its value, or a sentence that names the field and says what is wrong.

Every function takes the record, the field's name, and where the record stands (`line_items[2].`), so that a person
finds it. Values of amounts, dates and words are shown in the sentence; free text never is (it may be somebody's name).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from core.clock import parse_utc
from core.errors import Held
from core.money import DECIMALS, ZERO, parse_amount

Raw = Mapping[str, Any]

# Characters that no text has and that databases refuse: controls (line breaks and tabs stay) and halves of surrogate
# pairs.
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
MAX_TEXT: Final = 64_000

FIX_AT_SOURCE: Final = "correct the order in the store; it is read again by itself when it changes there"


def fault(field: str, value: object, wrong: str, what_to_do: str = FIX_AT_SOURCE, *, error_class: str = "") -> Held:
    """The error for a field that cannot be used. `value` is shown shortened; pass "" to show none."""
    return Held(
        f"The order's field {field}{shown(value)} {wrong}. What to do: {what_to_do}.",
        field=field,
        error_class=error_class,
    )


def shown(value: object) -> str:
    """` = "3.50x"`: a scalar as it stands on the wire, at most 40 characters; of anything else only what it is."""
    if value == "":
        return ""
    if value is None or isinstance(value, bool):
        return f" = {({None: 'null', True: 'true', False: 'false'})[value]}"
    if isinstance(value, str):
        text = clean(value)
        return f' = "{text[:40]}..."' if len(text) > 40 else f' = "{text}"'
    if isinstance(value, int | Decimal):
        return f" = {str(value)[:40]}"
    return " (a list)" if isinstance(value, Sequence) else " (an object)"


def clean(text: str) -> str:
    """Text without characters that are none."""
    return text if text.isprintable() else _NOT_TEXT.sub("", text)


def given(raw: Raw, name: str) -> bool:
    """Whether there is a value: not absent, null or ""."""
    value = raw.get(name)
    return value is not None and value != ""


def text(raw: Raw, name: str, at: str = "") -> str:
    """Text; absent and null are "". A number is taken as its digits. A list or object is a fault."""
    value = raw.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise fault(at + name, "", f"is longer than {MAX_TEXT} characters")
        return clean(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise fault(at + name, value, "should be text")


def amount(raw: Raw, name: str, at: str = "") -> Decimal:
    """A sum of money, required."""
    if not given(raw, name):
        raise fault(at + name, "", "is missing or empty, an amount of money is needed")
    return _amount(raw[name], at + name)


def amount_or_zero(raw: Raw, name: str, at: str = "") -> Decimal:
    """A sum of money; absent, null and "" are zero."""
    return _amount(raw[name], at + name) if given(raw, name) else ZERO


def _amount(value: object, field: str) -> Decimal:
    try:
        return parse_amount(value)
    except ValueError:
        raise fault(field, value, "is not an amount of money") from None


def quantity(raw: Raw, name: str, at: str = "") -> Decimal:
    """How many: a number greater than zero."""
    value = raw.get(name)
    try:
        number = parse_amount(value)
    except ValueError:
        raise fault(at + name, value, "is not a quantity") from None
    if number <= 0:
        raise fault(at + name, value, "is not a quantity greater than zero")
    return number


def moment(raw: Raw, name: str, at: str = "") -> datetime | None:
    """A time (without offset: UTC); absent, null and "" are None."""
    if not given(raw, name):
        return None
    value = raw[name]
    try:
        if not isinstance(value, str):
            raise ValueError(name)
        return parse_utc(value)
    except (ValueError, OverflowError):
        raise fault(at + name, value, "is not a date and time") from None


def flag(raw: Raw, name: str, at: str = "") -> bool:
    """True or false; absent and null are false."""
    value = raw.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise fault(at + name, value, "should be true or false")
    return value


def section(raw: Raw, name: str, at: str = "") -> Raw:
    """An object; absent and null are empty."""
    value = raw.get(name)
    if value is None or value == []:  # PHP writes an empty object as an empty list
        return {}
    if not isinstance(value, dict):
        raise fault(at + name, value, "should be an object")
    return value


def rows(raw: Raw, name: str, at: str = "") -> Sequence[Raw]:
    """A list of objects; absent and null are empty."""
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise fault(at + name, value, "should be a list")
    for number, row in enumerate(value):
        if not isinstance(row, dict):
            raise fault(f"{at}{name}[{number}]", row, "should be an object")
    return value


def currency(raw: Raw, name: str = "currency", at: str = "") -> str:
    """An ISO 4217 code that we know the decimals of."""
    value = raw.get(name)
    if not isinstance(value, str) or value not in DECIMALS:
        raise fault(
            at + name,
            "" if value is None else value,
            "is not a currency of ISO 4217",
            "correct the currency in the store's settings, then have the order sent again",
        )
    return value


def at_most(found: Sequence[object], limit: int, field: str) -> None:
    """Refuse more rows than the limit."""
    if len(found) > limit:
        raise fault(
            field,
            "",
            f"has {len(found)} entries, more than the {limit} that are allowed (max_lines)",
            "raise max_lines of the flow if such orders are real, or split the order in the store",
        )
