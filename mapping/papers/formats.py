"""Numbers, money and dates as a customer reads them: exact, never rounded."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_symbol

from core.papersettings import PaperLanguage
from mapping.papers.words import LOCALES

_UNIT_PLACES = Decimal("0.0001")


class Formats:
    """Of one language and one currency."""

    def __init__(self, language: PaperLanguage, currency: str, zone: str) -> None:
        self._locale = LOCALES[language]
        self._currency = currency
        self._zone = ZoneInfo(zone)

    def money(self, amount: Decimal) -> str:
        """With all its decimals, at least the currency's."""
        shown = amount.normalize() if amount else Decimal(0)
        if get_currency_symbol(self._currency, self._locale) != self._currency:
            return format_currency(shown, self._currency, locale=self._locale, decimal_quantization=False)
        number = format_currency(
            shown, self._currency, format="#,##0.00", locale=self._locale, decimal_quantization=False
        )
        return f"{number}\N{NO-BREAK SPACE}{self._currency}"

    def number(self, number: Decimal) -> str:
        """A quantity or a rate: no decimals that say nothing."""
        shown = number.normalize() if number else Decimal(0)
        return str(format_decimal(shown, locale=self._locale, decimal_quantization=False))

    def unit_price(self, net: Decimal, quantity: Decimal) -> str:
        """What one costs; to the fourth decimal where it does not come out even."""
        if not quantity:
            return self.money(net)
        price = net / quantity
        return self.money(
            price if price * quantity == net and price == price.quantize(_UNIT_PLACES) else price.quantize(_UNIT_PLACES)
        )

    def rate(self, rate: Decimal) -> str:
        """19 %."""
        return f"{self.number(rate)}\N{NO-BREAK SPACE}%"

    def country(self, code: str) -> str:
        """Its name; what is no code stays as it is given."""
        return (
            str(Locale.parse(self._locale).territories.get(code.strip().upper(), code))
            if len(code.strip()) == 2
            else code
        )

    def day(self, moment: datetime | date) -> str:
        """In the seller's time zone."""
        day = moment.astimezone(self._zone).date() if isinstance(moment, datetime) else moment
        return str(format_date(day, format="long", locale=self._locale))
