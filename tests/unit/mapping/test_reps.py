"""Who serves a customer: the table of cases, and what holds for any directory in any order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.keys import Key
from mapping.canonical import Absence, Agency, ErpCustomer, Region, RepAssignment, SalesRep, ShipTo, Subject
from mapping.reps import Directory, concerned, for_order, resolve

DAY = date(2026, 11, 22)


def rep(code: str, **over: Any) -> SalesRep:
    return SalesRep(key=Key("erp", "rep", code), name=f"Rep {code}", **over)


def serves(code: str, customer: str = "10017", **over: Any) -> RepAssignment:
    return RepAssignment(**{"subject": "customer", "subject_id": customer, "rep": code, **over})


def region(id: str, *codes: str, parent: str = "") -> Region:
    found = tuple(RepAssignment(subject="region", subject_id=id, rep=code) for code in codes)
    return Region(key=Key("erp", "region", id), parent=parent, assignments=found)


def customer(*assignments: RepAssignment, **over: Any) -> ErpCustomer:
    return ErpCustomer(key=Key("erp", "customer", "10017"), name="Office Ltd", assignments=assignments, **over)


EVERYBODY = tuple(rep(code) for code in ("R1", "R2", "R3", "R4", "T1"))
TEAM = (RepAssignment(subject="team", rep="T1", role="team"),)


def away(code: str, deputy: str = "", first: date = DAY, last: date | None = DAY) -> Absence:
    return Absence(rep=code, first=first, last=last, deputy=deputy)


def left(*codes: str) -> tuple[SalesRep, ...]:
    return tuple(one.model_copy(update={"active": one.code not in codes}) for one in EVERYBODY)


CASES: Sequence[tuple[str, dict[str, Any], ErpCustomer, str, list[str]]] = [
    ("the customer's own", {}, customer(serves("R1")), "", ["R1"]),
    ("several, by rank", {}, customer(serves("R2", rank=2), serves("R1", rank=1)), "", ["R1", "R2"]),
    (
        "the primary before the service",
        {},
        customer(serves("R1", role="service"), serves("R2", rank=9)),
        "",
        ["R2", "R1"],
    ),
    ("twice the same agent", {}, customer(serves("R1", rank=1), serves("R1", rank=2)), "", ["R1"]),
    ("not yet", {}, customer(serves("R1", first=DAY + timedelta(1))), "", ["T1"]),
    ("on its first day", {}, customer(serves("R1", first=DAY, last=DAY)), "", ["R1"]),
    ("not any more", {}, customer(serves("R1", last=DAY - timedelta(1))), "", ["T1"]),
    ("ends before it begins", {}, customer(serves("R1", first=DAY, last=DAY - timedelta(1))), "", ["T1"]),
    (
        "the ship-to's own",
        {},
        customer(serves("R1"), serves("R2", "7", subject="ship_to"), ship_tos=(ShipTo(number="7"),)),
        "7",
        ["R2"],
    ),
    (
        "another ship-to's",
        {},
        customer(serves("R1"), serves("R2", "7", subject="ship_to"), ship_tos=(ShipTo(number="8"),)),
        "8",
        ["R1"],
    ),
    ("the region's", {"regions": (region("EAST", "R3"),)}, customer(region="EAST"), "", ["R3"]),
    (
        "the ship-to's region",
        {"regions": (region("EAST", "R3"), region("WEST", "R4"))},
        customer(region="EAST", ship_tos=(ShipTo(number="7", region="WEST"),)),
        "7",
        ["R4"],
    ),
    (
        "of the regions below",
        {"regions": (region("EAST"), region("E1", "R1", parent="EAST"), region("E2", "R2", parent="EAST"))},
        customer(region="EAST"),
        "",
        ["R1", "R2"],
    ),
    (
        "of the region above",
        {"regions": (region("ALL", "R3"), region("EAST", parent="ALL"))},
        customer(region="EAST"),
        "",
        ["R3"],
    ),
    (
        "regions in a ring",
        {"regions": (region("A", parent="B"), region("B", parent="A"))},
        customer(region="A"),
        "",
        ["T1"],
    ),
    ("an unknown region", {}, customer(region="NOWHERE"), "", ["T1"]),
    ("away, with a deputy", {"absences": (away("R1", "R2"),)}, customer(serves("R1")), "", ["R2"]),
    (
        "away yesterday",
        {"absences": (away("R1", "R2", DAY - timedelta(9), DAY - timedelta(1)),)},
        customer(serves("R1")),
        "",
        ["R1"],
    ),
    (
        "away, the deputy too",
        {"absences": (away("R1", "R2"), away("R2", "R3"))},
        customer(serves("R1")),
        "",
        ["R3"],
    ),
    (
        "two stand in for each other",
        {"absences": (away("R1", "R2"), away("R2", "R1"))},
        customer(serves("R1")),
        "",
        ["T1"],
    ),
    (
        "away without a deputy, a colleague is there",
        {"absences": (away("R1"),)},
        customer(serves("R1"), serves("R2", rank=1)),
        "",
        ["R2"],
    ),
    (
        "the colleague stands in as well: shown once",
        {"absences": (away("R1", "R2"),)},
        customer(serves("R1"), serves("R2", rank=1)),
        "",
        ["R2"],
    ),
    ("left", {"reps": left("R1")}, customer(serves("R1")), "", ["T1"]),
    (
        "left, with a deputy",
        {"reps": left("R1"), "absences": (away("R1", "R4", last=None),)},
        customer(serves("R1")),
        "",
        ["R4"],
    ),
    ("a code of nobody", {}, customer(serves("X9"), serves("R2", rank=1)), "", ["R2"]),
    ("entered by hand", {"assignments": (*TEAM, serves("R4"))}, customer(), "", ["R4"]),
    ("nobody at all", {"assignments": ()}, customer(), "", []),
]


@pytest.mark.parametrize(
    ("over", "who", "ship_to", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_who_serves(over: dict[str, Any], who: ErpCustomer, ship_to: str, expected: list[str]) -> None:
    directory = Directory(**{"reps": EVERYBODY, "assignments": TEAM, **over})
    found = resolve(directory, who, DAY, ship_to)
    assert [one.rep.code for one in found.reps] == expected
    assert all(one.why.endswith(".") and one.code in one.why for one in found.reps)
    if not found.reps:
        assert found.passed


def test_every_result_says_why() -> None:
    directory = Directory(reps=EVERYBODY, absences=(away("R1", "R2"),), assignments=TEAM)
    assert resolve(directory, customer(serves("R1")), DAY).reps[0].why == (
        "R1 is primary of customer 10017; R1 is away, R2 stands in."
    )
    found = resolve(directory, customer(serves("X9")), DAY)
    assert found.unknown == ("X9",)
    assert found.passed == ("customer 10017: X9 is the code of nobody.",)
    assert found.reps[0].why == "T1 is team of the team."


def test_one_code_in_two_agencies() -> None:
    directory = Directory(
        reps=(rep("R1", agency="north"), rep("R1", agency="south")),
        agencies=(Agency(code="north"), Agency(code="south")),
    )
    assert resolve(directory, customer(serves("R1", agency="south")), DAY).reps[0].rep.agency == "south"
    assert resolve(directory, customer(serves("R1")), DAY).unknown == ("R1",)


def test_the_rep_of_an_order() -> None:
    directory = Directory(reps=left("R3"), assignments=TEAM)
    who = customer(serves("R1"))
    placed = for_order(directory, who, DAY, placed_by="R2")
    assert placed is not None
    assert (placed.rep.code, placed.why) == ("R2", "R2 placed the order.")
    gone = for_order(directory, who, DAY, placed_by="R3")
    assert gone is not None
    assert gone.rep.code == "R1"
    assert for_order(Directory(), who, DAY) is None


# ---- for any directory -----------------------------------------------------------------------------------------------

CODES = st.sampled_from(["R1", "R2", "R3"])
DAYS = st.integers(0, 9).map(lambda number: date(2026, 11, 1) + timedelta(number))
MAYBE = st.none() | DAYS
REGIONS = st.sampled_from(["A", "B", "C", "D"])
AGENCIES = st.sampled_from(["", "", "", "north"])


@st.composite
def assignments(draw: st.DrawFn) -> RepAssignment:
    subject: Subject = draw(st.sampled_from(["ship_to", "customer", "region", "team"]))
    ids = {"ship_to": st.sampled_from(["7", "8"]), "customer": st.just("10017"), "region": REGIONS, "team": st.just("")}
    return RepAssignment(
        subject=subject,
        subject_id=draw(ids[subject]),
        rep=draw(CODES),
        agency=draw(AGENCIES),
        role=draw(st.sampled_from(["primary", "service"])),
        rank=draw(st.integers(0, 2)),
        first=draw(MAYBE),
        last=draw(MAYBE),
    )


ABSENCES = st.builds(Absence, rep=CODES, agency=AGENCIES, first=DAYS, last=MAYBE, deputy=CODES | st.just(""))
WORLDS = st.tuples(
    st.lists(assignments(), max_size=8),
    st.lists(ABSENCES, max_size=5),
    st.lists(st.tuples(REGIONS, REGIONS | st.just("")), max_size=4, unique_by=lambda pair: pair[0]),
    st.sets(st.tuples(CODES, AGENCIES, st.sampled_from([True, True, True, False])), min_size=2, max_size=5),
    REGIONS | st.just(""),
)
World = tuple[list[RepAssignment], list[Absence], list[tuple[str, str]], set[tuple[str, str, bool]], str]


def built(world: World, order: Any = None) -> tuple[Directory, ErpCustomer]:
    """The world with everything in the order that `order` (a random.Random) shuffles it to."""
    given_, absences, parents, people, home = world
    reps = {(agency, code): rep(code, agency=agency, active=active) for code, agency, active in sorted(people)}
    found, away_, tree, everybody = list(given_), list(absences), list(parents), list(reps.values())
    if order is not None:
        for one in (found, away_, tree, everybody):
            order.shuffle(one)
    own = [one for one in found if one.subject in {"customer", "ship_to"}]
    regions = tuple(
        Region(
            key=Key("erp", "region", id),
            parent=parent,
            assignments=tuple(one for one in found if one.subject == "region" and one.subject_id == id),
        )
        for id, parent in tree
    )
    directory = Directory(
        reps=tuple(everybody),
        absences=tuple(away_),
        regions=regions,
        assignments=tuple(one for one in found if one.subject == "team"),
    )
    return directory, customer(*own, region=home, ship_tos=(ShipTo(number="7", region=home), ShipTo(number="8")))


@settings(max_examples=300)
@given(WORLDS, st.sampled_from(["", "7", "8"]), DAYS, st.randoms(use_true_random=False))
def test_the_order_in_which_it_was_learnt_does_not_matter(world: World, ship_to: str, day: date, order: Any) -> None:
    assert resolve(*built(world), day, ship_to) == resolve(*built(world, order), day, ship_to)


@settings(max_examples=300)
@given(WORLDS, st.sampled_from(["", "7", "8"]), DAYS)
def test_the_answer_stays_until_it_says(world: World, ship_to: str, day: date) -> None:
    directory, who = built(world)
    found = resolve(directory, who, day, ship_to)
    assert found.until is None or found.until > day
    for later in (day + timedelta(number) for number in range(1, 15)):
        if found.until is not None and later >= found.until:
            break
        assert resolve(directory, who, later, ship_to).reps == found.reps, later


@settings(max_examples=300)
@given(WORLDS, st.sampled_from(["", "7", "8"]), DAYS)
def test_who_serves_is_there_and_concerned(world: World, ship_to: str, day: date) -> None:
    directory, who = built(world)
    found = resolve(directory, who, day, ship_to)
    for one in found.reps:
        assert one.rep.active
        assert not [absence for absence in directory.absences_of(one.rep) if absence.covers(day)]
        assert (one.rep.agency, one.rep.code) in concerned(directory, who)
    levels = {one.level for one in found.reps}
    assert len(levels) <= 1
