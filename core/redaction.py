"""What must not reach a log, a page or an error's detail: personal data, credentials, card numbers.

A safety net under careful messages, not a licence for careless ones. Redacting what is redacted changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

_SENSITIVE: Final = (
    r"session_?name|session_?id|access_?key|access_?token|consumer_?key|consumer_?secret|api_?key|private_?key|passw(?:or)?d|"
    r"secret|token|signature|oauth_\w+|client_secret|cookie|set-cookie"
)
_PARAMETER: Final = re.compile(
    rf"(?<![A-Za-z0-9])((?:{_SENSITIVE})[\"']?\s{{0,3}}[=:]\s{{0,3}})"
    r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s&\"',;}\])]+\]?)",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\b(Bearer|Basic|Digest)(\s{1,3})[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s/@?#]{1,300}@", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^\s@<>\"'`=:,;()/\\\[\]{}|&?]{1,64}@(?:[\w-]{1,63}\.)+[\w-]{2,63}")
_CARD: Final = re.compile(r"(?<![\w.])\d(?:[ -]?\d){11,18}(?![\w])")
# What people write as a telephone number: with a plus, an area code in brackets, in North America's groups, or with a
# leading zero. Plain digits without any of these are an order number or an id, and those must stay readable.
_PHONE: Final = re.compile(
    r"(?<![\w.,:+-])(?:"
    r"\+\d(?:[ ()/.-]{0,3}\d){6,16}"
    r"|(?:\+?\d{1,3}[ -]?)?\(\d{1,5}\)(?:[ /.-]{0,2}\d){4,12}"
    r"|(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}"
    r"|00?[1-9](?:[ /-]{0,3}\d){6,13}"
    r")(?![\w:]|[.,-]\d)"
)

HIDDEN: Final = "[redacted]"

# (first digits, lengths) of the schemes in use. Thirteen digits are left out: they are barcodes.
_CARD_SCHEMES: Final[tuple[tuple[re.Pattern[str], frozenset[int]], ...]] = (
    (re.compile("4"), frozenset({16, 19})),
    (re.compile("5[1-5]|2[2-7]|35"), frozenset({16})),
    (re.compile("3[47]"), frozenset({15})),
    (re.compile("3[068]"), frozenset({14})),
    (re.compile("50|5[6-9]|6"), frozenset({16, 17, 18, 19})),
)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    known = any(scheme.match(digits) and len(digits) in lengths for scheme, lengths in _CARD_SCHEMES)
    return known and _luhn(digits) and len(set(digits)) > 1


def contains_card_number(text: str) -> bool:
    """A number of a payment card (length and first digits of a scheme, check digit right), with blanks or dashes or
    without. Orderwire refuses such text: card data must never be stored.
    """
    return any(_is_card(match.group()) for match in _CARD.finditer(text))


def _card(match: re.Match[str]) -> str:
    return "[card]" if _is_card(match.group()) else match.group()


def redact(text: str) -> str:
    """The text with e-mail addresses, telephone and card numbers, passwords, tokens and session names hidden."""
    for _ in range(8):  # what stood next to something hidden may look different now: mostly one round, at most a few
        once = _redact_once(text)
        if once == text:
            break
        text = once
    return text


def _redact_once(text: str) -> str:
    if "=" in text or ":" in text:
        text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
        text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
        text = _PARAMETER.sub(rf"\1{HIDDEN}", text)
    elif " " in text:
        text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    if "@" in text:
        text = _EMAIL.sub("[e-mail]", text)
    text = _CARD.sub(_card, text)
    return _PHONE.sub("[phone]", text)


_PERSONAL_KEY: Final = re.compile(r"^(email|vat|phone)/.+", re.IGNORECASE | re.DOTALL)


def redact_identity(key: str) -> str:
    """The key of a customer's identity (`email/…`, `vat/…`, `erp/…`, `store/…`) without whose it is: a tax number is a person's
    where the person is the company.
    """
    found = _PERSONAL_KEY.match(key)
    if found is None:
        return redact(key)
    return f"{found[1]}/{'[e-mail]' if found[1].lower() == 'email' else HIDDEN}"


_ADDRESS: Final = re.compile(r"\s*([a-z][a-z0-9+.-]{0,30}://)(.*)", re.IGNORECASE | re.DOTALL)


def where_to(text: str) -> str:
    """An address (`https://…`, `postgresql+psycopg://…`) as scheme, host, port and path: what names a user, or stands behind
    `?` or `#`, may be a secret. Any other text as it is.
    """
    found = _ADDRESS.match(text)
    if found is None:
        return text
    before, at, after = found[2].rpartition("@")
    # A password may have any letter in it, `/` too: what has a colon before the last @ is taken for a login.
    rest = after if at and (":" in before or "/" not in before) else found[2]
    return found[1] + re.split(r"[?#]", rest, maxsplit=1)[0]


def redact_all(value: object, depth: int = 0) -> object:
    """The same for every text inside dicts, lists and tuples (keys stay; deeper than eight is cut off)."""
    if isinstance(value, str):
        return redact(value)
    if depth > 8:
        return "..."
    if isinstance(value, dict):
        return {key: _by_key(key, item, depth) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_all(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value


_SENSITIVE_KEY: Final = re.compile(rf"(?:{_SENSITIVE}|authorization)$", re.IGNORECASE)


def _by_key(key: object, item: object, depth: int) -> object:
    """`{"password": "x"}` shows its secret by its key alone."""
    if isinstance(key, str) and isinstance(item, str) and item and _SENSITIVE_KEY.search(key):
        return HIDDEN
    return redact_all(item, depth + 1)
