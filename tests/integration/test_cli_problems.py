"""`problems` as people type it: seen, snoozed, given to somebody, noted; and in the audit."""

from __future__ import annotations

import json

import pytest

from core.keys import Change, Key
from core.rights import Role
from ledger import Ledger
from ledger.inbox import Route
from ledger.jobs import Outcome
from pipelines import spells
from tests import cli_desk
from tests.cli_desk import Typed

file, ledger, typed = cli_desk.file, cli_desk.ledger, cli_desk.typed


@pytest.fixture
def problem(ledger: Ledger, typed: Typed) -> str:
    """Two held orders."""
    for number in ("1001", "1002"):
        key = Key("shop", "order", number)
        ledger.inbox.accept(
            [Change(key, ledger.clock.now(), b"{}", number, number=number)], lambda _: [Route("orders", "crm")]
        )
        claim = ledger.jobs.claim("test")
        assert claim is not None
        said = "The sums differ. What to do: mend it."
        ledger.jobs.settle(claim, Outcome("held", said, error_class="money", amount="5.00", currency="EUR"))
    (found,) = json.loads(typed("problems", "list", "--json"))
    return str(found["id"])


def test_a_problem_is_listed_with_its_money_and_care(typed: Typed, ledger: Ledger, problem: str) -> None:
    ledger.people.add("Ann", Role.OPERATOR, by="test")
    assert "Ann sees to" in typed("problems", "assign", problem, "Ann")
    assert "snoozed until" in typed("problems", "snooze", problem, "--until", "tomorrow")
    assert "Noted." in typed("problems", "note", problem, "the shop rounds up")
    text = typed("problems", "list")
    for said in (problem, "money", "10.00 EUR", "with Ann", "snoozed until", "The sums differ."):
        assert said in text, said
    text = typed("problems", "show", problem)
    for said in ("mira (command line)", "the shop rounds up", "jobs: 1, 2"):
        assert said in text, said
    assert [note.actor for note in ledger.audit.list(subject=f"problem/{problem}")] == ["mira (command line)"] * 3
    assert "is back" in typed("problems", "wake", problem)
    (found,) = json.loads(typed("problems", "list", "--json"))
    assert (found["snoozed_until"], found["assignee"], found["grade"]) == (None, "Ann", "held")
    assert "Nobody sees to" in typed("problems", "assign", problem)


def test_what_is_wrong_is_refused_with_what_to_do(typed: Typed, problem: str) -> None:
    for arguments, said in (
        (("snooze", problem, "--until", "soon"), "'soon' is no time"),
        (("snooze", problem, "--until", "2020-01-01"), "within 92 days"),
        (("wake", problem), "not snoozed"),
        (("assign", problem, "Zoe"), "nobody named 'Zoe'"),
        (("show", "0" * 16), "no open problem"),
    ):
        typed("problems", *arguments, code=2 if "soon" in arguments else 1)
        assert said in typed.err, arguments
        assert "What to do:" in typed.err


def test_what_has_ended_is_told_with_how(typed: Typed, ledger: Ledger, problem: str) -> None:
    spells.follow(ledger)
    typed("jobs", "skip", "1", "2", "--reason", "typed by hand")
    spells.follow(ledger)
    assert "No problem is open" in typed("problems", "list")
    text = typed("problems", "list", "--ended")
    for said in (problem, "skipped: mira (command line): typed by hand"):
        assert said in " ".join(text.split()), said
    (found,) = json.loads(typed("problems", "list", "--ended", "--json"))
    assert (found["ending"], found["most"]) == ("skipped", 2)
