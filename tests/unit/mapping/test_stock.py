"""When stock is low, whom it concerns, and what letters say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping import stockletters
from mapping.stock import Risk, Rule, Rules, Usual, Waiting, at_risk, days_of_cover, free_to_sell, verdict
from mapping.stockletters import Item, Style
from mapping.stockwords import WORDS

D = Decimal


@dataclass(frozen=True)
class Limit:
    scope: str
    subject: str
    warehouse: str = ""
    owner: str = ""
    minimum: Decimal | None = None
    target: Decimal | None = None


@dataclass(frozen=True)
class Order:
    order_key: str
    quantity: Decimal
    total: Decimal = Decimal(100)
    currency: str = "EUR"


ALL = [
    Limit("product", "A", "north", "", D(1)),
    Limit("product", "A", "", "anna", D(2), D(9)),
    Limit("group", "lamps", "north", "", D(4)),
    Limit("group", "lamps", "", "bert", D(5), D(50)),
    Limit("warehouse", "", "north", "carl", D(6)),
    Limit("product", "B", "", "", None, D(3)),
]
RULES = [
    # warehouse, article, group, the source's own -> minimum, owner, target, whose minimum
    ("north", "A", "lamps", D(3), Rule(D(1), "anna", D(9), "product")),
    ("south", "A", "lamps", D(3), Rule(D(2), "anna", D(9), "product")),
    ("south", "X", "lamps", D(3), Rule(D(3), "bert", D(50), "source")),
    ("north", "X", "lamps", None, Rule(D(4), "bert", D(50), "group")),
    ("south", "X", "lamps", None, Rule(D(5), "bert", D(50), "group")),
    ("north", "X", "", None, Rule(D(6), "carl", None, "warehouse")),
    ("south", "X", "", None, Rule(D(7), "dora", None, "usual")),
    ("south", "LAMP-7", "", None, Rule(D(5), "bert", D(50), "group")),
    ("south", "LAMP-7", "desks", None, Rule(D(7), "dora", None, "usual")),
    ("south", "B", "lamps", None, Rule(D(5), "bert", None, "group")),
]


@pytest.mark.parametrize(("warehouse", "sku", "group", "own", "expected"), RULES)
def test_the_nearest_threshold_counts(
    warehouse: str, sku: str, group: str, own: Decimal | None, expected: Rule
) -> None:
    rules = Rules(ALL, Usual(D(7), "dora", groups={"lamps": ["LAMP-*", "*-L"]}))
    assert rules.of(warehouse, sku, group, own) == expected


def test_what_was_asked_before_decides_nothing() -> None:
    rules = Rules(ALL, Usual(D(7), "dora", groups={"lamps": ["LAMP-*", "*-L"]}))
    for warehouse, sku, group, own, expected in [*RULES, *reversed(RULES)]:
        assert rules.of(warehouse, sku, group, own) == expected
    common = rules.of("south", "X", "lamps", None)
    rules.turn_to([Limit("product", "X", minimum=D(1), owner="emil")])
    assert rules.of("south", "X", "lamps", None) == Rule(D(1), "emil", D(50), "product")
    assert rules.of("south", "Y", "lamps", None) == common == Rule(D(5), "bert", D(50), "group")


@pytest.mark.parametrize(
    ("quantities", "safety", "needed", "free"),
    [
        (["5"], "0", "0", "5"),
        (["5", "2.5"], "1", "0.5", "6"),
        (["5", "-3"], "1", "0", "1"),
        (["5"], "4", "2", "0"),
        ([], "0", "0", "0"),
    ],
)
def test_what_may_be_sold(quantities: list[str], safety: str, needed: str, free: str) -> None:
    found = free_to_sell([Decimal(one) for one in quantities], Decimal(safety), Decimal(needed))
    assert found == Decimal(free)


def test_without_any_threshold_nothing_is_low() -> None:
    assert Rules([], Usual(owner="dora")).of("north", "A", "lamps", None) is None
    assert Rules([], Usual(reorder_points=False)).of("north", "A", "lamps", D(3)) is None
    assert Rules(ALL, Usual(reorder_points=False)).of("south", "X", "lamps", D(3)) == Rule(D(5), "bert", D(50), "group")


@pytest.mark.parametrize(
    ("quantity", "minimum", "is_open", "expected"),
    [
        ("5", "5", False, ""),
        ("4.99", "5", False, "open"),
        ("4", "5", True, "keep"),
        ("5", "5", True, "keep"),
        ("5.5", "5", True, "close"),
        ("0", "0", False, ""),
        ("-1", "0", False, "open"),
        ("0", "0", True, "close"),
        ("-11", "-10", False, "open"),
        ("-9.5", "-10", True, "keep"),
        ("-9", "-10", True, "close"),
    ],
)
def test_an_alert_opens_below_and_closes_above(quantity: str, minimum: str, is_open: bool, expected: str) -> None:
    assert verdict(D(quantity), Rule(D(minimum)), D("0.1"), is_open=is_open) == expected


NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=2)


@given(st.lists(NUMBERS, max_size=30), NUMBERS, st.decimals(min_value=0, max_value=3, places=1))
def test_whatever_the_levels_an_alert_is_open_below_and_closed_well_above(
    levels: list[Decimal], minimum: Decimal, hysteresis: Decimal
) -> None:
    """And between the two nothing changes."""
    is_open, rule = False, Rule(minimum)
    for level in levels:
        what, before = verdict(level, rule, hysteresis, is_open=is_open), is_open
        assert (what in {"open", ""}) == (not before)
        is_open = what in {"open", "keep"}
        if level < minimum:
            assert is_open
        elif level >= minimum + abs(minimum) * hysteresis:
            assert not is_open
        else:
            assert is_open == before


def test_where_the_threshold_is_gone_the_alert_is_over() -> None:
    assert verdict(D(1), None, D(0), is_open=True) == "close"
    assert verdict(D(1), None, D(0), is_open=False) == ""


@pytest.mark.parametrize(
    ("there", "ordered", "days", "expected"),
    [("10", "30", 30, 10), ("1", "3", 30, 10), ("0.5", "30", 30, 0), ("-3", "30", 30, 0), ("5", "0", 30, None)],
)
def test_days_of_cover(there: str, ordered: str, days: int, expected: int | None) -> None:
    assert days_of_cover(D(there), D(ordered), days) == expected


RISKS: list[tuple[str, list[Waiting], Risk]] = [
    ("4", [], Risk()),
    ("4", [Order("1", D(2)), Order("2", D(2))], Risk()),
    ("3", [Order("1", D(2)), Order("2", D(2))], Risk(("2",), (("EUR", D(100)),))),
    ("3", [Order("1", D(4)), Order("2", D(2))], Risk(("1",), (("EUR", D(100)),))),
    ("3", [Order("1", D(2)), Order("1", D(2)), Order("2", D(3))], Risk(("1",), (("EUR", D(100)),))),
    ("-1", [Order("1", D(1)), Order("2", D(1), D(5), "USD")], Risk(("1", "2"), (("EUR", D(100)), ("USD", D(5))))),
]


@pytest.mark.parametrize(("there", "orders", "expected"), RISKS)
def test_orders_at_risk(there: str, orders: list[Waiting], expected: Risk) -> None:
    assert at_risk(D(there), orders) == expected


LAMP = Item("LAMP-1", "Desk lamp", "WH", D(3), D(5), D(20), 2, 30, Risk(("a", "b"), (("EUR", D("1340.00")),)))


def test_every_language_has_every_sentence_with_its_places() -> None:
    def places(text: str) -> set[str]:
        return {part.partition("}")[0] for part in text.split("{")[1:]}

    for language, words in WORDS.items():
        assert words.keys() == WORDS["en"].keys(), language
        for name, text in words.items():
            assert places(text) == places(WORDS["en"][name]), (language, name)


def test_a_letter_in_the_readers_language_and_time() -> None:
    as_of = datetime(2026, 11, 22, 17, 30, tzinfo=ZoneInfo("Europe/Rome"))
    letter = stockletters.alert([LAMP], Style("it", "Anna", as_of))
    assert letter.subject == "Scorta bassa: LAMP-1 Desk lamp, ne restano 3"
    lines = [
        "disponibili: 3, soglia: 5",
        "da acquistare: 17 (fino a 20)",
        "basta per circa 2 giorni",
        "1.340,00",
        "CET",
    ]
    for line in ["Buongiorno Anna,", *lines]:
        assert line in letter.text, line
    assert stockletters.alert([LAMP], Style("de-XX")).subject.startswith("Bestand niedrig")
    assert stockletters.alert([LAMP], Style("xx")).subject == "Low stock: LAMP-1 Desk lamp, 3 left"


def test_what_a_source_calls_an_article_does_not_make_lines_of_a_letter() -> None:
    item = Item("A", "x\r\nBcc: all@example.com {count} \x1b[2J" + "y" * 500, "w\nv", D(1), D(5))
    letter = stockletters.alert([item], Style())
    assert "\n" not in letter.subject
    assert "\x1b" not in letter.text
    assert not any(line.startswith("Bcc") for line in letter.text.splitlines())
    assert "{count}" in letter.subject
    assert len(letter.subject) < 130


def test_a_digest_with_nothing_low_says_so() -> None:
    letter = stockletters.digest([], [], [Item("A", "Lamp", "", D(1), D(5), gone=True)], 2, Style())
    assert letter.subject == "Stock: 0 low, 0 of them new, 1 well again"
    for words in ("Nothing is low.", "A Lamp: not told by the source any more", "Put off: 2"):
        assert words in letter.text, words
