"""A rep's customers are handed over to another: at once, from a day on, and back again."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from mapping.canonical import ErpCustomer, Region, RepAssignment, SalesRep
from mapping.reps import Directory, concerned, resolve

DAY = date(2027, 2, 1)
BEFORE, AFTER = date(2027, 1, 31), date(2027, 6, 1)
REPS = tuple(SalesRep(key=Key("erp", "rep", code), name=f"Rep {code}") for code in ("R3", "R5", "R7", "R9"))


def over(old: str, new: str, first: date | None = DAY, rank: int = 0, subject_id: str = "1") -> RepAssignment:
    return RepAssignment.model_validate({
        "subject": "customer", "subject_id": subject_id, "rep": new, "instead_of": old, "first": first, "rank": rank,
    })  # fmt: skip


def customer(*reps: str) -> ErpCustomer:
    rows = tuple(
        RepAssignment(
            subject="customer", subject_id="1", rep=code, rank=rank, role="primary" if not rank else "service"
        )
        for rank, code in enumerate(reps)
    )
    return ErpCustomer(key=Key("erp", "customer", "1"), region="EAST", assignments=rows)


def codes(directory: Directory, who: ErpCustomer, day: date) -> list[tuple[str, str]]:
    return [(one.rep.code, one.role) for one in resolve(directory, who, day).reps]


def test_role_and_rank_stay_and_the_others_are_left_alone() -> None:
    directory = Directory(reps=REPS, assignments=(over("R7", "R9"),))
    who = customer("R7", "R3")
    assert codes(directory, who, BEFORE) == [("R7", "primary"), ("R3", "service")]
    assert codes(directory, who, DAY) == [("R9", "primary"), ("R3", "service")]
    assert resolve(directory, who, BEFORE).until == DAY
    served = resolve(directory, who, DAY).primary
    assert served is not None
    assert not served.stands_in
    assert "R9 took over from R7 on 2027-02-01" in served.why


def test_the_erp_gives_the_customer_to_somebody_else_and_that_counts() -> None:
    directory = Directory(reps=REPS, assignments=(over("R7", "R9"),))
    assert codes(directory, customer("R5"), AFTER) == [("R5", "primary")]


def test_of_itself_it_assigns_nobody() -> None:
    found = resolve(Directory(reps=REPS, assignments=(over("R7", "R9"),)), customer(), AFTER)
    assert found.reps == ()
    assert "customer 1: nobody is assigned." in found.passed


@pytest.mark.parametrize("days", [(DAY, AFTER), (DAY, DAY), (None, None)])
def test_there_and_back_again(days: tuple[date | None, date | None]) -> None:
    rows = [over("R7", "R9", days[0], 1), over("R9", "R7", days[1], 2)]
    for some in (rows, rows[::-1]):
        assert codes(Directory(reps=REPS, assignments=tuple(some)), customer("R7"), AFTER) == [("R7", "primary")]
    third = (*rows, over("R7", "R3", days[1], 3))
    assert codes(Directory(reps=REPS, assignments=third), customer("R7"), AFTER) == [("R3", "primary")]


def test_they_count_in_the_order_of_their_days() -> None:
    planned_first = (over("R7", "R9", date(2027, 3, 1), 1), over("R9", "R3", DAY, 2))
    assert codes(Directory(reps=REPS, assignments=planned_first), customer("R7"), AFTER) == [("R9", "primary")]


def test_who_serves_already_is_shown_once() -> None:
    directory = Directory(reps=REPS, assignments=(over("R7", "R9"),))
    assert codes(directory, customer("R7", "R9"), DAY) == [("R9", "primary"), ("R9", "service")]


def test_a_region_is_handed_over_for_itself_alone() -> None:
    rows = {
        name: (RepAssignment(subject="region", subject_id=name, rep="R7"),) for name in ("NORTH", "SOUTH")
    }  # both below EAST, which has nobody
    regions = (
        Region(key=Key("erp", "region", "EAST")),
        *(Region(key=Key("erp", "region", name), parent="EAST", assignments=found) for name, found in rows.items()),
    )
    given_over = RepAssignment(subject="region", subject_id="NORTH", rep="R9", instead_of="R7")
    directory = Directory(reps=REPS, regions=regions, assignments=(given_over,))
    assert codes(directory, customer(), DAY) == [("R7", "primary"), ("R9", "primary")]


def test_both_are_concerned() -> None:
    directory = Directory(reps=REPS, assignments=(over("R7", "R9"),))
    assert {("", "R7"), ("", "R9")} <= concerned(directory, customer("R7"))


CODES = st.sampled_from(["R3", "R5", "R7", "R9"])
ROWS = st.lists(
    st.builds(over, CODES, CODES, st.none() | st.dates(BEFORE, AFTER), st.integers(0, 3)), max_size=6
)  # fmt: skip


@given(ROWS, st.integers(0, 1000), st.dates(BEFORE, AFTER))
def test_it_does_not_matter_in_which_order_they_were_entered(rows: list[RepAssignment], seed: int, day: date) -> None:
    other = list(rows)
    random.Random(seed).shuffle(other)
    one, two = (
        resolve(Directory(reps=REPS, assignments=tuple(some)), customer("R7", "R3"), day) for some in (rows, other)
    )
    assert one == two
    assert all(served.rep in REPS for served in one.reps)
