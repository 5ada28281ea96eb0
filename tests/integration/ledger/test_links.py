"""Links: an intent before the look, a mark before the write, the link after it; one owner at a time, and nobody forgotten."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from core.errors import LeaseLost
from ledger import Ledger
from ledger import tables as t
from ledger.jobs import BUSY_WAIT, Claim, Outcome
from ledger.links import Intent, Link
from tests.integration.ledger.kit import (
    accept,
    beside,
    change,
    claimed,
    column,
    count,
    due_in,
    later,
    together,
    view,
    wait_until_blocked,
)

HOLD = 120.0
KEY = "shop/order/1"


def intend(ledger: Ledger, claim: Claim, *keys: str) -> Intent:
    return ledger.links.intend(claim, "crm", "order", keys or (KEY,))


def link_of(ledger: Ledger, key: str = KEY) -> Link:
    found = ledger.links.get("crm", "order", key)
    assert found is not None
    return found


def sent(ledger: Ledger, claim: Claim) -> Link:
    intent = intend(ledger, claim)
    assert intent.ours
    ledger.links.mark_sent(claim, intent.links, hold=HOLD)
    return link_of(ledger)


def reaped(ledger: Ledger) -> Claim:
    """Time passes until the running job's worker is taken for dead; the job's next claim."""
    later(ledger, 61)
    assert ledger.jobs.reap() == 1
    claim = ledger.jobs.claim("w2", alone=True)
    assert claim is not None
    return claim


def test_intended_sent_linked(ledger: Ledger) -> None:
    claim = claimed(ledger)
    intent = intend(ledger, claim)
    assert (intent.ours, intent.links[0].state, link_of(ledger).state) == (True, "intended", "intended")
    ledger.links.mark_sent(claim, intent.links, hold=HOLD)
    assert link_of(ledger).state == "sent"
    assert link_of(ledger).hold_left == pytest.approx(HOLD, abs=5)
    ledger.links.link(intent.links, "11x7", number="SO7", refs={"account": "3x1"}, payload_hash="h")
    link = link_of(ledger)
    assert (link.linked, link.remote_id, link.remote_number, link.refs, link.payload_hash, link.hold_left) == (
        True, "11x7", "SO7", {"account": "3x1"}, "h", 0.0,
    )  # fmt: skip
    again = intend(ledger, claim)
    assert (again.ours, again.links[0].remote_id) == (True, "11x7")
    assert [one.id for one in ledger.links.of_key(KEY)] == [link.id]


def test_a_foreign_intent_under_way_waits(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    assert intend(ledger, first).ours
    waits = intend(ledger, second)
    assert (waits.ours, waits.wait, waits.wait_for) == (False, BUSY_WAIT, link_of(ledger).id)
    assert intend(ledger, first).ours, "one's own intent is no obstacle"


@pytest.mark.parametrize("end", ["settled", "dead", "newer claim"])
def test_a_dead_owner_is_followed(ledger: Ledger, end: str) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    assert intend(ledger, first).ours
    if end == "settled":
        ledger.jobs.settle(first, Outcome("held", "no"))
    elif end == "dead":
        later(ledger, 61)
        second = _kept(ledger, second)
    else:
        ledger.jobs.release(first)
        assert ledger.jobs.claim("w2") is not None
    taken = intend(ledger, second)
    assert taken.ours
    ledger.links.mark_sent(second, taken.links, hold=HOLD)
    with pytest.raises(LeaseLost):
        ledger.links.mark_sent(first, taken.links, hold=HOLD)


def _kept(ledger: Ledger, claim: Claim) -> Claim:
    """The same claim with its lease as if it had been renewed."""
    with ledger.db.write() as connection:
        fresh = ledger.db.now + 60_000_000
        connection.execute(sa.update(t.job).where(t.job.c.id == claim.id).values(lease_until=fresh))
    return claim


def test_what_was_sent_waits_out_the_hold_even_for_its_own_job(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    sent(ledger, first)
    for claim in (first, second):
        waits = intend(ledger, claim)
        assert not waits.ours
        assert waits.wait == pytest.approx(HOLD, abs=5)
    ledger.jobs.settle(first, Outcome("retry", "ambiguous", seconds=HOLD))
    later(ledger, HOLD - 1)
    assert not intend(ledger, _kept(ledger, second)).ours
    later(ledger, 2)
    after = intend(ledger, _kept(ledger, second))
    assert after.ours
    assert after.links[0].state == "sent", "whoever follows knows that something may be there"


def test_after_the_hold_a_living_owner_still_keeps_others_away(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    sent(ledger, first)
    later(ledger, HOLD + 1)
    _kept(ledger, first)
    _kept(ledger, second)
    assert intend(ledger, second).wait == BUSY_WAIT


def test_a_refused_write_waits_for_nothing(ledger: Ledger) -> None:
    claim, other = claimed(ledger, "1"), claimed(ledger, "2")
    link = sent(ledger, claim)
    ledger.links.unsend(other, [link])
    assert link_of(ledger).state == "sent", "only the owner knows"
    ledger.links.unsend(claim, [link])
    assert (link_of(ledger).state, link_of(ledger).hold_left) == ("intended", 0.0)
    ledger.jobs.settle(claim, Outcome("held", "no"))
    assert intend(ledger, other).ours


# -- fencing -------------------------------------------------------------------------------------------------------


def test_nobody_writes_on_a_lease_that_is_over(ledger: Ledger) -> None:
    claim = claimed(ledger)
    links = intend(ledger, claim).links
    later(ledger, 61)
    with pytest.raises(LeaseLost):
        ledger.links.mark_sent(claim, links, hold=HOLD)
    assert link_of(ledger).state == "intended"


def test_nobody_writes_when_the_job_is_somebody_elses(ledger: Ledger) -> None:
    stale = claimed(ledger)
    links = intend(ledger, stale).links
    fresh = reaped(ledger)
    with pytest.raises(LeaseLost):
        ledger.links.mark_sent(stale, links, hold=HOLD)
    mine = intend(ledger, fresh)
    assert mine.ours
    with pytest.raises(LeaseLost):
        ledger.links.mark_sent(stale, links, hold=HOLD)
    with pytest.raises(LeaseLost):
        intend(ledger, stale)
    ledger.links.mark_sent(fresh, mine.links, hold=HOLD)
    ledger.links.unsend(stale, links)
    assert link_of(ledger).state == "sent"


def test_all_or_none_is_marked(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    [a] = intend(ledger, first, "a").links
    [b] = intend(ledger, second, "b").links
    with pytest.raises(LeaseLost):
        ledger.links.mark_sent(first, [a, b], hold=HOLD)
    assert link_of(ledger, "b").state == "intended"


# -- several identities --------------------------------------------------------------------------------------------


def test_all_identities_or_none(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    assert intend(ledger, first, "email/a", "vat/1").ours
    waits = intend(ledger, second, "email/a", "erp/9", "store/2")
    assert (waits.ours, waits.wait_for) == (False, link_of(ledger, "email/a").id)
    assert count(ledger, t.link) == 2, "nothing of the one who waits stands in others' way"
    ledger.links.link(list(intend(ledger, first, "email/a", "vat/1").links), "3x1")
    ours = intend(ledger, second, "store/2", "email/a", "erp/9", "erp/9")
    assert ours.ours
    assert [(one.key, one.state) for one in ours.links] == [
        ("email/a", "linked"), ("erp/9", "intended"), ("store/2", "intended"),
    ]  # fmt: skip


def test_fifty_orders_of_few_customers_have_one_owner_at_a_time(ledger: Ledger, seed: int) -> None:
    """Overlapping sets of identities, all at once: never two at the same identity, everybody gets through."""
    rng = random.Random(seed)
    identities = [f"id/{number}" for number in range(8)]
    sets = [rng.sample(identities, rng.randrange(1, 5)) for _ in range(50)]
    accept(ledger, *(change(f"{number:02d}") for number in range(50)))
    claims = [ledger.jobs.claim("w") for _ in sets]
    owners: dict[str, int] = {}
    guard = threading.Lock()
    first_of: dict[str, list[int]] = {name: [] for name in identities}

    def customer(number: int) -> Callable[[], int]:
        def work() -> int:
            claim = claims[number]
            assert claim is not None
            deadline = time.monotonic() + 20
            while not (intent := ledger.links.intend(claim, "crm", "customer", sets[number])).ours:
                assert time.monotonic() < deadline, "stuck"
                time.sleep(0.005)
            mine = [link for link in intent.links if not link.linked]
            with guard:
                for link in mine:
                    assert link.key not in owners, f"{link.key} is {owners[link.key]}'s and {number}'s"
                    owners[link.key] = number
            ledger.links.mark_sent(claim, mine, hold=HOLD)
            time.sleep(0.002)
            with guard:
                for link in mine:
                    del owners[link.key]
                    first_of[link.key].append(number)
            ledger.links.link(mine, f"3x{number}")
            return len(mine)

        return work

    together([customer(number) for number in range(50)], within=45)
    wanted = {name for names in sets for name in names}
    assert {name: len(numbers) for name, numbers in first_of.items() if name in wanted} == dict.fromkeys(wanted, 1)
    assert all(link.linked for link in ledger.links.find("crm", "customer", sorted(wanted)).values())


# -- waking --------------------------------------------------------------------------------------------------------


def waits_for(ledger: Ledger, claim: Claim, link: Link, seconds: float = HOLD) -> None:
    ledger.jobs.settle(claim, Outcome("retry", "busy", seconds=seconds, burns=False, waiting_for=link.id))


def test_who_waits_for_a_link_is_woken_by_it(ledger: Ledger) -> None:
    first, second, third = claimed(ledger, "1"), claimed(ledger, "2"), claimed(ledger, "3")
    link = sent(ledger, first)
    waits_for(ledger, second, link)
    ledger.jobs.settle(third, Outcome("retry", "something else", seconds=HOLD))
    assert due_in(ledger, second) == pytest.approx(HOLD, abs=5)
    ledger.links.link([link], "11x7")
    assert due_in(ledger, second) <= 0
    assert due_in(ledger, third) > HOLD - 5
    claim = ledger.jobs.claim("w")
    assert claim is not None
    assert claim.id == second.id
    assert column(ledger, t.job.c.waiting_for, t.job.c.id == second.id) is None


def test_a_refused_write_wakes_them_too(ledger: Ledger) -> None:
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    link = sent(ledger, first)
    waits_for(ledger, second, link)
    ledger.links.unsend(first, [link])
    assert due_in(ledger, second) <= 0


def test_a_link_that_came_before_we_lay_down_wakes_us_as_well(ledger: Ledger) -> None:
    """We saw it under way; it was linked before our own job was settled: nobody could wake us."""
    first, second, third = claimed(ledger, "1"), claimed(ledger, "2"), claimed(ledger, "3")
    link = sent(ledger, first)
    assert not intend(ledger, second).ours
    ledger.links.unsend(first, [link])
    waits_for(ledger, third, link)
    assert due_in(ledger, third) <= BUSY_WAIT
    ledger.links.link([link], "11x7")
    waits_for(ledger, second, link)
    assert due_in(ledger, second) <= 0
    assert view(ledger, second).state == "waiting"


def test_a_link_that_is_being_committed_while_we_lie_down_wakes_us_too(ledger: Ledger) -> None:
    """Neither sees the other's uncommitted row: only the lock on the link keeps the wake from being lost."""
    first, second = claimed(ledger, "1"), claimed(ledger, "2")
    link = sent(ledger, first)
    linked = sa.update(t.link).where(t.link.c.id == link.id).values(state="linked", hold_until=None)
    with ExitStack() as stack, ledger.db.write() as connection:
        connection.execute(linked)  # and whoever waits already is woken: nobody yet
        stack.enter_context(beside(lambda: waits_for(ledger, second, link)))
        wait_until_blocked(ledger)
    assert due_in(ledger, second) <= 0


def test_an_update_whose_answer_was_lost_is_held(ledger: Ledger) -> None:
    claim = claimed(ledger)
    link = intend(ledger, claim).links[0]
    ledger.links.link([link], "11x7", payload_hash="h")
    ledger.links.hold_update(claim, link_of(ledger), hold=HOLD)
    held = link_of(ledger)
    assert (held.linked, held.payload_hash) == (True, "")
    assert held.hold_left == pytest.approx(HOLD, abs=5)


def test_an_intermediate_result_is_kept_with_the_intent(ledger: Ledger) -> None:
    claim = claimed(ledger)
    link = sent(ledger, claim)
    ledger.links.note(link, refs={"lead": "10x5"})
    assert link_of(ledger).refs == {"lead": "10x5"}
    assert link_of(ledger).state == "sent"
