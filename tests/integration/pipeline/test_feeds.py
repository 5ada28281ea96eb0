"""Files that an ERP drops, on their way into the ledger: in sequence, only what changed, nothing half, nothing lost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.feed import FileErp
from core.clock import Clock
from core.errors import ConfigurationProblem, LeaseLost, RetryLater
from core.keys import Change, Key
from ledger import Ledger
from ledger import tables as t
from ledger.feeds import Counts, FeedFile, Staged
from ledger.inbox import Route
from pipelines import feedfile, feeds
from pipelines.feedfile import Means
from pipelines.feeds import Round
from pipelines.feedturns import named
from tests.drops import Drops, customer, rep
from tests.integration.ledger import kit


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kit.migrated(request, tmp_path)


class Place:
    """A folder, an ERP that drops files there, and the ledger they go into."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.drops = Drops(folder)
        self.erp: FileErp = self.drops.erp()
        self.batches: list[int] = []

    def settings(self, **more: Any) -> None:
        self.erp = self.drops.erp(**more)

    def accept(self, changes: Sequence[Change]) -> None:
        self.batches.append(len(changes))
        self.ledger.inbox.accept(changes, lambda _key: [Route("reps", "", "sync")], via="poll", fetchable=False)

    def look(
        self, accept: Callable[[Sequence[Change]], object] | None = None, stopping: Callable[[], bool] = feeds.never
    ) -> Round:
        one = Round(Means(self.ledger, self.erp, accept or self.accept, stopping))
        one.go()
        return one

    def full(self, numbers: Sequence[int] = range(20), **more: str) -> str:
        return self.drops.drop("KS_CUSTOMERS", [customer(n, **more) for n in numbers], "FULL")

    def net(self, *rows: dict[str, str] | str) -> str:
        return self.drops.drop("KS_CUSTOMERS", list(rows))

    def file(self, name: str) -> FeedFile:
        found = self.ledger.feeds.file("erp", name)
        assert found is not None
        return found

    def decide(self, name: str, state: str) -> None:
        assert self.ledger.feeds.decide(self.file(name), state, by="Anna")  # type: ignore[arg-type]

    def customers(self) -> dict[str, str]:
        """Whom the ledger holds for there, with the digest of the newest state."""
        found = {}
        for row in self.ledger.db.rows(sa.select(t.record).where(t.record.c.kind == "customer")):
            if not row.deleted:
                mapped = self.erp.customer(Key("erp", "customer", row.record_id), row.raw)
                found[row.record_id] = ",".join(one.rep for one in mapped.assignments)
        return found

    def rows(self) -> set[str]:
        return {row.key for row in self.ledger.db.rows(sa.select(t.feed_row.c.key))}

    def alerts(self, cause: str = "feed/erp") -> list[str]:
        return [alert.message for alert in self.ledger.alerts.opened(cause)]

    def woken(self) -> int:
        """Jobs that are wanted anew since this was asked."""
        rows = self.ledger.db.rows(sa.select(sa.func.sum(t.job.c.wanted)))
        total = int(rows[0][0] or 0)
        before, self._wanted = getattr(self, "_wanted", 0), total
        return total - before


@pytest.fixture
def place(ledger: Ledger, tmp_path: Path) -> Place:
    return Place(ledger, tmp_path / "drop")


# -- what changed ------------------------------------------------------------------------------------------------------


def test_only_what_changed_wakes_jobs(place: Place) -> None:
    first = place.full()
    assert place.look().carried == 20
    assert place.woken() == 20
    again = place.full()
    assert place.look().carried == 0
    assert place.woken() == 0
    rows = [customer(n, reps="R9" if n == 3 else "R1") for n in range(1, 21)]
    third = place.drops.drop("KS_CUSTOMERS", rows, "FULL")
    assert place.look().carried == 3
    assert place.woken() == 3
    assert place.file(first).counts == Counts(20, added=20)
    assert place.file(again).counts == Counts(20, same=20)
    assert place.file(third).counts == Counts(20, same=18, changed=1, added=1, removed=1)
    assert place.file(third).message == "20 rows: 1 new, 1 other, 1 gone, 18 as before."
    there = place.customers()
    assert set(there) == place.rows() == {f"C{n}" for n in range(1, 21)}
    assert there["C3"] == "R9"


def test_a_net_brings_what_is_new_and_other_and_removes_nothing(place: Place) -> None:
    place.full()
    place.look()
    net = place.net(customer(3, reps="R9"), customer(50), customer(4))
    place.look()
    assert place.file(net).counts == Counts(3, same=1, changed=1, added=1)
    assert len(place.customers()) == 21


def test_a_net_that_deletes(place: Place) -> None:
    place.full(range(3))
    net = place.net(customer(1, deleted="d"), customer(77, deleted="DELETE"))
    place.look()
    assert set(place.customers()) == place.rows() == {"C0", "C2"}
    assert place.file(net).counts == Counts(2, same=1, removed=1)
    back = place.net(customer(1))
    place.look()
    assert place.file(back).counts == Counts(1, added=1)
    assert set(place.customers()) == {"C0", "C1", "C2"}


def test_of_a_customer_who_stands_twice_in_a_net_the_last_row_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.feed.rows.PART", 2)
    place.full(range(6))
    place.look()
    rows = [customer(1, reps="R5"), customer(2, reps="R5"), customer(1, reps="R6"), customer(2), customer(3, deleted="D"),
            customer(3, reps="R8"), customer(4, reps="R5"), customer(4, deleted="D")]  # fmt: skip
    net = place.net(*rows)
    place.look()
    assert place.customers() == {"C0": "R1", "C1": "R6", "C2": "R1", "C3": "R8", "C5": "R1"}
    assert place.file(net).state == "done"
    assert place.look().carried == 0
    assert place.rows() == {"C0", "C1", "C2", "C3", "C5"}


def test_of_a_customer_who_stands_twice_in_a_full_the_first_row_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.feed.rows.PART", 3)
    place.settings(bad=0.5)
    place.full(range(5))
    place.look()
    rows = [customer(n) for n in (0, 1, 0, 2, 3, 4, 9, 8, 9, 1)]
    rows[2]["reps"] = rows[8]["reps"] = "R9"
    full = place.drops.drop("KS_CUSTOMERS", rows, "FULL")
    place.look()
    assert place.customers() == {f"C{n}": "R1" for n in (0, 1, 2, 3, 4, 8, 9)}
    assert [(one.line, one.key) for one in place.ledger.feeds.bad(place.file(full))] == [
        (3, "C0"),
        (9, "C9"),
        (10, "C1"),
    ]


def test_bad_rows_are_listed_and_the_good_ones_go_on(place: Place) -> None:
    place.full()
    place.look()
    net = place.net(
        *[customer(n, reps="R2") for n in range(18)], "C18\tone\ttab\ttoo\tmany" + "\t" * 20, customer(19, reps="R2")
    )
    place.look()
    file = place.file(net)
    assert file.state == "done"
    assert file.counts == Counts(20, changed=19, bad=1)
    ((line, key, reason),) = [(one.line, one.key, one.reason) for one in place.ledger.feeds.bad(file)]
    assert (line, key) == (19, "C18")
    assert "25 columns instead of 23" in reason
    assert place.customers()["C18"] == "R1"
    (told,) = place.alerts("feed-rows/erp")
    assert f"`orderwire feed bad {net}`" in told
    place.net(customer(18, reps="R2"))
    place.look()
    assert place.alerts("feed-rows/erp") == []


def test_a_bad_row_is_not_a_customer_who_is_gone(place: Place) -> None:
    place.full()
    place.look()
    rows: list[dict[str, str] | str] = [customer(n) for n in range(18)]
    full = place.drops.drop("KS_CUSTOMERS", [*rows, "C18\tcut off"], "FULL")
    place.look()
    assert place.file(full).counts == Counts(19, same=18, removed=1, bad=1)
    assert set(place.customers()) == {f"C{n}" for n in range(19)}


def test_where_a_bad_row_names_nobody_nobody_is_gone(place: Place) -> None:
    place.full()
    place.look()
    rows: list[dict[str, str] | str] = [customer(n) for n in range(19)]
    full = place.drops.drop("KS_CUSTOMERS", [*rows, "\t" * 22], "FULL")
    place.look()
    assert place.file(full).counts.removed == 0
    assert "Nothing was removed" in place.file(full).message
    assert len(place.customers()) == 20


def test_a_file_of_bad_rows_waits_for_a_person(place: Place) -> None:
    place.full()
    place.look()
    net = place.net("C1\tx", "C2\tx", "C3\tx")
    place.net(customer(5, reps="R7"))
    place.look()
    assert place.file(net).state == "held"
    assert "3 of 3 rows" in place.file(net).message
    assert "The file has 2 columns, 23 are needed." in place.file(net).message
    assert place.alerts() == [place.file(net).message]
    assert place.customers()["C5"] == "R1"
    place.decide(net, "refused")
    place.look()
    assert place.alerts() == []
    assert place.customers()["C5"] == "R7"


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16"])
def test_another_encoding_is_no_change(place: Place, encoding: str) -> None:
    rows = [customer(n, name="Müller & Söhne") for n in range(5)]
    place.drops.drop("KS_CUSTOMERS", rows, "FULL")
    place.look()
    place.drops.drop("KS_CUSTOMERS", rows, "FULL", encoding=encoding)
    assert place.look().carried == 0


def test_reps_and_regions_travel_too(place: Place) -> None:
    place.drops.drop("KS_REGIONS", [{"id": "N", "name": "North", "reps": "R1"}], "FULL")
    place.drops.drop("KS_CONTACTS", [rep("R1"), rep("X", company="C9")], "FULL")
    place.drops.drop("KS_ORDERS", ["1\t2"], "NET")
    orders = f"{place.drops.source}_0000003_KS_ORDERS.NET"
    place.look()
    kinds = {row.kind for row in place.ledger.db.rows(sa.select(t.job.c.kind))}
    assert kinds == {"region", "rep"}
    assert place.file(orders).state == "skipped"
    assert place.file("DT_0000002_KS_CONTACTS.FULL").counts == Counts(2, same=1, added=1)


# -- sequence ----------------------------------------------------------------------------------------------------------


def test_a_gap_stops(place: Place) -> None:
    place.full()
    place.look()
    missing = "DT_0000002_KS_CUSTOMERS.NET"
    place.drops.number = 2
    third = place.net(customer(1, reps="R3"))
    fourth = place.net(customer(1, reps="R4"))
    place.look()
    assert place.customers()["C1"] == "R1"
    (told,) = place.alerts()
    assert told.startswith(f"Number 0000002 is missing: {third} waits for it, and all behind it. What to do: ")
    assert "`orderwire feed skip erp 2`" in told
    place.drops.drop("KS_CUSTOMERS", [customer(1, reps="R2"), customer(2, reps="R2")], number=2)
    place.look()
    assert place.alerts() == []
    assert (place.customers()["C1"], place.customers()["C2"]) == ("R4", "R2")
    assert [place.file(name).state for name in (missing, third, fourth)] == ["done"] * 3


def test_a_number_that_never_comes_is_passed_over_by_a_person(place: Place) -> None:
    place.full()
    place.look()
    place.drops.number = 3
    fourth = place.net(customer(1, reps="R4"))
    place.look()
    for number in (1, 3, 4):
        with pytest.raises(ConfigurationProblem, match="Only the number that is next can be passed over; it is 2"):
            feeds.skip(place.ledger, place.erp, number, by="Anna")
    feeds.skip(place.ledger, place.erp, 2, by="Anna")
    with pytest.raises(ConfigurationProblem, match="it is 3"):
        feeds.skip(place.ledger, place.erp, 4, by="Anna")
    feeds.skip(place.ledger, place.erp, 3, by="Anna")
    with pytest.raises(ConfigurationProblem, match="lies there"):
        feeds.skip(place.ledger, place.erp, 4, by="Anna")
    place.look()
    assert place.file(fourth).state == "done"
    assert [(note.actor, note.facts["sequence"]) for note in place.ledger.audit.list(action="feed.skip")] == [
        ("Anna", 3),
        ("Anna", 2),
    ]
    late = place.drops.drop("KS_CUSTOMERS", [customer(1, reps="R2")], number=2)
    place.look()
    assert place.file(late).state == "skipped"
    assert "It came when files behind it had been read" in place.file(late).message
    assert place.customers()["C1"] == "R4"


def test_it_begins_where_it_is_told(place: Place) -> None:
    place.settings(first=3)
    for n in range(1, 5):
        place.net(customer(1, reps=f"R{n}"), customer(n + 10))
    place.look()
    assert set(place.customers()) == {"C1", "C13", "C14"}
    assert len(place.ledger.feeds.files("erp")) == 2
    place.settings(first=9)
    assert place.look().stops == []


def test_it_begins_with_the_lowest_that_is_there(place: Place) -> None:
    place.drops.number = 41
    place.net(customer(1))
    place.look()
    assert set(place.customers()) == {"C1"}


def test_numbers_for_each_kind(place: Place) -> None:
    place.settings(numbering="series")
    for number in (1, 2):
        place.drops.drop("KS_CUSTOMERS", [customer(number)], number=number)
        place.drops.drop("KS_CONTACTS", [rep(f"R{number}")], number=number)
    place.drops.drop("KS_CONTACTS", [rep("R9")], number=4)
    place.drops.drop("KS_CUSTOMERS", [customer(3)], number=3)
    one = place.look()
    assert set(place.customers()) == {"C1", "C2", "C3"}
    assert len(one.stops) == 1
    assert one.stops[0].startswith("Number 0000003 of KS_CONTACTS is missing")
    with pytest.raises(ConfigurationProblem, match="--series"):
        feeds.skip(place.ledger, place.erp, 3, by="Anna")
    feeds.skip(place.ledger, place.erp, 3, series="KS_CONTACTS", by="Anna")
    assert place.look().stops == []


def test_a_file_without_a_number_is_read_when_it_is_another(place: Place) -> None:
    columns = {"number": "No", "reps": "Reps"}
    place.settings(columns={}, files=[{"name": "customers.csv", "kind": "customer", "columns": columns}])
    for age, reps, carried in ((300, "R1", 2), (300, "R1", 0), (200, "R1", 0), (100, "R2", 2)):
        place.drops.put("customers.csv", f"No,Reps\n1,{reps}\n2,{reps}\n".encode(), age=age)
        assert place.look().carried == carried
    found = [file for file in place.ledger.feeds.files("erp") if file.file.name == "customers.csv"]
    assert [file.file.sequence for file in found][-1] == 1
    assert len(found) == 3 + (found[-2].file.modified != found[-1].file.modified and len(found) == 4)


def test_what_lies_behind_a_waiting_file_waits(place: Place) -> None:
    place.full()
    place.look()
    place.drops.drop("KS_CUSTOMERS", [customer(1, reps="R2")], age=0)
    place.net(customer(1, reps="R3"))
    one = place.look()
    assert (one.carried, one.stops) == (0, [])


# -- half-written ------------------------------------------------------------------------------------------------------


def test_a_file_without_its_end_waits_and_then_a_person_is_asked(place: Place) -> None:
    place.full()
    place.look()
    name = place.net(customer(1, reps="R2"), customer(2, reps="R2"))
    whole = (place.drops.folder / name).read_bytes()
    place.drops.put(name, whole[:-9], age=60)
    one = place.look()
    assert (one.carried, one.stops) == (0, [])
    assert "It waits. Its last line has no line ending" in place.file(name).message
    place.drops.put(name, whole[:-9], age=1000)
    assert place.look().carried == 0
    assert place.file(name).state == "held"
    assert "is not whole" in place.alerts()[0]
    place.drops.put(name, whole, age=60)
    place.look()
    assert place.file(name).state == "done"
    assert place.alerts() == []
    assert (place.customers()["C1"], place.customers()["C2"]) == ("R2", "R2")


def test_a_person_may_say_that_it_is_complete(place: Place) -> None:
    place.full()
    name = place.net(customer(1, reps="R2"), customer(2, reps="R2"))
    place.drops.put(name, (place.drops.folder / name).read_bytes()[:-2], age=1000)
    place.look()
    place.decide(name, "accepted")
    place.look()
    assert place.file(name).state == "done"
    assert place.customers()["C2"] == "R2"
    assert [(note.action, note.actor) for note in place.ledger.audit.list(subject="feed/erp")] == [
        ("feed.accepted", "Anna")
    ]


# -- a FULL that shrank ------------------------------------------------------------------------------------------------


def test_a_full_that_shrank_is_held(place: Place) -> None:
    place.full()
    place.look()
    name = place.full(range(17), reps="R2")
    behind = place.net(customer(1, reps="R3"))
    place.look()
    file = place.file(name)
    assert file.state == "held"
    assert f"{name} has 3 of the 20 records no more, over 10%" in file.message
    assert f"`orderwire feed accept {name}`" in file.message
    assert place.alerts() == [file.message]
    assert set(place.customers().values()) == {"R1"}
    assert place.ledger.db.rows(sa.select(sa.func.count()).select_from(t.feed_stage))[0][0] == 0
    assert place.look().carried == 0
    place.decide(name, "accepted")
    assert place.look().carried == 21
    assert len(place.customers()) == 17
    assert place.customers()["C1"] == "R3"
    assert place.file(behind).state == "done"
    assert place.alerts() == []


def test_a_tenth_is_not_held(place: Place) -> None:
    place.full()
    name = place.full(range(18))
    place.look()
    assert place.file(name).state == "done"
    assert len(place.customers()) == 18


@pytest.mark.parametrize("rows", [[], ["\ufeff"]])
def test_an_empty_full_is_held(place: Place, rows: list[dict[str, str] | str]) -> None:
    place.full()
    place.look()
    name = place.drops.drop("KS_CUSTOMERS", rows, "FULL")
    place.look()
    assert place.file(name).state == "held"
    assert len(place.customers()) == 20


def test_the_word_of_a_person_is_for_the_file_as_it_was(place: Place) -> None:
    place.full()
    name = place.full(range(15))
    place.look()
    place.decide(name, "accepted")
    place.drops.drop("KS_CUSTOMERS", [customer(1)], "FULL", number=2, age=100)
    place.look()
    assert place.file(name).state == "held"
    assert "19 of the 20" in place.file(name).message
    assert len(place.customers()) == 20


def test_a_full_that_is_refused_is_passed_over(place: Place) -> None:
    place.full()
    name = place.full(range(5))
    place.look()
    held = place.file(name)
    place.decide(name, "refused")
    assert not place.ledger.feeds.decide(held, "accepted", by="Ben")
    place.net(customer(1, reps="R3"))
    place.look()
    assert len(place.customers()) == 20
    assert place.customers()["C1"] == "R3"


# -- what is interrupted -----------------------------------------------------------------------------------------------


class Broken(Exception):
    pass


@pytest.mark.parametrize("at", range(1, 34))
def test_what_is_interrupted_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The process dies at each of its steps in turn."""
    monkeypatch.setattr("connectors.feed.rows.PART", 4)
    monkeypatch.setattr(feedfile, "CHUNK", 3)
    place.full()
    place.look()
    place.woken()
    name = place.drops.drop("KS_CUSTOMERS", [customer(n, reps="R2" if n < 8 else "R1") for n in range(1, 22)], "FULL")
    steps = itertools.count(1)

    def dying(work: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **more: object) -> object:
            if next(steps) == at:
                raise Broken
            found = work(*args, **more)
            if next(steps) == at:
                raise Broken
            return found

        return step

    with monkeypatch.context() as dies:
        for method in ("stage", "settle", "note"):
            dies.setattr(place.ledger.feeds, method, dying(getattr(place.ledger.feeds, method)))
        with pytest.raises(Broken):
            place.look(dying(place.accept))
    place.look()
    assert place.file(name).state == "done"
    assert place.file(name).counts == Counts(21, same=12, changed=7, added=2, removed=1)
    assert place.customers() == {f"C{n}": "R2" if n < 8 else "R1" for n in range(1, 22)}
    assert place.rows() == set(place.customers())
    assert place.woken() == 10  # each job once


def test_what_was_staged_goes_on_without_its_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedfile, "CHUNK", 3)
    name = place.full()
    stop = itertools.count()
    place.look(stopping=lambda: next(stop) >= 3)
    assert place.file(name).state == "switching"
    assert 0 < len(place.customers()) < 20
    (place.drops.folder / name).unlink()
    place.look()
    assert place.file(name).state == "done"
    assert len(place.customers()) == 20


def test_a_process_that_ends_leaves_off_between_two_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.feed.rows.PART", 2)
    name = place.full()
    one = place.look(stopping=lambda: True)
    assert (one.carried, place.file(name).state) == (0, "reading")
    assert place.look().carried == 20


def test_a_second_reader_puts_the_first_out(place: Place, open_ledger: Callable[..., Ledger]) -> None:
    name = place.full()
    (dropped,) = place.erp.dropped()
    work = place.ledger.feeds.begin("erp", named(dropped, 1))
    other = open_ledger()
    other.feeds.begin("erp", named(dropped, 1))
    for write in (
        lambda: place.ledger.feeds.stage(work, [Staged(1, "C1", b"x" * 16, b"{}")]),
        lambda: place.ledger.feeds.settle(work, [Staged(1, "C1", b"x" * 16, b"{}")]),
        lambda: place.ledger.feeds.note(work, "done"),
    ):
        with pytest.raises(LeaseLost, match=name):
            write()
    assert place.rows() == set()


def test_intake_goes_on_between_small_parts(place: Place) -> None:
    """No transaction of the switch is larger than a chunk."""
    place.full(range(950))
    place.look()
    assert max(place.batches) <= feedfile.CHUNK
    assert sum(place.batches) == 950


def test_a_place_that_is_away_is_said_and_nothing_else_happens(place: Place) -> None:
    place.full()
    place.settings(folder=str(place.drops.folder / "away"))
    with pytest.raises(RetryLater, match="cannot be read"):
        place.look()
    assert place.ledger.feeds.files("erp") == []


def test_only_a_feed_is_read_as_one() -> None:
    class NoFeed:
        name = "erp"

    with pytest.raises(ConfigurationProblem, match="drops no files"):
        feeds.feed_of(NoFeed())  # type: ignore[arg-type]


def test_a_clock_that_is_injected_says_how_old_a_file_is(place: Place) -> None:
    class Later(Clock):
        def monotonic(self) -> float:
            return time.monotonic() + 60

    name = place.drops.drop("KS_CUSTOMERS", [customer(1)], age=-100)  # from a host whose clock is ahead
    assert place.look().carried == 0
    place.erp._clock = Later()
    place.look()
    assert place.file(name).state == "done"
