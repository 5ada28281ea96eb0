"""Letters about stock to the buyer in charge. Pure: what is low in, subject and text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal

from mapping.stock import Risk
from mapping.stockwords import WORDS

LISTED: Final = 100
"""So many articles stand in one letter; of more only how many."""
_LONG: Final = 120


@dataclass(frozen=True, slots=True)
class Item:
    """An article as a letter tells it. `cover`: for how many days it lasts, None where nothing was ordered in `days`."""

    sku: str
    name: str
    warehouse: str
    quantity: Decimal
    minimum: Decimal
    target: Decimal | None = None
    cover: int | None = None
    days: int = 30
    risk: Risk = field(default_factory=Risk)
    gone: bool = False
    """The source tells the article no more."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Style:
    """Whom it addresses (`called` "": by no name), in which language; `as_of` is already in the reader's time zone."""

    language: str = ""
    called: str = ""
    as_of: datetime | None = None

    @property
    def words(self) -> Mapping[str, str]:
        """Of the language, English where there are none."""
        return WORDS.get(self.language[:2], WORDS["en"])

    @property
    def locale(self) -> Locale:
        """How numbers and dates are written."""
        language = self.language[:2] if self.language[:2] in WORDS else "en"
        territory = self.language[3:] if self.language.startswith(language) else ""
        try:
            return Locale(language, territory or None)
        except UnknownLocaleError:
            return Locale(language)


def alert(items: Sequence[Item], style: Style) -> Letter:
    """Something fell below its threshold."""
    words, first = style.words, items[0]
    if len(items) == 1:
        subject = words["one"].format(article=_article(first), quantity=_number(first.quantity, style))
    else:
        subject = words["many"].format(count=len(items))
    lines = [*_hello(style), words["below"], "", *_listed(items, style), *_as_of(style)]
    return Letter(_line(subject), "\n".join(lines))


def digest(fresh: Sequence[Item], still: Sequence[Item], well: Sequence[Item], snoozed: int, style: Style) -> Letter:
    """What is low, what is new of it, and what is well again."""
    words = style.words
    lines = list(_hello(style))
    for title, items in (("fresh", fresh), ("still", still)):
        if items:
            lines += [words[title], "-" * len(words[title]), "", *_listed(items, style)]
    if not fresh and not still:
        lines += [words["calm"], ""]
    if well:
        lines += [words["well"], "-" * len(words["well"]), "", *_well(well, style)]
    if snoozed:
        lines += [words["snoozed"].format(count=snoozed), ""]
    subject = words["digest"].format(low=len(fresh) + len(still), fresh=len(fresh), well=len(well))
    return Letter(_line(subject), "\n".join([*lines, *_as_of(style)]))


def _hello(style: Style) -> Iterator[str]:
    if style.called:
        yield style.words["hello"].format(name=_line(style.called))
        yield ""


def _as_of(style: Style) -> Iterator[str]:
    if style.as_of is not None:
        moment = format_datetime(style.as_of, "d MMM yyyy, HH:mm", tzinfo=style.as_of.tzinfo, locale=style.locale)
        yield style.words["as_of"].format(moment=f"{moment} {style.as_of.tzname() or ''}".rstrip())


def _listed(items: Sequence[Item], style: Style) -> Iterator[str]:
    words = style.words
    for item in items[:LISTED]:
        place = f" ({words['warehouse'].format(name=_line(item.warehouse))})" if item.warehouse else ""
        yield f"{_article(item)}{place}"
        yield f"  {_there(item, style)}"
        if item.target is not None and item.target > item.quantity:
            buy = _number(item.target - item.quantity, style)
            yield f"  {words['buy'].format(quantity=buy, target=_number(item.target, style))}"
        yield f"  {_cover(item, style)}"
        if item.risk.orders:
            yield f"  {words['risk'].format(orders=len(item.risk.orders), money=_money(item.risk, style))}"
        yield ""
    yield from _more(items, style)


def _well(items: Sequence[Item], style: Style) -> Iterator[str]:
    for item in items[:LISTED]:
        said = "gone_line" if item.gone else "well_line"
        yield f"{_article(item)}: {style.words[said].format(quantity=_number(item.quantity, style))}"
    yield ""
    yield from _more(items, style)


def _more(items: Sequence[Item], style: Style) -> Iterator[str]:
    if len(items) > LISTED:
        yield style.words["more"].format(count=len(items) - LISTED)
        yield ""


def _there(item: Item, style: Style) -> str:
    return style.words["there"].format(quantity=_number(item.quantity, style), minimum=_number(item.minimum, style))


def _cover(item: Item, style: Style) -> str:
    if item.cover is None:
        return style.words["cover_none"].format(days=item.days)
    return style.words["cover"].format(days=item.cover)


def _article(item: Item) -> str:
    return _line(f"{item.sku} {item.name}".strip())


def _line(text: str) -> str:
    """One line, not too long: what a source calls an article is nothing to trust."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= _LONG else f"{clean[: _LONG - 1]}…"


def _number(quantity: Decimal, style: Style) -> str:
    return format_decimal(quantity, locale=style.locale, decimal_quantization=False)


def _money(risk: Risk, style: Style) -> str:
    return " + ".join(format_currency(amount, currency, locale=style.locale) for currency, amount in risk.money)
