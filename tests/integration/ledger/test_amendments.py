"""What we wrote last goes with its link; what both sides changed is asked once, and answered for exactly these values."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from ledger import Ledger
from ledger import amendmenttables as a
from ledger import tables as t
from ledger.amendments import CHANGED, Asked, Side
from ledger.jobs import Claim, Outcome
from ledger.links import Link
from tests.integration.ledger.kit import claimed, count, later, together, view

KEY = "shop/order/1001"
LINES = Asked("lines", "t1", "s1", (Side("Quantity", "2", "3", "7"), Side("Line 2", None, None, "1 x 5")))
BILLING = Asked("billing", "t2", "s2", (Side("City", "Berlin", "Bremen \N{GRINNING FACE}\ud83d", ""),))


def linked(ledger: Ledger, claim: Claim, **kept: object) -> Link:
    intent = ledger.links.intend(claim, "crm", "order", (KEY,))
    given = {"payload_hash": "h1", "claim": claim, "shown": {"asked": {"x": "1"}}, **kept}
    ledger.links.link(intent.links, "11x7", **given)  # type: ignore[arg-type]
    return link_of(ledger)


def link_of(ledger: Ledger) -> Link:
    found = ledger.links.get("crm", "order", KEY)
    assert found is not None
    return found


def test_it_is_kept_with_the_link_and_goes_with_it(ledger: Ledger) -> None:
    claim = claimed(ledger)
    link = linked(ledger, claim)
    assert ledger.amendments.shown(link) == {"asked": {"x": "1"}}
    ledger.links.link([link], "11x7", payload_hash="h2", claim=claim, shown={"asked": {"x": "2"}})
    assert ledger.amendments.shown(link_of(ledger)) == {"asked": {"x": "2"}}
    ledger.amendments.ask(link, [LINES])
    ledger.links.unlink("crm", "order", "11x7")
    assert (count(ledger, a.shown), count(ledger, a.disagreement)) == (0, 0)


def test_a_link_that_points_to_another_record_knows_nothing_of_it(ledger: Ledger) -> None:
    link = linked(ledger, claimed(ledger))
    ledger.amendments.ask(link, [LINES])
    ledger.links.point(link, "11x8")
    assert ledger.amendments.shown(link_of(ledger)) is None
    assert ledger.amendments.of_order("crm", KEY) == []


def test_what_is_not_of_the_links_state_is_not_known(ledger: Ledger) -> None:
    """The version before changes the hash alone; while an update is under way there is none."""
    link = linked(ledger, claimed(ledger))
    ledger.db.execute(sa.update(t.link).values(payload_hash="h2"))
    assert ledger.amendments.shown(link_of(ledger)) is None
    ledger.db.execute(sa.update(t.link).values(payload_hash=""))
    assert ledger.amendments.shown(link_of(ledger)) == ledger.amendments.shown(link) != None  # noqa: E711


def test_a_worker_that_lost_its_job_keeps_nothing(ledger: Ledger) -> None:
    first = claimed(ledger)
    link = linked(ledger, first)
    later(ledger, 61)
    ledger.jobs.reap()
    second = ledger.jobs.claim("w2", alone=True)
    assert second is not None
    ledger.links.hold_update(second, link, hold=120)
    ledger.amendments.sending(first, link, {"asked": {"x": "late"}})
    ledger.links.link([link], "11x7", payload_hash="h9", claim=first, shown={"asked": {"x": "late"}})
    assert ledger.amendments.shown(link) == {"asked": {"x": "1"}}
    ledger.amendments.sending(second, link, {"asked": {"x": "1"}, "sending": {}})
    assert ledger.amendments.shown(link) == {"asked": {"x": "1"}, "sending": {}}


def held(ledger: Ledger, claim: Claim, error_class: str = CHANGED) -> None:
    ledger.jobs.settle(claim, Outcome("held", "Choose.", error_class=error_class), max_failures=8)


def test_asked_once_and_answered_for_exactly_these_values(ledger: Ledger) -> None:
    claim = claimed(ledger)
    link = linked(ledger, claim)
    lines, billing = ledger.amendments.ask(link, [LINES, BILLING])
    assert [one.id for one in ledger.amendments.ask(link, [LINES, BILLING])] == [lines.id, billing.id]
    assert (lines.asked, billing.asked) == (LINES, BILLING), "whatever characters there are"
    assert ledger.amendments.answered(link, [LINES, BILLING]) == {}
    held(ledger, claim)
    job = view(ledger, claim)
    assert ledger.amendments.decide(job, [lines.id, 99], "store", by="Olga") == [], "all or none"
    assert [one.choice for one in ledger.amendments.decide(job, [lines.id], "store", by="Olga")] == ["store"]
    assert view(ledger, claim).state == "held", "the other one is open"
    assert ledger.amendments.decide(job, [lines.id], "theirs", by="Otto") == [], "answered already"
    assert ledger.amendments.decide(job, [billing.id], "theirs", by="Olga")
    assert (view(ledger, claim).state, view(ledger, claim).reason) == ("waiting", "")
    assert ledger.amendments.answered(link, [LINES, BILLING]) == {"lines": "store", "billing": "theirs"}
    others = [Asked("lines", "t1", "s9", ()), Asked("billing", "t9", "s2", ())]
    assert ledger.amendments.answered(link, others) == {}
    ledger.amendments.ask(link, others)
    ledger.amendments.agreed(link)
    assert ledger.amendments.answered(link, [LINES, BILLING]) == {"lines": "store", "billing": "theirs"}
    assert [one.choice for one in ledger.amendments.of_order("crm", KEY)] == ["store", "theirs"]


def test_what_is_not_asked_any_more_cannot_be_answered(ledger: Ledger) -> None:
    claim = claimed(ledger)
    link = linked(ledger, claim)
    (old,) = ledger.amendments.ask(link, [LINES])
    (new,) = ledger.amendments.ask(link, [Asked("lines", "t2", "s1", ())])
    held(ledger, claim)
    assert ledger.amendments.decide(view(ledger, claim), [old.id], "store", by="Olga") == []
    assert ledger.amendments.decide(view(ledger, claim), [new.id], "store", by="Olga")


@pytest.mark.parametrize("error_class", [CHANGED, "money"])
def test_only_what_this_held_is_due(ledger: Ledger, error_class: str) -> None:
    claim = claimed(ledger)
    (one,) = ledger.amendments.ask(linked(ledger, claim), [LINES])
    held(ledger, claim, error_class)
    ledger.amendments.decide(view(ledger, claim), [one.id], "store", by="Olga")
    assert view(ledger, claim).state == ("waiting" if error_class == CHANGED else "held")


def test_two_people_at_once_give_one_answer(ledger: Ledger) -> None:
    claim = claimed(ledger)
    (one,) = ledger.amendments.ask(linked(ledger, claim), [LINES])
    held(ledger, claim)
    job = view(ledger, claim)
    answers = together(
        [
            lambda: ledger.amendments.decide(job, [one.id], "store", by="Olga"),
            lambda: ledger.amendments.decide(job, [one.id], "theirs", by="Otto"),
        ]
    )
    (given,) = [found for found in answers if found]
    (kept,) = ledger.amendments.of_order("crm", KEY)
    assert (kept.choice, kept.decided_by) == (given[0].choice, given[0].decided_by)


def test_whose_lines_stayed(ledger: Ledger) -> None:
    claim = claimed(ledger)
    (one,) = ledger.amendments.ask(linked(ledger, claim), [LINES])
    assert ledger.amendments.left_theirs("crm", [KEY]) == set()
    ledger.amendments.decide(view(ledger, claim), [one.id], "theirs", by="Olga")
    assert ledger.amendments.left_theirs("crm", [KEY, "shop/order/2"]) == {KEY}
    assert ledger.amendments.left_theirs("crm", [KEY], "billing") == set()
