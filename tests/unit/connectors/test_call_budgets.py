"""How the transport keeps to a budget: it waits briefly, hands back what takes longer, and asks the guard afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from connectors.http import BACKGROUND_PATIENCE, Call, Http, HttpOptions, guarded, urgent
from core.errors import LeaseLost, RetryLater


@dataclass(frozen=True)
class Answer:
    ours: bool
    wait: float = 0.0


@dataclass
class Script:
    """A budget that gives these answers, the last one for ever, and keeps what it was asked."""

    answers: list[Answer]
    asked: list[tuple[bool, float]] = field(default_factory=list)

    def __call__(self, *, live: bool, within: float) -> Answer:
        self.asked.append((live, within))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class Watch:
    """A job's guard that notes the order of things."""

    notes: list[str]
    refuses: bool = False

    def before_write(self, connection: str, timeout: float) -> None:
        self.notes.append("guard")
        if self.refuses:
            raise LeaseLost("The time ran out. What to do: nothing.", detail=f"{connection} {timeout}")

    def called(self, call: Call) -> None:
        self.notes.append(call.operation)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def transport(notes: list[str]) -> Callable[[Script], Http]:
    def made(budget: Script) -> Http:
        def answer(_: httpx.Request) -> httpx.Response:
            notes.append("sent")
            return httpx.Response(200)

        return Http(
            "crm",
            HttpOptions("http://crm.example"),
            budget=budget,
            sleep=lambda seconds: notes.append(f"slept {seconds:g}"),
            transport=httpx.MockTransport(answer),
        )

    return made


Made = Callable[[Script], Http]


def test_a_short_wait_is_waited_and_the_guard_is_asked_after_it(transport: Made, notes: list[str]) -> None:
    budget = Script([Answer(ours=False, wait=1.5), Answer(ours=True, wait=0.5)])
    with guarded(Watch(notes), live=True):
        transport(budget).write("create", "POST", "/x")
    assert notes == ["slept 1.5", "slept 0.5", "guard", "sent", "create"]
    assert budget.asked == [(True, 5.0), (True, 3.5)]


def test_a_guard_that_refuses_after_the_wait_keeps_the_write_back(transport: Made, notes: list[str]) -> None:
    with guarded(Watch(notes, refuses=True)), pytest.raises(LeaseLost):
        transport(Script([Answer(ours=True, wait=2)])).write("create", "POST", "/x")
    assert notes == ["slept 2", "guard"]


@pytest.mark.parametrize("write", [True, False])
def test_a_long_wait_goes_back_to_the_ledger(transport: Made, notes: list[str], *, write: bool) -> None:
    http = transport(Script([Answer(ours=False, wait=7.5)]))
    with guarded(Watch(notes)), pytest.raises(RetryLater) as caught:
        (http.write if write else http.read)("look", "GET", "/x")
    assert notes == []
    error = caught.value
    assert (error.seconds, error.scope, error.burns_attempt, error.cause) == (7.5, "job", False, "rate limit")
    assert "What to do" in error.message


def test_several_short_waits_are_a_long_one(transport: Made, notes: list[str]) -> None:
    with guarded(Watch(notes)), pytest.raises(RetryLater):
        transport(Script([Answer(ours=False, wait=2)])).read("look", "GET", "/x")
    assert notes == ["slept 2", "slept 2"]


def test_all_waits_of_a_job_together_are_bounded(transport: Made, notes: list[str]) -> None:
    http = transport(Script([Answer(ours=False, wait=4), Answer(ours=True)] * 20))
    with guarded(Watch(notes), patience=10):
        http.read("look", "GET", "/x")
        http.read("look", "GET", "/x")
        with pytest.raises(RetryLater):
            http.read("look", "GET", "/x")
    assert notes == ["slept 4", "sent", "look"] * 2
    with guarded(Watch(notes), patience=10):  # another job's patience is its own
        transport(Script([Answer(ours=True, wait=4)])).read("look", "GET", "/x")


def test_a_call_that_was_given_is_made_even_where_patience_is_at_its_end(transport: Made, notes: list[str]) -> None:
    with guarded(Watch(notes), patience=1):
        transport(Script([Answer(ours=True, wait=1.1)])).read("look", "GET", "/x")
    assert "sent" in notes


def test_who_calls_is_known(transport: Made, notes: list[str]) -> None:
    budget = Script([Answer(ours=True)])
    http = transport(budget)
    http.read("poll", "GET", "/x")
    with guarded(Watch(notes), live=True):
        http.read("look", "GET", "/x")
    with guarded(Watch(notes)):
        http.read("look", "GET", "/x")
        with urgent():
            http.read("look", "GET", "/x")
        http.read("look", "GET", "/x")
    assert [live for live, _ in budget.asked] == [False, True, False, True, False]
    assert budget.asked[0][1] == BACKGROUND_PATIENCE


def test_every_try_is_a_call(notes: list[str]) -> None:
    budget = Script([Answer(ours=True)])
    answers = [httpx.Response(503), httpx.Response(503), httpx.Response(200)]
    http = Http(
        "crm",
        HttpOptions("http://crm.example"),
        budget=budget,
        sleep=lambda _: None,
        transport=httpx.MockTransport(lambda _: answers.pop(0)),
    )
    http.read("look", "GET", "/x")
    assert len(budget.asked) == 3
