"""A rehearsal's report: as text for the terminal, as JSON and CSV for programs, as a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.care import span
from console.output import print_table, say, when
from core.money import show
from pipelines.reports import Report

if TYPE_CHECKING:
    from jinja2 import Environment

    from pipelines.forecast import Forecast, Group, Pile

TEMPLATES: Final = Path(__file__).parent / "templates"
LISTED: Final = 500
"""Orders that a page lists one by one; a table of all of them is what CSV is for."""
SHOWN: Final = 10
"""Groups of a kind that the terminal shows."""
WORDS: Final = {
    "post": "would be created",
    "change": "would be changed",
    "nothing": "left as they are",
    "too_old": "placed before the start: linked or listed, not created",
    "hold": "would be held",
    "skip": "skipped by a rule",
    "wait": "could not be told now",
}
GAPS: Final = {
    "unknown_skus": ("Article numbers without a product in the CRM", "article"),
    "untaxed": ("Products without the tax that their lines carry", "article"),
    "unmapped": ("Owners, methods and statuses without a mapping", "what"),
}


def cost(found: Forecast) -> str:
    """The calls and the time that they take."""
    if found.seconds is None:
        return f"at least {found.calls} calls; no limit is set for them (`rate` at the connection)"
    return f"at least {found.calls} calls; at {found.rate:g} a second they take {span(found.seconds)}"


def money(amounts: Mapping[str, Decimal]) -> str:
    """`120.00 EUR, 3000 JPY`."""
    return ", ".join(show(amounts[currency], currency) for currency in sorted(amounts))


def sentence(found: Forecast) -> str:
    """The whole in one line."""
    piles = [(WORDS[name], getattr(found, name)) for name in WORDS]
    said = [f"{pile.count} {word}{_in_brackets(pile)}" for word, pile in piles if pile.count]
    return f"{found.orders.count} orders: " + ("; ".join(said) or "none") + "."


def _in_brackets(pile: Pile) -> str:
    return f" ({money(pile.money)})" if pile.money else ""


# -- the terminal --------------------------------------------------------------------------------------------------


def tell(report: Report) -> None:
    """Print it."""
    found = report.forecast
    say(f"\n{report.flow}: {report.subject}")
    if report.unfinished:
        say(report.unfinished)
    rows = [(WORDS[name], _count(pile), money(pile.money)) for name, pile in _piles(found)]
    print_table(("", "orders", "money"), [*rows, ("all", _count(found.orders), money(found.orders.money))])
    _tell_groups("Would be held", ("reason", "orders", "money", "for example"), found.held.sorted, reasons=True)
    _tell_groups("Skipped", ("rule", "orders", "money", "for example"), found.skipped.sorted)
    for name, (title, column) in GAPS.items():
        _tell_groups(title, (column, "orders", "money", "for example"), getattr(found, name).sorted)
    who = found.customers
    say(f"\nCustomers: {who['found']} orders of known ones, {who['new']} new ones, {who['doubtful']} doubtful.")
    say(f"Cost: {cost(found)}.")


def _piles(found: Forecast) -> list[tuple[str, Pile]]:
    """Those worth a line: the first and the held ones always."""
    return [(name, getattr(found, name)) for name in WORDS if name in {"post", "hold"} or getattr(found, name).count]


def _tell_groups(title: str, columns: Sequence[str], groups: Sequence[Group], *, reasons: bool = False) -> None:
    if not groups:
        return
    say(f"\n{title}:")
    rows = [(one.name, _count(one.pile), money(one.pile.money), _examples(one, reasons)) for one in groups[:SHOWN]]
    print_table(columns, rows)
    if len(groups) > SHOWN:
        say(f"... and {len(groups) - SHOWN} more: `--html FILE` or `--json FILE` has them all.")


def _count(pile: Pile) -> str:
    return f"{pile.count:>6}"


def _examples(group: Group, reasons: bool) -> str:
    if reasons:
        return "\n".join(f"{', '.join(orders)}: {text}" for text, orders in group.reasons)
    return ", ".join(order for order, _ in group.samples)


# -- people --------------------------------------------------------------------------------------------------------


def as_html(report: Report) -> str:
    """One page that needs nothing else: no script, no font, no picture from outside."""
    attention = [item for item in report.items if item.verdict in {"hold", "wait"}]
    return (
        _templates()
        .get_template("rehearsal.html")
        .render(
            report=report,
            found=report.forecast,
            piles=_piles(report.forecast),
            words=WORDS,
            gaps=[(title, column, getattr(report.forecast, name).sorted) for name, (title, column) in GAPS.items()],
            cost=cost(report.forecast),
            listed=attention[:LISTED],
            left_out=max(0, len(attention) - LISTED),
        )
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"grouped": grouped, "when": when, "parts": _parts}
    return made


def grouped(amount: Decimal | str, currency: str) -> str:
    """`1 234.50`, with thin spaces that never break."""
    digits, _, unit = show(Decimal(amount or 0), currency).partition(" ")
    sign = "\u2212" if digits.startswith("-") else ""
    whole, point, rest = digits.lstrip("-").partition(".")
    return sign + f"{int(whole):,}".replace(",", "\u202f") + f"{point}{rest}\u00a0{unit}"


def _parts(text: str) -> tuple[str, str]:
    """A reason, and what to do about it."""
    reason, _, advice = text.partition(" What to do: ")
    return reason, advice
