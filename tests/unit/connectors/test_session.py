"""What threads share until it is over."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from connectors.session import Session


def test_it_is_made_once_however_many_need_it() -> None:
    made, begun, go = itertools.count(1), threading.Semaphore(0), threading.Event()

    def make() -> int:
        assert go.wait(60)
        return next(made)

    session = Session(make)
    found: list[int] = []

    def need() -> None:
        begun.release()
        found.append(session.current())

    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    go.set()
    for thread in threads:
        thread.join(60)
    assert found == [1] * 8
    assert next(made) == 2


def test_what_another_thread_has_renewed_is_not_dropped() -> None:
    session = Session(itertools.count(1).__next__)
    first = session.current()
    assert session.drop(first)
    second = session.current()
    assert not session.drop(first)
    assert session.current() == second == 2
    session.forget()
    assert session.current() == 3


def test_nothing_is_kept_of_a_failure() -> None:
    answers: Iterator[ValueError | str] = iter([ValueError("refused"), "token"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    session = Session(make)
    with pytest.raises(ValueError, match="refused"):
        session.current()
    assert session.current() == "token"
