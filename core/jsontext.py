"""JSON with exact numbers: money never passes through a float, and what is not JSON is refused."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 60
BOM = b"\xef\xbb\xbf"
"""Some servers put it before their JSON."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _decimal(text: str) -> Decimal:
    if len(text) > 60:
        raise ValueError("a number has too many digits")
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > 40:
        raise ValueError("a number is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > 40:
        raise ValueError("a number has too many digits")
    return int(text)


def _check_depth(value: object, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, dict | list):  # most are not, and a call for each of them costs more than parsing
            _check_depth(item, depth + 1)


def loads(raw: bytes | str) -> Any:
    """Parse JSON text; fractions become Decimal, integers stay int. Raises ValueError for whatever is not strict JSON."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        value = json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant)
        _check_depth(value)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    return value


class _Encoder(json.JSONEncoder):
    def default(self, o: object) -> object:
        if isinstance(o, Decimal):
            return str(o)
        return super().default(o)


def dumps(value: object) -> str:
    """Canonical JSON text: sorted keys, no spaces, a Decimal as a string (its digits are kept, `loads` gives text back)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, cls=_Encoder)


def fingerprint(value: object) -> str:
    """A digest of a parsed value that does not depend on the order of keys or on white space."""
    return hashlib.sha256(dumps(value).encode("utf-8", "surrogatepass")).hexdigest()
