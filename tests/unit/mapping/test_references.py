"""Which words of a free text are taken for an order's number, and which are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.references import field_references, fold_reference, references, slip


@pytest.mark.parametrize(
    "text",
    [
        "Order 1017",
        "Web order #1017",
        "Müller GmbH, Bestellung 1017",
        "Bestellung Nr. 1017 vom 17.10.2026",
        "Bestellnr.1017",
        "WEB-1017",
        "Shop 1017 (Tel. 030 1234567)",
        "1017 Müller",
        "заказ №1017",
        "PO1017",
        "order no 1017: 5 chairs, 119,00 EUR",
        "1017, bitte schnell",
        "Order 1017.",
    ],
)
def test_named(text: str) -> None:
    assert "1017" in references(text)
    assert "101" not in references(text)


@pytest.mark.parametrize(
    "text",
    [
        "Order 10170",
        "Order 21017",
        "INV-1017",
        "RE1017",
        "A1017B",
        "1017-2",
        "1017/25",
        "Tel. 030 1017 22",
        "call +49 30 1017 2211",
        "Rückruf 030 1017-22",
        "030/1017 22 11",
        "phone: 1017 2233",
        "1017,00 EUR",
        "1017.50",
        "EUR 1017",
        "1017 €",
        "1017 x pens",
        "1017 pcs",
        "1017 Stück",
        "",
        "Müller",
    ],
)
def test_not_named(text: str) -> None:
    assert "1017" not in references(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Jahresbedarf 2025", False),
        ("Müller 2025", False),
        ("17.10.2025", False),
        ("2025-10-17", False),
        ("Order 2025", True),
        ("#2025", True),
        ("Bestellung Nr. 2025", True),
    ],
)
def test_a_year_counts_only_where_it_is_marked(text: str, named: bool) -> None:
    assert ("2025" in references(text)) is named


@pytest.mark.parametrize(("text", "named"), [("17 chairs", False), ("Order 17", True), ("#17", True)])
def test_so_does_a_very_short_number(text: str, named: bool) -> None:
    assert ("17" in references(text)) is named


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("4500 123 456", "4500123456"),
        ("4500 123 456", "4500 123 456"),
        ("PO-4500-77", "po-4500-77"),
        ("  #1017 ", "1017"),
        ("2025", "2025"),
        ("17", "17"),
        ("Web 1017", "1017"),
    ],
)
def test_a_field_for_a_number(text: str, wanted: str) -> None:
    assert wanted in field_references(text)


@pytest.mark.parametrize("text", ["", "by phone", "mündlich", "-", "#"])
def test_words_without_a_digit_name_nothing(text: str) -> None:
    assert field_references(text) == frozenset()
    assert fold_reference(text) == ""


@pytest.mark.parametrize(
    ("typed", "how"),
    [
        ("1017", ""),
        ("1018", "differs in one character"),
        ("1071", "has two characters swapped"),
        ("107", "has one character too few"),
        ("10117", "has one character too many"),
        ("1108", ""),
        ("7101", ""),
        ("10", ""),
        ("", ""),
    ],
)
def test_a_slip_of_the_fingers(typed: str, how: str) -> None:
    assert slip("1017", typed) == how


def test_short_numbers_are_too_near_to_each_other() -> None:
    assert slip("12", "13") == ""
    assert slip("123", "124") == ""


_NUMBER = st.text("0123456789", min_size=4, max_size=9)


@given(_NUMBER, st.integers(0, 8), st.sampled_from("0123456789"))
def test_every_single_slip_is_seen_both_ways(number: str, place: int, digit: str) -> None:
    place %= len(number)
    for typed in (
        number[:place] + digit + number[place + 1 :],
        number[:place] + digit + number[place:],
        number[:place] + number[place + 1 :],
    ):
        assert bool(slip(number, typed)) == bool(slip(typed, number)) == (typed != number and len(number + typed) > 6)


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for word in references(text) | field_references(text):
        assert any(letter.isdigit() or letter.isnumeric() for letter in word)
        assert fold_reference(word)


@given(
    _NUMBER.map("1".__add__),
    st.sampled_from(["Order {}", "Web order #{}", "Bestellung Nr. {}, Müller", "PO {}", "WEB-{}"]),
)
def test_a_marked_number_is_always_found(number: str, form: str) -> None:
    assert number in references(form.format(number))
