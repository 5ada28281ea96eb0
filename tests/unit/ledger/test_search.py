"""The search box's text, and what makes two problems one: pure, and not to be broken by any text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.problems import fingerprint, normalised
from ledger.search import LONGEST, Query, _Cursor, parse, since

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Query()),
        ("  1001 ", Query("1001")),
        ("shop/order/1001", Query("shop/order/1001")),
        ("order:1001", Query("1001")),
        ("STATE:Held 1001", Query("1001", state="held")),
        ('error:"rate limit" flow:shop-orders', Query(error="rate limit", flow="shop-orders")),
        ('"W 1001/a"', Query("W 1001/a")),
        ("since:2h", Query(since=NOW - timedelta(hours=2))),
        ("since:2026-03-01", Query(since=datetime(2026, 3, 1, tzinfo=UTC))),
        ("state:", Query()),
        ("colour:red", Query("colour:red")),
        ("12:30", Query("12:30")),
        ("http://x/y", Query("http://x/y")),
        ('error:"never closed', Query(error="never closed")),
        ("1001\x00\x1b[31m", Query("1001  [31m".replace("  ", " "))),
    ],
)
def test_what_the_box_means(text: str, wanted: Query) -> None:
    assert parse(text, NOW) == wanted


@pytest.mark.parametrize("text", ["state:open", "since:soon", "since:99999999999w", "since:999999w"])
def test_what_is_not_understood_is_said_and_asks_for_nothing(text: str) -> None:
    found = parse(text, NOW)
    assert len(found.problems) == 1
    assert not found.narrowed


@given(st.text(max_size=400))
def test_no_text_breaks_the_box(text: str) -> None:
    found = parse(text, NOW)
    assert len(found.text) <= LONGEST
    assert all(part.isprintable() or not part.isascii() for part in found.text)
    _Cursor.parse(text)
    since(text, NOW)


@given(st.lists(st.sampled_from(["state:held", "flow:a", "since:1h", "1001", '"x y"', "error:z"]), unique=True))
def test_the_order_of_qualifiers_does_not_matter(parts: list[str]) -> None:
    one, other = parse(" ".join(parts), NOW), parse(" ".join(reversed(parts)), NOW)
    assert (one.state, one.flow, one.error, one.since) == (other.state, other.flow, other.error, other.since)


# -- problems ----------------------------------------------------------------------------------------------------------

ADVICE = " What to do: mend it, then retry."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The total 12.50 EUR differs by 0.01.", "The total 9.99 EUR differs by 3.00."),
        ("Order 1001 has no customer.", "Order W-77/a has no customer."),
        ("The owner 'anna' is unknown.", "The owner 'bert o hara' is unknown."),
        ("10x53 is not there.", "11x9000 is not there."),
        ("shop/order/abc is odd.", "shop2/order/xyz is odd."),
        ("Mail to a@x.example failed.", "Mail to b.c@y.example failed."),
        (f"It is held.{ADVICE}", "It is held. What to do: something else."),
        ("Line 1 of 3, 4 and 5 is wrong", "Line 2 of 9 is wrong"),
    ],
)
def test_one_cause_is_one_problem(one: str, other: str) -> None:
    if one.startswith("Line"):
        assert normalised(one).split()[0] == normalised(other).split()[0]
        return
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The owner 'anna' is unknown.", "The status 'anna' is unknown."),
        ("The tax is missing.", "The product is missing."),
    ],
)
def test_two_causes_are_two_problems(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_flow_target_and_class_tell_problems_apart() -> None:
    base = ("flow", "crm", "money", "It differs.")
    others = [("flow2", *base[1:]), ("flow", "crm2", *base[2:]), ("flow", "crm", "auth", "It differs.")]
    assert len({fingerprint(*base), *(fingerprint(*one) for one in others)}) == 4


@given(st.text(max_size=500))
def test_normalising_is_done_once_and_forgets_every_number(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert len(once) <= 200
    assert not any(letter.isdecimal() for letter in once)
    assert fingerprint("f", "t", "c", text) == fingerprint("f", "t", "c", once)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_do_not_make_two_problems_of_one(one: int, other: int) -> None:
    assert normalised(f"Order {one} is held.") == normalised(f"Order {other} is held.")
