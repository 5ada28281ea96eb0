"""What identifies a customer, folded so that two notations of the same thing are equal. Pure.

Every `fold_*` takes any text, never raises, and answers "" for what identifies nobody (empty, malformed, impossible).
Folding what is folded changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

import phonenumbers
import stdnum
import stdnum.exceptions

from core.emails import fold_email
from mapping.canonical import Customer, Party
from mapping.names import fold_company, fold_person, fold_text, settle

__all__ = [
    "EntryKind",
    "MatchKind",
    "customer_entries",
    "fold_company",
    "fold_email",
    "fold_erp",
    "fold_person",
    "fold_phone",
    "fold_postal_code",
    "fold_vat",
    "index_entries",
    "strong_identities",
]

MatchKind = Literal["erp_number", "vat", "email", "phone", "company"]
"""The kinds of identity kept in the party index, named as the flow's `match` rules are."""
EntryKind = MatchKind | Literal["postal_code"]
"""All that the party index keeps. A postal code is no identity: no rule asks for it, it only tells doubles apart."""

_LONGEST: Final = 200
"""No address or customer number is longer, and the party index cuts nothing off."""


def _region(country: str) -> str:
    """ISO 3166 alpha-2 in capitals, "" for anything else."""
    code = country.strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""


# Characters that never belong to a number (emoji, symbols): seen on the wire as `0151 😀 2345678`.
_SYMBOL_CATEGORIES: Final = frozenset({"So", "Sk", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})
_SEVERAL: Final = re.compile(r"[;,/|\n]| (?:oder|or|или) ")
_NATIONAL_ZEROS: Final = re.compile(r"^\s*00(?=[1-9])")
_LONGEST_PHONE: Final = 120


def fold_phone(text: str, country: str = "") -> str:
    """E.164 (`+49301234567`), or "". `country` (ISO alpha-2) reads numbers without a country code. An extension is
    dropped: it names a desk, and the CRM mostly has the number without it. Of several numbers the first counts.
    Numbers that no network has given out are "": `0000000` is shared by many, and must not make them one.
    """
    if not text or len(text) > _LONGEST_PHONE:
        return ""
    clean = "".join(c for c in text if unicodedata.category(c) not in _SYMBOL_CATEGORIES)
    region = _region(country)
    attempts = (_e164(part, region) for part in (clean, *_SEVERAL.split(clean)))
    return next((number for number in attempts if number), "")


def _e164(text: str, region: str) -> str:
    for attempt in dict.fromkeys((text, _NATIONAL_ZEROS.sub("+", text))):
        try:
            number = phonenumbers.parse(attempt, region or None)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return ""


_VAT_LABEL: Final = re.compile(
    r"^(?:ust-?\s?id(?:-?\s?nr)?|uid|mwst|vat(?:\s?(?:reg|no|id|number|nr))*|p\.?\s?iva|partita iva|tva|"
    r"nif|cif|инн|inn)[\s.:#№-]+",
    re.IGNORECASE,
)
_NOT_ALPHANUMERIC: Final = re.compile(r"[^0-9A-Z]")
# Where stdnum's own idea of "the VAT number" carries a suffix that depends on the language, or is missing.
_MODULES: Final = {"CH": "ch.uid", "NO": "no.orgnr", "UA": "ua.edrpou", "XI": "gb.vat", "EL": "gr.vat"}
_SUFFIXES: Final = {"CH": re.compile("(?:MWST|TVA|IVA|VAT|TPV|HR)$"), "NO": re.compile("MVA$")}
_PREFIX: Final = {"GR": "EL"}


@lru_cache(maxsize=300)
def _vat_module(country: str) -> Any:
    special = _MODULES.get(country)
    if special:
        package, name = special.split(".")
        return stdnum.get_cc_module(package, name)
    return stdnum.get_cc_module(country.lower(), "vat")


def fold_vat(text: str, country: str = "") -> str:
    """The VAT number with its country's prefix and nothing else: `DE 136 695 976` -> `DE136695976`; without a prefix
    the country decides (`136695976`, DE). RU: the INN (`RU7707083893`). A wrong check digit makes "": placeholders such
    as `DE000000000` are shared by many, and must not make them one.
    """
    compact = _NOT_ALPHANUMERIC.sub("", _VAT_LABEL.sub("", text.strip()).upper())
    region = _region(country)
    for prefix, number in ((compact[:2], compact[2:]), (region, compact)):
        if prefix.isalpha() and (folded := _checked_vat(prefix, number)):
            return folded
    return ""


def _checked_vat(prefix: str, number: str) -> str:
    module = _vat_module(prefix)
    if module is None or not number:
        return ""
    if prefix in _SUFFIXES:
        number = _SUFFIXES[prefix].sub("", number)
    candidates = (number, prefix + number) if prefix == "CH" else (number,)
    for candidate in candidates:
        try:
            valid = str(module.validate(candidate))
        except stdnum.exceptions.ValidationError:
            continue
        shown = _PREFIX.get(prefix, prefix)
        valid = _NOT_ALPHANUMERIC.sub("", valid.upper())
        return valid if valid.startswith(shown) else shown + valid
    return ""


def _capitals(text: str, trim: Callable[[str], str]) -> str:
    """In capitals, composed and trimmed: taking a blank away can bring a letter and its accent together, and composing can
    make new blanks.
    """
    return settle(text, lambda text: trim(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper())))


def fold_erp(text: str) -> str:
    """A customer number of the ERP: blanks at both ends and case do not matter, all else does (`K-007` is not `K7`)."""
    text = _capitals(text, str.strip)
    return text if len(text) <= _LONGEST else ""


def fold_postal_code(text: str) -> str:
    """A postal code for comparison: `d-10 115` -> `D-10115`. What a mandatory field is filled with (`-`, `00000`) is ""."""
    text = _capitals(text, lambda text: "".join(text.split()))
    return text if len(text) <= _LONGEST and any(c.isalnum() and c != "0" for c in text) else ""


# What people type into a mandatory company field when they have none.
_NO_COMPANY: Final = frozenset(
    fold_text(word)
    for word in [
        "-",
        "n/a",
        "none",
        "no",
        "keine",
        "kein",
        "privat",
        "private",
        "privatperson",
        "нет",
        "частное лицо",
        "x",
        "test",
    ]
)


def _company(text: str) -> str:
    return "" if fold_text(text) in _NO_COMPANY else fold_company(text)


_Kind = TypeVar("_Kind", bound=EntryKind)


def _unique(entries: Iterable[tuple[_Kind, str]]) -> list[tuple[_Kind, str]]:
    return list(dict.fromkeys(entry for entry in entries if entry[1]))


def customer_entries(customer: Customer, region: str = "") -> list[tuple[MatchKind, str]]:
    """Everything a customer can be found by, (match kind, folded value), strongest kind first. `region`: the ISO
    country that reads phone and VAT numbers where the billing address has none.
    """
    country = _region(customer.billing.country) or region
    return _unique(
        (
            ("erp_number", fold_erp(customer.erp_number)),
            ("vat", fold_vat(customer.vat_number, country)),
            ("email", fold_email(customer.person.email)),
            ("phone", fold_phone(customer.person.phone, country)),
            ("phone", fold_phone(customer.billing.phone, country)),
            ("company", _company(customer.company or customer.billing.company)),
        )
    )


_STRONG: Final[dict[MatchKind, str]] = {"erp_number": "erp", "vat": "vat", "email": "email"}


def strong_identities(customer: Customer, region: str = "") -> tuple[tuple[str, str], ...]:
    """The identities under which a customer is intended in a CRM, strongest first: ("erp", "K-100"), ("vat",
    "DE136695976"), ("email", "einkauf@mueller.example"). Empty for a customer who gave none of them.
    """
    return tuple((_STRONG[kind], value) for kind, value in customer_entries(customer, region) if kind in _STRONG)


def index_entries(party: Party, region: str = "") -> list[tuple[EntryKind, str]]:
    """The rows of the party index for one account or contact: (entry kind, folded value). None for a deleted one. A
    contact's name is no identity: only an account has a company name. Nor is a postal code: only accounts are doubles.
    """
    if party.deleted:
        return []
    country = _region(party.country) or region
    return _unique(
        (
            ("erp_number", fold_erp(party.erp_number)),
            ("vat", fold_vat(party.vat_number, country)),
            *(("email", fold_email(email)) for email in party.emails),
            *(("phone", fold_phone(phone, country)) for phone in party.phones),
            ("company", _company(party.name) if party.kind == "account" else ""),
            ("postal_code", fold_postal_code(party.postal_code) if party.kind == "account" else ""),
        )
    )
