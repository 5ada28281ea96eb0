"""Exact money: Decimal with a currency, from the first parse to the last cent."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

ZERO: Final = Decimal(0)

# ISO 4217 (list one, 2026): every currency with its number of decimals, where it is not two.
_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR: Final = "CLF UYW"
_DECIMALS: Final = dict.fromkeys(_NONE.split(), 0) | dict.fromkeys(_THREE.split(), 3) | dict.fromkeys(_FOUR.split(), 4)
_TWO: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR "
    "KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN "
    "PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD "
    "TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
DECIMALS: Final[dict[str, int]] = dict.fromkeys(_TWO.split(), 2) | _DECIMALS


_TOO_MUCH: Final = Decimal("1e15")


def decimals(currency: str) -> int:
    """How many decimals amounts of this currency have (EUR 2, JPY 0); KeyError for an unknown currency."""
    return DECIMALS[currency]


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-DECIMALS[currency])


def round_to(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's decimals."""
    return amount.quantize(minor_unit(currency), rounding=ROUND_HALF_UP)


def parse_amount(value: object) -> Decimal:
    """An amount as it stands on the wire: text, int or Decimal. Never a float. "" and None are not amounts: ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"not an amount: {type(value).__name__}")
    try:
        amount = Decimal(value.strip()) if isinstance(value, str) else Decimal(value)
    except InvalidOperation:
        raise ValueError("not an amount: the text is not a decimal number") from None
    if not amount.is_finite():
        raise ValueError("not an amount: it is not a finite number")
    if abs(amount) >= _TOO_MUCH or amount.as_tuple().exponent < -12:  # type: ignore[operator]
        raise ValueError("not an amount: out of range")
    return amount


def show(amount: Decimal, currency: str) -> str:
    """For people: `1234.50 EUR`, at least the currency's decimals, no exponent."""
    places = max(DECIMALS.get(currency, 2), -int(amount.normalize().as_tuple().exponent))
    return f"{amount:.{places}f} {currency}"
