"""What all processes must see alike: blocked connections, schedules, cursors, the index of parties."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from core.errors import RetryLater
from ledger import Ledger
from ledger.parties import CHUNK, Entry
from ledger.state import ConnectionState
from pipelines.health import LONGEST, LONGEST_AUTH, Health
from tests.integration.ledger.kit import counting, later, together

Open = Callable[..., Ledger]


def state(ledger: Ledger, name: str = "crm") -> ConnectionState:
    found = ledger.states.get(name)
    assert found is not None
    return found


def out(ledger: Ledger, seconds: float = 10) -> None:
    ledger.states.block("crm", seconds, error_class="timeout", reason="It does not answer.")


# -- blocked -------------------------------------------------------------------------------------------------------


def test_a_block_ends_by_itself_and_a_success_ends_it_at_once(ledger: Ledger) -> None:
    assert ledger.states.get("crm") is None
    out(ledger)
    assert state(ledger).blocked_for == pytest.approx(10, abs=2)
    assert (state(ledger).blocked_class, state(ledger).faults) == ("timeout", 1)
    later(ledger, 11)
    assert (state(ledger).blocked_for, state(ledger).faults) == (0.0, 1), "not blocked, but not well either"
    out(ledger)
    assert state(ledger).faults == 2
    ledger.states.succeeded("crm")
    assert (state(ledger).blocked_for, state(ledger).faults, state(ledger).blocked_reason) == (0.0, 0, "")


def test_one_outage_met_by_many_is_one_fault(ledger: Ledger) -> None:
    together([lambda: out(ledger)] * 8)
    assert state(ledger).faults == 1
    out(ledger, 60)
    assert state(ledger).blocked_for == pytest.approx(60, abs=2), "the longer time holds"
    out(ledger, 5)
    assert state(ledger).blocked_for == pytest.approx(60, abs=2)
    assert state(ledger).faults == 1


def test_a_pause_is_not_a_fault(ledger: Ledger) -> None:
    ledger.states.pause("crm", 60)
    assert state(ledger).paused_for == pytest.approx(60, abs=2)
    ledger.states.succeeded("crm")
    assert state(ledger).paused_for > 0, "a success does not end what a person wanted"
    ledger.states.pause("crm", None)
    assert state(ledger).paused_for == 0.0


# -- health --------------------------------------------------------------------------------------------------------


def fault(seconds: float = 10, cause: str = "timeout") -> RetryLater:
    return RetryLater("It does not answer.", seconds=seconds, scope="connection", connection="crm", cause=cause)


def test_eight_threads_that_meet_one_outage_do_not_make_it_longer(ledger: Ledger) -> None:
    health = Health(ledger.states)
    waits = together([lambda: health.failed("crm", fault())] * 8)
    assert max(waits) == pytest.approx(10, abs=2)
    assert state(ledger).blocked_for == pytest.approx(10, abs=2)
    later(ledger, 11)
    health.failed("crm", fault())
    assert state(ledger).faults == 2, "the second fault in a row, not the ninth"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [("timeout", [2, 4, 8, 10, 10, 10, 10, 10, 10]), ("auth", [2, 4, 8, 16, 32, 64, 128, 128, 128])],
)
def test_the_block_grows_to_its_end_and_a_success_forgets_it(ledger: Ledger, cause: str, expected: list[float]) -> None:
    health, waits = Health(ledger.states), []
    for _ in range(9):
        waits.append(health.failed("crm", fault(2, cause)))
        later(ledger, LONGEST_AUTH + 1)
    assert waits == expected
    assert max(waits) <= (LONGEST_AUTH if cause == "auth" else LONGEST)
    health.succeeded("crm")
    assert health.failed("crm", fault(2)) == 2.0


def test_a_rate_limit_is_obeyed_to_the_second_and_does_not_grow(ledger: Ledger) -> None:
    health = Health(ledger.states)
    for _ in range(3):
        assert health.failed("crm", fault(900, "rate limit")) == 900
        assert state(ledger).blocked_for == pytest.approx(900, abs=2)
        later(ledger, 901)


def test_a_success_looks_into_the_ledger_only_now_and_then(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counting(monkeypatch, ledger.states, "get")
    health = Health(ledger.states)
    for _ in range(20):
        health.succeeded("crm")
    assert len(looks) == 1


# -- schedules and cursors -----------------------------------------------------------------------------------------


def test_one_of_many_starts_what_is_due(open_ledger: Open) -> None:
    ledgers = [open_ledger(), open_ledger()]

    def ask(number: int) -> Callable[[], bool]:
        return lambda: ledgers[number % 2].schedules.start_if_due("poll/shop", every=300, lease=60)

    for _ in range(3):
        assert sum(together([ask(number) for number in range(8)])) == 1
        assert not ask(0)()
        for one in ledgers:
            one.schedules.ended("poll/shop", "3 changes")
        assert not ask(1)(), "it ran, and is not due yet"
        later(ledgers[0], 301)


def test_what_runs_is_not_started_again_before_its_lease_ends(open_ledger: Open) -> None:
    one, two = open_ledger().schedules, open_ledger().schedules
    assert one.start_if_due("poll", every=10, lease=60)
    later(open_ledger(), 50)
    assert not two.start_if_due("poll", every=10, lease=60)
    one.renew("poll", lease=60)
    later(open_ledger(), 50)
    assert not two.start_if_due("poll", every=10, lease=60), "it still runs"
    later(open_ledger(), 11)
    assert two.start_if_due("poll", every=10, lease=60), "whoever ran it is dead"


def test_nobody_renews_what_has_ended(ledger: Ledger) -> None:
    assert ledger.schedules.start_if_due("poll", every=10, lease=60)
    ledger.schedules.ended("poll", "done")
    ledger.schedules.renew("poll", lease=60)
    later(ledger, 11)
    assert ledger.schedules.start_if_due("poll", every=10, lease=60)


def test_who_has_lost_a_schedule_neither_renews_nor_ends_anothers_round(open_ledger: Open) -> None:
    one, two, three = open_ledger(), open_ledger(), open_ledger()
    assert one.schedules.start_if_due("poll", every=10, lease=60)
    later(three, 61)
    assert two.schedules.start_if_due("poll", every=10, lease=60), "whoever ran it hangs"
    one.schedules.renew("poll", lease=6000)
    one.schedules.ended("poll", "late")
    assert not three.schedules.start_if_due("poll", every=0, lease=60), "two still runs it"
    later(three, 61)
    assert three.schedules.start_if_due("poll", every=10, lease=60), "nobody renewed it for two"
    three.schedules.ended("poll", "done")
    assert [(round_.state, round_.outcome) for round_ in three.schedules.rounds("poll")["poll"][2:]] == [("ok", "done")]
    assert [round_.state for round_ in three.schedules.rounds("poll")["poll"]] == ["lost", "lost", "ok"]


def test_due_at_once_when_asked_for(ledger: Ledger) -> None:
    assert ledger.schedules.start_if_due("poll", every=300, lease=60)
    ledger.schedules.ended("poll", "done")
    ledger.schedules.run_now("poll")
    assert ledger.schedules.start_if_due("poll", every=300, lease=60)


def test_a_cursor_is_text_that_moves(ledger: Ledger) -> None:
    assert ledger.cursors.get("shop/orders") is None
    for value in ("2026-01-01T00:00:00Z 17", "", "Ж" * 500):
        ledger.cursors.set("shop/orders", value)
        assert ledger.cursors.get("shop/orders") == value


# -- parties -------------------------------------------------------------------------------------------------------


def entry(remote: str, value: str, kind: str = "email", account: str = "") -> Entry:
    return Entry(kind, value, "account" if remote.startswith("3") else "contact", remote, account or remote)


def test_the_index_holds_what_was_said_last(ledger: Ledger) -> None:
    ledger.parties.replace("crm", ["3x1"], [entry("3x1", "old@x.example"), entry("3x1", "old@x.example")])
    ledger.parties.replace("crm", ["3x1"], [entry("3x1", "new@x.example"), entry("3x1", "x" * 400, "company")])
    assert ledger.parties.find("crm", [("email", "old@x.example")]) == []
    assert ledger.parties.find("crm", [("email", "new@x.example")]) == [entry("3x1", "new@x.example")]
    assert len(ledger.parties.find("crm", [("company", "x" * 400)])) == 1
    assert ledger.parties.find("other", [("email", "new@x.example")]) == []
    assert ledger.parties.find("crm", []) == []
    ledger.parties.forget("crm", "3x1")
    assert ledger.parties.size("crm") == 0


def test_an_account_is_found_with_its_contacts(ledger: Ledger) -> None:
    people = [entry("3x1", "a", "company"), entry("4x1", "b", account="3x1"), entry("4x2", "c", account="3x2")]
    ledger.parties.replace("crm", ["3x1", "4x1", "4x2"], people)
    assert sorted(one.remote_id for one in ledger.parties.of("crm", ["3x1"])) == ["3x1", "4x1"]


def test_a_large_page_goes_in_at_once(ledger: Ledger) -> None:
    many = [f"4x{number}" for number in range(2 * CHUNK + 5)]
    for _ in range(2):
        ledger.parties.replace("crm", many, [entry(remote, f"{remote}@x.example", account="3x1") for remote in many])
    assert ledger.parties.size("crm") == len(many)


def test_many_who_keep_the_same_people_do_not_lock_each_other_up(ledger: Ledger) -> None:
    people = [f"4x{number}" for number in range(30)]

    def keep(number: int) -> Callable[[], None]:
        def work() -> None:
            for round_ in range(4):
                order = people[:]
                random.Random(number * 10 + round_).shuffle(order)
                entries = [entry(one, f"{kind}-{one}", kind, "3x1") for one in order for kind in ("email", "phone")]
                ledger.parties.replace("crm", order, entries)

        return work

    together([keep(number) for number in range(4)])
    assert len(ledger.parties.of("crm", ["3x1"])) == 60
