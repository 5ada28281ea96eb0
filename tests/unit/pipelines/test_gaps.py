"""Which order numbers are missing, and how they are written."""

from __future__ import annotations

import pytest

from connectors.roles import Numbering
from core.errors import ConfigurationProblem
from pipelines.gaps import JUMP, compact, expand, missing_among


def lost(*numbers: str, numbering: Numbering = "sequential") -> list[str]:
    return missing_among((number, numbering) for number in numbers)


def test_between_the_smallest_and_the_largest() -> None:
    assert lost("1016", "1018", "1021") == ["1017", "1019", "1020"]
    assert lost("1016", "1017") == []
    assert lost("1016") == []
    assert lost() == []


def test_each_series_by_itself() -> None:
    given = ("WEB-1", "WEB-3", "TEL-7", "TEL-8", "2026-0099", "2026-0101", "1/DE", "3/DE")
    assert lost(*given) == ["2/DE", "2026-0100", "WEB-2"]


def test_zeros_are_kept() -> None:
    assert lost("0098", "0101") == ["0099", "0100"]
    assert lost("0998", "1001") == ["0999", "1000"]


def test_a_jump_is_a_new_beginning() -> None:
    assert lost("1", str(1 + JUMP)) == [str(number) for number in range(2, 1 + JUMP)]
    assert lost("1", str(2 + JUMP)) == []
    assert lost("20260001", "20260003", "20270001", "20270003") == ["20260002", "20270002"]


@pytest.mark.parametrize("numbers", [("a", "c"), ("", "x"), ("9f3e", "9f5e"), ("٣", "٥")])
def test_what_cannot_be_counted_has_no_gaps(numbers: tuple[str, ...]) -> None:
    assert missing_among((number, "auto") for number in numbers) == []


def test_free_numbers_have_none() -> None:
    assert lost("1", "9", numbering="free") == []
    assert missing_among([("1", "sequential"), ("2", "free"), ("3", "sequential")]) == ["2"]


def test_what_looks_sequential() -> None:
    """At least half must be there, and five at all: random numbers and single ones prove nothing."""
    assert lost("1", "2", "4", numbering="auto") == []
    assert lost("1", "2", "4", "5", "6", numbering="auto") == ["3"]
    assert lost("1", "2", "9", "10", "11", numbering="auto") == []
    assert lost("10", "340", "520", "777", "901", "1400", numbering="auto") == []


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (["1017"], "1017"),
        (["1017", "1019", "1020", "1021"], "1017, 1019..1021"),
        (["WEB-0009", "WEB-0010"], "WEB-0009..WEB-0010"),
        (["A-9", "A-10", "B-11"], "A-9..A-10, B-11"),
        ([], ""),
    ],
)
def test_compact_and_back(numbers: list[str], text: str) -> None:
    assert compact(numbers) == text
    assert expand(text) == numbers


@pytest.mark.parametrize("text", ["1..x", "5..1", "A-1..B-3", "1..99999999", ".."])
def test_a_range_that_is_none(text: str) -> None:
    with pytest.raises(ConfigurationProblem, match="What to do"):
        expand(text)
