"""What customers ask for from their card: on the account in the CRM, for who serves, exactly once whatever breaks."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from connectors.http import Http
from core.errors import Held
from core.settings import RepFlowSettings
from ledger.inbox import Route
from ledger.jobs import Jobs, JobView
from ledger.links import Links
from ledger.requests import Limits
from pipelines import doubles, requests
from pipelines.requests import LIMITS, Taken
from tests.integration.pipeline.conftest import Maker
from tests.repworld import NAME, RepWorld


@pytest.fixture
def mine(make: Maker) -> RepWorld:
    return served(RepWorld(make))


def served(world: RepWorld) -> RepWorld:
    """A customer with a rep and an account."""
    world.account("10017")
    world.erp.rep("R7", "Anna Rossi")
    world.erp.customer("10017", "R7", name="Blue Ltd")
    world.turn()
    return world


def ask(world: RepWorld, text: str = "About my order", phone: str = "", **more: Any) -> Taken:
    facts = {"source": "erp", "customer": "10017", "kind": "write", **more}
    return requests.take(world.context, text=text, phone=phone, **facts)


def job(world: RepWorld, taken: Taken) -> JobView:
    return world.world.job(f"erp/request/{taken.id}")


def comments(world: RepWorld) -> list[dict[str, Any]]:
    return world.world.records("ModComments")


# -- the way -----------------------------------------------------------------------------------------------------------


def test_a_request_becomes_an_activity_on_the_account_for_who_serves(mine: RepWorld) -> None:
    account = mine.world.records("Accounts")[0]["id"]

    taken = ask(mine, "Please ring me\nafter four", "+49 30 1234-5", kind="call")
    assert (taken.status, taken.kept) == ("taken", True)
    assert comments(mine) == []  # kept, not sent: the customer does not wait for the CRM
    mine.world.drain()

    (comment,) = comments(mine)
    assert comment["related_to"] == account
    assert NAME[comment["assigned_user_id"]] == "R7"
    lines = comment["commentcontent"].split("\n")
    assert lines[0].startswith("Customer 10017 asks to be called [")
    assert "From: Blue Ltd (customer 10017)" in lines
    assert "Phone: +49 30 1234-5" in lines
    assert lines[-2:] == ["Please ring me", "after four"]
    found = job(mine, taken)
    assert (found.state, found.queue, found.number) == ("settled", "live", "10017")


def test_the_deputy_of_today_gets_it(mine: RepWorld) -> None:
    from ledger.reps import AbsenceRow

    mine.erp.rep("R9", "Bea Kim")
    mine.turn()
    today = mine.context.clock.now().date()
    mine.ledger.reps.add_absences("erp", [AbsenceRow("R7", today, deputy="R9")], by="tests")
    mine.turn()
    ask(mine)
    mine.world.drain()
    assert [NAME[row["assigned_user_id"]] for row in comments(mine)] == ["R9"]


def test_the_same_again_is_one_and_another_text_is_another(mine: RepWorld) -> None:
    first, again, other = ask(mine), ask(mine), ask(mine, "Something else")
    assert [one.status for one in (first, again, other)] == ["taken", "again", "taken"]
    assert again.id == first.id
    mine.clock.skip(LIMITS.same_within + 1)
    assert ask(mine).status == "taken"  # the same words on another occasion
    mine.world.drain()
    assert len(comments(mine)) == 3


def test_too_many_of_one_customer_wait_and_others_do_not(mine: RepWorld) -> None:
    for number in range(LIMITS.most):
        assert ask(mine, f"Text {number}").status == "taken"
    limited = ask(mine, "One more")
    assert limited.status == "limited"
    assert 0 < limited.wait <= LIMITS.within
    assert ask(mine, customer="10018").status == "taken"
    mine.clock.skip(limited.wait + 1)
    assert ask(mine, "One more").status == "taken"


def test_two_presses_at_once_are_one(mine: RepWorld) -> None:
    found: list[Taken] = []
    both = threading.Barrier(2)

    def press() -> None:
        both.wait(60)
        found.append(ask(mine))

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(one.status for one in found) == ["again", "taken"]
    assert len({one.id for one in found}) == 1


def test_many_at_once_are_counted_one_by_one(mine: RepWorld) -> None:
    """Whoever comes at the same moment meets the same limit."""
    threads = [threading.Thread(target=ask, args=(mine, f"Text {number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    kept = mine.ledger.requests.of_customer("erp", "10017")
    assert sorted(one.number for one in kept) == list(range(1, LIMITS.most + 1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"text": "  \n "}, "write a message"),
        ({"text": "x" * 2001}, "2000 characters"),
        ({"phone": "call <b>me</b>", "kind": "call"}, "digits only"),
        ({"phone": "030\r\nBcc: all@firm.example", "kind": "call"}, "digits only"),
        ({"kind": "shout"}, "not known"),
        ({"customer": " "}, "cannot be taken"),
        ({"source": "other"}, "cannot be taken"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_is_kept(mine: RepWorld, wrong: dict[str, str], says: str) -> None:
    taken = ask(mine, **wrong)
    assert (taken.status, taken.id) == ("refused", "")
    assert says in taken.message
    assert mine.ledger.requests.of_customer("erp", wrong.get("customer", "10017")) == []


def test_a_text_is_harmless_wherever_it_is_shown(mine: RepWorld) -> None:
    hostile = "<script>alert(1)</script> &lt;img onerror=x&gt; \x1b[31mred\u202e\nBcc: all@firm.example\r\n.\r\n\U0001f600 O'Neill\\"
    assert ask(mine, hostile).status == "taken"
    mine.world.drain()
    (comment,) = comments(mine)
    body = comment["commentcontent"]
    assert not set("<>\x1b\u202e\r") & set(body)
    assert "&lt;" not in body
    assert "script" in body
    assert "O'Neill\\" in body
    assert "????" not in body


# -- who cannot be served yet ------------------------------------------------------------------------------------------


def test_a_customer_without_an_account_is_held_until_there_is_one(mine: RepWorld) -> None:
    mine.erp.customer("10018", "R7")
    mine.turn()
    taken = ask(mine, customer="10018")
    mine.world.drain()
    held = job(mine, taken)
    assert (held.state, held.error_class) == ("held", "missing reference")
    assert "has no account in crm. What to do: call or write to the customer" in held.reason

    account = mine.account("10018")  # the index does not know it yet: the CRM itself is asked
    assert mine.ledger.jobs.retry(held.id)
    mine.world.drain(fill=False)
    assert job(mine, taken).state == "settled"
    assert [row["related_to"] for row in comments(mine)] == [account]


def test_a_customer_of_nobody_is_held_or_goes_to_the_flows_owner(make: Maker) -> None:
    mine = served(RepWorld(make))
    mine.account("10018")
    mine.erp.customer("10018")
    mine.turn()
    taken = ask(mine, customer="10018")
    mine.world.drain()
    held = job(mine, taken)
    assert held.state == "held"
    assert "nobody serves them. What to do: give the flow reps an `owner`" in held.reason

    settings = mine.context.reps["reps"].model_dump() | {"owner": "partners"}
    mine.context.reps = {"reps": RepFlowSettings.model_validate(settings)}
    mine.ledger.jobs.retry(held.id)
    mine.world.drain()
    assert [NAME[row["assigned_user_id"]] for row in comments(mine)] == ["partners"]


def test_an_account_that_was_deleted_is_looked_for_again(mine: RepWorld) -> None:
    taken = ask(mine)
    (row,) = mine.world.records("Accounts")
    app = mine.world.context.crms["crm"]
    from connectors.http import guarded
    from pipelines.telling import Outside

    with guarded(Outside()):
        app.delete("account", row["id"])
    mine.world.drain(fill=False)
    assert job(mine, taken).state == "waiting"
    fresh = mine.account("10017")
    mine.world.finish()
    assert job(mine, taken).state == "settled"
    assert [one["related_to"] for one in comments(mine)] == [fresh]


def test_a_flow_that_is_not_live_writes_nothing_and_loses_nothing(make: Maker) -> None:
    mine = RepWorld(make, live=False)
    mine.account("10017")
    mine.erp.rep("R7")
    mine.erp.customer("10017", "R7")
    mine.turn()
    taken = ask(mine)
    mine.world.drain()
    assert (job(mine, taken).state, job(mine, taken).error_class) == ("waiting", "rehearsal")
    assert comments(mine) == []
    mine.ledger.flows.set("reps", "live")
    mine.ledger.flows.wake_rehearsed("reps")
    mine.world.drain()
    assert len(comments(mine)) == 1


# -- once, whatever breaks ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nobody catches this."""


STEPS = {
    "intend": (Links, "intend"),
    "mark": (Links, "mark_sent"),
    "write": (Http, "write"),
    "link": (Links, "link"),
    "settle": (Jobs, "settle"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_step_it_is_there_once(
    mine: RepWorld, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    taken = ask(mine)
    owner, name = STEPS[step]
    real, struck = getattr(owner, name), []

    def deadly(*args: Any, **kwargs: Any) -> Any:
        struck.append(step)
        if when == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, deadly)
        with pytest.raises(Killed):
            mine.world.drain(fill=False)
    assert struck == [step]
    mine.world.finish()
    assert len(comments(mine)) == 1
    assert job(mine, taken).state == "settled"


@pytest.mark.parametrize("fault", ["empty_500", "empty_500_after", "lost_answer", "late_commit"])
def test_an_unclear_answer_leaves_neither_hole_nor_double(mine: RepWorld, make: Maker, fault: str) -> None:
    mine.world.faults(late_after_s=3600, script=[{"fault": fault, "operation": "create", "module": "ModComments"}])
    taken = ask(mine)
    mine.world.drain()
    assert job(mine, taken).error_class == "ambiguous write"
    assert (mine.ledger.jobs.next_due() or 0) > 60  # what may land late is waited for
    mine.world.drain()
    assert (
        mine.world.calls()["by_module"].get("create ModComments", 0) == 1
    )  # nobody writes again before the hold is over
    make.land()
    mine.world.finish()
    assert len(comments(mine)) == 1
    assert job(mine, taken).state == "settled"
    assert mine.world.struck()[fault] == 1


def test_a_merge_between_write_and_look_makes_no_double(mine: RepWorld) -> None:
    """The answer was lost; meanwhile the customer's number went to another account. The first one is still looked at."""
    (old,) = mine.world.records("Accounts")
    mine.world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "ModComments"}])
    taken = ask(mine)
    mine.world.drain()
    assert len(comments(mine)) == 1
    mine.account("10017", accountname="Blue Holding")
    _number_away(mine, old["id"])
    mine.world.fill_index()
    mine.world.finish()
    assert [row["related_to"] for row in comments(mine)] == [old["id"]]
    assert job(mine, taken).state == "settled"


def _number_away(world: RepWorld, account: str) -> None:
    from connectors.http import guarded
    from pipelines.telling import Outside

    crm: Any = world.context.crms["crm"]
    with guarded(Outside()):
        crm._client.revise("Accounts", {"id": account, "tickersymbol": ""})


def test_a_second_one_that_came_late_is_found_and_named(mine: RepWorld) -> None:
    """Later than any hold: the link is looked at again, and people are told which one to delete."""
    taken = ask(mine)
    mine.world.faults(script=[{"fault": "lost_answer", "operation": "create", "module": "ModComments"}])
    mine.world.drain()
    mine.world.finish()
    (first,) = comments(mine)
    crm: Any = mine.context.crms["crm"]
    from connectors.http import guarded
    from pipelines.telling import Outside

    with guarded(Outside()):
        crm._client.create(
            "ModComments", {name: first[name] for name in ("commentcontent", "related_to", "assigned_user_id")}
        )
    mine.clock.skip(10_000)
    assert doubles.look(mine.context, "crm") == 1
    (alert,) = mine.ledger.alerts.opened("double:crm:request")
    assert f"erp/request/{taken.id}" in alert.title


def test_the_ledger_keeps_what_it_took(mine: RepWorld) -> None:
    kept = mine.ledger.requests.keep(
        Route("reps", "crm", "live"), "erp", "1", Limits(1, 60, 60), kind="write", text="Hello", phone=""
    )
    found = mine.ledger.requests.get(kept.id)
    assert found is not None
    assert (found.customer, found.number, found.text) == ("1", 1, "Hello")
    assert mine.ledger.requests.get("nothing") is None
    with pytest.raises(Held, match="not in the ledger"):
        requests.carry(_run_of_nothing(mine))


def test_what_was_written_is_forgotten_when_it_is_done_and_old(mine: RepWorld) -> None:
    done, open_ = ask(mine, "About my order", "+49 30 1"), None
    mine.world.drain()
    mine.account("5")
    open_ = ask(mine, "Nobody has read this", customer="29999")  # has no account: held
    mine.world.drain()
    book = mine.ledger.requests
    assert requests.forget(mine.context) == 0
    assert book.forget(timedelta()) == 1
    assert book.forget(timedelta()) == 0
    kept = [book.get(one.id) for one in (done, open_)]
    assert [(one.text, one.phone) for one in kept if one is not None] == [("", ""), ("Nobody has read this", "")]


def _run_of_nothing(world: RepWorld) -> Any:
    from dataclasses import replace

    from core.keys import Key
    from pipelines.reprun import RepRun

    claim = world.ledger.jobs.claim("test")
    assert claim is not None
    return RepRun(world.context, replace(claim, key=Key("erp", "request", "gone")))
