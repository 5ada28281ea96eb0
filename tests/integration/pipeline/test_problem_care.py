"""Problems are taken care of: snoozed and back, given to people, known of, resolved without losing an order; and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.roles import Finding, Message
from core.clock import from_micros
from core.rights import Role
from core.settings import AlertSettings
from ledger import tables as t
from ledger.care import Spell
from ledger.jobs import JobView, Outcome
from ledger.problems import Problems
from pipelines import bulk, conditions, spells, telling
from pipelines.buyers import Buyers
from pipelines.caring import Cared, Caring, look
from pipelines.desk import Desk, Refused, Unknown
from tests.integration.ledger import kit
from tests.orders import order
from tests.world import SkippingClock, World

ANN = "Ann"
REASON = "The sums differ by 1.00. What to do: mend it."


class Inbasket:
    """A notifier that keeps what it gets."""

    name = "mail"

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)

    def check(self) -> list[Finding]:
        return []

    def close(self) -> None:
        """Nothing."""


class Office:
    """A ledger whose jobs end as a test says, and the services over it."""

    def __init__(self, world: World, clock: SkippingClock) -> None:
        self.world, self.clock = world, clock
        self.ledger = world.ledger
        self.rung: list[str] = []
        self.desk = Desk.of(world.context, self.ledger.audit, lambda: self.rung.append("rung"))
        self.caring = Caring(self.desk)
        self.mail = Inbasket()

    def hold(self, *numbers: int, message: str = REASON, kind: Any = "held", error_class: str = "money") -> None:
        for number in numbers:
            self.world.deliver(order(number))
        self.run(Outcome(kind, message, error_class=error_class, amount="10.00", currency="EUR", seconds=60))

    def run(self, outcome: Outcome) -> int:
        count = 0
        while (claim := self.ledger.jobs.claim("test")) is not None:
            self.ledger.jobs.settle(claim, outcome)
            count += 1
        return count

    def follow(self) -> None:
        spells.follow(self.ledger, Buyers(self.world.context))

    def only(self) -> Cared:
        (found,) = self.caring.open()
        return found

    def id(self) -> str:
        return self.only().problem.id

    def ended(self) -> Spell:
        (found,) = self.caring.ended()
        return found

    def now(self) -> datetime:
        return from_micros(self.ledger.db.micros())

    def job(self, number: int) -> JobView:
        return self.world.job(f"shop/order/{number}")

    def notes(self, action: str) -> list[Any]:
        return list(self.ledger.audit.list(action=action))

    def tell(self) -> list[str]:
        conditions.reconcile(self.world.context)
        before = len(self.mail.messages)
        telling.tell(self.ledger, {"mail": self.mail}, AlertSettings())
        return [one.subject for one in self.mail.messages[before:]]


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    clock = SkippingClock()
    with World(database_url, "http://127.0.0.1:9", clock=clock) as world:
        yield Office(world, clock)


# -- snoozing ----------------------------------------------------------------------------------------------------------


def test_a_snoozed_problem_stands_aside_and_comes_back_by_itself(office: Office) -> None:
    office.hold(1001, 1002)
    until = office.now() + timedelta(hours=4)
    one = office.caring.snooze(office.id(), until, actor=ANN)
    assert one.snoozed
    assert one.quiet
    assert (one.care.snoozed_by, one.care.snoozed_count) == (ANN, 2)
    assert one.problem.count == 2, "its orders are counted as ever"
    assert office.ledger.jobs.counts()["held"] == 2
    (note,) = office.notes("problem.snooze")
    assert (note.actor, note.subject, note.facts["orders"]) == (ANN, f"problem/{one.problem.id}", 2)
    office.follow()
    assert office.only().snoozed
    office.clock.skip(4 * 3600 - 60)
    assert office.only().snoozed
    office.clock.skip(61)
    assert not office.only().quiet, "by its time, whether or not anybody has noticed yet"
    office.follow()
    assert office.ledger.care.get(office.id()).snoozed_until is None
    (back,) = office.notes("problem.back")
    assert (back.actor, back.facts["reason"]) == ("machine", "its time has come")


def test_it_comes_back_earlier_when_it_more_than_doubles_and_stays_back(office: Office) -> None:
    office.hold(1001, 1002)
    office.caring.snooze(office.id(), office.now() + timedelta(days=1), actor=ANN)
    office.hold(1003, 1004)
    assert office.only().snoozed, "doubled, not more"
    office.hold(1005)
    assert not office.only().snoozed
    office.follow()
    assert "grown from 2 to 5" in office.notes("problem.back")[0].facts["reason"]
    for number in (1003, 1004, 1005):
        office.desk.skip(office.job(number).id, "typed by hand", actor=ANN)
    assert office.only().problem.count == 2
    assert not office.only().snoozed, "what has come back does not hide again"


def test_it_comes_back_earlier_when_it_becomes_more_serious(office: Office) -> None:
    office.hold(1001, 1002, kind="retry", message="The value was not taken.", error_class="validation/value")
    assert office.only().problem.states == {"waiting": 2}
    office.caring.snooze(office.id(), office.now() + timedelta(days=1), actor=ANN)
    office.clock.skip(61)
    claim = office.ledger.jobs.claim("test")
    assert claim is not None
    office.ledger.jobs.settle(claim, Outcome("held", "The value was not taken.", error_class="validation/value"))
    one = office.only()
    assert one.problem.count == 2
    assert not one.snoozed


def test_a_snooze_can_be_ended_by_hand_and_has_a_sensible_end(office: Office) -> None:
    office.hold(1001)
    problem = office.id()
    for until in (office.now() - timedelta(seconds=1), office.now() + timedelta(days=93)):
        with pytest.raises(Refused, match="in the future, within 92 days"):
            office.caring.snooze(problem, until, actor=ANN)
    with pytest.raises(Refused, match="not snoozed"):
        office.caring.wake(problem, actor=ANN)
    office.caring.snooze(problem, office.now() + timedelta(days=1), actor=ANN)
    assert not office.caring.wake(problem, actor="Ben").snoozed
    assert office.notes("problem.wake")[0].actor == "Ben"


def test_those_to_look_at_stand_before_those_that_stand_aside(office: Office) -> None:
    office.hold(1001, 1002, 1003)
    office.hold(1004, message="No such product. What to do: add it.", error_class="missing reference")
    largest = office.caring.open()[0].problem
    assert largest.count == 3
    office.caring.snooze(largest.id, office.now() + timedelta(hours=1), actor=ANN)
    assert [one.problem.count for one in look(office.ledger)] == [1, 3]


def test_no_message_is_sent_of_what_is_snoozed_until_it_is_back(office: Office) -> None:
    office.hold(1001)
    office.caring.snooze(office.id(), office.now() + timedelta(hours=1), actor=ANN)
    assert office.tell() == []
    assert [one.cause for one in office.ledger.alerts.opened()] == ["held/shop-orders/money"], "the page shows it"
    office.clock.skip(3601)
    office.follow()
    assert office.tell() == ["Orderwire: 1 order is held (money)"]
    assert office.tell() == []


def test_what_was_told_before_is_told_once_more_when_it_is_back(office: Office) -> None:
    office.hold(1001)
    assert len(office.tell()) == 1
    office.caring.snooze(office.id(), office.now() + timedelta(hours=1), actor=ANN)
    office.follow()
    assert office.tell() == []
    office.clock.skip(3601)
    office.follow()
    assert len(office.tell()) == 1


def test_a_snooze_hushes_neither_another_problem_of_the_class_nor_what_is_critical(office: Office) -> None:
    office.hold(1001)
    office.caring.snooze(office.id(), office.now() + timedelta(hours=1), actor=ANN)
    office.hold(1002, message="Quite another sentence. What to do: read it.")
    assert len(office.tell()) == 1, "one alert tells of both"
    office.world.deliver(order(1003))
    office.ledger.states.block("crm", 60, error_class="auth", reason="The login is refused. What to do: mend it.")
    (out,) = [one for one in office.caring.open() if one.outage]
    assert office.caring.snooze(out.problem.id, office.now() + timedelta(hours=1), actor=ANN).snoozed
    assert office.tell() == ["Orderwire: crm refuses our login"]


# -- whose it is -------------------------------------------------------------------------------------------------------


def test_a_problem_is_given_to_somebody_who_may_act(office: Office) -> None:
    people = office.ledger.people
    ann, vera = people.add("Ann", Role.OPERATOR, by="test"), people.add("Vera", Role.VIEWER, by="test")
    office.hold(1001)
    assert [one.name for one in office.caring.assignees()] == ["Ann"]
    assert office.caring.assign(office.id(), ann.id, actor="Ben").care.assignee == "Ann"
    assert office.notes("problem.assign")[0].facts == {"to": "Ann"}
    for nobody in (vera.id, 4711):
        with pytest.raises(Refused, match="may only look"):
            office.caring.assign(office.id(), nobody, actor="Ben")
    assert office.only().care.assignee_id == ann.id
    assert office.caring.assign(office.id(), None, actor="Ann").care.assignee == ""


def test_notes_are_kept_for_the_next_time(office: Office) -> None:
    office.hold(1001)
    problem = office.id()
    office.caring.note(problem, "  the shop rounds up\r\n<b>call Ada</b>  \n", actor=ANN)
    for text in ("  \n ", "x" * 2001):
        with pytest.raises(Refused, match="between 1 and 2000"):
            office.caring.note(problem, text, actor=ANN)
    assert "Ada" not in str(office.notes("problem.note")[0].facts), "it may be about customers"
    office.desk.skip(office.job(1001).id, "typed by hand", actor=ANN)
    with pytest.raises(Unknown, match="gone by itself"):
        office.caring.note(problem, "too late", actor=ANN)
    office.hold(1002)
    (note,) = office.caring.notes(office.id())
    assert (note.by, note.text) == (ANN, "the shop rounds up\n<b>call Ada</b>")


def test_an_outage_is_known_of_until_it_occurs_anew(office: Office) -> None:
    states = office.ledger.states
    office.world.deliver(order(1001))
    states.block("crm", 60, error_class="timeout", reason="It does not answer. What to do: wait.")
    problem = office.id()
    with pytest.raises(Exception, match="A reason is missing"):
        office.caring.acknowledge(problem, " ", actor=ANN)
    one = office.caring.acknowledge(problem, "maintenance until ten", actor=ANN)
    assert one.acknowledged
    assert one.quiet
    states.block("crm", 60, error_class="timeout", reason="Still.")  # the same outage
    assert office.only().acknowledged
    states.succeeded("crm")
    office.clock.skip(1)
    states.block("crm", 60, error_class="timeout", reason="It does not answer. What to do: wait.")
    assert office.id() == problem
    assert not office.only().quiet


def test_a_mark_resolves_no_held_order(office: Office) -> None:
    office.hold(1001)
    with pytest.raises(Refused, match="retry or skip them"):
        office.caring.acknowledge(office.id(), "not important", actor=ANN)
    assert not office.only().quiet


# -- resolving ---------------------------------------------------------------------------------------------------------


def test_all_are_skipped_with_a_reason_and_the_number(office: Office) -> None:
    office.hold(1001, 1002, 1003)
    office.hold(1004, message="No such product. What to do: add it.", error_class="missing reference")
    problem = office.caring.open()[0].problem.id
    with pytest.raises(Refused, match="There are 3 orders now, not 2; none was skipped"):
        office.caring.skip_all(problem, "a test of the shop", 2, actor=ANN)
    with pytest.raises(Exception, match="A reason is missing"):
        office.caring.skip_all(problem, " ", 3, actor=ANN)
    assert office.ledger.jobs.counts()["held"] == 4
    run = office.caring.skip_all(problem, "a test of the shop", 3, actor=ANN)
    assert (run.state, run.kind, run.by, bulk.done(run)) == ("done", "skip", ANN, 3)
    assert office.job(1001).state == "skipped"
    assert office.job(1001).reason == f"a test of the shop (skipped by Ann, bulk action {run.id})"
    assert office.job(1004).state == "held"
    (note,) = office.notes("bulk.skip")
    assert (note.facts["jobs"], note.facts["reason"], note.facts["amounts"]) == (3, "a test of the shop", ["30.00 EUR"])
    office.world.deliver(order(1001, status="completed", date_modified_gmt="2026-12-01T00:00:00"))
    assert office.job(1001).state == "waiting", "a newer state of the order wakes it"


def test_what_moved_on_while_the_skipping_was_at_work_is_left_alone(office: Office) -> None:
    office.hold(*range(1001, 1001 + bulk.CHUNK + 4))
    run = office.caring.skip_all(office.id(), "a test", bulk.CHUNK + 4, actor=ANN)
    assert run.state == "running", "a hundred at a time"
    last = [office.job(1001 + bulk.CHUNK + more) for more in range(4)]
    office.desk.retry(last[0].id, actor="Ben")  # due, not tried yet
    office.desk.retry(last[1].id, actor="Ben")
    claim = office.ledger.jobs.claim("test")
    assert claim is not None
    office.desk.retry(last[2].id, actor="Ben")
    while (other := office.ledger.jobs.claim("test")) is not None:
        office.ledger.jobs.settle(other, Outcome("held", "Another reason. What to do: look.", error_class="mapping"))
    assert bulk.go_on(office.ledger) == 1
    run = office.desk.bulk(run.id)
    assert (run.state, run.counts["skipped"], run.counts["left_alone"]) == ("done", bulk.CHUNK + 1, 3)
    states = [office.job(1001 + bulk.CHUNK + more).state for more in range(4)]
    assert sorted(states) == ["held", "held", "running", "skipped"]


def test_a_job_that_changes_between_the_look_and_the_skip_is_not_skipped(office: Office) -> None:
    office.hold(1001)
    seen = office.job(1001)
    office.clock.skip(1)
    office.world.deliver(order(1001, status="completed", date_modified_gmt="2026-12-01T00:00:00"))
    assert not office.ledger.care.skip_as_seen(seen.id, seen.updated_at, "too late")
    assert office.job(1001).state == "waiting"


def test_a_skipping_that_is_stopped_leaves_the_rest(office: Office) -> None:
    office.hold(*range(1001, 1001 + bulk.CHUNK + 4))
    run = office.caring.skip_all(office.id(), "a test", bulk.CHUNK + 4, actor=ANN)
    assert office.desk.stop_bulk(run.id, actor="Ben").summary == f"Stopped after {bulk.CHUNK} jobs."
    assert bulk.go_on(office.ledger) == 0
    assert office.ledger.jobs.counts()["held"] == 4


def test_an_outage_is_not_skipped_and_a_problem_that_is_gone_is_unknown(office: Office) -> None:
    office.world.deliver(order(1001))
    office.ledger.states.block("crm", 60, error_class="timeout", reason="It does not answer. What to do: wait.")
    with pytest.raises(Refused, match="follow by themselves"):
        office.caring.skip_all(office.id(), "a test", 1, actor=ANN)
    with pytest.raises(Unknown, match="gone by itself"):
        office.caring.skip_all("0" * 16, "a test", 1, actor=ANN)


# -- how it ended ------------------------------------------------------------------------------------------------------


def test_it_ended_by_a_retry_of_all_and_not_before_they_were_tried(office: Office) -> None:
    office.hold(1001, 1002)
    run = office.caring.retry_all(office.id(), actor=ANN)
    assert office.caring.open() == []
    office.follow()
    assert office.caring.ended() == [], "they are only being tried"
    office.run(Outcome("settled", amount="10.00", currency="EUR"))
    office.follow()
    ended = office.ended()
    assert (ended.ending, ended.ended_by, ended.run_id) == ("retried", ANN, run.id)
    assert (ended.most, {name: str(amount) for name, amount in ended.amounts.items()}) == (2, {"EUR": "20.00"})
    office.clock.skip(7 * 86_400 + 1)
    assert office.caring.ended() == []


def test_what_fails_again_had_not_ended(office: Office) -> None:
    office.hold(1001)
    office.follow()
    began = office.only().since
    office.clock.skip(100)
    office.caring.retry_all(office.id(), actor=ANN)
    office.follow()
    office.run(Outcome("held", REASON, error_class="money"))
    office.follow()
    assert office.caring.ended() == []
    assert office.only().since == began


def test_it_ended_by_skipping(office: Office) -> None:
    office.hold(1001, 1002)
    run = office.caring.skip_all(office.id(), "a test of the shop", 2, actor=ANN)
    office.follow()
    ended = office.ended()
    assert (ended.ending, ended.ended_by, ended.ended_why, ended.run_id) == (
        "skipped",
        ANN,
        "a test of the shop",
        run.id,
    )


def test_it_ended_by_what_people_did_with_single_orders(office: Office) -> None:
    office.hold(1001)
    office.follow()
    office.desk.skip(office.job(1001).id, "typed by hand", actor="Ben")
    office.follow()
    ended = office.ended()
    assert (ended.ending, ended.ended_by, ended.ended_why, ended.run_id) == ("skipped", "Ben", "typed by hand", None)
    office.clock.skip(400)
    office.hold(1002)
    office.follow()
    office.desk.retry(office.job(1002).id, actor="Cleo")
    office.run(Outcome("settled"))
    office.follow()
    assert [(one.ending, one.ended_by) for one in office.caring.ended()] == [("retried", "Cleo"), ("skipped", "Ben")]


def test_it_ended_by_itself_or_goes_on_for_another_reason(office: Office) -> None:
    office.hold(1001)
    office.follow()
    office.world.deliver(order(1001, status="completed", date_modified_gmt="2026-12-01T00:00:00"))
    office.run(Outcome("settled"))
    office.follow()
    assert office.ended().ending == "itself"
    office.clock.skip(400)
    office.hold(1002)
    office.follow()
    office.desk.retry(office.job(1002).id, actor="Cleo")
    office.run(Outcome("held", "No such product. What to do: add it.", error_class="missing reference"))
    office.follow()
    assert office.caring.ended()[0].ending == "other reason"
    assert office.only().problem.error_class == "missing reference"


def test_an_outage_ended_because_the_connection_works_again(office: Office) -> None:
    office.world.deliver(order(1001))
    office.ledger.states.block("crm", 60, error_class="timeout", reason="It does not answer. What to do: wait.")
    office.follow()
    office.ledger.states.succeeded("crm")
    office.run(Outcome("settled"))
    office.follow()
    ended = office.ended()
    assert (ended.ending, ended.target, ended.flow) == ("works again", "crm", "")


def test_what_is_back_within_minutes_is_the_same_spell(office: Office) -> None:
    office.hold(1001)
    office.follow()
    office.desk.skip(office.job(1001).id, "typed by hand", actor="Ben")
    office.follow()
    office.clock.skip(60)
    office.hold(1002)
    office.follow()
    assert office.caring.ended() == []
    office.desk.skip(office.job(1002).id, "typed by hand", actor="Ben")
    office.follow()
    office.clock.skip(600)
    office.hold(1003)
    office.follow()
    assert len(office.caring.ended()) == 1
    assert len(office.ledger.care.open_spells()) == 1


def test_following_writes_only_what_has_changed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hold(1001, 1002)
    office.follow()
    written = [kit.counting(monkeypatch, office.ledger.db, name) for name in ("transact", "execute")]
    spells.follow(office.ledger)
    forgetting = 1
    assert sum(map(len, written)) <= forgetting
    office.hold(1003)
    before = sum(map(len, written))
    spells.follow(office.ledger)
    assert sum(map(len, written)) > before + forgetting


def test_what_was_arranged_is_forgotten_when_the_problem_is_long_gone(office: Office) -> None:
    ann = office.ledger.people.add("Ann", Role.OPERATOR, by="test")
    office.hold(1001)
    problem = office.id()
    office.caring.assign(problem, ann.id, actor="Ben")
    office.caring.note(problem, "remember", actor="Ben")
    office.clock.skip(8 * 86_400)
    office.follow()
    assert office.only().care.assignee == "Ann", "it is open still"
    office.desk.skip(office.job(1001).id, "typed by hand", actor="Ben")
    office.follow()
    assert office.ledger.care.get(problem).assignee == "Ann"
    office.clock.skip(8 * 86_400)
    office.follow()
    assert office.ledger.care.get(problem).assignee == ""
    assert len(office.caring.notes(problem)) == 1


def test_customers_are_counted_once_each(office: Office) -> None:
    for number, mail in ((1001, "ada@x.example"), (1002, "ADA@x.example"), (1003, "bob@x.example")):
        billing = {**order(number)["billing"], "email": mail}
        office.world.deliver(order(number, billing=billing))
    office.run(Outcome("held", REASON, error_class="money"))
    office.follow()
    spell = office.only().spell
    assert spell is not None
    assert (spell.customers, spell.customers_of) == (2, 3)
    rows = office.ledger.db.rows(sa.select(t.spell))
    assert "@" not in str(rows), "who they are is not kept"


def test_the_times_are_aware(office: Office) -> None:
    office.hold(1001)
    office.caring.snooze(office.id(), office.now() + timedelta(hours=1), actor=ANN)
    care = office.ledger.care.get(office.id())
    assert care.snoozed_until is not None
    assert care.snoozed_until.tzinfo is UTC
    assert Problems(office.ledger.db).open()[0].count == 1
